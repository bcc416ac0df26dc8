//! STORE: flags of messages (RFC 9051 §6.4.6; UNCHANGEDSINCE RFC 7162).

use alloc::vec::Vec;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::value::flag::{flag, flag_list, write_flags};
use crate::value::gmail::labels;
use crate::value::sequence_set::sequence_set;
use crate::value::store_action::StoreAction;
use crate::{Flag, LabelStore, SequenceSet};

/// The STORE command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Store {
    /// The messages.
    pub set: SequenceSet,
    /// UNCHANGEDSINCE: only those not changed after this mod-sequence.
    pub unchanged_since: Option<u64>,
    /// Whether the flags replace those there are, are added, or are taken away.
    pub action: StoreAction,
    /// `.SILENT`: the new flags need not be sent.
    pub silent: bool,
    /// The flags.
    pub flags: Vec<Flag>,
}

impl Store {
    /// Appends what follows `STORE `.
    pub(crate) fn encode(&self, output: &mut Output) {
        self.set.encode(output);
        if let Some(modseq) = self.unchanged_since {
            output.write(b" (UNCHANGEDSINCE ");
            output.write_number(modseq);
            output.write(b")");
        }
        output.write(match self.action {
            StoreAction::Replace => b" FLAGS",
            StoreAction::Add => b" +FLAGS",
            StoreAction::Remove => b" -FLAGS",
        });
        output.write(if self.silent { b".SILENT " } else { b" " });
        write_flags(&self.flags, output);
    }
}

/// What STORE stores.
pub(crate) enum Stored {
    Flags(Store),
    Labels(LabelStore),
}

/// Behind `STORE `.
pub(crate) fn store(cursor: &mut Cursor<'_>) -> Result<Stored> {
    let set = sequence_set(cursor)?;
    cursor.sp()?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list(false, |cursor| {
            if !cursor.eat_word("UNCHANGEDSINCE") {
                return cursor.fail("UNCHANGEDSINCE");
            }
            cursor.sp()?;
            unchanged_since = Some(cursor.number64()?);
            Ok(())
        })?;
        cursor.sp()?;
    }
    let action = match () {
        () if cursor.eat(b'+') => StoreAction::Add,
        () if cursor.eat(b'-') => StoreAction::Remove,
        () => StoreAction::Replace,
    };
    if unchanged_since.is_none() && cursor.eat_prefix("X-GM-LABELS") {
        let silent = cursor.eat_prefix(".SILENT");
        cursor.sp()?;
        return Ok(Stored::Labels(LabelStore {
            set,
            action,
            silent,
            labels: labels(cursor)?,
        }));
    }
    if !cursor.eat_prefix("FLAGS") {
        return cursor.fail("FLAGS");
    }
    let silent = cursor.eat_prefix(".SILENT");
    cursor.sp()?;
    let flags = if cursor.peek() == Some(b'(') {
        flag_list(cursor)?
    } else {
        let mut flags = Vec::from([flag(cursor)?]);
        while cursor.eat(b' ') {
            flags.push(flag(cursor)?);
        }
        flags
    };
    // RFC 3501 §9: a client may not store \Recent.
    if flags.contains(&Flag::Recent) {
        return cursor.fail("flags other than \\Recent");
    }
    Ok(Stored::Flags(Store {
        set,
        unchanged_since,
        action,
        silent,
        flags,
    }))
}
