//! MTA-STS: a domain says by HTTPS which hosts take its mail, and that these have TLS with a checked certificate
//! (RFC 8461).
//!
//! The relay does all of it where [`Options::mta_sts`](crate::Options::mta_sts) is set. The grammar is here for others:
//!
//! ```
//! use hikyaku_relay::sts::policy::{Mode, Policy};
//!
//! let text = "version: STSv1\r\nmode: enforce\r\nmx: *.example.net\r\nmax_age: 604800\r\n";
//! let policy = Policy::parse(text.as_bytes())?;
//! assert_eq!(policy.mode(), Mode::Enforce);
//! assert!(policy.allows("mx.example.net") && !policy.allows("a.mx.example.net"));
//! # Ok::<(), hikyaku_relay::sts::policy::PolicyError>(())
//! ```
//!
//! | rule | file |
//! |---|---|
//! | the TXT record (§3.1) | `record.rs` |
//! | policies, and which hosts they allow (§3.2, §4.1) | `policy.rs` |
//! | a policy is fetched: certificate, no redirects, limits (§3.3) | `fetch.rs` |
//! | policies outlive a restart and are kept fresh (§3.3, §10.2) | `cache.rs` |
//! | which policy holds now; failures are not repeated at once (§3.3, §5.1) | `policies.rs` |
//!
//! What a policy means for a host is decided in `routing.rs`: DANE outdoes it (§2).

pub(crate) mod cache;
mod fetch;
pub(crate) mod policies;
pub mod policy;
pub mod record;
pub(crate) mod settings;
