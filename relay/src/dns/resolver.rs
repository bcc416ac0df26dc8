//! The resolver: one question after the other, until the aliases end (RFC 1034 §5.3.3, RFC 7672 §2.1.3).

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverOpts};
use hickory_resolver::net::dnssec::DnssecDnsHandle;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle as _, FirstAnswer as _, RetryDnsHandle};
use hickory_resolver::net::{DnsError as Refusal, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Message, Query};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, NameServerPool, PoolContext, ResponseCache, TlsConfig, TtlConfig};
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

use super::answer::{Answer, LookupError, Reply, salvage, text, trust};
use crate::options::{Dnssec, Family, Options};

/// Questions that may be under way at a time. Those to silent servers take long, and others are not to wait for them.
const QUESTIONS: usize = 4096;
/// Sets of records whose validation is remembered: those of some thousand domains, in a few megabytes.
const VALIDATED: usize = 16_384;
/// Aliases that are followed for one answer. A circle of them ends here.
const ALIASES: usize = 10;

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

#[derive(Clone)]
enum Handle {
    Plain(Pool),
    Validating(Box<DnssecDnsHandle<Pool>>),
}

/// Asks DNS. A clone shares the cache.
#[derive(Clone)]
pub struct Dns {
    handle: Handle,
    cache: ResponseCache,
    hosts: Arc<Hosts>,
    flags: DnsRequestOptions,
    pub(super) dnssec: Dnssec,
    /// How long the answer to one question may take.
    patience: Duration,
    pub(super) first_family: Family,
    pub(super) port: u16,
    pub(super) smarthost: Option<String>,
}

/// DNS cannot be asked: no resolver could be set up from the options.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DnsError(String);

/// An MX record (RFC 1035 §3.3.9).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mx {
    /// Hosts with a lower one are tried first.
    pub preference: u16,
    /// The host, in small letters and without its last dot. Empty when the domain takes no mail (RFC 7505).
    pub exchange: String,
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns")
            .field("dnssec", &self.dnssec)
            .field("patience", &self.patience)
            .field("smarthost", &self.smarthost)
            .finish_non_exhaustive()
    }
}

impl Dns {
    /// Sets up a resolver. Nothing is asked yet.
    ///
    /// # Errors
    /// [`DnsError`], when a DNS server has no address, the trust anchors cannot be read, or [`Dnssec::TrustAd`] comes
    /// without a named server.
    pub fn new(relay: &Options) -> Result<Self, DnsError> {
        let (servers, mut options) = servers(&relay.dns)?;
        let patience = relay.dns_timeout;
        options.max_active_requests = QUESTIONS;
        // A question or its answer may be lost: it is asked twice in that time.
        options.attempts = 1;
        options.timeout = (patience / 2).min(Duration::from_secs(5));
        let mut flags = DnsRequestOptions::default();
        flags.recursion_desired = options.recursion_desired;
        flags.case_randomization = options.case_randomization;
        flags.edns_payload_len = options.edns_payload_len;
        let validates = matches!(relay.dnssec, Dnssec::Validate { .. });
        flags.use_edns = options.edns0 || validates;
        flags.edns_set_dnssec_ok = validates;
        let hosts = match options.use_hosts_file {
            ResolveHosts::Never => Hosts::default(),
            _ => Hosts::from_system().unwrap_or_default(),
        };
        let cache = ResponseCache::new(options.cache_size, TtlConfig::from_opts(&options));
        let attempts = options.attempts;
        let tls = TlsConfig::new().map_err(|error| DnsError(error.to_string()))?;
        let context = Arc::new(PoolContext::new(options, tls));
        let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
        let pool = RetryDnsHandle::new(pool, attempts);
        let handle = match &relay.dnssec {
            Dnssec::Off => Handle::Plain(pool),
            Dnssec::TrustAd if relay.dns.is_empty() => {
                let why = "the AD bit is to be trusted, and no DNS server is named";
                return Err(DnsError(why.to_owned()));
            }
            Dnssec::TrustAd => Handle::Plain(pool),
            Dnssec::Validate { anchors } => {
                let anchors = match anchors {
                    Some(lines) if lines.trim().is_empty() => {
                        return Err(DnsError("trust anchors: there are none".to_owned()));
                    }
                    Some(lines) => TrustAnchors::from_str(lines)
                        .map_err(|error| DnsError(format!("trust anchors: {error}")))?,
                    None => TrustAnchors::default(),
                };
                let handle = DnssecDnsHandle::with_trust_anchor(pool, Arc::new(anchors));
                Handle::Validating(Box::new(handle.validation_cache_size(VALIDATED)))
            }
        };
        Ok(Self {
            handle,
            cache,
            hosts: Arc::new(hosts),
            flags,
            dnssec: relay.dnssec.clone(),
            patience,
            first_family: relay.first_family,
            port: relay.port,
            smarthost: relay.smarthost.clone(),
        })
    }

