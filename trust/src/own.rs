//! Mail that bears a name of our own and comes from outside.
//!
//! Nobody out there is believed to be one of us without proof, whatever the policies are.

use crate::decision::{Decision, Reply};
use crate::domain::{canonical, is_within, of_address};
use crate::outcome::Outcome;
use crate::verdicts::{Spf, Verdicts};

/// Our own domains and host names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Own {
    names: Vec<String>,
}

impl Own {
    /// Names that are no domains are left out: nobody can bear them.
    pub(crate) fn new<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let names = names.into_iter();
        Self {
            names: names.filter_map(|name| canonical(name.as_ref())).collect(),
        }
    }

    /// Whether a domain is one of ours, or lies below one.
    pub(crate) fn has(&self, domain: &str) -> bool {
        self.names.iter().any(|name| is_within(domain, name))
    }

    /// Whether a text that is no domain can be read as one of ours.
    fn is_in(&self, text: &str) -> bool {
        self.names.iter().any(|name| text.contains(name.as_str()))
    }

    /// Whether anything in an envelope or in a From field is ours.
    pub(crate) fn is_borne(&self, verdicts: &Verdicts, helo: &str, mail_from: &str) -> bool {
        let is_ours = |domain: Option<String>| domain.is_some_and(|domain| self.has(&domain));
        let authors = &verdicts.authors;
        is_ours(canonical(helo))
            || is_ours(of_address(mail_from).and_then(canonical))
            || authors.domains.iter().any(|domain| self.has(domain))
            || authors.unclear.iter().any(|text| self.is_in(text))
            || authors.senders.iter().any(|domain| self.has(domain))
            || authors.unclear_senders.iter().any(|text| self.is_in(text))
    }

    /// Decides about mail that bears our name. `None` when it bears none, or is authenticated.
    pub(crate) fn decide(
        &self,
        verdicts: &Verdicts,
        helo: &str,
        mail_from: &str,
        is_rewritten: impl Fn(&str) -> bool,
    ) -> Option<Decision> {
        let authors = &verdicts.authors;
        if authors.is_too_large && !self.names.is_empty() {
            // Our name may stand where it was not read.
            let text = "the From fields are too large to be read";
            return Some(Decision::Refuse(Reply::never(1, text)));
        }
        if authors.unclear.iter().any(|text| self.is_in(text)) {
            let text = "the From field bears our name and cannot be read";
            return Some(Decision::Refuse(Reply::never(1, text)));
        }
        let ours = authors.domains.iter().filter(|domain| self.has(domain));
        for domain in ours {
            let proof = either(
                by_dkim(verdicts, domain),
                by_spf(verdicts.spf.as_ref(), domain),
            );
            if let Some(decision) = refusal(proof, 26, || {
                format!("From {domain} without a DKIM or SPF pass for it")
            }) {
                return Some(decision);
            }
        }
        if authors.unclear_senders.iter().any(|text| self.is_in(text)) {
            let text = "a Sender field bears our name and cannot be read";
            return Some(Decision::Refuse(Reply::never(1, text)));
        }
        for domain in authors.senders.iter().filter(|domain| self.has(domain)) {
            let proof = either(
                by_dkim(verdicts, domain),
                by_spf(verdicts.spf.as_ref(), domain),
            );
            if let Some(decision) = refusal(proof, 26, || {
                format!("Sender {domain} without a DKIM or SPF pass for it")
            }) {
                return Some(decision);
            }
        }
        let sender = of_address(mail_from).and_then(canonical);
        let sender = sender.filter(|domain| self.has(domain));
        if let Some(domain) = sender.filter(|_| !is_rewritten(mail_from)) {
            let proof = either(
                by_dkim(verdicts, &domain),
                by_spf(verdicts.spf.as_ref(), &domain),
            );
            if let Some(decision) = refusal(proof, 23, || {
                format!("MAIL FROM {domain} without an SPF pass for it")
            }) {
                return Some(decision);
            }
        }
        let name = canonical(helo).filter(|name| self.has(name))?;
        let proof = either(
            by_spf(verdicts.spf_helo.as_ref(), &name),
            by_name(verdicts, &name),
        );
        refusal(proof, 1, || {
            format!("HELO {name} is our name, and this is not our address")
        })
    }
}

/// Whether something is proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    No,
    Unknown,
    Yes,
}

fn either(one: Proof, other: Proof) -> Proof {
    one.max(other)
}

fn refusal(proof: Proof, detail: u16, text: impl FnOnce() -> String) -> Option<Decision> {
    match proof {
        Proof::Yes => None,
        Proof::Unknown => Some(Decision::Defer(Reply::later(24, text()))),
        Proof::No => Some(Decision::Refuse(Reply::never(detail, text()))),
    }
}

/// A signature of the domain, or of one above it.
fn by_dkim(verdicts: &Verdicts, domain: &str) -> Proof {
    let all = verdicts.dkim.iter().flatten();
    let matching = all.filter(|one| !one.domain.is_empty() && is_within(domain, &one.domain));
    matching
        .map(|one| proof(one.outcome))
        .max()
        .unwrap_or(Proof::No)
}

/// SPF of the very domain.
fn by_spf(spf: Option<&Spf>, domain: &str) -> Proof {
    match spf {
        Some(spf) if spf.domain == domain => proof(spf.outcome),
        _ => Proof::No,
    }
}

/// The address's own name.
fn by_name(verdicts: &Verdicts, name: &str) -> Proof {
    match &verdicts.iprev {
        Some(iprev) if iprev.outcome == Outcome::TempError => Proof::Unknown,
        Some(iprev) if iprev.name.as_deref() == Some(name) => proof(iprev.outcome),
        _ => Proof::No,
    }
}

fn proof(outcome: Outcome) -> Proof {
    match outcome {
        Outcome::Pass => Proof::Yes,
        Outcome::TempError => Proof::Unknown,
        _ => Proof::No,
    }
}
