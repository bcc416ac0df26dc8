//! Why a recipient is refused.

use hikyaku_smtp_proto::Reply;

use super::expand::Means;
use super::recipient::Recipient;

/// The recipient that a path means here, or why there is none.
pub(super) fn known(means: Means) -> Result<Recipient, Reply> {
    Err(match means {
        Means::Known(recipient) if recipient.has_room() => return Ok(recipient),
        Means::Known(_) => Reply::new(452, "4.2.2", "Mailbox full"),
        Means::Elsewhere(_) => Reply::new(550, "5.7.1", "Relaying denied"),
        Means::Nobody => Reply::new(550, "5.1.1", "No such mailbox here"),
        Means::Loop => Reply::new(554, "5.4.6", "The address leads to nothing but itself"),
        Means::TooMany => Reply::new(554, "5.5.3", "The address stands for too many others"),
    })
}
