//! What TLS has to be with the exchangers of a domain: DANE, else MTA-STS, else what can be had (RFC 7672, RFC 8461 §2).

use std::sync::Arc;
use tokio::sync::OnceCell;

use crate::dane::policy::Policy as Dane;
use crate::dns::{Destination, Host, LookupError, NoRoute, ascii};
use crate::relay::Relay;
use crate::security::Security;
use crate::sts::policies::{Busy, Known};
use crate::sts::policy::{Mode, Policy as Sts};
use crate::tls_report::result_type::ResultType;
use crate::tls_report::session::{Session, Subject};
use crate::tls_report::tally::{Applied, Kind};

/// Said of a host that fails what the policy demands.
const STS: &str = "; its domain's MTA-STS policy demands TLS with a certificate that is checked";
const DANE: &str = "; its TLSA records demand it";
const NOT_ALLOWED: &str = "the MTA-STS policy does not allow this host";

/// What one host has to do.
pub(crate) struct Demanded {
    pub(crate) security: Security,
    /// Why that is required, in words.
    pub(crate) demand: Option<&'static str>,
    /// What sessions with it are counted for. Nothing, when there is no subject.
    subject: Option<Subject>,
    host: String,
    objection: Option<(ResultType, &'static str)>,
}

impl Demanded {
    /// Demands nothing, and counts nothing.
    pub(crate) fn nothing() -> Self {
        Self {
            security: Security::Opportunistic,
            demand: None,
            subject: None,
            host: String::new(),
            objection: None,
        }
    }

    /// Begins a session with one address of the host.
    pub(crate) fn session(&self) -> Session {
        let session = |subject: &Subject| subject.session(&self.host, self.objection);
        self.subject.as_ref().map(session).unwrap_or_default()
    }
}

/// What the hosts of one destination have to do.
pub(crate) struct Demands<'a> {
    relay: &'a Relay,
    destination: &'a Destination,
    /// The domain as it is in DNS; `None` when the destination is an address.
    domain: Option<String>,
    /// The sender or a rule wants hosts that are checked.
    must_verify: bool,
    sts: OnceCell<Known>,
}

impl<'a> Demands<'a> {
    pub(crate) fn new(relay: &'a Relay, destination: &'a Destination, must_verify: bool) -> Self {
        Self {
            relay,
            destination,
            // RFC 8461 §3.4: the domain of a smarthost, where all goes to one.
            domain: ascii(&destination.domain),
            must_verify,
            sts: OnceCell::new(),
        }
    }

    /// Decides for one host.
    ///
    /// # Errors
    /// Nothing is to be sent to the host.
    pub(crate) async fn of(&self, host: &Host) -> Result<Demanded, NoRoute> {
        let dane = match self.relay.dns.dane(self.destination, host).await {
            Ok(dane) => dane,
            // An answer that is forged is no answer: the host is left alone (RFC 7672 §2.1.2).
            Err(error) => return Err(self.unknown(host, error)),
        };
        match dane {
            Some(dane) if dane.authenticates() => Ok(self.dane(dane, host)),
            // No record can be used: TLS is demanded, and who the host is may be checked otherwise (RFC 7672 §2.2).
            Some(dane) => {
                let sts = self.sts().await?;
                let is_enforced = sts.policy.is_some_and(|sts| sts.mode() == Mode::Enforce);
                match self.must_verify || is_enforced {
                    true => self.without_dane(host).await,
                    false => Ok(self.dane(dane, host)),
                }
            }
            None => self.without_dane(host).await,
        }
    }

    /// The policy of the domain. It is looked up when the first host needs it.
    async fn sts(&self) -> Result<Known, NoRoute> {
        let known = self.sts.get_or_try_init(|| async {
            let (Some(policies), Some(domain)) = (&self.relay.policies, &self.domain) else {
                return Ok(Known::default());
            };
            let known = policies.of(domain).await;
            let known = known.map_err(|Busy| {
                let why = "451 4.4.3 too many MTA-STS policies are being fetched";
                NoRoute::Temporary(why.to_owned())
            })?;
            if let Some(trouble) = &known.trouble {
                let subject = self.subject(known.policy.as_ref().map(applied_sts(domain)));
                subject.remark(None, trouble.result, &trouble.words);
            }
            Ok(known)
        });
        known.await.cloned()
    }

