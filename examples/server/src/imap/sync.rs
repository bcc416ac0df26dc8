//! Telling the client what changed in the selected mailbox.

use imap_proto::{FetchItem, Flag, Response};
use mailstore::{Changes, Error, Flags, Row, Uid, Want, Which};
use std::collections::HashSet;
use tracing::warn;

use super::Session;
use super::convert::{flags_told, system_flags};

/// So many changes are read at a time.
const PAGE: usize = 1000;

impl Session<'_> {
    /// Tells what changed since the state that the client knows.
    pub(super) async fn sync(&mut self) {
        match self.try_sync().await {
            Ok(()) => {}
            Err(Error::NoSuchMailbox | Error::NoSuchAccount) => {
                self.selected = None;
                self.bye("The selected mailbox is gone");
            }
            Err(error) => warn!(%error, "sync"),
        }
        if let Some(selected) = &mut self.selected {
            selected.own.clear();
        }
    }

    async fn try_sync(&mut self) -> Result<(), Error> {
        loop {
            let Some(selected) = &self.selected else {
                return Ok(());
            };
            let (mailbox, since) = (selected.mailbox, selected.at);
            let changes = self
                .shared
                .store
                .changes(mailbox, since, Want::ROW, PAGE)
                .await?;
            match changes {
                Changes::Known { at, rows, vanished } => {
                    let more = rows.len() >= PAGE;
                    let gone: Vec<u32> = {
                        let view = self.driver.machine.selected();
                        let known = view.map_or(&[][..], |view| view.uids());
                        let is_gone =
                            |uid: &&u32| Uid::new(**uid).is_some_and(|uid| vanished.contains(uid));
                        match vanished.is_empty() {
                            true => Vec::new(),
                            false => known.iter().filter(is_gone).copied().collect(),
                        }
                    };
                    self.tell(&rows, gone).await?;
                    if let Some(selected) = &mut self.selected {
                        selected.at = at;
                    }
                    if !more {
                        return Ok(());
                    }
                }
                Changes::TooOld { .. } => return self.read_again().await,
            }
        }
    }

    async fn tell(&mut self, rows: &[Row], gone: Vec<u32>) -> Result<(), Error> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let (mailbox, own) = (selected.mailbox, selected.own.clone());
        let view = self.driver.machine.selected();
        let read_only = view.is_none_or(imap_proto::server::View::is_read_only);
        let last = view
            .and_then(|view| view.uids().last().copied())
            .unwrap_or(0);
        let newest = rows.last().map_or(0, |row| row.uid.get());
        let mut recent_from = u32::MAX;
        if newest > last {
            // What cannot be known is told as recent to nobody.
            let taken = self
                .recent_from(mailbox, newest.saturating_add(1), read_only)
                .await;
            recent_from = taken.unwrap_or(u32::MAX);
        }
        let (machine, output) = self.driver.split();
        if !gone.is_empty() {
            machine.vanished(gone, output);
        }
        let known = |uid: Uid| {
            let view = machine.selected();
            view.and_then(|view| view.sequence(uid.get())).is_some()
        };
        let (old, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| known(row.uid));
        let new: Vec<u32> = new.iter().map(|row| row.uid.get()).collect();
        machine.appeared(&new, recent_from, output);
        for row in old {
            if own.binary_search(&row.modified).is_err() {
                self.tell_flags(row, true);
                // The client is gone: the connection's next step finds out.
                let _ = self.driver.flush_if_full().await;
            }
        }
        Ok(())
    }

    /// FLAGS once more, when there are keywords that it did not name (RFC 3501 §7.2.6).
    pub(super) fn tell_keywords(&mut self, flags: &Flags) {
        let Some(selected) = &mut self.selected else {
            return;
        };
        let before = selected.keywords.keywords().count();
        if flags.keywords().next().is_none() {
            return;
        }
        selected.keywords.add(flags);
        if selected.keywords.keywords().count() == before {
            return;
        }
        let told = flags_told(&selected.keywords);
        let named = told
            .into_iter()
            .filter(|flag| matches!(flag, Flag::Keyword(_)));
        let all = system_flags().into_iter().chain(named).collect();
        self.respond(&Response::Flags(all));
    }

    /// The flags of a message, `\Recent` with them.
    pub(super) fn flags_of(&self, row: &Row) -> Vec<Flag> {
        let mut flags = flags_told(&row.flags);
        let view = self.driver.machine.selected();
        if view.is_some_and(|view| view.recent().binary_search(&row.uid.get()).is_ok()) {
            flags.push(Flag::Recent);
        }
        flags
    }

    /// `* n FETCH (UID .. FLAGS (..))`, with MODSEQ where the client wants it.
    pub(super) fn tell_flags(&mut self, row: &Row, flags: bool) {
        if flags {
            self.tell_keywords(&row.flags);
        }
        let told = self.flags_of(row);
        let condstore = self.driver.machine.condstore();
        let (machine, output) = self.driver.split();
        if !machine.begin_fetch(row.uid.get(), output).unwrap_or(false) {
            return;
        }
        let _ = machine.fetch_item(&FetchItem::Uid(row.uid.get()), output);
        if flags {
            let _ = machine.fetch_item(&FetchItem::Flags(told), output);
        }
        if condstore {
            let _ = machine.fetch_item(&FetchItem::ModSeq(row.modified.0), output);
        }
        let _ = machine.end_fetch(output);
    }

    /// The store has forgotten what changed: all of the mailbox is compared.
    async fn read_again(&mut self) -> Result<(), Error> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let (mailbox, since) = (selected.mailbox, selected.at);
        let (mut there, mut rows, mut at, mut after) = (HashSet::new(), Vec::new(), since, None);
        loop {
            let page = self
                .shared
                .store
                .messages(mailbox, &Which::After(after), Want::ROW, PAGE)
                .await?;
            if after.is_none() {
                at = page.at;
            }
            after = page.rows.last().map(|row| row.uid);
            there.extend(page.rows.iter().map(|row| row.uid.get()));
            rows.extend(page.rows.into_iter().filter(|row| row.modified > since));
            if !page.more {
                break;
            }
        }
        let view = self.driver.machine.selected();
        let known = view.map_or(&[][..], |view| view.uids());
        let gone = known
            .iter()
            .filter(|uid| !there.contains(uid))
            .copied()
            .collect();
        self.tell(&rows, gone).await?;
        if let Some(selected) = &mut self.selected {
            selected.at = at;
        }
        Ok(())
    }
}
