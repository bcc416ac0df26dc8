//! What a server may make us hold, and how long it may take.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Limits on what a server may send and how long it may take. Each error names the limit that was exceeded.
///
/// The machines of the protocols have further limits, on sections, listings and replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Limits {
    /// The largest message, in octets (256 MiB). A larger one stays on the server and is reported; the others
    /// are fetched. Stops messages without an end.
    pub message: Octets,
    /// Time for one command in which nothing comes (10 minutes; no protocol asks for more). Each
    /// [`rate`](Self::rate) octets that pass either way add a second, so that a long download may take as long as
    /// it gets on. Stops servers that send an octet now and then.
    pub patience: Duration,
    /// The number of octets that extends [`patience`](Self::patience) by a second (128).
    pub rate: u64,
    /// Lines of one IMAP command that are no rows of a list (100 000); rows of a mailbox may come four times.
    /// Stops answers without an end.
    pub lines: u64,
    /// The most mailboxes of an account (100 000).
    pub mailboxes: u64,
    /// The most messages of a POP3 maildrop (250 000).
    pub maildrop: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: Octets(256 * 1024 * 1024),
            patience: Duration::from_secs(600),
            rate: 128,
            lines: 100_000,
            mailboxes: 100_000,
            maildrop: 250_000,
        }
    }
}

/// A number of octets, written as `500K`, `256M` or `1G` (of 1024 each); at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Octets(pub u64);

const UNITS: [(char, u32); 3] = [('G', 30), ('M', 20), ('K', 10)];

impl std::fmt::Display for Octets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (unit, bits) in UNITS {
            let count = self.0 >> bits;
            if count > 0 && count << bits == self.0 {
                return write!(f, "{count}{unit}");
            }
        }
        write!(f, "{}", self.0)
    }
}

impl std::str::FromStr for Octets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a size such as 500K, 256M or 1G");
        let upper = text.trim_end_matches("iB").to_ascii_uppercase();
        let (digits, bits) = UNITS
            .iter()
            .find_map(|(unit, bits)| Some((upper.strip_suffix(*unit)?, *bits)))
            .unwrap_or((&upper, 0));
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        let octets = count.checked_mul(1 << bits).filter(|&octets| octets > 0);
        octets.map(Self).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Octets {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Octets> for String {
    fn from(octets: Octets) -> Self {
        octets.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, octets) in [
            ("256M", 256 << 20),
            ("1G", 1 << 30),
            ("500k", 500 << 10),
            ("64MiB", 64 << 20),
            ("1000", 1000),
        ] {
            assert_eq!(text.parse(), Ok(Octets(octets)), "{text}");
            assert_eq!(Octets(octets).to_string().parse(), Ok(Octets(octets)));
        }
        assert_eq!(Octets(1536 << 20).to_string(), "1536M");
        for wrong in ["", "0", "M", "-1", "1T", "99999999999G", "1.5M"] {
            assert!(wrong.parse::<Octets>().is_err(), "{wrong}");
        }
    }
}
