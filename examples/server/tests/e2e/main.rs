//! End to end: the server, real sockets, and programs nobody here wrote.

mod clients;
mod conformance;
mod dns;
mod harness;
mod hostile;
mod imap;
mod imaptest;
mod mailbox_full;
mod process;
mod programs;
mod qresync;
mod relay;
mod submission;
