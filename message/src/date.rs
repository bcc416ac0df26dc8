//! Dates in header fields (RFC 5322 §3.3 and §4.3).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A date and time with its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct DateTime {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// The zone, in minutes east of Greenwich.
    pub zone: i16,
}

impl DateTime {
    /// Makes the date of a moment, in UTC.
    ///
    /// ```
    /// use hikyaku_message::{DateTime, parse_date};
    /// assert_eq!(parse_date(b"1 Jan 1970 00:01:00 +0000"), Some(DateTime::utc(60)));
    /// ```
    #[must_use]
    pub const fn utc(seconds: i64) -> Self {
        Self { seconds, zone: 0 }
    }

    /// Returns the day in the calendar of the date's zone, in days since 1970: what SENTON and ON compare.
    ///
    /// ```
    /// use hikyaku_message::parse_date;
    /// let date = parse_date(b"Thu, 1 Jan 1970 23:00:00 -0500").expect("a date");
    /// assert_eq!(date.day(), 0);
    /// ```
    #[must_use]
    pub fn day(self) -> i64 {
        (self.seconds + i64::from(self.zone) * 60).div_euclid(86_400)
    }
}

impl fmt::Display for DateTime {
    /// Writes it as a Date field has it (RFC 5322 §3.3). Years before 0 and after 9999 have no form: the nearest moment
    /// that has one stands for theirs.
    ///
    /// ```
    /// use hikyaku_message::DateTime;
    /// let (seconds, zone) = (880_127_706, -360);
    /// assert_eq!(DateTime { seconds, zone }.to_string(), "Fri, 21 Nov 1997 09:55:06 -0600");
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.seconds.saturating_add(i64::from(self.zone) * 60);
        let there = there.clamp(FIRST, LAST);
        let (since, second) = (there.div_euclid(86_400), there.rem_euclid(86_400));
        let (year, month, day) = calendar(since);
        // 1 January 1970 was a Thursday.
        let name = |all: &[&'static str], at: i64| {
            let at = usize::try_from(at).ok();
            at.and_then(|at| all.get(at).copied()).unwrap_or("")
        };
        let weekday = name(&WEEKDAYS, (since + 4).rem_euclid(7));
        let month = name(&MONTHS, month - 1);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let sign = if self.zone < 0 { '-' } else { '+' };
        let zone = self.zone.unsigned_abs();
        write!(
            f,
            "{weekday}, {day} {month} {year:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}",
            zone / 60,
            zone % 60
        )
    }
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The first second of the year 0.
const FIRST: i64 = -62_167_219_200;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;

