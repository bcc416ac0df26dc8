//! What can be wrong with a configuration.

use hikyaku_smtp_proto::Mailbox;

/// An error in the configuration, in one line: where it is and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(super) String);

/// What is wrong with values that are well-formed: the key at whose line it stands, and what to do.
pub(super) type Wrong = (&'static str, String);

pub(super) fn is_address(text: &str) -> bool {
    Mailbox::parse(text.as_bytes()).is_ok()
}

/// Whether it can be the domain of an address, which the name of a host can, too.
pub(super) fn is_host(name: &str) -> bool {
    is_address(&format!("a@{name}"))
}
