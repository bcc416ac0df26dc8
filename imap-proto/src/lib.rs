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

mod acl;
mod append;
mod body_structure;
pub mod client;
#[cfg(feature = "codec")]
pub mod codec;
mod command;
#[cfg(test)]
mod conversation;
mod convert;
mod cursor;
mod date;
mod envelope;
mod error;
mod fetch;
mod flag;
mod flag_list;
mod frame;
pub mod framer;
mod gmail;
#[cfg(test)]
mod grammar_traps;
#[cfg(test)]
mod hostile;
mod language;
mod leniency;
mod limits;
mod list;
mod list_attribute;
mod literal;
mod mailbox;
mod mailbox_filter;
mod metadata;
mod namespace;
mod notify;
mod object_id;
mod partial;
mod response;
mod response_code;
#[cfg(test)]
mod rfc_examples;
#[cfg(test)]
mod round_trip;
mod search;
mod section;
mod sequence_set;
pub mod server;
mod sort;
mod status;
mod store;
mod tape;
mod text;
mod thread;
mod uid_batches;
mod url;
mod url_auth;
mod word;

pub use acl::{Acl, AclChange, ListRights, Rights, SetAcl};
pub use append::Append;
pub use body_structure::{
    Body, BodyFields, BodyPart, BodyParts, BodyStructure, Disposition, Message, Multipart, NewBody,
    NewFields, NewParameters, NewPart, Parameters, Texts,
};
pub use command::{Authenticate, Command, QResync, Tagged};
pub use convert::{Conversion, Convert, ConvertAttribute, ConvertValue, Converted};
pub use date::{Date, DateTime};
pub use envelope::{Address, Addresses, Envelope, EnvelopeFields};
pub use error::SyntaxError;
pub use fetch::{Fetch, FetchAttribute, FetchItem};
pub use flag::Flag;
pub use flag_list::FlagList;
pub use gmail::LabelStore;
pub use language::Comparator;
pub use leniency::{Leniencies, Leniency};
pub use limits::Limits;
pub use list::{List, ListResponse, Pattern, ReturnOptions, SelectionOptions};
pub use list_attribute::{ListAttribute, ListAttributes};
pub use literal::{Fragments, Literals};
pub use mailbox::MailboxName;
pub use mailbox_filter::MailboxFilter;
pub use metadata::{GetMetadata, Metadata, MetadataCode, MetadataDepth};
pub use namespace::{Namespace, Namespaces};
pub use notify::{EventGroup, Notify, NotifyEvent};
pub use partial::PartialRange;
pub use response::{Completion, Received, Response, Status};
pub use response_code::{Progress, ResponseCode};
pub use search::{ESearch, Return, Search, SearchKey};
pub use section::{Section, SectionText};
pub use sequence_set::SequenceSet;
pub use sort::{Sort, SortCriterion};
pub use status::{StatusAttribute, StatusItem};
pub use store::{Store, StoreAction};
pub use thread::{Thread, ThreadAlgorithm, Threads};
pub use uid_batches::{Batches, UidBatches};
pub use url::MessageUrl;
pub use url_auth::ResetKey;
