//! GETMETADATA and SETMETADATA: annotations of mailboxes and of the server (RFC 5464).
//!
//! They are properties, of a mailbox or of an account. What is shared on the server lies with the system's
//! account, and is the administrator's to set.

use bytes::Bytes;
use imap_proto::{
    GetMetadata, MailboxName, Metadata, MetadataCode, MetadataDepth, Response, ResponseCode, Status,
};
use mailstore::{AccountId, Mailbox, Operation, Transaction};
use std::collections::BTreeMap;

use super::{End, Ended, Session};

/// What the keys of properties that are annotations begin with.
const PREFIX: &str = "metadata";

/// A value has no more octets.
const SIZE: usize = 64 * 1024;

/// A mailbox or a server has no more entries that one client sees.
const ENTRIES: usize = 256;

/// Entries by name, in lower case.
pub(super) type Entries = BTreeMap<String, Bytes>;

/// The name in lower case, if it is one (RFC 5464 §3.2).
fn entry_name(name: &[u8]) -> Result<String, End> {
    let bad = || End::bad("Not the name of an entry");
    let name = std::str::from_utf8(name)
        .map_err(|_| bad())?
        .to_ascii_lowercase();
    let allowed = |octet: u8| octet.is_ascii_graphic() && !b"*%".contains(&octet);
    let kind = ["/private/", "/shared/"]
        .iter()
        .any(|kind| name.len() > kind.len() && name.starts_with(kind));
    let levels = !name.contains("//") && !name.ends_with('/');
    match kind && levels && name.bytes().all(allowed) {
        true => Ok(name),
        false => Err(bad()),
    }
}

/// What GETMETADATA may ask for: also what is above all entries.
fn asked_name(name: &[u8]) -> Result<String, End> {
    let top = ["/private", "/shared"];
    match top
        .iter()
        .find(|top| name.eq_ignore_ascii_case(top.as_bytes()))
    {
        Some(top) => Ok((*top).into()),
        None => entry_name(name),
    }
}

/// The key of a mailbox's property.
fn mailbox_key(account: AccountId, entry: &str) -> String {
    match entry.strip_prefix("/private/") {
        Some(private) => format!("{PREFIX}/private-{}/{private}", account.0),
        None => format!("{PREFIX}{entry}"),
    }
}

/// The entries of a mailbox that the client sees.
pub(super) fn mailbox_entries(account: AccountId, mailbox: &Mailbox) -> Entries {
    let own = format!("/private-{}/", account.0);
    let entry = |(key, value): (&String, &Bytes)| {
        let name = key.strip_prefix(PREFIX)?;
        let name = match name.strip_prefix(&own) {
            Some(private) => format!("/private/{private}"),
            None if name.starts_with("/shared/") => name.to_owned(),
            None => return None,
        };
        Some((name, value.clone()))
    };
    mailbox.properties.iter().filter_map(entry).collect()
}

/// Whether an entry is what was asked for, or so near below it.
fn is_asked(name: &str, asked: &str, depth: MetadataDepth) -> bool {
    let Some(rest) = name.strip_prefix(asked) else {
        return false;
    };
    match (rest.strip_prefix('/'), depth) {
        (None, _) => rest.is_empty(),
        (Some(_), MetadataDepth::Zero) => false,
        (Some(rest), MetadataDepth::One) => !rest.contains('/'),
        (Some(_), MetadataDepth::Infinity) => true,
    }
}

/// Those asked for: each that is there, and NIL for each that is not and was asked for alone.
pub(super) fn asked(
    entries: &Entries,
    names: &[Bytes],
    depth: MetadataDepth,
) -> Result<Vec<(Bytes, Option<Bytes>)>, End> {
    let mut told: Vec<(Bytes, Option<Bytes>)> = Vec::new();
    for name in names {
        let asked = asked_name(name)?;
        if depth == MetadataDepth::Zero && !entries.contains_key(&asked) {
            told.push((name.clone(), None));
        }
        let all = entries
            .iter()
            .filter(|(name, _)| is_asked(name, &asked, depth));
        for (entry, value) in all {
            // Told as it was asked for, where it is just that.
            let exact = *entry == asked;
            let entry = if exact {
                name.clone()
            } else {
                entry.clone().into()
            };
            if !told
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&entry))
            {
                told.push((entry, Some(value.clone())));
            }
        }
    }
    Ok(told)
}

impl Session<'_> {
    /// The entries of the server that the client sees: its own, and those of all.
    pub(super) async fn server_entries(&self) -> Result<Entries, End> {
        let mut entries = Entries::new();
        for (account, kind) in [(self.account, "/private/"), (AccountId::SYSTEM, "/shared/")] {
            let account = self.shared.store.account_by_id(account).await?;
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
        let mut told = asked(&entries, &get.entries, get.depth)?;
        let most = get.max_size.unwrap_or(u64::MAX);
        let size = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len() as u64);
        let longest = told
            .iter()
            .map(|(_, value)| size(value))
            .filter(|&size| size > most);
        let code = longest
            .max()
            .map(MetadataCode::LongEntries)
            .map(ResponseCode::Metadata);
        told.retain(|(_, value)| size(value) <= most);
        if !told.is_empty() {
            let values = Metadata::Values(told);
            self.respond(&Response::Metadata(get.mailbox, values));
        }
        Ok(End(Status::Ok, code, "Annotations".into()))
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
                return Err(End::no(
                    ResponseCode::Metadata(code),
                    "The value is too long",
                ));
            }
            named.push((entry_name(&entry)?, value));
        }
        let (before, account, mailbox) = match name.as_str() {
            "" => {
                if named.iter().any(|(entry, _)| entry.starts_with("/shared/")) {
                    let text = "What all share is the administrator's to set";
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
            return Err(End::no(code, "Too many annotations"));
        }
        self.shared.store.commit(transaction).await?;
        self.note_own(name, mailbox.is_none(), after);
        Ok(End::ok("Noted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths() {
        for good in ["/private/comment", "/SHARED/vendor/a.b/c"] {
            assert!(entry_name(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [
            "/private",
            "/other/x",
            "/private/",
            "/private//x",
            "/private/x*",
            "x",
        ] {
            assert!(entry_name(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_counted_from_what_was_asked() {
        use MetadataDepth as D;
        assert!(is_asked("/private/a", "/private/a", D::Zero));
        assert!(!is_asked("/private/a/b", "/private/a", D::Zero));
        assert!(is_asked("/private/a/b", "/private/a", D::One));
        assert!(!is_asked("/private/a/b/c", "/private/a", D::One));
        assert!(is_asked("/private/a/b/c", "/private", D::Infinity));
        assert!(!is_asked("/private/ab", "/private/a", D::Infinity));
    }
}