    /// Asks DNS alone, and not the hosts file of this machine: what others see.
    #[must_use]
    pub fn without_hosts_file(mut self) -> Self {
        self.hosts = Arc::default();
        self
    }

    /// Looks up a domain's mail exchangers, in no order.
    ///
    /// # Errors
    /// [`LookupError`]. An empty answer is no error.
    pub async fn mx(&self, domain: &str) -> Result<Answer<Mx>, LookupError> {
        let answer = self.lookup(&name(domain)?, RecordType::MX).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                exchange: text(&mx.exchange),
            }),
            _ => None,
        }))
    }

    /// Looks up what a name is an alias of. The alias is not followed: the answer's name is `host`.
    ///
    /// # Errors
    /// As [`mx`](Self::mx).
    pub async fn cname(&self, host: &str) -> Result<Answer<String>, LookupError> {
        let answer = self.lookup(&name(host)?, RecordType::CNAME).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::CNAME(target) => Some(text(&target.0)),
            _ => None,
        }))
    }

    /// Looks up texts. The strings of each record are joined.
    ///
    /// # Errors
    /// As [`mx`](Self::mx).
    pub async fn txt(&self, host: &str) -> Result<Answer<Vec<u8>>, LookupError> {
        let answer = self.lookup(&name(host)?, RecordType::TXT).await?;
        Ok(answer.filter_map(|rdata| match rdata {
            RData::TXT(text) => Some(text.txt_data.concat()),
            _ => None,
        }))
    }

    /// Looks up records of one kind. Takes as long as one question may, with all aliases.
    pub(super) async fn lookup(
        &self,
        name: &Name,
        kind: RecordType,
    ) -> Result<Answer<RData>, LookupError> {
        let answer = timeout(self.patience, self.follow(name, kind)).await;
        answer.unwrap_or_else(|_| Err(LookupError::silent(name)))
    }

    async fn follow(&self, asked: &Name, kind: RecordType) -> Result<Answer<RData>, LookupError> {
        let (mut name, mut aliases, mut is_secure) = (asked.clone(), 0, true);
        loop {
            let reply = self.ask(&name, kind).await?;
            let before = name.clone();
            let records = loop {
                let of = |kind| {
                    let all = reply.answers.iter();
                    let name = name.clone();
                    all.filter(move |one| one.record_type() == kind && one.name == name)
                };
                let records: Vec<&Record> = of(kind).collect();
                let alias = of(RecordType::CNAME).find_map(|one| match &one.data {
                    RData::CNAME(target) => Some((one, target.0.clone())),
                    _ => None,
                });
                let Some((alias, target)) = alias.filter(|_| records.is_empty()) else {
                    break records;
                };
                is_secure &= trust(asked, [alias])?;
                aliases += 1;
                if aliases > ALIASES {
                    return Err(LookupError::aliases(asked));
                }
                name = target;
            };
            let exists = if records.is_empty() {
                if name != before {
                    // RFC 7672 §2.1.3: an answer that ends with an alias is continued with a question for its target.
                    continue;
                }
                is_secure &= reply.denial_is_secure;
                reply.exists
            } else {
                is_secure &= trust(asked, records.iter().copied())?;
                true
            };
            return Ok(Answer {
                records: records.into_iter().map(|one| one.data.clone()).collect(),
                name: text(&name),
                is_alias: aliases > 0,
                exists,
                secure: is_secure,
            });
        }
    }

    /// Asks one question, unless the answer is known.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Reply, LookupError> {
        let query = Query::query(name.clone(), kind);
        let now = Instant::now();
        if let Some(known) = self.here(&query) {
            return Reply::read(&query, Ok(known));
        }
        if let Some(known) = self.cache.get(&query, now) {
            return Reply::read(&query, known);
        }
        let mut answer = self.send(&query).await;
        if let (Handle::Validating(_), Err(NetError::Dns(Refusal::NoRecordsFound(none)))) =
            (&self.handle, &mut answer)
        {
            // The SOA that says how long a denial may be kept need not be signed where the proof is.
            none.negative_ttl = None;
        }
        let reply = Reply::read(&query, answer.clone())?;
        let is_bogus = reply.answers.iter().any(|one| one.proof == Proof::Bogus);
        if !is_bogus {
            self.cache.insert(query, answer, now);
        }
        Ok(reply)
    }

    /// What is known without a server: the hosts file, and localhost (RFC 6761 §6.3).
    fn here(&self, query: &Query) -> Option<Message> {
        let mut message = Message::query();
        if let Some(known) = self.hosts.lookup_static_host(query) {
            message.add_answers(known.answers().iter().cloned());
            return Some(message);
        }
        if !query.name().is_localhost() {
            return None;
        }
        let rdata = match query.query_type() {
            RecordType::A => RData::A(std::net::Ipv4Addr::LOCALHOST.into()),
            RecordType::AAAA => RData::AAAA(std::net::Ipv6Addr::LOCALHOST.into()),
            _ => return Some(message),
        };
        message.add_answer(Record::from_rdata(query.name().clone(), 0, rdata));
        Some(message)
    }

    async fn send(&self, query: &Query) -> Result<Message, NetError> {
        let mut request = DnsRequest::from_query(query.clone(), self.flags);
        let response = match &self.handle {
            Handle::Validating(handle) => match handle.send(request).first_answer().await {
                Err(NetError::Dns(Refusal::Nsec {
                    response, proof, ..
                })) => {
                    let message = salvage(query, *response, proof);
                    let message = message.ok_or(NetError::Dns(Refusal::DnssecBogus))?;
                    DnsResponse::from_message(message)?
                }
                other => other?,
            },
            Handle::Plain(handle) => {
                let trusts_ad = self.dnssec == Dnssec::TrustAd;
                // RFC 6840 §5.7: asks for the bit, and for no signatures.
                request.metadata.authentic_data = trusts_ad;
                let mut response = handle.send(request).first_answer().await?;
                let is_authentic = trusts_ad && response.metadata.authentic_data;
                for record in &mut response.answers {
                    record.proof = match is_authentic {
                        true => Proof::Secure,
                        false => Proof::Indeterminate,
                    };
                }
                response
            }
        };
        Ok(Refusal::from_response(response)?.into_message())
    }
}

