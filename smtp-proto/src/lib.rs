#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod capabilities;
pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod command;
#[cfg(test)]
mod conversation;
mod error;
pub mod framer;
#[cfg(test)]
mod hostile;
mod leniency;
mod limits;
mod mechanism;
mod newlines;
mod octets;
mod parameter;
mod path;
mod reply;
pub mod server;

pub use capabilities::{Capabilities, DeliverByLimits, FutureRelease, TransactionLimits};
pub use command::etrn::EtrnScope;
pub use command::line::Command;
pub use command::proxied::Attribute;
pub use error::SyntaxError;
pub use leniency::{Leniencies, Leniency};
pub use limits::Limits;
pub use newlines::BareNewlines;
pub use octets::Text;
pub use parameter::body_type::BodyType;
pub use parameter::date_time::date_time;
pub use parameter::deliver_by::{ByMode, DeliverBy};
pub use parameter::hold::Hold;
pub use parameter::list::Parameter;
pub use parameter::mail::{FurtherMailParameters, MailParameters};
pub use parameter::notify::Notify;
pub use parameter::original_recipient::OriginalRecipient;
pub use parameter::priority::Priority;
pub use parameter::rcpt::{FurtherRcptParameters, RcptParameters};
pub use parameter::ret::Ret;
pub use parameter::valid_since::{Otherwise, ValidSince};
pub use parameter::xtext::Xtext;
pub use path::forward::ForwardPath;
pub use path::mailbox::Mailbox;
pub use path::reverse::ReversePath;
pub use reply::{EnhancedCode, Reply};
