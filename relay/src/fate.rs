//! What became of a recipient.

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered(Taken),
    /// Try again: why.
    Deferred(String),
    /// Never: why.
    Failed(String),
}

/// Who has taken a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The host that it was handed on to; `None`: a mailbox here.
    pub(crate) host: Option<String>,
    /// The host has DSN: it notifies the sender of what comes.
    pub(crate) notifies: bool,
    /// An alias has passed it on to several addresses.
    pub(crate) is_expanded: bool,
    /// The host's words.
    pub(crate) reply: String,
}
