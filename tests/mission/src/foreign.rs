//! Servers that nobody here wrote: Debian's Dovecot, and Postfix handing to it.

use hikyaku_test_dns::free_port;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// So many seconds they live at most, whatever becomes of the test.
const LIFETIME: u32 = 120;

/// Everybody's.
pub const PASSWORD: &str = "secret";

/// Dovecot with Postfix before it, on ports of their own. They stop when this is dropped.
#[derive(Debug)]
pub struct Foreign {
    folder: TempDir,
    dovecot: Child,
    postfix: Option<Child>,
    /// IMAP, with STARTTLS.
    pub imap: u16,
    /// POP3, with STLS.
    pub pop3: u16,
    /// Submission, with STARTTLS and AUTH by Dovecot.
    pub submission: u16,
    /// The authority that all certificates are from.
    pub ca: PathBuf,
}

fn wait_for(port: u16, log: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        let said = std::fs::read_to_string(log).unwrap_or_default();
        assert!(Instant::now() < until, "nobody listens: {said}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn run(command: &mut Command) {
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {said}");
}

impl Foreign {
    /// Both, with certificates out of a house's folder; `dovecot` are further lines of Dovecot's
    /// configuration. `None` where the tests do not run as root, whom Postfix and Dovecot need.
    #[must_use]
    pub fn start(tls: &Path, dovecot: &str) -> Option<Self> {
        let id = Command::new("id").arg("-u").output().unwrap().stdout;
        if id.trim_ascii() != b"0" {
            println!("not root: Dovecot and Postfix are left out");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        run(Command::new("chmod").args(["755", &folder.path().display().to_string()]));
        for name in ["run", "mail", "tls"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        run(Command::new("chmod").args(["777", &at("mail")]));
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            std::fs::copy(tls.join(name), folder.path().join("tls").join(name)).unwrap();
        }
        let (imap, pop3, submission) = (free_port(), free_port(), free_port());
        let listener = |service: &str, name: &str, port: u16| {
            format!(
                "service {service}-login {{\n  chroot =\n  inet_listener {name} {{\n    port = {port}\n  }}\n  \
                 inet_listener {name}s {{\n    port = 0\n  }}\n}}\n"
            )
        };
        let config = format!(
            "base_dir = {run}\nstate_dir = {run}\nlog_path = {log}\nprotocols = imap pop3\nlisten = 127.0.0.1\n\
             ssl = yes\nssl_cert = <{cert}\nssl_key = <{key}\ndisable_plaintext_auth = no\n\
             auth_mechanisms = plain login\nmail_location = maildir:{mail}/%n\nfirst_valid_uid = 1\n\
             default_internal_user = nobody\ndefault_login_user = nobody\ndefault_internal_group = nogroup\n\
             service anvil {{\n  chroot =\n}}\n\
             service auth {{\n  unix_listener {auth} {{\n    mode = 0666\n  }}\n}}\n{imap}{pop3}\
             passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
             userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={mail}/%n\n}}\n{dovecot}\n",
            run = at("run"),
            log = at("dovecot.log"),
            mail = at("mail"),
            cert = at("tls/cert.pem"),
            key = at("tls/key.pem"),
            auth = at("auth"),
            imap = listener("imap", "imap", imap),
            pop3 = listener("pop3", "pop3", pop3),
        );
        std::fs::write(folder.path().join("dovecot.conf"), config).unwrap();
        let child = Command::new("timeout")
            .args([
                &LIFETIME.to_string(),
                "dovecot",
                "-F",
                "-c",
                &at("dovecot.conf"),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("dovecot (Debian: dovecot-imapd dovecot-pop3d)");
        let mut this = Self {
            ca: folder.path().join("tls/ca.pem"),
            dovecot: child,
            postfix: None,
            imap,
            pop3,
            submission,
            folder,
        };
        wait_for(imap, &this.folder.path().join("dovecot.log"));
        wait_for(pop3, &this.folder.path().join("dovecot.log"));
        this.start_postfix();
        Some(this)
    }

    fn start_postfix(&mut self) {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        for name in ["postfix", "queue", "state"] {
            std::fs::create_dir(self.folder.path().join(name)).unwrap();
        }
        run(Command::new("chown").args(["postfix", &at("state")]));
        let nobody = |flag: &str| {
            let id = Command::new("id").args([flag, "nobody"]).output().unwrap();
            String::from_utf8(id.stdout).unwrap().trim().to_owned()
        };
        let main = format!(
            "compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {state}\n\
             mail_owner = postfix\nsetgid_group = postdrop\nmyhostname = localhost\nmydestination =\n\
             inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks =\nalias_maps =\nlocal_recipient_maps =\n\
             maillog_file = {log}\nmaillog_file_prefixes = {folder}\n\
             virtual_mailbox_domains = example.test\nvirtual_mailbox_base = {mail}\n\
             virtual_mailbox_maps = inline:{{bob@example.test=bob/ alice@example.test=alice/}}\n\
             virtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
             smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {auth}\nsmtpd_sasl_auth_enable = yes\n\
             smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n\
             smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {cert}\nsmtpd_tls_key_file = {key}\n\
             smtpd_tls_auth_only = yes\n",
            queue = at("queue"),
            state = at("state"),
            log = at("postfix.log"),
            folder = self.folder.path().display(),
            mail = at("mail"),
            auth = at("auth"),
            cert = at("tls/cert.pem"),
            key = at("tls/key.pem"),
            uid = nobody("-u"),
            gid = nobody("-g"),
        );
        // No service may be in a chroot: there is nothing in it.
        let service = |name: &str, kind: &str, program: &str| {
            let is_public = kind == "inet" || name == "cleanup";
            let private = if is_public { "n" } else { "-" };
            // It writes as whom the mailbox belongs to.
            let privileged = if name == "virtual" { "n" } else { "-" };
            let most = if matches!(program, "cleanup" | "bounce") {
                "0"
            } else {
                "-"
            };
            format!("{name} {kind} {private} {privileged} n - {most} {program}\n")
        };
        let master: String = [
            service(&format!("127.0.0.1:{}", self.submission), "inet", "smtpd"),
            "pickup unix n - n 60 1 pickup\n".into(),
            service("cleanup", "unix", "cleanup"),
            "qmgr unix n - n 300 1 qmgr\n".into(),
            "tlsmgr unix - - n 1000? 1 tlsmgr\n".into(),
            service("rewrite", "unix", "trivial-rewrite"),
            service("bounce", "unix", "bounce"),
            service("defer", "unix", "bounce"),
            service("trace", "unix", "bounce"),
            "verify unix - - n - 1 verify\n".into(),
            service("proxymap", "unix", "proxymap"),
            service("smtp", "unix", "smtp"),
            service("error", "unix", "error"),
            service("retry", "unix", "error"),
            service("virtual", "unix", "virtual"),
            "anvil unix - - n - 1 anvil\n".into(),
            "scache unix - - n - 1 scache\n".into(),
            "postlog unix-dgram n - n - 1 postlogd\n".into(),
        ]
        .concat();
        std::fs::write(self.folder.path().join("postfix/main.cf"), main).unwrap();
        std::fs::write(self.folder.path().join("postfix/master.cf"), master).unwrap();
        // `check` makes the queue's folders.
        run(Command::new("postfix").args(["-c", &at("postfix"), "check"]));
        let master = Command::new("postconf")
            .args(["-h", "daemon_directory"])
            .output()
            .unwrap();
        let master = String::from_utf8(master.stdout).unwrap().trim().to_owned() + "/master";
        let lifetime = LIFETIME.to_string();
        let child = Command::new(master)
            .args(["-d", "-c", &at("postfix"), "-e", &lifetime])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.postfix = Some(child.expect("postfix (Debian: postfix)"));
        wait_for(self.submission, &self.folder.path().join("postfix.log"));
    }

    /// What the servers wrote, for who wonders why.
    #[must_use]
    pub fn log(&self) -> String {
        let of =
            |name: &str| std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        of("dovecot.log") + &of("postfix.log")
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        for child in self.postfix.iter_mut().chain([&mut self.dovecot]) {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}
