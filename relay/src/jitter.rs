//! Times that differ a little, so that what failed together is not tried again together.

use std::time::Duration;

/// Returns a time up to a fifth shorter. Never a longer one: a due time beyond all steps is that of a wrong clock.
pub(crate) fn sooner(wait: Duration) -> Duration {
    wait.mul_f64(1.0 - fastrand::f64() / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_differ_and_none_is_longer() {
        let wait = Duration::from_secs(300);
        let all: Vec<Duration> = (0..100).map(|_| sooner(wait)).collect();
        let (least, most) = (Duration::from_secs(240), wait);
        assert!(
            all.iter().all(|one| (least..=most).contains(one)),
            "{all:?}"
        );
        assert!(all.iter().any(|one| *one != all[0]));
        assert_eq!(sooner(Duration::ZERO), Duration::ZERO);
    }
}
