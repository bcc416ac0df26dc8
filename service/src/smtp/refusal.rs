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

/// Whether there is such a recipient; `None` where it is refused for good for another reason, such as relaying. Who cannot
/// be looked up now may be there.
pub(super) fn exists(found: &Result<Recipient, Reply>) -> Option<bool> {
    match found {
        Err(refusal) if !refusal.is_transient() => {
            // Bad destination mailbox addresses (RFC 3463 §3.2).
            let is_nobody = refusal.enhanced().is_some_and(|code| code.subject == 1);
            is_nobody.then_some(false)
        }
        _ => Some(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipient_that_is_refused_may_be_there() {
        for (means, expected) in [
            (Means::Nobody, Some(false)),
            (Means::Loop, None),
            (Means::TooMany, None),
        ] {
            assert_eq!(exists(&known(means, &ReversePath(None))), expected);
        }
        let later = Reply::new(451, "4.3.0", "Try again later");
        assert_eq!(exists(&Err(later)), Some(true));
        let denied = Reply::new(550, "5.7.1", "Relaying denied");
        assert_eq!(exists(&Err(denied)), None);
    }
}
