//! What looks at mail before it is accepted, as configured: checks of where it comes from, filters, and signatures on what
//! leaves.

mod key;
mod outside;
mod own;
mod row;
mod scored;
mod sealed;
mod settings;
mod signed;
mod without;

pub use key::{DkimError, new_dkim_key};
pub(crate) use key::{made, read as dkim_key, record as dkim_record};
pub(crate) use own::OwnMail;
pub use settings::{Check, Checks, DkimKey, DmarcCheck, Filter, FilterAway, FilterKind};

use hikyaku_filter::{Away, Endpoint, Filters, Milter, Rspamd};
use hikyaku_service::Examiner;
use hikyaku_trust::dns::{Ask, NoResolver, Resolver};
use hikyaku_trust::{DmarcPolicy, Policies, Policy};
use std::sync::{Arc, Mutex};

use crate::addresses::AddressBook;
use crate::config::{Config, StoreKind};
use crate::dmarc::{Counts, Inbox};
use crate::forwarding::Rewriter;
use crate::manners::Manners;
use outside::Outside;
use row::Row;
use scored::Scorer;
use sealed::Sealer;
use signed::Signed;

/// Where counts for reports are kept, in the data folder.
const COUNTS: &str = "dmarc-counts";

/// Why mail cannot be looked at: one line, with the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExamineError {
    /// Where a filter listens.
    #[error("[[filters]] at: {0}")]
    Filter(#[from] hikyaku_filter::BadEndpoint),
    /// A key.
    #[error(transparent)]
    Dkim(#[from] DkimError),
    /// The DNS resolver.
    #[error("[checks]: {0}: name a resolver with dns = [\"ADDRESS:53\"] in [relay]")]
    Resolver(#[from] NoResolver),
    /// The DNS resolver's address.
    #[error("[relay] dns: \"{0}\" is no address and port, such as \"127.0.0.1:53\"")]
    Address(String),
}

/// Who looks at mail.
pub(crate) struct Examining {
    pub(crate) examiner: Arc<dyn Examiner>,
    /// What is to be reported to domains that want it.
    pub(crate) counts: Option<Arc<Counts>>,
}

/// Reads what the configuration names.
pub(crate) fn examiner(
    config: &Config,
    addresses: &AddressBook,
    dns: Option<Arc<dyn Ask>>,
    srs: Option<&Arc<Rewriter>>,
    manners: &Manners,
) -> Result<Examining, ExamineError> {
    let mut all = vec![manners.limits()];
    let strangers = manners.strangers().cloned();
    all.extend(strangers.clone().map(|one| one as Arc<dyn Examiner>));
    let mut then: Vec<Arc<dyn Examiner>> = Vec::new();
    for filter in &config.filters {
        then.push(filtered(filter, &config.hostname)?);
    }
    let signer = Arc::new(key::signer(config)?);
    if !config.dkim.is_empty() {
        then.push(Arc::new(Signed {
            signer: Arc::clone(&signer),
            seven_bit: config.senders.seven_bit,
        }));
    }
    // What a store in memory loses is lost with it.
    let is_kept = config.store.kind != StoreKind::Memory;
    let checks = config.checks.as_ref();
    let reports = checks.and_then(|checks| checks.dmarc_reports.as_ref());
    let folder = is_kept.then(|| config.data.join(COUNTS));
    let counts = reports.map(|_| Arc::new(Counts::open(folder)));
    let inbox = checks.filter(|_| is_kept);
    let inbox = inbox.map(|checks| Inbox::new(&config.data, addresses, &checks.dmarc_inbox));
    let outside = checks.zip(dns);
    let outside = outside.map(|(checks, dns)| Outside {
        srs: srs.cloned(),
        ..outside_of(config, checks, addresses, dns)
    });
    if outside.is_none() && strangers.is_none() {
        all.append(&mut then);
    } else {
        let metrics = Arc::clone(&manners.metrics);
        all.push(Arc::new(Row {
            outside,
            scorer: strangers.map(|strangers| Scorer { strangers, metrics }),
            then: Filters(then),
            sealer: seals(config).then_some(Sealer(signer)),
            counts: counts.clone(),
            inbox: inbox.map(Arc::new),
        }));
    }
    Ok(Examining {
        examiner: Arc::new(Filters(all)),
        counts,
    })
}

/// Finds out whether that would work, for `mailserver check`.
pub(crate) fn check(config: &Config) -> Result<(), ExamineError> {
    for filter in &config.filters {
        filtered(filter, &config.hostname)?;
    }
    key::signer(config)?;
    Ok(())
}

/// Who is asked about names, where mail is looked at with DNS; `None` where it is not.
pub(crate) fn asked(config: &Config) -> Result<Option<Arc<dyn Ask>>, ExamineError> {
    if config.checks.is_none() && config.manners.is_none() {
        return Ok(None);
    }
    Ok(Some(Arc::new(resolver(config)?)))
}

/// The DNS servers of the configuration.
pub(crate) fn resolver(config: &Config) -> Result<Resolver, ExamineError> {
    let address = |text: &String| {
        text.parse()
            .map_err(|_| ExamineError::Address(text.clone()))
    };
    let servers: Result<Vec<_>, _> = config.relay.dns.iter().map(address).collect();
    Ok(Resolver::new(&servers?, config.relay.dns_timeout.0)?)
}

/// Whether what is passed on is sealed.
fn seals(config: &Config) -> bool {
    config.forward.seal && !config.dkim.is_empty()
}

fn outside_of(
    config: &Config,
    checks: &Checks,
    addresses: &AddressBook,
    dns: Arc<dyn Ask>,
) -> Outside {
    let mut policies = Policies::default();
    policies.spf = policy(checks.spf);
    policies.dkim = policy(checks.dkim);
    policies.arc = policy(checks.arc);
    policies.iprev = policy(checks.iprev);
    policies.dmarc = match checks.dmarc {
        DmarcCheck::Off => DmarcPolicy::Off,
        DmarcCheck::Mark => DmarcPolicy::Mark,
        DmarcCheck::Honour => DmarcPolicy::Honour,
        DmarcCheck::Reject => DmarcPolicy::Reject,
    };
    Outside {
        hostname: config.hostname.clone(),
        dns,
        seals: seals(config),
        policies,
        srs: None,
        exempt: config.senders.exempt.clone(),
        addresses: addresses.clone(),
        last: Mutex::default(),
    }
}

fn policy(check: Check) -> Policy {
    match check {
        Check::Off => Policy::Off,
        Check::Mark => Policy::Mark,
        Check::Reject => Policy::Reject,
    }
}

fn filtered(filter: &Filter, hostname: &str) -> Result<Arc<dyn Examiner>, ExamineError> {
    let at: Endpoint = filter.at.parse()?;
    let away = match filter.away {
        FilterAway::Defer => Away::Defer,
        FilterAway::Accept => Away::Accept,
    };
    Ok(match filter.kind {
        FilterKind::Rspamd => Arc::new(Rspamd::new(at, hostname).away(away)),
        FilterKind::Milter => Arc::new(Milter::new(at, hostname).away(away)),
    })
}
