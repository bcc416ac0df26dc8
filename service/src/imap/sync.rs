//! Sends the client what changed in the selected mailbox.

use hikyaku_imap_proto::{FetchAttribute, FetchItem, Flag, FlagList, Response};
use hikyaku_mailstore::{Changes, Error, Flags, Row, Uid, Want, Which};
use std::collections::HashSet;
use tracing::warn;

use super::asked::Asked;
use super::convert::{imap_flags, imap_uid, system_flags};
use super::session::Session;
use super::text::Text as T;

/// How many changes are read at a time.
const PAGE: usize = 1000;

impl Session<'_> {
    /// Sends the changes that the client does not know yet; when `unasked`, between commands.
    pub(super) async fn send_changes(&mut self, unasked: bool) {
        if unasked && !self.refresh_rights().await {
            return;
        }
        // A client that has asked for other things does not hear of this one between commands.
        let reports = |asked: &Asked| asked.reports_selected();
        if !unasked || self.notify.as_ref().is_none_or(reports) {
            self.sync().await;
            self.send_contexts().await;
        }
        self.send_elsewhere().await;
    }

    /// Sends what changed since the state that the client knows.
    pub(super) async fn sync(&mut self) {
        match self.try_sync().await {
            Ok(()) => {}
            Err(Error::NoSuchMailbox(_) | Error::NoSuchAccount(_)) => {
                self.selected = None;
                self.bye(T::TheSelectedMailboxIsGone);
            }
            Err(error) => warn!(%error, "the changes of the selected mailbox could not be sent"),
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
                .service
                .store
                .changes(mailbox, since, self.wanted_of_new(), PAGE)
                .await?;
            match changes {
                Changes::Known { at, rows, vanished } => {
                    let more = rows.len() >= PAGE;
                    let is_gone = |uid: &Uid| vanished.contains(*uid);
                    let gone: Vec<Uid> = match vanished.is_empty() {
                        true => Vec::new(),
                        false => self.known().filter(is_gone).collect(),
                    };
                    self.send_rows(&rows, gone).await?;
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

    async fn send_rows(&mut self, rows: &[Row], gone: Vec<Uid>) -> Result<(), Error> {
        let Some(selected) = &self.selected else {
            return Ok(());
        };
        let (mailbox, own) = (selected.mailbox, selected.own.clone());
        let view = self.driver.machine.selected();
        let read_only = view.is_none_or(hikyaku_imap_proto::server::View::is_read_only);
        let last = self.known().next_back();
        let newest = rows
            .last()
            .map(|row| row.uid)
            .filter(|&uid| Some(uid) > last);
        let mut recent_from = None;
        if let Some(newest) = newest {
            let up_to = newest.get().saturating_add(1);
            // What cannot be known is recent for nobody.
            recent_from = self.recent_from(mailbox, up_to, read_only).await.ok();
        }
        if !gone.is_empty() {
            self.contexts_lose(&gone);
            let (machine, output) = self.driver.split();
            machine.vanished(gone.into_iter().map(imap_uid), output);
        }
        let (machine, output) = self.driver.split();
        let known = |uid: Uid| {
            let view = machine.selected();
            view.and_then(|view| view.sequence(imap_uid(uid))).is_some()
        };
        let (old, new): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| known(row.uid));
        let uids: Vec<_> = new.iter().map(|row| imap_uid(row.uid)).collect();
        let recent_from = recent_from.and_then(hikyaku_imap_proto::Uid::new);
        machine.appeared(&uids, recent_from, output);
        if let Some(selected) = &mut self.selected
            && !selected.contexts.is_empty()
        {
            selected.touched.extend(rows.iter().map(|row| row.uid));
        }
        let reports_flags = self.notify.as_ref().is_none_or(Asked::reports_flags);
        for row in old.into_iter().filter(|_| reports_flags) {
            if own.binary_search(&row.modified).is_err() {
                self.send_flags(row, true);
                // The client is gone: the connection's next step finds out.
                let _ = self.driver.flush_if_full().await;
            }
        }
        self.send_new(&new).await
    }

    /// Which attributes are sent with new messages.
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

    async fn send_new(&mut self, new: &[&Row]) -> Result<(), Error> {
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
                // What cannot be said of it is left out.
                warn!(uid = row.uid.get(), "a new message could not be read");
            }
            let _ = self.driver.flush_if_full().await;
        }
        Ok(())
    }

    /// FLAGS once more, when there are keywords that it did not name (RFC 3501 §7.2.6).
    pub(super) fn send_keywords(&mut self, flags: &Flags) {
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
        let named = imap_flags(&selected.keywords).filter(|flag| matches!(flag, Flag::Keyword(_)));
        let all = system_flags().into_iter().chain(named).collect();
        self.respond(&Response::Flags(all));
    }

    /// The flags of a message, `\Recent` with them.
    pub(super) fn flags_of(&self, row: &Row) -> FlagList {
        let mut flags: FlagList = imap_flags(&row.flags).collect();
        let view = self.driver.machine.selected();
        let recent = view.map_or(&[][..], |view| view.recent());
        if !recent.is_empty() && recent.binary_search(&imap_uid(row.uid)).is_ok() {
            flags.insert(Flag::Recent);
        }
        flags
    }

    /// `* n FETCH (UID .. FLAGS (..))`, with MODSEQ where the client wants it.
    pub(super) fn send_flags(&mut self, row: &Row, flags: bool) {
        if flags {
            self.send_keywords(&row.flags);
        }
        let flags_now = self.flags_of(row);
        let condstore = self.driver.machine.condstore();
        let (machine, output) = self.driver.split();
        if !machine
            .begin_fetch(imap_uid(row.uid), output)
            .unwrap_or(false)
        {
            return;
        }
        let _ = machine.fetch_item(&FetchItem::Uid(imap_uid(row.uid)), output);
        if flags {
            let _ = machine.fetch_item(&FetchItem::Flags(flags_now), output);
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
                .service
                .store
                .messages(mailbox, &Which::After(after), Want::ROW, PAGE)
                .await?;
            if after.is_none() {
                at = page.at;
            }
            after = page.rows.last().map(|row| row.uid);
            there.extend(page.rows.iter().map(|row| row.uid));
            rows.extend(page.rows.into_iter().filter(|row| row.modified > since));
            if !page.more {
                break;
            }
        }
        let gone = self.known().filter(|uid| !there.contains(uid)).collect();
        self.send_rows(&rows, gone).await?;
        if let Some(selected) = &mut self.selected {
            selected.at = at;
        }
        Ok(())
    }
}
