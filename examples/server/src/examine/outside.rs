//! Checks of where mail from other servers comes from.

use hikyaku_service::{Arrival, Opinion, Remarks};
use hikyaku_smtp_proto::Reply;
use hikyaku_trust::dns::{Ask, NoResolver};
use hikyaku_trust::{Checked, Checker, Decision, IsRewritten, Policies};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

use super::without::without;
use crate::addresses::AddressBook;
use crate::forwarding::Rewriter;
use crate::network::Networks;

/// Checks mail that nobody has logged in to send.
pub(super) struct Outside {
    pub(super) hostname: String,
    pub(super) dns: Arc<dyn Ask>,
    pub(super) policies: Policies,
    /// Whether what is passed on is sealed.
    pub(super) seals: bool,
    /// Knows the paths that were rewritten here.
    pub(super) srs: Option<Arc<Rewriter>>,
    /// Networks that may send in our name.
    pub(super) exempt: Networks,
    pub(super) addresses: AddressBook,
    /// The checker for the domains that there were.
    pub(super) last: Mutex<Option<(Vec<String>, Arc<Checker>)>>,
}

impl Outside {
    /// The checker for the domains that there are: they change while the server runs.
    pub(super) fn checker(&self) -> Result<Arc<Checker>, NoResolver> {
        let domains = self.addresses.domains();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, checker)) = &*last
            && *known == domains
        {
            return Ok(Arc::clone(checker));
        }
        let mut checker = Checker::new(&self.hostname, &domains, Arc::clone(&self.dns))?;
        checker.policies = self.policies.clone();
        checker.seals = self.seals;
        checker.is_rewritten = self
            .srs
            .clone()
            .map(|srs| -> IsRewritten { Arc::new(move |path| srs.has_written(path)) });
        let checker = Arc::new(checker);
        *last = Some((domains, Arc::clone(&checker)));
        Ok(checker)
    }
}

impl Outside {
    /// Checks a message; `None` for one that comes from inside.
    pub(super) async fn check(&self, arrival: Arrival<'_>) -> Result<Option<Checked>, Reply> {
        let address = arrival
            .client
            .address
            .filter(|_| arrival.client.account.is_none());
        let Some(address) = address.filter(|address| !self.exempt.contains(*address)) else {
            return Ok(None);
        };
        let checker = self.checker().map_err(|error| {
            warn!(%error, "mail cannot be checked");
            Reply::new(451, "4.3.0", "Try again later")
        })?;
        let mail_from = reverse_path(arrival);
        let checked = checker.check(hikyaku_trust::Arrival {
            address,
            helo: &arrival.client.hello,
            mail_from: &mail_from,
            message: arrival.message,
        });
        Ok(Some(checked.await))
    }
}

/// The reverse-path, as an address; empty for the null path.
pub(super) fn reverse_path(arrival: Arrival<'_>) -> String {
    let path = arrival.reverse_path.0.as_ref();
    path.map(ToString::to_string).unwrap_or_default()
}

/// What comes of a message that was checked.
pub(super) fn opinion(arrival: Arrival<'_>, checked: &Checked) -> Opinion {
    let mut remarks = Remarks::default();
    match &checked.decision {
        Decision::Refuse(reply) | Decision::Defer(reply) => {
            info!(id = arrival.id, %reply, "the message failed its checks");
            let (class, subject, detail) = reply.enhanced;
            let enhanced = format!("{class}.{subject}.{detail}");
            let text = reply.text.clone().into_bytes();
            return Opinion::Refuse(Reply::new(reply.code, &enhanced, text));
        }
        Decision::Quarantine { reason } => {
            info!(id = arrival.id, reason, "the message is junk");
            remarks.junk = true;
            remarks.notes.push(format!("junk: {reason}"));
        }
        _ => {}
    }
    remarks.fields = checked.fields.clone().into();
    remarks.message = without(arrival.message, &checked.foreign);
    Opinion::Accept(remarks)
}
