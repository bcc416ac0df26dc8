//! `smtp-sink` of Postfix: it takes mail and keeps it, with its envelopes, a file for each message.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::free_port;
use crate::program::{LIFETIME, Serving, is_root, prepare};

/// A server that takes everything.
#[derive(Debug)]
pub struct Sink {
    /// Where it listens on 127.0.0.1; 0 when it does on a socket.
    pub port: u16,
    folder: TempDir,
    _serving: Serving,
}

/// A message that it took.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What followed `MAIL FROM:`.
    pub mail: String,
    /// What followed `RCPT TO:`, each time.
    pub rcpt: Vec<String>,
    /// The message.
    pub message: String,
}

impl Sink {
    /// Starts one with further arguments, as in `man smtp-sink`.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn start(more: &[&str]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let serving = serve(&folder, more, &format!("127.0.0.1:{port}"));
        serving.listens(port, folder.path());
        Self {
            port,
            folder,
            _serving: serving,
        }
    }

    /// Starts one that listens on [`socket`](Self::socket).
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn on_socket(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let serving = serve(&folder, more, &format!("unix:{}", path.display()));
        let until = Instant::now() + Duration::from_secs(30);
        while !path.exists() {
            assert!(Instant::now() < until, "nobody listens on a socket");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            port: 0,
            folder,
            _serving: serving,
        }
    }

    /// The socket of one that has it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The messages that it has taken so far.
    ///
    /// # Panics
    /// Its folder cannot be read.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.folder.path().join("taken")).unwrap() {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            let text = String::from_utf8_lossy(&octets).into_owned();
            let Some((head, message)) = text.split_once("\nReceived: ") else {
                continue;
            };
            let of = |name: &str| {
                let lines = head.lines().filter_map(|line| line.strip_prefix(name));
                lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>()
            };
            all.push(Taken {
                mail: of("X-Mail-Args:").concat(),
                rcpt: of("X-Rcpt-Args:"),
                message: message.to_owned(),
            });
        }
        all
    }

    /// Waits until it has taken that many, and returns them.
    ///
    /// # Panics
    /// They do not come in time.
    pub async fn takes(&self, count: usize, within: Duration) -> Vec<Taken> {
        let until = Instant::now() + within;
        loop {
            // Counting first: reading ten thousand files takes a while.
            let files = std::fs::read_dir(self.folder.path().join("taken"))
                .unwrap()
                .count();
            if files >= count {
                let taken = self.taken();
                if taken.len() >= count {
                    return taken;
                }
            }
            assert!(Instant::now() < until, "{files} of {count} have come");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn serve(folder: &TempDir, more: &[&str], at: &str) -> Serving {
    let mut command = Command::new("timeout");
    command
        .arg(LIFETIME.to_string())
        .arg("/usr/sbin/smtp-sink")
        .args(["-d", "taken/%M."])
        .args(more)
        .current_dir(folder.path())
        .stdout(Stdio::null());
    std::fs::create_dir(folder.path().join("taken")).unwrap();
    if is_root() {
        prepare(
            Command::new("chown")
                .args(["-R", "nobody"])
                .arg(folder.path()),
        );
        command.args(["-u", "nobody"]);
    }
    Serving::start(command.args([at, "256"]))
}
