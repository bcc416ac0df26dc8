//! Hosts prove who they are by what DNS says of their keys (RFC 7672 §3), over real handshakes.

use hikyaku_relay::dane::failure::Failure;
use hikyaku_relay::dane::policy::Policy;
use hikyaku_relay::dane::record::Tlsa;
use hikyaku_relay::dane::verifier;
use hikyaku_relay::dns::Dns;
use hikyaku_relay::{Dnssec, Options};
use hikyaku_test_dns::{DnsServer, Zone};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType, date_time_ymd,
};
use ring::digest::{SHA256, SHA512, digest};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const HOST: &str = "mx.example.test";
const DOMAIN: &str = "example.test";

/// A certificate, its key, and what it was made from.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

impl Made {
    fn of(params: CertificateParams, issuer: Option<&Self>) -> Self {
        let key = KeyPair::generate().unwrap();
        let signed = match issuer {
            Some(issuer) => {
                let issuer = Issuer::from_params(&issuer.params, &issuer.key);
                params.signed_by(&key, &issuer)
            }
            None => params.self_signed(&key),
        };
        let der = signed.unwrap().der().clone();
        Self { params, key, der }
    }

    fn spki(&self) -> Vec<u8> {
        let certificate = webpki::EndEntityCert::try_from(&self.der).unwrap();
        certificate.subject_public_key_info().to_vec()
    }

    /// The record of RFC 6698 §2.1 that is for it.
    fn tlsa(&self, usage: u8, selector: u8, matching: u8) -> Tlsa {
        let selected = match selector {
            0 => self.der.to_vec(),
            _ => self.spki(),
        };
        let data = match matching {
            1 => digest(&SHA256, &selected).as_ref().to_vec(),
            2 => digest(&SHA512, &selected).as_ref().to_vec(),
            _ => selected,
        };
        Tlsa::new(usage, selector, matching, data)
    }
}

fn authority(name: &str, issuer: Option<&Made>, longest: BasicConstraints) -> Made {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(longest);
    Made::of(params, issuer)
}

fn host_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn host(names: &[&str], issuer: Option<&Made>) -> Made {
    Made::of(host_params(names), issuer)
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

/// A root, an intermediate authority, and a host's certificate.
fn chain() -> [Made; 3] {
    let root = authority("root", None, BasicConstraints::Unconstrained);
    let between = authority("between", Some(&root), BasicConstraints::Unconstrained);
    let leaf = host(&[HOST], Some(&between));
    [root, between, leaf]
}

fn policy(records: impl IntoIterator<Item = Tlsa>) -> Policy {
    Policy::new(records, HOST, [HOST, DOMAIN].map(str::to_owned))
}

/// Presents these certificates, with whatever key.
#[derive(Debug)]
struct Presents(Arc<CertifiedKey>);

impl ResolvesServerCert for Presents {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_eq!(hello.server_name(), Some(HOST), "SNI has the base domain");
        Some(Arc::clone(&self.0))
    }
}

/// Connects to a host that presents these certificates and has the key. Returns what the host sent under TLS.
async fn connect_by(
    version: &'static SupportedProtocolVersion,
    presented: &[&Made],
    key: &KeyPair,
    policy: Policy,
) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let presented = presented.iter().map(|made| made.der.clone()).collect();
    let certified = CertifiedKey::new(presented, any_supported_type(&key).unwrap());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Presents(Arc::new(certified))));
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let mut stream = acceptor.accept(stream).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await
    });
    let name = policy.server_name().unwrap();
    let connector = TlsConnector::from(verifier::client_config(policy).unwrap());
    let stream = TcpStream::connect(address).await?;
    let mut text = String::new();
    let done = match connector.connect(name, stream).await {
        Ok(mut stream) => stream.read_to_string(&mut text).await.map(drop),
        Err(error) => Err(error),
    };
    let served = server.await.unwrap();
    assert_eq!(served.is_ok(), done.is_ok(), "{served:?}");
    done.map(|()| text)
}

