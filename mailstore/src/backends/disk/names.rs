//! Names of files, and how they become durable.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file beside another, such as the log beside the database.
pub(super) fn named(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("cannot sync a directory"))
}
