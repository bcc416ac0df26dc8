//! One sync of one account, whatever its type.

use bytes::Bytes;

use crate::{Account, Dial, Error, Kind, Local, Message, Progress, Result, imap, pop};

/// What a sync came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that are new here.
    pub new: usize,
    /// Whole messages that were brought.
    pub bodies: usize,
    /// Messages whose flags changed.
    pub changed: usize,
    /// Messages that are no more on the server.
    pub gone: usize,
    /// POP: messages that were deleted from the server.
    pub deleted: usize,
    /// What was done offline and is done on the server now.
    pub replayed: usize,
    /// IMAP: octets used and allowed, where the server has a limit.
    pub quota: Option<(u64, u64)>,
    /// What was not done, and why.
    pub warnings: Vec<String>,
}

/// Brings an account up to date.
///
/// # Errors
/// The network's, the server's, the store's. What was brought before stays.
pub async fn sync(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    progress: &Progress,
) -> Result<Report> {
    let password = account.password.get(&account.address).await?;
    match account.kind {
        Kind::Pop => pop::sync(dial, local, account, &password, progress).await,
        Kind::Imap => imap::sync(dial, local, account, &password, progress).await,
    }
}

/// Brings all of a message that is in a list only so far, and keeps it.
///
/// # Errors
/// The network's, the server's; when it is not there any more.
pub async fn fetch_whole(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    message: &Message,
) -> Result<Bytes> {
    let password = account.password.get(&account.address).await?;
    let session = imap::Session::open(dial, &account.incoming, account.login(), password);
    let mut session = session.await.map_err(|error| match error {
        Error::Network(why) => {
            Error::Network(format!("{} is not on this device yet: {why}", message.name))
        }
        other => other,
    })?;
    let whole = imap::fetch_whole(&mut session, local, message).await;
    session.log_out().await;
    whole
}
