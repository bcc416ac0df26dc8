//! Opens the store that a configuration names.

use hikyaku_mailstore::{Disk, DiskOptions, Memory, Store};
use std::sync::Arc;

use crate::config::{Config, StoreKind};
use crate::start_error::StartError;
use crate::store_health;

/// Opens the store that a configuration names.
///
/// # Errors
/// One line, with the remedy.
pub fn open_store(config: &Config) -> Result<Arc<dyn Store>, StartError> {
    let name = config.data.display().to_string();
    match config.store.kind {
        StoreKind::Memory => Ok(Arc::new(Memory::new())),
        _ => {
            let mut options = DiskOptions::default();
            options.min_free = config.store.min_free.0;
            let disk = Disk::open_with(config.data.join("store"), &options);
            let disk = disk.map_err(|error| match error {
                hikyaku_mailstore::Error::Conflict(_) => StartError::InUse(name),
                hikyaku_mailstore::Error::NewerVersion { .. } => StartError::Newer(name, error),
                hikyaku_mailstore::Error::Damaged(..) => StartError::Damaged(name, error),
                error => StartError::Store(name, error),
            })?;
            store_health::report(&disk.health());
            Ok(Arc::new(disk))
        }
    }
}
