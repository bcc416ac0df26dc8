//! Why a recipient is refused.

use hikyaku_smtp_proto::{Reply, ReversePath};

use super::expand::Means;
use super::recipient::Recipient;

/// The recipient that a path means here for mail from that reverse-path, or why there is none.
pub(super) fn known(means: Means, reverse_path: &ReversePath) -> Result<Recipient, Reply> {
    Err(match means {
        Means::Known(recipient) if recipient.notifications_only && reverse_path.0.is_some() => {
            Reply::new(
                550,
                "5.7.1",
                "Only notifications may be sent to this address",
            )
        }
        Means::Known(recipient) if recipient.has_room() => return Ok(recipient),
        Means::Known(_) => Reply::new(452, "4.2.2", "Mailbox full"),
        Means::Elsewhere(_) => Reply::new(550, "5.7.1", "Relaying denied"),
        Means::Nobody => Reply::new(550, "5.1.1", "No such mailbox here"),
        Means::Loop => Reply::new(554, "5.4.6", "The address leads to nothing but itself"),
        Means::TooMany => Reply::new(554, "5.5.3", "The address stands for too many others"),
    })
}
