//! Limits by time on what clients and accounts send: who is over one is asked to come again later.

use hikyaku_mailstore::{BoxFuture, Store};
use hikyaku_service::{Arrival, Client, Examiner, Opinion, Remarks};
use hikyaku_smtp_proto::{Reply, ReversePath};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::by_network::ByNetwork;
use super::correspondents::Correspondents;
use super::cost::{ALL, HOUR, UNKNOWN};
use super::notice::Notice;
use super::sending::{Sending, Slowed};
use crate::Accounts;
use crate::addresses::AddressBook;
use crate::config::Limits;
use crate::metrics::{Metrics, count};
use crate::network::Networks;

/// How long a client waits that is over a limit.
const PAUSE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// So many times as much as the limit comes back at most in an hour: a stranger finds somebody who is here, too.
const RETURNED: u32 = 10;

/// What clients and accounts have sent lately.
pub(super) struct Limited {
    exempt: Networks,
    messages: Option<ByNetwork>,
    recipients: Option<ByNetwork>,
    /// In tenths of a recipient.
    unknown: Option<ByNetwork>,
    known: Option<Correspondents>,
    /// What accepted messages have given back of it.
    returned: Option<ByNetwork>,
    addresses: AddressBook,
    sending: Mutex<Sending>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    notices: mpsc::Sender<Notice>,
}

impl Limited {
    pub(super) fn new(
        limits: &Limits,
        sending: Sending,
        store: Arc<dyn Store>,
        addresses: &AddressBook,
        metrics: Arc<Metrics>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let unknown = limits.unknown_recipients_per_hour;
        let unknown = unknown.saturating_mul(UNKNOWN);
        Self {
            exempt: limits.exempt.clone(),
            messages: ByNetwork::per(limits.messages_per_minute, MINUTE),
            recipients: ByNetwork::per(limits.recipients_per_minute, MINUTE),
            unknown: ByNetwork::per(unknown, HOUR),
            known: Correspondents::new(unknown),
            returned: ByNetwork::per(unknown.saturating_mul(RETURNED), HOUR),
            addresses: addresses.clone(),
            sending: Mutex::new(sending),
            store,
            metrics,
            notices,
        }
    }

    pub(super) fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a client that has not logged in, and that the limits hold for.
    fn outsider(&self, client: &Client) -> Option<IpAddr> {
        let address = client.address.filter(|_| client.account.is_none())?;
        (!self.exempt.contains(address)).then_some(address)
    }

    /// Takes one, or says why not.
    async fn take(&self, limit: Option<&ByNetwork>, of: IpAddr, refusal: Refusal) -> Option<Reply> {
        let wait = limit?.take(ALL, of, 1, Instant::now()).err()?;
        count(&self.metrics.clients_deferred_total);
        info!(%of, ?wait, ?refusal, "a client is over a limit");
        tokio::time::sleep(PAUSE).await;
        Some(refusal.reply(wait))
    }

    /// Lets somebody wait who has named many recipients that are not here, whether this one is or not.
    async fn search(&self, of: IpAddr, from: &ReversePath) -> Option<Reply> {
        let (unknown, now) = (self.unknown.as_ref()?, Instant::now());
        let known = self.known.as_ref();
        if known.is_some_and(|known| known.has(of, from, now)) {
            return None;
        }
        let wait = unknown.wait(ALL, of, UNKNOWN, now);
        if !wait.is_zero() || unknown.is_half_taken(ALL, of, now) {
            tokio::time::sleep(PAUSE).await;
        }
        // Other connections may have searched meanwhile.
        let wait = wait.max(unknown.wait(ALL, of, UNKNOWN, Instant::now()));
        if wait.is_zero() {
            return None;
        }
        count(&self.metrics.searchers_deferred_total);
        info!(%of, ?wait, "a client has named too many recipients that are not here");
        Some(Refusal::Unknown.reply(wait))
    }

    async fn own_limit(&self, account: &str) -> Option<u32> {
        let found = self.store.account(account).await;
        let found =
            found.inspect_err(|error| warn!(%error, "what an account may send is not known"));
        Accounts::sending(&found.ok()??)
    }

    async fn slowed(&self, account: &str, slowed: Slowed) -> Reply {
        let Slowed {
            wait,
            limit,
            is_first,
        } = slowed;
        count(&self.metrics.accounts_deferred_total);
        if is_first {
            warn!(
                account,
                limit, "an account sends unusually much: it is slowed"
            );
            let account = account.to_owned();
            let noticed = self.notices.try_send(Notice { account, limit });
            if noticed.is_err() {
                warn!("the operator is not notified: too many notices wait");
            }
        }
        tokio::time::sleep(PAUSE).await;
        Refusal::Account.reply(wait)
    }
}

