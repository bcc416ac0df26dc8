//! GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS (RFC 4314 §3).

use bytes::Bytes;
use hikyaku_imap_proto::{
    Acl, AclChange, ListRights, MailboxName, Response, ResponseCode, Rights, SetAcl,
};
use hikyaku_mailstore::Mailbox;

use super::access_list::AccessList;
use super::end::{End, Ended};
use super::session::Session;
use super::text::Text as T;

impl Session<'_> {
    async fn administered(&self, name: &MailboxName) -> Result<Mailbox, End> {
        Ok(self.find(name).await?.needs(b'a')?.mailbox)
    }

    async fn owner(&self, mailbox: &Mailbox) -> Result<String, End> {
        let owner = self.service.store.account_by_id(mailbox.id.account).await?;
        Ok(owner.map(|owner| owner.name).unwrap_or_default())
    }

    pub(super) async fn get_acl(&mut self, name: &MailboxName) -> Ended {
        let mailbox = self.administered(name).await?;
        let mut entries = vec![(
            self.owner(&mailbox).await?.into(),
            Rights::all().with_obsolete(),
        )];
        let list = AccessList::of(&mailbox);
        let entry = |(who, rights): &(String, Rights)| (who.clone().into(), rights.with_obsolete());
        entries.extend(list.entries().iter().map(entry));
        self.respond(&Response::Acl(Acl {
            mailbox: name.clone(),
            entries,
        }));
        Ok(End::ok(T::AccessList))
    }

    pub(super) async fn set_acl(&mut self, set: SetAcl) -> Ended {
        let mailbox = self.administered(&set.mailbox).await?;
        let who = self.identifier(&set.identifier).await?;
        let given = set.rights.modern();
        if !given.without(Rights::all()).is_empty() {
            // RFC 4314 §3.1: rights that there are not are refused.
            return Err(End::bad(T::NotARightThat));
        }
        if who.trim_start_matches('-') == self.owner(&mailbox).await? {
            return Err(End::no(ResponseCode::Cannot, T::TheOwnerHasAll));
        }
        let mut list = AccessList::of(&mailbox);
        let before = list.get(&who);
        let rights = match set.change {
            AclChange::Replace => given,
            AclChange::Add => before.with(given),
            AclChange::Remove => before.without(given),
        };
        if !list.set(&who, rights) {
            return Err(End::no(ResponseCode::Limit, T::TheListIsFull));
        }
        self.keep_access(&mailbox, &who, &list).await?;
        Ok(End::ok(T::Set))
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
        Ok(End::ok(T::TakenOut))
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
        Ok(End::ok(T::RightsThatThereAre))
    }

    pub(super) async fn my_rights(&mut self, name: &MailboxName) -> Ended {
        let rights = self.find(name).await?.rights;
        self.respond(&Response::MyRights(name.clone(), rights.with_obsolete()));
        Ok(End::ok(T::YourRights))
    }
}

/// Each by itself: none is tied to another.
fn each(rights: Rights) -> Vec<Rights> {
    rights
        .iter()
        .filter_map(|right| Rights::parse(&[right]))
        .collect()
}
