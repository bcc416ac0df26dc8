//! How long a group commit waits for more, so that a crowd shares a flush and nobody waits for nobody.

use std::time::Duration;

/// A flush for this many is cheap enough: no more are waited for.
const ENOUGH: usize = 32;
/// No batch waits longer than this for more.
const LONGEST: Duration = Duration::from_millis(5);
/// What is waited in vain is at most one part in this many of what the commits themselves take.
const SHARE: u32 = 8;

/// How long a batch waits for more.
///
/// It waits until as many have come as came together last, for at most four times what the last
/// commit took, and it gives up when nobody has come for as long as one commit. One writer alone never
/// waits. Waiting in vain is paid from a credit that commits earn, so that no pattern of load, however
/// unlucky, makes the waiting cost more than a small share of the commits.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    expected: usize,
    /// What the last commit took.
    took: Duration,
    /// How much may be waited in vain.
    credit: Duration,
}

impl Patience {
    /// How much longer a batch may wait that has waited for `waited`, for `idle` of it in vain.
    pub(crate) fn left(&self, batch: usize, waited: Duration, idle: Duration) -> Option<Duration> {
        if batch >= self.expected {
            return None;
        }
        let whole = (4 * self.took).min(LONGEST).checked_sub(waited)?;
        let gap = self.took.min(self.credit).checked_sub(idle)?;
        Some(whole.min(gap)).filter(|left| !left.is_zero())
    }