/// Connects with either version of TLS. Returns why the host was refused.
async fn connect(presented: &[&Made], policy: Policy) -> Result<(), Failure> {
    let key = &presented[0].key;
    let mut all = Vec::new();
    for version in [&TLS12, &TLS13] {
        let done = connect_by(version, presented, key, policy.clone()).await;
        all.push(match done {
            Ok(text) => {
                assert_eq!(text, "hello");
                Ok(())
            }
            Err(error) => Err(Failure::of(&error)
                .unwrap_or_else(|| panic!("{error}"))
                .clone()),
        });
    }
    assert_eq!(all[0], all[1], "the versions differ");
    all.remove(0)
}

#[tokio::test]
async fn each_form_of_record_is_for_its_certificate_and_no_other() {
    let [root, between, leaf] = chain();
    let [other_root, other_between, other_leaf] = chain();
    let presented = [&leaf, &between, &root];
    for (selector, matching) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
        for (usage, right, wrong) in [
            (3, &leaf, &other_leaf),
            (2, &between, &other_between),
            (2, &root, &other_root),
        ] {
            let record = right.tlsa(usage, selector, matching);
            let done = connect(&presented, policy([record.clone()])).await;
            assert_eq!(done, Ok(()), "{usage} {selector} {matching}");
            let done = connect(&presented, policy([wrong.tlsa(usage, selector, matching)])).await;
            let failure = done.expect_err("another's record");
            let is_anchor = matches!(failure, Failure::Untrusted(_));
            assert!(failure == Failure::NoMatch || is_anchor, "{failure}");
            // One that matches is enough.
            let both = [wrong.tlsa(usage, selector, matching), record];
            assert_eq!(connect(&presented, policy(both)).await, Ok(()));
        }
    }
}

#[tokio::test]
async fn usages_are_not_mixed_up() {
    let [root, between, leaf] = chain();
    let presented = [&leaf, &between, &root];
    for record in [
        // An authority's certificate as the host's own, and the other way round.
        root.tlsa(3, 1, 1),
        between.tlsa(3, 0, 1),
        leaf.tlsa(2, 1, 1),
        leaf.tlsa(2, 0, 1),
    ] {
        let done = connect(&presented, policy([record.clone()])).await;
        assert_eq!(done, Err(Failure::NoMatch), "{record}");
    }
}

#[tokio::test]
async fn a_hosts_own_key_is_enough_whatever_its_certificate_says() {
    // §3.1.1: neither dates nor names matter, nor what it may be used for.
    let mut params = expired(CertificateParams::new(["other.test".to_owned()]).unwrap());
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let leaf = Made::of(params, None);
    for record in [leaf.tlsa(3, 1, 1), leaf.tlsa(3, 0, 2)] {
        assert_eq!(connect(&[&leaf], policy([record])).await, Ok(()));
    }
}

#[tokio::test]
async fn under_an_authority_dates_matter() {
    let root = authority("root", None, BasicConstraints::Unconstrained);
    let leaf = Made::of(expired(host_params(&[HOST])), Some(&root));
    let presented = [&leaf, &root];
    for (selector, matching) in [(0, 1), (1, 0)] {
        let done = connect(&presented, policy([root.tlsa(2, selector, matching)])).await;
        assert_eq!(done, Err(Failure::Expired));
    }
    assert_eq!(Failure::Expired.result_type(), "certificate-expired");
    assert_eq!(
        connect(&presented, policy([leaf.tlsa(3, 1, 1)])).await,
        Ok(())
    );
    let mut future = host_params(&[HOST]);
    future.not_before = date_time_ymd(4000, 1, 1);
    future.not_after = date_time_ymd(4001, 1, 1);
    let leaf = Made::of(future, Some(&root));
    let done = connect(&[&leaf, &root], policy([root.tlsa(2, 0, 1)])).await;
    assert_eq!(done, Err(Failure::NotYetValid));
}

