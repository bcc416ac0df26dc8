//! The selected mailbox, as the server described it.

use alloc::vec::Vec;

use super::View;
use crate::{Flag, MailboxName, ResponseCode, Uid};

/// The selected mailbox (RFC 9051 §6.3.2).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Selected {
    /// Its name.
    pub mailbox: MailboxName,
    /// Opened by EXAMINE, or by SELECT where the user may only read.
    pub read_only: bool,
    /// UIDVALIDITY: another one than before makes every UID known before worthless.
    pub uid_validity: Option<u32>,
    /// UIDNEXT
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ (RFC 7162); none where the mailbox has no mod-sequences.
    pub highest_modseq: Option<u64>,
    /// FLAGS: those that messages may have.
    pub flags: Vec<Flag>,
    /// PERMANENTFLAGS: those that can be changed for good; `\*`: new keywords can be made. None when
    /// the server does not say: all can.
    pub permanent_flags: Option<Vec<Flag>>,
    /// Sequence numbers and UIDs.
    pub view: View,
}

impl Selected {
    pub(super) fn new(mailbox: MailboxName, read_only: bool) -> Self {
        Self {
            mailbox,
            read_only,
            uid_validity: None,
            uid_next: None,
            highest_modseq: None,
            flags: Vec::new(),
            permanent_flags: None,
            view: View::default(),
        }
    }

    /// FLAGS. While the mailbox is being opened, several lines add up; later a line stands for all.
    pub(super) fn may_have(&mut self, flags: Vec<Flag>, opening: bool) {
        match opening {
            true => add(&mut self.flags, flags),
            false => self.flags = flags,
        }
    }

    /// What a response code says of it; `opening`: as in [`may_have`](Self::may_have).
    pub(super) fn apply(&mut self, code: &ResponseCode, opening: bool) {
        match code {
            ResponseCode::UidValidity(value) => self.uid_validity = Some(*value),
            ResponseCode::UidNext(uid) => self.uid_next = Some(*uid),
            ResponseCode::HighestModSeq(modseq) => self.highest_modseq = Some(*modseq),
            ResponseCode::NoModSeq => self.highest_modseq = None,
            ResponseCode::PermanentFlags(flags) => match &mut self.permanent_flags {
                Some(all) if opening => add(all, flags.clone()),
                all => *all = Some(flags.clone()),
            },
            ResponseCode::ReadOnly => self.read_only = true,
            ResponseCode::ReadWrite => self.read_only = false,
            _ => {}
        }
    }
}

/// So many flags are kept of a mailbox: each line is looked up among those before it.
const MOST: usize = 1_000;

fn add(all: &mut Vec<Flag>, more: Vec<Flag>) {
    if all.is_empty() {
        *all = more;
        return;
    }
    for flag in more {
        if all.len() < MOST && !all.contains(&flag) {
            all.push(flag);
        }
    }
}
