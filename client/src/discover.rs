//! Finds the servers of an address: by SRV records (RFC 6186, 8314), autoconfig files and the usual names.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;
use hikyaku_mailstore::BoxFuture;
use rustls::crypto::ring::default_provider;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::authorities::authorities;
use crate::{Dial, Error, Kind, Result, Security, Server, connect};

/// How long a server may take to answer before the next one is tried.
const PATIENCE: Duration = Duration::from_secs(8);
/// Servers that records and files may name, each way.
const CANDIDATES: usize = 8;
/// The most octets of an autoconfig file.
const FILE: u64 = 64 * 1024;

/// The servers of an address, as [`discover`] found them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found {
    /// The IMAP or POP3 server.
    pub incoming: Server,
    /// The submission server.
    pub outgoing: Server,
    /// The name to log in with; `None` when it is the address.
    pub login: Option<String>,
}

/// Where [`discover`] looks things up: [`Web`], or a stand-in in a test.
pub trait Http: Send + Sync {
    /// Returns the file behind a URL; `None` when there is none or it cannot be had.
    fn get(&self, url: String) -> BoxFuture<'_, Option<String>>;
    /// Returns the SRV records of a name as hosts and ports, in the order in which to try them.
    fn srv(&self, name: String) -> BoxFuture<'_, Vec<(String, u16)>>;
}

/// The network.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Web {
    /// Authorities to trust besides the system's, a PEM file. One that cannot be read is none.
    pub ca: Option<PathBuf>,
}

fn roots(ca: Option<&Path>) -> RootCerts {
    let all = authorities(ca);
    let all = all
        .iter()
        .map(|root| Certificate::from_der(root).to_owned());
    RootCerts::Specific(Arc::new(all.collect()))
}

impl Http for Web {
    fn get(&self, url: String) -> BoxFuture<'_, Option<String>> {
        let ca = self.ca.clone();
        Box::pin(async move {
            let get = move || {
                let tls = TlsConfig::builder()
                    .root_certs(roots(ca.as_deref()))
                    .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
                    .build();
                let config = ureq::Agent::config_builder()
                    .timeout_global(Some(PATIENCE))
                    .https_only(true)
                    .tls_config(tls)
                    .build();
                let mut response = ureq::Agent::new_with_config(config).get(&url).call().ok()?;
                response
                    .body_mut()
                    .with_config()
                    .limit(FILE)
                    .read_to_string()
                    .ok()
            };
            tokio::task::spawn_blocking(get).await.ok()?
        })
    }

    fn srv(&self, name: String) -> BoxFuture<'_, Vec<(String, u16)>> {
        Box::pin(async move {
            let Ok(Ok(resolver)) =
                TokioResolver::builder_tokio().map(hickory_resolver::ResolverBuilder::build)
            else {
                return Vec::new();
            };
            let Ok(lookup) = resolver.srv_lookup(name + ".").await else {
                return Vec::new();
            };
            let mut all: Vec<_> = lookup
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    RData::SRV(srv) => Some((
                        srv.priority,
                        u16::MAX - srv.weight,
                        srv.target.to_utf8(),
                        srv.port,
                    )),
                    _ => None,
                })
                .collect();
            all.sort();
            let all = all
                .into_iter()
                .map(|(_, _, host, port)| (host.trim_end_matches('.').to_owned(), port));
            // RFC 6186 §3.4: "." says that there is no such service.
            all.filter(|(host, _)| !host.is_empty()).collect()
        })
    }
}

/// What may be.
#[derive(Debug, Default)]
struct Candidates {
    incoming: Vec<(Server, Option<String>)>,
    outgoing: Vec<Server>,
}

