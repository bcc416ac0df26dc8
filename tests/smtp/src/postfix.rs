//! Debian's Postfix, with a configuration and a queue of its own, and Dovecot for its logins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

use crate::program::{LIFETIME, Serving, is_root, prepare};
use crate::{Authority, PASSWORD, free_port};

/// How long mail may take to arrive.
const PATIENCE: Duration = Duration::from_secs(45);

/// The provider of `postfix.test`, where carol and dave have mailboxes. It ends when this is dropped.
#[derive(Debug)]
pub struct Postfix {
    /// SMTP on 127.0.0.1; who comes from there may send to everybody.
    pub smtp: u16,
    folder: TempDir,
    _serving: Serving,
}

/// Postfix for users who log in: the smarthost of others. Its certificate is for `localhost`.
#[derive(Debug)]
pub struct Smarthost {
    /// The server itself.
    pub postfix: Postfix,
    /// With STARTTLS, and a login only under TLS.
    pub submission: u16,
    /// Under TLS from the start.
    pub submissions: u16,
    _dovecot: Serving,
}

/// What a configuration says, line by line. A later line counts.
fn main_cf(at: &Path, more: &str) -> String {
    let nobody = |flag: &str| {
        let id = Command::new("id").args([flag, "nobody"]).output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().to_owned()
    };
    let (uid, gid) = (nobody("-u"), nobody("-g"));
    let folder = at.display();
    let text = format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/state\n\
         mail_owner = postfix\nsetgid_group = postdrop\nmyhostname = mx.postfix.test\nmydestination =\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmynetworks = 127.0.0.0/8\nalias_maps =\n\
         local_recipient_maps =\nmaillog_file = {folder}/log\nmaillog_file_prefixes = {folder}\n\
         virtual_mailbox_domains = postfix.test\nvirtual_mailbox_base = {folder}/mail\n\
         virtual_mailbox_maps = inline:{{carol@postfix.test=carol/ dave@postfix.test=dave/}}\n\
         virtual_uid_maps = static:{uid}\nvirtual_gid_maps = static:{gid}\n\
         smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject\n\
         in_flow_delay = 0\nsmtp_host_lookup = native\nsmtp_dns_support_level = disabled\n\
         disable_dns_lookups = yes\nminimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\n\
         smtp_tls_security_level = may\n{more}\n"
    );
    let mut keys = BTreeMap::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once('=').unwrap();
        keys.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    let lines = keys.iter().map(|(key, value)| format!("{key} = {value}\n"));
    lines.collect()
}

/// Which programs run. No service may be in a chroot: there is nothing in it.
fn master_cf(ports: &[(u16, &str)], more: &str) -> String {
    let smtpd = |(port, options): &(u16, &str)| {
        format!("127.0.0.1:{port} inet n - n - - smtpd {options}\n")
    };
    let listeners: String = ports.iter().map(smtpd).collect();
    listeners
        + more
        + "pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
           tlsmgr unix - - n 1000? 1 tlsmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
           defer unix - - n - 0 bounce\ntrace unix - - n - 0 bounce\nverify unix - - n - 1 verify\n\
           proxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\nrelay unix - - n - - smtp\n\
           lmtp unix - - n - - lmtp\nerror unix - - n - - error\nretry unix - - n - - error\n\
           discard unix - - n - - discard\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
           scache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n"
}

