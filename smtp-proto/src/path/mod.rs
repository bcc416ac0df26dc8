//! Reverse-paths, forward-paths, mailboxes and domains (RFC 5321 §4.1.2, RFC 6531 §3.3).

pub(crate) mod domain;
pub(crate) mod forward;
pub(crate) mod mailbox;
pub(crate) mod reverse;
mod route;
