//! Reports are sent, each within some hours after its day (RFC 7489 §7.2).

use bytes::Bytes;
use hikyaku_mailstore::{AccountId, Transaction, unix_now};
use hikyaku_relay::{Entry, HERE};
use hikyaku_smtp_proto::{MailParameters, Mailbox, Notify, RcptParameters, ReversePath};
use hikyaku_trust::Checker;
use hikyaku_trust::dns::Unanswered;
use hikyaku_trust::reports::{Collected, Reporter};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{info, warn};

use super::counts::{Counts, DAY};
use crate::examine::{OwnMail, resolver};
use crate::shared::Shared;

/// How often reports are looked for that are due.
const LOOK: Duration = Duration::from_secs(1);
/// How often what was counted is written to its file: a server that dies forgets that much.
const SAVE: Duration = Duration::from_secs(5 * 60);
/// Reports that are sent before it is looked again.
const AT_A_TIME: usize = 16;

#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the queue: {0}")]
    Store(#[from] hikyaku_mailstore::Error),
    #[error("\"{0}\" is no address")]
    Address(String),
}

/// What reports are sent with.
struct Sender {
    shared: Arc<Shared>,
    counts: Arc<Counts>,
    checker: Checker,
    own: OwnMail,
    /// Who answers for them.
    contact: String,
}

/// Begins sending what is due.
///
/// # Errors
/// One line, with the remedy.
pub(crate) fn start(
    shared: &Arc<Shared>,
    counts: Option<Arc<Counts>>,
    tasks: &mut JoinSet<()>,
) -> Result<(), crate::ExamineError> {
    let config = &shared.config;
    let contact = config
        .checks
        .as_ref()
        .and_then(|all| all.dmarc_reports.clone());
    let (Some(counts), Some(contact)) = (counts, contact) else {
        return Ok(());
    };
    let dns = Arc::new(resolver(config)?);
    let sender = Sender {
        shared: Arc::clone(shared),
        counts,
        checker: Checker::new(&config.hostname, &config.domains, dns)?,
        own: OwnMail::open(config)?,
        contact,
    };
    tasks.spawn(sender.run());
    Ok(())
}

impl Sender {
    async fn run(self) {
        let mut saved = Instant::now();
        loop {
            tokio::select! {
                () = self.shared.stopping() => break,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.send_due().await || saved.elapsed() >= SAVE {
                saved = Instant::now();
                self.save().await;
            }
        }
        self.save().await;
    }

    async fn save(&self) {
        let counts = Arc::clone(&self.counts);
        let _ = tokio::task::spawn_blocking(move || counts.save()).await;
    }

    /// Returns whether there were any.
    async fn send_due(&self) -> bool {
        let due = self.counts.due(unix_now(), AT_A_TIME);
        let is_any = !due.is_empty();
        for (day, collected) in due {
            let sent = self.send(day, &collected).await;
            if let Err(error) = &sent {
                warn!(domain = collected.domain, %error, "a DMARC report is not sent");
            }
            self.counts
                .settle(day, &collected.domain, sent.is_ok(), unix_now());
        }
        is_any
    }

    /// Puts a report into the queue for each place that takes one.
    async fn send(&self, day: i64, collected: &Collected) -> Result<(), SendError> {
        let (domain, wanted) = (&collected.domain, &collected.reports_to);
        let destinations = self.checker.may_report_to(domain, wanted).await?;
        let submitter = self
            .contact
            .rsplit_once('@')
            .map_or("", |(_, domain)| domain);
        let reporter = Reporter {
            organization: submitter,
            domain: submitter,
            address: &self.contact,
        };
        let begin = u64::try_from(day * DAY).unwrap_or(0);
        let end = u64::try_from((day + 1) * DAY - 1).unwrap_or(0);
        let (mut is_sent, mut last) = (false, None);
        for to in destinations {
            let text = collected.message(reporter, &to.address, (begin, end), unix_now())?;
            let mut message = text.into_bytes();
            if let Some(seal) = self.own.seal(&self.contact) {
                message = seal(message);
            }
            let octets = u64::try_from(message.len()).unwrap_or(u64::MAX);
            // §6.2: larger ones are not taken there.
            if to.most.is_some_and(|most| octets > most) {
                info!(
                    domain,
                    to = to.address,
                    octets,
                    "a DMARC report is too large for its recipient"
                );
                continue;
            }
            match self.queue(day, domain, &to.address, message.into()).await {
                Ok(()) => {
                    info!(domain, to = to.address, "a DMARC report is sent");
                    is_sent = true;
                }
                Err(error) => last = Some(error),
            }
        }
        match last {
            Some(error) if !is_sent => Err(error),
            _ => Ok(()),
        }
    }

    /// Its reverse-path is the contact, which SPF passes for; nobody is notified of one that cannot be delivered.
    async fn queue(
        &self,
        day: i64,
        domain: &str,
        to: &str,
        message: Bytes,
    ) -> Result<(), SendError> {
        let mailbox = |text: &str| {
            Mailbox::parse(text.as_bytes()).map_err(|_| SendError::Address(text.to_owned()))
        };
        let (recipient, contact) = (mailbox(to)?, mailbox(&self.contact)?);
        let is_here = self
            .shared
            .accounts
            .addresses()
            .is_local(recipient.domain());
        let store = &self.shared.store;
        let mut stage = store.stage().await?;
        if is_here {
            let field = format!("Return-Path: <{contact}>\r\n");
            stage.write(field.into()).await?;
        }
        stage.write(message).await?;
        let body = stage.finish().await?;
        let mut rcpt = RcptParameters::default();
        rcpt.notify = Some(Notify::NEVER);
        let entry = Entry::asking(
            format!("dmarc.{day}.{domain}"),
            ReversePath(Some(contact)),
            MailParameters::default(),
            [(to.to_owned(), rcpt)],
        );
        let next_hop = match is_here {
            true => HERE.to_owned(),
            false => recipient.domain().to_lowercase(),
        };
        let enqueue = entry.enqueue(next_hop, body);
        let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
        store.commit(transaction).await?;
        Ok(())
    }
}
