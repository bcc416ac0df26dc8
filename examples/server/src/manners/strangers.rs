//! Clients that have not logged in: what their names and addresses say of them, and greylisting.

use hikyaku_mailstore::BoxFuture;
use hikyaku_service::{Arrival, Client, Examiner, Opinion, Remarks};
use hikyaku_smtp_proto::{Reply, ReversePath};
use hikyaku_trust::dns::Ask;
use hikyaku_trust::{Checker, Outcome};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::info;
use webmail::neighbourhood;

use super::greylist::Greylist;
use super::lately::Lately;
use super::mark::Mark;
use super::settings::{Courtesy, Dnsbl, Manner};
use super::{dnsbl, helo, reverse};
use crate::addresses::AddressBook;
use crate::metrics::{Metrics, count};
use crate::network::Networks;

/// How long DNS is waited for, for all findings together. Who does not answer in that time accuses nobody.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is looked at of strangers.
pub(crate) struct Strangers {
    pub(crate) manner: Manner,
    exempt: Networks,
    hostname: String,
    addresses: AddressBook,
    dns: Arc<dyn Ask>,
    /// For SPF, which greylisting knows senders by.
    checker: Checker,
    greylist: Mutex<Greylist>,
    metrics: Arc<Metrics>,
    marks: Lately<(IpAddr, String), Arc<Vec<Mark>>>,
    senders: Lately<(IpAddr, String), String>,
}

/// What strangers are looked at with.
pub(super) struct Means {
    pub(super) hostname: String,
    pub(super) exempt: Networks,
    pub(super) addresses: AddressBook,
    pub(super) dns: Arc<dyn Ask>,
    pub(super) checker: Checker,
    pub(super) greylist: Greylist,
    pub(super) metrics: Arc<Metrics>,
}

impl Strangers {
    pub(super) fn new(manner: Manner, means: Means) -> Self {
        Self {
            manner,
            exempt: means.exempt,
            hostname: means.hostname,
            addresses: means.addresses,
            dns: means.dns,
            checker: means.checker,
            greylist: Mutex::new(means.greylist),
            metrics: means.metrics,
            marks: Lately::default(),
            senders: Lately::default(),
        }
    }

    pub(super) fn greylist(&self) -> MutexGuard<'_, Greylist> {
        self.greylist.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The address of a client that has not logged in and is not exempt.
    pub(crate) fn address(&self, client: &Client) -> Option<IpAddr> {
        let address = client.address.filter(|_| client.account.is_none())?;
        (!self.exempt.contains(address)).then_some(address.to_canonical())
    }

    /// What speaks against a client, or for it.
    pub(crate) async fn marks(&self, address: IpAddr, name: &str) -> Arc<Vec<Mark>> {
        let key = (address, name.chars().take(255).collect::<String>());
        if let Some(marks) = self.marks.find(&key, Instant::now()) {
            return marks;
        }
        let (helo, reverse) = (self.helo(address, name), self.reverse(address));
        let lists = self
            .manner
            .dnsbl
            .iter()
            .map(|list| self.listed(list, address));
        let lists = futures_util::future::join_all(lists);
        // Each on its own: a list that does not answer does not hide what the others say.
        let (helo, reverse, lists) = tokio::join!(helo, reverse, lists);
        let marks: Vec<_> = helo
            .into_iter()
            .chain(reverse)
            .chain(lists.into_iter().flatten())
            .collect();
        let marks = Arc::new(marks);
        self.marks.put(key, Arc::clone(&marks), Instant::now());
        marks
    }

    async fn helo(&self, address: IpAddr, name: &str) -> Option<Mark> {
        if self.manner.helo == Courtesy::Off {
            return None;
        }
        let is_ours = |name: &str| {
            let is = |own: &String| own.eq_ignore_ascii_case(name);
            is(&self.hostname) || self.addresses.domains().iter().any(is)
        };
        let why = match helo::wrong(name, address, is_ours) {
            Some(why) => why,
            None => {
                let asked = helo::is_nowhere(&*self.dns, name);
                let is_nowhere = tokio::time::timeout(PATIENCE, asked).await;
                is_nowhere.unwrap_or(false).then_some("unknown to DNS")?
            }
        };
        let mark = Mark::new(format!("helo({why})"), self.manner.weights.helo);
        Some(match self.manner.helo {
            Courtesy::Reject => mark.refused(
                "5.7.1",
                format!("The name in HELO is no name of a mail server: {why}"),
            ),
            _ => mark,
        })
    }

