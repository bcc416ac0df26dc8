//! The selected mailbox, as the server told it.

use alloc::vec::Vec;

use super::View;
use crate::{Flag, MailboxName, ResponseCode};

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
    pub uid_next: Option<u32>,
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

    pub(super) fn told(&mut self, code: &ResponseCode) {
        match code {
            ResponseCode::UidValidity(value) => self.uid_validity = Some(*value),
            ResponseCode::UidNext(uid) => self.uid_next = Some(*uid),
            ResponseCode::HighestModSeq(modseq) => self.highest_modseq = Some(*modseq),
            ResponseCode::NoModSeq => self.highest_modseq = None,
            ResponseCode::PermanentFlags(flags) => self.permanent_flags = Some(flags.clone()),
            ResponseCode::ReadOnly => self.read_only = true,
            ResponseCode::ReadWrite => self.read_only = false,
            _ => {}
        }
    }
}
