//! A message that a person hands over inside the server: what the webmail sends.

use bytes::Bytes;
use mailstore::AccountId;
use smtp_proto::{ForwardPath, Reply, ReversePath};
use tracing::info;

use super::author::Authors;
use super::delivery::{Parcel, deliver, local_recipient};
use super::incoming::{Incoming, Trace, now};
use super::{Recipient, queue_id};
use crate::metrics::count;
use crate::server::Shared;

/// Delivers it here and queues it for elsewhere: a reply for each path, in their order. A positive one
/// says that the message is on stable storage.
pub(crate) async fn submit(
    shared: &Shared,
    owner: AccountId,
    account: &str,
    reverse_path: ReversePath,
    paths: Vec<ForwardPath>,
    message: Bytes,
) -> mailstore::Result<Vec<Reply>> {
    let id = queue_id();
    let mut replies: Vec<Option<Reply>> = Vec::new();
    let mut recipients = Vec::new();
    for path in &paths {
        let elsewhere = path
            .mailbox()
            .filter(|m| !shared.config.is_local(m.domain()));
        if let Some(mailbox) = elsewhere {
            recipients.push(Recipient::Elsewhere(mailbox.clone()));
            replies.push(None);
            continue;
        }
        replies.push(match local_recipient(shared, path).await? {
            Some((local, quota)) if quota.admits(message.len() as u64, 1) => {
                recipients.push(Recipient::Here(local));
                None
            }
            Some(_) => Some(Reply::new(452, "4.2.2", "Mailbox full")),
            None => Some(Reply::new(550, "5.1.1", "No such mailbox here")),
        });
    }
    let is_here = |one: &Recipient| matches!(one, Recipient::Here(_));
    let here: Vec<bool> = recipients.iter().map(is_here).collect();
    let hostname = shared.config.hostname.clone();
    let trace = Trace {
        return_path: reverse_path.to_string(),
        received: format!(
            "Received: by {hostname} with HTTP id {id};\r\n\t{}\r\n",
            now()
        ),
        complete: true,
        authors: Authors::of_account(&shared.config, account),
        hostname,
        id: id.clone(),
    };
    let outcome = if recipients.is_empty() {
        Vec::new()
    } else {
        let (any_here, any_elsewhere) = (here.contains(&true), here.contains(&false));
        let mut incoming = Incoming::begin(&*shared.store, any_here, any_elsewhere, trace).await?;
        incoming.chunk(message).await;
        match incoming.finish().await {
            Ok(arrived) => {
                count(&shared.metrics.messages_received_total);
                info!(id, "message from the webmail");
                let smtputf8 = paths
                    .iter()
                    .filter_map(ForwardPath::mailbox)
                    .any(smtp_proto::Mailbox::is_international);
                let parcel = Parcel {
                    arrived,
                    reverse_path,
                    smtputf8,
                    recipients,
                    id,
                    owner,
                };
                deliver(shared, parcel, true).await
            }
            Err(failure) => vec![failure.reply(); here.len()],
        }
    };
    // One for each that is here, when the queue took the others; else one for all.
    let queued = outcome.len() == here.iter().filter(|is| **is).count();
    let mut outcome = outcome.into_iter();
    let accepted = Reply::new(250, "2.0.0", "Queued");
    let mut of = here.into_iter().map(|is_here| match (is_here, queued) {
        (false, true) => Some(accepted.clone()),
        _ => outcome.next(),
    });
    let lost = Reply::new(451, "4.3.0", "Try again later");
    Ok(replies
        .into_iter()
        .map(|known| {
            known
                .or_else(|| of.next().flatten())
                .unwrap_or_else(|| lost.clone())
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Server};
    use mailstore::{Want, Which};

    /// What is answered to a message of alice's for bob, with that header section.
    async fn sent(server: &Server, head: &str) -> String {
        let mailbox = |address: &str| smtp_proto::Mailbox::parse(address.as_bytes()).unwrap();
        let alice = "alice@example.test";
        let owner = server.accounts().find(alice).await.unwrap().unwrap().id;
        let replies = submit(
            server.shared(),
            owner,
            alice,
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
}
