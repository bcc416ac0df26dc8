//! An account: its servers, its password, and what the user chose.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Fingerprint, Limits, Octets, Password, Server, Tcp};

/// An account on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Account {
    /// The address; it also names the account.
    pub address: String,
    /// The name shown beside the address in messages that are sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The user name; the address if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// POP or IMAP.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The server that mail is fetched from.
    pub incoming: Server,
    /// The server that mail is submitted to.
    pub outgoing: Server,
    /// Where the password is.
    pub password: Password,
    /// A PEM file of certificates to trust besides the system's: of an authority, or the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// SHA-256 fingerprints of certificates that are trusted whoever issued them, whatever names and dates they have.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::trust::one_or_many"
    )]
    pub fingerprint: Vec<Fingerprint>,
    /// The largest message to fetch, in octets; a larger one stays on the server.
    #[serde(default = "largest", skip_serializing_if = "is_usual")]
    pub largest_message: Octets,
    /// POP: when messages are deleted from the server.
    #[serde(default)]
    pub delete: Deletion,
    /// IMAP: which whole messages a sync fetches.
    #[serde(default)]
    pub bodies: Bodies,
    /// The time between the polls of `watch`.
    #[serde(default)]
    pub interval: Interval,
}

fn largest() -> Octets {
    Limits::default().message
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_usual(octets: &Octets) -> bool {
    *octets == largest()
}

/// A time between polls, written as `90s`, `10m` or `1h`; at least a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Interval(pub Duration);

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_secs(600))
    }
}

impl std::str::FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text:?} is not a time such as 90s, 10m or 1h");
        let unit = match text.bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            _ => return Err(wrong()),
        };
        let count: u64 = text
            .get(..text.len() - 1)
            .and_then(|n| n.parse().ok())
            .ok_or_else(wrong)?;
        let seconds = count
            .checked_mul(unit)
            .filter(|&seconds| seconds > 0)
            .ok_or_else(wrong)?;
        Ok(Self(Duration::from_secs(seconds)))
    }
}

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl From<Interval> for String {
    fn from(interval: Interval) -> Self {
        match interval.0.as_secs() {
            seconds if seconds % 60 == 0 => format!("{}m", seconds / 60),
            seconds => format!("{seconds}s"),
        }
    }
}

/// The type of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Kind {
    /// Mail is downloaded, and by default deleted from the server: it is here and nowhere else.
    Pop,
    /// Mail stays on the server for all devices; this one keeps a copy of what it needs.
    Imap,
}

impl std::str::FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "pop" => Ok(Self::Pop),
            "imap" => Ok(Self::Imap),
            _ => Err("one of pop, imap".into()),
        }
    }
}

impl Kind {
    /// Returns what the type means, in one line for users.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Pop => {
                "POP: mail is downloaded to this device and by default deleted from the server, so no other device gets it."
            }
            Self::Imap => {
                "IMAP: mail stays on the server for all your devices; this one keeps a copy of what you read."
            }
        }
    }
}

/// When a POP account deletes from the server what was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Deletion {
    /// As soon as it is on this disk.
    #[default]
    AtOnce,
    /// This many days after it was downloaded.
    AfterDays(u32),
    /// When it is deleted here.
    WhenDeletedHere,
    /// Never.
    Never,
}

impl std::fmt::Display for Deletion {
    /// Writes it as [`FromStr`](std::str::FromStr) reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtOnce => f.write_str("at-once"),
            Self::AfterDays(days) => write!(f, "after-{days}-days"),
            Self::WhenDeletedHere => f.write_str("when-deleted-here"),
            Self::Never => f.write_str("never"),
        }
    }
}

impl std::str::FromStr for Deletion {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let days = text
            .strip_prefix("after-")
            .and_then(|rest| rest.strip_suffix("-days"));
        match (text, days.and_then(|days| days.parse().ok())) {
            ("at-once", _) => Ok(Self::AtOnce),
            ("when-deleted-here", _) => Ok(Self::WhenDeletedHere),
            ("never", _) => Ok(Self::Never),
            (_, Some(days)) => Ok(Self::AfterDays(days)),
            _ => Err("one of at-once, after-N-days, when-deleted-here, never".into()),
        }
    }
}

/// Which whole messages an IMAP sync fetches; the others are fetched when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Bodies {
    /// None.
    Headers,
    /// Messages received within this many days.
    RecentDays(u32),
    /// All.
    #[default]
    All,
}

impl std::fmt::Display for Bodies {
    /// Writes it as [`FromStr`](std::str::FromStr) reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Headers => f.write_str("headers"),
            Self::RecentDays(days) => write!(f, "recent-{days}-days"),
            Self::All => f.write_str("all"),
        }
    }
}

impl std::str::FromStr for Bodies {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let days = text
            .strip_prefix("recent-")
            .and_then(|rest| rest.strip_suffix("-days"));
        match (text, days.and_then(|days| days.parse().ok())) {
            ("headers", _) => Ok(Self::Headers),
            ("all", _) => Ok(Self::All),
            (_, Some(days)) => Ok(Self::RecentDays(days)),
            _ => Err("one of headers, recent-N-days, all".into()),
        }
    }
}

impl Account {
    /// Creates an account with the default settings.
    #[must_use]
    pub fn new(
        address: impl Into<String>,
        kind: Kind,
        incoming: Server,
        outgoing: Server,
        password: Password,
    ) -> Self {
        Self {
            address: address.into(),
            name: None,
            login: None,
            kind,
            incoming,
            outgoing,
            password,
            ca: None,
            fingerprint: Vec::new(),
            largest_message: largest(),
            delete: Deletion::default(),
            bodies: Bodies::default(),
            interval: Interval::default(),
        }
    }

    /// Returns the name to log in with.
    #[must_use]
    pub fn login(&self) -> &str {
        self.login.as_deref().unwrap_or(&self.address)
    }

    /// Returns a [`Tcp`] that connects to the servers of the account and trusts what the account trusts.
    #[must_use]
    pub fn dial(&self) -> Tcp {
        Tcp {
            ca: self.ca.clone(),
            fingerprints: self.fingerprint.clone(),
            limits: Limits {
                message: self.largest_message,
                ..Limits::default()
            },
        }
    }
}

/// Creates a folder that only its owner can read, whatever the umask, and its parents if needed. An existing
/// folder stays as it is.
///
/// # Errors
/// Errors of the system.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    // Another one of these programs may have been quicker.
    builder.recursive(true).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        assert_eq!("after-7-days".parse(), Ok(Deletion::AfterDays(7)));
        assert_eq!("never".parse(), Ok(Deletion::Never));
        assert!("after--days".parse::<Deletion>().is_err());
        assert_eq!("recent-30-days".parse(), Ok(Bodies::RecentDays(30)));
        for text in ["at-once", "after-7-days", "when-deleted-here", "never"] {
            let rule: Deletion = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
        }
        for text in ["headers", "recent-30-days", "all"] {
            let rule: Bodies = text.parse().unwrap();
            assert_eq!(rule.to_string(), text);
        }
        assert_eq!("pop".parse(), Ok(Kind::Pop));
        assert!("pop3".parse::<Kind>().is_err());
    }
}
