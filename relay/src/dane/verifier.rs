//! Certificates are checked against TLSA records, within the handshake (RFC 7672 §3).

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{
    CertificateDer, ServerName, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use std::sync::Arc;
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::asn1_rs::Sequence;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use super::failure::Failure;
use super::policy::Policy;
use super::record::{Association, Matching, Selector, Usage};

/// Certificates of a chain that are read, besides the host's own. A host may send hundreds, each of which is work.
const CHAIN: usize = 16;

/// Creates a configuration for connections to one host: rustls' protocol versions and algorithms, and this policy.
///
/// # Errors
/// None, with the versions that rustls has by default.
pub fn client_config(policy: Policy) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(policy, Arc::clone(&provider));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Checks a host's certificates against a policy. The name that a connection is made to does not matter: the policy has
/// the names that do.
#[derive(Debug)]
pub struct Verifier {
    policy: Policy,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    /// Creates a verifier for one host.
    pub fn new(policy: Policy, provider: Arc<CryptoProvider>) -> Self {
        Self { policy, provider }
    }

    /// Checks what a host presented: its certificate, and others that lead to an authority. Any will do when no record
    /// is usable.
    ///
    /// Whether the host has the certificate's key is another matter, which the handshake shows.
    ///
    /// # Errors
    /// [`Failure`]. Nothing is to be sent to the host (RFC 7672 §3.2).
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Failure> {
        if !self.policy.authenticates() {
            return Ok(());
        }
        let others = others.get(..CHAIN).unwrap_or(others);
        let host = EndEntityCert::try_from(leaf).map_err(|_| Failure::Unreadable)?;
        let key = host.subject_public_key_info();
        let of = |usage| {
            let all = self.policy.usable.iter();
            all.filter(move |one| one.usage == usage)
        };
        // §3.1.1: neither names nor dates matter. The record is as good as its signature.
        if of(Usage::EndEntity).any(|one| one.is_of(leaf, &key)) {
            return Ok(());
        }
        let anchors: Vec<&Association> = of(Usage::TrustAnchor).collect();
        let chain = Chain {
            leaf,
            host,
            others,
            now,
            algorithms: self.provider.signature_verification_algorithms.all,
        };
        let mut failure = Failure::NoMatch;
        let certificates = authorities(&anchors, others);
        let by_certificate = certificates.iter().map(|one| chain.to_certificate(one));
        let keys = anchors
            .iter()
            .filter(|one| (one.selector, one.matching) == (Selector::Key, Matching::Exact));
        let by_key = keys.map(|one| chain.to_key(&one.data));
        for done in by_certificate.chain(by_key) {
            match done.and_then(|()| chain.is_for(&self.policy)) {
                Ok(()) => return Ok(()),
                Err(other) if other.rank() > failure.rank() => failure = other,
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

/// Checks a way to an authority that holds otherwise.
type CheckPath<'a> = dyn Fn(&VerifiedPath<'_>) -> Result<(), webpki::Error> + 'a;

/// What a host presented.
struct Chain<'a> {
    leaf: &'a CertificateDer<'a>,
    host: EndEntityCert<'a>,
    others: &'a [CertificateDer<'a>],
    now: UnixTime,
    algorithms: &'a [&'a dyn SignatureVerificationAlgorithm],
}

/// The certificates of authorities that records are for: from the host (§3.1.2: it sends that of the trust anchor as
/// well), or from the record that has all of it.
fn authorities<'a>(
    anchors: &[&'a Association],
    others: &'a [CertificateDer<'a>],
) -> Vec<CertificateDer<'a>> {
    let sent = others.iter().filter(|other| {
        webpki::anchor_from_trusted_cert(other).is_ok_and(|anchor| {
            let key = webpki::spki_for_anchor(&anchor);
            anchors.iter().any(|one| one.is_of(other, &key))
        })
    });
    let whole = anchors
        .iter()
        .filter(|one| (one.selector, one.matching) == (Selector::Certificate, Matching::Exact));
    let whole = whole.map(|one| CertificateDer::from(one.data.as_slice()));
    sent.cloned().chain(whole).collect()
}

