//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use bytes::Bytes;
use imap_proto::{Acl, AclChange, ListRights, MailboxName, Response, ResponseCode, Rights, SetAcl};
use mailstore::Mailbox;

use super::access::AccessList;
use super::{End, Ended, Session};

impl Session<'_> {
    async fn administered(&self, name: &MailboxName) -> Result<Mailbox, End> {
        Ok(self.find(name).await?.needs(b'a')?.mailbox)
    }

    async fn owner(&self, mailbox: &Mailbox) -> Result<String, End> {
        let owner = self.shared.store.account_by_id(mailbox.id.account).await?;
        Ok(owner.map(|owner| owner.name).unwrap_or_default())
    }

    pub(super) async fn get_acl(&mut self, name: &MailboxName) -> Ended {
        let mailbox = self.administered(name).await?;
        let mut entries = vec![(
            self.owner(&mailbox).await?.into(),
            Rights::all().with_obsolete(),
        )];
        let list = AccessList::of(&mailbox);
        let told = |(who, rights): &(String, Rights)| (who.clone().into(), rights.with_obsolete());
        entries.extend(list.entries().iter().map(told));
        self.respond(&Response::Acl(Acl {
            mailbox: name.clone(),
            entries,
        }));
        Ok(End::ok("Access list"))
    }

    pub(super) async fn set_acl(&mut self, set: SetAcl) -> Ended {
        let mailbox = self.administered(&set.mailbox).await?;
        let who = self.identifier(&set.identifier).await?;
        let given = set.rights.modern();
        if !given.without(Rights::all()).is_empty() {
            // RFC 4314 §3.1: rights that there are not are refused.
            return Err(End::bad("Not a right that there is here"));
        }
        if who.trim_start_matches('-') == self.owner(&mailbox).await? {
            return Err(End::no(
                ResponseCode::Cannot,
                "The owner has all rights, always",
            ));
        }
        let mut list = AccessList::of(&mailbox);
        let before = list.get(&who);
        let rights = match set.change {
            AclChange::Replace => given,
            AclChange::Add => before.with(given),
            AclChange::Remove => before.without(given),
        };
        if !list.set(&who, rights) {
            return Err(End::no(ResponseCode::Limit, "The list is full"));
        }
        self.keep_access(&mailbox, &who, &list).await?;
        Ok(End::ok("Set"))
    }

    pub(super) async fn delete_acl(&mut self, name: &MailboxName, identifier: &[u8]) -> Ended {
        let mailbox = self.administered(name).await?;
        // Who has no account any more may still be in the list.
        let who = match self.identifier(identifier).await {
            Ok(who) => who,
            Err(_) => String::from_utf8_lossy(identifier).into_owned(),
        };
        let mut list = AccessList::of(&mailbox);
        list.set(&who, Rights::NONE);
        self.keep_access(&mailbox, &who, &list).await?;
        Ok(End::ok("Taken out"))
    }

    pub(super) async fn list_rights(&mut self, name: &MailboxName, identifier: Bytes) -> Ended {
        let mailbox = self.administered(name).await?;
        let who = self.identifier(&identifier).await?;
        let owner = who == self.owner(&mailbox).await?;
        let (always, optional) = match owner {
            true => (Rights::all().with_obsolete(), Vec::new()),
            false => (Rights::NONE, each(Rights::all().with_obsolete())),
        };
        self.respond(&Response::ListRights(ListRights {
            mailbox: name.clone(),
            identifier,
            required: always,
            optional,
        }));
        Ok(End::ok("Rights that there are"))
    }

    pub(super) async fn my_rights(&mut self, name: &MailboxName) -> Ended {
        let rights = self.find(name).await?.rights;
        self.respond(&Response::MyRights(name.clone(), rights.with_obsolete()));
        Ok(End::ok("Your rights"))
    }
}

/// Each by itself: none is tied to another.
fn each(rights: Rights) -> Vec<Rights> {
    rights
        .iter()
        .filter_map(|right| Rights::parse(&[right]))
        .collect()
}
