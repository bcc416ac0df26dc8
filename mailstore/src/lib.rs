#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod apply;
mod backend;
mod blocking;
mod casemap;
mod claim;
mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
mod deliver;
#[cfg(feature = "disk")]
mod disk;
pub mod engine;
mod error;
mod flags;
mod forest;
mod health;
mod id;
mod join;
mod memory;
pub mod message;
mod message_cache;
mod patience;
mod readers;
mod row;
mod row_cache;
pub mod search;
mod sort;
mod store;
mod tables;
mod text_index;
mod thread;
mod transaction;
mod uid_set;
mod visit;
mod watchers;
mod writer;

pub use backend::Backend;
pub use blocking::{Blocking, block_on};
pub use casemap::casemap;
pub use claim::Claim;
pub use deliver::{Recipient, deliver};
#[cfg(feature = "disk")]
pub use disk::{Disk, DiskEngine, DiskOptions};
pub use error::{Error, Result};
pub use flags::{Flags, InvalidKeyword};
pub use health::{Finding, Health};
pub use id::{AccountId, BodyId, EmailId, MailboxId, ModSeq, QueueId, ThreadId, Uid, UidValidity};
pub use memory::{Memory, MemoryEngine};
pub use message_cache::MessageCache;
pub use row::{
    Account, BodyRef, Changes, Mailbox, Mailboxes, Page, QueueEntry, Quota, Row, Want, Which,
};
pub use row_cache::{RowCache, Rows};
pub use search::structure;
pub use sort::{Criterion, sort};
pub use store::{
    Bodies, BoxFuture, Capabilities, Engine, HealthProbe, Read, Scope, Stage, Staged, Stager,
    Store, Visitor, Watch,
};
pub use tables::{AccountRow, Tables};
pub use text_index::TextIndex;
pub use thread::{Algorithm, ThreadNode, Threads, thread};
pub use transaction::{
    Append, Committed, FlagChange, Operation, Outcome, Requirement, Transaction,
};
pub use uid_set::UidSet;
