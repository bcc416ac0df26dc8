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

pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod command;
mod error;
mod leniency;
mod limits;
mod plumbing;
mod response;
pub mod server;
#[cfg(test)]
mod tests;
mod value;

pub use command::append::Append;
pub use command::convert::{Conversion, Convert, ConvertAttribute, ConvertValue, Converted};
pub use command::fetch::{Fetch, FetchAttribute, FetchItem};
pub use command::language::Comparator;
pub use command::list::{List, ListResponse, Pattern, ReturnOptions, SelectionOptions};
pub use command::metadata::{GetMetadata, Metadata, MetadataCode, MetadataDepth};
pub use command::notify::{EventGroup, Notify, NotifyEvent};
pub use command::search::{ESearch, Return, Search, SearchKey};
pub use command::sort::{Sort, SortCriterion};
pub use command::store::Store;
pub use command::thread::{Thread, ThreadAlgorithm, Threads};
pub use command::uid_batches::{Batches, UidBatches};
pub use command::url_auth::ResetKey;
pub use command::{Authenticate, Command, Needs, QResync, Tagged};
pub use error::SyntaxError;
pub use leniency::{Leniencies, Leniency};
pub use limits::Limits;
pub use plumbing::framer;
pub use plumbing::literal::{Fragments, Literals};
pub use response::response_code::{Progress, ResponseCode};
pub use response::{Completion, Received, Response, Status};
pub use value::acl::{Acl, AclChange, ListRights, Rights, SetAcl};
pub use value::body_structure::{
    Body, BodyFields, BodyPart, BodyParts, BodyStructure, Disposition, Message, Multipart, NewBody,
    NewFields, NewParameters, NewPart, Parameters, Texts,
};
pub use value::date::{Date, DateTime};
pub use value::envelope::{Address, Addresses, Envelope, EnvelopeFields};
pub use value::flag::Flag;
pub use value::flag_list::FlagList;
pub use value::gmail::LabelStore;
pub use value::list_attribute::{ListAttribute, ListAttributes};
pub use value::mailbox::MailboxName;
pub use value::mailbox_filter::MailboxFilter;
pub use value::namespace::{Namespace, Namespaces};
pub use value::numbers::{Numbers, SequenceNumber, Uid};
pub use value::partial::PartialRange;
pub use value::section::{Section, SectionText};
pub use value::sequence_set::SequenceSet;
pub use value::status::{StatusAttribute, StatusItem};
pub use value::store_action::StoreAction;
pub use value::url::MessageUrl;