/// The year, month and day of a day since 1970: what [`days`] counts.
fn calendar(since: i64) -> (i64, i64, i64) {
    // Within 400 years that begin with a 1 March.
    let (era, day) = {
        let day = since + 719_468;
        (day.div_euclid(146_097), day.rem_euclid(146_097))
    };
    // Leap days: one in 4 years, none in a 100th, the last day of all is one.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
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

/// Reads the value of a Date field: the form of RFC 5322, its obsolete ones, and what else programs write: ISO 8601,
/// ctime, American order, names of days and months in other languages, zones by name or with a colon, AM and PM.
///
/// `None` for what is no date, and for numbers alone whose order is not clear.
///
/// ```
/// use hikyaku_message::parse_date;
/// let date = parse_date(b"Fri, 21 Nov 1997 09:55:06 -0600").unwrap();
/// assert_eq!((date.seconds, date.zone), (880_127_706, -360));
/// assert_eq!(parse_date(b"1997-11-21T09:55:06.5-06:00"), Some(date));
/// ```
#[must_use]
pub fn parse_date(field: &[u8]) -> Option<DateTime> {
    let text = super::decode_header(field.get(..field.len().min(LONGEST))?);
    let text = without_comments(&text);
    let is_half = |word: &str| {
        let half = word.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
        half.eq_ignore_ascii_case("am") || half.eq_ignore_ascii_case("pm")
    };
    let mut found = Found {
        is_american: text.split_whitespace().any(is_half),
        ..Found::default()
    };
    for word in text.split(|c: char| c.is_whitespace() || c == ',') {
        found.word(word)?;
    }
    found.date_time()
}

/// What follows is no part of a date.
const LONGEST: usize = 200;

/// What was found of a date.
#[derive(Debug, Default)]
struct Found {
    /// Year, month, day.
    date: Option<(i64, i64, i64)>,
    month: Option<i64>,
    /// Day and year, in whatever order.
    numbers: Vec<(i64, usize)>,
    /// Seconds since midnight.
    time: Option<i64>,
    zone: Option<i16>,
    /// Whether there is AM or PM: then the month goes before the day.
    is_american: bool,
    /// Hours that AM or PM adds.
    half: Option<i64>,
}

impl Found {
    /// `None` where it cannot be a date.
    fn word(&mut self, word: &str) -> Option<()> {
        let word = word.trim_matches(|c: char| matches!(c, '.' | ';' | '"' | '\''));
        let Some(first) = word.chars().next() else {
            return Some(());
        };
        if self.needs_date()
            && let Some((date, rest)) = numeric(word, self.is_american)?
        {
            self.date = Some(date);
            return self.word(rest.trim_start_matches(['T', 't', '_', ' ']));
        }
        let digits = word
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(word.len());
        let (number, rest) = word.split_at(digits);
        if matches!(first, '+' | '-') {
            if self.time.is_some() && self.zone.is_none() {
                self.zone = offset(word);
                return Some(());
            }
            return self.word(word.get(1..)?);
        }
        if first.is_alphabetic() {
            // `Mar-5`, but not `GMT-5`.
            return match word.find('-') {
                Some(dash) if self.needs_date() && zone(&word.to_lowercase()).is_none() => {
                    self.name(word.get(..dash)?);
                    self.word(word.get(dash + 1..)?)
                }
                _ => {
                    self.name(word);
                    Some(())
                }
            };
        }
        let is_time = rest.starts_with(':') || rest.starts_with('.') && !self.needs_date();
        if is_time && self.time.is_none() {
            return self.clock(word);
        }
        // `101112`, behind `20210305T`.
        if let (Some(_), None, Some((hours, rest))) =
            (self.date, self.time, word.split_at_checked(2))
            && digits == 6
            && let Some((minutes, seconds)) = rest.split_at_checked(2)
        {
            return self.clock(&format!("{hours}:{minutes}:{seconds}"));
        }
        if !number.is_empty() {
            self.numbers.push((number.parse().ok()?, digits));
            // `21-Nov-1997`, `5th`
            if let Some(rest) = rest.strip_prefix(['-', '/']) {
                return self.word(rest);
            }
        }
        Some(())
    }

    fn needs_date(&self) -> bool {
        self.date.is_none() && (self.month.is_none() || self.numbers.len() < 2)
    }

    /// `hh:mm[:ss[.fraction]]`, and what stands behind it without a blank.
    fn clock(&mut self, word: &str) -> Option<()> {
        let end = word.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.');
        let (time, rest) = word.split_at(end.unwrap_or(word.len()));
        let mut parts = time.split([':', '.']);
        let mut next = || match parts.next() {
            None | Some("") => Some(0),
            Some(part) => part.parse::<i64>().ok(),
        };
        let (hours, minutes, seconds) = (next()?, next()?, next()?);
        let is_end = (hours, minutes, seconds) == (24, 0, 0);
        if !is_end && (hours > 23 || minutes > 59 || seconds > 60) {
            return None;
        }
        self.time = Some(hours * 3600 + minutes * 60 + seconds);
        self.word(rest)
    }

    fn name(&mut self, name: &str) {
        let name = name.trim_end_matches('.').to_lowercase();
        match name.as_str() {
            "am" | "a.m" if self.time.is_some() => self.half = Some(0),
            "pm" | "p.m" if self.time.is_some() => self.half = Some(12),
            "dst" => self.zone = self.zone.map(|zone| zone + 60),
            name => {
                if self.time.is_some() && self.zone.is_none() {
                    self.zone = zone(name);
                }
                // Of two the later one is it: the first is the name of a day.
                if self.zone.is_none() && self.numbers.len() < 2 {
                    self.month = month(name).or(self.month);
                }
            }
        }
    }

    fn date_time(self) -> Option<DateTime> {
        let (year, month, day) = match (self.date, self.month, &*self.numbers) {
            (Some(date), ..) => date,
            (None, Some(month), &[(year, 3..), (day, _), ..]) => (year, month, day),
            (None, Some(month), &[(day, _), year, ..]) => (whole_year(year), month, day),
            _ => return None,
        };
        let mut time = self.time.unwrap_or(0);
        if let Some(half) = self.half {
            let hours = time / 3600;
            if !(1..=12).contains(&hours) {
                // It says so twice: `15:00 PM`.
            } else {
                time += (hours % 12 + half - hours) * 3600;
            }
        }
        let zone = self.zone.unwrap_or(0);
        let seconds = days(year, month, day)? * 86_400 + time;
        Some(DateTime {
            seconds: seconds - i64::from(zone) * 60,
            zone,
        })
    }
}

/// RFC 5322 §4.3: years of two and three digits.
fn whole_year((year, digits): (i64, usize)) -> i64 {
    match year {
        0..50 if digits < 3 => 2000 + year,
        _ if digits <= 3 => 1900 + year,
        _ => year,
    }
}

/// `2021-03-05`, `2021/3/5`, `20210305T..`, `2021年3月5日`, `5.3.2021`, and `3/25/2021` where the order is clear; year, month,
/// day, and what follows. `None` where it is not clear.
#[allow(clippy::type_complexity, reason = "a date and a rest, once")]
fn numeric(word: &str, is_american: bool) -> Option<Option<((i64, i64, i64), &str)>> {
    let number = |text: &str| -> Option<(i64, usize, usize)> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let value = text.get(..digits)?.parse().ok()?;
        (digits <= 8).then_some((value, digits, digits))
    };
    let Some((first, digits, at)) = number(word) else {
        return Some(None);
    };
    let rest = word.get(at..)?;
    if digits == 8 && rest.starts_with(['T', 't']) {
        return Some(Some((
            (first / 10_000, first / 100 % 100, first % 100),
            rest,
        )));
    }
    let mut rest_of = rest.chars();
    let Some(separator) = rest_of
        .next()
        .filter(|c| matches!(c, '-' | '/' | '.' | '年'))
    else {
        return Some(None);
    };
    let Some((second, _, at)) = number(rest_of.as_str()) else {
        return Some(None);
    };
    let rest = rest_of.as_str().get(at..)?;
    let again = if separator == '年' { '月' } else { separator };
    let Some(behind) = rest.strip_prefix(again) else {
        return Some(None);
    };
    let Some((third, third_digits, at)) = number(behind) else {
        return Some(None);
    };
    let rest = behind.get(at..)?.trim_start_matches('日');
    // `10.11.12` is a time, `1.2.3.4` something else.
    let year = whole_year((third, third_digits));
    let date = match (separator, digits) {
        (_, 4) => (first, second, third),
        ('.', _) => (year, second, first),
        _ if first > 12 || first == second => (year, second, first),
        _ if is_american => (year, first, second),
        _ if second > 12 => (year, first, second),
        _ => return None,
    };
    Some(Some((date, rest)))
}

