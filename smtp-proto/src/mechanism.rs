//! Names of SASL mechanisms (RFC 4422 §3.1).

use crate::octets::{self, MECHANISM};

/// `sasl-mech`; small letters are accepted.
pub(crate) fn is_mechanism(name: &[u8]) -> bool {
    (1..=20).contains(&name.len()) && octets::all(name, MECHANISM)
}
