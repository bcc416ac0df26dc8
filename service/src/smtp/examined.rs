//! A message that has come is looked at before it is accepted.

use bytes::Bytes;
use hikyaku_smtp_proto::{Reply, ReversePath};
use tracing::warn;

use super::incoming::{Arrived, Failure, Incoming};
use super::recipient::{Local, Recipient};
use crate::examiner::{Arrival, Opinion, Remarks};
use crate::service::Service;
use crate::traced::{Client, What};

/// What a message belongs to.
pub(super) struct Of<'a> {
    pub(super) id: &'a str,
    pub(super) client: &'a Client,
    pub(super) reverse_path: &'a ReversePath,
}

/// Has the message looked at, where somebody does, and ends it. Junk goes into the recipients' mailboxes for junk.
pub(super) async fn examined(
    service: &Service,
    mut incoming: Box<Incoming>,
    of: Of<'_>,
    recipients: &mut [Recipient],
) -> Result<Arrived, Reply> {
    let addresses: Vec<String> = recipients.iter().map(|one| one.address.clone()).collect();
    let goes_elsewhere = recipients.iter().any(|one| !one.elsewhere.is_empty());
    let examine = async |message: Bytes| match service.options.examiner.as_deref() {
        Some(examiner) => {
            let arrival = Arrival {
                id: of.id,
                client: of.client,
                reverse_path: of.reverse_path,
                recipients: &addresses,
                goes_elsewhere,
                message: &message,
            };
            examiner.message(arrival).await
        }
        None => Opinion::Accept(Remarks::default()),
    };
    let (junk, notes) = incoming.examined(examine).await?;
    for note in &notes {
        service.trace(of.id, of.client, What::Noted { note });
    }
    if junk {
        for local in recipients.iter_mut().flat_map(|one| &mut one.here) {
            into_junk(service, local).await;
        }
    }
    incoming.finish().await.map_err(Failure::reply)
}