    async fn reverse(&self, address: IpAddr) -> Option<Mark> {
        if self.manner.reverse_name == Courtesy::Off {
            return None;
        }
        let asked = reverse::wrong(&*self.dns, address);
        let why = tokio::time::timeout(PATIENCE, asked).await.ok()??;
        let mark = Mark::new(
            format!("reverse-name({why})"),
            self.manner.weights.reverse_name,
        );
        Some(match self.manner.reverse_name {
            // RFC 7372 §3.3
            Courtesy::Reject => mark.refused(
                "5.7.25",
                format!("The address {address} has no name that leads back to it"),
            ),
            _ => mark,
        })
    }

    async fn listed(&self, list: &Dnsbl, address: IpAddr) -> Option<Mark> {
        let name = dnsbl::name(address, &list.zone);
        let asked = dnsbl::is_listed(&*self.dns, &name, &list.answers);
        let is_listed = tokio::time::timeout(PATIENCE, asked).await;
        if !is_listed.unwrap_or(false) {
            return None;
        }
        let mark = Mark::new(format!("dnsbl({})", list.zone), list.weight);
        if !list.reject {
            return Some(mark);
        }
        let reason = tokio::time::timeout(PATIENCE, dnsbl::reason(&*self.dns, &name)).await;
        let reason = reason
            .ok()
            .flatten()
            .map(|words| format!(": {words}"))
            .unwrap_or_default();
        Some(mark.refused(
            "5.7.1",
            format!("{address} is listed at {}{reason}", list.zone),
        ))
    }

    /// Who a client is to the greylist: the domain that SPF passes for, so that a provider may come again from another
    /// address, or its network.
    async fn who(&self, client: &Client, address: IpAddr, from: &ReversePath) -> String {
        let path = from.0.as_ref().map(ToString::to_string).unwrap_or_default();
        let key = (address, path);
        if let Some(who) = self.senders.find(&key, Instant::now()) {
            return who;
        }
        let asked = self.checker.sender(address, &client.hello, &key.1);
        let network = neighbourhood(address).to_string();
        let who = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(spf) if spf.outcome == Outcome::Pass => spf.domain,
            // The next one asks again.
            Err(_) => return network,
            Ok(spf) if spf.outcome == Outcome::TempError => return network,
            Ok(_) => network,
        };
        self.senders.put(key, who.clone(), Instant::now());
        who
    }
}

/// Whoever is refused may ask why (RFC 5321 §4.5.1, RFC 2142 §4).
pub(crate) fn is_open(to: &str) -> bool {
    let local_part = to.split('@').next().unwrap_or_default();
    ["postmaster", "abuse"]
        .iter()
        .any(|one| one.eq_ignore_ascii_case(local_part))
}

/// Seconds since 1970.
fn unix() -> u64 {
    u64::try_from(hikyaku_mailstore::unix_now()).unwrap_or(0)
}

impl Examiner for Strangers {
    fn before_recipient<'a>(
        &'a self,
        client: &'a Client,
        _: &'a ReversePath,
        to: &'a str,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            let address = self.address(client).filter(|_| !is_open(to))?;
            let marks = self.marks(address, &client.hello).await;
            let refusal = marks.iter().find_map(|mark| mark.refusal.clone())?;
            count(&self.metrics.strangers_refused_total);
            info!(%address, %refusal, "a client was refused");
            Some(refusal)
        })
    }

    fn recipient<'a>(
        &'a self,
        client: &'a Client,
        from: &'a ReversePath,
        to: &'a str,
        exists: bool,
    ) -> BoxFuture<'a, Option<Reply>> {
        Box::pin(async move {
            let address = self.address(client)?;
            if !exists || !self.manner.greylisting {
                return None;
            }
            let who = self.who(client, address, from).await;
            let path = from.to_string();
            let network = neighbourhood(address).to_string();
            let met = (&*who, &*network);
            let wait = self.greylist().meet(met, &path, to, unix()).err()?;
            count(&self.metrics.greylisted_total);
            let minutes = wait.as_secs().div_ceil(60);
            let text = format!("Greylisted, try again in {minutes} min");
            Some(Reply::new(451, "4.7.1", text.into_bytes()))
        })
    }

    fn reads_messages(&self) -> bool {
        false
    }

    fn message<'a>(&'a self, _: Arrival<'a>) -> BoxFuture<'a, Opinion> {
        Box::pin(async { Opinion::Accept(Remarks::default()) })
    }

    fn accepted(&self, client: &Client, from: &ReversePath, _: &[String]) {
        let Some(address) = self.address(client).filter(|_| self.manner.greylisting) else {
            return;
        };
        let path = from.0.as_ref().map(ToString::to_string).unwrap_or_default();
        // Whoever it was asked for: another one earns nothing by it.
        if let Some(who) = self.senders.find(&(address, path), Instant::now()) {
            self.greylist().accepted(&who, unix());
        }
    }
}
