//! Questions to DNS: where a domain's mail goes (RFC 5321 §5.1), and which keys its hosts have (RFC 7672 §2).
//!
//! [`Dns`] is the resolver. With [`Dnssec`](crate::Dnssec) on, each answer says how far it can be trusted:
//!
//! | answer (RFC 4035 §4.3) | here |
//! |---|---|
//! | secure | [`Answer::secure`] |
//! | insecure | not [`Answer::secure`] |
//! | bogus | [`LookupError::Bogus`], which is temporary, and never "no such records" |
//! | indeterminate | [`LookupError`] as well (RFC 7672 §2.1.1) |
//!
//! It does not follow DNAME records of signed zones, which the validator does not know: such a name is bogus.
//!
//! | rule | file |
//! |---|---|
//! | what an answer is worth, and which denials are believed | `answer.rs` |
//! | questions, aliases (RFC 7672 §2.1.3), the cache | `resolver.rs` |
//! | addresses of both families (RFC 8305 §4) | `host.rs` |
//! | MX records and what is a host (RFC 5321 §5.1), reference identifiers (RFC 7672 §3.2.2) | `route.rs` |
//! | the TLSA base domain (RFC 7672 §2.2) | `tlsa.rs` |
//! | services of a domain (RFC 2782), who may issue certificates (RFC 8659) | `service.rs` |
//! | names of addresses (RFC 1035 §3.5) | `reverse.rs` |
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use hikyaku_relay::{Dnssec, Options, dns::Dns};
//!
//! let mut options = Options::new("mail.example.org");
//! options.dnssec = Dnssec::Validate { anchors: None };
//! let dns = Dns::new(&options)?;
//! let destination = dns.destination("example.com").await?;
//! for host in destination.hosts.iter().flat_map(|exchange| &exchange.host) {
//!     match dns.dane(&destination, host).await {
//!         Ok(Some(policy)) => println!("{} has keys for {}", host.name, policy.base_domain()),
//!         Ok(None) => println!("{}: TLS if it has it", host.name),
//!         Err(error) => println!("{} is not to be connected to: {error}", host.name),
//!     }
//! }
//! # Ok(()) }
//! ```

mod answer;
mod host;
mod resolver;
mod reverse;
mod route;
mod service;
mod tlsa;

pub use answer::{Answer, LookupError};
pub use host::Host;
pub(crate) use resolver::ascii;
pub use resolver::{Dns, DnsError, Mx};
pub use route::{Destination, Exchange, NoRoute};
pub use service::{Caa, Srv};