#[tokio::test]
async fn an_authoritys_own_certificate_matters_as_well() {
    let authority_of = |change: &dyn Fn(&mut CertificateParams)| {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "root");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        Made::of(params, None)
    };
    // It has expired: its key alone would still do (§3.1.2 has the difference).
    let root = authority_of(&|params| *params = expired(params.clone()));
    let leaf = host(&[HOST], Some(&root));
    let presented = [&leaf, &root];
    let done = connect(&presented, policy([root.tlsa(2, 0, 1)])).await;
    assert_eq!(done, Err(Failure::Expired));
    assert_eq!(
        connect(&presented, policy([root.tlsa(2, 1, 0)])).await,
        Ok(())
    );
    // It is no authority.
    let root = authority_of(&|params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = host(&[HOST], Some(&root));
    let done = connect(&[&leaf, &root], policy([root.tlsa(2, 0, 1)])).await;
    assert!(matches!(done, Err(Failure::Untrusted(_))), "{done:?}");
    // It allows no further authorities below it.
    let root = authority("root", None, BasicConstraints::Constrained(0));
    let leaf = host(&[HOST], Some(&root));
    assert_eq!(
        connect(&[&leaf, &root], policy([root.tlsa(2, 0, 1)])).await,
        Ok(())
    );
    let between = authority("between", Some(&root), BasicConstraints::Unconstrained);
    let leaf = host(&[HOST], Some(&between));
    let done = connect(&[&leaf, &between, &root], policy([root.tlsa(2, 0, 1)])).await;
    let expected = Failure::Untrusted(webpki::Error::PathLenConstraintViolated);
    assert_eq!(done, Err(expected));
}