/// The name, complete: no search list.
pub(super) fn name(text: &str) -> Result<Name, LookupError> {
    let not_a_name = || LookupError::NotAName {
        name: text.to_owned(),
    };
    let mut name = Name::from_utf8(text.trim_end_matches('.')).map_err(|_| not_a_name())?;
    if name.is_root() {
        return Err(not_a_name());
    }
    name.set_fqdn(true);
    Ok(name)
}

/// A domain as DNS has it, in small letters and in ASCII; `None` when it is an address or no name of a host.
pub(crate) fn ascii(domain: &str) -> Option<String> {
    let name = text(&name(domain).ok()?);
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    let is_name = name.bytes().all(is_plain) && name.parse::<std::net::IpAddr>().is_err();
    (is_name && !name.starts_with('.') && name.len() <= 253).then_some(name)
}

fn servers(named: &[String]) -> Result<(Vec<NameServerConfig>, ResolverOpts), DnsError> {
    if named.is_empty() {
        return Ok(match read_system_conf() {
            Ok((config, options)) => (config.name_servers().to_vec(), options),
            // A machine without resolv.conf has mail of its own domains still.
            Err(_) => (Vec::new(), ResolverOpts::default()),
        });
    }
    let mut servers = Vec::new();
    for name in named {
        let addresses = name
            .to_socket_addrs()
            .map_err(|error| DnsError(format!("\"{name}\": {error}")))?;
        for address in addresses {
            let at = |mut connection: ConnectionConfig| {
                connection.port = address.port();
                connection
            };
            let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
            servers.push(NameServerConfig::new(address.ip(), true, connections));
        }
    }
    Ok((servers, ResolverOpts::default()))
}