/// Finds the servers of an address, and tries each until one answers.
///
/// # Errors
/// When none does.
pub async fn discover(
    dial: &dyn Dial,
    http: &dyn Http,
    address: &str,
    kind: Kind,
) -> Result<Found> {
    let (_, domain) = address
        .rsplit_once('@')
        .ok_or_else(|| Error::Usage(format!("{address} is not an e-mail address")))?;
    let mut candidates = by_srv(http, domain, kind).await;
    if candidates.incoming.is_empty() || candidates.outgoing.is_empty() {
        for url in [
            format!("https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}"),
            format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
        ] {
            if let Some(text) = http.get(url).await {
                let more = by_file(&text, address, kind);
                candidates.incoming.extend(more.incoming);
                candidates.outgoing.extend(more.outgoing);
                break;
            }
        }
    }
    // Whoever wrote the records does not decide how long this takes.
    candidates.incoming.truncate(CANDIDATES);
    candidates.outgoing.truncate(CANDIDATES);
    let usual = usual(domain, kind);
    candidates.incoming.extend(usual.incoming);
    candidates.outgoing.extend(usual.outgoing);

    let mut untrusted = None;
    let mut incoming = None;
    for (server, login) in candidates.incoming {
        if answers(dial, &server, &mut untrusted).await {
            incoming = Some((server, login));
            break;
        }
    }
    let mut outgoing = None;
    for server in candidates.outgoing {
        if answers(dial, &server, &mut untrusted).await {
            outgoing = Some(server);
            break;
        }
    }
    let none = |option: &str| {
        Error::Network(format!(
            "no server of {domain} was found; name it with {option} HOST:PORT"
        ))
    };
    let (incoming, outgoing) = match (incoming, outgoing) {
        (Some(incoming), Some(outgoing)) => (incoming, outgoing),
        (None, _) => return Err(untrusted.unwrap_or_else(|| none("--incoming"))),
        (_, None) => return Err(untrusted.unwrap_or_else(|| none("--outgoing"))),
    };
    let (incoming, login) = incoming;
    Ok(Found {
        incoming,
        outgoing,
        login,
    })
}

/// Whether a server is there. The first one whose certificate is not trusted is kept: what to do about it is said where
/// no other is found.
async fn answers(dial: &dyn Dial, server: &Server, untrusted: &mut Option<Error>) -> bool {
    let opened = tokio::time::timeout(PATIENCE, connect::open(dial, server)).await;
    match opened {
        Ok(Ok(_)) => true,
        Ok(Err(error @ Error::Untrusted { .. })) => {
            untrusted.get_or_insert(error);
            false
        }
        _ => false,
    }
}

async fn by_srv(http: &dyn Http, domain: &str, kind: Kind) -> Candidates {
    let incoming = match kind {
        Kind::Imap => [("_imaps", Security::Tls), ("_imap", Security::StartTls)],
        Kind::Pop => [("_pop3s", Security::Tls), ("_pop3", Security::StartTls)],
    };
    let outgoing = [
        ("_submissions", Security::Tls),
        ("_submission", Security::StartTls),
    ];
    let mut candidates = Candidates::default();
    for (service, security) in incoming {
        let found = http.srv(format!("{service}._tcp.{domain}")).await;
        let servers = found.into_iter().map(|(host, port)| Server {
            host,
            port,
            security,
        });
        candidates
            .incoming
            .extend(servers.map(|server| (server, None)));
    }
    for (service, security) in outgoing {
        let found = http.srv(format!("{service}._tcp.{domain}")).await;
        let servers = found.into_iter().map(|(host, port)| Server {
            host,
            port,
            security,
        });
        candidates.outgoing.extend(servers);
    }
    candidates
}

