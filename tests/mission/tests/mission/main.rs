//! The mission, sentence by sentence.

mod foreign;
mod imap;
mod pop;
mod sending;
