//! `check_host()` (RFC 7208 §4): the terms of a record, one after the other, until one matches.

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::Pin;

use super::record::{Directive, Mechanism, Prefixes, Record, is_record, is_same_v4, is_same_v6};
use super::template::{Place, Template, Values};
use crate::dns::{Family, Questions};
use crate::domain::{canonical, is_within};
use crate::limits::Limits;
use crate::outcome::Outcome;

/// The longest explanation that is passed on.
const EXPLANATION: usize = 250;

/// What SPF is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) address: IpAddr,
    /// The domain whose record counts.
    pub(crate) domain: &'a str,
    /// The reverse-path, or `postmaster@` the HELO name.
    pub(crate) sender: &'a str,
    pub(crate) helo: &'a str,
    /// Our name.
    pub(crate) receiver: &'a str,
    /// The time, in seconds since 1970.
    pub(crate) seconds: u64,
}

/// What SPF answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checked {
    pub(crate) outcome: Outcome,
    /// Why: the term that matched, or what is wrong.
    pub(crate) reason: Option<String>,
    /// What the domain says to those it fails (§6.2). Written by whoever controls the domain.
    pub(crate) explanation: Option<String>,
}

impl Checked {
    fn new(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            outcome,
            reason: Some(reason.into()),
            explanation: None,
        }
    }
}

/// Checks a domain.
pub(crate) async fn check(dns: &Questions<'_>, limits: &Limits, asked: Asked<'_>) -> Checked {
    // §5: an address of IPv4 within IPv6 is one of IPv4.
    let address = match asked.address {
        IpAddr::V6(address) => canonical_address(address),
        address => address,
    };
    let (local_part, sender_domain) = match asked.sender.rsplit_once('@') {
        Some(("", domain)) => ("postmaster", domain),
        Some(parts) => parts,
        None => ("postmaster", asked.sender),
    };
    let sender_domain = canonical(sender_domain).unwrap_or_else(|| sender_domain.to_owned());
    // §4.3: what is no domain of several labels has no record.
    let Some(domain) = canonical(asked.domain) else {
        return Checked::new(Outcome::None, "no domain");
    };
    let mut evaluation = Evaluation {
        dns,
        limits,
        address,
        sender: format!("{local_part}@{sender_domain}"),
        local_part: local_part.to_owned(),
        sender_domain,
        helo: asked.helo,
        receiver: asked.receiver,
        seconds: asked.seconds,
        lookups: 0,
        voids: 0,
        names: None,
    };
    evaluation.check_host(&domain, true).await
}

fn canonical_address(address: Ipv6Addr) -> IpAddr {
    match address.to_ipv4_mapped() {
        Some(address) => IpAddr::V4(address),
        None => IpAddr::V6(address),
    }
}

struct Evaluation<'a> {
    dns: &'a Questions<'a>,
    limits: &'a Limits,
    address: IpAddr,
    sender: String,
    local_part: String,
    sender_domain: String,
    helo: &'a str,
    receiver: &'a str,
    seconds: u64,
    lookups: usize,
    voids: usize,
    /// The validated names of the address, once they are known.
    names: Option<Vec<String>>,
}

/// What ends the evaluation before a term matches.
enum Stop {
    Later,
    Never(String),
}

impl Stop {
    fn never(reason: impl Into<String>) -> Self {
        Self::Never(reason.into())
    }
}

impl From<Stop> for Checked {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Later => Self::new(Outcome::TempError, "no answer from DNS"),
            Stop::Never(reason) => Self::new(Outcome::PermError, reason),
        }
    }
}

