//! Records what a start creates, and removes it if the start fails.

use std::path::{Path, PathBuf};

use crate::start_error::StartError;
use crate::{Config, private};

/// What a start has made so far. Dropped before [`keep`](Self::keep), it is taken away again: a start that fails leaves
/// nothing behind. Another start with the same folder loses nothing by it: folders go only when they are empty, or when
/// this start holds the store that is in them.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// Folders that this start made, the outermost first.
    folders: Vec<PathBuf>,
    /// What was not there when it began.
    missing: Vec<PathBuf>,
    holds_store: bool,
}

impl Made {
    /// Makes the data folder, and remembers what is not in it yet.
    pub(crate) fn begin(config: &Config) -> Result<Self, StartError> {
        let data = &config.data;
        let mut made = Self {
            folders: Vec::new(),
            missing: ["store", "tls", "acme", "srs"]
                .map(|name| data.join(name))
                .into(),
            holds_store: false,
        };
        made.missing.retain(|path| !path.exists());
        let mut around: Vec<_> = data
            .ancestors()
            .skip(1)
            .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
            .map(Path::to_owned)
            .collect();
        around.reverse();
        made.folders = around;
        let is_new = private::folder(data);
        let writable = is_new.and_then(|is_new| {
            if is_new {
                made.folders.push(data.clone());
            }
            writable(data)
        });
        writable.map_err(|error| StartError::Folder(data.display().to_string(), error))?;
        Ok(made)
    }

    /// The store is open: nobody else can have made what is there now.
    pub(crate) fn holds_store(&mut self) {
        self.holds_store = true;
    }

    /// The start did not fail.
    pub(crate) fn keep(mut self) {
        self.missing.clear();
        self.folders.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.missing.drain(..) {
            let _ = match self.holds_store {
                true => std::fs::remove_dir_all(path),
                false => std::fs::remove_dir(path),
            };
        }
        for path in self.folders.drain(..).rev() {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Whether files can be made in a folder.
fn writable(folder: &Path) -> std::io::Result<()> {
    let name = format!(".check.{}", std::process::id());
    let path = folder.join(name);
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(path)
}
