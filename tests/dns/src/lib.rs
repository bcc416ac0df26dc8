//! A DNS server for tests. It answers as a resolver would that knows all zones of the world: those which the test gives
//! it, below a signed root.
//!
//! ```
//! use hikyaku_test_dns::{DnsServer, Zone};
//!
//! let dns = DnsServer::start([
//!     Zone::new("signed.test").signed().mx(10, "mx").a("mx", "127.0.0.2"),
//!     Zone::new("plain.test").mx(10, "mx.signed.test."),
//! ]);
//! println!("ask {}, trust {}", dns.address(), dns.trust_anchor());
//! dns.change("plain.test", |zone| zone.txt("_mta-sts", "v=STSv1; id=2"));
//! assert_eq!(dns.questions(), 0);
//! ```
//!
//! A zone is unsigned ([`Zone::new`]), [signed](Zone::signed) or [bogus](Zone::bogus), which is signed with signatures
//! that do not hold. The root has the keys' digests of signed and bogus zones, and proves with NSEC that unsigned ones
//! have none, so that a validating resolver finds the former secure and the latter insecure. Names of a zone are relative
//! to it, `@` is the zone itself, and a name that ends in a dot is complete.
//!
//! | file | what lies there |
//! |---|---|
//! | `zone.rs` | what a test sets up: zones, records, [faults](Fault) |
//! | `signing.rs` | keys, signatures, the digests in the zone above (RFC 4034) |
//! | `world.rs` | all zones, and the answer to a question (RFC 1034 §4.3.2, RFC 4035 §3.1) |
//! | `server.rs` | UDP and TCP on one port, a thread that ends with the server |
//! | `port.rs` | [ports](free_port) for servers that need theirs beforehand |
//!
//! It has no wildcards, no NSEC3 and no DNAME.

#![forbid(unsafe_code)]

mod port;
mod server;
mod signing;
mod world;
mod zone;

pub use port::free_port;
pub use server::DnsServer;
pub use zone::{Fault, Signing, Zone};

/// Re-exported for [`DnsServer::asked`] and [`Zone::remove`].
pub use hickory_proto::rr::RecordType;
