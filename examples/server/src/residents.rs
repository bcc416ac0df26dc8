//! The accounts of this server as the directory of the service.

use hikyaku_mailstore::{Account, BoxFuture, Result, Store};
use hikyaku_service::{Authors, Directory, Guess, ScramKeys, TooMany, Turn, Whose};
use hikyaku_smtp_proto::ForwardPath;
use hikyaku_wire::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use webmail::Throttle;

use crate::{Accounts, Config};

/// The accounts of the store, what the configuration says of them, and what slows down guessing.
pub(crate) struct Residents {
    pub(crate) accounts: Accounts,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) config: Arc<Config>,
}

impl Directory for Residents {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        Box::pin(self.accounts.find(name))
    }

    fn verify<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Account>>> {
        let password = password.expose_str().unwrap_or("");
        Box::pin(self.accounts.verify(name, password))
    }

    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        Box::pin(async move {
            let first = self.config.domains.first().map_or("", |domain| domain);
            let (local_part, domain) = match path.mailbox() {
                Some(mailbox) => (mailbox.local_part(), mailbox.domain()),
                None => ("postmaster".into(), first),
            };
            if path.mailbox().is_some() && !self.config.is_local(domain) {
                return Ok(Whose::Elsewhere);
            }
            let name = Accounts::name_of(&local_part, domain);
            // RFC 5321 §4.5.1: a postmaster there always is: without an own account, the first one.
            if local_part.eq_ignore_ascii_case("postmaster")
                && self.store.account(&name).await?.is_none()
                && let Some(first) = self.store.accounts("", 1).await?.pop()
            {
                return Ok(Whose::Account(first.name));
            }
            Ok(Whose::Account(name))
        })
    }

    fn mechanisms(&self) -> &[&'static str] {
        &["PLAIN", "LOGIN", "SCRAM-SHA-256"]
    }

    fn scram_keys<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ScramKeys>>> {
        Box::pin(async move {
            let account = self.accounts.find(name).await?;
            let keys = account.as_ref().and_then(Accounts::scram_keys);
            // A name that there is not gets keys that nothing proves: it looks as one that there is.
            Ok(Some(
                keys.unwrap_or_else(|| self.accounts.nobodys_keys(name)),
            ))
        })
    }

    fn turn<'a>(
        &'a self,
        peer: IpAddr,
        name: &'a str,
    ) -> BoxFuture<'a, std::result::Result<Turn, TooMany>> {
        Box::pin(async move {
            let name = self.accounts.login_name(name);
            let turn = self.throttle.turn(Some(peer), &name).await;
            let turn = turn.map_err(|_| TooMany)?;
            Ok(Turn::new(move |guess| {
                Box::pin(async move {
                    match guess {
                        Guess::Right => turn.succeeded(),
                        Guess::Wrong => turn.failed().await,
                        Guess::Undecided => turn.undecided(),
                    }
                })
            }))
        })
    }

    fn authors(&self, account: Option<&Account>, peer: IpAddr) -> Authors {
        let senders = &self.config.senders;
        match account {
            Some(account) if senders.own_only => {
                let own = senders.aliases.iter();
                let own = own.filter(|(name, _)| name.eq_ignore_ascii_case(&account.name));
                let aliases = own.flat_map(|(_, aliases)| aliases);
                Authors::only(std::iter::once(&account.name).chain(aliases))
            }
            None if senders.protect && !senders.exempt.contains(peer) => {
                Authors::none_of(&self.config.domains)
            }
            _ => Authors::anybody(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Server;
    use bytes::Bytes;
    use hikyaku_mailstore::{Want, Which};
    use hikyaku_smtp_proto::ReversePath;

    /// What is answered to a message of alice's for bob, with that header section.
    async fn sent(server: &Server, head: &str) -> String {
        let mailbox =
            |address: &str| hikyaku_smtp_proto::Mailbox::parse(address.as_bytes()).unwrap();
        let alice = "alice@example.test";
        let account = server.accounts().find(alice).await.unwrap().unwrap();
        let shared = server.shared();
        let authors = shared
            .residents
            .authors(Some(&account), IpAddr::from([127, 0, 0, 1]));
        let replies = shared.service.submit(
            &account,
            authors,
            ReversePath(Some(mailbox(alice))),
            vec![ForwardPath::Mailbox(mailbox("bob@example.test"))],
            Bytes::from(format!("{head}\r\n\r\nHello.\r\n")),
        );
        let replies = replies.await.unwrap();
        assert_eq!(replies.len(), 1);
        replies[0].to_string()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_webmail_writes_as_the_one_who_has_logged_in() {
        let data = tempfile::tempdir().unwrap();
        let text = format!(
            "hostname = \"mx.test\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n[listen]\n\
             imap = \"127.0.0.1:0\"\n[store]\nkind = \"memory\"\n\
             [senders.aliases]\n\"alice@example.test\" = [\"sales@example.test\"]\n",
            data.path().display()
        );
        let config = Config::parse(&text).unwrap();
        let server = Server::start(config).await.unwrap();
        for name in ["alice", "bob"] {
            let address = format!("{name}@example.test");
            server.accounts().add(&address, "a secret").await.unwrap();
        }
        for (head, expected) in [
            ("From: Alice <alice@example.test>", "250 "),
            ("From: sales@example.test", "250 "),
            ("Subject: none", "250 "),
            ("From: bob@example.test", "550 5.7.1 "),
            ("From: alice@elsewhere.test", "550 5.7.1 "),
            (
                "From: alice@example.test\r\nSender: bob@example.test",
                "550 5.7.1 ",
            ),
            (
                "Subject: x\r\nFrom: bob@example.test\r\nFrom: alice@example.test",
                "550 5.7.1 ",
            ),
        ] {
            let said = sent(&server, head).await;
            assert!(said.starts_with(expected), "{head}: {said}");
        }
        // What is refused is nowhere, and From is added where it is missing.
        let bob = server.accounts().find("bob").await.unwrap().unwrap().id;
        let store = server.store();
        let all = store.mailboxes(bob, None).await.unwrap().mailboxes;
        let inbox = all.iter().find(|one| one.name == "INBOX").unwrap().id;
        let page = store.messages(inbox, &Which::After(None), Want::ROW, 9);
        let rows = page.await.unwrap().rows;
        assert_eq!(rows.len(), 3);
        let body = &rows[2].body;
        let octets = store.read(body, 0..body.octets).await.unwrap();
        let text = String::from_utf8_lossy(&octets);
        assert!(
            text.contains("\r\nFrom: <alice@example.test>\r\n"),
            "{text}"
        );
        server.stop().await;
    }

    fn residents(more: &str) -> Residents {
        let text = "hostname = \"mx.test\"\ndomains = [\"example.test\"]\n";
        let store: Arc<dyn Store> = Arc::new(hikyaku_mailstore::Memory::new());
        Residents {
            accounts: Accounts::new(Arc::clone(&store), vec!["example.test".into()], 0),
            store,
            throttle: Arc::default(),
            config: Arc::new(Config::parse(&format!("{text}{more}")).unwrap()),
        }
    }

    #[tokio::test]
    async fn people_write_as_configured_and_nobody_from_outside_as_them() {
        let here = IpAddr::from([192, 0, 2, 1]);
        let configured = residents(
            "[senders]\nexempt = [\"192.0.2.7\"]\n[senders.aliases]\n\"Alice@example.test\" = [\"sales@example.test\"]\n",
        );
        let id = configured
            .store
            .create_account("alice@example.test")
            .await
            .unwrap();
        let alice = configured.store.account_by_id(id).await.unwrap().unwrap();
        let own = Authors::only(["alice@example.test", "sales@example.test"]);
        assert_eq!(configured.authors(Some(&alice), here), own);
        let outside = Authors::none_of(["example.test"]);
        assert_eq!(configured.authors(None, here), outside);
        let exempt = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(configured.authors(None, exempt), Authors::anybody());
        let off = residents("[senders]\nown_only = false\nprotect = false\n");
        assert_eq!(off.authors(Some(&alice), here), Authors::anybody());
        assert_eq!(off.authors(None, here), Authors::anybody());
    }

    #[tokio::test]
    async fn there_is_always_a_postmaster() {
        let residents = residents("");
        let path = |text: &str| {
            let mailbox = hikyaku_smtp_proto::Mailbox::parse(text.as_bytes()).unwrap();
            ForwardPath::Mailbox(mailbox)
        };
        let account = |name: &str| Whose::Account(name.into());
        for name in ["zoe@example.test", "bob@example.test"] {
            residents.store.create_account(name).await.unwrap();
        }
        let postmaster = path("PostMaster@EXAMPLE.test");
        for path in [&postmaster, &ForwardPath::Postmaster] {
            let whose = residents.whose(path).await.unwrap();
            assert_eq!(whose, account("bob@example.test"));
        }
        residents
            .store
            .create_account("postmaster@example.test")
            .await
            .unwrap();
        let whose = residents.whose(&postmaster).await.unwrap();
        assert_eq!(whose, account("postmaster@example.test"));
        let whose = residents.whose(&path("Zoe+x@example.test")).await.unwrap();
        assert_eq!(whose, account("zoe@example.test"));
        let whose = residents.whose(&path("zoe@elsewhere.test")).await.unwrap();
        assert_eq!(whose, Whose::Elsewhere);
    }
}
