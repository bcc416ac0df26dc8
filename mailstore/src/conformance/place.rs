//! Where the stores under test lie.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Error, Result, Store};

/// A backend under test.
pub trait Subject: Send + Sync {
    /// Makes a new place for a store, which is empty. Each case has one of its own.
    fn place(&self) -> Box<dyn Place>;
}

/// Where one store lies: a directory, a database, the memory of this process.
pub trait Place: Send + Sync {
    /// Opens the store. The first time it is empty; each later time, with the former one dropped, it holds
    /// what was committed.
    ///
    /// # Errors
    /// Those of the backend. A place that cannot be opened a second time answers an error then, which is right
    /// for a store that does not claim [`durable`](crate::Capabilities::durable).
    fn open(&self) -> Result<Arc<dyn Store>>;

    /// Makes a place of what a new process would find if this one were killed now, while the store is
    /// open: for a store in a directory, a copy of the files. `None` when it cannot be had; the cases of
    /// a kill are then left out, and the report says so.
    fn after_kill(&self) -> Option<Box<dyn Place>> {
        None
    }

    /// Makes the grace time of bodies pass, and has the store tidy up. `false` when it cannot; the
    /// cases that need it are then left out, and the report says so.
    fn pass_grace(&self) -> bool {
        false
    }
}

/// A backend that cannot be opened again, made by a closure.
///
/// ```
/// use hikyaku_mailstore::{Memory, Store, conformance::{Suite, Volatile}};
/// use std::sync::Arc;
/// let subject = Volatile(|| Arc::new(Memory::new()) as Arc<dyn Store>);
/// let report = Suite::new().run_case(&subject, "uids_rise");
/// assert!(report.is_clean(), "{report}");
/// ```
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "tests write it out")]
pub struct Volatile<F>(pub F);

impl<F: Fn() -> Arc<dyn Store> + Send + Sync> Subject for Volatile<F> {
    fn place(&self) -> Box<dyn Place> {
        Box::new(Once {
            store: (self.0)(),
            opened: AtomicBool::new(false),
        })
    }
}

/// A store that is opened once.
struct Once {
    store: Arc<dyn Store>,
    opened: AtomicBool,
}

impl Place for Once {
    fn open(&self) -> Result<Arc<dyn Store>> {
        if self.opened.swap(true, Ordering::Relaxed) {
            return Err(Error::Closed);
        }
        Ok(Arc::clone(&self.store))
    }
}

/// A backend that lies in a directory, opened by a closure. A kill is tried by copying its files while it
/// is open.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "tests write it out")]
pub struct InDirectory<F>(pub F);

impl<F> Subject for InDirectory<F>
where
    F: Fn(&Path) -> Result<Arc<dyn Store>> + Clone + Send + Sync + 'static,
{
    fn place(&self) -> Box<dyn Place> {
        Box::new(Directory {
            path: Scratch::new(),
            open: self.0.clone(),
        })
    }
}

struct Directory<F> {
    path: Scratch,
    open: F,
}

impl<F> Place for Directory<F>
where
    F: Fn(&Path) -> Result<Arc<dyn Store>> + Clone + Send + Sync + 'static,
{
    fn open(&self) -> Result<Arc<dyn Store>> {
        (self.open)(&self.path.0)
    }

    fn after_kill(&self) -> Option<Box<dyn Place>> {
        let path = Scratch::new();
        copy(&self.path.0, &path.0).ok()?;
        let open = self.open.clone();
        Some(Box::new(Self { path, open }))
    }
}

/// Copies what a directory holds.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// A directory for a test, removed with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let number = getrandom::u64().unwrap_or_default();
        let path = std::env::temp_dir().join(format!("mailstore-{number:016x}"));
        // What is wrong with it shows when the store is opened.
        let _ = std::fs::create_dir_all(&path);
        Self(path)
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