/// Months in the languages that programs have left in the field, by as many letters as make them differ.
fn month(name: &str) -> Option<i64> {
    const NAMES: [&[&str]; 12] = [
        &["jan", "jän", "ene", "gen", "янв", "sty", "led"],
        &["feb", "fév", "fev", "фев", "lut"],
        &["mar", "mär", "maa", "mrt", "mrz", "maerz", "мар"],
        &["apr", "avr", "abr", "апр", "kwi"],
        &["may", "mai", "mei", "maj", "mag", "май", "мая"],
        &["jun", "juin", "giu", "июн", "cze"],
        &["jul", "juil", "lug", "июл", "lip"],
        &["aug", "aoû", "aou", "ago", "авг", "sie"],
        &["sep", "set", "сен", "wrz"],
        &["oct", "okt", "ott", "out", "окт", "paź"],
        &["nov", "ноя", "lis"],
        &["dec", "dez", "déc", "dic", "дек", "gru"],
    ];
    let is = |names: &&[&str]| names.iter().any(|begin| name.starts_with(begin));
    let at = NAMES.iter().position(is)?;
    i64::try_from(at).ok().map(|at| at + 1)
}

/// The zone of a name, in lower case: minutes east of Greenwich.
fn zone(name: &str) -> Option<i16> {
    let hours = match name {
        "ut" | "utc" | "gmt" | "wet" | "z" => 0,
        "bst" | "west" | "cet" | "met" | "mez" | "wat" => 1,
        "cest" | "mest" | "mesz" | "eet" | "sast" | "cat" => 2,
        "eest" | "msk" | "eat" | "trt" | "idt" => 3,
        "msd" | "gst" => 4,
        "pkt" => 5,
        "ist" => return Some(330),
        "ict" | "wib" => 7,
        "hkt" | "sgt" | "awst" | "myt" | "pht" => 8,
        "jst" | "kst" => 9,
        "aest" => 10,
        "acst" => return Some(570),
        "aedt" => 11,
        "nzst" => 12,
        "nzdt" => 13,
        "brt" | "art" | "adt" => -3,
        "nst" => return Some(-210),
        "ndt" => return Some(-150),
        "edt" | "ast" => -4,
        "est" | "cdt" => -5,
        "cst" | "mdt" => -6,
        "mst" | "pdt" => -7,
        "pst" | "akdt" => -8,
        "akst" => -9,
        "hst" => -10,
        // `GMT+0200`, `UTC+2`
        _ => {
            let behind = ["gmt", "utc", "ut"]
                .iter()
                .find_map(|zone| name.strip_prefix(zone));
            return behind
                .filter(|behind| behind.starts_with(['+', '-']))
                .and_then(offset);
        }
    };
    Some(hours * 60)
}

