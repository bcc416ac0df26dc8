//! What root sets up is the server's user's: the keys altogether, the configuration to read.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown, fchown};
use std::path::{Path, PathBuf};

/// Gives the data folder, with the keys that it holds, to a user and a group. An error names the path.
pub(super) fn keys(data: &Path, (user, group): (u32, u32)) -> Result<(), (PathBuf, io::Error)> {
    let give = |path: &Path| {
        chown(path, Some(user), Some(group)).map_err(|error| (path.to_owned(), error))
    };
    give(data)?;
    let folder = data.join("dkim");
    give(&folder)?;
    let entries = std::fs::read_dir(&folder).map_err(|error| (folder.clone(), error))?;
    entries.flatten().try_for_each(|entry| give(&entry.path()))
}

/// Lets a group read the configuration, and nobody but root change it.
pub(super) fn configuration(file: &File, group: u32) -> io::Result<()> {
    fchown(file, None, Some(group))?;
    file.set_permissions(Permissions::from_mode(0o640))
}
