//! Which mail ends here.

use hikyaku_mailstore::{BoxFuture, MailboxId, Result};
use hikyaku_smtp_proto::Mailbox;

/// The server's own domains and mailboxes, for mail that waits for them and for notifications.
///
/// ```
/// use hikyaku_mailstore::{BoxFuture, MailboxId, Memory, Result, Store};
/// use hikyaku_relay::Here;
///
/// struct Own(Memory);
///
/// impl Here for Own {
///     fn is_here(&self, domain: &str) -> bool {
///         domain.eq_ignore_ascii_case("example.org")
///     }
///
///     fn inbox<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
///         Box::pin(async move {
///             let found = self.0.find(address, "INBOX").await?;
///             Ok(found.map(|(_, inbox)| inbox.id))
///         })
///     }
/// }
/// ```
pub trait Here: Send + Sync {
    /// Returns whether mail to that domain ends here.
    fn is_here(&self, domain: &str) -> bool;

    /// Finds the mailbox that mail to an address goes into; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be found out now: it is tried again.
    fn inbox<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>>;

    /// Finds everywhere that a notification for an address of this server goes: an alias has several places, and an
    /// account may be forwarded. By default that is its mailbox.
    ///
    /// # Errors
    /// When it cannot be found out now: it is tried again.
    fn places<'a>(&'a self, address: &'a str) -> BoxFuture<'a, Result<Places>> {
        Box::pin(async move {
            let inbox = self.inbox(address).await?;
            let inboxes = inbox.map(|inbox| (address.to_owned(), inbox));
            Ok(Places::new(inboxes, []))
        })
    }
}

/// Where mail to an address of this server goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Places {
    /// Mailboxes here, each with the address that [`Here::inbox`] finds it by.
    pub inboxes: Vec<(String, MailboxId)>,
    /// Addresses at other servers.
    pub elsewhere: Vec<Mailbox>,
}

impl Places {
    /// Creates them from mailboxes here and addresses elsewhere.
    pub fn new(
        inboxes: impl IntoIterator<Item = (String, MailboxId)>,
        elsewhere: impl IntoIterator<Item = Mailbox>,
    ) -> Self {
        Self {
            inboxes: inboxes.into_iter().collect(),
            elsewhere: elsewhere.into_iter().collect(),
        }
    }
}
