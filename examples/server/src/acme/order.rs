//! One order (RFC 8555 §7.4): from names to a certificate.

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use std::sync::Arc;
use std::time::Duration;

use super::challenges::Challenges;
use super::failure::{AcmeError, Refused};
use super::settings::AcmeChallenge;

/// How an order is waited for.
const WAITING: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(150));

/// How an order ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A certificate with its chain and its key, in PEM.
    Issued(String),
    /// There is none, because of these names.
    Refused(Vec<Refused>),
}

/// Takes the answers to challenges away when the order ends, however that is.
struct Answers<'a>(&'a Challenges);

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Orders a certificate for some names, and shows control of them.
pub(crate) async fn order(
    account: &Account,
    names: &[String],
    kind: AcmeChallenge,
    challenges: &Arc<Challenges>,
) -> Result<Outcome, AcmeError> {
    let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = match account.new_order(&NewOrder::new(&identifiers)).await {
        Ok(order) => order,
        Err(Error::Api(problem)) => {
            let refused = refused_by(&problem);
            return match refused.is_empty() {
                true => Err(Error::Api(problem).into()),
                false => Ok(Outcome::Refused(refused)),
            };
        }
        Err(error) => return Err(error.into()),
    };
    let _answers = Answers(challenges);
    answer(&mut order, kind, challenges).await?;
    match order.poll_ready(&WAITING).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return invalid(&mut order, None).await,
        Err(Error::Api(problem)) => return invalid(&mut order, Some(problem)).await,
        Err(error) => return Err(error.into()),
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    // A new key for each certificate: one that leaked is worth nothing after the next renewal.
    let key = KeyPair::generate()?;
    let request = params.serialize_request(&key)?;
    order.finalize_csr(request.der()).await?;
    let chain = order.poll_certificate(&WAITING).await?;
    Ok(Outcome::Issued(format!(
        "{}\n{}",
        chain.trim_end(),
        key.serialize_pem()
    )))
}

/// Prepares the answer to a challenge for each name, and lets the server look.
async fn answer(
    order: &mut Order,
    kind: AcmeChallenge,
    challenges: &Challenges,
) -> Result<(), AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        // What it saw not long ago it need not see again.
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let wanted = match kind {
            AcmeChallenge::Http01 => ChallengeType::Http01,
            AcmeChallenge::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let challenge = authorization.challenge(wanted);
        let mut challenge = challenge.ok_or_else(|| AcmeError::NoChallenge(name.clone()))?;
        let key = challenge.key_authorization();
        match kind {
            AcmeChallenge::Http01 => challenges.put_file(&challenge.token, key.as_str()),
            AcmeChallenge::TlsAlpn01 => challenges.put_certificate(&name, key.digest().as_ref())?,
        }
        match challenge.set_ready().await {
            // What is wrong with it is found in the authorization, and the other names are looked at as well.
            Ok(()) | Err(Error::Api(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Finds the names because of which an order has become invalid.
async fn invalid(order: &mut Order, problem: Option<Problem>) -> Result<Outcome, AcmeError> {
    let mut refused = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        let name = authorization.identifier().to_string();
        let now = authorization.refresh().await?;
        if now.status != AuthorizationStatus::Invalid {
            continue;
        }
        let why = now.challenges.iter().find_map(|one| one.error.as_ref());
        let why = why.map_or_else(|| "no reason given".into(), ToString::to_string);
        refused.push(Refused { name, why });
    }
    match (refused.is_empty(), problem) {
        (false, _) => Ok(Outcome::Refused(refused)),
        (true, Some(problem)) => Err(Error::Api(problem).into()),
        (true, None) => Err(AcmeError::Invalid),
    }
}

/// The names that a problem is about (RFC 8555 §6.7.1).
fn refused_by(problem: &Problem) -> Vec<Refused> {
    let each = problem.subproblems.iter().filter_map(|one| {
        let Some(Identifier::Dns(name)) = &one.identifier else {
            return None;
        };
        Some(Refused {
            name: name.clone(),
            why: one.detail.clone().unwrap_or_default(),
        })
    });
    each.collect()
}
