//! End to end: the server, real sockets, and programs nobody here wrote.

mod claims;
mod clients;
mod conformance;
mod crowds;
mod dns;
mod exchanger;
mod fair_shares;
mod harness;
mod hostile;
mod imap;
mod imaptest;
mod logins;
mod mailbox_full;
mod mailserver;
mod memory;
mod notifications;
mod operations;
mod process;
mod programs;
mod qresync;
mod relay;
mod senders;
mod store_health;
mod submission;
