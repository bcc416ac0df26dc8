//! What real mail and real servers do against the RFCs, as tables: each public report is a row. The tests
//! themselves lie in `tests/field`, one file for each kind of table.
#![allow(
    clippy::exhaustive_structs,
    clippy::exhaustive_enums,
    reason = "tests write them out"
)]

pub mod imap_server;
pub mod message;
