#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backends;
mod caches;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod contract;
mod questions;

pub use backends::backend::Backend;
pub use backends::blocking::{Blocking, block_on};
#[cfg(feature = "disk")]
pub use backends::disk::{Disk, DiskEngine, DiskOptions};
pub use backends::engine;
pub use backends::memory::{Memory, MemoryEngine};
pub use backends::tables::{AccountRow, Tables};
pub use caches::message_cache::MessageCache;
pub use caches::row_cache::{RowCache, Rows};
pub use caches::text_index::TextIndex;
pub use contract::about::About;
pub use contract::claim::Claim;
pub use contract::clock::unix_now;
pub use contract::deliver::{Recipient, deliver};
pub use contract::error::{Error, Result};
pub use contract::flags::{Flags, InvalidKeyword};
pub use contract::health::{Finding, Health};
pub use contract::id::{
    AccountId, BodyId, EmailId, MailboxId, ModSeq, QueueId, ThreadId, Uid, UidValidity,
};
pub use contract::pieces::Pieces;
pub use contract::row::{
    Account, BodyRef, Changes, Mailbox, Mailboxes, Page, QueueEntry, QueueLength, Quota, Row, Want,
    Which, never,
};
pub use contract::staged::Staged;
pub use contract::store::{
    Bodies, BoxFuture, Capabilities, Engine, HealthProbe, Read, Scope, Stage, Stager, Store,
    Visitor, Watch,
};
pub use contract::structure::{root_part, structure};
pub use contract::transaction::{
    Append, Committed, FlagChange, Operation, Outcome, Requirement, Transaction,
};
pub use contract::uid_set::UidSet;
pub use questions::casemap::casemap;
pub use questions::search;
pub use questions::sort::{Criterion, sort};
pub use questions::thread::{Algorithm, ThreadNode, Threads, thread};
