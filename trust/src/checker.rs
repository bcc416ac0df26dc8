//! All checks on a message that arrives.

use mail_auth::{AuthenticatedMessage, MessageAuthenticator};
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::timeout;

use crate::authors::Authors;
use crate::checks::{arc, deaf, dkim, dmarc, iprev};
use crate::decide::decide;
use crate::decision::Decision;
use crate::dns::{Ask, NoResolver, Questions};
use crate::domain::{ascii, canonical, of_address};
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::own::Own;
use crate::policy::{DmarcPolicy, Policies, Policy};
use crate::results::{Results, foreign_results};
use crate::section::size;
use crate::spf;
use crate::verdicts::{self, Spf, Verdicts};

/// A message that came from outside.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs)]
pub struct Arrival<'a> {
    /// The address of the connection.
    pub address: IpAddr,
    /// The name of HELO or EHLO.
    pub helo: &'a str,
    /// The reverse-path, without its brackets. Empty for the null path.
    pub mail_from: &'a str,
    /// The whole message, from the first header field on.
    pub message: &'a [u8],
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Checked {
    /// What is done with it.
    pub decision: Decision,
    /// What was found out.
    pub verdicts: Verdicts,
    /// The fields to put above the message, each with the end of its line.
    pub fields: String,
    /// Where fields lie that have to be taken out of the message, since they claim to be ours (RFC 8601 §5).
    pub foreign: Vec<Range<usize>>,
}

/// Returns whether a reverse-path, without its brackets, was rewritten here: [`Srs::reverse`](crate::srs::Srs::reverse)
/// finds the sender behind it.
pub type IsRewritten = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Checks messages that come from outside.
///
/// Mail that bears a name of our own, in a From field, in MAIL FROM or in HELO, is refused unless it is authenticated,
/// whatever the policies are. It is authenticated
///
/// * for a From field by a DKIM signature that passes with `d=` the author's domain or one above it, or by SPF that passes
///   for MAIL FROM of that very domain;
/// * for MAIL FROM by SPF that passes for it, by such a signature, or by being a path that was rewritten here
///   ([`Checker::is_rewritten`]);
/// * for HELO by SPF that passes for the name, or by the address having that very name.
///
/// Neither DMARC's relaxed alignment nor ARC counts here.
pub struct Checker {
    hostname: String,
    dns: Arc<dyn Ask>,
    deaf: MessageAuthenticator,
    own: Own,
    /// What is done about each check.
    pub policies: Policies,
    /// Whether messages are sealed when they are passed on: then chains are looked at, whatever the policy for ARC is.
    pub seals: bool,
    /// Which paths were rewritten here. Such a one is proof for MAIL FROM: another server that passes mail on may leave it,
    /// and send the message here again. Whoever got it can use it for as long as it is good, so it proves no author.
    pub is_rewritten: Option<IsRewritten>,
    /// What a message may cost.
    pub limits: Limits,
}

