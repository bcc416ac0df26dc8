//! What an operator does with the queue: entries that nobody has under way are claimed, changed and given back.

use hikyaku_mailstore::{
    AccountId, Claim, Error, Operation, QueueEntry, QueueId, Result, Transaction, never,
};
use std::time::{Duration, SystemTime};

use crate::dsn::send::News;
use crate::envelope::{Envelope, HERE};
use crate::listing::{Pick, find};
use crate::local::known;
use crate::relay::Relay;
use crate::routes::NextHost;
use crate::run::OWNER;
use crate::traced::What;

/// How long an operator's claim holds: what was claimed by a program that died then is due again.
const CLAIM: Duration = Duration::from_secs(60);
/// Entries that are changed in one step.
const STEP: usize = 100;
/// The last words about a recipient whose message an operator has cancelled.
const CANCELLED: &str = "550 5.0.0 Cancelled by the operator";

/// What is to become of messages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Order {
    /// They are tried now, also where their hosts failed lately.
    Retry,
    /// They stay as they are until they are released. They do not expire meanwhile; once they are released their age counts
    /// again, from when they were queued.
    Hold,
    /// What was held is tried now.
    Release,
    /// They are given up.
    Cancel {
        /// Whether their senders are notified.
        notify: bool,
    },
    /// They go to that host, and now.
    Route(NextHost),
    /// They go again where rules and DNS say, and now.
    RouteByDefault,
}

impl Order {
    /// Returns why an entry is left as it is.
    fn is_in_vain(&self, entry: &QueueEntry, envelope: &Envelope) -> Option<&'static str> {
        match self {
            Self::Retry if envelope.held => Some("held: release it first"),
            Self::Hold if envelope.held => Some("held already"),
            Self::Release if !envelope.held => Some("not held"),
            Self::Route(_) if entry.next_hop == HERE => Some("it waits for a mailbox here"),
            Self::Route(_) if known(&entry.next_hop).is_some() => {
                Some("it goes nowhere, its sender is only notified")
            }
            Self::RouteByDefault if envelope.route.is_none() => Some("no route was set"),
            _ => None,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Retry => "retry".into(),
            Self::Hold => "hold".into(),
            Self::Release => "release".into(),
            Self::Cancel { notify: true } => "cancel".into(),
            Self::Cancel { notify: false } => "cancel, silently".into(),
            Self::Route(host) => format!("route to {host}"),
            Self::RouteByDefault => "route as by default".into(),
        }
    }
}

/// What a step of an order came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operated {
    /// Entries that were changed.
    pub changed: u64,
    /// Entries that were under way: they can be changed when the attempt is over.
    pub under_way: u64,
    /// Entries that were left as they are, and why the last of them was.
    pub unchanged: u64,
    /// Why the last one of these was left as it is.
    pub why: Option<&'static str>,
    /// Where the next step begins; `None` at the end of the queue.
    pub next: Option<QueueId>,
}

impl Relay {
    /// Does what an operator wants with up to a hundred entries behind `after`. It works beside [`run`](Self::run), and
    /// in a program that does not run it.
    ///
    /// # Errors
    /// The store's; [`Error::Conflict`] where the relay stopped meanwhile. Nothing was changed.
    pub async fn operate(
        &self,
        pick: &Pick,
        order: &Order,
        after: Option<QueueId>,
    ) -> Result<Operated> {
        let (found, next) = find(&*self.store, pick, after, STEP).await?;
        let mut done = Operated {
            next,
            ..Operated::default()
        };
        let (mut wanted, now) = (Vec::new(), SystemTime::now());
        for (entry, envelope) in &found {
            if entry.token != 0 && entry.due > now {
                done.under_way += 1;
            } else if let Some(why) = order.is_in_vain(entry, envelope) {
                done.unchanged += 1;
                done.why = Some(why);
            } else {
                wanted.push(entry.id);
            }
        }
        let claim = Claim::new(now, wanted.len(), CLAIM).owner(OWNER);
        let claimed = self
            .store
            .claim(&claim.only(wanted.iter().copied()))
            .await?;
        done.under_way += (wanted.len() - claimed.len()) as u64;
        self.change(&claimed, pick, order, &mut done).await?;
        Ok(done)
    }

