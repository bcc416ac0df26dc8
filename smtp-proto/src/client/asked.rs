//! What a message asks of a server, and what of it goes into MAIL and RCPT.

use crate::capabilities::Capabilities;
use crate::client::event::{Envelope, Recipient, SendError};
use crate::client::options::{Bdat, Options};
use crate::parameter::body_type::BodyType;
use crate::parameter::deliver_by::ByMode;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::parameter::valid_since::Otherwise;

/// Returns whether the message goes by BDAT.
pub(super) fn goes_by_bdat(envelope: &Envelope, has: &Capabilities, options: &Options) -> bool {
    has.chunking
        && match options.bdat {
            Bdat::Never => false,
            Bdat::WhenNeeded => envelope.binary,
            Bdat::WhenOffered => true,
        }
}

/// The parameters of MAIL, or why the server cannot take the message.
pub(super) fn mail_parameters(
    envelope: &Envelope,
    has: &Capabilities,
    options: &Options,
) -> Result<MailParameters, SendError> {
    let asked = &envelope.parameters;
    let recipients = &envelope.recipients;
    let paths = recipients.iter().map(|one| &one.forward_path);
    let international = envelope.international
        || envelope.reverse_path.is_international()
        || paths.clone().any(crate::ForwardPath::is_international);
    let rcpt_max = has
        .limits
        .rcpt_max
        .and_then(|most| usize::try_from(most).ok());
    let refused = |one: &Recipient| {
        let valid = one.parameters.valid_since();
        valid.is_some_and(|valid| valid.otherwise == Some(Otherwise::Reject)) && !has.rrvs
    };
    let binary = envelope.binary;
    match () {
        () if recipients.is_empty() => Err(SendError::NoRecipient),
        () if international && !has.smtputf8 => Err(SendError::NeedsSmtpUtf8),
        () if binary && !(has.binary_mime && goes_by_bdat(envelope, has, options)) => {
            Err(SendError::NeedsBinaryMime)
        }
        () if envelope.eight_bit && !has.eight_bit_mime && !options.eight_bit_anyway && !binary => {
            Err(SendError::Needs8BitMime)
        }
        () if asked.requiretls && !has.requiretls => Err(SendError::NeedsRequireTls),
        () if asked.by().is_some_and(|by| by.mode == ByMode::Return)
            && has.deliver_by.is_none() =>
        {
            Err(SendError::NeedsDeliverBy)
        }
        () if asked.hold().is_some() && has.future_release.is_none() => {
            Err(SendError::NeedsFutureRelease)
        }
        () if recipients.iter().any(refused) => Err(SendError::NeedsRrvs),
        () => match (envelope.octets, has.size, rcpt_max) {
            (Some(octets), Some(limit), _) if octets > limit => Err(SendError::TooLarge { limit }),
            (_, _, Some(limit)) if recipients.len() > limit => {
                Err(SendError::TooManyRecipients { limit })
            }
            _ => Ok(chosen(envelope, has, international)),
        },
    }
}

/// What the server has, of what was asked.
fn chosen(envelope: &Envelope, has: &Capabilities, international: bool) -> MailParameters {
    let mut chosen = envelope.parameters.clone();
    chosen.size = envelope.octets.filter(|_| has.announces_size());
    chosen.smtputf8 = international;
    // A message that is international may have an 8-bit body too (RFC 6531 §3.6).
    let eight_bit = (envelope.eight_bit || international) && has.eight_bit_mime;
    chosen.body = match envelope.binary {
        true => Some(BodyType::BinaryMime),
        false => eight_bit.then_some(BodyType::EightBitMime),
    };
    chosen.ret = chosen.ret.filter(|_| has.dsn);
    chosen.envid = chosen.envid.filter(|_| has.dsn);
    chosen.priority = chosen.priority.filter(|_| has.mt_priority);
    if let Some(further) = &mut chosen.further {
        further.by = further.by.filter(|_| has.deliver_by.is_some());
        further.auth = further.auth.take().filter(|_| has.auth);
        further.solicit = further.solicit.take().filter(|_| has.has("NO-SOLICITING"));
    }
    chosen
}

/// The parameters of RCPT: what the server has, of what was asked.
pub(super) fn rcpt_parameters(mut asked: RcptParameters, has: &Capabilities) -> RcptParameters {
    asked.notify = asked.notify.filter(|_| has.dsn);
    asked.orcpt = asked.orcpt.filter(|_| has.dsn);
    if let Some(further) = &mut asked.further {
        further.valid_since = further.valid_since.filter(|_| has.rrvs);
    }
    asked
}
