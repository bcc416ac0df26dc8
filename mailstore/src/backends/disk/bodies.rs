//! Large bodies: files, written and synced by whoever brings them.

use bytes::Bytes;
use std::any::Any;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::folder::{Folder, private};
use super::names::sync_directory;
use super::room::Room;
use super::sums::Summing;
use crate::Staged;
use crate::contract::store::Stager;
use crate::{BodyId, BodyRef, Error, Result};

/// Bodies up to here lie in the database, where they cost no flush of their own.
const IN_ROW: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Bodies {
    folder: PathBuf,
    last: AtomicU64,
    room: Room,
    /// Raised when the directory could not be synced: names that were written before may be lost, and
    /// no later sync would say so.
    epoch: AtomicU64,
}

impl Bodies {
    /// Bodies in that folder. Numbers begin behind those of the files.
    pub(super) fn new(folder: PathBuf, room: Room) -> Result<Self> {
        let this = Self {
            folder,
            last: AtomicU64::new(0),
            room,
            epoch: AtomicU64::new(0),
        };
        let largest = this.files()?.into_iter().map(|id| id.0).max();
        this.begin_behind(largest.unwrap_or(0));
        Ok(this)
    }

    /// New numbers begin behind that one, too: the largest in the database.
    pub(super) fn begin_behind(&self, last: u64) {
        self.last.fetch_max(last, Ordering::Relaxed);
    }

    fn files(&self) -> Result<Vec<BodyId>> {
        let cannot = || Error::io("cannot list the bodies");
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(cannot())? {
            let name = entry.map_err(cannot())?.file_name();
            let number = name
                .to_str()
                .and_then(|name| u64::from_str_radix(name, 16).ok());
            // Only what this names itself: `A` and `+a` are no names of a body.
            let id = number.filter(|number| name == file_name(BodyId(*number)).as_str());
            ids.extend(id.map(BodyId));
        }
        Ok(ids)
    }

    fn next(&self) -> BodyId {
        BodyId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn path(&self, id: BodyId) -> PathBuf {
        self.folder.join(file_name(id))
    }

    /// Whether a body was staged here, and not in another store.
    pub(super) fn staged(self: &Arc<Self>, body: &Staged) -> bool {
        let file = body.file.as_deref().map(|file| file as &dyn Any);
        match file.and_then(<dyn Any>::downcast_ref::<Guard>) {
            Some(guard) => Arc::ptr_eq(&guard.bodies, self),
            None => {
                let mark = file.and_then(<dyn Any>::downcast_ref::<Self>);
                mark.is_some_and(|mark| std::ptr::eq(mark, &raw const **self))
            }
        }
    }

    pub(super) fn remove(&self, id: BodyId) {
        // What cannot be removed now is set aside by the next start.
        let _ = fs::remove_file(self.path(id));
    }

    pub(super) fn room(&self) -> &Room {
        &self.room
    }

    pub(super) fn sync_directory(&self) -> Result<()> {
        sync_directory(&self.folder).inspect_err(|_| {
            self.epoch.fetch_add(1, Ordering::Relaxed);
        })
    }

    /// Moves what no row names into the quarantine, and counts it.
    pub(super) fn set_orphans_aside(
        &self,
        folder: &Folder,
        stays: bool,
        known: impl Fn(BodyId) -> Result<bool>,
    ) -> Result<u64> {
        let mut count = 0;
        for id in self.files()? {
            if !known(id)? {
                folder.set_aside(&self.path(id), stays)?;
                count += 1;
            }
        }
        if count > 0 {
            folder.sync()?;
        }
        Ok(count)
    }
}

fn file_name(id: BodyId) -> String {
    format!("{:x}", id.0)
}

/// Removes the file with the last copy of what was staged, unless a commit kept it.
#[derive(Debug)]
pub(crate) struct Guard {
    bodies: Arc<Bodies>,
    id: BodyId,
    kept: AtomicBool,
    epoch: u64,
    /// The checksums of its blocks, once it is whole.
    sums: Vec<u8>,
}

impl Guard {
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Looks whether the file is still there: after a commit kept it, the store removes it when the last row that names it
    /// is long gone.
    ///
    /// # Errors
    /// When it is not.
    pub(super) fn is_there(&self) -> Result<()> {
        if self.kept.load(Ordering::Relaxed) && !self.bodies.path(self.id).exists() {
            return Err(Error::Conflict("the body was removed: stage it again"));
        }
        Ok(())
    }

    pub(super) fn sums(&self) -> &[u8] {
        &self.sums
    }

    /// Whether a sync of the directory makes its name durable, too.
    ///
    /// # Errors
    /// When one has failed since it was begun.
    pub(super) fn check(&self) -> Result<()> {
        match self.epoch == self.bodies.epoch.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Error::io("cannot sync a body")(
                std::io::ErrorKind::Other.into(),
            )),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.bodies.remove(self.id);
        }
    }
}

/// What writes the bodies of [`Disk`](crate::Disk), each into a file of its own; [`Blocking`](crate::Blocking) drives it.
#[derive(Debug)]
pub struct DiskStager(Arc<Bodies>);

impl DiskStager {
    pub(super) fn new(bodies: Arc<Bodies>) -> Self {
        Self(bodies)
    }
}

/// A body file being written.
#[derive(Debug)]
pub struct Part {
    file: File,
    octets: u64,
    sums: Summing,
    guard: Guard,
}

impl Stager for DiskStager {
    type Part = Part;

    fn small_limit(&self) -> usize {
        IN_ROW
    }

    fn small(&self, octets: Bytes) -> Staged {
        let mut staged = Staged::in_memory(self.0.next(), octets);
        // The mark of this store.
        staged.file = Some(Arc::clone(&self.0) as _);
        staged
    }

    fn begin(&self) -> Result<Part> {
        self.0.room.admits(0)?;
        let id = self.0.next();
        let epoch = self.0.epoch.load(Ordering::Relaxed);
        let file = private()
            .create_new(true)
            .open(self.0.path(id))
            .map_err(|error| full_or("cannot make a file", error))?;
        // Not before there is a file of its own that it may remove.
        let guard = Guard {
            bodies: Arc::clone(&self.0),
            id,
            kept: AtomicBool::new(false),
            epoch,
            sums: Vec::new(),
        };
        Ok(Part {
            file,
            octets: 0,
            sums: Summing::default(),
            guard,
        })
    }

    fn write(&self, part: &mut Part, octets: &[u8]) -> Result<()> {
        self.0.room.admits(octets.len() as u64)?;
        part.octets += octets.len() as u64;
        part.sums.add(octets);
        part.file
            .write_all(octets)
            .map_err(|error| full_or("cannot write a body", error))
    }

    fn finish(&self, mut part: Part) -> Result<Staged> {
        part.file
            .sync_all()
            .map_err(|error| full_or("cannot sync a body", error))?;
        part.guard.sums = part.sums.finish();
        let body = BodyRef {
            id: part.guard.id,
            octets: part.octets,
        };
        Ok(Staged::elsewhere(body, Arc::new(part.guard)))
    }
}

/// The kind of an error: a full disk is one of its own.
fn full_or(what: &'static str, error: std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Error::StorageFull,
        _ => Error::io(what)(error),
    }
}
