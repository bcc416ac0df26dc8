//! `[proxies]`: who speaks for others.

use serde::Deserialize;

use crate::network::Networks;

/// `[proxies]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Proxies {
    /// Networks whose connections begin with the PROXY protocol, version 1 or 2.
    pub protocol: Networks,
    /// Networks whose SMTP clients may say for whom they speak by XCLIENT, and where a message came from by XFORWARD.
    pub xclient: Networks,
}
