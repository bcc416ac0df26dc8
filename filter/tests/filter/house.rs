//! A server with two mailboxes and a filter.

use hikyaku_mailstore::{
    Account, BoxFuture, Memory, Operation, Result, Store, Transaction, Want, Which,
};
use hikyaku_service::{Directory, Examiner, Options, Reception, Service, Stream, Whose};
use hikyaku_smtp_proto::ForwardPath;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

struct Everybody(Arc<dyn Store>);

impl Directory for Everybody {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        self.0.account(name)
    }

    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        let name = path.mailbox().map(ToString::to_string).unwrap_or_default();
        Box::pin(async { Ok(Whose::Account(name)) })
    }
}

pub(crate) struct House {
    store: Arc<dyn Store>,
    service: Arc<Service>,
}

/// What became of a message.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What was answered to it.
    pub(crate) reply: String,
    /// As bob has it, without the fields of the server.
    pub(crate) stored: Option<String>,
    pub(crate) junk: bool,
}

impl Outcome {
    /// The message, which is accepted into the INBOX.
    #[track_caller]
    pub(crate) fn inbox(self) -> String {
        assert!(!self.junk, "{self:?}");
        assert!(self.reply.starts_with("250 "), "{self:?}");
        self.stored.unwrap()
    }
}

impl House {
    pub(crate) async fn new(examiner: impl Examiner + 'static) -> Self {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        for name in ["bob@x.test", "carol@x.test"] {
            let id = store.create_account(name).await.unwrap();
            let junk = Operation::Create {
                name: "Spam".into(),
                special_use: Some("\\Junk".into()),
                uid_validity: None,
            };
            store.commit(Transaction::new(id).with(junk)).await.unwrap();
        }
        let mut options = Options::new("mx.test");
        options.examiner = Some(Arc::new(examiner));
        let directory = Arc::new(Everybody(Arc::clone(&store)));
        let service = Arc::new(Service::new(Arc::clone(&store), directory, options));
        Self { store, service }
    }

    /// Sends a message to bob and carol.
    pub(crate) async fn send(&self, message: &str) -> Outcome {
        let before = [self.count("INBOX").await, self.count("Spam").await];
        let lines = format!(
            "EHLO client.test\r\nMAIL FROM:<a@y.test>\r\nRCPT TO:<bob@x.test>\r\n\
             RCPT TO:<carol@x.test>\r\nDATA\r\n{message}.\r\nQUIT\r\n"
        );
        let (mut client, server) = tokio::io::duplex(1 << 16);
        let service = Arc::clone(&self.service);
        let task = tokio::spawn(async move {
            let guest = IpAddr::from([192, 0, 2, 1]);
            let stream = Stream::new(server, false);
            service.smtp(stream, Reception::Relay, &guest).await;
        });
        client.write_all(lines.as_bytes()).await.unwrap();
        let mut said = String::new();
        client.read_to_string(&mut said).await.unwrap();
        task.await.unwrap();
        let mut replies = said.lines().skip_while(|line| !line.starts_with("354"));
        let reply = replies.nth(1).unwrap_or_else(|| panic!("{said}"));
        let after = [self.count("INBOX").await, self.count("Spam").await];
        let junk = after[1] > before[1];
        let stored = match (after == before, junk) {
            (true, _) => None,
            (false, true) => self.last("Spam").await,
            (false, false) => self.last("INBOX").await,
        };
        Outcome {
            reply: reply.to_owned(),
            stored,
            junk,
        }
    }

    async fn rows(&self, mailbox: &str) -> Vec<hikyaku_mailstore::Row> {
        let found = self.store.find("bob@x.test", mailbox).await.unwrap();
        let (_, mailbox) = found.unwrap();
        let page = self
            .store
            .messages(mailbox.id, &Which::After(None), Want::ROW, 99);
        page.await.unwrap().rows
    }

    async fn count(&self, mailbox: &str) -> usize {
        self.rows(mailbox).await.len()
    }

    async fn last(&self, mailbox: &str) -> Option<String> {
        let row = self.rows(mailbox).await.pop()?;
        let octets = self
            .store
            .read(&row.body, 0..row.body.octets)
            .await
            .unwrap();
        let text = String::from_utf8(octets.to_vec()).unwrap();
        // Return-Path on one line, Received on several.
        let (_, rest) = text.split_once("\r\nReceived: ").unwrap();
        let begin = rest
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with(['\t', ' ']));
        let begin = begin.count() + 1;
        Some(rest.split_inclusive('\n').skip(begin).collect())
    }
}
