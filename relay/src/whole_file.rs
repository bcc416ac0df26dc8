//! Files that are there as a whole, or not at all.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the names of files begin with that are being written. Nobody reads them.
pub(crate) const UNFINISHED: &str = ".new-";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Writes a file of a folder, which is made if it is missing: this user's alone. Whoever reads the file finds what it
/// was before or what it is now, also after a crash.
pub(crate) fn write(folder: &Path, name: &str, octets: &[u8]) -> io::Result<()> {
    make(folder)?;
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let unfinished = folder.join(format!("{UNFINISHED}{}-{count}", std::process::id()));
    let written = fill(&unfinished, octets);
    let done = written.and_then(|()| std::fs::rename(&unfinished, folder.join(name)));
    if done.is_err() {
        let _ = std::fs::remove_file(&unfinished);
    }
    done
}

/// Reads a file of at most that many octets.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(most.saturating_add(1)).read_to_end(&mut octets)?;
    match u64::try_from(octets.len()).is_ok_and(|length| length <= most) {
        true => Ok(octets),
        false => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

/// Lists the names of a folder's files, up to a number. What was left unfinished is removed.
pub(crate) fn names(folder: &Path, most: usize) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut all = Vec::new();
    for name in names.take(most) {
        match name.starts_with(UNFINISHED) {
            true => drop(std::fs::remove_file(folder.join(name))),
            false => all.push(name),
        }
    }
    all
}

fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn fill(path: &Path, octets: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(octets)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_what_was_left_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("a/b");
        write(&folder, "x", b"first").unwrap();
        write(&folder, "x", b"second").unwrap();
        std::fs::write(folder.join(".new-1-1"), b"half").unwrap();
        assert_eq!(names(&folder, 9), ["x"]);
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        assert_eq!(read(&folder.join("x"), 6).unwrap(), b"second");
        assert!(read(&folder.join("x"), 5).is_err());
        assert!(read(&folder.join("y"), 5).is_err());
    }
}