    /// Learns from a commit: how many it had, how long it had waited since the last of them came, and
    /// what it took.
    pub(crate) fn learn(&mut self, batch: usize, in_vain: Duration, took: Duration) {
        let in_vain = match batch < self.expected {
            true => in_vain,
            false => Duration::ZERO,
        };
        self.expected = match batch {
            batch if batch < self.expected => batch.max(self.expected - self.expected.div_ceil(8)),
            batch => batch.min(ENOUGH),
        };
        let earned = self.credit.saturating_sub(in_vain) + took / SHARE;
        self.credit = earned.min(4 * LONGEST);
        self.took = took;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    fn micros(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// What a load cost.
    #[derive(Debug, Default)]
    struct Cost {
        commits: usize,
        flushes: usize,
        flushing: Duration,
        /// Waited after the last of a batch had come.
        in_vain: Duration,
        /// The longest time that one commit waited for others, its flush left out.
        longest: Duration,
    }

    impl Cost {
        fn flushes_per_commit(&self) -> f64 {
            self.flushes as f64 / self.commits as f64
        }
    }

    /// The writer's loop in simulated time. `again` says after which time the client that a commit was
    /// for comes back, if it does.
    fn simulate(
        arrivals: impl IntoIterator<Item = Duration>,
        flush: impl Fn(usize) -> Duration,
        mut again: impl FnMut() -> Option<Duration>,
        most: usize,
    ) -> Cost {
        let mut queue: BinaryHeap<Reverse<Duration>> = arrivals.into_iter().map(Reverse).collect();
        let (mut now, mut patience, mut cost) =
            (Duration::ZERO, Patience::default(), Cost::default());
        while cost.commits < most {
            let Some(Reverse(first)) = queue.pop() else {
                break;
            };
            now = now.max(first);
            let (began, mut last, mut batch) = (now, now, 1);
            loop {
                let left = patience.left(batch, now - began, now - last);
                let until = now + left.unwrap_or_default();
                match queue.peek() {
                    Some(&Reverse(next)) if next <= until => {
                        queue.pop();
                        batch += 1;
                        now = now.max(next);
                        if left.is_some() {
                            last = now;
                        }
                    }
                    _ => {
                        now = until;
                        if left.is_none() {
                            break;
                        }
                    }
                }
            }
            let took = flush(batch);
            cost.in_vain += now - last;
            cost.longest = cost.longest.max(now - began);
            patience.learn(batch, now - last, took);
            now += took;
            cost.commits += batch;
            cost.flushes += 1;
            cost.flushing += took;
            for _ in 0..batch {
                queue.extend(again().map(|think| Reverse(now + think)));
            }
        }
        cost
    }

    /// Numbers that look random and are the same each time.
    fn dice(seed: u64) -> impl FnMut(u64, u64) -> u64 {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        move |low, high| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            low + (state >> 33) % (high - low + 1)
        }
    }

    /// Waiting in vain is a small share of the flushes, and nobody waits for long.
    fn assert_bounded(name: &str, cost: &Cost) {
        let bound = cost.flushing / SHARE + LONGEST;
        assert!(cost.in_vain <= bound, "{name}: waits in vain: {cost:?}");
        assert!(cost.longest <= LONGEST, "{name}: waits for long: {cost:?}");
    }

    #[test]
    fn clients_that_come_back_share_flushes_and_wait_for_nobody() {
        // What a flush takes, and the most flushes for each commit, in parts of what is ideal.
        for flush in [30, 200, 1_000, 8_000] {
            for clients in [1_usize, 2, 3, 5, 8, 13, 20, 32, 50, 64, 100, 200] {
                for think in [(0, 0), (10, 40), (20, 200), (100, 900)] {
                    let name = format!("{clients} clients, flush {flush} us, {think:?}");
                    let mut dice = dice(flush + clients as u64);
                    let mut again = || Some(micros(dice(think.0, think.1)));
                    let arrivals: Vec<_> = (0..clients).filter_map(|_| again()).collect();
                    let flush = |batch: usize| micros(flush + batch as u64 * 8);
                    let cost = simulate(arrivals, flush, again, 4_000);
                    assert_bounded(&name, &cost);
                    if clients == 1 {
                        assert_eq!(cost.in_vain, Duration::ZERO, "{name}");
                    }
                    // Those that come back within a flush share one: two groups at the worst.
                    if micros(think.1) <= flush(1) {
                        let most = 2.0 / clients.min(40) as f64;
                        let each = cost.flushes_per_commit();
                        assert!(
                            each <= most.min(1.0),
                            "{name}: {each} flushes a commit: {cost:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn no_pattern_of_load_makes_it_wait_for_nobody() {
        let flush = |batch: usize| micros(200 + batch as u64 * 8);
        // Each is a list of arrivals: how many at once, and how long until the next.
        let patterns: [(&str, Vec<(usize, u64)>); 9] = [
            (
                "one and twenty in turn",
                [(1, 2_000), (20, 2_000)].repeat(500),
            ),
            ("one, then twenty, often", [(1, 500), (20, 300)].repeat(500)),
            ("a crowd that vanishes", {
                let mut all = vec![(100, 1_000); 50];
                all.extend(vec![(1, 3_000); 500]);
                all
            }),
            ("a crowd now and then", {
                let mut one = vec![(1, 900); 20];
                one.push((64, 900));
                one.repeat(50)
            }),
            ("a trickle as quick as the flush", vec![(1, 208); 3_000]),
            ("a trickle a little quicker", vec![(1, 150); 3_000]),
            ("a trickle a little slower", vec![(1, 260); 3_000]),
            ("pairs", vec![(2, 1_000); 1_000]),
            (
                "sizes that fall",
                (1..=40)
                    .rev()
                    .map(|n| (n, 1_000))
                    .collect::<Vec<_>>()
                    .repeat(20),
            ),
        ];
        for (name, pattern) in patterns {
            let mut at = Duration::ZERO;
            let mut arrivals = Vec::new();
            for (count, pause) in pattern {
                arrivals.extend(vec![at; count]);
                at += micros(pause);
            }
            let count = arrivals.len();
            let cost = simulate(arrivals, flush, || None, usize::MAX);
            assert_eq!(cost.commits, count);
            assert_bounded(name, &cost);
        }
    }

    #[test]
    fn random_loads_are_bounded_too() {
        for seed in 0..80 {
            let mut dice = dice(seed);
            let flush = [20, 150, 700, 6_000][dice(0, 3) as usize];
            let mut at = Duration::ZERO;
            let mut arrivals = Vec::new();
            for _ in 0..400 {
                let crowd = [1, 3, 20, 120][dice(0, 3) as usize];
                arrivals.extend(vec![at; dice(1, crowd) as usize]);
                let pause = [50, 500, 5_000][dice(0, 2) as usize];
                at += micros(dice(0, pause));
            }
            let cost = simulate(
                arrivals,
                |batch| micros(flush + batch as u64 * 8),
                || None,
                usize::MAX,
            );
            assert_bounded(&format!("seed {seed}, flush {flush} us"), &cost);
        }
    }

    #[test]
    fn one_alone_never_waits_and_a_crowd_is_soon_forgotten() {
        let took = micros(1_000);
        let mut patience = Patience::default();
        for _ in 0..10 {
            assert_eq!(patience.left(1, Duration::ZERO, Duration::ZERO), None);
            patience.learn(1, Duration::ZERO, took);
        }
        patience.learn(256, Duration::ZERO, took);
        let waits = |batch| {
            patience
                .left(batch, Duration::ZERO, Duration::ZERO)
                .is_some()
        };
        assert!(waits(ENOUGH - 1) && !waits(ENOUGH));
        let mut alone = 0;
        while let Some(left) = patience.left(1, Duration::ZERO, Duration::ZERO) {
            patience.learn(1, left, took);
            alone += 1;
        }
        assert!((1..20).contains(&alone), "{alone}");
    }

    #[test]
    fn as_many_are_waited_for_as_came_last() {
        let mut patience = Patience::default();
        patience.learn(8, Duration::ZERO, micros(1_000));
        assert!(patience.left(7, Duration::ZERO, Duration::ZERO).is_some());
        assert!(patience.left(8, Duration::ZERO, Duration::ZERO).is_none());
    }
}
