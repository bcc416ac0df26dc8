//! Signing what the relay itself writes: notifications and TLS reports.

use std::sync::Arc;

/// Signs a message, which is returned with its signatures before it (RFC 6376). One that cannot be signed is returned as it
/// is.
pub type Seal = Arc<dyn Fn(Vec<u8>) -> Vec<u8> + Send + Sync>;
