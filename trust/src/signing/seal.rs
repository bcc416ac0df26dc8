//! ARC seals (RFC 8617 §5.1).

use mail_auth::arc::ArcSealer;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::{ArcOutput, AuthenticatedMessage, AuthenticationResults};

use super::ringed::Ringed;
use super::signer::{NotSigned, SigningKey, signed_fields};

/// Seals a message.
pub(crate) fn seal(
    key: &SigningKey,
    message: &AuthenticatedMessage<'_>,
    results: &AuthenticationResults<'_>,
    chain: &ArcOutput<'_>,
) -> Result<String, NotSigned> {
    let mut names = signed_fields(message.raw_message);
    names.push("DKIM-Signature");
    let sealer = ArcSealer::from_key(Ringed(&key.key))
        .domain(&key.domain)
        .selector(&key.selector)
        .headers(names);
    let set = sealer.seal(message, results, chain);
    set.map(|set| set.to_header())
        .map_err(|error| NotSigned::Failed(error.to_string()))
}
