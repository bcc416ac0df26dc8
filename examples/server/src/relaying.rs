//! Sets up the relay as configured, with its deliveries to accounts here.

use hikyaku_mailstore::{BoxFuture, MailboxId, Result, Store};
use hikyaku_relay::{
    DnsError, Dnssec, Happened, Here, Login, MtaSts, NextHost, NotAHost, Options, Places, Relay,
    Route, Step, TlsReports, Via,
};
use hikyaku_service::Service;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use webmail::Throttle;

use crate::Accounts;
use crate::addresses::AddressBook;
use crate::config::{Config, DnssecMode, RelayRoute, StoreKind};
use crate::examine::{DkimError, OwnMail};
use crate::forwarding::{Rewriter, SrsError};
use crate::metrics::{Metrics, count};
use crate::residents::Residents;
use crate::shared::Shared;
use crate::timings::Timings;
use crate::trace::{self, TraceLog};

/// What a configuration says of it. Files that it names are read with it.
fn options(config: &Config) -> std::result::Result<Options, RelayError> {
    let relay = &config.relay;
    let mut options = Options::new(config.hostname.clone());
    options.dns.clone_from(&relay.dns);
    options.dns_timeout = relay.dns_timeout.0;
    options.port = relay.port;
    options.smarthost.clone_from(&relay.smarthost);
    options.retry = relay.retry.iter().map(|span| span.0).collect();
    options.delay = match relay.delay.0 {
        Duration::ZERO => Duration::MAX,
        delay => delay,
    };
    options.expire = relay.expire.0;
    options.connections = relay.connections;
    options.connections_per_destination = relay.connections_per_destination;
    options.patience = relay.patience.0;
    options.dnssec = dnssec(relay.dnssec);
    options.routes = relay
        .routes
        .iter()
        .map(route)
        .collect::<std::result::Result<_, _>>()?;
    options.roots = Some(roots(relay.ca.as_deref())?);
    // What a store in memory loses is lost with it.
    let folder = |name: &str| match config.store.kind {
        StoreKind::Memory => None,
        _ => Some(config.data.join(name)),
    };
    options.mta_sts = relay.mta_sts.then(|| MtaSts::new(folder("mta-sts")));
    let reports = |contact| TlsReports::new(contact, folder("tls-reports"));
    options.tls_reports = relay.tls_reports.as_ref().map(reports);
    Ok(options)
}

/// Has what the server itself writes signed.
fn sign(options: &mut Options, config: &Config) -> std::result::Result<(), RelayError> {
    let own = OwnMail::open(config)?;
    options.notify_as = own.author(config);
    options.seal = own.seal(&options.notify_as);
    if let Some(reports) = &mut options.tls_reports {
        reports.seal = own.seal(&reports.contact);
    }
    Ok(())
}

/// Who validates what DNS answers.
pub(crate) fn dnssec(mode: DnssecMode) -> Dnssec {
    match mode {
        DnssecMode::Off => Dnssec::Off,
        DnssecMode::Validate => Dnssec::Validate { anchors: None },
        DnssecMode::TrustAd => Dnssec::TrustAd,
    }
}

fn route(route: &RelayRoute) -> std::result::Result<Route, RelayError> {
    let login = match (&route.user, &route.password_file) {
        (Some(user), Some(file)) => {
            let text = read(file)?;
            let password = text.lines().next().unwrap_or("");
            Some(Login::new(user, password.as_bytes().to_vec()))
        }
        _ => None,
    };
    let mut hosts = Vec::new();
    for host in &route.hosts {
        let mut host: NextHost = host.parse()?;
        host.login.clone_from(&login);
        hosts.push(host);
    }
    let via = match hosts.is_empty() {
        true => Via::Exchangers,
        false => Via::Hosts(hosts),
    };
    let mut rule = Route::new(via);
    rule.domains.clone_from(&route.domains);
    rule.senders.clone_from(&route.senders);
    rule.must_verify = route.must_verify;
    Ok(rule)
}