/// Why somebody is to come again.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Messages,
    Recipients,
    Unknown,
    Account,
}

impl Refusal {
    /// RFC 5321 §4.2.2, §4.5.3.1.10; RFC 3463 §3.6, §3.8.
    fn reply(self, wait: Duration) -> Reply {
        let (code, enhanced, what) = match self {
            Self::Messages => (450, "4.7.1", "Too many messages from your network"),
            Self::Recipients => (452, "4.5.3", "Too many recipients from your network"),
            Self::Unknown => (
                450,
                "4.7.1",
                "Too many recipients that are not here from your network",
            ),
            Self::Account => (450, "4.7.1", "This account sends unusually much"),
        };
        let seconds = wait.as_secs().max(1);
        let text = match seconds {
            0..120 => format!("{what}, try again in {seconds} s"),
            _ => format!("{what}, try again in {} min", seconds.div_ceil(60)),
        };
        Reply::new(code, enhanced, text.into_bytes())
    }
}

/// Seconds since 1970.
fn unix() -> u64 {
    u64::try_from(hikyaku_mailstore::unix_now()).unwrap_or(0)
}

impl Examiner for Limited {
    fn mail<'a>(&'a self, client: &'a Client, _: &'a ReversePath) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            if let Some(account) = &client.account {
                let own = self.own_limit(account).await;
                let taken = self.sending().message(account, own, unix());
                return Some(self.slowed(account, taken.err()?).await);
            }
            let of = self.outsider(client)?;
            self.take(self.messages.as_ref(), of, Refusal::Messages)
                .await
        })
    }

    fn before_recipient<'a>(
        &'a self,
        client: &'a Client,
        from: &'a ReversePath,
        _: &'a str,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            let of = self.outsider(client)?;
            if let Some(refusal) = self.search(of, from).await {
                return Some(refusal);
            }
            self.take(self.recipients.as_ref(), of, Refusal::Recipients)
                .await
        })
    }

    fn recipient<'a>(
        &'a self,
        client: &'a Client,
        from: &'a ReversePath,
        _: &'a str,
        exists: bool,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            if let Some(account) = client.account.as_ref().filter(|_| exists) {
                let taken = self.sending().recipient(account, unix());
                return Some(self.slowed(account, taken.err()?).await);
            }
            if let (Some(of), Some(unknown), false) = (self.outsider(client), &self.unknown, exists)
            {
                let (known, now) = (self.known.as_ref(), Instant::now());
                if !known.is_some_and(|known| known.mistake(of, from, now)) {
                    // Other connections may have taken the last one meanwhile: it is owed.
                    unknown.charge(ALL, of, UNKNOWN, now);
                }
            }
            None
        })
    }

    fn reads_messages(&self) -> bool {
        false
    }

    fn message<'a>(&'a self, _: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async { Opinion::Accept(Remarks::default()) })
    }

    fn accepted(&self, client: &Client, from: &ReversePath, recipients: &[String]) {
        if let (Some(of), Some(unknown)) = (self.outsider(client), &self.unknown) {
            // Details behind a separator make one recipient look like many.
            let book = self.addresses.book();
            let different: BTreeSet<_> = recipients.iter().map(|one| book.base(one)).collect();
            let many = u32::try_from(different.len()).unwrap_or(u32::MAX);
            let now = Instant::now();
            let returned = self.returned.as_ref();
            let may = returned.is_some_and(|returned| returned.take(ALL, of, many, now).is_ok());
            let many = if may { many } else { 0 };
            unknown.give_back(ALL, of, many, now);
            if let Some(known) = &self.known {
                known.wrote(of, from, many, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_says_when_to_come_again() {
        for (refusal, wait, expected) in [
            (
                Refusal::Messages,
                7,
                "450 4.7.1 Too many messages from your network, try again in 7 s",
            ),
            (
                Refusal::Recipients,
                0,
                "452 4.5.3 Too many recipients from your network, try again in 1 s",
            ),
            (
                Refusal::Account,
                121,
                "450 4.7.1 This account sends unusually much, try again in 3 min",
            ),
        ] {
            let reply = refusal.reply(Duration::from_secs(wait));
            assert_eq!(reply.to_string(), expected);
        }
    }
}
