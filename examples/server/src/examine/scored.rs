//! The score of mail from strangers, and what becomes of it.

use hikyaku_service::{Arrival, Opinion, Remarks};
use hikyaku_smtp_proto::Reply;
use hikyaku_trust::{Verdicts, fields_named};
use std::net::IpAddr;
use std::sync::Arc;
use tracing::info;

use super::without::without;
use crate::manners::{FIELD, Score, Strangers, is_open};
use crate::metrics::{Metrics, count};

/// Adds up what speaks against mail from strangers.
pub(super) struct Scorer {
    pub(super) strangers: Arc<Strangers>,
    pub(super) metrics: Arc<Metrics>,
}

impl Scorer {
    /// What comes of a message by its score, where it is a stranger's and would be accepted.
    pub(super) async fn look(
        &self,
        arrival: Arrival<'_>,
        verdicts: Option<&Verdicts>,
        opinion: Opinion,
    ) -> Opinion {
        match (opinion, self.strangers.address(arrival.client)) {
            (Opinion::Accept(remarks), Some(address)) => {
                self.score(arrival, address, verdicts, remarks).await
            }
            (opinion, _) => opinion,
        }
    }

    /// What the score of a message makes of it.
    async fn score(
        &self,
        arrival: Arrival<'_>,
        address: IpAddr,
        verdicts: Option<&Verdicts>,
        mut remarks: Remarks,
    ) -> Opinion {
        let manner = &self.strangers.manner;
        let marks = self.strangers.marks(address, &arrival.client.hello).await;
        let score = Score::new(&marks, verdicts, &manner.weights);
        let (total, words) = (score.total(), score.words());
        let is_over = |threshold: f64| threshold > 0.0 && total >= threshold;
        if is_over(manner.refuse) || is_over(manner.junk) {
            count(&self.metrics.messages_scored_junk_total);
            info!(
                id = arrival.id,
                score = words,
                "the score of the message is high"
            );
        }
        let is_asking = arrival.recipients.iter().all(|to| is_open(to));
        if is_over(manner.refuse) && !is_asking {
            let text = format!("Too much speaks against this message: {words}");
            let text: String = text.chars().take(400).collect();
            return Opinion::Refuse(Reply::new(550, "5.7.1", text.into_bytes()));
        }
        remarks.notes.push(format!("score: {words}"));
        if is_over(manner.junk) {
            remarks.notes.push("junk: its score".into());
            remarks.junk = true;
        }
        let message = remarks.message.as_ref().unwrap_or(arrival.message);
        remarks.message = without(message, &fields_named(message, FIELD)).or(remarks.message);
        remarks.fields = [score.field().as_bytes(), &remarks.fields].concat().into();
        Opinion::Accept(remarks)
    }
}
