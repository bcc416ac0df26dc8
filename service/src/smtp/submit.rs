//! Submission from inside the server, as by the webmail.

use bytes::Bytes;
use hikyaku_mailstore::{Account, Result};
use hikyaku_smtp_proto::{ForwardPath, MailParameters, RcptParameters, Reply, ReversePath};
use tracing::info;

use super::delivery::{Parcel, deliver};
use super::examined::{Of, examined};
use super::expand::{Means, means};
use super::form::shape;
use super::id::queue_id;
use super::incoming::{Incoming, Trace};
use super::recipient::Recipient;
use super::refusal::{exists, known};
use crate::Authors;
use crate::examiner::Examiner;
use crate::options::Happened;
use crate::service::Service;
use crate::traced::{Client, What};
use hikyaku_mailstore::unix_now;
use hikyaku_message::DateTime;

impl Service {
    /// Submits a message from inside the server, as a web page does: delivers it to mailboxes here and queues
    /// it for other domains. Returns a reply for each path, in their order. A positive reply says that the
    /// message is on stable storage.
    ///
    /// # Errors
    /// The error of the store, when nothing was done.
    pub async fn submit(
        &self,
        account: &Account,
        authors: Authors,
        reverse_path: ReversePath,
        paths: Vec<ForwardPath>,
        message: Bytes,
    ) -> Result<Vec<Reply>> {
        let id = queue_id();
        let client = Client {
            by: "webmail",
            address: None,
            tls: None,
            hello: String::new(),
            account: Some(account.name.clone()),
        };
        let refusal = match self.options.examiner.as_deref() {
            Some(examiner) => examiner.mail(&client, &reverse_path).await,
            None => None,
        };
        let from = reverse_path.0.as_ref();
        let what = What::Mail {
            from: &from.map_or("<>".into(), ToString::to_string),
            refusal: refusal.as_ref(),
        };
        self.trace(&id, &client, what);
        if let Some(refusal) = refusal {
            return Ok(vec![refusal; paths.len()]);
        }
        let octets = message.len() as u64;
        let mut replies: Vec<Option<Reply>> = Vec::new();
        let mut recipients = Vec::new();
        for path in &paths {
            let to = path.mailbox();
            let to = to.map_or("postmaster".into(), ToString::to_string);
            let found = self.submitted(&client, &reverse_path, (path, &to), octets);
            replies.push(match found.await? {
                Ok(recipient) => {
                    recipients.push(recipient);
                    None
                }
                Err(refusal) => Some(refusal),
            });
            let what = What::Recipient {
                to: &to,
                refusal: replies.last().and_then(Option::as_ref),
            };
            self.trace(&id, &client, what);
        }
        let hostname = self.options.hostname.clone();
        let trace = Trace {
            received: format!(
                "Received: by {hostname} with HTTP id {id};\r\n\t{}\r\n",
                DateTime::utc(unix_now())
            ),
            complete: true,
            authors,
            hostname,
            id: id.clone(),
        };
        let count = recipients.len();
        let outcome = if recipients.is_empty() {
            Vec::new()
        } else {
            let examiner = self.options.examiner.as_deref();
            let reads = examiner.is_some_and(Examiner::reads_messages);
            let room = reads.then_some(&self.room);
            let forms = shape(&mut recipients, &reverse_path);
            let mut incoming = Incoming::begin(&*self.store, forms, trace, room).await?;
            incoming.chunk(message).await;
            let of = Of {
                id: &id,
                client: &client,
                reverse_path: &reverse_path,
            };
            match examined(self, incoming, of, &mut recipients).await {
                Ok(arrived) => {
                    self.happened(Happened::Received);
                    info!(id, "message from the webmail");
                    let mut parameters = MailParameters::default();
                    parameters.smtputf8 = paths.iter().any(ForwardPath::is_international);
                    let parcel = Parcel {
                        arrived,
                        reverse_path,
                        parameters,
                        recipients,
                        id,
                        owner: account.id,
                        client: &client,
                    };
                    deliver(self, parcel, true).await
                }
                Err(reply) => {
                    let what = What::Answered {
                        octets,
                        reply: &reply,
                    };
                    self.trace(&id, &client, what);
                    vec![reply; count]
                }
            }
        };
        let mut outcome = outcome.into_iter();
        let lost = Reply::new(451, "4.3.0", "Try again later");
        Ok(replies
            .into_iter()
            .map(|known| {
                known
                    .or_else(|| outcome.next())
                    .unwrap_or_else(|| lost.clone())
            })
            .collect())
    }

    /// Who a path means, as far as nobody refuses them.
    async fn submitted(
        &self,
        client: &Client,
        from: &ReversePath,
        (path, to): (&ForwardPath, &str),
        octets: u64,
    ) -> Result<std::result::Result<Recipient, Reply>> {
        let examiner = self.options.examiner.as_deref();
        if let Some(examiner) = examiner
            && let Some(refusal) = examiner.before_recipient(client, from, to).await
        {
            return Ok(Err(refusal));
        }
        let asked = RcptParameters::default();
        let found = match means(self, path, &asked, octets).await? {
            Means::Elsewhere(_) if self.queue().is_none() => {
                Err(Reply::new(550, "5.7.1", "Relaying denied"))
            }
            Means::Elsewhere(mailbox) => Ok(Recipient::elsewhere(&mailbox, asked)),
            means => known(means, from),
        };
        if let Some(examiner) = examiner
            && let Some(exists) = exists(&found)
            && let Some(refusal) = examiner.recipient(client, from, to, exists).await
        {
            return Ok(Err(refusal));
        }
        Ok(found)
    }
}
