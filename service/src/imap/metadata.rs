//! GETMETADATA and SETMETADATA: annotations of mailboxes and of the server (RFC 5464).
//!
//! They are properties, of a mailbox or of an account. What is shared on the server lies with the system's
//! account, and is the administrator's to set.

use bytes::Bytes;
use hikyaku_imap_proto::{
    GetMetadata, MailboxName, Metadata, MetadataCode, Response, ResponseCode, Status,
};
use hikyaku_mailstore::{AccountId, Mailbox, Operation, Transaction};

use super::end::{End, Ended};
use super::session::Session;
use super::text::Text as T;

use super::entries::*;

impl Session<'_> {
    /// The entries of the server that the client sees: its own, and those of all.
    pub(super) async fn server_entries(&self) -> Result<Entries, End> {
        let mut entries = Entries::new();
        for (account, kind) in [(self.account, "/private/"), (AccountId::SYSTEM, "/shared/")] {
            let account = self.service.store.account_by_id(account).await?;
            let properties = account
                .map(|account| account.properties)
                .unwrap_or_default();
            let entry = |(key, value): (String, Bytes)| {
                let name = key.strip_prefix(PREFIX)?;
                name.starts_with(kind).then(|| (name.to_owned(), value))
            };
            entries.extend(properties.into_iter().filter_map(entry));
        }
        Ok(entries)
    }

    /// The mailbox, if the client may see what is noted of it (RFC 5464 §3.3).
    async fn annotated(&self, name: &MailboxName) -> Result<Mailbox, End> {
        let found = self.find(name).await?.needs(b'l')?;
        match b"rswip".iter().any(|&right| found.rights.contains(right)) {
            true => Ok(found.mailbox),
            false => Err(found.refusal()),
        }
    }

    pub(super) async fn get_metadata(&mut self, get: GetMetadata) -> Ended {
        let entries = match get.mailbox.as_str() {
            "" => self.server_entries().await?,
            _ => mailbox_entries(self.account, &self.annotated(&get.mailbox).await?),
        };
        let mut found = asked(&entries, &get.entries, get.depth)?;
        let most = get.max_size.unwrap_or(u64::MAX);
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len() as u64);
        let longest = found
            .iter()
            .map(|(_, value)| size(value))
            .filter(|&size| size > most);
        let code = longest
            .max()
            .map(MetadataCode::LongEntries)
            .map(ResponseCode::Metadata);
        found.retain(|(_, value)| size(value) <= most);
        if !found.is_empty() {
            let values = Metadata::Values(found);
            self.respond(&Response::Metadata(get.mailbox, values));
        }
        Ok(End(Status::Ok, code, T::Annotations.into()))
    }

    pub(super) async fn set_metadata(
        &mut self,
        name: &MailboxName,
        entries: Vec<(Bytes, Option<Bytes>)>,
    ) -> Ended {
        let mut named = Vec::with_capacity(entries.len());
        for (entry, value) in entries {
            if value.as_ref().is_some_and(|value| value.len() > SIZE) {
                let code = MetadataCode::MaxSize(SIZE as u64);
                return Err(End::no(ResponseCode::Metadata(code), T::TheValueIsToo));
            }
            named.push((entry_name(&entry)?, value));
        }
        let (before, account, mailbox) = match name.as_str() {
            "" => {
                if named.iter().any(|(entry, _)| entry.starts_with("/shared/")) {
                    let text = T::WhatAllShareIs;
                    return Err(End::no(ResponseCode::NoPerm, text));
                }
                (self.server_entries().await?, self.account, None)
            }
            _ => {
                let mailbox = self.annotated(name).await?;
                let entries = mailbox_entries(self.account, &mailbox);
                (entries, mailbox.id.account, Some(mailbox.id))
            }
        };
        let mut after = before;
        let mut transaction = Transaction::new(account);
        for (entry, value) in named {
            match &value {
                Some(value) => after.insert(entry.clone(), value.clone()),
                None => after.remove(&entry),
            };
            transaction = transaction.with(match mailbox {
                Some(mailbox) => Operation::SetMailboxProperty {
                    mailbox,
                    key: mailbox_key(self.account, &entry),
                    value,
                },
                None => Operation::SetProperty {
                    key: format!("{PREFIX}{entry}"),
                    value,
                },
            });
        }
        if after.len() > ENTRIES {
            let code = ResponseCode::Metadata(MetadataCode::TooMany);
            return Err(End::no(code, T::TooManyAnnotations));
        }
        self.service.store.commit(transaction).await?;
        self.note_own(name, mailbox.is_none(), after);
        Ok(End::ok(T::Noted))
    }
}
