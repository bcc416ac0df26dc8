//! A relay, and the world that it sends to: `there.test`, its policy host, and a clock.

use hikyaku_mailstore::{
    AccountId, BoxFuture, MailboxId, Memory, QueueEntry, Result, Store, Transaction,
};
use hikyaku_relay::{Clock, Entry, Family, Happened, Here, MtaSts, Options, Relay};
use hikyaku_smtp_proto::{Mailbox, ReversePath};
use hikyaku_test_dns::{DnsServer, Zone};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::task::JoinHandle;

use crate::exchanger::{Authority, Exchanger, Tls};
use crate::web::{Answer, Web};

pub(crate) const DAY: i64 = 24 * 60 * 60;

pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) dns: DnsServer,
    pub(crate) web: Web,
    /// Seconds since 1970, at the beginning of a day.
    pub(crate) now: Arc<AtomicI64>,
    pub(crate) failed: Arc<AtomicUsize>,
    port: u16,
}

/// `there.test` with its exchanger at 127.0.0.2, its policy host, and the record of a policy.
pub(crate) fn zone() -> Zone {
    Zone::new("there.test")
        .mx(10, "mx")
        .a("mx", "127.0.0.2")
        .a("mta-sts", "127.0.0.1")
        .txt("_mta-sts", "v=STSv1; id=1")
}

impl World {
    /// Starts the world. Its web server is the policy host of `there.test`.
    pub(crate) async fn start(zone: Zone, answer: Answer) -> Self {
        let authority = Authority::new();
        let web = Web::start(authority.of("mta-sts.there.test"), answer).await;
        Self {
            dns: DnsServer::start([zone]),
            web,
            authority,
            now: Arc::new(AtomicI64::new(20_000 * DAY)),
            failed: Arc::default(),
            port: 0,
        }
    }

    /// Starts an exchanger. The one at 127.0.0.2 takes a new port, which those at other addresses then have as well.
    pub(crate) async fn exchanger(&mut self, address: &str, tls: Option<&Tls>) -> Exchanger {
        let port = if address == "127.0.0.2" { 0 } else { self.port };
        let exchanger = Exchanger::start(&format!("{address}:{port}"), tls).await;
        self.port = exchanger.port;
        exchanger
    }

    pub(crate) fn passes(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Options with MTA-STS, whose policies are in that folder.
    pub(crate) fn options(&self, folder: Option<&Path>) -> Options {
        let mut options = Options::new("relay.test");
        options.first_family = Family::V4;
        options.patience = Duration::from_secs(20);
        options.dns = vec![self.dns.address().to_string()];
        options.port = self.port;
        options.roots = Some(self.authority.roots());
        let mut sts = MtaSts::new(folder.map(|folder| folder.join("sts")));
        (sts.port, sts.may_ask_private) = (self.web.address.port(), true);
        options.mta_sts = Some(sts);
        let now = Arc::clone(&self.now);
        options.clock = Clock::new(move || {
            let seconds = u64::try_from(now.load(Ordering::SeqCst)).unwrap();
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
        });
        let failed = Arc::clone(&self.failed);
        options.observe = Arc::new(move |happened| {
            if happened == Happened::TlsPolicyFailed {
                failed.fetch_add(1, Ordering::SeqCst);
            }
        });
        options
    }

    /// Hands one message to `there.test` with a relay of its own. Returns what the queue says of it; `None` when it is
    /// delivered.
    pub(crate) async fn hand_on(&self, options: Options) -> Option<String> {
        let relay = Running::start(options);
        let left = relay.hand_on("b@there.test").await;
        relay.stop().await;
        left
    }

    /// How often a host failed a policy since.
    pub(crate) fn failed(&self) -> usize {
        self.failed.swap(0, Ordering::SeqCst)
    }
}

/// Nobody is here.
struct Nobody;

impl Here for Nobody {
    fn is_here(&self, _: &str) -> bool {
        false
    }
    fn inbox<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
        Box::pin(async { Ok(None) })
    }
}

/// A relay that runs.
pub(crate) struct Running {
    store: Arc<dyn Store>,
    stop: tokio::sync::oneshot::Sender<()>,
    run: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(options: Options) -> Self {
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let relay = Relay::new(Arc::clone(&store), Arc::new(Nobody), options).unwrap();
        let run = tokio::spawn(relay.run(async { drop(stopped.await) }));
        Self { store, stop, run }
    }

    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.run.await.unwrap();
    }

    /// Puts one message into the queue.
    pub(crate) async fn queue(&self, to: &str) {
        let mut stage = self.store.stage().await.unwrap();
        let message = "Subject: secret\r\n\r\nsecret\r\n";
        stage.write(message.into()).await.unwrap();
        let body = stage.finish().await.unwrap();
        let from = ReversePath(Mailbox::parse(b"a@here.test").ok());
        let entry = Entry::new("1", from, [to.to_owned()]);
        let domain = to.rsplit_once('@').unwrap().1;
        let enqueue = entry.enqueue(domain, body);
        let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
        self.store.commit(transaction).await.unwrap();
    }

    /// Hands one message on. Returns what the queue says of it, when it is to be tried again.
    pub(crate) async fn hand_on(&self, to: &str) -> Option<String> {
        self.queue(to).await;
        let left = self.settled(Duration::from_secs(60)).await;
        let of = left.iter().find(|entry| to.ends_with(&entry.next_hop));
        of.map(|entry| String::from_utf8_lossy(&entry.envelope).into_owned())
    }

    /// Waits until each attempt is over: out of the queue, or due later.
    pub(crate) async fn settled(&self, most: Duration) -> Vec<QueueEntry> {
        let began = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let queue = self.store.queue(None, 99).await.unwrap();
            let soon = SystemTime::now() + Duration::from_secs(60);
            let waits = |entry: &QueueEntry| entry.token == 0 && entry.due > soon;
            if queue.iter().all(waits) || began.elapsed() > most {
                return queue;
            }
        }
    }
}
