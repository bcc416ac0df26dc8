//! Why an address cannot be changed.

use hikyaku_mailstore::Error;

/// Why an address cannot be changed, in one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not an address.
    #[error("\"{0}\" is not an address: write, for example, \"alice@example.org\"")]
    NotAnAddress(String),
    /// Neither an address nor a domain with an `@` before it.
    #[error("\"{0}\" is neither an address nor \"@\" and a domain")]
    NeitherNor(String),
    /// Not a domain.
    #[error("\"{0}\" is not a domain: write, for example, \"example.org\"")]
    NotADomain(String),
    /// A domain of another server.
    #[error("{0} is not of this server: its domains are {1}")]
    NotHere(String, String),
    /// The name is another one's.
    #[error("{0} means {1}: name that one")]
    Means(String, String),
    /// There is an account of that name.
    #[error("{0} is an account: `mailserver forward set` passes its mail on")]
    IsAccount(String),
    /// There is no such account.
    #[error("there is no account {0}")]
    NoAccount(String),
    /// There is no such alias, domain, forward or identity.
    #[error("there is no {0} {1}")]
    Unknown(&'static str, String),
    /// It exists already.
    #[error("the {0} {1} already exists")]
    Exists(&'static str, String),
    /// It comes from the configuration.
    #[error("{0} is in the configuration: change it there, and restart the server")]
    Configured(String),
    /// Something else needs it.
    #[error("{0} cannot be removed: {1} is of it")]
    InUse(String, String),
    /// It would lead to itself.
    #[error("{0} cannot lead to itself")]
    Itself(String),
    /// Too many of them.
    #[error("more than {1} {0} are too many")]
    TooMany(&'static str, usize),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}
