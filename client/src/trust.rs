//! Decides which certificates are trusted, and describes one that is not.
//!
//! Beside what a certificate authority issued, two things are trusted that webpki has no place for: the very
//! certificate that the user named, be it an authority's or a server's own (`openssl req -x509` makes one that is
//! both), and one whose fingerprint the user gave. The server must prove in each handshake that it has the key.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, OnceLock};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The SHA-256 of a certificate, written as `sha256:` and 64 hexadecimal digits. The form of
/// `openssl x509 -fingerprint -sha256` is read, too.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Returns the fingerprint of a certificate.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        Self(Sha256::digest(certificate).into())
    }
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Fingerprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a fingerprint: write sha256: and 64 hexadecimal digits, as in errors and `openssl x509 -fingerprint -sha256`"
            )
        };
        let lower = text.trim().to_ascii_lowercase();
        let digits = ["sha256 fingerprint=", "sha256:", "sha256="]
            .iter()
            .find_map(|prefix| lower.strip_prefix(prefix))
            .unwrap_or(&lower);
        let digits: Vec<u8> = digits.bytes().filter(|octet| *octet != b':').collect();
        let digit = |octet: u8| char::from(octet).to_digit(16);
        let mut all = [0; 32];
        if digits.len() != 64 {
            return Err(wrong());
        }
        for (octet, pair) in all.iter_mut().zip(digits.chunks(2)) {
            let value = pair
                .iter()
                .try_fold(0, |value, &octet| Some(value * 16 + digit(octet)?));
            *octet = value
                .and_then(|value| u8::try_from(value).ok())
                .ok_or_else(wrong)?;
        }
        Ok(Self(all))
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.to_string()
    }
}

/// Reads a key of a configuration that is one fingerprint or a list of them.
///
/// # Errors
/// Errors of the format.
pub fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Fingerprint>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        Many(Vec<String>),
    }
    let all = match Given::deserialize(from)? {
        Given::One(one) => vec![one],
        Given::Many(many) => many,
    };
    let all: Result<_, String> = all.iter().map(|one| one.parse()).collect();
    all.map_err(serde::de::Error::custom)
}

/// Judges the certificate of one connection.
#[derive(Debug)]
pub(crate) struct Judge {
    /// None where there is no authority at all.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Certificates that were named.
    named: Vec<CertificateDer<'static>>,
    /// When there are any, nothing else is trusted.
    fingerprints: Vec<Fingerprint>,
    provider: Arc<CryptoProvider>,
    refused: OnceLock<(Fingerprint, String)>,
}

impl Judge {
    pub(crate) fn new(
        mut roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        fingerprints: Vec<Fingerprint>,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        roots.add_parsable_certificates(named.iter().cloned());
        let built =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        Self {
            authorities: built.build().ok(),
            named,
            fingerprints,
            provider,
            refused: OnceLock::new(),
        }
    }

    /// The certificate that was refused, and why.
    pub(crate) fn refused(&self) -> Option<(Fingerprint, String)> {
        self.refused.get().cloned()
    }

    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), TlsError> {
        if !self.fingerprints.is_empty() {
            return match self.fingerprints.contains(&Fingerprint::of(end_entity)) {
                true => Ok(()),
                false => Err(CertificateError::ApplicationVerificationFailure.into()),
            };
        }
        let issued = match &self.authorities {
            Some(all) => all.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        };
        match issued {
            Ok(_) => Ok(()),
            Err(_) if self.named.contains(end_entity) => its_own(end_entity, name, now),
            Err(error) => Err(error),
        }
    }
}

/// Judges a certificate that was named itself: it must be for that host, and neither too old nor too new.
fn its_own(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), TlsError> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    match has_names(&parsed) {
        true => verify_server_name(&ParsedCertificate::try_from(certificate)?, name),
        // `openssl req -x509 -subj /CN=..` writes the name nowhere else.
        false
            if common_name(&parsed).is_some_and(|one| one.eq_ignore_ascii_case(&name.to_str())) =>
        {
            Ok(())
        }
        false => Err(CertificateError::NotValidForName.into()),
    }
}

