//! A resolver over hickory, for programs that have none of their own.

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{TokioResolver, system_conf::read_system_conf};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::answer::{Answer, Ask, Asking, Family, Unanswered};

/// Asks DNS servers, and remembers what they answered. A clone shares the memory.
#[derive(Clone)]
pub struct Resolver(TokioResolver);

/// No resolver could be set up.
#[derive(Debug, thiserror::Error)]
#[error("DNS: {0}")]
pub struct NoResolver(String);

impl NoResolver {
    pub(crate) fn new(error: impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// Sets up a resolver that asks these servers, or those of the system where none is given. `patience` is how long the
    /// answer to one question may take. Nothing is asked yet.
    ///
    /// # Errors
    /// [`NoResolver`], when the system has no usable configuration.
    pub fn new(servers: &[SocketAddr], patience: Duration) -> Result<Self, NoResolver> {
        let (config, mut options) = match servers {
            [] => read_system_conf().map_err(NoResolver::new)?,
            servers => (named(servers), ResolverOpts::default()),
        };
        // A question or its answer may be lost: it is asked twice in that time.
        options.attempts = 1;
        options.timeout = (patience / 2).min(Duration::from_secs(5));
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options)
            .build()
            .map(Self)
            .map_err(NoResolver::new)
    }

    async fn records<T>(
        &self,
        name: Name,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<Answer<T>, Unanswered> {
        match self.0.lookup(name.clone(), kind).await {
            Ok(found) => {
                let records = found.answers().iter();
                let records: Vec<T> = records.filter_map(|one| read(&one.data)).collect();
                Ok(records.into())
            }
            Err(error) if error.is_nx_domain() => Ok(Answer::nothing()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new().into()),
            Err(_) => Err(Unanswered::new(name.to_ascii())),
        }
    }
}

impl Ask for Resolver {
    fn txt<'a>(&'a self, name: &'a str) -> Asking<'a, Vec<u8>> {
        Box::pin(async move {
            let read = |rdata: &RData| match rdata {
                RData::TXT(text) => Some(text.txt_data.concat()),
                _ => None,
            };
            self.records(complete(name)?, RecordType::TXT, read).await
        })
    }

    fn addresses<'a>(&'a self, name: &'a str, family: Family) -> Asking<'a, IpAddr> {
        Box::pin(async move {
            let kind = match family {
                Family::V4 => RecordType::A,
                Family::V6 => RecordType::AAAA,
            };
            let read = |rdata: &RData| match rdata {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            };
            self.records(complete(name)?, kind, read).await
        })
    }

    fn exchanges<'a>(&'a self, name: &'a str) -> Asking<'a, String> {
        Box::pin(async move {
            let read = |rdata: &RData| match rdata {
                RData::MX(mx) => Some((mx.preference, bare(&mx.exchange))),
                _ => None,
            };
            let mut found = self.records(complete(name)?, RecordType::MX, read).await?;
            found.records.sort();
            let hosts = found.records.into_iter().map(|(_, host)| host);
            Ok(Answer {
                records: hosts.collect(),
                exists: found.exists,
            })
        })
    }

    fn names(&self, address: IpAddr) -> Asking<'_, String> {
        Box::pin(async move {
            let read = |rdata: &RData| match rdata {
                RData::PTR(name) => Some(bare(&name.0)),
                _ => None,
            };
            self.records(Name::from(address), RecordType::PTR, read)
                .await
        })
    }
}

/// The name, complete: no search list. Its labels may hold anything.
fn complete(name: &str) -> Result<Name, Unanswered> {
    let labels = name.trim_end_matches('.').split('.').map(str::as_bytes);
    let mut complete = Name::from_labels(labels).map_err(|_| Unanswered::new(name))?;
    complete.set_fqdn(true);
    Ok(complete)
}

/// The name in small letters, without its last dot.
fn bare(name: &Name) -> String {
    let text = name.to_lowercase().to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

fn named(servers: &[SocketAddr]) -> ResolverConfig {
    let servers = servers.iter().map(|address| {
        let at = |mut connection: ConnectionConfig| {
            connection.port = address.port();
            connection
        };
        let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
        NameServerConfig::new(address.ip(), true, connections)
    });
    ResolverConfig::from_parts(None, Vec::new(), servers.collect())
}
