//! A milter as an examiner.

use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Examiner, Opinion};
use std::time::Duration;
use tokio::time::timeout;

use super::conversation::Conversation;
use super::packets::Packets;
use crate::away::Away;
use crate::endpoint::Endpoint;
use crate::fault::Fault;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a message may take in all, whatever progress is reported. The client waits for ten minutes (RFC 5321
/// §4.5.3.2.6).
const WITHIN: Duration = Duration::from_secs(300);

/// Has a milter look at each message, once it is there: a conversation of its own from connection to end of body.
///
/// Refusals at any step refuse the message with the milter's reply, of one recipient too: all of them are accepted by
/// then. `SMFIR_DISCARD` refuses it as well (550 5.7.1), since nothing that was accepted vanishes. `SMFIR_QUARANTINE` makes
/// it junk.
///
/// Fields are added, inserted, changed and removed, and bodies replaced. Recipients and the reverse-path stay as they are: the
/// actions for them are not offered, and a milter that demands them is away.
#[derive(Debug)]
pub struct Milter {
    endpoint: Endpoint,
    mta_name: String,
    away: Away,
    answer_within: Duration,
    within: Duration,
}

impl Milter {
    /// Creates one that asks the milter there, for the server of that name. Mail is deferred while it is away; an answer may
    /// take 30 seconds, and a message five minutes.
    #[must_use]
    pub fn new(endpoint: Endpoint, mta_name: impl Into<String>) -> Self {
        Self {
            endpoint,
            mta_name: mta_name.into(),
            away: Away::default(),
            answer_within: ANSWER,
            within: WITHIN,
        }
    }

    /// Sets what becomes of mail while the milter is away.
    #[must_use]
    pub fn away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    /// Sets how long connecting may take, and each answer. `SMFIR_PROGRESS` is an answer.
    #[must_use]
    pub fn answer_within(mut self, within: Duration) -> Self {
        self.answer_within = within;
        self
    }

    /// Sets how long a message may take in all.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    async fn asked(&self, arrival: Arrival<'_>) -> Result<Opinion, Fault> {
        let stream = timeout(self.answer_within, self.endpoint.connect()).await;
        let stream = stream.map_err(|_| Fault::Silent(self.answer_within))??;
        let packets = Packets::new(stream, self.answer_within);
        let conversation = Conversation::new(packets, arrival, &self.mta_name);
        let opinion = timeout(self.within, conversation.run()).await;
        opinion.map_err(|_| Fault::Silent(self.within))?
    }
}

impl Examiner for Milter {
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let asked = self.asked(arrival).await;
            asked.unwrap_or_else(|fault| self.away.opinion(&self.endpoint, arrival.id, &fault))
        })
    }
}
