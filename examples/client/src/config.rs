//! Accounts, and where they are kept.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Error, Fingerprint, Limits, Octets, Password, Result, Security, Tcp};

/// All accounts of a person, in one TOML file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In the order they were added: the first one sends when none is named.
    #[serde(default, rename = "account")]
    pub accounts: Vec<Account>,
}

/// An account on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The address, which names the account.
    pub address: String,
    /// The name that stands beside the address in what is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the login is called; the address, when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// POP or IMAP.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where mail comes from.
    pub incoming: Server,
    /// Where mail goes.
    pub outgoing: Server,
    /// Where the password is.
    pub password: Password,
    /// Certificates to trust besides the system's, a PEM file: an authority's, or the server's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// SHA-256 fingerprints of certificates that are trusted whoever issued them, whatever names and dates they have.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "crate::trust::one_or_many"
    )]
    pub fingerprint: Vec<Fingerprint>,
    /// Octets of a message that is brought; a larger one stays on the server.
    #[serde(default = "largest", skip_serializing_if = "is_usual")]
    pub largest_message: Octets,
    /// POP: when messages are deleted from the server.
    #[serde(default)]
    pub delete: Deletion,
    /// IMAP: which bodies a sync brings.
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
pub struct Interval(pub Duration);

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_secs(600))
    }
}

impl std::str::FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let wrong = || format!("{text:?} is no time such as 90s, 10m or 1h");
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Mail is downloaded, and by default deleted from the server: it is here and nowhere else.
    Pop,
    /// Mail stays on the server for all devices; this one keeps a copy of what it needs.
    Imap,
}

impl Kind {
    /// What it means, in a line.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Pop => {
                "POP: mail is downloaded to this device and then deleted from the server, so no other device gets it."
            }
            Self::Imap => {
                "IMAP: mail stays on the server for all your devices; this one keeps a copy of what you read."
            }
        }
    }
}

/// A server, and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// TLS from the start, STARTTLS, or none.
    #[serde(default)]
    pub security: Security,
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.security)
    }
}

/// When a POP account deletes from the server what was downloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deletion {
    /// As soon as it is on this disk.
    #[default]
    AtOnce,
    /// So many days after it was downloaded.
    AfterDays(u32),
    /// When it is deleted here.
    WhenDeletedHere,
    /// Never.
    Never,
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

/// Which bodies an IMAP sync brings; the others come when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bodies {
    /// None.
    Headers,
    /// Those of messages that came within so many days.
    RecentDays(u32),
    /// All.
    #[default]
    All,
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
    /// One with everything as usual.
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

    /// The name that is logged in with.
    #[must_use]
    pub fn login(&self) -> &str {
        self.login.as_deref().unwrap_or(&self.address)
    }

    /// Connects to its servers, and trusts what the account trusts.
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

impl Config {
    /// The folder: `$HIKYAKU_HOME`, else `hikyaku` in the user's data folder.
    ///
    /// # Errors
    /// Where there is no home.
    pub fn folder() -> Result<PathBuf> {
        let of = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(folder) = of("HIKYAKU_HOME") {
            return Ok(folder.into());
        }
        if let Some(folder) = of("XDG_DATA_HOME") {
            return Ok(Path::new(&folder).join("hikyaku"));
        }
        let home = of("HOME").ok_or_else(|| Error::Usage("set HIKYAKU_HOME or HOME".into()))?;
        Ok(Path::new(&home).join(".local/share/hikyaku"))
    }

    /// Reads the accounts; none, where there is no file yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join("accounts.toml");
        match std::fs::read_to_string(&path) {
            // The line itself is not shown: a password may stand in it.
            Ok(text) => toml::from_str(&text).map_err(|error| {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(1, |before| before.matches('\n').count() + 1);
                Error::Usage(format!(
                    "{}, line {line}: {}",
                    path.display(),
                    error.message()
                ))
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::File(path.display().to_string(), error)),
        }
    }

    /// Writes them: the old file stays whole until the new one is on the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let path = folder.join("accounts.toml");
        let text = toml::to_string_pretty(self).map_err(|error| Error::Usage(error.to_string()))?;
        let write = || -> std::io::Result<()> {
            use std::io::Write as _;
            private_folder(folder)?;
            let new = folder.join("accounts.toml.new");
            let mut file = private(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)
        };
        write().map_err(|error| Error::File(path.display().to_string(), error))
    }

    /// The account of that address; the first one, when none is named.
    ///
    /// # Errors
    /// When there is none.
    pub fn account(&self, address: Option<&str>) -> Result<&Account> {
        let found = match address {
            Some(address) => self
                .accounts
                .iter()
                .find(|a| a.address.eq_ignore_ascii_case(address)),
            None => self.accounts.first(),
        };
        found.ok_or_else(|| match address {
            Some(address) => Error::NotFound(format!("account: {address}")),
            None => Error::NotFound(
                "account: add one with `mailclient account add ADDRESS --type imap`".into(),
            ),
        })
    }
}

/// A new file that only its owner can read.
fn private(path: &Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder that only its owner can look into, whatever the umask, and those it is in.
pub(crate) fn private_folder(path: &Path) -> std::io::Result<()> {
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

    #[cfg(unix)]
    #[test]
    fn a_new_folder_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("share/mailclient");
        Config::default().save(&folder).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("accounts.toml")), 0o600);
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let server = |port, security| Server {
            host: "mail.a.test".into(),
            port,
            security,
        };
        let account = Account {
            address: "me@a.test".into(),
            name: Some("飛脚 \"x\"".into()),
            login: None,
            kind: Kind::Pop,
            incoming: server(995, Security::Tls),
            outgoing: server(587, Security::StartTls),
            password: Password::Command("pass show mail".into()),
            ca: None,
            fingerprint: vec![Fingerprint([7; 32])],
            largest_message: Octets(1 << 30),
            delete: Deletion::AfterDays(7),
            bodies: Bodies::RecentDays(30),
            interval: "90s".parse().unwrap(),
        };
        let config = Config {
            accounts: vec![account.clone()],
        };
        config.save(folder.path()).unwrap();
        assert_eq!(Config::load(folder.path()).unwrap().accounts, [account]);
        assert!(
            Config::load(&folder.path().join("none"))
                .unwrap()
                .accounts
                .is_empty()
        );
    }

    #[test]
    fn rules_are_read() {
        assert_eq!("after-7-days".parse(), Ok(Deletion::AfterDays(7)));
        assert_eq!("never".parse(), Ok(Deletion::Never));
        assert!("after--days".parse::<Deletion>().is_err());
        assert_eq!("recent-30-days".parse(), Ok(Bodies::RecentDays(30)));
    }
}
