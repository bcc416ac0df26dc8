//! A policy is fetched from its host (RFC 8461 §3.3).

use std::time::Duration;
use tokio::time::timeout;

use super::policy::{Policy, PolicyError, SIZE};
use crate::https::{Https, HttpsError};
use crate::tls_report::result_type::ResultType;

/// Where a policy lies on its host.
const PATH: &str = "/.well-known/mta-sts.txt";
/// How long a fetch may take: half of what §3.3 suggests, since mail waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a policy could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Https(#[from] HttpsError),
    #[error("no whole answer within {} seconds", PATIENCE.as_secs())]
    Silent,
    #[error("the media type is \"{0}\", not text/plain")]
    MediaType(String),
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

impl FetchError {
    /// The result type of a report (RFC 8460 §4.3.2.2).
    pub(super) fn result_type(&self) -> ResultType {
        match self {
            Self::Https(HttpsError::Certificate(_)) => ResultType::StsWebpkiInvalid,
            Self::Https(HttpsError::TooLong(_)) | Self::MediaType(_) | Self::Policy(_) => {
                ResultType::StsPolicyInvalid
            }
            Self::Https(_) | Self::Silent => ResultType::StsPolicyFetchError,
        }
    }
}

/// Fetches the policy of a domain, now.
pub(super) async fn fetch(https: &Https, domain: &str) -> Result<Policy, FetchError> {
    let host = format!("mta-sts.{domain}");
    let answer = timeout(PATIENCE, https.get(&host, PATH, SIZE)).await;
    let answer = answer.map_err(|_| FetchError::Silent)??;
    let kind = answer.content_type.unwrap_or_default();
    // §3.2: a server where strangers may put pictures and pages is not to be taken for a policy host.
    let media_type = kind.split(';').next().unwrap_or("").trim();
    if !media_type.eq_ignore_ascii_case("text/plain") {
        return Err(FetchError::MediaType(kind.chars().take(80).collect()));
    }
    Ok(Policy::parse(&answer.body)?)
}