impl Postfix {
    /// Starts one; `more` are further lines of `main.cf`. `None` where the tests do not run as root.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(more: &str) -> Option<Self> {
        Self::with(free_port(), &[], more)
    }

    /// The same, on that port, and with further ports and their options.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn with(smtp: u16, ports: &[(u16, &str)], more: &str) -> Option<Self> {
        Self::with_services(smtp, ports, more, "")
    }

    /// The same, with further lines of `master.cf`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn with_services(
        smtp: u16,
        ports: &[(u16, &str)],
        more: &str,
        services: &str,
    ) -> Option<Self> {
        if !is_root() {
            println!("not root: Postfix is left out");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        prepare(Command::new("chmod").arg("755").arg(folder.path()));
        for name in ["conf", "queue", "state", "mail"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        prepare(Command::new("chown").arg("postfix").arg(at("state")));
        prepare(Command::new("chown").arg("nobody").arg(at("mail")));
        let ports = [&[(smtp, "")], ports].concat();
        std::fs::write(at("conf/main.cf"), main_cf(folder.path(), more)).unwrap();
        std::fs::write(at("conf/master.cf"), master_cf(&ports, services)).unwrap();
        // `check` makes the queue's folders.
        prepare(
            Command::new("postfix")
                .arg("-c")
                .arg(at("conf"))
                .arg("check"),
        );
        let programs = Command::new("postconf")
            .args(["-h", "daemon_directory"])
            .output()
            .expect("postfix: scripts/test installs it");
        let programs = String::from_utf8(programs.stdout).unwrap();
        let mut master = Command::new(format!("{}/master", programs.trim()));
        master
            .args(["-d", "-e", &LIFETIME.to_string(), "-c"])
            .arg(at("conf"))
            .stdout(Stdio::null());
        let serving = Serving::start(&mut master);
        for (port, _) in ports {
            serving.listens(port, &at("log"));
        }
        Some(Self {
            smtp,
            folder,
            _serving: serving,
        })
    }

    /// What it wrote, to say why something is as it is.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A path in its folder, for sockets.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns what is in a mailbox of `postfix.test`.
    ///
    /// # Panics
    /// It cannot be read.
    #[must_use]
    pub fn mail(&self, name: &str) -> Vec<String> {
        let Ok(folder) = std::fs::read_dir(self.path("mail").join(name).join("new")) else {
            return Vec::new();
        };
        let read = |entry: std::io::Result<std::fs::DirEntry>| {
            let octets = std::fs::read(entry.unwrap().path()).unwrap();
            String::from_utf8_lossy(&octets).into_owned()
        };
        folder.map(read).collect()
    }

    /// Waits until a mailbox of `postfix.test` holds that many messages, and returns them. More are a failure.
    ///
    /// # Panics
    /// They do not come in time.
    pub async fn gets(&self, name: &str, count: usize) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mail = self.mail(name);
            assert!(mail.len() <= count, "{name} has too many: {mail:#?}");
            if mail.len() == count {
                return mail;
            }
            let late = Instant::now() > until;
            assert!(!late, "{name} has {}: {}", mail.len(), self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until its log says so.
    ///
    /// # Panics
    /// It does not.
    pub async fn says(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < until, "{text} is not in {}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Smarthost {
    /// Starts one, with a certificate for `localhost`; `more` are further lines of `main.cf`. Its users have the
    /// password [`PASSWORD`]. `None` where the tests do not run as root.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(authority: &Authority, more: &str) -> Option<Self> {
        if !is_root() {
            println!("not root: Postfix and Dovecot are left out");
            return None;
        }
        let (cert, key) = authority.sign("localhost");
        let (submission, submissions) = (free_port(), free_port());
        let logins = "-o smtpd_sasl_auth_enable=yes -o smtpd_relay_restrictions=permit_sasl_authenticated,reject";
        let implicit = format!("{logins} -o smtpd_tls_wrappermode=yes");
        let folder = tempfile::tempdir().unwrap();
        prepare(Command::new("chmod").arg("755").arg(folder.path()));
        let more = format!(
            "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}/auth\nsmtpd_tls_security_level = may\n\
             smtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\nsmtpd_tls_auth_only = yes\n{more}",
            folder.path().display(),
            cert.display(),
            key.display()
        );
        let dovecot = dovecot(folder);
        let ports = [(submission, logins), (submissions, &*implicit)];
        Some(Self {
            postfix: Postfix::with(free_port(), &ports, &more)?,
            submission,
            submissions,
            _dovecot: dovecot,
        })
    }
}

/// Dovecot, for logins alone.
fn dovecot(folder: TempDir) -> Serving {
    let at = folder.path().display();
    let config = format!(
        "base_dir = {at}\nstate_dir = {at}\nlog_path = {at}/log\nprotocols =\nssl = no\n\
         auth_mechanisms = plain login\ndefault_internal_user = nobody\ndefault_login_user = nobody\n\
         default_internal_group = nogroup\nservice anvil {{\n  chroot =\n}}\n\
         service auth {{\n  unix_listener {at}/auth {{\n    mode = 0666\n  }}\n}}\n\
         passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
         userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={at}\n}}\n"
    );
    std::fs::write(folder.path().join("conf"), config).unwrap();
    let mut command = Command::new("timeout");
    command
        .arg(LIFETIME.to_string())
        .args(["dovecot", "-F", "-c"])
        .arg(folder.path().join("conf"))
        .stdout(Stdio::null());
    let serving = Serving::start(&mut command);
    let until = Instant::now() + Duration::from_secs(30);
    while !folder.path().join("auth").exists() {
        let log = std::fs::read_to_string(folder.path().join("log"));
        assert!(Instant::now() < until, "{log:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Its folder lives as long as it does.
    serving.with(folder)
}
