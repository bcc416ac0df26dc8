//! What a message, and those who publish records for it, may cost.

use std::time::Duration;

/// Limits of one check. Each names the attack it stops.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Terms of SPF records that ask DNS (RFC 7208 §4.6.4): records that include each other without end.
    pub spf_lookups: usize,
    /// Questions of SPF without an answer (RFC 7208 §4.6.4): records that make us ask a victim's servers for random names.
    pub spf_voids: usize,
    /// Hosts of an `mx` term, and names of an address, that are looked up (RFC 7208 §4.6.4).
    pub spf_names: usize,
    /// Questions to DNS for one check: ten `mx` terms of SPF may cost a hundred. Checks do not share them, since a sender
    /// whose SPF uses all up would keep DMARC from asking.
    pub questions: usize,
    /// How long each check may take: servers that answer late. RFC 7208 §4.6.4 wants twenty seconds at least.
    pub patience: Duration,
    /// DKIM signatures that are verified, from the top: a message with a thousand of them costs as many questions and
    /// operations. The others are reported as not verified.
    pub signatures: usize,
    /// ARC sets (RFC 8617 §4.2.1 allows 50): each costs a verification of all headers of those below it.
    pub arc_sets: usize,
    /// Fields in a header section, beyond which signatures are not verified: each field that a signature names is looked
    /// for among all of them, and a message of 50 MiB has millions.
    pub fields: usize,
    /// Octets of a header section, beyond which signatures are not verified: each seal of a chain hashes all sets below it.
    pub header_octets: usize,
    /// Names in a signature's `h=`, as for the fields.
    pub signed_fields: usize,
    /// Bits of an RSA key. It has at least 1024 (RFC 8301 §3.2); a key of 16 384 bits costs a hundred times one of 2048.
    pub rsa_bits: usize,
    /// Domains of authors in a From field. Beyond that the message has no author for DMARC.
    pub authors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            spf_lookups: 10,
            spf_voids: 2,
            spf_names: 10,
            questions: 150,
            patience: Duration::from_secs(20),
            signatures: 10,
            arc_sets: 50,
            fields: 1000,
            header_octets: 1 << 20,
            signed_fields: 200,
            rsa_bits: 4096,
            authors: 8,
        }
    }
}

impl Limits {
    /// Whether signatures in a header section are verified.
    pub(crate) fn admit(&self, fields: usize, octets: usize) -> bool {
        fields <= self.fields && octets <= self.header_octets
    }
}
