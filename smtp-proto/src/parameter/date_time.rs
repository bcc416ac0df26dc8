//! Dates as the parameters of extensions have them (RFC 3339 §5.6).

use core::fmt::Write as _;
use hikyaku_wire::Output;

use crate::octets::numeral;

/// The last second of the year 9999, which four digits can name.
pub(crate) const LATEST: i64 = 253_402_300_799;
/// The first second of the year 0.
pub(crate) const EARLIEST: i64 = -62_167_219_200;

/// Reads a `date-time` as seconds since 1970; fractions of a second are dropped.
pub(crate) fn parse(text: &[u8]) -> Option<i64> {
    let (fixed, zone) = text.split_at_checked(19)?;
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(octet, shape): (&u8, &u8)| match shape {
        b'd' => octet.is_ascii_digit(),
        other => octet.eq_ignore_ascii_case(other),
    };
    if !fixed.iter().zip(shape).all(fits) {
        return None;
    }
    let field = |from: usize, to: usize| {
        let digits = fixed.get(from..to).and_then(|digits| numeral(digits, 4));
        digits
            .and_then(|number| i64::try_from(number).ok())
            .unwrap_or(99)
    };
    let (year, month, day) = (field(0, 4), field(5, 7), field(8, 10));
    let (hour, minute, second) = (field(11, 13), field(14, 16), field(17, 19));
    let valid = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    let offset = offset(zone)?;
    // A leap second is the one behind it.
    let of_day = hour * 3600 + minute * 60 + second;
    valid.then(|| days(year, month, day) * 86_400 + of_day - offset)
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let zone = match zone.strip_prefix(b".") {
        None => zone,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|octet| octet.is_ascii_digit());
            let digits = digits.count();
            (digits > 0).then(|| fraction.get(digits..))??
        }
    };
    let [sign, hour @ .., b':', minute_tens, minute_ones] = zone else {
        return matches!(zone, [b'Z' | b'z']).then_some(0);
    };
    let minute = [*minute_tens, *minute_ones];
    let two = |digits: &[u8]| {
        let number = numeral(digits, 2).filter(|_| digits.len() == 2)?;
        i64::try_from(number).ok()
    };
    let (hour, minute) = (two(hour)?, two(&minute)?);
    let sign = match sign {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3600 + minute * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970, in the Gregorian calendar. Years begin with March, so that a leap day is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Returns seconds since 1970 as a `date-time` of UTC (RFC 3339), as HOLDUNTIL and RRVS have it.
///
/// ```
/// assert_eq!(hikyaku_smtp_proto::date_time(1_396_566_060), "2014-04-03T23:01:00Z");
/// ```
#[must_use]
pub fn date_time(seconds: i64) -> alloc::string::String {
    let mut output = Output::new();
    write(seconds, &mut output);
    alloc::string::String::from_utf8_lossy(bytes::Buf::chunk(&output)).into_owned()
}

/// Writes seconds since 1970 as a `date-time` of UTC, within the years that four digits name.
pub(crate) fn write(seconds: i64, output: &mut Output) {
    let kept = seconds.clamp(EARLIEST, LATEST);
    if kept != seconds {
        output.note_replaced();
    }
    let (days, of_day) = (kept.div_euclid(86_400), kept.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let _ = write!(
        output,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in EARLIEST..=LATEST) {
            let mut output = Output::new();
            write(seconds, &mut output);
            prop_assert_eq!(parse(output.chunk()), Some(seconds));
        }

        #[test]
        fn nothing_panics(octets: std::vec::Vec<u8>) {
            let _ = parse(&octets);
        }
    }

    #[test]
    fn known_dates_are_known_seconds() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59z", -1),
            ("2004-02-29t12:00:00.250+02:00", 1_078_048_800),
            ("2014-04-03T23:01:00Z", 1_396_566_060),
            ("1985-04-12T23:20:50.52Z", 482_196_050),
            ("1996-12-19T16:39:57-08:00", 851_042_397),
            ("1990-12-31T23:59:60Z", 662_688_000),
            ("9999-12-31T23:59:59Z", LATEST),
            ("0000-01-01T00:00:00Z", EARLIEST),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
        }
        for bad in [
            "2003-02-29T00:00:00Z",
            "2004-13-01T00:00:00Z",
            "2004-00-01T00:00:00Z",
            "2004-01-00T00:00:00Z",
            "2004-01-01T24:00:00Z",
            "2004-01-01T00:60:00Z",
            "2004-01-01T00:00:00",
            "2004-01-01 00:00:00Z",
            "2004-01-01T00:00:00.Z",
            "2004-01-01T00:00:00+2:00",
            "2004-01-01T00:00:00+02:0",
            "2004-01-01T00:00:00+24:00",
            "2004-01-01T00:00:00ZZ",
            "04-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