impl fmt::Debug for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checker")
            .field("hostname", &self.hostname)
            .field("own", &self.own)
            .field("policies", &self.policies)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Checker {
    /// Creates a checker with the default policies. `hostname` is this server's name, and its authserv-id; it and the
    /// domains in `own`, with all below them, are names of our own.
    ///
    /// # Errors
    /// [`NoResolver`].
    pub fn new<S: AsRef<str>>(
        hostname: &str,
        own: impl IntoIterator<Item = S>,
        dns: Arc<dyn Ask>,
    ) -> Result<Self, NoResolver> {
        let own: Vec<String> = own
            .into_iter()
            .map(|name| name.as_ref().to_owned())
            .collect();
        let names = own.iter().map(String::as_str).chain([hostname]);
        Ok(Self {
            hostname: hostname.to_owned(),
            own: Own::new(names),
            dns,
            deaf: deaf()?,
            policies: Policies::default(),
            seals: false,
            is_rewritten: None,
            limits: Limits::default(),
        })
    }

    /// Returns this server's name.
    pub fn hostname(&self) -> &str {
        &self.hostname
    }

    /// Questions for one check. Each has its own: a sender whose SPF uses all up would keep DMARC from asking.
    pub(crate) fn questions(&self) -> Questions<'_> {
        Questions::new(&*self.dns, self.limits.questions)
    }

    /// Checks a message and decides what is done with it. Takes as long as [`Limits::patience`] for a check at most. On a
    /// runtime of several threads a large message is hashed by [`block_in_place`], so not in a `LocalSet`.
    pub async fn check(&self, mut arrival: Arrival<'_>) -> Checked {
        // A socket for both kinds of addresses has IPv4 ones as ::ffff:192.0.2.1.
        arrival.address = arrival.address.to_canonical();
        let verdicts = self.verdicts(arrival).await;
        let is_rewritten = |path: &str| self.is_rewritten.as_ref().is_some_and(|is| is(path));
        let (helo, mail_from) = (arrival.helo, arrival.mail_from);
        let own = self.own.decide(&verdicts, helo, mail_from, is_rewritten);
        let decision = own.unwrap_or_else(|| decide(&self.policies, &verdicts, sample()));
        Checked {
            decision,
            fields: self.field(arrival, &verdicts),
            foreign: foreign_results(arrival.message, &self.hostname),
            verdicts,
        }
    }

    /// Checks SPF for MAIL FROM alone, before there is a message. A null path counts as one of the HELO name (RFC 7208 §2.4).
    pub async fn sender(&self, address: IpAddr, helo: &str, mail_from: &str) -> Spf {
        let arrival = Arrival {
            address: address.to_canonical(),
            helo,
            mail_from,
            message: &[],
        };
        match mail_from {
            "" => {
                let postmaster = format!("postmaster@{helo}");
                self.spf_of(arrival, helo, &postmaster).await
            }
            path => {
                let domain = of_address(path).unwrap_or_default();
                self.spf_of(arrival, domain, path).await
            }
        }
    }

    async fn verdicts(&self, arrival: Arrival<'_>) -> Verdicts {
        let mut verdicts = Verdicts {
            address: arrival.address,
            authors: Authors::find(arrival.message),
            spf: None,
            spf_helo: None,
            dkim: None,
            dmarc: None,
            arc: None,
            iprev: None,
        };
        let policies = &self.policies;
        let is_own = self
            .own
            .is_borne(&verdicts, arrival.helo, arrival.mail_from);
        let is_needed = is_own || policies.dmarc != DmarcPolicy::Off;
        let is_wanted = |policy| policy != Policy::Off;
        if is_needed || is_wanted(policies.spf) {
            let (helo, sender) = self.spf(arrival).await;
            verdicts.spf_helo = Some(helo);
            verdicts.spf = Some(sender);
        }
        if is_own || is_wanted(policies.iprev) {
            let dns = self.questions();
            let checking = iprev::check(&dns, &self.limits, arrival.address);
            let checked = timeout(self.limits.patience, checking).await;
            verdicts.iprev = Some(checked.unwrap_or_else(|_| verdicts::Iprev {
                outcome: Outcome::TempError,
                name: None,
                reason: Some(TOO_LATE.to_owned()),
            }));
        }
        if is_needed || self.seals || is_wanted(policies.dkim) || is_wanted(policies.arc) {
            self.signatures(arrival.message, &mut verdicts, is_needed)
                .await;
        }
        if policies.dmarc != DmarcPolicy::Off {
            let signatures = verdicts.dkim.as_deref().unwrap_or_default();
            let spf = verdicts.spf.as_ref();
            let authors = &verdicts.authors;
            let dns = self.questions();
            let checking = dmarc::check(&self.deaf, &dns, &self.limits, authors, spf, signatures);
            verdicts.dmarc = Some(checking.await);
        }
        verdicts
    }

    /// DKIM and ARC read the same headers and hash the same body.
    async fn signatures(&self, message: &[u8], verdicts: &mut Verdicts, is_needed: bool) {
        let wants_arc = self.seals || self.policies.arc != Policy::Off;
        let wants_dkim = is_needed || self.policies.dkim != Policy::Off;
        let (count, octets) = size(message);
        if verdicts.authors.is_too_large || !self.limits.admit(count, octets) {
            // Nor is it read here: each field, and each address in From, takes more memory than octets.
            verdicts.dkim = wants_dkim.then(|| dkim::too_large(message, &self.limits));
            verdicts.arc = wants_arc.then(|| arc::too_large(message));
            return;
        }
        let (mut parsed, patience) = (hashed(message), self.limits.patience);
        if wants_dkim {
            let dns = self.questions();
            let late = dkim::unverified(&parsed, &self.limits, TOO_LATE);
            let checking = dkim::check(&self.deaf, &dns, &self.limits, &mut parsed);
            let checked = timeout(patience, checking).await;
            verdicts.dkim = Some(checked.unwrap_or(late));
        }
        if wants_arc {
            let dns = self.questions();
            let looking = arc::look_up(&dns, &self.limits, &parsed);
            verdicts.arc = Some(match timeout(patience, looking).await {
                Ok(known) => arc::check(&self.deaf, &self.limits, &parsed, &known),
                Err(_) => verdicts::Arc {
                    outcome: Outcome::TempError,
                    sealers: Vec::new(),
                    reason: Some(TOO_LATE.to_owned()),
                },
            });
        }
    }

    /// SPF for HELO and for MAIL FROM, which is the HELO name where the path is null (RFC 7208 §2.4).
    async fn spf(&self, arrival: Arrival<'_>) -> (Spf, Spf) {
        let postmaster = format!("postmaster@{}", arrival.helo);
        let helo = self.spf_of(arrival, arrival.helo, &postmaster).await;
        let sender = match arrival.mail_from {
            "" => helo.clone(),
            path => {
                let domain = of_address(path).unwrap_or_default();
                self.spf_of(arrival, domain, path).await
            }
        };
        (helo, sender)
    }

    async fn spf_of(&self, arrival: Arrival<'_>, domain: &str, sender: &str) -> Spf {
        let dns = self.questions();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let asked = spf::Asked {
            address: arrival.address,
            domain,
            sender,
            helo: arrival.helo,
            receiver: &self.hostname,
            seconds: since.map_or(0, |since| since.as_secs()),
        };
        let checked = timeout(self.limits.patience, spf::check(&dns, &self.limits, asked)).await;
        let domain = canonical(domain).unwrap_or_default();
        match checked {
            Ok(checked) => Spf {
                domain,
                outcome: checked.outcome,
                reason: checked.reason,
                explanation: checked.explanation,
            },
            Err(_) => Spf {
                domain,
                outcome: Outcome::TempError,
                reason: Some(TOO_LATE.to_owned()),
                explanation: None,
            },
        }
    }

    fn field(&self, arrival: Arrival<'_>, verdicts: &Verdicts) -> String {
        let mut results = Results::new(&self.hostname);
        let address = arrival.address.to_string();
        let policies = &self.policies;
        if let (Some(iprev), true) = (&verdicts.iprev, policies.iprev != Policy::Off) {
            let reason = iprev.reason.as_deref();
            results.add(
                "iprev",
                iprev.outcome,
                reason,
                &[("policy.iprev", &address)],
            );
        }
        if policies.spf != Policy::Off {
            if let Some(spf) = &verdicts.spf_helo {
                let helo = ascii(arrival.helo).unwrap_or_else(|| arrival.helo.to_owned());
                let reason = spf.reason.as_deref();
                results.add("spf", spf.outcome, reason, &[("smtp.helo", &helo)]);
            }
            if let (Some(spf), false) = (&verdicts.spf, arrival.mail_from.is_empty()) {
                let reason = spf.reason.as_deref();
                results.add(
                    "spf",
                    spf.outcome,
                    reason,
                    &[("smtp.mailfrom", arrival.mail_from)],
                );
            }
        }
        if let (Some(signatures), true) = (&verdicts.dkim, policies.dkim != Policy::Off) {
            for one in signatures {
                let properties = [
                    ("header.d", one.domain.as_str()),
                    ("header.s", &one.selector),
                    ("header.a", one.algorithm),
                    ("header.b", &one.beginning),
                ];
                results.add("dkim", one.outcome, one.reason.as_deref(), &properties);
            }
            if signatures.is_empty() {
                results.add("dkim", Outcome::None, None, &[]);
            }
        }
        if let Some(dmarc) = &verdicts.dmarc {
            let wish = dmarc.wish.map_or("", verdicts::Wish::word);
            let properties = [
                ("header.from", dmarc.domain.as_str()),
                ("policy.dmarc", wish),
            ];
            results.add("dmarc", dmarc.outcome, dmarc.reason.as_deref(), &properties);
        }
        if let (Some(arc), true) = (&verdicts.arc, policies.arc != Policy::Off) {
            let properties = [("smtp.remote-ip", address.as_str())];
            results.add("arc", arc.outcome, arc.reason.as_deref(), &properties);
        }
        results.finish()
    }
}

/// Octets of a message that takes longer to hash and verify than others should wait: 42 MiB took 65 ms, this 1.5.
const LARGE: usize = 1 << 20;

/// Reads a message, and hashes its body. The tasks of a thread that has a large one go on in another one.
fn hashed(message: &[u8]) -> AuthenticatedMessage<'_> {
    let parse = || AuthenticatedMessage::parse(message).unwrap_or_default();
    let has_others = Handle::try_current()
        .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    match has_others && message.len() >= LARGE {
        true => block_in_place(parse),
        false => parse(),
    }
}

const TOO_LATE: &str = "it took too long";

/// A number below a hundred.
fn sample() -> u8 {
    use ring::rand::SecureRandom as _;
    let mut octets = [0; 4];
    // Without random numbers no message is excepted.
    match ring::rand::SystemRandom::new().fill(&mut octets) {
        Ok(()) => u8::try_from(u32::from_le_bytes(octets) % 100).unwrap_or(0),
        Err(_) => 0,
    }
}