/// Mozilla's autoconfig file. Servers without TLS are passed over.
fn by_file(text: &str, address: &str, kind: Kind) -> Candidates {
    let mut candidates = Candidates::default();
    let Ok(document) = roxmltree::Document::parse(text) else {
        return candidates;
    };
    let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
    for node in document.descendants() {
        let text = |name: &str| {
            let mut children = node.children();
            let child = children.find(|child| child.has_tag_name(name))?;
            child.text().map(str::trim)
        };
        let wanted = match kind {
            Kind::Imap => "imap",
            Kind::Pop => "pop3",
        };
        let security = match text("socketType") {
            Some("SSL") => Security::Tls,
            Some("STARTTLS") => Security::StartTls,
            _ => continue,
        };
        let (Some(host), Some(Ok(port))) = (text("hostname"), text("port").map(str::parse)) else {
            continue;
        };
        let host = host.replace("%EMAILDOMAIN%", address.rsplit('@').next().unwrap_or(""));
        let server = Server {
            host,
            port,
            security,
        };
        if node.has_tag_name("incomingServer") && node.attribute("type") == Some(wanted) {
            let login = text("username").map(|name| {
                name.replace("%EMAILADDRESS%", address)
                    .replace("%EMAILLOCALPART%", local)
            });
            candidates
                .incoming
                .push((server, login.filter(|login| login != address)));
        } else if node.has_tag_name("outgoingServer") && node.attribute("type") == Some("smtp") {
            candidates.outgoing.push(server);
        }
    }
    candidates
}

