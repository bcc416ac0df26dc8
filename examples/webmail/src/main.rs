//! The program `webmail`: in front of any IMAP or POP3 server and its submission server.

use clap::Parser;
use hikyaku_client::{Kind, Server};
use hikyaku_webmail::{Encrypted, Options, Provider, Remote, router, serve, server_config};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Mail in the browser, in front of any IMAP or POP3 server.
#[derive(Debug, Parser)]
#[command(name = "webmail", version)]
struct Arguments {
    /// The configuration, see webmail.toml.
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
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(&arguments.config)
        .map_err(|error| format!("{}: {error}", arguments.config.display()))?;
    let config: Config = toml::from_str(&text)?;
    std::fs::create_dir_all(&config.data)?;
    let store = mailstore::Disk::open(&config.data)?;
    let provider = Provider {
        kind: config.kind,
        incoming: config.incoming,
        outgoing: config.outgoing,
        domain: config.domain,
        ca: config.ca,
    };
    let mut options = Options::default();
    options.title = config.title.unwrap_or(options.title);
    let router = router(Arc::new(Remote::new(provider, Arc::new(store))), options);
    let acceptor = tokio_rustls::TlsAcceptor::from(server_config(&config.cert, &config.key)?);
    let listener = Encrypted::new(TcpListener::bind(config.listen).await?, acceptor)?;
    println!("https://{}", axum::serve::Listener::local_addr(&listener)?);
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    serve(listener, router, stop).await?;
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
