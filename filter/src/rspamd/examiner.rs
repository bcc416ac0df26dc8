//! rspamd as an examiner.

use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Examiner, Opinion};
use std::time::Duration;
use tokio::time::timeout;

use super::answer::Answer;
use super::http::Http;
use super::question::question;
use super::verdict::verdict;
use crate::away::Away;
use crate::endpoint::Endpoint;
use crate::fault::Fault;

/// How long a check may take: rspamd ends one itself after eight seconds, unless it is configured otherwise.
const WITHIN: Duration = Duration::from_secs(30);

/// Asks rspamd about each message (`POST /checkv2`).
///
/// `reject` refuses it (550 5.7.1), `soft reject` for now (451 4.7.1), both with rspamd's own text; `add header` makes
/// it junk, `rewrite subject` changes its subject. `greylist` accepts it: rspamd's module for that answers `soft
/// reject` when a client is to come again.
///
/// An accepted message gets `X-Spam-Score` and `X-Spam-Status` in the place of those it came with, and what rspamd's
/// `milter_headers` module adds and removes, `Authentication-Results` among them.
///
/// Some connections are kept for the messages that follow.
#[derive(Debug)]
pub struct Rspamd {
    http: Http,
    mta_name: String,
    away: Away,
    within: Duration,
}

impl Rspamd {
    /// Creates one that asks rspamd's normal worker there, for the server of that name. Mail is deferred while it is away,
    /// and a check may take 30 seconds.
    #[must_use]
    pub fn new(endpoint: Endpoint, mta_name: impl Into<String>) -> Self {
        Self {
            http: Http::new(endpoint),
            mta_name: mta_name.into(),
            away: Away::default(),
            within: WITHIN,
        }
    }

    /// Sets what becomes of mail while rspamd is away.
    #[must_use]
    pub fn away(mut self, away: Away) -> Self {
        self.away = away;
        self
    }

    /// Sets how long a check may take, connecting included. The client waits for it: below the ten minutes of RFC 5321
    /// §4.5.3.2.6.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    async fn asked(&self, arrival: Arrival<'_>) -> Result<Opinion, Fault> {
        let asking = self.http.ask(question(arrival, &self.mta_name));
        let octets = timeout(self.within, asking).await;
        let octets = octets.map_err(|_| Fault::Silent(self.within))??;
        Ok(verdict(&Answer::parse(&octets)?, arrival.message))
    }
}

impl Examiner for Rspamd {
    fn message<'a>(&'a self, arrival: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async move {
            let asked = self.asked(arrival).await;
            asked
                .unwrap_or_else(|fault| self.away.opinion(self.http.endpoint(), arrival.id, &fault))
        })
    }
}