fn usual(domain: &str, kind: Kind) -> Candidates {
    let (names, ports): (&[&str], [u16; 2]) = match kind {
        Kind::Imap => (&["imap", "mail"], [993, 143]),
        Kind::Pop => (&["pop", "pop3", "mail"], [995, 110]),
    };
    let of = |names: &[&str], ports: [u16; 2]| {
        let all = [(Security::Tls, ports[0]), (Security::StartTls, ports[1])];
        let all = all.into_iter().flat_map(|(security, port)| {
            names.iter().map(move |name| Server {
                host: format!("{name}.{domain}"),
                port,
                security,
            })
        });
        all.collect::<Vec<_>>()
    };
    Candidates {
        incoming: of(names, ports)
            .into_iter()
            .map(|server| (server, None))
            .collect(),
        outgoing: of(&["smtp", "mail"], [465, 587]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// A world in which some servers are there.
    #[derive(Default)]
    struct World {
        there: Vec<(&'static str, u16)>,
        files: BTreeMap<&'static str, &'static str>,
        records: BTreeMap<&'static str, (&'static str, u16)>,
        /// Those of them whose certificate is not trusted.
        untrusted: Vec<&'static str>,
        tried: Mutex<Vec<String>>,
    }

    impl Dial for World {
        fn dial<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Box<dyn crate::Wire>>> {
            Box::pin(async move {
                self.tried
                    .lock()
                    .unwrap()
                    .push(format!("{}:{}", server.host, server.port));
                match self.there.contains(&(server.host.as_str(), server.port)) {
                    true => Ok(Box::new(tokio::io::empty()) as Box<dyn crate::Wire>),
                    false => Err(Error::Network("nobody".into())),
                }
            })
        }

        fn encrypt<'a>(
            &'a self,
            stream: Box<dyn crate::Wire>,
            server: &'a Server,
        ) -> BoxFuture<'a, Result<Box<dyn crate::Wire>>> {
            Box::pin(async move {
                match self.untrusted.contains(&server.host.as_str()) {
                    true => Err(Error::Untrusted {
                        host: server.host.clone(),
                        why: "nobody vouches for it".into(),
                        fingerprint: crate::Fingerprint([7; 32]),
                    }),
                    false => Ok(stream),
                }
            })
        }
    }

    impl Http for World {
        fn get(&self, url: String) -> BoxFuture<'_, Option<String>> {
            Box::pin(async move { self.files.get(url.as_str()).map(|text| (*text).to_owned()) })
        }

        fn srv(&self, name: String) -> BoxFuture<'_, Vec<(String, u16)>> {
            Box::pin(async move {
                let found = self.records.get(name.as_str());
                found
                    .map(|(host, port)| ((*host).to_owned(), *port))
                    .into_iter()
                    .collect()
            })
        }
    }

    #[tokio::test]
    async fn records_come_first() {
        let world = World {
            there: vec![("in.a.test", 1993), ("out.a.test", 1465)],
            records: [
                ("_imaps._tcp.a.test", ("in.a.test", 1993)),
                ("_submissions._tcp.a.test", ("out.a.test", 1465)),
            ]
            .into(),
            ..World::default()
        };
        let found = discover(&world, &world, "me@a.test", Kind::Imap)
            .await
            .unwrap();
        assert_eq!(
            (found.incoming.port, found.outgoing.port, found.login),
            (1993, 1465, None)
        );
        assert_eq!(found.incoming.security, Security::Tls);
    }

    #[tokio::test]
    async fn then_the_file() {
        let file = r#"<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="a.test">
            <incomingServer type="imap"><hostname>imap.b.test</hostname><port>143</port>
              <socketType>plain</socketType><username>x</username></incomingServer>
            <incomingServer type="pop3"><hostname>pop.%EMAILDOMAIN%</hostname><port>110</port>
              <socketType>STARTTLS</socketType><username>%EMAILLOCALPART%</username></incomingServer>
            <outgoingServer type="smtp"><hostname>smtp.b.test</hostname><port>587</port>
              <socketType>STARTTLS</socketType></outgoingServer></emailProvider></clientConfig>"#;
        let world = World {
            there: vec![("pop.a.test", 110), ("smtp.b.test", 587)],
            files: [(
                "https://a.test/.well-known/autoconfig/mail/config-v1.1.xml",
                file,
            )]
            .into(),
            ..World::default()
        };
        let found = discover(&world, &world, "me@a.test", Kind::Pop)
            .await
            .unwrap();
        assert_eq!(
            (found.incoming.host.as_str(), found.login.as_deref()),
            ("pop.a.test", Some("me"))
        );
        assert_eq!(found.outgoing.security, Security::StartTls);
    }

    #[tokio::test]
    async fn then_the_usual_names_each_tried() {
        let world = World {
            there: vec![("mail.a.test", 143), ("mail.a.test", 587)],
            ..World::default()
        };
        let found = discover(&world, &world, "me@a.test", Kind::Imap)
            .await
            .unwrap();
        assert_eq!((found.incoming.port, found.outgoing.port), (143, 587));
        let tried = world.tried.lock().unwrap().join(" ");
        assert!(
            tried.starts_with("imap.a.test:993 mail.a.test:993 imap.a.test:143 mail.a.test:143")
        );
        let nobody = discover(
            &World::default(),
            &World::default(),
            "me@a.test",
            Kind::Imap,
        )
        .await;
        assert!(nobody.unwrap_err().to_string().contains("--incoming"));
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_trusted_is_named_where_no_other_server_is() {
        let world = |there: &[(&'static str, u16)]| World {
            there: there.to_vec(),
            untrusted: vec!["imap.a.test", "smtp.a.test"],
            ..World::default()
        };
        let found = async |world: World| discover(&world, &world, "me@a.test", Kind::Imap).await;
        let mine = [("imap.a.test", 993), ("smtp.a.test", 465)];
        let error = found(world(&mine)).await.unwrap_err();
        assert!(error.to_string().contains("sha256:0707"), "{error}");
        let error = found(world(&[mine[1], ("mail.a.test", 993)])).await;
        assert!(error.unwrap_err().to_string().contains("smtp.a.test"));
        let both = [mine[0], ("mail.a.test", 993), ("mail.a.test", 465)];
        assert_eq!(
            found(world(&both)).await.unwrap().incoming.host,
            "mail.a.test"
        );
    }

    #[tokio::test]
    async fn a_file_does_not_decide_how_long_it_takes() {
        let server = "<incomingServer type=\"imap\"><hostname>no.b.test</hostname><port>993</port><socketType>SSL</socketType></incomingServer>";
        let file: &'static str = format!("<c>{}</c>", server.repeat(1000)).leak();
        let world = World {
            there: vec![("mail.a.test", 993), ("mail.a.test", 465)],
            files: [(
                "https://a.test/.well-known/autoconfig/mail/config-v1.1.xml",
                file,
            )]
            .into(),
            ..World::default()
        };
        let found = discover(&world, &world, "me@a.test", Kind::Imap).await;
        assert_eq!(found.unwrap().incoming.host, "mail.a.test");
        assert!(world.tried.lock().unwrap().len() < 20);
    }
}
