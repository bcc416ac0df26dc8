//! Amounts of octets.

use serde::Deserialize;

/// Octets: a number, or one with a unit, as in "50 MiB".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl std::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text
            .trim()
            .trim_end_matches(|c: char| c.is_alphabetic())
            .trim_end();
        let unit = text
            .trim()
            .get(digits.len()..)
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let shift = match unit.as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => {
                return Err(format!(
                    "\"{text}\" is not a size: write, for example, \"50 MiB\""
                ));
            }
        };
        let number = digits.parse::<u64>().ok();
        let octets = number.and_then(|number| number.checked_mul(1 << shift));
        octets.map(Self).ok_or(format!(
            "\"{text}\" is not a size: write, for example, \"50 MiB\""
        ))
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (shift, unit) in [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")] {
            if self.0 >= 1 << shift {
                let tenths = (u128::from(self.0) * 10) >> shift;
                return write!(f, "{}.{} {unit}", tenths / 10, tenths % 10);
            }
        }
        write!(f, "{} B", self.0)
    }
}

/// A number, or a text that says one.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match NumberOrText::deserialize(deserializer)? {
            NumberOrText::Number(octets) => Ok(Self(octets)),
            NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}
