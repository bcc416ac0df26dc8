//! `[auth]`: how users log in.

use serde::Deserialize;

use crate::network::Networks;

/// `[auth]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Auth {
    /// When passwords may be sent.
    pub plaintext: Plaintext,
    /// Networks whose logins are not slowed down: a webmail or a proxy there does so itself.
    pub exempt: Networks,
}

/// When passwords may be sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plaintext {
    /// Under TLS only.
    #[default]
    Tls,
    /// Also in clear, for tests and for a trusted network.
    Always,
}
