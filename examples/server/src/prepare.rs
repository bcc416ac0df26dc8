//! Checks what a start needs before anything is changed, for the start itself and for `mailserver check`.

use std::net::SocketAddr;
use tokio::net::TcpListener;
use tracing::warn;
use webmail::Untimely;

use crate::config::StoreKind;
use crate::made::Made;
use crate::open_store::open_store;
use crate::privileges::drop_privileges;
use crate::protocol::Protocol;
use crate::start_error::StartError;
use crate::{Config, activation, control, examine, private, relaying, tls};

/// A port that is open.
pub(crate) type Port = (Protocol, SocketAddr, TcpListener);

/// Takes the sockets that were passed, and opens all ports that a configuration names for protocols that none was passed
/// for; lists those that cannot be opened as errors.
pub(crate) async fn ports(config: &Config) -> (Vec<Port>, Vec<StartError>) {
    let listen = &config.listen;
    let (mut ports, mut errors) = (Vec::new(), Vec::new());
    let passed = activation::passed().unwrap_or_else(|error| {
        errors.push(error.into());
        Vec::new()
    });
    for (protocol, socket) in passed {
        let opened = TcpListener::from_std(socket).and_then(|socket| {
            let address = socket.local_addr()?;
            Ok((protocol, address, socket))
        });
        match opened {
            Ok(port) => ports.push(port),
            Err(error) => errors.push(StartError::Socket(error)),
        }
    }
    let mut any = !ports.is_empty();
    let passed: Vec<_> = ports.iter().map(|(protocol, ..)| *protocol).collect();
    for (service, addresses) in [
        (Protocol::Smtp, &listen.smtp),
        (Protocol::Submission, &listen.submission),
        (Protocol::Submissions, &listen.submissions),
        (Protocol::Lmtp, &listen.lmtp),
        (Protocol::Pop3, &listen.pop3),
        (Protocol::Pop3s, &listen.pop3s),
        (Protocol::Imap, &listen.imap),
        (Protocol::Imaps, &listen.imaps),
        (Protocol::Metrics, &listen.metrics),
        (Protocol::Https, &listen.https),
        (Protocol::Http, &listen.http),
    ] {
        if passed.contains(&service) {
            continue;
        }
        let addresses = match addresses.resolve() {
            Ok(addresses) => addresses,
            Err(error) => {
                any = true;
                errors.push(error.into());
                continue;
            }
        };
        for address in addresses {
            any = true;
            match TcpListener::bind(address).await {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(address);
                    ports.push((service, address, listener));
                }
                // Nobody who only tries it out needs LMTP.
                Err(error) if config.quickstart && service == Protocol::Lmtp => {
                    warn!(%error, %address, "LMTP is off, because its port cannot be opened");
                }
                Err(error) => errors.push(StartError::Listen(address, error)),
            }
        }
    }
    if !any {
        errors.push(StartError::NoListener);
    }
    (ports, errors)
}

/// What [`check`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Findings {
    /// Problems that make a start fail or useless, each in one line with its remedy.
    pub problems: Vec<String>,
    /// Further things to correct, each in one line with its remedy.
    pub warnings: Vec<String>,
    /// Whether a server runs with this data; then its ports and its store were not tried.
    pub running: bool,
}

/// Lists files that others can read and should not, each in one line with its remedy.
pub(crate) fn open_to_others(config: &Config) -> Vec<String> {
    let data = private::open_to_others(&config.data).map(|open| open.to_string());
    let keys = tls::keys(config).filter_map(private::is_key_open);
    data.into_iter().chain(keys).collect()
}

/// Tries everything that a start needs, in the way the start does it, and leaves nothing behind.
pub async fn check(config: &Config) -> Findings {
    let mut found = Findings {
        running: control::is_running(config).await,
        ..Findings::default()
    };
    match tls::existing(config) {
        Ok(certificates) => {
            for certificate in certificates.all() {
                let named = |problem| format!("{}: {problem}", certificate.path().display());
                match certificate.problem() {
                    Some(soon @ Untimely::Soon(_)) => found.warnings.push(named(soon)),
                    Some(problem) => found.problems.push(named(problem)),
                    None => {}
                }
            }
        }
        Err(error) => found.problems.push(error.to_string()),
    }
    let (ports, errors) = ports(config).await;
    drop(ports);
    for error in errors {
        let taken = matches!(&error, StartError::Listen(_, error) if error.kind() == std::io::ErrorKind::AddrInUse);
        match found.running && taken {
            true => continue,
            false => found.problems.push(error.to_string()),
        }
    }
    if let Err(error) = relaying::check(config) {
        found.problems.push(StartError::from(error).to_string());
    }
    if let Err(error) = examine::check(config) {
        found.problems.push(error.to_string());
    }
    found.warnings.extend(open_to_others(config));
    if found.running {
        return found;
    }
    if let Err(error) = drop_privileges(&config.run, &config.data) {
        found.problems.push(error.to_string());
        return found;
    }
    match Made::begin(config) {
        Ok(_made) => {
            let is_there = config.data.join("store").exists();
            if is_there && config.store.kind == StoreKind::Disk {
                let opened = open_store(config);
                found
                    .problems
                    .extend(opened.err().map(|error| error.to_string()));
            }
        }
        Err(error) => found.problems.push(error.to_string()),
    }
    found
}
