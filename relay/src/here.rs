//! Which mail ends here.

use hikyaku_mailstore::{BoxFuture, MailboxId, Result};

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
}
