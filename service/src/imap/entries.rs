//! Annotations: their names, and the properties that hold them (RFC 5464 §3).

use bytes::Bytes;
use hikyaku_imap_proto::MetadataDepth;
use hikyaku_mailstore::{AccountId, Mailbox};
use std::collections::BTreeMap;

use super::end::End;
use super::text::Text as T;

/// What the keys of properties that are annotations begin with.
pub(super) const PREFIX: &str = "metadata";

/// A value has no more octets.
pub(super) const SIZE: usize = 64 * 1024;

/// A mailbox or a server has no more entries that one client sees.
pub(super) const ENTRIES: usize = 256;

/// Entries by name, in lower case.
pub(super) type Entries = BTreeMap<String, Bytes>;

/// The name in lower case, if it is one (RFC 5464 §3.2).
pub(super) fn entry_name(name: &[u8]) -> Result<String, End> {
    let bad = || End::bad(T::NotTheNameOf);
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
pub(super) fn asked_name(name: &[u8]) -> Result<String, End> {
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
pub(super) fn mailbox_key(account: AccountId, entry: &str) -> String {
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
pub(super) fn is_asked(name: &str, asked: &str, depth: MetadataDepth) -> bool {
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
    let mut found: Vec<(Bytes, Option<Bytes>)> = Vec::new();
    for name in names {
        let asked = asked_name(name)?;
        if depth == MetadataDepth::Zero && !entries.contains_key(&asked) {
            found.push((name.clone(), None));
        }
        let all = entries
            .iter()
            .filter(|(name, _)| is_asked(name, &asked, depth));
        for (entry, value) in all {
            // Named as it was asked for, where it is just that.
            let exact = *entry == asked;
            let entry = if exact {
                name.clone()
            } else {
                entry.clone().into()
            };
            if !found
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&entry))
            {
                found.push((entry, Some(value.clone())));
            }
        }
    }
    Ok(found)
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
