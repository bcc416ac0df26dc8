//! When a certificate is renewed, and when what failed is tried again.

use std::time::Duration;
use webmail::Validity;

/// How long to wait after the first failure; each further one doubles it. Let's Encrypt allows five failed validations
/// of a name an hour.
const FIRST: u64 = 5 * 60;
/// The longest time to wait after a failure.
const LONGEST: u64 = 12 * 60 * 60;

/// Returns when to renew, in seconds since 1970: when two thirds of the lifetime are over, or up to a thirtieth of it
/// earlier, so that not all certificates of a day are renewed in the same hour. `chance` is from 0 to 255.
pub(crate) fn renewal(validity: Validity, chance: u8) -> i64 {
    let lifetime = validity.until.saturating_sub(validity.from).max(0);
    let earlier = (lifetime / 30).saturating_mul(chance.into()) / 255;
    let due = validity.from.saturating_add(lifetime / 3 * 2);
    due.saturating_sub(earlier)
}

/// Returns how long to wait after that many failures in a row, a quarter of it up or down by chance.
pub(crate) fn after_failures(failures: u32, chance: u8) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let seconds = (FIRST << doublings).min(LONGEST);
    let least = seconds - seconds / 4;
    Duration::from_secs(least + seconds / 2 * u64::from(chance) / 255)
}

/// Returns something from 0 to 255.
pub(crate) fn chance() -> u8 {
    let mut octet = [128];
    let _ = getrandom::fill(&mut octet);
    let [octet] = octet;
    octet
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    #[test]
    fn a_certificate_is_renewed_at_two_thirds_of_its_time() {
        let validity = |days: i64| Validity {
            from: 1000 * DAY,
            until: (1000 + days) * DAY,
        };
        assert_eq!(renewal(validity(90), 0), 1060 * DAY);
        assert_eq!(renewal(validity(90), 255), 1057 * DAY);
        assert_eq!(renewal(validity(6), 0), 1004 * DAY);
        for chance in 0..=255 {
            let due = renewal(validity(90), chance);
            assert!((1057 * DAY..=1060 * DAY).contains(&due));
        }
        // Dates that make no sense make it due, or never, and break nothing.
        assert_eq!(renewal(validity(-5), 255), 1000 * DAY);
        let endless = Validity {
            from: i64::MIN,
            until: i64::MAX,
        };
        renewal(endless, 255);
    }

    #[test]
    fn what_fails_is_tried_again_later_and_later() {
        let minutes = |failures| {
            let (least, most) = (after_failures(failures, 0), after_failures(failures, 255));
            assert!(least < most);
            (least.as_secs_f64() / 60.0, most.as_secs_f64() / 60.0)
        };
        assert_eq!(minutes(1), (3.75, 6.25));
        assert_eq!(minutes(2), (7.5, 12.5));
        assert_eq!(minutes(9), (540.0, 900.0));
        assert_eq!(minutes(u32::MAX), (540.0, 900.0));
    }
}
