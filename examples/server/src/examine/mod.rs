//! What looks at mail before it is accepted, as configured: checks of where it comes from, filters, and signatures on what
//! leaves.

mod key;
mod outside;
mod settings;
mod signed;

pub use key::{DkimError, new_dkim_key};
pub(crate) use key::{MadeKey, made};
pub use settings::{Check, Checks, DkimKey, DmarcCheck, Filter, FilterAway, FilterKind};

use hikyaku_filter::{Away, Endpoint, Filters, Milter, Rspamd};
use hikyaku_service::Examiner;
use hikyaku_trust::dns::{NoResolver, Resolver};
use hikyaku_trust::{DmarcPolicy, Policies, Policy};
use std::sync::{Arc, Mutex};

use crate::addresses::AddressBook;
use crate::config::Config;
use outside::Outside;
use signed::Signed;

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

/// Reads what the configuration names, and returns who looks at mail; `None` when nobody is to.
pub(crate) fn examiner(
    config: &Config,
    addresses: &AddressBook,
) -> Result<Option<Arc<dyn Examiner>>, ExamineError> {
    let mut all: Vec<Arc<dyn Examiner>> = Vec::new();
    if let Some(checks) = &config.checks {
        all.push(Arc::new(outside(config, checks, addresses)?));
    }
    for filter in &config.filters {
        all.push(filtered(filter, &config.hostname)?);
    }
    if !config.dkim.is_empty() {
        all.push(Arc::new(Signed(Arc::new(key::signer(config)?))));
    }
    Ok((!all.is_empty()).then(|| Arc::new(Filters(all)) as Arc<dyn Examiner>))
}

/// Finds out whether that would work, for `mailserver check`.
pub(crate) fn check(config: &Config) -> Result<(), ExamineError> {
    for filter in &config.filters {
        filtered(filter, &config.hostname)?;
    }
    key::signer(config)?;
    Ok(())
}

fn outside(
    config: &Config,
    checks: &Checks,
    addresses: &AddressBook,
) -> Result<Outside, ExamineError> {
    let address = |text: &String| {
        text.parse()
            .map_err(|_| ExamineError::Address(text.clone()))
    };
    let servers: Result<Vec<_>, _> = config.relay.dns.iter().map(address).collect();
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
    Ok(Outside {
        hostname: config.hostname.clone(),
        dns: Arc::new(Resolver::new(&servers?, config.relay.dns_timeout.0)?),
        policies,
        exempt: config.senders.exempt.clone(),
        addresses: addresses.clone(),
        last: Mutex::default(),
    })
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
