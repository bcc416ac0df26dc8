//! Gmail's labels (X-GM-EXT-1): how STORE changes them.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::SequenceSet;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_list};
use crate::value::store_action::StoreAction;

/// STORE of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct LabelStore {
    /// The messages.
    pub set: SequenceSet,
    /// Whether the labels replace those there are, are added, or are taken away.
    pub action: StoreAction,
    /// `.SILENT`
    pub silent: bool,
    /// In modified UTF-7; system labels begin with `\`.
    pub labels: Vec<Bytes>,
}

impl LabelStore {
    /// Appends what follows `STORE `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.set.encode(output);
        output.write(match self.action {
            StoreAction::Replace => b" ",
            StoreAction::Add => b" +",
            StoreAction::Remove => b" -",
        });
        output.write(b"X-GM-LABELS");
        output.write(if self.silent { b".SILENT " } else { b" " });
        write_labels(&self.labels, output);
    }
}

/// `(\Inbox "a b")`
pub(crate) fn write_labels(labels: &[Bytes], output: &mut Output) {
    write_list(labels, output, |label, output| {
        match label.strip_prefix(b"\\") {
            Some(name)
                if !name.is_empty()
                    && name.iter().all(|&o| crate::plumbing::text::is_atom_char(o)) =>
            {
                output.write(label);
            }
            _ => write_astring(label, output),
        }
    });
}

pub(crate) fn labels(cursor: &mut Cursor<'_>) -> Result<Vec<Bytes>> {
    cursor.list(true, |cursor| {
        let start = cursor.clone();
        if cursor.eat(b'\\') {
            cursor.atom()?;
            return Ok(cursor.since(&start));
        }
        match cursor.peek() {
            Some(b'"' | b'{') => cursor.any_string(),
            _ => cursor.astring(),
        }
    })
}
