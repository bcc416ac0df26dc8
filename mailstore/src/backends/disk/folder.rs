//! The store's folder: who may read it, who has it open, whether it was closed, and what is set aside.
//!
//! ```text
//! store.sqlite     the database; -wal and -shm beside it are SQLite's
//! bodies/          large bodies
//! quarantine/      what no row names, and logs that were not whole
//! lock             held by the process that has the store open
//! running          there while the store is open
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::log;
use super::names::{named, sync_directory};
use crate::{Error, Finding, Result};

/// What was set aside is removed after this time, if the store was whole when it was.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Begins the name of what was set aside while the store was not known to be whole: it stays.
const STAYS: &str = "keep-";

/// What the note that the store is open says while it is being closed.
const CLOSING: &[u8] = b"closing\n";

/// A store's folder, locked by this process until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// The folder itself is locked, since its lock cannot be removed while a store is in it. The file
    /// is what older versions look at.
    _locks: (File, File),
}

/// How the store was left.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// It was not closed.
    pub(super) unclean: bool,
    /// Its database is gone.
    pub(super) gone: bool,
}

impl Folder {
    /// Makes the folder if there is none, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let cannot = || Error::io("cannot make the store's directory");
        make_folder(path).map_err(cannot())?;
        let folder = File::open(path).map_err(cannot())?;
        lock(&folder)?;
        let file = private()
            .truncate(false)
            .open(path.join("lock"))
            .map_err(Error::io("cannot open the lock file"))?;
        lock(&file)?;
        make_folder(&path.join("bodies")).map_err(cannot())?;
        Ok(Self {
            path: path.to_path_buf(),
            _locks: (folder, file),
        })
    }

    pub(super) fn database(&self) -> PathBuf {
        self.path.join("store.sqlite")
    }

    pub(super) fn bodies(&self) -> PathBuf {
        self.path.join("bodies")
    }

    pub(super) fn quarantine(&self) -> PathBuf {
        self.path.join("quarantine")
    }

    fn running(&self) -> PathBuf {
        self.path.join("running")
    }

    /// How the store was left, before anything of it is touched; and the database's file, readable for
    /// its owner alone, if there is none yet.
    pub(super) fn look(&self, findings: &mut Vec<Finding>) -> Result<Left> {
        let cannot = || Error::io("cannot look at the store");
        let database = self.database();
        let there = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() > 0);
        let log = log::path(&database);
        let lock = self.path.join("lock");
        let left = Left {
            unclean: self.running().exists() || there(&log),
            gone: !there(&database)
                && (there(&log)
                    || there(&lock)
                    || fs::read_dir(self.bodies())
                        .map_err(cannot())?
                        .next()
                        .is_some()),
        };
        private()
            .truncate(false)
            .open(&database)
            .map_err(cannot())?;
        if left.gone && log.exists() {
            // Without its database SQLite would remove it.
            self.keep(&log, true)?;
        } else if let Some(found) = log::Log::read(&database).map_err(cannot())?
            && found.beyond > 0
        {
            let copy = self.keep(&log, found.lost)?;
            let records = found.beyond;
            findings.push(match found.lost {
                true => Finding::LogDamaged { records, copy },
                false => Finding::LogCut { records, copy },
            });
        }
        if left.unclean {
            findings.push(Finding::Unclean);
            // Who closes a store removes its log, after what the log held is in the database.
            let note = fs::read(self.running());
            if !left.gone && !log.exists() && note.is_ok_and(|note| note != CLOSING) {
                findings.push(Finding::LogGone);
            }
        }
        self.permissions(findings);
        Ok(left)
    }

    /// What others than the owner may read.
    fn permissions(&self, findings: &mut Vec<Finding>) {
        let database = self.database();
        for (path, wanted) in [
            (self.path.clone(), 0o700),
            (self.bodies(), 0o700),
            (self.quarantine(), 0o700),
            (log::path(&database), 0o600),
            (named(&database, "-shm"), 0o600),
            (database, 0o600),
        ] {
            let mode = fs::metadata(&path).map(|found| found.permissions().mode() & 0o777);
            if let Ok(mode) = mode
                && mode & 0o077 != 0
            {
                findings.push(Finding::Permissions { path, mode, wanted });
            }
        }
    }

    /// Notes that the store is open, durably: a start that finds the note knows that it was not closed.
    pub(super) fn opened(&self) -> Result<()> {
        let cannot = || Error::io("cannot note that the store is open");
        let running = private().truncate(true).open(self.running());
        running.and_then(|file| file.sync_all()).map_err(cannot())?;
        // That there is a database stands in the lock file: who finds none knows that it is gone.
        let lock = self.path.join("lock");
        if fs::metadata(&lock).map_err(cannot())?.len() == 0 {
            let file = private().truncate(true).open(&lock).map_err(cannot())?;
            (&file).write_all(b"store.sqlite\n").map_err(cannot())?;
            file.sync_all().map_err(cannot())?;
        }
        // The names in the folder are as safe as what will lie in them.
        sync_directory(&self.path)
    }

    /// Notes, durably, that the log may go.
    pub(super) fn closing(&self) {
        let note = private().truncate(true).open(self.running());
        let _ = note.and_then(|mut note| {
            note.write_all(CLOSING)?;
            note.sync_all()
        });
    }

    /// Notes that the store was closed.
    pub(super) fn closed(&self) {
        let _ = fs::remove_file(self.running());
    }

    /// Copies a file into the quarantine.
    fn keep(&self, file: &Path, stays: bool) -> Result<PathBuf> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let to = self.place(&name, stays)?;
        fs::copy(file, &to)
            .and_then(|_| File::open(&to)?.sync_all())
            .map_err(Error::io("cannot keep the log"))?;
        // SQLite may remove the log next.
        sync_directory(&self.quarantine())?;
        sync_directory(&self.path)?;
        Ok(to)
    }

    /// Moves a file into the quarantine.
    pub(super) fn set_aside(&self, file: &Path, stays: bool) -> Result<()> {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // What is set aside is as old as its stay there. Where that cannot be noted it looks older, and stays.
        let dated = File::options()
            .write(true)
            .open(file)
            .and_then(|file| file.set_modified(SystemTime::now()));
        let to = self.place(&name, stays || dated.is_err())?;
        fs::rename(file, to).map_err(Error::io("cannot set a body aside"))
    }

    /// A name in the quarantine that nothing has.
    fn place(&self, name: &str, stays: bool) -> Result<PathBuf> {
        let folder = self.quarantine();
        make_folder(&folder).map_err(Error::io("cannot make the quarantine"))?;
        let seconds = crate::unix_now();
        let stays = if stays { STAYS } else { "" };
        let first = folder.join(format!("{stays}{seconds}-{name}"));
        let others = (1_u64..).map(|n| folder.join(format!("{stays}{seconds}-{name}.{n}")));
        let mut places = std::iter::once(first).chain(others);
        let free = places.find(|place| !place.exists());
        free.ok_or(Error::Limit("names in the quarantine"))
    }

    /// Removes what was set aside long ago while the store was whole.
    pub(super) fn tidy(&self) {
        let Ok(entries) = fs::read_dir(self.quarantine()) else {
            return;
        };
        for entry in entries.flatten() {
            let since = entry.metadata().and_then(|found| found.modified());
            let old = since.is_ok_and(|since| since.elapsed().is_ok_and(|age| age > KEPT));
            if old && !entry.file_name().to_string_lossy().starts_with(STAYS) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Makes renames durable.
    pub(super) fn sync(&self) -> Result<()> {
        if self.quarantine().exists() {
            sync_directory(&self.quarantine())?;
        }
        sync_directory(&self.bodies())
    }
}

fn lock(file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::Conflict("another process has the store open"))
        }
        Err(fs::TryLockError::Error(error)) => Err(Error::io("cannot lock the store")(error)),
    }
}

/// Makes a folder that its owner alone can enter, whatever the umask; one that is there stays as it is.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// A file that its owner alone can read.
pub(super) fn private() -> OpenOptions {
    let mut options = File::options();
    options.create(true).write(true).mode(0o600);
    options
}
