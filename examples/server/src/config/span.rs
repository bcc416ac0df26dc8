//! Lengths of time.

use serde::Deserialize;
use std::time::Duration;

/// Longer ones leave what the clock can say.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A time: a number with a unit, as in "30s", "5m", "1h", "5d"; "500ms" too. A hundred years at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

impl std::str::FromStr for Span {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let milliseconds = match text.get(digits.len()..).unwrap_or("") {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            // Nothing has no unit.
            "" if text == "0" => 1,
            _ => {
                return Err(format!(
                    "\"{text}\" is not a time: write, for example, \"30m\""
                ));
            }
        };
        let number = digits.trim().parse::<u64>().ok();
        let span = number.and_then(|number| number.checked_mul(milliseconds));
        let span = span.map(|span| Self(Duration::from_millis(span)));
        let span = span.ok_or(format!(
            "\"{text}\" is not a time: write, for example, \"30m\""
        ))?;
        match span.0 > LONGEST {
            true => Err(format!("\"{text}\" is more than a hundred years")),
            false => Ok(span),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
