//! The mission, sentence by sentence.

mod imap;
mod pop;
mod sending;
