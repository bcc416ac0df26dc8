//! Debian's Exim, out of its package without being installed: it cannot be there beside Postfix.
//!
//! It looks for a user of its own, whom nss_wrapper shows it, and who is nobody.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::program::{LIFETIME, Serving, is_root, prepare};
use crate::{Done, free_port};

/// Nobody, in Debian.
const NOBODY: u32 = 65_534;

/// The provider of `exim.test`; what it sends to others goes to one port. It ends when this is dropped.
#[derive(Debug)]
pub struct Exim {
    /// SMTP on 127.0.0.1.
    pub smtp: u16,
    folder: TempDir,
    uid: u32,
    _serving: Serving,
}

fn program() -> PathBuf {
    match std::env::var_os("HIKYAKU_EXIM") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/exim/usr/sbin/exim4"),
    }
}

impl Exim {
    /// Starts one; what it sends to others goes to that port of 127.0.0.1.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(next: u16) -> Self {
        let (folder, smtp) = (tempfile::tempdir().unwrap(), free_port());
        let at = |name: &str| folder.path().join(name);
        let uid = match is_root() {
            true => NOBODY,
            false => own_id(),
        };
        for name in ["spool", "mail"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let program = program();
        std::fs::copy(&program, at("exim4")).unwrap_or_else(|error| {
            panic!("{}: {error}: scripts/test unpacks it", program.display())
        });
        // Without its user's rights, under which nobody may show it users.
        std::fs::set_permissions(at("exim4"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let users = format!("root:x:0:0::/:/bin/false\nDebian-exim:x:{uid}:{uid}::/:/bin/false\n");
        std::fs::write(at("passwd"), users).unwrap();
        std::fs::write(at("group"), format!("root:x:0:\nDebian-exim:x:{uid}:\n")).unwrap();
        std::fs::write(at("conf"), configuration(folder.path(), next)).unwrap();
        if is_root() {
            let owner = format!("{uid}:{uid}");
            prepare(
                Command::new("chown")
                    .args(["-R", &owner])
                    .arg(folder.path()),
            );
            // A configuration that its own user can write to is refused.
            prepare(Command::new("chown").arg("root").arg(at("conf")));
        }
        let mut command = command(folder.path(), uid);
        command
            .args(["-bdf", "-oX", &format!("127.0.0.1.{smtp}")])
            .stdout(Stdio::null());
        let serving = Serving::start(&mut command);
        serving.listens(smtp, &at("mainlog"));
        Self {
            smtp,
            folder,
            uid,
            _serving: serving,
        }
    }

    /// Sends a message, and waits until it is delivered or not.
    ///
    /// # Panics
    /// Exim does not run.
    #[must_use]
    pub fn send(&self, from: &str, to: &str, message: &str) -> Done {
        let input = self.folder.path().join("message");
        std::fs::write(&input, message).unwrap();
        let mut command = command(self.folder.path(), self.uid);
        command
            .args(["-odf", "-oi", "-f", from, to])
            .stdin(std::fs::File::open(input).unwrap());
        let done = command.output().unwrap();
        Done {
            code: done.status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned(),
        }
    }

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("mainlog")).unwrap_or_default()
    }

    /// Waits until that many messages for `exim.test` have come, and returns them.
    ///
    /// # Panics
    /// They do not come in time.
    pub async fn gets(&self, count: usize) -> Vec<String> {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let new = std::fs::read_dir(self.folder.path().join("mail/new"));
            let mail: Vec<_> = new
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path())
                .collect();
            if mail.len() == count {
                let read = |path: &PathBuf| {
                    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
                };
                return mail.iter().map(read).collect();
            }
            assert!(
                Instant::now() < until,
                "{} of {count}: {}",
                mail.len(),
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn own_id() -> u32 {
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    String::from_utf8(id).unwrap().trim().parse().unwrap()
}

/// Exim with its configuration, as whom it runs.
fn command(folder: &Path, uid: u32) -> Command {
    let mut command = Command::new("timeout");
    command
        .arg(LIFETIME.to_string())
        .arg(folder.join("exim4"))
        .arg("-C")
        .arg(folder.join("conf"))
        .env("LD_PRELOAD", "libnss_wrapper.so")
        .env("NSS_WRAPPER_PASSWD", folder.join("passwd"))
        .env("NSS_WRAPPER_GROUP", folder.join("group"));
    if is_root() {
        command.uid(uid).gid(uid);
    }
    command
}

fn configuration(folder: &Path, next: u16) -> String {
    let at = folder.display();
    format!(
        "primary_hostname = mx.exim.test\nspool_directory = {at}/spool\nlog_file_path = {at}/%slog\n\
         exim_path = {at}/exim4\npid_file_path = {at}/pid\nnever_users =\n\
         keep_environment = LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP\nadd_environment =\n\
         deliver_drop_privilege = true\nlog_selector = +all\nacl_smtp_rcpt = accept\nhost_lookup =\n\
         chunking_advertise_hosts = *\ntls_advertise_hosts =\nreceived_headers_max = 1000\n\
         trusted_users = Debian-exim\nsmtputf8_advertise_hosts =\n\
         begin routers\n\
         others:\n  driver = manualroute\n  domains = ! exim.test\n  transport = others\n  \
         route_list = * 127.0.0.1::{next}\n  self = send\n\
         here:\n  driver = accept\n  transport = here\n\
         begin transports\n\
         others:\n  driver = smtp\n  allow_localhost\n  hosts_try_chunking = *\n\
         here:\n  driver = appendfile\n  maildir_format\n  directory = {at}/mail\n  create_directory\n\
         begin retry\n* * F,1h,1m\n"
    )
}
