//! DKIM (RFC 6376, RFC 8301, RFC 8463): which domains signed the message.

use futures_util::FutureExt as _;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::VerifySignature as _;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, Error, MessageAuthenticator, Parameters,
};
use std::collections::BTreeSet;

use crate::checks::keys;
use crate::dns::Questions;
use crate::domain::canonical;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::section::fields;
use crate::verdicts::Signature;

const TOO_MANY: &str = "not verified: too many signatures";

/// Verifies the signatures of a message. Those beyond the limit, and those that nobody should accept, leave it.
pub(crate) async fn check(
    deaf: &MessageAuthenticator,
    dns: &Questions<'_>,
    limits: &Limits,
    message: &mut AuthenticatedMessage<'_>,
) -> Vec<Signature> {
    let mut verdicts = Vec::new();
    let mut taken = 0;
    message.dkim_headers.retain_mut(|header| {
        let signature = &mut header.header;
        // RFC 6541, which nobody uses, would let another domain sign for the author's.
        signature.atps = None;
        let refused = match unacceptable(signature, limits) {
            _ if taken >= limits.signatures => Some((Outcome::Neutral, TOO_MANY)),
            refused => refused,
        };
        taken += 1;
        let Some((outcome, reason)) = refused else {
            return true;
        };
        if taken <= limits.signatures + 1 {
            verdicts.push(verdict(signature, outcome, Some(reason.to_owned())));
        }
        false
    });
    let unreadable = message.errors.iter().filter(|one| is_dkim(one.name));
    for error in unreadable.take(limits.signatures) {
        verdicts.push(unread(Outcome::PermError, error.header.to_string()));
    }
    let names: BTreeSet<String> = message
        .dkim_headers
        .iter()
        .map(|header| header.header.domain_key())
        .collect();
    let known = keys::look_up(dns, limits, names).await;
    // What cannot be read has its verdict already.
    message.errors.retain(|one| !is_dkim(one.name));
    let message = &*message;
    let checking = deaf.verify_dkim(Parameters::new(message).with_txt_cache(&known));
    // It waits for nothing: all keys are known.
    for output in checking.now_or_never().unwrap_or_default() {
        verdicts.extend(read(&output));
    }
    verdicts
}

/// What is known of the signatures when their keys do not come in time.
pub(crate) fn unverified(
    message: &AuthenticatedMessage<'_>,
    limits: &Limits,
    reason: &str,
) -> Vec<Signature> {
    let signatures = message.dkim_headers.iter().take(limits.signatures);
    let late = |one| verdict(one, Outcome::TempError, Some(reason.to_owned()));
    signatures.map(|header| late(&header.header)).collect()
}

/// What is known of the signatures in a header section that is too large to be read.
pub(crate) fn too_large(message: &[u8], limits: &Limits) -> Vec<Signature> {
    let signatures = fields(message).filter(|field| is_dkim(field.name));
    let counted = signatures.take(limits.signatures + 1).enumerate();
    let reason = |count: usize| match count < limits.signatures {
        true => "not verified: the header section is too large",
        false => TOO_MANY,
    };
    counted
        .map(|(count, _)| unread(Outcome::Neutral, reason(count).to_owned()))
        .collect()
}

fn unread(outcome: Outcome, reason: String) -> Signature {
    Signature {
        domain: String::new(),
        selector: String::new(),
        algorithm: "",
        beginning: String::new(),
        outcome,
        reason: Some(reason),
    }
}

fn is_dkim(name: &[u8]) -> bool {
    name.trim_ascii().eq_ignore_ascii_case(b"DKIM-Signature")
}

/// What makes a signature worthless whatever its key says.
fn unacceptable(
    signature: &mail_auth::dkim::Signature,
    limits: &Limits,
) -> Option<(Outcome, &'static str)> {
    let signs_from = signature
        .h
        .iter()
        .any(|name| name.eq_ignore_ascii_case("from"));
    if signature.a == Algorithm::RsaSha1 {
        // RFC 8301 §3.1.
        return Some((Outcome::PermError, "rsa-sha1"));
    }
    if !signs_from {
        // RFC 6376 §5.4.
        return Some((Outcome::PermError, "From is not signed"));
    }
    if signature.h.len() > limits.signed_fields {
        return Some((Outcome::PermError, "too many signed fields"));
    }
    if canonical(&signature.d).is_none() {
        return Some((Outcome::PermError, "d= is no domain"));
    }
    None
}

fn read(output: &DkimOutput<'_>) -> Option<Signature> {
    let (outcome, error) = match output.result() {
        DkimResult::Pass => (Outcome::Pass, None),
        DkimResult::Neutral(error) => (failed(error, Outcome::Neutral), Some(error)),
        DkimResult::Fail(error) => (Outcome::Fail, Some(error)),
        DkimResult::PermError(error) => (Outcome::PermError, Some(error)),
        DkimResult::TempError(error) => (Outcome::TempError, Some(error)),
        DkimResult::None => (Outcome::None, None),
    };
    let signature = output.signature()?;
    Some(verdict(signature, outcome, error.map(ToString::to_string)))
}

/// A body that is another one is a failure (RFC 8601 §2.7.1), where mail-auth has it as neutral.
fn failed(error: &Error, otherwise: Outcome) -> Outcome {
    use mail_auth::dkim::DkimError;
    match error {
        Error::Dkim(DkimError::FailedBodyHashMatch) => Outcome::Fail,
        Error::Dkim(DkimError::SignatureExpired) => Outcome::PermError,
        _ => otherwise,
    }
}

fn verdict(
    signature: &mail_auth::dkim::Signature,
    outcome: Outcome,
    reason: Option<String>,
) -> Signature {
    use base64::Engine as _;
    let whole = base64::engine::general_purpose::STANDARD.encode(&signature.b);
    Signature {
        domain: canonical(&signature.d).unwrap_or_default(),
        selector: signature.s.clone(),
        algorithm: signature.a.name(),
        beginning: whole.chars().take(8).collect(),
        outcome,
        reason,
    }
}
