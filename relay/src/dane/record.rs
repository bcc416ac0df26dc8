//! TLSA records, and which of them can be used (RFC 6698 §2.1, RFC 7672 §3.1).

use ring::digest::{SHA256, SHA512, digest};
use rustls_pki_types::CertificateDer;
use std::fmt;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A TLSA record, as it is in DNS.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Tlsa {
    /// The certificate usage.
    pub usage: u8,
    /// The selector.
    pub selector: u8,
    /// The matching type.
    pub matching: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

impl Tlsa {
    /// Creates a record.
    pub fn new(usage: u8, selector: u8, matching: u8, data: impl Into<Vec<u8>>) -> Self {
        Self {
            usage,
            selector,
            matching,
            data: data.into(),
        }
    }
}

impl fmt::Debug for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// As in a zone file.
impl fmt::Display for Tlsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ", self.usage, self.selector, self.matching)?;
        let mut octets = self.data.iter();
        octets.try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

/// Why a record cannot be used. A host whose records all cannot be must have TLS still (RFC 7672 §2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Neither DANE-TA(2) nor DANE-EE(3). PKIX-TA(0) and PKIX-EE(1) ask for authorities that servers do not agree on
    /// (RFC 7672 §3.1.3).
    #[error("certificate usage {0} is not for SMTP")]
    Usage(u8),
    /// Neither Cert(0) nor SPKI(1).
    #[error("selector {0} is unknown")]
    Selector(u8),
    /// None of Full(0), SHA2-256(1), SHA2-512(2).
    #[error("matching type {0} is unknown")]
    Matching(u8),
    /// The digest has another length.
    #[error("a digest of {0} octets")]
    Length(usize),
    /// The data is no certificate, or no public key.
    #[error("the data cannot be read")]
    Malformed,
}

/// What a record vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    /// DANE-TA(2): an authority.
    TrustAnchor,
    /// DANE-EE(3): the host's own certificate.
    EndEntity,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selector {
    /// Cert(0).
    Certificate,
    /// SPKI(1).
    Key,
}

/// How it is compared, the stronger the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Matching {
    Sha256,
    Sha512,
    /// Full(0).
    Exact,
}

/// A record that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Association {
    pub(super) usage: Usage,
    pub(super) selector: Selector,
    pub(super) matching: Matching,
    pub(super) data: Vec<u8>,
}

impl Association {
    /// Reads a record.
    pub(super) fn read(record: &Tlsa) -> Result<Self, Unusable> {
        let usage = match record.usage {
            2 => Usage::TrustAnchor,
            3 => Usage::EndEntity,
            other => return Err(Unusable::Usage(other)),
        };
        let selector = match record.selector {
            0 => Selector::Certificate,
            1 => Selector::Key,
            other => return Err(Unusable::Selector(other)),
        };
        let data = record.data.as_slice();
        let matching = match (record.matching, data.len()) {
            (0, _) => Matching::Exact,
            (1, 32) => Matching::Sha256,
            (2, 64) => Matching::Sha512,
            (1 | 2, length) => return Err(Unusable::Length(length)),
            (other, _) => return Err(Unusable::Matching(other)),
        };
        let is_readable = match (matching, selector) {
            (Matching::Exact, Selector::Certificate) => {
                webpki::anchor_from_trusted_cert(&CertificateDer::from(data)).is_ok()
            }
            (Matching::Exact, Selector::Key) => {
                SubjectPublicKeyInfo::from_der(data).is_ok_and(|(rest, _)| rest.is_empty())
            }
            _ => true,
        };
        match is_readable {
            true => Ok(Self {
                usage,
                selector,
                matching,
                data: record.data.clone(),
            }),
            false => Err(Unusable::Malformed),
        }
    }

    /// Whether this is the certificate, or its key, that the record has. Both are in DER.
    pub(super) fn is_of(&self, certificate: &[u8], key: &[u8]) -> bool {
        let selected = match self.selector {
            Selector::Certificate => certificate,
            Selector::Key => key,
        };
        match self.matching {
            Matching::Exact => self.data == selected,
            Matching::Sha256 => self.data == digest(&SHA256, selected).as_ref(),
            Matching::Sha512 => self.data == digest(&SHA512, selected).as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_compared_is_usable() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(["mx.test".to_owned()])
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let certificate = certificate.der().to_vec();
        let spki = {
            let leaf = CertificateDer::from(certificate.as_slice());
            let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
            leaf.subject_public_key_info().to_vec()
        };
        let longer = |octets: &[u8]| [octets, &[0]].concat();
        for (usage, selector, matching, data, expected) in [
            (3, 1, 1, vec![0; 32], None),
            (2, 0, 2, vec![0; 64], None),
            (3, 0, 0, certificate.clone(), None),
            (2, 1, 0, spki.clone(), None),
            (0, 1, 1, vec![0; 32], Some(Unusable::Usage(0))),
            (1, 1, 1, vec![0; 32], Some(Unusable::Usage(1))),
            (4, 1, 1, vec![0; 32], Some(Unusable::Usage(4))),
            (255, 1, 1, vec![0; 32], Some(Unusable::Usage(255))),
            (3, 2, 1, vec![0; 32], Some(Unusable::Selector(2))),
            (3, 1, 3, vec![0; 32], Some(Unusable::Matching(3))),
            (3, 1, 1, vec![0; 31], Some(Unusable::Length(31))),
            (3, 1, 1, vec![0; 64], Some(Unusable::Length(64))),
            (3, 1, 2, vec![0; 32], Some(Unusable::Length(32))),
            (3, 1, 1, vec![], Some(Unusable::Length(0))),
            (3, 0, 0, vec![], Some(Unusable::Malformed)),
            (3, 0, 0, spki.clone(), Some(Unusable::Malformed)),
            (3, 1, 0, certificate.clone(), Some(Unusable::Malformed)),
            (2, 0, 0, longer(&certificate), Some(Unusable::Malformed)),
            (2, 1, 0, longer(&spki), Some(Unusable::Malformed)),
        ] {
            let record = Tlsa::new(usage, selector, matching, data);
            let read = Association::read(&record);
            assert_eq!(read.err(), expected, "{record}");
        }
    }

    #[test]
    fn a_record_is_shown_as_in_a_zone_file() {
        let record = Tlsa::new(3, 1, 1, [0xab, 0x01]);
        assert_eq!(record.to_string(), "3 1 1 ab01");
    }
}
