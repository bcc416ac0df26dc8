//! Keys that sign: read from their files, and made by `mailserver dkim`.

use hikyaku_trust::signing::{Algorithm, Key, KeyError, NotSigned, Signer};
use std::io;

use super::settings::DkimKey;
use crate::config::Config;
use crate::private;

/// Why a key cannot be used or made: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DkimError {
    /// The file.
    #[error("[[dkim]] key: {0}: {1}: make one with mailserver dkim")]
    File(String, io::Error),
    /// What is in it.
    #[error("[[dkim]] key: {0}: {1}")]
    Key(String, KeyError),
    /// The names.
    #[error("[[dkim]]: {0}")]
    Name(#[from] NotSigned),
    /// A file that is there, or cannot be.
    #[error("{0}: {1}: choose another selector, or a data folder that this user may write to")]
    Write(String, io::Error),
    /// Making one.
    #[error("the key could not be made: {0}")]
    Make(KeyError),
}

/// All keys of the configuration.
pub(super) fn signer(config: &Config) -> Result<Signer, DkimError> {
    let mut signer = Signer::default();
    for one in &config.dkim {
        signer.add(&one.domain, &one.selector, read(config, one)?)?;
    }
    Ok(signer)
}

/// Reads one key of the configuration.
pub(crate) fn read(config: &Config, one: &DkimKey) -> Result<Key, DkimError> {
    let path = config.data.join(&one.key);
    let name = || path.display().to_string();
    let text = std::fs::read_to_string(&path).map_err(|e| DkimError::File(name(), e))?;
    Key::from_pem(&text).map_err(|e| DkimError::Key(name(), e))
}

/// Returns the record of a key, in the form of zone files.
pub(crate) fn record(domain: &str, selector: &str, key: &Key) -> String {
    let strings = key.record_strings();
    let strings: Vec<_> = strings.iter().map(|one| format!("\"{one}\"")).collect();
    let strings = strings.join(" ");
    format!("{selector}._domainkey.{domain}. IN TXT ( {strings} )")
}

/// Where keys are, in the data folder.
const FOLDER: &str = "dkim";

/// A key that was made.
pub(crate) struct MadeKey {
    /// Its record, in the form of zone files.
    pub(crate) record: String,
    /// Its lines of the configuration.
    pub(crate) configuration: String,
}

/// Makes a key in a new file that nobody else may read.
pub(crate) fn made(
    config: &Config,
    domain: &str,
    selector: &str,
    rsa: bool,
) -> Result<MadeKey, DkimError> {
    let algorithm = if rsa {
        Algorithm::Rsa
    } else {
        Algorithm::Ed25519
    };
    let key = Key::generate(algorithm).map_err(DkimError::Make)?;
    let (record, text) = (record(domain, selector, &key), key.to_pem());
    // The names are looked at before they are those of a file.
    Signer::default().add(domain, selector, key)?;
    let name = format!("{selector}.{domain}.pem");
    let folder = config.data.join(FOLDER);
    let failed = |error| DkimError::Write(folder.join(&name).display().to_string(), error);
    if folder.join(&name).exists() {
        return Err(failed(io::ErrorKind::AlreadyExists.into()));
    }
    private::write(&folder, &name, text.as_bytes()).map_err(failed)?;
    Ok(MadeKey {
        record,
        configuration: format!(
            "[[dkim]]\ndomain = \"{domain}\"\nselector = \"{selector}\"\nkey = \"{FOLDER}/{name}\"\n"
        ),
    })
}

/// Makes a key in a new file that nobody else may read; returns what goes into the zone and into the configuration.
///
/// # Errors
/// One line, with the remedy.
pub fn new_dkim_key(
    config: &Config,
    domain: &str,
    selector: &str,
    rsa: bool,
) -> Result<String, DkimError> {
    let MadeKey {
        record,
        configuration,
    } = made(config, domain, selector, rsa)?;
    Ok(format!(
        "; in the zone of {domain}\n{record}\n\n# in the configuration, once the record is published\n{configuration}"
    ))
}