/// `+0100`, `+01:00`, `+1`, `-03`: minutes.
fn offset(word: &str) -> Option<i16> {
    let sign = if word.starts_with('-') { -1 } else { 1 };
    let digits = word.get(1..)?;
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':');
    let digits = digits.get(..end.unwrap_or(digits.len()))?;
    let (hours, minutes) = match digits.split_once(':') {
        Some((hours, minutes)) => (hours, minutes.get(..2)?),
        None if digits.len() <= 2 => (digits, "0"),
        None => digits.split_at_checked(digits.len().min(4) - 2)?,
    };
    let minutes = hours.parse::<i16>().ok()?.checked_mul(60)? + minutes.parse::<i16>().ok()?;
    (0..=1440).contains(&minutes).then_some(sign * minutes)
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
    use alloc::string::ToString as _;
    use proptest::prelude::*;

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
    fn dates_as_the_world_writes_them() {
        let moment = Some((1_614_935_472, 60));
        for text in [
            "Fri, 05 Mar 2021 10:11:12 +0100",
            "Fri, 05 Mar 2021 10:11:12 +01:00",
            "Fri, 05 Mar 2021 10:11:12 +01",
            "Fri, 05 Mar 2021 10:11:12 +1",
            "Fri, 05 Mar 2021 10:11:12 GMT+0100",
            "Fri, 05 Mar 2021 10:11:12 UTC+1",
            "Fri, 05 Mar 2021 10:11:12 CET",
            "Fri, 05 Mar 2021 10:11:12 MEZ",
            "Fri, 5 Mar 21 10:11:12 +0100",
            "Fri, 5 Mar 121 10:11:12 +0100",
            "Fri Mar 5 10:11:12 CET 2021",
            "Fri Mar  5 10:11:12 2021 +0100",
            "Fri, Mar 05, 2021 10:11:12 +0100",
            "March 5th, 2021 at 10:11:12 AM GMT+1",
            "2021-03-05T10:11:12+01:00",
            "2021-03-05 10:11:12 +0100",
            "2021/03/05 10:11:12 +0100",
            "5.3.2021 10:11:12 +0100",
            "2021年3月5日 10:11:12 +0100",
            "Fr, 05 Mär 2021 10:11:12 +0100",
            "ven., 05 mars 2021 10:11:12 +0100",
            "vie, 05 mar 2021 10:11:12 +0100",
            "05-Mar-2021 10:11:12+0100",
            "05-Mar-21 10:11:12.25 +0100",
            "Friday, 05-Mar-21 10:11:12 CET",
            "Fri, 05 Mar 2021 10:11:12 +0100 (CET)",
            "Fri, 05 Mar 2021 10.11.12 +0100",
            "Fri, 05 Mar 2021 10:11:12 \"+0100\"",
            "=?utf-8?q?Fri,_05_Mar_2021_10:11:12_+0100?=",
        ] {
            assert_eq!(read(text), moment, "{text}");
        }
        for (text, expected) in [
            ("Tue Jul 24 18:55:07 2007", Some((1_185_303_307, 0))),
            (
                "Tue Jul 24 18:55:07 MET DST 2007",
                Some((1_185_296_107, 120)),
            ),
            ("mar. 24 juil. 2007 18:55:07 GMT", Some((1_185_303_307, 0))),
            ("24 juin 2007 00:00", Some((1_182_643_200, 0))),
            ("7/24/2007 6:55:07 PM", Some((1_185_303_307, 0))),
            ("24/7/2007 18:55:07", Some((1_185_303_307, 0))),
            ("07/04/2007 6:55:07PM", Some((1_183_575_307, 0))),
            ("Tue, 24 Jul 2007 24:00:00 +0000", Some((1_185_321_600, 0))),
            ("Tue, 24 Jul 2007 12:30 AM", Some((1_185_237_000, 0))),
            ("Tue, 24 Jul 2007 18:55 JST", Some((1_185_270_900, 540))),
            ("Tue, 24 Jul 2007 18:55 +0530", Some((1_185_283_500, 330))),
            ("Tue, 24 Jul 2007 18:55 -0330", Some((1_185_315_900, -210))),
            ("Tue, 24 Jul 2007 18:55 Q", Some((1_185_303_300, 0))),
            ("Tue, 24 Jul 2007 18:55 +9999", Some((1_185_303_300, 0))),
            ("Tue, 24 Jul 2007", Some((1_185_235_200, 0))),
            ("2007-07-24T18:55:07.999Z", Some((1_185_303_307, 0))),
            ("20070724T185507Z", Some((1_185_303_307, 0))),
            ("4/7/2007 18:55:07", None),
            ("Tue, 24 Jul 2007 24:01", None),
            ("Tue, 24 Jul 2007 18:60", None),
            ("Tue, 32 Jul 2007 18:55", None),
            ("Tue, 24 Jul 99999 18:55", None),
            ("2021-13-05T10:11:12Z", None),
            ("Tue, 24 Jul", None),
            ("18:55:07", None),
            ("99999999999999999999 Jul 2007", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn the_calendar_is_what_the_days_count() {
        for since in (-719_528..2_932_896)
            .step_by(17)
            .chain([-719_528, -719_469, 2_932_896])
        {
            let (year, month, day) = calendar(since);
            assert_eq!(days(year, month, day), Some(since));
        }
    }

    #[test]
    fn no_moment_is_beyond_the_form() {
        let written = |seconds, zone| DateTime { seconds, zone }.to_string();
        assert_eq!(written(i64::MIN, 0), "Sat, 1 Jan 0000 00:00:00 +0000");
        assert_eq!(written(i64::MAX, 540), "Fri, 31 Dec 9999 23:59:59 +0900");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(
            seconds in -2_208_988_800_i64..253_402_200_000,
            zone in -720_i16..=840,
        ) {
            let date = DateTime { seconds, zone };
            let text = date.to_string();
            prop_assert_eq!(parse_date(text.as_bytes()), Some(date), "{}", text);
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
