//! Flags, as the store names them.

use bytes::Bytes;
use hikyaku_imap_proto::Flag;

pub(super) fn flag(name: &str) -> Flag {
    let system = [
        Flag::Seen,
        Flag::Answered,
        Flag::Flagged,
        Flag::Deleted,
        Flag::Draft,
    ];
    let mut system = system.into_iter();
    let known = system.find(|flag| flag.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    known.unwrap_or_else(|| Flag::Keyword(Bytes::copy_from_slice(name.as_bytes())))
}
