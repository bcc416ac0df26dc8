//! Opens the store that holds the mail of this device.

use hikyaku_client::{Error, Result, recover};
use hikyaku_mailstore::{Disk, MessageCache, Store, TextIndex};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Rows of mailboxes that are kept in memory for searches.
const ROWS: usize = 250_000;
/// Octets of what they worked out of messages.
const CACHE: usize = 16 << 20;
/// So long one waits for another process to close the store.
const PATIENCE: Duration = Duration::from_secs(20);

/// Opens the store in a folder; waits while another process has it.
///
/// # Errors
/// When it cannot be opened.
pub(crate) async fn open(folder: &Path) -> Result<Arc<dyn Store>> {
    let started = std::time::Instant::now();
    loop {
        match Disk::open(folder.join("mail")) {
            Ok(disk) => {
                recover(&disk).await?;
                return Ok(Arc::new(disk));
            }
            Err(hikyaku_mailstore::Error::Conflict(_)) if started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(hikyaku_mailstore::Error::Conflict(_)) => {
                let why = "another mailclient is at work with this mail: wait until it has ended";
                let busy = std::io::Error::new(std::io::ErrorKind::ResourceBusy, why);
                return Err(Error::File(folder.display().to_string(), busy));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What searches of the store in a folder know: its text index is beside it. Without one they read more.
pub(crate) fn cache(folder: &Path) -> Arc<MessageCache> {
    let cache = MessageCache::new(ROWS, CACHE);
    Arc::new(match TextIndex::open(folder.join("mail/text")) {
        Ok(index) => cache.with_text_index(index),
        Err(_) => cache,
    })
}
