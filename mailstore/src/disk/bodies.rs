//! Large bodies: files, written and synced by whoever brings them.

use bytes::Bytes;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::sync_directory;
use crate::store::{Staged, Stager};
use crate::{BodyId, BodyRef, Error, Result};

/// Bodies up to here lie in the database, where they cost no flush of their own.
const IN_ROW: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Bodies {
    folder: PathBuf,
    last: AtomicU64,
}

impl Bodies {
    /// `last` is the largest id in the database; files may have larger ones.
    pub(super) fn new(folder: PathBuf, last: u64) -> Result<Self> {
        let this = Self {
            folder,
            last: AtomicU64::new(last),
        };
        let largest = this.files()?.into_iter().map(|id| id.0).max();
        this.last.fetch_max(largest.unwrap_or(0), Ordering::Relaxed);
        Ok(this)
    }

    fn files(&self) -> Result<Vec<BodyId>> {
        let cannot = || Error::io("cannot list the bodies");
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(cannot())? {
            let name = entry.map_err(cannot())?.file_name();
            let number = name
                .to_str()
                .and_then(|name| u64::from_str_radix(name, 16).ok());
            ids.extend(number.map(BodyId));
        }
        Ok(ids)
    }

    fn next(&self) -> BodyId {
        BodyId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn path(&self, id: BodyId) -> PathBuf {
        self.folder.join(format!("{:x}", id.0))
    }

    pub(super) fn remove(&self, id: BodyId) {
        // What cannot be removed now, the next start removes.
        let _ = fs::remove_file(self.path(id));
    }

    pub(super) fn sync_directory(&self) -> Result<()> {
        sync_directory(&self.folder)
    }

    pub(super) fn remove_orphans(&self, known: impl Fn(BodyId) -> Result<bool>) -> Result<()> {
        for id in self.files()? {
            if !known(id)? {
                self.remove(id);
            }
        }
        Ok(())
    }
}

/// Removes the file with the last copy of what was staged, unless a commit kept it.
#[derive(Debug)]
pub(crate) struct Guard {
    bodies: Arc<Bodies>,
    id: BodyId,
    kept: AtomicBool,
}

impl Guard {
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.kept.load(Ordering::Relaxed) {
            self.bodies.remove(self.id);
        }
    }
}

/// The stager of [`Disk`](crate::Disk).
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
    guard: Guard,
}

impl Stager for DiskStager {
    type Part = Part;

    fn small_limit(&self) -> usize {
        IN_ROW
    }

    fn small(&self, octets: Bytes) -> Staged {
        Staged::in_memory(self.0.next(), octets)
    }

    fn begin(&self) -> Result<Part> {
        let id = self.0.next();
        let guard = Guard {
            bodies: Arc::clone(&self.0),
            id,
            kept: AtomicBool::new(false),
        };
        let file = File::create_new(self.0.path(id)).map_err(Error::io("cannot make a file"))?;
        Ok(Part {
            file,
            octets: 0,
            guard,
        })
    }

    fn write(&self, part: &mut Part, octets: &[u8]) -> Result<()> {
        part.octets += octets.len() as u64;
        part.file
            .write_all(octets)
            .map_err(Error::io("cannot write a body"))
    }

    fn finish(&self, part: Part) -> Result<Staged> {
        part.file
            .sync_all()
            .map_err(Error::io("cannot sync a body"))?;
        let body = BodyRef {
            id: part.guard.id,
            octets: part.octets,
        };
        Ok(Staged::elsewhere(body, Arc::new(part.guard)))
    }
}
