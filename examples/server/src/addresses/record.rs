//! How addresses are kept: properties of the store's own account, one for each alias, domain, forward and list of
//! identities.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What the keys of these properties begin with.
const ALIAS: &str = "address/alias/";
const DOMAIN: &str = "address/domain/";
const FORWARD: &str = "address/forward/";
const IDENTITIES: &str = "address/identities/";

/// An alias, or a mailing list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Alias {
    /// The addresses that it stands for.
    pub(super) to: Vec<String>,
    /// Who is notified in place of the sender: then it is a list.
    #[serde(default)]
    pub(super) owner: Option<String>,
}

/// A domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Domain {
    /// The domain that it is another name of.
    #[serde(default)]
    pub(super) means: Option<String>,
}

/// Where an account's mail goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forward {
    /// The number of the account: a later one of the same name is another.
    pub(super) account: u64,
    pub(super) to: Vec<String>,
    /// Whether the account keeps a copy.
    pub(super) copy: bool,
}

/// What an account may write as.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identities {
    /// As of [`Forward`].
    pub(super) account: u64,
    /// AddressBook, and domains with an `@` before them.
    pub(super) addresses: Vec<String>,
}

/// One of them, with the name that it is kept under: an address, a domain or an account, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    Alias(String, Option<Alias>),
    Domain(String, Option<Domain>),
    Forward(String, Option<Forward>),
    Identities(String, Option<Identities>),
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Option<Option<T>> {
    serde_json::from_slice(value).ok().map(Some)
}

fn written<T: Serialize>(value: Option<&T>) -> Option<Bytes> {
    value.and_then(|value| serde_json::to_vec(value).ok().map(Bytes::from))
}

impl Record {
    /// Whether a property is one of these.
    pub(super) fn is_one(key: &str) -> bool {
        [ALIAS, DOMAIN, FORWARD, IDENTITIES]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    }

    /// Reads a property; `None` for one that cannot be read.
    pub(super) fn read(key: &str, value: &[u8]) -> Option<Self> {
        let name = |prefix: &str| key.strip_prefix(prefix).map(ToOwned::to_owned);
        if let Some(name) = name(ALIAS) {
            return Some(Self::Alias(name, read(value)?));
        }
        if let Some(name) = name(DOMAIN) {
            return Some(Self::Domain(name, read(value)?));
        }
        if let Some(name) = name(FORWARD) {
            return Some(Self::Forward(name, read(value)?));
        }
        Some(Self::Identities(name(IDENTITIES)?, read(value)?))
    }

    /// The key and the value of the property; no value removes it.
    pub(super) fn property(&self) -> (String, Option<Bytes>) {
        match self {
            Self::Alias(name, value) => (format!("{ALIAS}{name}"), written(value.as_ref())),
            Self::Domain(name, value) => (format!("{DOMAIN}{name}"), written(value.as_ref())),
            Self::Forward(name, value) => (format!("{FORWARD}{name}"), written(value.as_ref())),
            Self::Identities(name, value) => {
                (format!("{IDENTITIES}{name}"), written(value.as_ref()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read() {
        let to = vec!["alice@a.test".to_owned()];
        for record in [
            Record::Alias(
                "sales@a.test".into(),
                Some(Alias {
                    to: to.clone(),
                    owner: Some("bob@a.test".into()),
                }),
            ),
            Record::Domain("b.test".into(), Some(Domain::default())),
            Record::Domain(
                "c.test".into(),
                Some(Domain {
                    means: Some("a.test".into()),
                }),
            ),
            Record::Forward(
                "alice@a.test".into(),
                Some(Forward {
                    account: 7,
                    to: to.clone(),
                    copy: true,
                }),
            ),
            Record::Identities(
                "alice@a.test".into(),
                Some(Identities {
                    account: 7,
                    addresses: to,
                }),
            ),
        ] {
            let (key, value) = record.property();
            assert!(Record::is_one(&key));
            assert_eq!(Record::read(&key, &value.unwrap()), Some(record));
        }
        assert_eq!(Record::read("address/alias/x@a.test", b"{"), None);
        assert!(!Record::is_one("nobody"));
        let (_, value) = Record::Alias("x@a.test".into(), None).property();
        assert_eq!(value, None);
    }
}
