//! Milters: the server's side of the milter protocol, as libmilter's `mfdef.h` and `mfapi.h` have it (version 6).

mod command;
mod conversation;
mod examiner;
mod macros;
mod negotiation;
mod packets;
mod response;

pub use examiner::Milter;
