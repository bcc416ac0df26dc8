//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2), one file for each extension's.

pub(crate) mod body_type;
pub(crate) mod date_time;
pub(crate) mod deliver_by;
pub(crate) mod hold;
pub(crate) mod list;
pub(crate) mod mail;
pub(crate) mod notify;
pub(crate) mod original_recipient;
pub(crate) mod priority;
pub(crate) mod rcpt;
pub(crate) mod ret;
pub(crate) mod valid_since;
pub(crate) mod xtext;