#[tokio::test]
async fn under_an_authority_names_matter() {
    let root = authority("root", None, BasicConstraints::Unconstrained);
    let commonly = |name: &str, sans: Vec<SanType>| {
        let mut params = host_params(&[]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = sans;
        Made::of(params, Some(&root))
    };
    let address = || SanType::IpAddress([192, 0, 2, 1].into());
    let other = || SanType::DnsName("other.test".try_into().unwrap());
    for (leaf, is_right) in [
        (host(&[HOST], Some(&root)), true),
        // The next-hop domain's (§3.2.2).
        (host(&[DOMAIN], Some(&root)), true),
        (host(&["other.test", "*.example.test"], Some(&root)), true),
        (host(&["other.test"], Some(&root)), false),
        (host(&["*.test"], Some(&root)), false),
        (host(&["*.mx.example.test"], Some(&root)), false),
        (host(&["a.mx.example.test"], Some(&root)), false),
        // The common name counts where there are no other names (§3.2.3).
        (commonly(HOST, vec![]), true),
        (commonly("*.example.test", vec![address()]), true),
        (commonly("other.test", vec![]), false),
        (commonly(HOST, vec![other()]), false),
    ] {
        let done = connect(&[&leaf, &root], policy([root.tlsa(2, 0, 1)])).await;
        let names = (
            &leaf.params.distinguished_name,
            &leaf.params.subject_alt_names,
        );
        match is_right {
            true => assert_eq!(done, Ok(()), "{names:?}"),
            false => {
                let failure = done.expect_err("another's name");
                assert!(
                    matches!(failure, Failure::WrongName(_)),
                    "{names:?}: {failure}"
                );
                assert_eq!(failure.result_type(), "certificate-host-mismatch");
            }
        }
    }
}

#[tokio::test]
async fn the_authority_is_in_the_message_or_in_the_record() {
    let [root, between, leaf] = chain();
    // A digest alone does not say what the authority's key is.
    for matching in [1, 2] {
        let done = connect(&[&leaf, &between], policy([root.tlsa(2, 0, matching)])).await;
        assert_eq!(done, Err(Failure::NoMatch));
    }
    for selector in [0, 1] {
        let whole = root.tlsa(2, selector, 0);
        assert_eq!(
            connect(&[&leaf, &between], policy([whole.clone()])).await,
            Ok(())
        );
        // Without the certificate between them there is no way.
        let done = connect(&[&leaf], policy([whole])).await;
        assert!(matches!(done, Err(Failure::Untrusted(_))), "{done:?}");
        let whole = between.tlsa(2, selector, 0);
        assert_eq!(connect(&[&leaf], policy([whole])).await, Ok(()));
    }
    // It need not be the root.
    assert_eq!(
        connect(&[&leaf, &between], policy([between.tlsa(2, 1, 1)])).await,
        Ok(())
    );
}

#[tokio::test]
async fn an_authoritys_certificate_beside_anothers_proves_nothing() {
    let [root, between, _] = chain();
    let [other_root, other_between, other_leaf] = chain();
    for record in [
        root.tlsa(2, 0, 1),
        root.tlsa(2, 1, 0),
        between.tlsa(2, 1, 1),
    ] {
        let presented = [&other_leaf, &other_between, &other_root, &between, &root];
        let done = connect(&presented, policy([record])).await;
        let failure = done.expect_err("another's chain");
        assert!(matches!(failure, Failure::Untrusted(_)), "{failure}");
        assert_eq!(failure.result_type(), "certificate-not-trusted");
    }
}

#[tokio::test]
async fn a_man_in_the_middle_is_refused() {
    let [root, between, leaf] = chain();
    let own = host(&[HOST, DOMAIN], None);
    for record in [leaf.tlsa(3, 1, 1), root.tlsa(2, 0, 1)] {
        // With a certificate of his own.
        let done = connect(&[&own, &between, &root], policy([record.clone()])).await;
        assert!(done.is_err());
        for version in [&TLS12, &TLS13] {
            // With the host's certificate, and without its key.
            let presented = [&leaf, &between, &root];
            let policy = policy([record.clone()]);
            let done = connect_by(version, &presented, &own.key, policy).await;
            let error = done.expect_err("the key is another");
            assert_eq!(Failure::of(&error), None, "{error}");
        }
    }
}

#[tokio::test]
async fn records_that_cannot_be_used_demand_tls_and_no_more() {
    let leaf = host(&["whatever.test"], None);
    let unusable = [leaf.tlsa(1, 1, 1), Tlsa::new(3, 1, 1, [0; 5])];
    let all = policy(unusable.clone());
    assert!(!all.authenticates());
    assert_eq!(connect(&[&leaf], all).await, Ok(()));
    // Beside one that can be used they do not count (§2.2).
    let one = policy(unusable.into_iter().chain([Tlsa::new(3, 1, 1, [0; 32])]));
    assert!(one.authenticates());
    assert_eq!(connect(&[&leaf], one).await, Err(Failure::NoMatch));
    // The host has the certificate's key even so.
    let other = KeyPair::generate().unwrap();
    let policy = policy([leaf.tlsa(0, 1, 1)]);
    assert!(connect_by(&TLS13, &[&leaf], &other, policy).await.is_err());
}

#[tokio::test]
async fn from_the_question_to_the_handshake() {
    let [root, between, leaf] = chain();
    let stranger = host(&["other.test"], Some(&between));
    let anchor = digest(&SHA256, &root.der);
    let server = DnsServer::start([Zone::new(DOMAIN)
        .signed()
        .mx(10, "mx")
        .a("mx", "127.0.0.1")
        .cname("_25._tcp.mx", "tlsa201._dane")
        .tlsa("tlsa201._dane", 2, 0, 1, anchor.as_ref())]);
    let mut options = Options::new("mail.here.test");
    options.dns = vec![server.address().to_string()];
    options.dnssec = Dnssec::Validate {
        anchors: Some(server.trust_anchor()),
    };
    let dns = Dns::new(&options).unwrap();
    let destination = dns.destination(DOMAIN).await.unwrap();
    let host = destination.hosts[0].host.as_ref().unwrap();
    let policy = dns.dane(&destination, host).await.unwrap().unwrap();
    assert_eq!(policy.base_domain(), HOST);
    assert_eq!(policy.names().collect::<Vec<_>>(), [HOST, DOMAIN]);
    assert_eq!(
        connect(&[&leaf, &between, &root], policy.clone()).await,
        Ok(())
    );
    let done = connect(&[&stranger, &between, &root], policy).await;
    assert!(matches!(done, Err(Failure::WrongName(_))), "{done:?}");
}
