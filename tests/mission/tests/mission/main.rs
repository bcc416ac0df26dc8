//! The mission, sentence by sentence.

#[path = "../../../../examples/server/tests/e2e/dns.rs"]
mod dns;
mod exact;
mod fences;
mod foreign;
mod hostile;
mod imap;
mod offline;
mod outbox;
mod outside;
mod pop;
mod reading;
mod searching;
mod sending;
mod staying;
mod terminal;
mod web;
mod written;
