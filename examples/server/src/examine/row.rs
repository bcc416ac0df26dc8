//! All that look at a message, one after the other: the checks, the score, the filters, and whoever seals what is passed
//! on.

use hikyaku_filter::Filters;
use hikyaku_mailstore::{BoxFuture, unix_now};
use hikyaku_service::{Arrival, Client, Examiner, Opinion, Remarks};
use hikyaku_smtp_proto::{Reply, ReversePath};
use hikyaku_trust::{Checked, Checker};
use std::sync::Arc;
use tracing::warn;

use super::outside::{Outside, opinion, reverse_path};
use super::scored::Scorer;
use super::sealed::Sealer;
use crate::dmarc::{Counts, Inbox};

/// Checks what comes from outside, and has what is left looked at by the others.
pub(super) struct Row {
    /// `None`: nothing is checked.
    pub(super) outside: Option<Outside>,
    /// `None`: nothing is added up.
    pub(super) scorer: Option<Scorer>,
    pub(super) then: Filters,
    /// `None`: what is passed on is not sealed.
    pub(super) sealer: Option<Sealer>,
    /// `None`: no reports are sent.
    pub(super) counts: Option<Arc<Counts>>,
    /// Reads the reports of others; `None` where they are not kept.
    pub(super) inbox: Option<Arc<Inbox>>,
}

/// What is thought of a message already.
struct Given(Opinion);

impl Examiner for Given {
    fn message<'a>(&'a self, _: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async { self.0.clone() })
    }
}

impl Examiner for Row {
    fn mail<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
    ) -> BoxFuture<'a, Option<Reply>> {
        self.then.mail(client, reverse_path)
    }

    fn recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
        exists: bool,
    ) -> BoxFuture<'a, Option<Reply>> {
        self.then.recipient(client, reverse_path, to, exists)
    }

    fn before_recipient<'a>(
        &'a self,
        client: &'a Client,
        reverse_path: &'a ReversePath,
        to: &'a str,
    ) -> BoxFuture<'a, Option<Reply>> {
        self.then.before_recipient(client, reverse_path, to)
    }

    fn accepted(&self, client: &Client, reverse_path: &ReversePath, recipients: &[String]) {
        self.then.accepted(client, reverse_path, recipients);
    }

    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let checked = match &self.outside {
                Some(outside) => outside.check(arrival).await,
                None => Ok(None),
            };
            let checked = match checked {
                Ok(checked) => checked,
                Err(reply) => return Opinion::Refuse(reply),
            };
            let thought = self.thought(arrival, checked.as_ref()).await;
            let mut row: Vec<Arc<dyn Examiner>> = vec![Arc::new(Given(thought))];
            row.extend(self.then.0.iter().cloned());
            let mut opinion = Filters(row).message(arrival).await;
            // What comes again is counted then.
            let is_deferred = matches!(&opinion, Opinion::Refuse(reply) if reply.is_transient());
            if let (Some(counts), Some(checked), false) = (&self.counts, &checked, is_deferred) {
                counts.count(checked, &reverse_path(arrival), unix_now());
            }
            if let (Opinion::Accept(remarks), Some(checked), Some(outside)) =
                (&mut opinion, checked, &self.outside)
            {
                match outside.checker() {
                    Ok(checker) => self.accepted(checker, arrival, remarks, checked).await,
                    Err(error) => warn!(%error, "what is passed on is not sealed"),
                }
            }
            opinion
        })
    }
}

impl Row {
    /// What the checks and the score make of a message.
    async fn thought(&self, arrival: Arrival<'_>, checked: Option<&Checked>) -> Opinion {
        let thought = match checked {
            Some(checked) => opinion(arrival, checked),
            None => Opinion::Accept(Remarks::default()),
        };
        match &self.scorer {
            Some(scorer) => {
                let verdicts = checked.map(|checked| &checked.verdicts);
                scorer.look(arrival, verdicts, thought).await
            }
            None => thought,
        }
    }

    /// What is left to do with a message that nobody refuses.
    async fn accepted(
        &self,
        checker: Arc<Checker>,
        arrival: Arrival<'_>,
        remarks: &mut Remarks,
        checked: Checked,
    ) {
        if let Some(inbox) = self.inbox.as_ref().filter(|_| !remarks.junk) {
            inbox.look(arrival, &checked, Arc::clone(&checker));
        }
        if let Some(sealer) = self.sealer.as_ref().filter(|_| arrival.goes_elsewhere) {
            // RFC 8617 §5.1: after all that is changed in it.
            sealer.seal(checker, arrival, remarks, checked).await;
        }
    }
}
