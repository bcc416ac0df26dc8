//! A visit to one port of a server: connection, greeting, TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::dialogue::{Dialogue, Speech};
use super::shown::{self, Shown};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long it may take until TLS is there. Some let those wait that they do not know.
const WORDS: Duration = Duration::from_secs(30);

/// What is at a port.
pub(super) struct Visit {
    /// The first line of its greeting.
    pub(super) greeting: String,
    pub(super) shown: Shown,
}

/// Why a port is not what it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Connect(io::Error),
    #[error("the connection is accepted, and then {0}")]
    Words(io::Error),
    #[error("no STARTTLS")]
    NoStartTls {
        /// The first line of its greeting.
        greeting: String,
    },
    #[error("TLS does not begin: {0}")]
    Tls(io::Error),
}

/// Visits a port as a client of that protocol that looks for a server of that name.
pub(super) async fn visit(
    at: SocketAddr,
    speech: Speech,
    is_tls: bool,
    name: &str,
    hello: &str,
) -> Result<Visit, Trouble> {
    let stream = connect(at).await.map_err(Trouble::Connect)?;
    let place = format!("port {} of {}", at.port(), at.ip());
    let talk = async {
        if is_tls {
            let begun = shown::begin(stream, &place, name).await;
            let (stream, shown) = begun.map_err(Trouble::Tls)?;
            let greeting = Dialogue::new(stream, speech).greeting().await;
            let greeting = greeting.map_err(Trouble::Words)?;
            return Ok(Visit { greeting, shown });
        }
        let mut dialogue = Dialogue::new(stream, speech);
        let greeting = dialogue.greeting().await.map_err(Trouble::Words)?;
        let (is_willing, stream) = dialogue.starttls(hello).await.map_err(Trouble::Words)?;
        if !is_willing {
            return Err(Trouble::NoStartTls { greeting });
        }
        let begun = shown::begin(stream, &place, name).await;
        let (_, shown) = begun.map_err(Trouble::Tls)?;
        Ok(Visit { greeting, shown })
    };
    let silent = || Trouble::Words(io::Error::other("nothing is said in time"));
    timeout(WORDS, talk).await.unwrap_or_else(|_| Err(silent()))
}

/// Connects to an exchanger of others, and reads whether it is one. Returns the address that the connection is from.
pub(super) async fn greeted(at: SocketAddr) -> Result<(String, IpAddr), Trouble> {
    let stream = connect(at).await.map_err(Trouble::Connect)?;
    let from = stream.local_addr().map_err(Trouble::Connect)?.ip();
    let mut dialogue = Dialogue::new(stream, Speech::Smtp);
    let silent = || Trouble::Words(io::Error::other("nothing is said in time"));
    let greeting = timeout(WORDS, dialogue.greeting()).await;
    let greeting = greeting.map_err(|_| silent())?.map_err(Trouble::Words)?;
    Ok((greeting, from))
}

/// Connects to a port.
pub(super) async fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let connected = timeout(CONNECT, TcpStream::connect(at)).await;
    connected.unwrap_or_else(|_| Err(io::Error::other("no answer in time")))
}
