//! Certificates of one key: good ones, and those that no client takes.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    Expired,
    /// It expires within days.
    Soon,
    /// It is for the server's own name alone.
    OneName,
    SelfSigned,
    /// The authority below the root is not shown.
    Incomplete,
}

pub(super) struct Papers {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) root: PathBuf,
    /// Of another key.
    pub(super) other_key: PathBuf,
    pair: KeyPair,
    between: String,
    issuer: Issuer<'static, KeyPair>,
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Papers {
    pub(super) fn new(folder: &Path) -> Self {
        let root_key = KeyPair::generate().unwrap();
        let root = authority("The root");
        let root_cert = root.self_signed(&root_key).unwrap();
        let between_key = KeyPair::generate().unwrap();
        let between = authority("Between");
        let root_issuer = Issuer::new(root, root_key);
        let between_cert = between.signed_by(&between_key, &root_issuer).unwrap();
        let at = |name: &str| folder.join(name);
        let papers = Self {
            cert: at("cert.pem"),
            key: at("key.pem"),
            root: at("root.pem"),
            other_key: at("other.pem"),
            pair: KeyPair::generate().unwrap(),
            between: between_cert.pem(),
            issuer: Issuer::new(between, between_key),
        };
        std::fs::write(&papers.root, root_cert.pem()).unwrap();
        std::fs::write(&papers.key, papers.pair.serialize_pem()).unwrap();
        let other = KeyPair::generate().unwrap();
        std::fs::write(&papers.other_key, other.serialize_pem()).unwrap();
        papers.put(Flaw::None);
        papers
    }

    /// Puts a certificate into the file.
    pub(super) fn put(&self, flaw: Flaw) {
        let mut names = vec!["mail.one.test".to_owned()];
        if flaw != Flaw::OneName {
            let more = ["autoconfig", "autodiscover", "mta-sts"];
            names.extend(more.map(|label| format!("{label}.one.test")));
        }
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "mail.one.test");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2100, 1, 1);
        if flaw == Flaw::Expired {
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        if flaw == Flaw::Soon {
            params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(5);
        }
        let text = match flaw {
            Flaw::SelfSigned => params.self_signed(&self.pair).unwrap().pem(),
            _ => params.signed_by(&self.pair, &self.issuer).unwrap().pem(),
        };
        let chain = match flaw {
            Flaw::SelfSigned | Flaw::Incomplete => "",
            _ => &self.between,
        };
        std::fs::write(&self.cert, format!("{text}{chain}")).unwrap();
    }
}
