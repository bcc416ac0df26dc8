//! Results, in the words of Authentication-Results (RFC 8601 §2.7).

use serde::{Deserialize, Serialize};
use std::fmt;

/// The result of a check. Which of them a check has is in its RFC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Outcome {
    /// What was checked holds.
    Pass,
    /// It does not hold.
    Fail,
    /// SPF: it probably does not hold (RFC 7208 §2.6.5).
    SoftFail,
    /// Nothing is said about it, or it could not be processed.
    Neutral,
    /// It holds, and is not acceptable here (RFC 8601 §2.7.1): an algorithm that is too weak.
    Policy,
    /// There is nothing to check.
    None,
    /// It could not be found out now.
    TempError,
    /// It cannot be found out: what was published, or sent, is wrong.
    PermError,
}

impl Outcome {
    /// Returns the word for a header field.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::Policy => "policy",
            Self::None => "none",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
