//! The program `mailserver`, as a process of its own.

use crate::harness::{PASSWORD, run};
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mailserver");

/// The program, running; killed when dropped.
pub(crate) struct Mailserver {
    pub(crate) child: Child,
    at: HashMap<String, SocketAddr>,
}

impl Drop for Mailserver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Mailserver {
    /// Starts it with a configuration file, and waits until it is ready. A shell runs `before` in its place first, such
    /// as `umask 022;`.
    pub(crate) fn start(before: &str, configuration: &str) -> Self {
        let mut child = Command::new("sh")
            .args([
                "-c",
                &format!("{before} exec {PROGRAM} --config {configuration}"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let listens = std::fs::read_to_string(configuration).unwrap();
        let listens = listens.matches("127.0.0.1:0\"").count();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut at = HashMap::new();
        while at.len() < listens {
            let line = lines.next().expect("a line for each port").unwrap();
            let words = line.trim().split_once(' ');
            if let Some((service, Ok(address))) = words.map(|(name, rest)| (name, rest.parse())) {
                at.insert(service.to_owned(), address);
            }
        }
        Self { child, at }
    }

    /// Where it listens for that.
    pub(crate) fn at(&self, service: &str) -> SocketAddr {
        self.at[service]
    }
}

/// Writes a configuration into a folder: the data is in `data` there, `rest` what comes behind. Returns its path.
pub(crate) fn configured(folder: &Path, data: &str, rest: &str) -> String {
    let path = folder.join("mailserver.toml");
    let data = folder.join(data);
    let head = format!(
        "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n",
        data.display()
    );
    std::fs::write(&path, format!("{head}{rest}")).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Adds an account with the usual password, while no server runs.
pub(crate) async fn add_account(configuration: &str, address: &str) {
    let add = ["--config", configuration, "account", "add", address];
    let (ok, said) = run(PROGRAM, &add, &format!("{PASSWORD}\n")).await;
    assert!(ok, "{said}");
}