fn has_names(parsed: &X509Certificate<'_>) -> bool {
    matches!(parsed.subject_alternative_name(), Ok(Some(_)))
}

fn common_name(parsed: &X509Certificate<'_>) -> Option<String> {
    let mut all = parsed.subject().iter_common_name();
    all.next()?.as_str().ok().map(str::to_owned)
}

/// The names that a certificate is for, as people read them.
fn names(parsed: &X509Certificate<'_>) -> String {
    let mut all = Vec::new();
    if let Ok(Some(names)) = parsed.subject_alternative_name() {
        all.extend(
            names
                .value
                .general_names
                .iter()
                .filter_map(|name| match name {
                    GeneralName::DNSName(name) => Some((*name).to_owned()),
                    GeneralName::IPAddress(octets) => address(octets),
                    _ => None,
                }),
        );
    } else {
        all.extend(common_name(parsed));
    }
    let more = all.len() > 5;
    all.truncate(5);
    match (all.is_empty(), more) {
        (true, _) => "no name at all".into(),
        (false, true) => format!("{}, and others", all.join(", ")),
        (false, false) => all.join(", "),
    }
}

fn address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let all = four.or_else(|_| <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from));
    all.ok().map(|address| address.to_string())
}

/// Why a certificate was refused, in words.
fn why(
    error: &TlsError,
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    pinned: bool,
) -> String {
    let parsed = X509Certificate::from_der(certificate)
        .ok()
        .map(|(_, parsed)| parsed);
    let date = |of: fn(&X509Certificate<'_>) -> i64| {
        let seconds = parsed.as_ref().map(of)?;
        let timestamp = jiff::Timestamp::from_second(seconds).ok()?;
        Some(timestamp.strftime(" on %Y-%m-%d").to_string())
    };
    let TlsError::InvalidCertificate(error) = error else {
        return error.to_string();
    };
    match error {
        _ if pinned => "its certificate is not the one whose fingerprint is trusted".into(),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            let when = date(|one| one.validity().not_after.timestamp());
            format!("its certificate has expired{}", when.unwrap_or_default())
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            let when = date(|one| one.validity().not_before.timestamp());
            let when = when.unwrap_or_default();
            format!("its certificate is not valid yet: it begins{when}; is the clock right?")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            let names = parsed.as_ref().map_or_else(|| "another name".into(), names);
            format!("its certificate is for {names}, not for {}", name.to_str())
        }
        // Whatever webpki says of it: most of these are authorities' besides, or a root has the same name.
        _ if parsed
            .as_ref()
            .is_some_and(|one| one.subject() == one.issuer()) =>
        {
            "it issued its certificate itself, so nobody vouches for it".into()
        }
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here issued its certificate".into()
        }
        other => format!("its certificate is not valid: {other}"),
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        match self.judge(end_entity, intermediates, name, ocsp, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => {
                let why = why(&error, end_entity, name, !self.fingerprints.is_empty());
                let _ = self.refused.set((Fingerprint::of(end_entity), why));
                Err(error)
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_read_as_programs_write_them() {
        let fingerprint = Fingerprint(std::array::from_fn(|at| u8::try_from(at * 7).unwrap()));
        let plain = fingerprint.to_string();
        assert!(plain.starts_with("sha256:00070e15"), "{plain}");
        let digits = plain.strip_prefix("sha256:").unwrap();
        let pairs: Vec<String> = digits
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        for text in [
            plain.clone(),
            plain.to_uppercase(),
            digits.to_owned(),
            format!("sha256 Fingerprint={}", pairs.join(":")),
            format!("SHA256:{}", pairs.join(":")),
            format!(" {plain}\n"),
        ] {
            assert_eq!(text.parse(), Ok(fingerprint), "{text}");
        }
        for wrong in [
            "",
            "sha256:",
            "sha1:00",
            &plain[..70],
            &format!("{plain}0"),
            &plain.replace("15", "1g"),
        ] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}
