//! ARC seals for mail that is passed on (RFC 8617 §5.1): what was found out here, kept where SPF and DKIM will fail next.

use mail_auth::{
    AuthenticatedMessage, AuthenticationResults, DkimOutput, DnsError, Error, SpfOutput, SpfResult,
};
use std::time::SystemTime;

use crate::checker::Checker;
use crate::checks::arc;
use crate::outcome::Outcome;
use crate::signing::{NotSigned, Signer, seal};
use crate::verdicts::Verdicts;

impl Checker {
    /// Seals a message that is passed on, with the signer's key for a domain of ours. `message` is the message as it is
    /// sent, with all that was changed in it; `verdicts` are those of when it arrived.
    ///
    /// Returns the fields to put above the message. `None` for a message whose chain is broken: another set would not mend
    /// it (RFC 8617 §5.1.2).
    ///
    /// # Errors
    /// [`NotSigned`].
    pub async fn seal(
        &self,
        signer: &Signer,
        domain: &str,
        message: &[u8],
        verdicts: &Verdicts,
        now: SystemTime,
    ) -> Result<Option<String>, NotSigned> {
        let keys = signer.keys_of(domain, now)?;
        let key = keys
            .first()
            .ok_or_else(|| NotSigned::NoKey(domain.to_owned()))?;
        let parsed = AuthenticatedMessage::parse(message).ok_or(NotSigned::NoFrom)?;
        let dns = self.questions();
        let looking = arc::look_up(&dns, &self.limits, &parsed);
        let Ok(known) = tokio::time::timeout(self.limits.patience, looking).await else {
            return Ok(None);
        };
        let (verdict, chain) = arc::check(self.deaf(), &self.limits, &parsed, &known);
        if !matches!(verdict.outcome, Outcome::Pass | Outcome::None) {
            return Ok(None);
        }
        // The chain as it was when the message arrived: what was changed since then is ours to answer for.
        if verdicts
            .arc
            .as_ref()
            .is_some_and(|arc| arc.outcome == Outcome::Fail)
        {
            return Ok(None);
        }
        let results = results(self.hostname(), verdicts);
        seal(key, &parsed, &results, &chain).map(Some)
    }
}

/// The results for ARC-Authentication-Results, in mail-auth's words.
fn results<'a>(hostname: &'a str, verdicts: &Verdicts) -> AuthenticationResults<'a> {
    let mut results = AuthenticationResults::new(hostname);
    for one in verdicts
        .dkim
        .iter()
        .flatten()
        .filter(|one| !one.domain.is_empty())
    {
        let signature = mail_auth::dkim::Signature {
            d: one.domain.clone(),
            s: plain(&one.selector),
            ..mail_auth::dkim::Signature::default()
        };
        let output = match one.outcome {
            Outcome::Pass => DkimOutput::pass(),
            Outcome::TempError => DkimOutput::temp_err(later()),
            Outcome::Neutral => DkimOutput::neutral(Error::ParseError),
            Outcome::PermError => DkimOutput::perm_err(Error::ParseError),
            _ => DkimOutput::fail(Error::NotAligned),
        };
        results.set_dkim_result(&output.with_signature(&signature), "");
    }
    if let Some(spf) = verdicts.spf.as_ref().filter(|spf| !spf.domain.is_empty()) {
        let outcome = match spf.outcome {
            Outcome::Pass => SpfResult::Pass,
            Outcome::Fail => SpfResult::Fail,
            Outcome::SoftFail => SpfResult::SoftFail,
            Outcome::Neutral | Outcome::Policy => SpfResult::Neutral,
            Outcome::None => SpfResult::None,
            Outcome::TempError => SpfResult::TempError,
            Outcome::PermError => SpfResult::PermError,
        };
        let output = SpfOutput::new(spf.domain.clone()).with_result(outcome);
        let domain = &spf.domain;
        results = results.with_spf_mailfrom_result(&output, verdicts.address, domain, domain);
    }
    if let Some(dmarc) = verdicts
        .dmarc
        .as_ref()
        .filter(|dmarc| !dmarc.domain.is_empty())
    {
        let result = match dmarc.outcome {
            Outcome::Pass => mail_auth::DmarcResult::Pass,
            Outcome::Fail => mail_auth::DmarcResult::Fail(Error::NotAligned),
            Outcome::TempError => mail_auth::DmarcResult::TempError(later()),
            Outcome::None => mail_auth::DmarcResult::None,
            _ => mail_auth::DmarcResult::PermError(Error::ParseError),
        };
        let output = mail_auth::DmarcOutput::new(dmarc.domain.clone()).with_dkim_result(result);
        results = results.with_dmarc_result(&output);
    }
    results
}

fn later() -> Error {
    Error::Dns(DnsError::Resolver(String::new()))
}

/// A selector as it may stand in a field: strangers chose it.
fn plain(selector: &str) -> String {
    let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
    selector.chars().filter(is_plain).take(253).collect()
}
