//! The sync of an account of either type.

use bytes::Bytes;

use crate::{Account, Dial, Error, Kind, Local, Message, Progress, Result, imap, pop};

/// The result of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The number of messages that are new here.
    pub new: usize,
    /// The number of whole messages fetched.
    pub bodies: usize,
    /// The number of messages whose flags changed.
    pub changed: usize,
    /// The number of messages no longer on the server.
    pub gone: usize,
    /// POP: the number of messages deleted from the server.
    pub deleted: usize,
    /// The number of offline changes made on the server.
    pub replayed: usize,
    /// IMAP: octets used and allowed, if the server has a quota.
    pub quota: Option<(u64, u64)>,
    /// What could not be done, and why.
    pub warnings: Vec<String>,
}

/// Synchronizes an account: fetches new mail and uploads changes made offline.
///
/// # Errors
/// Errors of the network, the server and the store. What was fetched before the error stays.
pub async fn sync(
    dial: &dyn Dial,
    local: &Local,
    account: &Account,
    progress: &dyn Progress,
) -> Result<Report> {
    let password = account.password.get(&account.address).await?;
    match account.kind {
        Kind::Pop => pop::sync(dial, local, account, &password, progress).await,
        Kind::Imap => imap::sync(dial, local, account, &password, progress).await,
    }
}

/// Fetches the whole of a message that so far is only listed, and stores it.
///
/// # Errors
/// Errors of the network and the server; when the message no longer exists.
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
