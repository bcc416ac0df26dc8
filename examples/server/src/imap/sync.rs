//! Telling the client what changed in the selected mailbox.

use imap_proto::{FetchAttribute, FetchItem, Flag, FlagList, Response};
use mailstore::{Changes, Error, Flags, Row, Uid, Want, Which};
use std::collections::HashSet;
use tracing::warn;

use super::Session;
use super::convert::{flags_told, system_flags};
use super::notify::Asked;

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
                .changes(mailbox, since, self.wanted_of_new(), PAGE)
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
        if !gone.is_empty() {
            self.contexts_lose(&gone);
            let (machine, output) = self.driver.split();
            machine.vanished(gone, output);
        }
        let (machine, output) = self.driver.split();
        let known = |uid: Uid| {
            let view = machine.selected();
            view.and_then(|view| view.sequence(uid.get())).is_some()
        };
        let (old, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| known(row.uid));
        let uids: Vec<u32> = new.iter().map(|row| row.uid.get()).collect();
        machine.appeared(&uids, recent_from, output);
        if let Some(selected) = &mut self.selected
            && !selected.contexts.is_empty()
        {
            selected
                .touched
                .extend(rows.iter().map(|row| row.uid.get()));
        }
        let tells_flags = self.notify.as_ref().is_none_or(Asked::tells_flags);
        for row in old.into_iter().filter(|_| tells_flags) {
            if own.binary_search(&row.modified).is_err() {
                self.tell_flags(row, true);
                // The client is gone: the connection's next step finds out.
                let _ = self.driver.flush_if_full().await;
            }
        }
        self.tell_new(&new).await
    }

    /// What of new messages is told with them.
    fn attributes_of_new(&self) -> Vec<FetchAttribute> {
        let mut all = Vec::new();
        let asked = self.notify.as_ref().map_or(&[][..], Asked::attributes);
        let contexts = self.selected.as_ref().map(|selected| &selected.contexts);
        let contexts = contexts.into_iter().flatten();
        let contexts = contexts.flat_map(|context| &context.attributes);
        for attribute in asked.iter().chain(contexts) {
            if !all.contains(attribute) {
                all.push(attribute.clone());
            }
        }
        all
    }

    fn wanted_of_new(&self) -> Want {
        match self.attributes_of_new().is_empty() {
            true => Want::ROW,
            false => Want::SUMMARY,
        }
    }

    async fn tell_new(&mut self, new: &[&Row]) -> Result<(), Error> {
        let mut attributes = self.attributes_of_new();
        if attributes.is_empty() {
            return Ok(());
        }
        // RFC 5465 §5.2 lets it be left out; without the UID nobody can use the rest.
        if !attributes.contains(&FetchAttribute::Uid) {
            attributes.insert(0, FetchAttribute::Uid);
        }
        for row in new {
            if self.fetch_one(row, &attributes, false).await.is_err() {
                // What cannot be told of it is not told.
                warn!(uid = row.uid.get(), "a new message");
            }
            let _ = self.driver.flush_if_full().await;
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
        let named = flags_told(&selected.keywords).filter(|flag| matches!(flag, Flag::Keyword(_)));
        let all = system_flags().into_iter().chain(named).collect();
        self.respond(&Response::Flags(all));
    }

    /// The flags of a message, `\Recent` with them.
    pub(super) fn flags_of(&self, row: &Row) -> FlagList {
        let mut flags: FlagList = flags_told(&row.flags).collect();
        let view = self.driver.machine.selected();
        let recent = view.map_or(&[][..], |view| view.recent());
        if !recent.is_empty() && recent.binary_search(&row.uid.get()).is_ok() {
            flags.insert(Flag::Recent);
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
