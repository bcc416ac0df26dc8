//! What a start needs, found out before anything is changed: by the start itself and by `mailserver check`.

use hikyaku_webmail::Untimely;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tracing::warn;

use crate::config::StoreKind;
use crate::server::{Service, StartError, open_store};
use crate::{Config, control, private, queue, tls};

/// A port that is open.
pub(crate) type Port = (Service, SocketAddr, TcpListener);

/// Opens all ports that a configuration names, as far as they can be.
pub(crate) async fn ports(config: &Config) -> (Vec<Port>, Vec<StartError>) {
    let listen = &config.listen;
    let (mut ports, mut errors) = (Vec::new(), Vec::new());
    let mut any = false;
    for (service, addresses) in [
        (Service::Smtp, &listen.smtp),
        (Service::Submission, &listen.submission),
        (Service::Submissions, &listen.submissions),
        (Service::Lmtp, &listen.lmtp),
        (Service::Pop3, &listen.pop3),
        (Service::Pop3s, &listen.pop3s),
        (Service::Imap, &listen.imap),
        (Service::Imaps, &listen.imaps),
        (Service::Metrics, &listen.metrics),
        (Service::Https, &listen.https),
        (Service::Http, &listen.http),
    ] {
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
                Err(error) if config.quickstart && service == Service::Lmtp => {
                    warn!(%error, %address, "LMTP is off");
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

/// What a start has made so far. Dropped before [`keep`](Self::keep), it is taken away again: a start that fails leaves
/// nothing behind. Another start with the same folder loses nothing by it: folders go only when they are empty, or when
/// this start holds the store that is in them.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Folders that this start made, the outermost first.
    folders: Vec<PathBuf>,
    /// What was not there when it began.
    missing: Vec<PathBuf>,
    holds_store: bool,
}

impl Made {
    /// Makes the data folder, and remembers what is not in it yet.
    pub(crate) fn begin(config: &Config) -> Result<Self, StartError> {
        let data = &config.data;
        let mut made = Self {
            folders: Vec::new(),
            missing: ["store", "tls"].map(|name| data.join(name)).into(),
            holds_store: false,
        };
        made.missing.retain(|path| !path.exists());
        let mut around: Vec<_> = data
            .ancestors()
            .skip(1)
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .map(Path::to_owned)
            .collect();
        around.reverse();
        made.folders = around;
        let is_new = private::folder(data);
        let writable = is_new.and_then(|is_new| {
            if is_new {
                made.folders.push(data.clone());
            }
            writable(data)
        });
        writable.map_err(|error| StartError::Folder(data.display().to_string(), error))?;
        Ok(made)
    }

    /// The store is open: nobody else can have made what is there now.
    pub(crate) fn holds_store(&mut self) {
        self.holds_store = true;
    }

    /// The start did not fail.
    pub(crate) fn keep(mut self) {
        self.missing.clear();
        self.folders.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.missing.drain(..) {
            let _ = match self.holds_store {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_dir(path),
            };
        }
        for path in self.folders.drain(..).rev() {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Whether files can be made in a folder.
fn writable(folder: &Path) -> std::io::Result<()> {
    let name = format!(".check.{}", std::process::id());
    let path = folder.join(name);
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(path)
}

/// What [`check`] found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Findings {
    /// What makes a start fail, or makes it of no use: each one line, with the remedy.
    pub problems: Vec<String>,
    /// What should be corrected besides.
    pub warnings: Vec<String>,
    /// Whether a server runs with this data: its ports and its store are its own.
    pub running: bool,
}

/// What is open to others that should not be: each one line, with the remedy.
pub(crate) fn open_to_others(config: &Config) -> Vec<String> {
    let data = private::open_to_others(&config.data).map(|open| open.to_string());
    let key = config.tls.key.as_deref().and_then(private::is_key_open);
    data.into_iter().chain(key).collect()
}

/// Tries all that a start needs, with what the start itself does, and leaves nothing behind.
pub async fn check(config: &Config) -> Findings {
    let mut found = Findings {
        running: control::is_running(config).await,
        ..Findings::default()
    };
    match tls::existing(config) {
        Ok(Some(certificate)) => match certificate.problem() {
            Some(soon @ Untimely::Soon(_)) => found.warnings.push(named(config, soon)),
            Some(problem) => found.problems.push(named(config, problem)),
            None => {}
        },
        Ok(None) => {}
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
    if let Err(error) = queue::check(config) {
        found.problems.push(StartError::Dns(error).to_string());
    }
    found.warnings.extend(open_to_others(config));
    if found.running {
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

fn named(config: &Config, problem: Untimely) -> String {
    let (cert, _) = tls::files(config);
    format!("{}: {problem}", cert.display())
}
