//! What DNS answers, and how a caller's resolver is asked.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

/// A future that a resolver returns.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<Answer<T>, Unanswered>> + Send + 'a>>;

/// Asks DNS. Names are in ASCII, without a last dot. Aliases are followed.
///
/// Each question should end on its own: it is asked again by nobody, and dropped when the check's time is over.
pub trait Ask: Send + Sync {
    /// Looks up texts. The strings of each record are joined.
    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<u8>>;
    /// Looks up addresses of one family.
    fn addresses<'a>(&'a self, name: &'a str, family: Family) -> Asking<'a, IpAddr>;
    /// Looks up the hosts of a domain's MX records.
    fn exchanges<'a>(&'a self, name: &'a str) -> Asking<'a, String>;
    /// Looks up the names of an address.
    fn names(&self, address: IpAddr) -> Asking<'_, String>;
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    /// Returns the family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs)]
pub struct Answer<T> {
    /// The records, none where there are none.
    pub records: Vec<T>,
    /// Whether the name exists, with records of whatever kind.
    pub exists: bool,
}

impl<T> Answer<T> {
    /// Creates the answer that a name does not exist.
    pub fn nothing() -> Self {
        Self {
            records: Vec::new(),
            exists: false,
        }
    }
}

impl<T> From<Vec<T>> for Answer<T> {
    fn from(records: Vec<T>) -> Self {
        Self {
            records,
            exists: true,
        }
    }
}

/// DNS did not answer, or not so that the answer can be used. The same question may be answered later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: no answer from DNS")]
#[non_exhaustive]
pub struct Unanswered {
    /// What was asked for.
    pub name: String,
}

impl Unanswered {
    /// Creates the error of a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}
