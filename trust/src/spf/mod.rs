//! SPF (RFC 7208): whether a domain lets an address send in its name.
//!
//! mail-auth has SPF too. This is our own since that takes several records for one, has no limit for questions
//! without an answer, accepts prefix lengths that are none, and asks for IPv6 addresses where `exists` wants IPv4.
//!
//! | rule | file |
//! |---|---|
//! | records (§4.5, §4.6, §12) | `record.rs` |
//! | macros (§7) | `template.rs` |
//! | `check_host` (§4), mechanisms (§5), modifiers (§6) | `evaluate.rs` |

mod broken;
mod evaluate;
mod record;
mod template;

pub(crate) use evaluate::{Asked, check};
