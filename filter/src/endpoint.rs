//! Where a filter listens.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::fault::Fault;

/// Where a filter listens: `HOST:PORT`, or `unix:PATH`.
///
/// ```
/// use hikyaku_filter::Endpoint;
/// let rspamd: Endpoint = "localhost:11333".parse()?;
/// let opendkim: Endpoint = "unix:/run/opendkim/opendkim.sock".parse()?;
/// assert_eq!(opendkim.to_string(), "unix:/run/opendkim/opendkim.sock");
/// assert!("localhost".parse::<Endpoint>().is_err());
/// # Ok::<(), hikyaku_filter::BadEndpoint>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "filters listen nowhere else")]
pub enum Endpoint {
    /// A host, by name or address, and a port.
    Tcp(String),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// It is neither `HOST:PORT` nor `unix:PATH`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected HOST:PORT or unix:PATH, found {0:?}")]
#[non_exhaustive]
pub struct BadEndpoint(pub String);

impl FromStr for Endpoint {
    type Err = BadEndpoint;

    fn from_str(text: &str) -> Result<Self, BadEndpoint> {
        let bad = || BadEndpoint(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(bad()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        // An IPv6 address without brackets would lose its last group to the port.
        let is_host = !host.is_empty() && (!host.contains(':') || host.starts_with('['));
        match port.parse::<u16>() {
            Ok(1..) if is_host => Ok(Self::Tcp(text.to_owned())),
            _ => Err(bad()),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(authority) => f.write_str(authority),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection to a filter.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Endpoint {
    pub(crate) async fn connect(&self) -> Result<Box<dyn Stream>, Fault> {
        match self {
            Self::Tcp(authority) => {
                let stream = TcpStream::connect(authority)
                    .await
                    .map_err(Fault::Connect)?;
                // Commands are small, and each waits for its answer.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let stream = tokio::net::UnixStream::connect(path).await;
                Ok(Box::new(stream.map_err(Fault::Connect)?))
            }
            #[cfg(not(unix))]
            Self::Unix(_) => Err(Fault::Connect(std::io::ErrorKind::Unsupported.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_port_or_no_path_is_no_endpoint() {
        for good in ["localhost:1", "[::1]:11333", "127.0.0.1:65535", "unix:/a"] {
            assert_eq!(good.parse::<Endpoint>().unwrap().to_string(), good);
        }
        for bad in [
            "", "a", "a:", ":1", "a:0", "a:65536", "::1", "::1:80", "unix:",
        ] {
            assert_eq!(bad.parse::<Endpoint>(), Err(BadEndpoint(bad.into())));
        }
    }
}
