//! How MTA-STS is used.

use std::path::PathBuf;

/// How MTA-STS is used: which policies are kept where. See [`Options::mta_sts`](crate::Options::mta_sts).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MtaSts {
    /// The folder in which policies outlive a restart; `None` to have them in memory alone. A domain that was sent to
    /// before is then safe from somebody who hides its policy (RFC 8461 §10.2).
    pub folder: Option<PathBuf>,
    /// Policies that are kept, at most. Those that were not used for longest make room.
    pub policies: usize,
    /// The port of policy hosts: 443, but in tests.
    pub port: u16,
    /// Whether policy hosts may have addresses of a private network, or of this machine. A stranger's DNS would
    /// otherwise decide what is connected to there.
    pub may_ask_private: bool,
}

impl MtaSts {
    /// Creates the defaults: 10 000 policies, in that folder.
    pub fn new(folder: impl Into<Option<PathBuf>>) -> Self {
        Self {
            folder: folder.into(),
            policies: 10_000,
            port: 443,
            may_ask_private: false,
        }
    }
}