/// Changes where a message goes: into the mailbox for junk, where there is one.
async fn into_junk(service: &Service, local: &mut Local) {
    let found = async {
        let Some(account) = service.store.account(&local.address).await? else {
            return Ok(None);
        };
        let all = service.store.mailboxes(account.id, None).await?.mailboxes;
        let is_junk = |special_use: &str| special_use.eq_ignore_ascii_case("\\Junk");
        Ok(all
            .into_iter()
            .find(|one| one.special_use.as_deref().is_some_and(is_junk)))
    };
    let found: hikyaku_mailstore::Result<_> = found.await;
    match found {
        Ok(Some(junk)) => local.mailbox = junk.id,
        Ok(None) => {}
        // Better in INBOX than nowhere.
        Err(error) => warn!(%error, "the mailbox for junk could not be looked up"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hikyaku_mailstore::{
        Account, BoxFuture, Memory, Operation, Result, Store, Transaction, Want, Which,
    };
    use hikyaku_smtp_proto::{ForwardPath, Reply, ReversePath};
    use std::net::IpAddr;
    use std::sync::{Arc, Mutex};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use crate::{
        Arrival, Client, Directory, Examiner, Opinion, Options, Reception, Remarks, Service, Whose,
    };

    struct Everybody(Arc<dyn Store>);

    impl Directory for Everybody {
        fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
            self.0.account(name)
        }

        fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
            let name = path.mailbox().map(ToString::to_string).unwrap_or_default();
            assert!(!name.starts_with("early"), "it is refused before");
            Box::pin(async { Ok(Whose::Account(name)) })
        }
    }

    /// Does what the addresses and the subject say, and notes for whom messages were accepted.
    #[derive(Default)]
    struct Scripted {
        accepted: Mutex<Vec<String>>,
        reads_none: bool,
    }

    impl Examiner for Scripted {
        fn mail<'a>(
            &'a self,
            _: &'a Client,
            from: &'a ReversePath,
        ) -> BoxFuture<'a, Option<Reply>> {
            let refused = from.to_string().contains("refused");
            Box::pin(async move { refused.then(|| Reply::new(550, "5.7.25", "No")) })
        }

        fn before_recipient<'a>(
            &'a self,
            _: &'a Client,
            _: &'a ReversePath,
            to: &'a str,
        ) -> BoxFuture<'a, Option<Reply>> {
            let refused = to.starts_with("early");
            Box::pin(async move { refused.then(|| Reply::new(450, "4.7.1", "Slowly")) })
        }

        fn reads_messages(&self) -> bool {
            !self.reads_none
        }

        fn accepted(&self, _: &Client, from: &ReversePath, recipients: &[String]) {
            let words = format!("{from} {}", recipients.join(","));
            self.accepted.lock().unwrap().push(words);
        }

        fn recipient<'a>(
            &'a self,
            client: &'a Client,
            _: &'a ReversePath,
            to: &'a str,
            exists: bool,
        ) -> BoxFuture<'a, Option<Reply>> {
            assert_eq!(client.hello, "client.test");
            let text = format!("{to} exists: {exists}");
            let later = to.starts_with("later");
            Box::pin(async move { later.then(|| Reply::new(451, "4.7.1", text.into_bytes())) })
        }

        fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
            let text = String::from_utf8_lossy(arrival.message).into_owned();
            Box::pin(async move {
                if text.contains("Subject: refuse") {
                    return Opinion::Refuse(Reply::new(550, "5.7.26", "Forged"));
                }
                let message = text.contains("Subject: rewrite");
                Opinion::Accept(Remarks {
                    fields: format!("X-To: {}\r\n", arrival.recipients.join(",")).into(),
                    message: message.then(|| Bytes::from("Subject: rewritten\r\n\r\nanew\r\n")),
                    elsewhere: "X-Elsewhere: yes\r\n".into(),
                    junk: text.contains("Subject: junk"),
                    notes: Vec::new(),
                })
            })
        }
    }

    async fn house(examined: usize) -> (Arc<dyn Store>, Arc<Service>) {
        with(examined, Arc::default()).await
    }

    async fn with(examined: usize, examiner: Arc<Scripted>) -> (Arc<dyn Store>, Arc<Service>) {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let id = store.create_account("bob@x.test").await.unwrap();
        let junk = Operation::Create {
            name: "Spam".into(),
            special_use: Some("\\Junk".into()),
            uid_validity: None,
        };
        store.commit(Transaction::new(id).with(junk)).await.unwrap();
        let mut options = Options::new("mx.test");
        options.examiner = Some(examiner);
        options.examined = examined;
        let directory = Arc::new(Everybody(Arc::clone(&store)));
        let service = Arc::new(Service::new(Arc::clone(&store), directory, options));
        (store, service)
    }

    /// What is answered to those lines.
    async fn said(service: &Arc<Service>, reception: Reception, lines: &str) -> String {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let serving = Arc::clone(service);
        let guest = IpAddr::from([192, 0, 2, 1]);
        let stream = crate::Stream::new(server, false);
        let task = tokio::spawn(async move { serving.smtp(stream, reception, &guest).await });
        client.write_all(lines.as_bytes()).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        task.await.unwrap();
        said
    }

    fn transaction(from: &str, to: &str, message: &str) -> String {
        format!(
            "EHLO client.test\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n{message}.\r\nQUIT\r\n"
        )
    }

    /// The last message of a mailbox of bob's.
    async fn last(store: &dyn Store, mailbox: &str) -> Option<String> {
        let (_, mailbox) = store.find("bob@x.test", mailbox).await.unwrap()?;
        let page = store.messages(mailbox.id, &Which::After(None), Want::ROW, 99);
        let row = page.await.unwrap().rows.pop()?;
        let octets = store.read(&row.body, 0..row.body.octets).await.unwrap();
        Some(String::from_utf8_lossy(&octets).into_owned())
    }

    #[tokio::test]
    async fn what_is_examined_is_refused_accepted_or_junk() {
        let (store, service) = house(1 << 20).await;
        for (from, to, message, expected) in [
            (
                "refused@y.test",
                "bob@x.test",
                "Subject: a\r\n\r\n",
                "550 5.7.25 No",
            ),
            (
                "a@y.test",
                "later@x.test",
                "Subject: a\r\n\r\n",
                "451 4.7.1 later@x.test exists: false",
            ),
            (
                "a@y.test",
                "early@x.test",
                "Subject: a\r\n\r\n",
                "450 4.7.1 Slowly",
            ),
            (
                "a@y.test",
                "bob@x.test",
                "Subject: refuse\r\n\r\n",
                "550 5.7.26 Forged",
            ),
        ] {
            let said = said(&service, Reception::Relay, &transaction(from, to, message)).await;
            assert!(said.contains(expected), "{said}");
            assert!(!said.contains("Accepted"), "{said}");
        }
        assert_eq!(last(&*store, "INBOX").await, None);
        for (subject, mailbox, begins, ends) in [
            (
                "plain",
                "INBOX",
                "X-To: bob@x.test\r\nSubject: plain\r\n",
                "\r\n\r\nbody\r\n",
            ),
            (
                "rewrite",
                "INBOX",
                "X-To: bob@x.test\r\nSubject: rewritten\r\n",
                "\r\n\r\nanew\r\n",
            ),
            (
                "junk",
                "Spam",
                "X-To: bob@x.test\r\nSubject: junk\r\n",
                "\r\n\r\nbody\r\n",
            ),
        ] {
            let message = format!("Subject: {subject}\r\n\r\nbody\r\n");
            let lines = transaction("a@y.test", "bob@x.test", &message);
            let said = said(&service, Reception::Relay, &lines).await;
            assert!(said.contains("Accepted as"), "{said}");
            let stored = last(&*store, mailbox).await.unwrap();
            assert!(
                stored.starts_with("Return-Path: <a@y.test>\r\nReceived: "),
                "{stored}"
            );
            assert!(
                stored.contains(begins) && stored.ends_with(ends),
                "{stored}"
            );
            assert_eq!(stored.matches("X-To").count(), 1);
            assert!(!stored.contains("X-Elsewhere"), "{stored}");
        }
    }

    #[tokio::test]
    async fn without_room_the_client_comes_again_and_by_lmtp_nothing_is_examined() {
        let (store, service) = house(8192).await;
        let large = format!("Subject: a\r\n\r\n{}", "0123456789\r\n".repeat(1000));
        let lines = transaction("a@y.test", "bob@x.test", &large);
        let answer = said(&service, Reception::Relay, &lines).await;
        assert!(answer.contains("451 4.3.2 "), "{answer}");
        assert_eq!(last(&*store, "INBOX").await, None);
        let small = transaction("a@y.test", "bob@x.test", "Subject: refuse\r\n\r\n");
        let small = small.replace("EHLO", "LHLO");
        let answer = said(&service, Reception::Lmtp, &small).await;
        assert!(answer.contains("250 2.0.0 Delivered"), "{answer}");
        let stored = last(&*store, "INBOX").await.unwrap();
        assert!(!stored.contains("X-To"), "{stored}");
    }

    #[tokio::test]
    async fn what_nobody_reads_is_not_held_and_what_was_accepted_is_reported() {
        let examiner = Arc::new(Scripted {
            reads_none: true,
            ..Scripted::default()
        });
        let (store, service) = with(8192, Arc::clone(&examiner)).await;
        let large = format!("Subject: refuse\r\n\r\n{}", "0123456789\r\n".repeat(1000));
        let lines = transaction("a@y.test", "bob@x.test", &large);
        let answer = said(&service, Reception::Relay, &lines).await;
        assert!(answer.contains("250 2.0.0 Accepted"), "{answer}");
        assert!(!last(&*store, "INBOX").await.unwrap().contains("X-To"));
        let lines = transaction("a@y.test", "nobody@x.test", "Subject: a\r\n\r\n");
        said(&service, Reception::Relay, &lines).await;
        let accepted = examiner.accepted.lock().unwrap().clone();
        assert_eq!(accepted, ["<a@y.test> bob@x.test"]);
    }
}
