//! ARC (RFC 8617): what those said who had the message before.

use futures_util::FutureExt as _;
use mail_auth::common::crypto::Algorithm;
use mail_auth::common::verify::VerifySignature as _;
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator, Parameters};
use std::collections::BTreeSet;

use crate::checks::keys;
use crate::checks::known::Known;
use crate::dns::Questions;
use crate::domain::canonical;
use crate::limits::Limits;
use crate::outcome::Outcome;
use crate::section::{Field, fields};
use crate::verdicts::Arc;

/// Looks up the keys of a chain: of the last signature, and of all seals.
pub(crate) async fn look_up(
    dns: &Questions<'_>,
    limits: &Limits,
    message: &AuthenticatedMessage<'_>,
) -> Known {
    if hopeless(limits, message).is_some() {
        return Known::default();
    }
    let last = message.ams_headers.last();
    let last = last.map(|signature| signature.header.domain_key());
    let seals = message
        .as_headers
        .iter()
        .map(|seal| seal.header.domain_key());
    let names: BTreeSet<String> = last.into_iter().chain(seals).collect();
    keys::look_up(dns, limits, names).await
}

/// Verifies the chain.
pub(crate) fn check(
    deaf: &MessageAuthenticator,
    limits: &Limits,
    message: &AuthenticatedMessage<'_>,
    known: &Known,
) -> Arc {
    let sealers = message.as_headers.iter().take(limits.arc_sets);
    let sealers = sealers.map(|header| canonical(&header.header.d).unwrap_or_default());
    let mut arc = Arc {
        outcome: Outcome::Fail,
        sealers: sealers.collect(),
        reason: None,
    };
    if let Some(reason) = hopeless(limits, message) {
        arc.reason = Some(reason.to_owned());
        return arc;
    }
    let checking = deaf.verify_arc(Parameters::new(message).with_txt_cache(known));
    // It waits for nothing: all keys are known.
    let output = checking.now_or_never().unwrap_or_default();
    let (outcome, error) = match output.result() {
        DkimResult::Pass => (Outcome::Pass, None),
        DkimResult::None => (Outcome::None, None),
        // RFC 8617 §5.2 knows pass, fail and none; what is temporary is worth knowing.
        DkimResult::TempError(error) => (Outcome::TempError, Some(error)),
        DkimResult::Fail(error) | DkimResult::Neutral(error) | DkimResult::PermError(error) => {
            (Outcome::Fail, Some(error))
        }
    };
    arc.outcome = outcome;
    arc.reason = error.map(ToString::to_string);
    // Seals without signatures are a chain, and a broken one.
    if outcome == Outcome::None && !arc.sealers.is_empty() {
        arc.outcome = Outcome::Fail;
        arc.reason = Some("seals without signatures".to_owned());
    }
    arc
}

/// What is known of a chain in a header section that is too large to be read.
pub(crate) fn too_large(message: &[u8]) -> Arc {
    let is_set = |field: Field<'_>| field.is("ARC-Seal") || field.is("ARC-Message-Signature");
    let (outcome, reason) = match fields(message).any(is_set) {
        true => (Outcome::Fail, Some("the header section is too large")),
        false => (Outcome::None, None),
    };
    Arc {
        outcome,
        sealers: Vec::new(),
        reason: reason.map(str::to_owned),
    }
}

/// Why a chain is not looked at.
fn hopeless(limits: &Limits, message: &AuthenticatedMessage<'_>) -> Option<&'static str> {
    let sets = message.as_headers.len().max(message.ams_headers.len());
    // RFC 8301 §3.1.
    let is_weak = |algorithm| algorithm == Algorithm::RsaSha1;
    let mut signatures = message.ams_headers.iter().map(|header| &header.header);
    let mut seals = message.as_headers.iter().map(|header| &header.header);
    if sets > limits.arc_sets {
        Some("too many sets")
    } else if signatures.any(|one| is_weak(one.a) || one.h.len() > limits.signed_fields) {
        Some("a signature that nobody should accept")
    } else if seals.any(|one| is_weak(one.a)) {
        Some("a seal that nobody should accept")
    } else {
        None
    }
}
