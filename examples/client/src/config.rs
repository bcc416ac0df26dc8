//! The accounts file, `accounts.toml`.

use hikyaku_client::{Account, Error, Result, private_folder};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// All accounts of a person, in one TOML file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// In the order they were added: the first one sends when none is named.
    #[serde(default, rename = "account")]
    pub accounts: Vec<Account>,
}

impl Config {
    /// Returns the folder: `$HIKYAKU_HOME`, else `hikyaku` in the user's data folder.
    ///
    /// # Errors
    /// When no variable names a home.
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

    /// Reads the accounts; returns none if there is no file yet.
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

    /// Writes the accounts; the old file stays whole until the new one is on the disk.
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

    /// Returns the account with that address, or the first one if `address` is `None`.
    ///
    /// # Errors
    /// When there is no such account.
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

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_client::{Bodies, Deletion, Fingerprint, Kind, Octets, Password, Security, Server};

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
}