    /// Changes entries that are claimed, and gives them back, all of them or none.
    async fn change(
        &self,
        claimed: &[QueueEntry],
        pick: &Pick,
        order: &Order,
        done: &mut Operated,
    ) -> Result<()> {
        if claimed.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::new(AccountId::SYSTEM);
        let mut changed = Vec::new();
        for entry in claimed {
            let envelope = Envelope::decode(&entry.envelope);
            // It was settled since it was found: it may be another matter now.
            let again = envelope.filter(|envelope| {
                pick.fits(envelope) && order.is_in_vain(entry, envelope).is_none()
            });
            let Some(mut envelope) = again else {
                let again = Some((SystemTime::now(), entry.envelope.clone()));
                transaction = transaction.with(settle(entry, again));
                done.unchanged += 1;
                continue;
            };
            let (due, notifications) = self.obey(order, entry, &mut envelope).await?;
            let again = due.map(|due| (due, envelope.encode()));
            transaction = transaction.with(settle(entry, again));
            transaction.operations.extend(notifications);
            changed.push((entry, envelope));
        }
        self.store.commit(transaction).await?;
        done.changed += changed.len() as u64;
        for (entry, envelope) in changed {
            let words = order.words();
            let what = What::Operated { order: &words };
            self.trace(&envelope.id, &entry.next_hop, what);
            self.destinations.forgive(&entry.next_hop);
            if let Some(route) = &envelope.route {
                self.destinations.forgive(route);
            }
        }
        self.destinations.freed.notify_one();
        Ok(())
    }

    /// Changes an envelope as ordered. Returns when it is due, or nothing when it is given up, and the notifications
    /// that are to be queued.
    async fn obey(
        &self,
        order: &Order,
        entry: &QueueEntry,
        envelope: &mut Envelope,
    ) -> Result<(Option<SystemTime>, Vec<Operation>)> {
        match order {
            Order::Retry => {}
            Order::Hold => envelope.held = true,
            Order::Release => envelope.held = false,
            Order::Route(host) => envelope.route = Some(host.to_string()),
            Order::RouteByDefault => envelope.route = None,
            Order::Cancel { notify } => {
                let notifications = match notify {
                    true => self.give_up(entry, envelope).await?,
                    false => Vec::new(),
                };
                return Ok((None, notifications));
            }
        }
        let due = match envelope.held {
            true => never(),
            false => SystemTime::now(),
        };
        Ok((Some(due), Vec::new()))
    }

    /// Notifies the sender that all recipients are given up.
    async fn give_up(
        &self,
        entry: &QueueEntry,
        envelope: &mut Envelope,
    ) -> Result<Vec<Operation>, Error> {
        // A notification of the last attempt is another one.
        envelope.attempts = envelope.attempts.saturating_add(1);
        let mut news = News::default();
        let mut failed = std::mem::take(&mut envelope.recipients);
        for recipient in &mut failed {
            recipient.last = CANCELLED.into();
            news.failed(recipient);
            let to = recipient.address();
            let what = What::Failed {
                to: &to,
                why: CANCELLED,
            };
            self.trace(&envelope.id, &entry.next_hop, what);
        }
        self.notify(entry, envelope, &failed, &news).await
    }
}

