//! Folders and files that nobody but this user may read, whatever the umask.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many entries are looked at, and how deep: the folders of the bodies are among them, not each body.
const MOST: usize = 20_000;
const DEPTH: usize = 3;
/// What others have of a file or a folder.
const OTHERS: u32 = 0o077;

/// Makes a folder and those it is in; whether this one is new.
pub(crate) fn folder(path: &Path) -> io::Result<bool> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    match builder.mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file of a folder, which is made if it is missing. Whoever reads the file finds what it was before or what it is
/// now, also after a crash.
pub(crate) fn write(folder: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    self::folder(folder)?;
    // Two may write the same file at once: each its own.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let (process, number) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let unfinished = folder.join(format!(".new-{process}-{number}-{name}"));
    let fill = || {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&unfinished)?;
        file.write_all(octets)?;
        file.sync_all()?;
        std::fs::rename(&unfinished, folder.join(name))?;
        std::fs::File::open(folder)?.sync_all()
    };
    let written = fill();
    if written.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

/// What others may read or write of a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Open {
    count: usize,
    first: PathBuf,
    mode: u32,
    folder: PathBuf,
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (first, folder) = (self.first.display(), self.folder.display());
        write!(f, "{first} is open to others (mode {:04o})", self.mode)?;
        if self.count > 1 {
            write!(f, ", and {} more below {folder}", self.count - 1)?;
        }
        write!(
            f,
            ": mail and keys are this user's alone, run \"chmod -R go= {folder}\""
        )
    }
}

/// What is open to others in a folder, the folder itself included.
pub(crate) fn open_to_others(folder: &Path) -> Option<Open> {
    let mut open: Option<Open> = None;
    let mut waiting = vec![(folder.to_owned(), 0)];
    let mut looked_at = 0;
    while let Some((path, depth)) = waiting.pop() {
        looked_at += 1;
        // A link says nothing of its own.
        let Ok(metadata) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        if metadata.is_symlink() {
            continue;
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & OTHERS != 0 {
            match &mut open {
                Some(open) => open.count += 1,
                None => {
                    open = Some(Open {
                        count: 1,
                        first: path.clone(),
                        mode,
                        folder: folder.to_owned(),
                    });
                }
            }
        }
        if metadata.is_dir() && depth < DEPTH && looked_at + waiting.len() < MOST {
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            let room = MOST - looked_at - waiting.len();
            let mut entries: Vec<_> = entries
                .take(room)
                .map(|entry| (entry.path(), depth + 1))
                .collect();
            entries.sort_by(|one, other| other.cmp(one));
            waiting.extend(entries);
        }
    }
    open
}

/// Whether anybody on this machine may read a key.
pub(crate) fn is_key_open(path: &Path) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o7777;
    // A group of its own is what distributions give to programs that use keys.
    let path = path.display();
    (mode & 0o007 != 0).then(|| {
        format!(
            "{path} is a key that everybody may read (mode {mode:04o}): run \"chmod o= {path}\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("tls");
        write(&folder, "x", b"first").unwrap();
        write(&folder, "x", b"second").unwrap();
        assert_eq!(std::fs::read(folder.join("x")).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(open_to_others(&folder), None);
        // What is in the way stays, and nothing is left beside it.
        std::fs::create_dir(folder.join("y")).unwrap();
        assert!(write(&folder, "y", b"third").is_err());
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 2);
    }

    #[test]
    fn what_is_open_is_found() {
        let outer = tempfile::tempdir().unwrap();
        let data = outer.path().join("new/data");
        assert!(folder(&data).unwrap() && !folder(&data).unwrap());
        assert_eq!(
            std::fs::metadata(&data).unwrap().permissions().mode() & 0o7777,
            0o700
        );
        folder(&data.join("store")).unwrap();
        let file = data.join("store/db");
        std::fs::write(&file, "").unwrap();
        set(&file, 0o600);
        assert_eq!(open_to_others(&data), None);
        set(&file, 0o640);
        let open = open_to_others(&data).unwrap().to_string();
        assert!(
            open.contains("store/db is open to others (mode 0640)")
                && open.contains("chmod -R go= "),
            "{open}"
        );
        set(&data, 0o755);
        let open = open_to_others(&data).unwrap().to_string();
        assert!(open.contains("(mode 0755), and 1 more below"), "{open}");
        set(&file, 0o600);
        set(&data, 0o700);
        std::os::unix::fs::symlink("/etc", data.join("link")).unwrap();
        assert_eq!(open_to_others(&data), None);
        assert!(is_key_open(&file).is_none());
        set(&file, 0o640);
        assert!(is_key_open(&file).is_none());
        set(&file, 0o644);
        assert!(is_key_open(&file).unwrap().contains("chmod o= "));
        // A file where the folder should be.
        assert!(folder(&file).is_err());
    }
}