impl<'a> Evaluation<'a> {
    /// `is_first` says whether an explanation counts: those of included records do not (§6.2).
    fn check_host<'b>(
        &'b mut self,
        domain: &'b str,
        is_first: bool,
    ) -> Pin<Box<dyn Future<Output = Checked> + Send + 'b>>
    where
        'a: 'b,
    {
        Box::pin(async move {
            match self.evaluate(domain, is_first).await {
                Ok(checked) => checked,
                Err(stop) => stop.into(),
            }
        })
    }

    async fn evaluate(&mut self, domain: &str, is_first: bool) -> Result<Checked, Stop> {
        let found = self.dns.txt(domain).await.map_err(|_| Stop::Later)?;
        let mut records = found.records.iter().filter(|text| is_record(text));
        let Some(text) = records.next() else {
            return Ok(Checked::new(Outcome::None, "no record"));
        };
        if records.next().is_some() {
            return Err(Stop::never(format!("{domain} has several records")));
        }
        let record = Record::parse(text);
        let record = record.map_err(|error| Stop::never(format!("{domain}: {error}")))?;
        for directive in &record.directives {
            if !self.is_match(directive, domain).await? {
                continue;
            }
            let mut checked = Checked::new(directive.qualifier, directive.text.clone());
            if let (Outcome::Fail, true, Some(template)) =
                (directive.qualifier, is_first, &record.explanation)
            {
                checked.explanation = self.explain(template, domain).await;
            }
            return Ok(checked);
        }
        let Some(template) = &record.redirect else {
            return Ok(Checked::new(Outcome::Neutral, "no term matches"));
        };
        self.count_lookup()?;
        let target = self.target(Some(template), domain).await?;
        // §6.1: a domain without a record is an error here, and `exp=` of this record does not count.
        let checked = self.check_host(&target, is_first).await;
        match checked.outcome {
            Outcome::None => Err(Stop::never(format!("{target} has no record"))),
            _ => Ok(checked),
        }
    }

    async fn is_match(&mut self, directive: &Directive, domain: &str) -> Result<bool, Stop> {
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, bits) => Ok(match self.address {
                IpAddr::V4(address) => is_same_v4(address, *network, *bits),
                IpAddr::V6(_) => false,
            }),
            Mechanism::Ip6(network, bits) => Ok(match self.address {
                IpAddr::V6(address) => is_same_v6(address, *network, *bits),
                IpAddr::V4(_) => false,
            }),
            Mechanism::Include(template) => {
                self.count_lookup()?;
                let target = self.target(Some(template), domain).await?;
                self.include(&target).await
            }
            Mechanism::A(template, prefixes) => {
                self.count_lookup()?;
                let target = self.target(template.as_ref(), domain).await?;
                let found = self.addresses(&target).await?;
                self.count_void(found.is_empty())?;
                Ok(self.is_among(&found, *prefixes))
            }
            Mechanism::Mx(template, prefixes) => {
                self.count_lookup()?;
                let target = self.target(template.as_ref(), domain).await?;
                self.is_exchange(&target, *prefixes).await
            }
            Mechanism::Ptr(template) => {
                self.count_lookup()?;
                let target = self.target(template.as_ref(), domain).await?;
                let target = target.to_ascii_lowercase();
                let names = self.validated_names().await?;
                Ok(names.iter().any(|name| is_within(name, &target)))
            }
            Mechanism::Exists(template) => {
                self.count_lookup()?;
                let target = self.target(Some(template), domain).await?;
                if !self.local_part.is_ascii() && template.needs_local_part() {
                    return Ok(false);
                }
                // §5.7: IPv4, whatever the connection's family.
                let found = self.dns.addresses(&target, Family::V4).await;
                let found = found.map_err(|_| Stop::Later)?;
                self.count_void(found.records.is_empty())?;
                Ok(!found.records.is_empty())
            }
        }
    }

    /// §5.2.
    async fn include(&mut self, target: &str) -> Result<bool, Stop> {
        let checked = self.check_host(target, false).await;
        match checked.outcome {
            Outcome::Pass => Ok(true),
            Outcome::Fail | Outcome::SoftFail | Outcome::Neutral => Ok(false),
            Outcome::TempError => Err(Stop::Later),
            Outcome::None => Err(Stop::never(format!("{target} has no record"))),
            Outcome::PermError | Outcome::Policy => Err(Stop::Never(
                checked.reason.unwrap_or_else(|| target.to_owned()),
            )),
        }
    }

    /// §5.4.
    async fn is_exchange(&mut self, target: &str, prefixes: Prefixes) -> Result<bool, Stop> {
        let found = self.dns.exchanges(target).await.map_err(|_| Stop::Later)?;
        self.count_void(found.records.is_empty())?;
        // §4.6.4: more are an error, if they would have to be looked up.
        for (position, host) in found.records.iter().enumerate() {
            if position >= self.limits.spf_names {
                return Err(Stop::never(format!("{target} has too many MX records")));
            }
            let addresses = self.addresses(host).await?;
            if self.is_among(&addresses, prefixes) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names of the address that lead back to it (§5.5). Those that DNS does not answer for are left out.
    async fn validated_names(&mut self) -> Result<Vec<String>, Stop> {
        if let Some(names) = &self.names {
            return Ok(names.clone());
        }
        let found = self.dns.names(self.address).await;
        let found = found.map(|answer| answer.records).unwrap_or_default();
        self.count_void(found.is_empty())?;
        let mut names = Vec::new();
        for name in found.into_iter().take(self.limits.spf_names) {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            let addresses = self.addresses(&name).await.unwrap_or_default();
            if addresses.contains(&self.address) {
                names.push(name);
            }
        }
        self.names = Some(names.clone());
        Ok(names)
    }

    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Stop> {
        let found = self.dns.addresses(name, Family::of(self.address)).await;
        Ok(found.map_err(|_| Stop::Later)?.records)
    }

    fn is_among(&self, addresses: &[IpAddr], prefixes: Prefixes) -> bool {
        let mut addresses = addresses.iter();
        addresses.any(|address| prefixes.match_both(*address, self.address))
    }

    /// The name that a term is about: the record's domain where it has none of its own.
    async fn target(&mut self, template: Option<&Template>, domain: &str) -> Result<String, Stop> {
        let Some(template) = template else {
            return Ok(domain.to_owned());
        };
        let names = match template.needs_names() {
            true => self.validated_names().await?,
            false => Vec::new(),
        };
        Ok(template.expand_name(&self.values(domain, &names)))
    }

    fn values<'b>(&'b self, domain: &'b str, names: &'b [String]) -> Values<'b> {
        // §7.3: the domain itself before names below it before others.
        let is_itself = |name: &&String| name.as_str() == domain;
        let is_below = |name: &&String| is_within(name, domain);
        let validated = names.iter().find(is_itself);
        let validated = validated.or_else(|| names.iter().find(is_below));
        let validated = validated.or_else(|| names.first());
        Values {
            sender: &self.sender,
            local_part: &self.local_part,
            sender_domain: &self.sender_domain,
            domain,
            address: self.address,
            validated: validated.map_or("unknown", String::as_str),
            helo: self.helo,
            receiver: self.receiver,
            seconds: self.seconds,
        }
    }

    /// §6.2: whatever goes wrong, there is no explanation then, and the result stays.
    async fn explain(&mut self, template: &Template, domain: &str) -> Option<String> {
        let target = self.target(Some(template), domain).await.ok()?;
        let found = self.dns.txt(&target).await.ok()?;
        let [text] = found.records.as_slice() else {
            return None;
        };
        let text = std::str::from_utf8(text).ok()?;
        let template = Template::parse(text, Place::Explanation).ok()?;
        let names = match template.needs_names() {
            true => self.validated_names().await.ok()?,
            false => Vec::new(),
        };
        let text = template.expand(&self.values(domain, &names));
        let is_shown = |octet: u8| matches!(octet, 0x20..=0x7e);
        (text.len() <= EXPLANATION && text.bytes().all(is_shown)).then_some(text)
    }

    fn count_lookup(&mut self) -> Result<(), Stop> {
        self.lookups += 1;
        match self.lookups > self.limits.spf_lookups {
            true => Err(Stop::never("too many terms that ask DNS")),
            false => Ok(()),
        }
    }

    fn count_void(&mut self, is_void: bool) -> Result<(), Stop> {
        self.voids += usize::from(is_void);
        match self.voids > self.limits.spf_voids {
            true => Err(Stop::never("too many questions without an answer")),
            false => Ok(()),
        }
    }
}