    async fn without_dane(&self, host: &Host) -> Result<Demanded, NoRoute> {
        let sts = self.sts().await?.policy;
        let domain = self.domain.as_deref().unwrap_or_default();
        let subject = self.subject(sts.as_ref().map(applied_sts(domain)));
        let is_allowed = sts.as_ref().is_none_or(|sts| sts.allows(&host.name));
        let mode = sts.as_ref().map(|sts| sts.mode());
        if mode == Some(Mode::Enforce) && !is_allowed {
            subject.refused(&host.name, ResultType::CertificateHostMismatch, NOT_ALLOWED);
            let why = format!("451 4.7.5 {}: {NOT_ALLOWED}", host.name);
            return Err(NoRoute::Temporary(why));
        }
        let objection = (!is_allowed).then_some((ResultType::CertificateHostMismatch, NOT_ALLOWED));
        let names = vec![host.name.clone()];
        let (security, demand) = match mode {
            // §4.2: the certificate is for the host, whatever else REQUIRETLS or a rule would accept.
            Some(Mode::Enforce) => (Security::Verified { names }, Some(STS)),
            _ if self.must_verify => {
                let names = self.destination.reference_identifiers(host, &host.name);
                (Security::Verified { names }, None)
            }
            Some(_) => (Security::Tested { names }, None),
            None => (Security::Opportunistic, None),
        };
        Ok(Demanded {
            security,
            demand,
            subject: Some(subject),
            host: host.name.clone(),
            objection,
        })
    }

    fn dane(&self, dane: Dane, host: &Host) -> Demanded {
        let subject = self.subject(Some(applied_dane(&dane)));
        if !dane.authenticates() {
            let why = "no TLSA record can be used";
            subject.remark(Some(&host.name), ResultType::TlsaInvalid, why);
        }
        Demanded {
            security: Security::Dane(dane),
            demand: Some(DANE),
            subject: Some(subject),
            host: host.name.clone(),
            objection: None,
        }
    }

    fn unknown(&self, host: &Host, error: LookupError) -> NoRoute {
        let result = match error.result_type() {
            "tlsa-invalid" => ResultType::TlsaInvalid,
            _ => ResultType::DnssecInvalid,
        };
        let applied = Applied::new(Kind::Tlsa, &host.name, [], []);
        let subject = self.subject(Some(applied));
        subject.refused(&host.name, result, &error.to_string());
        error.into()
    }

    /// What sessions under that policy are counted for.
    fn subject(&self, applied: Option<Applied>) -> Subject {
        let tallies = self.relay.reports.as_ref().map(|reports| &reports.tallies);
        let domain = self.domain.as_deref();
        let applied = applied.unwrap_or_else(|| {
            let of = domain.unwrap_or_default();
            Applied::new(Kind::NoPolicyFound, of, [], [])
        });
        // Nobody has reports of an address.
        let tallies = tallies.filter(|_| domain.is_some());
        Subject::new(
            &self.relay.options.observe,
            tallies,
            domain.unwrap_or_default(),
            applied,
        )
    }
}

fn applied_sts(domain: &str) -> impl Fn(&Arc<Sts>) -> Applied {
    move |sts| {
        let lines = sts.lines().map(str::to_owned);
        let hosts = sts.patterns().map(str::to_owned);
        Applied::new(Kind::Sts, domain, lines, hosts)
    }
}

fn applied_dane(dane: &Dane) -> Applied {
    let mut records: Vec<String> = dane.records().map(ToString::to_string).collect();
    // DNS gives them in any order.
    records.sort_unstable();
    Applied::new(Kind::Tlsa, dane.base_domain(), records, [])
}
