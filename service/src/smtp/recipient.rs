//! The recipients of a message.

use hikyaku_mailstore::{Error, MailboxId, Quota};
use hikyaku_smtp_proto::{ForwardPath, Mailbox, RcptParameters};

use crate::Whose;
use crate::service::Service;

/// A mailbox here that a message goes into.
pub(super) struct Local {
    pub(super) address: String,
    pub(super) mailbox: MailboxId,
    pub(super) parameters: RcptParameters,
}

/// Where a message goes.
pub(super) enum Recipient {
    Here(Local),
    Elsewhere(Mailbox, RcptParameters),
}

impl Recipient {
    /// The address, as it was named.
    pub(super) fn address(&self) -> String {
        match self {
            Self::Here(local) => local.address.clone(),
            Self::Elsewhere(mailbox, _) => mailbox.to_string(),
        }
    }
}

/// What a forward-path means.
pub(super) enum Means {
    /// An INBOX here, and what its account may hold still.
    Inbox(Local, Quota),
    /// Somebody at another server.
    Elsewhere(Mailbox),
    Nobody,
}

/// Looks up what a path means.
pub(super) async fn means(service: &Service, path: &ForwardPath) -> Result<Means, Error> {
    let address = match service.directory.whose(path).await? {
        Whose::Account(name) => name,
        Whose::Elsewhere => {
            return Ok(match path.mailbox() {
                Some(mailbox) => Means::Elsewhere(mailbox.clone()),
                None => Means::Nobody,
            });
        }
    };
    let found = service.store.find(&address, "INBOX").await?;
    Ok(found.map_or(Means::Nobody, |(account, inbox)| {
        let mailbox = inbox.id;
        let parameters = RcptParameters::default();
        let local = Local {
            address,
            mailbox,
            parameters,
        };
        Means::Inbox(local, account.quota)
    }))
}

impl Service {
    /// Finds the INBOX that an address means here.
    ///
    /// # Errors
    /// Errors of the store and the directory.
    pub async fn inbox(&self, address: &str) -> Result<Option<MailboxId>, Error> {
        let Ok(mailbox) = Mailbox::parse(address.as_bytes()) else {
            return Ok(None);
        };
        Ok(match means(self, &ForwardPath::Mailbox(mailbox)).await? {
            Means::Inbox(local, _) => Some(local.mailbox),
            _ => None,
        })
    }
}
