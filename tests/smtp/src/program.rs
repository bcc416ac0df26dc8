//! Programs: one that runs to its end, and one that serves until it is dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

/// How many seconds a server lives at most, whatever becomes of the test.
pub(crate) const LIFETIME: u32 = 240;
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// What a program has done.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// What it printed, on both outputs.
    pub said: String,
}

/// Runs a program to its end, a minute at most.
///
/// # Panics
/// It is not there, or does not end.
pub async fn run(program: &str, arguments: &[&str], input: &str) -> Done {
    run_with(
        program,
        arguments,
        input.as_bytes(),
        Duration::from_secs(60),
    )
    .await
}

/// Runs a program to its end, in that time.
///
/// # Panics
/// It is not there, or does not end.
pub async fn run_with(program: &str, arguments: &[&str], input: &[u8], within: Duration) -> Done {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}: scripts/test installs it"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    tokio::spawn(async move {
        let _ = stdin.write_all(&input).await;
    });
    let output = tokio::time::timeout(within, child.wait_with_output());
    let output = output.await.expect("an end in time").unwrap();
    let text = [output.stdout, output.stderr].concat();
    Done {
        code: output.status.code().unwrap_or(-1),
        said: String::from_utf8_lossy(&text).into_owned(),
    }
}

/// Runs a command that prepares something.
pub(crate) fn prepare(command: &mut Command) {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: scripts/test installs it"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
}

/// Returns whether the tests run as root.
pub(crate) fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    id.trim_ascii() == b"0"
}

/// A server. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Serving {
    child: Child,
    folder: Option<TempDir>,
}

impl Serving {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let child =
            child.unwrap_or_else(|error| panic!("{command:?}: {error}: scripts/test installs it"));
        Self {
            child,
            folder: None,
        }
    }

    /// Its folder goes with it.
    pub(crate) fn with(mut self, folder: TempDir) -> Self {
        self.folder = Some(folder);
        self
    }

    /// Waits until somebody listens. `log` says why nobody does.
    pub(crate) fn listens(&self, port: u16, log: &Path) {
        let until = Instant::now() + START;
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            assert!(Instant::now() < until, "nobody listens on {port}: {said}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}
