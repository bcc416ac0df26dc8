//! Tests that are of no one file.

mod conversation;
mod grammar_traps;
mod hostile;
pub(crate) mod rfc_examples;
pub(crate) mod round_trip;

use crate::{SequenceNumber, Uid};
use alloc::vec::Vec;

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

pub(crate) fn uids(numbers: impl IntoIterator<Item = u32>) -> Vec<Uid> {
    numbers.into_iter().map(uid).collect()
}

pub(crate) fn sequence(number: u32) -> SequenceNumber {
    SequenceNumber::new(number).unwrap()
}
