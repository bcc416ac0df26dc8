//! The stored access list of a mailbox (RFC 4314).

use bytes::Bytes;
use hikyaku_imap_proto::Rights;
use hikyaku_mailstore::Mailbox;

/// The mailbox property that holds the list.
pub(super) const ACL: &str = "acl";

/// Everybody who has an account here.
pub(super) const ANYONE: &str = "anyone";

/// More than so many identifiers a list does not have.
const ENTRIES: usize = 1000;

/// Who has which rights: identifiers as they are sent, with `-` before those whose rights are taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AccessList(Vec<(String, Rights)>);

impl AccessList {
    pub(super) fn of(mailbox: &Mailbox) -> Self {
        let kept = mailbox.properties.get(ACL);
        let kept = kept
            .map(|octets| String::from_utf8_lossy(octets))
            .unwrap_or_default();
        let entry = |line: &str| {
            let (rights, who) = line.split_once(' ')?;
            Some((who.to_owned(), Rights::parse(rights.as_bytes())?))
        };
        Self(kept.lines().filter_map(entry).collect())
    }

    /// As it is kept; nothing, when nobody has any.
    pub(super) fn kept(&self) -> Option<Bytes> {
        let line = |(who, rights): &(String, Rights)| format!("{rights} {who}\n");
        let lines: String = self.0.iter().map(line).collect();
        (!lines.is_empty()).then(|| lines.into())
    }

    pub(super) fn entries(&self) -> &[(String, Rights)] {
        &self.0
    }

    pub(super) fn get(&self, who: &str) -> Rights {
        let entry = self.0.iter().find(|(known, _)| known == who);
        entry.map_or(Rights::NONE, |(_, rights)| *rights)
    }

    /// Sets what somebody has; `false` when there is no room for one more.
    pub(super) fn set(&mut self, who: &str, rights: Rights) -> bool {
        self.0.retain(|(known, _)| known != who);
        if !rights.is_empty() {
            self.0.push((who.to_owned(), rights));
        }
        self.0.len() <= ENTRIES
    }

    /// What somebody may do who is not the owner.
    pub(super) fn rights_of(&self, who: &str) -> Rights {
        let given = self.get(who).with(self.get(ANYONE));
        let taken = |of: &str| self.get(&format!("-{of}"));
        given.without(taken(who).with(taken(ANYONE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_given_and_taken() {
        let rights = |letters: &str| Rights::parse(letters.as_bytes()).unwrap();
        let mut list = AccessList::default();
        assert!(list.set("bob@x", rights("lrs")));
        assert!(list.set("anyone", rights("lrp")));
        assert!(list.set("-bob@x", rights("p")));
        assert_eq!(list.rights_of("bob@x"), rights("lrs"));
        assert_eq!(list.rights_of("eve@x"), rights("lrp"));
        assert!(list.set("anyone", Rights::NONE));
        assert_eq!(list.rights_of("eve@x"), Rights::NONE);
        assert_eq!(list.kept().unwrap(), "lrs bob@x\np -bob@x\n");
    }
}
