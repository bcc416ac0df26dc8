//! What becomes of mail when a filter is away.

use hikyaku_service::{Opinion, Remarks};
use hikyaku_smtp_proto::Reply;
use tracing::warn;

use crate::endpoint::Endpoint;
use crate::fault::Fault;

/// What becomes of a message while its filter is away: it cannot be reached, is silent, or answers what cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums, reason = "it is accepted or not")]
pub enum Away {
    /// It is accepted as if there were no such filter.
    Accept,
    /// Its client is asked to come again: 451 4.3.2.
    #[default]
    Defer,
}

impl Away {
    /// The opinion of a filter that failed; the operator's log says why.
    pub(crate) fn opinion(self, endpoint: &Endpoint, id: &str, fault: &Fault) -> Opinion {
        warn!(%endpoint, id, error = %fault, "a filter is away");
        match self {
            Self::Accept => Opinion::Accept(Remarks::default()),
            Self::Defer => {
                let text = "A filter is away, try again later";
                Opinion::Refuse(Reply::new(451, "4.3.2", text))
            }
        }
    }
}