fn read(path: &Path) -> std::result::Result<String, RelayError> {
    std::fs::read_to_string(path)
        .map_err(|error| RelayError::File(path.display().to_string(), error))
}

/// The system's authorities, and one more.
pub(crate) fn roots(ca: Option<&Path>) -> std::result::Result<Arc<RootCertStore>, RelayError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let text = read(path)?;
        let all = CertificateDer::pem_slice_iter(text.as_bytes());
        roots.add_parsable_certificates(all.flatten());
    }
    Ok(Arc::new(roots))
}

/// Why mail cannot be handed on with that configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The DNS resolver.
    #[error("DNS: {0}: set dns")]
    Dns(#[from] DnsError),
    /// A file that is named.
    #[error("{0}: {1}: is that the right path?")]
    File(String, std::io::Error),
    /// A host of a rule.
    #[error(transparent)]
    Host(#[from] NotAHost),
    /// The keys that sign what the server writes.
    #[error(transparent)]
    Dkim(#[from] DkimError),
    /// Reverse-paths of mail that was passed on.
    #[error(transparent)]
    Srs(#[from] SrsError),
}

/// Whether mail can be handed on with that configuration.
pub(crate) fn check(config: &Config) -> std::result::Result<(), RelayError> {
    Ok(Relay::check(&options(config)?)?)
}

fn observe(metrics: &Metrics, happened: Happened) {
    match happened {
        Happened::Delivered => count(&metrics.messages_delivered_total),
        Happened::Relayed => count(&metrics.messages_relayed_total),
        Happened::Deferred => count(&metrics.messages_deferred_total),
        Happened::GivenUp => count(&metrics.messages_bounced_total),
        Happened::NotificationDropped => count(&metrics.notifications_dropped_total),
        Happened::TlsPolicyFailed => count(&metrics.tls_policies_failed_total),
        Happened::Took(step, took) => measure(&metrics.timings, step, took),
        _ => {}
    }
}

fn measure(timings: &Timings, step: Step, took: Duration) {
    match step {
        Step::Queue => timings.queue_duration_seconds.observe(took),
        Step::Lookup => timings.relay_lookup_duration_seconds.observe(took),
        Step::Connect => timings.relay_connect_duration_seconds.observe(took),
        Step::Conversation => timings.relay_conversation_duration_seconds.observe(took),
        Step::Mailbox => timings.mailbox_delivery_duration_seconds.observe(took),
        _ => {}
    }
}

/// What ends here.
struct Own {
    addresses: AddressBook,
    service: Arc<Service>,
}

impl Here for Own {
    fn is_here(&self, domain: &str) -> bool {
        self.addresses.is_local(domain)
    }

    fn inbox<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
        Box::pin(self.service.inbox(address))
    }

    fn places<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Places>> {
        Box::pin(async move {
            let (here, elsewhere) = self.service.places(address).await?;
            Ok(Places::new(here, elsewhere))
        })
    }
}

/// Begins handing on what waits.
pub(crate) fn start(
    shared: &Arc<Shared>,
    tasks: &mut JoinSet<()>,
) -> std::result::Result<Arc<Relay>, RelayError> {
    let mut options = options(&shared.config)?;
    sign(&mut options, &shared.config)?;
    let metrics = Arc::clone(&shared.metrics);
    options.observe = Arc::new(move |happened| observe(&metrics, happened));
    options.trace = shared.trace.clone().map(trace::relay);
    let own = Arc::new(Own {
        addresses: shared.accounts.addresses().clone(),
        service: Arc::clone(&shared.service),
    });
    let relay = Relay::new(Arc::clone(&shared.store), own, options)?;
    let (shared, runs) = (Arc::clone(shared), Arc::clone(&relay));
    tasks.spawn(async move { runs.run(shared.stopping()).await });
    Ok(relay)
}

/// Creates a relay that hands nothing on, to change the queue while no server runs.
pub(crate) fn idle(
    config: &Arc<Config>,
    accounts: &Accounts,
    store: &Arc<dyn Store>,
    log: Option<Arc<TraceLog>>,
) -> std::result::Result<Arc<Relay>, RelayError> {
    let mut options = options(config)?;
    sign(&mut options, config)?;
    options.trace = log.map(trace::relay);
    let residents = Arc::new(Residents {
        accounts: accounts.clone(),
        store: Arc::clone(store),
        throttle: Arc::new(Throttle::new(|_| false, |_| {})),
        config: Arc::clone(config),
        srs: Rewriter::open(config, accounts.addresses())?,
    });
    let service = hikyaku_service::Options::new(config.hostname.clone());
    let service = Service::new(Arc::clone(store), residents, service);
    let own = Arc::new(Own {
        addresses: accounts.addresses().clone(),
        service: Arc::new(service),
    });
    Ok(Relay::new(Arc::clone(store), own, options)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_hold_unless_they_are_switched_off_and_reports_have_a_contact() {
        let of = |rest: &str| {
            let head = "hostname = \"mx.test\"\ndomains = [\"a.test\"]\ndata = \"/data\"\n";
            options(&Config::parse(&format!("{head}{rest}")).unwrap()).unwrap()
        };
        let folder = |options: Options| options.mta_sts.map(|sts| sts.folder);
        assert_eq!(folder(of("")), Some(Some("/data/mta-sts".into())));
        assert_eq!(folder(of("[store]\nkind = \"memory\"\n")), Some(None));
        assert_eq!(folder(of("[relay]\nmta_sts = false\n")), None);
        assert!(of("").tls_reports.is_none());
        let reports = of("[relay]\ntls_reports = \"postmaster@b.test\"\n").tls_reports;
        let reports = reports.unwrap();
        assert_eq!(reports.folder, Some("/data/tls-reports".into()));
        assert_eq!(
            (&*reports.contact, &*reports.organization),
            ("postmaster@b.test", "b.test")
        );
    }

    #[test]
    fn what_the_server_writes_is_signed_where_a_key_can() {
        let data = tempfile::tempdir().unwrap();
        let head = |hostname: &str| {
            format!(
                "hostname = \"{hostname}\"\ndomains = [\"a.test\", \"b.test\"]\ndata = {:?}\n\
                 [relay]\ntls_reports = \"postmaster@b.test\"\n",
                data.path()
            )
        };
        let config = Config::parse(&head("mx.b.test")).unwrap();
        let made = crate::new_dkim_key(&config, "b.test", "e1", false).unwrap();
        // RFC 8460 §3: without s= a key is for TLS reports, too.
        assert!(made.contains("\"v=DKIM1; k=ed25519; p="), "{made}");
        let (_, lines) = made.split_once("\n\n").unwrap();
        let signed = |hostname: &str, lines: &str| {
            let config = Config::parse(&format!("{}{lines}", head(hostname))).unwrap();
            let mut options = options(&config).unwrap();
            sign(&mut options, &config).unwrap();
            options
        };
        for (hostname, author) in [
            ("mx.b.test", "MAILER-DAEMON@mx.b.test"),
            ("mx.else.test", "postmaster@b.test"),
        ] {
            let options = signed(hostname, lines);
            assert_eq!(options.notify_as, author);
            for seal in [options.seal, options.tls_reports.unwrap().seal] {
                let message = b"From: a@b.test\r\n\r\nx\r\n".to_vec();
                let text = String::from_utf8(seal.unwrap()(message)).unwrap();
                assert!(
                    text.starts_with("DKIM-Signature: ") && text.contains("d=b.test;"),
                    "{text}"
                );
            }
        }
        let options = signed("mx.b.test", "");
        assert!(options.seal.is_none() && options.tls_reports.unwrap().seal.is_none());
        assert_eq!(options.notify_as, "MAILER-DAEMON@mx.b.test");
    }
}
