//! Dates and date-times (RFC 9051 §9 `date`, `date-time`).

use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A day of the Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    /// The day, if there is such a one.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let length = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (1..=length)
            .contains(&day)
            .then_some(Self { year, month, day })
    }

    /// Days since 1 January 1970.
    #[must_use]
    pub fn days(self) -> i64 {
        let (y, m) = (i64::from(self.year), i64::from(self.month));
        // Years begin in March, so that the leap day is their last.
        let (y, m) = if m > 2 { (y, m - 3) } else { (y - 1, m + 9) };
        let leap_days = y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
        365 * y + leap_days + (153 * m + 2) / 5 + i64::from(self.day) - 1 - 719_468
    }

    /// The day of that number; years 0 to 9999.
    #[must_use]
    pub fn from_days(days: i64) -> Option<Self> {
        let days = days.checked_add(719_468)?;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let m = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * m + 2) / 5 + 1;
        let month = if m < 10 { m + 3 } else { m - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        Self::new(
            u16::try_from(year).ok().filter(|y| *y < 10_000)?,
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )
    }

    /// Appends `1-Feb-1994`.
    pub fn encode(self, output: &mut Output) {
        use core::fmt::Write as _;
        let month = MONTHS.get(usize::from(self.month) - 1).unwrap_or(&"Jan");
        let _ = write!(output, "{}-{month}-{:04}", self.day, self.year);
    }
}

/// A moment, with the zone it was written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct DateTime {
    /// Seconds since 1970, in UTC.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub zone: i16,
}

impl DateTime {
    /// Appends `" 1-Feb-1994 10:00:00 +0900"`, with its quotes.
    pub fn encode(self, output: &mut Output) {
        use core::fmt::Write as _;
        let local = self.seconds.saturating_add(i64::from(self.zone) * 60);
        let epoch = Date {
            year: 1970,
            month: 1,
            day: 1,
        };
        let date = Date::from_days(local.div_euclid(86_400)).unwrap_or(epoch);
        let second = local.rem_euclid(86_400);
        let month = MONTHS.get(usize::from(date.month) - 1).unwrap_or(&"Jan");
        let (sign, zone) = (
            if self.zone < 0 { '-' } else { '+' },
            self.zone.unsigned_abs(),
        );
        let _ = write!(
            output,
            "\"{:2}-{month}-{:04} {:02}:{:02}:{:02} {sign}{:02}{:02}\"",
            date.day,
            date.year,
            second / 3600,
            second / 60 % 60,
            second % 60,
            zone / 60,
            zone % 60
        );
    }
}

fn digits(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Result<u16> {
    let text = cursor.rest();
    let run = text
        .iter()
        .take(most)
        .take_while(|o| o.is_ascii_digit())
        .count();
    if run < least {
        return cursor.fail("digits");
    }
    for _ in 0..run {
        cursor.eat(cursor.peek().unwrap_or(0));
    }
    let value = |sum: u16, o: &u8| sum.saturating_mul(10).saturating_add(u16::from(o - b'0'));
    Ok(text.iter().take(run).fold(0, value))
}

/// `day-month-year`; the day is the caller's.
fn month_year(cursor: &mut Cursor<'_>, day: u16) -> Result<Date> {
    cursor.expect(b'-', "\"-\"")?;
    let Some(month) = (1_u8..)
        .zip(MONTHS)
        .find_map(|(n, name)| cursor.eat_prefix(name).then_some(n))
    else {
        return cursor.fail("a month");
    };
    cursor.expect(b'-', "\"-\"")?;
    let year = digits(cursor, 4, 4)?;
    match Date::new(year, month, u8::try_from(day).unwrap_or(0)) {
        Some(date) => Ok(date),
        None => cursor.fail("a day that there is"),
    }
}

/// `date = date-text / DQUOTE date-text DQUOTE`
pub(crate) fn date(cursor: &mut Cursor<'_>) -> Result<Date> {
    let quoted = cursor.eat(b'"');
    let day = digits(cursor, 1, 2)?;
    let date = month_year(cursor, day)?;
    if quoted {
        cursor.expect(b'"', "a quote")?;
    }
    Ok(date)
}

/// `date-time`; a leading zero instead of the blank is in the world.
pub(crate) fn date_time(cursor: &mut Cursor<'_>) -> Result<DateTime> {
    cursor.expect(b'"', "a date and time in quotes")?;
    let day = if cursor.eat(b' ') {
        digits(cursor, 1, 1)?
    } else {
        digits(cursor, 1, 2)?
    };
    let date = month_year(cursor, day)?;
    cursor.sp()?;
    let hour = digits(cursor, 2, 2)?;
    cursor.expect(b':', "\":\"")?;
    let minute = digits(cursor, 2, 2)?;
    cursor.expect(b':', "\":\"")?;
    let second = digits(cursor, 2, 2)?;
    cursor.sp()?;
    let east = match cursor.peek() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return cursor.fail("a zone"),
    };
    cursor.eat(cursor.peek().unwrap_or(0));
    let (zone_hours, zone_minutes) = (digits(cursor, 2, 2)?, digits(cursor, 2, 2)?);
    if hour > 23 || minute > 59 || second > 60 || zone_minutes > 59 {
        return cursor.fail("a time that there is");
    }
    cursor.expect(b'"', "a quote")?;
    let zone = east * i16::try_from(zone_hours * 60 + zone_minutes).unwrap_or(0);
    let second = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    Ok(DateTime {
        seconds: date.days() * 86_400 + second - i64::from(zone) * 60,
        zone,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in -60_000_000_000_i64..250_000_000_000, zone in -1439_i16..1440) {
            let moment = DateTime { seconds, zone };
            let mut output = Output::new();
            moment.encode(&mut output);
            let written = output.copy_to_bytes(output.len());
            prop_assert_eq!(date_time(&mut Cursor::new(&written)), Ok(moment));
            let day = Date::from_days(seconds.div_euclid(86_400)).unwrap();
            day.encode(&mut output);
            let written = output.copy_to_bytes(output.len());
            prop_assert_eq!(date(&mut Cursor::new(&written)), Ok(day));
        }
    }

    #[test]
    fn days_that_there_are_not() {
        for bad in [
            "31-Feb-2026",
            "0-Jan-2026",
            "29-Feb-2100",
            "1-Foo-2026",
            "1-Jan-26",
        ] {
            assert!(date(&mut Cursor::new(&Bytes::from(bad))).is_err(), "{bad}");
        }
        assert_eq!(Date::new(1970, 1, 1).unwrap().days(), 0);
    }
}
