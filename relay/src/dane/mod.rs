//! DANE: a host's keys are in DNS, signed (RFC 6698, RFC 7671, for SMTP RFC 7672).
//!
//! A [`Policy`](policy::Policy) is what a host's TLSA records demand. [`Dns::dane`](crate::dns::Dns::dane) finds it; where
//! there is one, nothing is sent to the host without TLS, and where it [`authenticates`](policy::Policy::authenticates),
//! nothing without a certificate that the records vouch for.
//!
//! ```no_run
//! # async fn example(policy: hikyaku_relay::dane::policy::Policy, stream: tokio::net::TcpStream)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! use hikyaku_relay::dane::{failure::Failure, verifier};
//!
//! let name = policy.server_name()?;
//! let connector = tokio_rustls::TlsConnector::from(verifier::client_config(policy)?);
//! match connector.connect(name, stream).await {
//!     Ok(_stream) => println!("it is the right one"),
//!     Err(error) => match Failure::of(&error) {
//!         Some(failure) => println!("{}: {failure}", failure.result_type()),
//!         None => println!("TLS failed: {error}"),
//!     },
//! }
//! # Ok(()) }
//! ```
//!
//! | rule | file |
//! |---|---|
//! | which records can be used (RFC 7672 §3.1, RFC 6698 §4.1) | `record.rs` |
//! | what they demand together; digest agility (RFC 7671 §9) | `policy.rs` |
//! | DANE-EE and DANE-TA (RFC 7672 §3.1.1, §3.1.2), names (§3.2) | `verifier.rs` |
//! | what failed, in the words of a report (RFC 8460 §4.3) | `failure.rs` |
//!
//! It has no raw public keys (RFC 7250), and no certificates of X.509 version 1 for hosts, which rustls does not read.

pub mod failure;
pub mod policy;
pub mod record;
pub mod verifier;
