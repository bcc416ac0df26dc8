//! The program `webmail`: in front of any IMAP or POP3 server and its submission server.

use clap::Parser;
use hikyaku_client::{Fingerprint, Kind, Octets, Server};
use hikyaku_mailstore::{MessageCache, Store, TextIndex};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use webmail::{
    Certificate, Encrypted, Options, Outside, Provider, Remote, keep_fetching, router, serve,
};

/// Mail in the browser, in front of any IMAP or POP3 server.
#[derive(Debug, Parser)]
#[command(name = "webmail", version)]
struct Arguments {
    /// The configuration file; webmail.toml describes every key.
    #[arg(default_value = "webmail.toml")]
    config: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Where it listens.
    listen: SocketAddr,
    /// PEM files.
    cert: PathBuf,
    key: PathBuf,
    /// What was brought lies here.
    data: PathBuf,
    /// The name over the login.
    #[serde(default)]
    title: Option<String>,
    #[serde(rename = "type")]
    kind: Kind,
    incoming: Server,
    outgoing: Server,
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    ca: Option<PathBuf>,
    #[serde(default, deserialize_with = "hikyaku_client::one_or_many")]
    fingerprint: Vec<Fingerprint>,
    #[serde(default)]
    largest_message: Option<Octets>,
    /// Seconds between two looks for new mail.
    #[serde(default = "a_minute")]
    interval: u64,
}

fn a_minute() -> u64 {
    60
}

/// Loads the certificate again when its files change, and on SIGHUP.
async fn keep_certificate(certificate: &Certificate) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            () = tokio::time::sleep(Duration::from_secs(5)) => false,
        };
        if !asked && !certificate.is_changed() {
            continue;
        }
        if let Err(error) = certificate.reload() {
            eprintln!(
                "webmail: the certificate could not be reloaded, so the old one stays in use: {error}"
            );
        }
        if let Some(problem) = certificate.problem() {
            eprintln!("webmail: {problem}");
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(&arguments.config)
        .map_err(|error| format!("{}: {error}", arguments.config.display()))?;
    let config: Config = toml::from_str(&text)?;
    // Mail and sessions are this user's alone, whatever the umask is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    std::fs::create_dir_all(&config.data)?;
    let store = hikyaku_mailstore::Disk::open(&config.data)?;
    let provider = Provider {
        kind: config.kind,
        incoming: config.incoming,
        outgoing: config.outgoing,
        domain: config.domain,
        ca: config.ca,
        fingerprint: config.fingerprint,
        largest_message: config.largest_message.unwrap_or(Provider::LARGEST),
        interval: Duration::from_secs(config.interval),
    };
    let store: Arc<dyn Store> = Arc::new(store);
    let fetching = keep_fetching(Arc::clone(&store), Outside::default(), config.kind);
    let mut options = Options::default();
    options.title = config.title.unwrap_or(options.title);
    options.uploads.clone_from(&config.data);
    let mut backend = Remote::new(provider, store);
    match TextIndex::open(config.data.join("text")) {
        Ok(index) => {
            let cache = MessageCache::new(250_000, 64 << 20).with_text_index(index);
            backend = backend.with_cache(Arc::new(cache));
        }
        Err(error) => eprintln!(
            "webmail: the text index cannot be opened, so searches read the messages instead: {error}"
        ),
    }
    let router = router(Arc::new(backend), options);
    let certificate = Certificate::load(&config.cert, &config.key)?;
    if let Some(problem) = certificate.problem() {
        eprintln!("webmail: {problem}");
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(certificate.server_config()?);
    let listener = Encrypted::new(TcpListener::bind(config.listen).await?, acceptor)?;
    println!("https://{}", listener.local_addr()?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    tokio::select! {
        served = serve(listener, router, stop) => served?,
        () = fetching => {}
        stopped = keep_certificate(&certificate) => stopped?,
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("webmail: {error}");
            ExitCode::FAILURE
        }
    }
}
