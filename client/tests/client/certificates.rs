//! Certificates that no authority vouches for: which are taken, and what is said of the others.

use hikyaku_client::{Dial as _, Error, Fingerprint, Security, Server, Tcp};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A certificate, and its key.
struct Made {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

/// What a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shows {
    /// As `openssl req -x509 -subj /CN=localhost -addext subjectAltName=DNS:localhost` makes it.
    SelfSigned,
    /// The same, and no authority.
    SelfSignedLeaf,
    /// As `openssl req -x509 -subj /CN=localhost` makes it: its name stands nowhere else.
    CommonName,
    /// For another host.
    OtherName,
    /// The other host stands in the common name alone.
    OtherCommonName,
    /// The address stands in the names.
    Address,
    Expired,
    NotYet,
    /// Of an authority that is trusted by `--ca`.
    Issued,
    IssuedExpired,
    IssuedForOther,
    /// Of an authority that is not trusted.
    IssuedByOther,
    /// A certificate that is trusted, by somebody who has not its key.
    WithoutItsKey,
}
use Shows::*;

/// What is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Trusts {
    /// What the system trusts.
    System,
    /// `--ca` with the certificate that is shown.
    TheCertificate,
    /// `--ca` with an authority's.
    TheAuthority,
    /// `--ca` with some other self-signed certificate for the same name.
    AnotherCertificate,
    /// The fingerprint of the certificate that is shown.
    ItsFingerprint,
    AnotherFingerprint,
    /// The fingerprint of the certificate that is shown, among others.
    SomeFingerprints,
}
use Trusts::*;

fn made(shows: Shows, authority: &(CertificateParams, KeyPair)) -> Made {
    let name = match shows {
        OtherName | OtherCommonName | IssuedForOther => "elsewhere.test",
        _ => "localhost",
    };
    let mut params = match shows {
        CommonName | OtherCommonName => CertificateParams::default(),
        _ => CertificateParams::new(vec![name.to_owned()]).unwrap(),
    };
    if shows == Address {
        params.subject_alt_names = vec![SanType::IpAddress("127.0.0.1".parse().unwrap())];
    }
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = match shows {
        Expired | IssuedExpired => (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 2, 3)),
        NotYet => (date_time_ymd(2200, 1, 2), date_time_ymd(2201, 1, 1)),
        _ => (date_time_ymd(2020, 1, 1), date_time_ymd(2200, 1, 1)),
    };
    let key = KeyPair::generate().unwrap();
    let issued = [Issued, IssuedExpired, IssuedForOther, IssuedByOther].contains(&shows);
    let certificate = match issued {
        true => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let issuer = match shows {
                IssuedByOther => self::authority("another authority"),
                _ => (
                    authority.0.clone(),
                    KeyPair::from_pem(&authority.1.serialize_pem()).unwrap(),
                ),
            };
            params
                .signed_by(&key, &Issuer::from_params(&issuer.0, &issuer.1))
                .unwrap()
        }
        false => {
            if shows != SelfSignedLeaf {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }
            params.self_signed(&key).unwrap()
        }
    };
    Made {
        pem: certificate.pem(),
        der: certificate.der().clone(),
        key,
    }
}

fn authority(name: &str) -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, name);
    (params, KeyPair::generate().unwrap())
}

/// Shakes hands with a server that shows a certificate; what was seen of it.
async fn shake(
    shows: Shows,
    trusts: Trusts,
    tls: &'static rustls::SupportedProtocolVersion,
) -> (Result<(), Error>, Fingerprint) {
    let authority = authority("an authority");
    let made = made(shows, &authority);
    let another = self::made(SelfSigned, &authority);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = match shows {
        WithoutItsKey => another.key.serialize_der(),
        _ => made.key.serialize_der(),
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    // What rustls refuses to load: a key that is another certificate's.
    let signing = provider.key_provider.load_private_key(key).unwrap();
    let certified = rustls::sign::CertifiedKey::new(vec![made.der.clone()], signing);
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[tls])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if let Ok(stream) = acceptor.accept(stream).await {
            // Until the other side has seen the end of the handshake.
            tokio::time::sleep(std::time::Duration::from_secs(5)).await;
            drop(stream);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let file = |pem: &str| -> Option<PathBuf> {
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, pem).unwrap();
        Some(path)
    };
    let seen = Fingerprint::of(&made.der);
    let others = Fingerprint::of(&another.der);
    let (ca, fingerprints) = match trusts {
        System => (None, vec![]),
        TheCertificate => (file(&made.pem), vec![]),
        TheAuthority => (
            file(&authority.0.self_signed(&authority.1).unwrap().pem()),
            vec![],
        ),
        AnotherCertificate => (file(&another.pem), vec![]),
        ItsFingerprint => (None, vec![seen]),
        AnotherFingerprint => (None, vec![others]),
        SomeFingerprints => (None, vec![others, seen]),
    };
    let tcp = Tcp {
        ca,
        fingerprints,
        ..Tcp::default()
    };
    let host = if shows == Address {
        "127.0.0.1"
    } else {
        "localhost"
    };
    let server = Server {
        host: host.into(),
        port,
        security: Security::Tls,
    };
    let stream = tcp.dial(&server).await.unwrap();
    (tcp.encrypt(stream, &server).await.map(drop), seen)
}