impl Chain<'_> {
    /// Whether it leads to this authority.
    fn to_certificate(&self, certificate: &CertificateDer<'_>) -> Result<(), Failure> {
        let anchor = webpki::anchor_from_trusted_cert(certificate)?;
        let (_, authority) = X509Certificate::from_der(certificate)
            .map_err(|_| Failure::Untrusted(webpki::Error::BadDer))?;
        // webpki takes a trust anchor for a key and a name. As TLSA names a certificate, that has to hold as well.
        let now = i64::try_from(self.now.as_secs()).unwrap_or(i64::MAX);
        if authority.validity.not_after.timestamp() < now {
            return Err(Failure::Expired);
        }
        if authority.validity.not_before.timestamp() > now {
            return Err(Failure::NotYetValid);
        }
        let constraints = authority.basic_constraints().ok().flatten();
        let constraints = constraints.map(|extension| extension.value);
        if constraints.is_some_and(|one| !one.ca) {
            return Err(Failure::Untrusted(webpki::Error::EndEntityUsedAsCa));
        }
        let longest = constraints.and_then(|one| one.path_len_constraint);
        let is_short = move |path: &VerifiedPath<'_>| {
            let count = path.intermediate_certificates().count();
            match longest.and_then(|longest| usize::try_from(longest).ok()) {
                Some(longest) if count > longest => Err(webpki::Error::PathLenConstraintViolated),
                _ => Ok(()),
            }
        };
        self.to_one_of(&[anchor], Some(&is_short))
    }

    /// Whether it leads to an authority with this key, whose certificate need not be known: whatever it is called, it is
    /// the issuer of one of these.
    fn to_key(&self, key: &[u8]) -> Result<(), Failure> {
        let (_, key) =
            Sequence::from_der(key).map_err(|_| Failure::Untrusted(webpki::Error::BadDer))?;
        let key: &[u8] = &key.content;
        let others = self.others.iter();
        let others = others.filter_map(|other| EndEntityCert::try_from(other).ok());
        let mut issuers: Vec<Vec<u8>> = others.map(|other| other.issuer().to_vec()).collect();
        issuers.push(self.host.issuer().to_vec());
        issuers.sort_unstable();
        issuers.dedup();
        let anchors = issuers.iter().map(|issuer| TrustAnchor {
            subject: issuer.as_slice().into(),
            subject_public_key_info: key.into(),
            name_constraints: None,
        });
        self.to_one_of(&anchors.collect::<Vec<_>>(), None)
    }

    fn to_one_of(
        &self,
        anchors: &[TrustAnchor<'_>],
        check: Option<&CheckPath<'_>>,
    ) -> Result<(), Failure> {
        let done = self.host.verify_for_usage(
            self.algorithms,
            anchors,
            self.others,
            self.now,
            KeyUsage::server_auth(),
            None,
            check,
        );
        done.map(drop).map_err(Failure::from)
    }

    /// Whether the certificate has one of the names (§3.2.3).
    fn is_for(&self, policy: &Policy) -> Result<(), Failure> {
        let is_named = policy.names().any(|name| {
            ServerName::try_from(name).is_ok_and(|name| {
                let done = self.host.verify_is_valid_for_subject_name(&name);
                done.is_ok()
            })
        });
        if is_named || self.is_commonly(policy) {
            return Ok(());
        }
        let names = policy.names().map(str::to_owned);
        Err(Failure::WrongName(names.collect()))
    }

    /// Whether the common name is one of the names. It counts when there are no others (§3.2.3).
    fn is_commonly(&self, policy: &Policy) -> bool {
        let Ok((_, host)) = X509Certificate::from_der(self.leaf) else {
            return false;
        };
        let Ok(names) = host.subject_alternative_name() else {
            return false;
        };
        let names = names.iter().flat_map(|one| &one.value.general_names);
        if names
            .into_iter()
            .any(|one| matches!(one, GeneralName::DNSName(_)))
        {
            return false;
        }
        let common = host.subject().iter_common_name();
        let mut common = common.filter_map(|one| one.as_str().ok());
        common.any(|presented| policy.names().any(|name| is_same(presented, name)))
    }
}

/// Whether a presented name, which may begin with a wildcard for one label, is that name. As in webpki, none is for all
/// of a top-level domain.
fn is_same(presented: &str, name: &str) -> bool {
    match (presented.strip_prefix("*."), name.split_once('.')) {
        (Some(rest), Some((_, parent))) => rest.contains('.') && rest.eq_ignore_ascii_case(parent),
        _ => presented.eq_ignore_ascii_case(name),
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.verify(leaf, others, now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::is_same;

    #[test]
    fn a_wildcard_is_for_one_label() {
        for (presented, name, expected) in [
            ("mx.test", "mx.test", true),
            ("MX.Test", "mx.test", true),
            ("*.a.test", "mx.a.test", true),
            ("*.a.test", "b.mx.a.test", false),
            ("*.a.test", "a.test", false),
            ("m*.a.test", "mx.a.test", false),
            ("*.test", "mx.test", false),
            ("mx.test", "other.test", false),
        ] {
            assert_eq!(is_same(presented, name), expected, "{presented} {name}");
        }
    }
}
