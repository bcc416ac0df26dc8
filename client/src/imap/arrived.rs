//! What a list shows of a message.

use bytes::Bytes;
use hikyaku_mailstore::Flags;
use hikyaku_message::{Structure, parse_date};

use super::parts::{Came, Reported};
use crate::local::SIZE_FIELD;
use hikyaku_mailstore::unix_now;

/// What a list shows of a message.
pub(super) struct Arrived {
    header: Bytes,
    octets: u64,
    pub(super) flags: Flags,
    pub(super) received: (i64, i16),
}

impl Arrived {
    pub(super) fn of(reported: Reported) -> Option<Self> {
        let Some(Came::Header(header)) = reported.section else {
            return None;
        };
        Some(Self {
            octets: reported.octets.unwrap_or(header.len() as u64),
            flags: reported.flags.unwrap_or(Flags::NONE),
            received: reported.received.unwrap_or_else(|| written(&header)),
            header,
        })
    }

    /// The row's octets: the size of the whole, and the fields; with what an index needs of them.
    pub(super) fn row(&self) -> (Bytes, Bytes) {
        let size = format!("{SIZE_FIELD}: {}\r\n", self.octets);
        let octets: Bytes = [size.as_bytes(), &self.header].concat().into();
        let summary = Structure::of(&octets).encode();
        (octets, summary)
    }
}

/// Where INTERNALDATE cannot be read: when the message says it was written, or now.
fn written(header: &Bytes) -> (i64, i16) {
    let structure = Structure::of(header);
    let envelope = structure.root().envelope.as_ref();
    let date = envelope.and_then(|envelope| envelope.date.as_deref().and_then(parse_date));
    (
        date.map_or_else(unix_now, |date| date.seconds.min(unix_now())),
        0,
    )
}
