//! What the machine refuses by itself: parameters that were not offered, and values past what was.

use crate::parameter::body_type::BodyType;
use crate::parameter::deliver_by::ByMode;
use crate::parameter::hold::Hold;
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::server::options::Options;

/// Code, enhanced status code, text.
pub(super) type Refusal = (u16, &'static str, &'static str);

const UNSUPPORTED: Refusal = (555, "5.5.4", "Parameter not supported");

impl Options {
    /// Why the parameters of MAIL are refused, if they are.
    pub(super) fn refuses_mail(&self, parameters: &MailParameters) -> Option<Refusal> {
        let has_dsn = parameters.ret.is_some() || parameters.envid.is_some();
        let unsupported = !parameters.others().is_empty()
            || (has_dsn && !self.dsn)
            || (parameters.body == Some(BodyType::BinaryMime) && !self.offers_binary())
            || (parameters.smtputf8 && !self.smtputf8)
            || (parameters.requiretls && !(self.requiretls && self.tls))
            || (parameters.priority.is_some() && !self.mt_priority)
            || (parameters.by().is_some() && self.deliver_by.is_none())
            || (parameters.hold().is_some() && self.future_release.is_none())
            || (parameters.solicit().is_some() && self.no_soliciting.is_none())
            || (parameters.auth().is_some() && self.mechanisms().next().is_none());
        let too_early = parameters.by().is_some_and(|by| {
            let least = self.deliver_by.unwrap_or(0);
            by.mode == ByMode::Return && i64::from(by.seconds) < i64::from(least)
        });
        let too_late = match (parameters.hold(), self.future_release) {
            (Some(Hold::For(seconds)), Some(release)) => seconds > release.longest,
            (Some(Hold::Until(seconds)), Some(release)) => seconds > release.latest,
            _ => false,
        };
        let size = parameters.size.unwrap_or(0);
        match () {
            () if unsupported => Some(UNSUPPORTED),
            () if too_early => Some((555, "5.5.4", "Cannot be delivered that soon")),
            () if too_late => Some((501, "5.5.4", "Cannot be held that long")),
            () if size > self.limits.message => Some((552, "5.3.4", "Message too large")),
            () => None,
        }
    }

    /// Why the parameters of RCPT are refused, if they are.
    pub(super) fn refuses_rcpt(&self, parameters: &RcptParameters) -> Option<Refusal> {
        let has_dsn = parameters.notify.is_some() || parameters.orcpt.is_some();
        let unsupported = !parameters.others().is_empty()
            || (has_dsn && !self.dsn)
            || (parameters.valid_since().is_some() && !self.rrvs);
        unsupported.then_some(UNSUPPORTED)
    }
}