#[tokio::test]
async fn certificates_are_taken_or_refused_with_a_reason() {
    let itself = "it issued its certificate itself, so nobody vouches for it";
    let nobody = "nobody who is trusted here issued its certificate";
    let pinned = "its certificate is not the one whose fingerprint is trusted";
    let rows: &[(Shows, Trusts, &str)] = &[
        (SelfSigned, System, itself),
        (SelfSigned, TheCertificate, ""),
        (SelfSigned, AnotherCertificate, itself),
        (SelfSigned, TheAuthority, itself),
        (SelfSigned, ItsFingerprint, ""),
        (SelfSigned, SomeFingerprints, ""),
        (SelfSigned, AnotherFingerprint, pinned),
        (SelfSignedLeaf, System, itself),
        (SelfSignedLeaf, TheCertificate, ""),
        (SelfSignedLeaf, AnotherCertificate, itself),
        (SelfSignedLeaf, ItsFingerprint, ""),
        (CommonName, TheCertificate, ""),
        (CommonName, ItsFingerprint, ""),
        (CommonName, System, itself),
        (
            OtherName,
            TheCertificate,
            "its certificate is for elsewhere.test, not for localhost",
        ),
        (OtherName, ItsFingerprint, ""),
        (
            OtherCommonName,
            TheCertificate,
            "its certificate is for elsewhere.test, not for localhost",
        ),
        (OtherCommonName, ItsFingerprint, ""),
        (Address, TheCertificate, ""),
        (Address, ItsFingerprint, ""),
        (
            Expired,
            TheCertificate,
            "its certificate has expired on 2021-02-03",
        ),
        (Expired, ItsFingerprint, ""),
        (NotYet, TheCertificate, "it begins on 2200-01-02"),
        (NotYet, ItsFingerprint, ""),
        (Issued, TheAuthority, ""),
        (Issued, TheCertificate, ""),
        (Issued, System, nobody),
        (Issued, AnotherFingerprint, pinned),
        (Issued, ItsFingerprint, ""),
        (
            IssuedExpired,
            TheAuthority,
            "its certificate has expired on 2021-02-03",
        ),
        (
            IssuedForOther,
            TheAuthority,
            "its certificate is for elsewhere.test, not for localhost",
        ),
        (IssuedByOther, TheAuthority, nobody),
    ];
    let mut wrong = Vec::new();
    for tls in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for &(shows, trusts, why) in rows {
            let (done, seen) = shake(shows, trusts, tls).await;
            let said = done.map_or_else(|error| error.to_string(), |()| String::new());
            let names = said.contains(&format!("its fingerprint is {seen}"));
            let is_so = match why.is_empty() {
                true => said.is_empty(),
                false => said.contains(why) && names,
            };
            if !is_so {
                wrong.push(format!("{shows:?}, {trusts:?}, {tls:?}: {said:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_server_without_the_key_is_never_trusted() {
    for tls in [&rustls::version::TLS13, &rustls::version::TLS12] {
        for trusts in [TheCertificate, ItsFingerprint] {
            let (done, _) = shake(WithoutItsKey, trusts, tls).await;
            let error = done.unwrap_err();
            assert!(
                matches!(error, Error::Tls { .. }),
                "{tls:?}, {trusts:?}: {error}"
            );
        }
    }
}
