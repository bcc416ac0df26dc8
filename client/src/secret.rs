//! Stores passwords: in the system's keyring, behind a command, or in clear only when asked for.

use hikyaku_wire::Secret;
use serde::{Deserialize, Serialize};
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::{Error, Result};

/// Where the password of an account is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Password {
    /// In the system's keyring: the Secret Service (`secret-tool`), or macOS's keychain (`security`).
    Keyring,
    /// The first line that this command prints.
    Command(String),
    /// In clear in the configuration; only with `--password-in-clear`.
    InClear(String),
}

const SERVICE: &str = "hikyaku";

impl Password {
    /// Reads the password.
    ///
    /// # Errors
    /// [`Error::Password`], with what the keyring or the command said.
    pub async fn get(&self, address: &str) -> Result<Secret> {
        let mut command = match self {
            Self::InClear(password) => return Ok(Secret::from(password.as_bytes().to_vec())),
            Self::Command(line) => {
                let mut command = Command::new("sh");
                command.args(["-c", line]);
                command
            }
            Self::Keyring if cfg!(target_os = "macos") => {
                let mut command = Command::new("security");
                command.args(["find-generic-password", "-w", "-s", SERVICE, "-a", address]);
                command
            }
            Self::Keyring => {
                let mut command = Command::new("secret-tool");
                command.args(["lookup", "service", SERVICE, "account", address]);
                command
            }
        };
        let output = command.stdin(Stdio::null()).output().await;
        let output = output.map_err(|error| Error::Password(self.complaint(&error.to_string())))?;
        let line = output
            .stdout
            .split(|&octet| octet == b'\n')
            .next()
            .unwrap_or(&[]);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !output.status.success() || line.is_empty() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Password(self.complaint(said.trim())));
        }
        Ok(Secret::from(line.to_vec()))
    }

    fn complaint(&self, said: &str) -> String {
        let of = match self {
            Self::Command(line) => format!("`{line}` printed none"),
            _ => "the system's keyring has none".into(),
        };
        if said.is_empty() {
            of
        } else {
            format!("{of} ({said})")
        }
    }

    /// Stores a password in the keyring.
    ///
    /// # Errors
    /// [`Error::Password`] where there is no keyring.
    pub async fn keep(address: &str, password: &Secret) -> Result<()> {
        let no_keyring = |why: &str| {
            Error::Password(format!(
                "the system's keyring cannot be used ({why}); give --password-command, for example 'pass show mail'"
            ))
        };
        let mut command = if cfg!(target_os = "macos") {
            let mut command = Command::new("security");
            // Without a value behind -w it asks for one on standard input.
            command.args([
                "add-generic-password",
                "-U",
                "-s",
                SERVICE,
                "-a",
                address,
                "-w",
            ]);
            command
        } else {
            let mut command = Command::new("secret-tool");
            let label = format!("Mail of {address}");
            command.args([
                "store", "--label", &label, "service", SERVICE, "account", address,
            ]);
            command
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| no_keyring(&error.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            let written = stdin.write_all(password.expose()).await;
            written.map_err(|error| no_keyring(&error.to_string()))?;
        }
        let output = child.wait_with_output().await;
        let output = output.map_err(|error| no_keyring(&error.to_string()))?;
        if !output.status.success() {
            return Err(no_keyring(String::from_utf8_lossy(&output.stderr).trim()));
        }
        Ok(())
    }

    /// Removes a password from the keyring; does nothing if there is none.
    pub async fn forget(address: &str) {
        let mut command = if cfg!(target_os = "macos") {
            let mut command = Command::new("security");
            command.args(["delete-generic-password", "-s", SERVICE, "-a", address]);
            command
        } else {
            let mut command = Command::new("secret-tool");
            command.args(["clear", "service", SERVICE, "account", address]);
            command
        };
        let quiet = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let _ = quiet.status().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_gives_its_first_line() {
        let of = |line: &str| Password::Command(line.into());
        let secret = of("printf 'sesame\\nnot this'").get("a").await.unwrap();
        assert_eq!(secret.expose(), b"sesame");
        let error = of("echo locked >&2; false")
            .get("a")
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("locked"), "{error}");
        assert!(of("true").get("a").await.is_err());
    }
}
