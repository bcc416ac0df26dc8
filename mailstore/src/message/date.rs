//! Dates in header fields (RFC 5322 §3.3 and §4.3).

/// A date and time with its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// The zone, in minutes east of Greenwich.
    pub zone: i16,
}

impl DateTime {
    /// The day as the zone's calendar has it, in days since 1970: what SENTON and ON compare.
    #[must_use]
    pub fn day(self) -> i64 {
        (self.seconds + i64::from(self.zone) * 60).div_euclid(86_400)
    }
}

/// Days since 1970 of a date in the Gregorian calendar; `None` when there is no such day.
pub(crate) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=last).contains(&day) || !(0..=9999).contains(&year) {
        return None;
    }
    // March begins the year, so that the leap day is its last.
    let (y, m) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let before = 365 * y + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    Some(before + (153 * m + 2) / 5 + day - 1 - 719_468)
}

/// Reads the value of a Date field, obsolete forms included.
///
/// ```
/// use hikyaku_mailstore::message::parse_date;
/// let date = parse_date(b"Fri, 21 Nov 1997 09:55:06 -0600").unwrap();
/// assert_eq!((date.seconds, date.zone), (880_127_706, -360));
/// ```
#[must_use]
pub fn parse_date(field: &[u8]) -> Option<DateTime> {
    let text = String::from_utf8_lossy(field.get(..field.len().min(200))?).into_owned();
    let mut words = without_comments(&text);
    if let Some(comma) = words.find(',') {
        words.drain(..=comma);
    }
    let spaced = words.replace('-', " -").replace('+', " +");
    let mut words = spaced.split_whitespace().peekable();
    if words.peek()?.chars().all(char::is_alphabetic) {
        words.next();
    }
    let number = |word: &str| word.trim_start_matches('-').parse::<i64>().ok();
    let day = number(words.next()?)?;
    let month = words.next()?.trim_start_matches('-').to_ascii_lowercase();
    let names = "janfebmaraprmayjunjulaugsepoctnovdec";
    let at = names.find(month.get(..3)?).filter(|at| at % 3 == 0)?;
    let month = i64::try_from(at / 3).ok()? + 1;
    let year = words.next()?;
    let digits = year.trim_start_matches('-').len();
    let year = match number(year)? {
        short @ 0..50 if digits < 3 => 2000 + short,
        short if digits <= 3 => 1900 + short,
        year => year,
    };
    let mut seconds = days(year, month, day)? * 86_400;
    let mut zone = 0;
    if let Some(time) = words.next() {
        let mut parts = time.split([':', '.']);
        for (factor, limit) in [(3600, 23), (60, 59), (1, 60)] {
            let value = parts.next().and_then(number).unwrap_or(0);
            if value > limit {
                return None;
            }
            seconds += value * factor;
        }
        zone = words.next().map_or(0, parse_zone);
    }
    Some(DateTime {
        seconds: seconds - i64::from(zone) * 60,
        zone,
    })
}

fn parse_zone(word: &str) -> i16 {
    let hours = match word {
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        _ => {
            let (sign, digits) = match word.split_at_checked(1) {
                Some(("-", digits)) => (-1, digits),
                Some(("+", digits)) => (1, digits),
                _ => return 0,
            };
            let value: i16 = digits.parse().unwrap_or(0);
            let minutes = value / 100 * 60 + value % 100;
            return if (0..=1440).contains(&minutes) {
                sign * minutes
            } else {
                0
            };
        }
    };
    hours * 60
}

fn without_comments(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|&c| match c {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(i64, i16)> {
        parse_date(text.as_bytes()).map(|d| (d.seconds, d.zone))
    }

    #[test]
    fn current_and_obsolete_forms() {
        let expected = Some((880_127_706, -360));
        for text in [
            "Fri, 21 Nov 1997 09:55:06 -0600",
            "21 Nov 97 09:55:06 CST",
            "Fri, 21 Nov 1997 09(comment):55:06 -0600 (Central)",
            "Fri,21 Nov 1997 09:55:06-0600",
            "21-Nov-1997 09:55:06 -0600",
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read("1 Jan 1970 00:00:00 GMT"), Some((0, 0)));
        assert_eq!(read("1 Jan 1970 00:00"), Some((0, 0)));
        for bad in [
            "",
            "31 Feb 2026 10:00:00 +0000",
            "x",
            "1 Foo 2020",
            "1 Jan 2020 25:00",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_are_counted_from_1970() {
        assert_eq!(days(1970, 1, 1), Some(0));
        assert_eq!(days(2000, 2, 29), Some(11_016));
        assert_eq!(days(1900, 2, 29), None);
        assert_eq!(days(1969, 12, 31), Some(-1));
    }
}