fn settle(entry: &QueueEntry, again: Option<(SystemTime, bytes::Bytes)>) -> Operation {
    Operation::Settle {
        id: entry.id,
        token: entry.token,
        again,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Entry;
    use crate::here::Here;
    use crate::options::Options;
    use hikyaku_mailstore::{BoxFuture, MailboxId, Memory, Store, Want, Which};
    use hikyaku_smtp_proto::{Mailbox, ReversePath};
    use std::sync::Arc;

    struct Own(Arc<Memory>);

    impl Here for Own {
        fn is_here(&self, domain: &str) -> bool {
            domain == "c.test"
        }

        fn inbox<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
            Box::pin(async move {
                let found = self.0.find(address, "INBOX").await?;
                Ok(found.map(|(_, inbox)| inbox.id))
            })
        }
    }

    /// A relay that does not run, with a message of a@c.test for each next hop.
    async fn relay(next_hops: &[&str]) -> (Arc<Relay>, Arc<Memory>) {
        let store = Arc::new(Memory::new());
        store.create_account("a@c.test").await.unwrap();
        let mut stage = store.stage().await.unwrap();
        stage.write("Subject: x\r\n\r\n".into()).await.unwrap();
        let body = stage.finish().await.unwrap();
        for (nth, next_hop) in next_hops.iter().enumerate() {
            let from = ReversePath(Mailbox::parse(b"a@c.test").ok());
            let to = [format!("x@{}", next_hop.trim_start_matches('@'))];
            let enqueue = Entry::new(nth.to_string(), from, to).enqueue(*next_hop, body.clone());
            let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
            store.commit(transaction).await.unwrap();
        }
        let mut options = Options::new("mx.c.test");
        options.dns = vec!["127.0.0.1:1".into()];
        let own = Arc::new(Own(Arc::clone(&store)));
        let held: Arc<dyn Store> = store.clone();
        (Relay::new(held, own, options).unwrap(), store)
    }

    async fn inbox(store: &Memory) -> usize {
        let (_, inbox) = store.find("a@c.test", "INBOX").await.unwrap().unwrap();
        let which = Which::After(None);
        let page = store.messages(inbox.id, &which, Want::ROW, 99).await;
        page.unwrap().rows.len()
    }

    fn counts(done: &Operated) -> (u64, u64, u64) {
        (done.changed, done.under_way, done.unchanged)
    }

    #[tokio::test]
    async fn what_is_under_way_and_what_an_order_is_in_vain_for_stays_as_it_is() {
        let (relay, store) = relay(&["d.test", "d.test", HERE]).await;
        let now = SystemTime::now();
        let claim = Claim::new(now, 1, CLAIM).owner(OWNER);
        let under_way = store.claim(&claim).await.unwrap().remove(0);
        let host: NextHost = "smtp://e.test".parse().unwrap();
        let before = store.queue(None, 9).await.unwrap();
        for (order, expected) in [
            (Order::Release, (0, 1, 2)),
            (Order::RouteByDefault, (0, 1, 2)),
            (Order::Route(host), (1, 1, 1)),
            (Order::Hold, (2, 1, 0)),
            (Order::Hold, (0, 1, 2)),
            (Order::Retry, (0, 1, 2)),
            (Order::RouteByDefault, (1, 1, 1)),
            (Order::Cancel { notify: false }, (2, 1, 0)),
            (Order::Cancel { notify: false }, (0, 1, 0)),
        ] {
            let done = relay.operate(&Pick::default(), &order, None).await.unwrap();
            assert_eq!(counts(&done), expected, "{order:?}");
            if done.changed == 0 && done.unchanged == 2 {
                assert!(done.why.is_some(), "{order:?}");
            }
        }
        let left = store.queue(None, 9).await.unwrap();
        assert_eq!(left, before[..1]);
        let settle = Transaction::new(AccountId::SYSTEM).with(settle(&under_way, None));
        assert!(store.commit(settle).await.is_ok(), "its claim holds");
    }

    #[tokio::test]
    async fn what_is_routed_while_it_is_held_stays_held() {
        let (relay, store) = relay(&["d.test"]).await;
        let host: NextHost = "smtp://e.test".parse().unwrap();
        for order in [Order::Hold, Order::Route(host), Order::RouteByDefault] {
            let done = relay.operate(&Pick::default(), &order, None).await.unwrap();
            assert_eq!(counts(&done), (1, 0, 0), "{order:?}");
            assert!(
                store.queue(None, 1).await.unwrap()[0].is_parked(),
                "{order:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_cancelled_message_is_reported_also_when_its_last_attempt_was() {
        let (relay, store) = relay(&["d.test"]).await;
        // Its delay was reported after the first attempt.
        let claim = Claim::new(SystemTime::now(), 1, CLAIM).owner(OWNER);
        let entry = store.claim(&claim).await.unwrap().remove(0);
        let mut envelope = Envelope::decode(&entry.envelope).unwrap();
        envelope.attempts = 1;
        let mut news = News::default();
        news.delayed(&envelope.recipients[0]);
        let enqueue = relay.notify(&entry, &envelope, &[], &news).await.unwrap();
        assert!(enqueue.is_empty());
        let again = Some((SystemTime::now(), envelope.encode()));
        let transaction = Transaction::new(AccountId::SYSTEM).with(settle(&entry, again));
        store.commit(transaction).await.unwrap();
        assert_eq!(inbox(&store).await, 1);
        let order = Order::Cancel { notify: true };
        let done = relay.operate(&Pick::default(), &order, None).await.unwrap();
        assert_eq!((counts(&done), inbox(&store).await), ((1, 0, 0), 2));
        assert!(store.queue(None, 9).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn many_are_changed_in_steps() {
        let (relay, store) = relay(&vec!["d.test"; 250]).await;
        let (mut after, mut steps) = (None, Vec::new());
        loop {
            let done = relay
                .operate(&Pick::default(), &Order::Hold, after)
                .await
                .unwrap();
            steps.push(done.changed);
            match done.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(steps, [100, 100, 50]);
        let length = store.queue_length(SystemTime::now()).await.unwrap();
        assert_eq!((length.parked, length.due, length.claimed), (250, 0, 0));
    }
}
