//! Formats times in the reader's time zone.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// The zone that times are shown in.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

impl Clock {
    /// Returns the reader's clock: of `TZ`, else of the system's `/etc/localtime`, else UTC.
    #[must_use]
    pub fn of_the_reader() -> Self {
        Self(TimeZone::system())
    }

    /// Returns the clock of a zone by its name, such as `Asia/Tokyo`, or by a POSIX rule, such as `JST-9`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).or_else(|_| TimeZone::posix(name));
        zone.ok().map(Self)
    }

    fn shown(&self, seconds: i64, format: &str) -> String {
        let moment = Timestamp::from_second(seconds).ok();
        let shown = moment.map(|moment| {
            moment
                .to_zoned_datetime(self.0.clone())
                .strftime(format)
                .to_string()
        });
        shown.unwrap_or_else(|| "?".into())
    }

    /// Returns a moment for a column of a list, in 16 characters: `2026-03-10 18:00`.
    #[must_use]
    pub fn short(&self, seconds: i64) -> String {
        self.shown(seconds, "%Y-%m-%d %H:%M")
    }

    /// Returns a moment with its zone: `Tue, 10 Mar 2026 18:00 +0900`.
    #[must_use]
    pub fn long(&self, seconds: i64) -> String {
        self.shown(seconds, "%a, %-d %b %Y %H:%M %z")
    }

    /// Returns the moment that a Date field names, with its zone, and beside it what the clock of its author showed,
    /// where that was another hour: `Tue, 10 Mar 2026 18:00 +0900 (10:00 +0100 for the sender)`. `minutes` is the
    /// zone of the field, east of UTC.
    #[must_use]
    pub fn written(&self, seconds: i64, minutes: i16) -> String {
        let here = self.long(seconds);
        let Ok(offset) = Offset::from_seconds(i32::from(minutes) * 60) else {
            return here;
        };
        let there = Self(offset.to_time_zone());
        let day = |clock: &Self| clock.shown(seconds, "%Y-%m-%d %z");
        let date = |clock: &Self| clock.shown(seconds, "%Y-%m-%d");
        if day(self) == day(&there) {
            here
        } else if date(self) == date(&there) {
            format!(
                "{here} ({} for the sender)",
                there.shown(seconds, "%H:%M %z")
            )
        } else {
            format!("{here} ({} for the sender)", there.long(seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tue, 10 Mar 2026 09:00:00 +0000
    const MOMENT: i64 = 1_773_133_200;

    #[test]
    fn times_are_the_readers() {
        for (zone, minutes, short, long) in [
            (
                "Asia/Tokyo",
                540,
                "2026-03-10 18:00",
                "Tue, 10 Mar 2026 18:00 +0900",
            ),
            (
                "JST-9",
                60,
                "2026-03-10 18:00",
                "Tue, 10 Mar 2026 18:00 +0900 (10:00 +0100 for the sender)",
            ),
            (
                "America/New_York",
                0,
                "2026-03-10 05:00",
                "Tue, 10 Mar 2026 05:00 -0400 (09:00 +0000 for the sender)",
            ),
            (
                "Asia/Kolkata",
                -720,
                "2026-03-10 14:30",
                "Tue, 10 Mar 2026 14:30 +0530 (Mon, 9 Mar 2026 21:00 -1200 for the sender)",
            ),
            ("UTC", 0, "2026-03-10 09:00", "Tue, 10 Mar 2026 09:00 +0000"),
            (
                "Europe/Berlin",
                60,
                "2026-03-10 10:00",
                "Tue, 10 Mar 2026 10:00 +0100",
            ),
        ] {
            let clock = Clock::named(zone).unwrap();
            assert_eq!(clock.short(MOMENT), short);
            assert_eq!(clock.written(MOMENT, minutes), long);
        }
        // Summer time is that of the moment, not of now.
        let berlin = Clock::named("Europe/Berlin").unwrap();
        assert_eq!(
            berlin.long(MOMENT + 90 * 86_400),
            "Mon, 8 Jun 2026 11:00 +0200"
        );
    }

    #[test]
    fn no_moment_is_beyond_the_clock() {
        let clock = Clock::named("Pacific/Kiritimati").unwrap();
        for seconds in [i64::MIN, i64::MAX, -377_705_116_801, 0, 253_402_300_800] {
            for minutes in [i16::MIN, -1, 0, i16::MAX] {
                assert!(!clock.written(seconds, minutes).is_empty());
            }
        }
        assert!(Clock::named("No/Where").is_none());
    }
}
