//! QRESYNC: what changed while the client was away (RFC 7162 §3.2.5, §3.2.6).

use hikyaku_imap_proto::{QResync, Response};
use hikyaku_mailstore::{Changes, MailboxId, ModSeq, Row, UidSet, Want, Which};

use super::end::End;
use super::session::Session;

/// So many changes are read at a time.
const PAGE: usize = 10_000;

impl Session<'_> {
    /// The UIDs among `known` that are gone since; those that were gone before may be among them where the
    /// store remembers no more.
    pub(super) async fn gone_since(
        &self,
        mailbox: MailboxId,
        known: &UidSet,
        since: u64,
    ) -> Result<Vec<(u32, u32)>, End> {
        let mut gone = Vec::new();
        let mut at = ModSeq(since);
        loop {
            let changes = self
                .service
                .store
                .changes(mailbox, at, Want::ROW, PAGE)
                .await?;
            match changes {
                Changes::Known {
                    at: next,
                    rows,
                    vanished,
                } => {
                    gone.extend_from_slice(known.intersection(&vanished).ranges());
                    if rows.len() < PAGE || next == at {
                        return Ok(UidSet::from_ranges(gone).ranges().to_vec());
                    }
                    at = next;
                }
                Changes::TooOld { .. } => return self.not_there(mailbox, known).await,
            }
        }
    }

    /// What of `known` is not in the mailbox.
    async fn not_there(&self, mailbox: MailboxId, known: &UidSet) -> Result<Vec<(u32, u32)>, End> {
        let (mut gone, mut after, mut next) = (Vec::new(), None, 1_u32);
        let mut push = |low: u32, high: u32| {
            if low <= high {
                let between = known.intersection(&UidSet::from_ranges([(low, high)]));
                gone.extend_from_slice(between.ranges());
            }
        };
        loop {
            let page = self
                .service
                .store
                .messages(mailbox, &Which::After(after), Want::ROW, PAGE)
                .await?;
            for row in &page.rows {
                push(next, row.uid.get().saturating_sub(1));
                next = row.uid.get().saturating_add(1);
            }
            after = page.rows.last().map(|row| row.uid).or(after);
            if !page.more {
                break;
            }
        }
        // What is above was never there, unless it was the last.
        let last = known.ranges().last().map_or(0, |range| range.1);
        let all = self.service.store.mailboxes(mailbox.account, None).await?;
        let mailbox = all.mailboxes.iter().find(|one| one.id == mailbox);
        let uid_next = mailbox.map_or(1, |mailbox| mailbox.uid_next);
        push(next, last.min(uid_next.saturating_sub(1)));
        Ok(gone)
    }

    /// Sends, during SELECT, what changed since the state that a returning client knows.
    pub(super) async fn resynchronize(
        &mut self,
        known: &QResync,
        changed: &[Row],
    ) -> Result<(), End> {
        let mailbox = self.current()?;
        let uids = match &known.known_uids {
            Some(set) => UidSet::from_ranges(set.ranges(u32::MAX)),
            None => UidSet::all(),
        };
        let matched = self.matched(known);
        let still = UidSet::from_ranges([(matched.saturating_add(1), u32::MAX)]);
        let unsure = uids.intersection(&still);
        let gone = self.gone_since(mailbox, &unsure, known.modseq).await?;
        if !gone.is_empty() {
            let (earlier, uids) = (true, gone);
            self.respond(&Response::Vanished { earlier, uids });
        }
        for row in changed.iter().filter(|row| uids.contains(row.uid)) {
            self.send_flags(row, true);
            // The client is gone: the connection's next step finds out.
            let _ = self.driver.flush_if_full().await;
        }
        Ok(())
    }

    /// The highest UID up to which the client's sequence numbers are still right: nothing below it is gone.
    fn matched(&self, known: &QResync) -> u32 {
        let (Some((sequences, uids)), Some(view)) =
            (&known.sequence_match, self.driver.machine.selected())
        else {
            return 0;
        };
        // Both have as many numbers; they are paired in order.
        let sequences = sequences
            .ranges(u32::MAX)
            .flat_map(|(low, high)| low..=high);
        let uids = uids.ranges(u32::MAX).flat_map(|(low, high)| low..=high);
        let pairs = sequences.zip(uids).take(view.uids().len());
        let right = pairs.filter(|&(sequence, uid)| {
            let is = hikyaku_imap_proto::Uid::new(uid).and_then(|uid| view.sequence(uid));
            is.is_some_and(|is| is.get() == sequence)
        });
        right.map(|(_, uid)| uid).max().unwrap_or(0)
    }
}
