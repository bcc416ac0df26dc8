//! Debian's Postfix as providers have it: OpenDKIM signs and verifies, policyd-spf checks SPF, and OpenDMARC both.

use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

use crate::program::{LIFETIME, Serving, is_root, prepare};
use crate::{Postfix, free_port};

/// The provider of `postfix.test`, on a machine with a network and a DNS server of its own. Its users send from there.
#[derive(Debug)]
pub struct Provider {
    /// What receives on port 25 of its address, and sends from it.
    pub postfix: Postfix,
    /// Its records, as a zone file.
    pub zone: String,
    _milters: [Serving; 2],
}

/// What it writes into Authentication-Results, and others look up.
const NAME: &str = "mx.postfix.test";

impl Provider {
    /// Starts it at an IPv4 address of this machine, with that DNS server, which is also the system's. `None` where the tests do not run as root.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(address: &str, dns: &str) -> Option<Self> {
        if !is_root() {
            return None;
        }
        let (folder, room) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for folder in [&folder, &room] {
            prepare(Command::new("chmod").arg("755").arg(folder.path()));
        }
        let key = key(folder.path());
        let [dkim, dmarc] = [free_port(), free_port()];
        let policy = folder.path().join("policyd-spf.conf");
        std::fs::write(&policy, POLICYD_SPF).unwrap();
        let main = format!(
            "inet_interfaces = {address}, 127.0.0.1\nmyhostname = {NAME}\ndisable_dns_lookups = no\n\
             smtp_dns_support_level = enabled\nsmtp_host_lookup = dns\nsmtp_bind_address = {address}\n\
             smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n\
             smtpd_recipient_restrictions = check_policy_service unix:private/policyd-spf\n\
             smtpd_milters = inet:127.0.0.1:{dkim}, inet:127.0.0.1:{dmarc}\nmilter_default_action = tempfail\n"
        );
        let services = format!(
            "{address}:25 inet n - n - - smtpd\n\
             policyd-spf unix - n n - 0 spawn user=nobody argv=/usr/bin/policyd-spf {}\n",
            policy.display()
        );
        let milters = [opendkim(folder, dkim, dns), opendmarc(room, dmarc)];
        let postfix = Postfix::with_services(free_port(), &[], &main, &services)?;
        let zone = format!(
            "{NAME}. IN A {address}\npostfix.test. IN MX 10 {NAME}.\n\
             postfix.test. IN TXT \"v=spf1 ip4:{address} -all\"\n\
             _dmarc.postfix.test. IN TXT \"v=DMARC1; p=reject\"\n\
             s1._domainkey.postfix.test. IN TXT ( {key} )\n"
        );
        Some(Self {
            postfix,
            zone,
            _milters: milters,
        })
    }
}

/// It writes what it finds, and refuses nothing.
const POLICYD_SPF: &str = "debugLevel = 1\nHELO_reject = False\nMail_From_reject = False\n\
    PermError_reject = False\nTempError_Defer = False\nHeader_Type = AR\nAuthserv_Id = mx.postfix.test\n";

/// Makes a key that signs, and returns the strings of its record.
fn key(folder: &Path) -> String {
    let (private, public) = (folder.join("key.pem"), folder.join("public.pem"));
    let openssl = || Command::new("openssl");
    prepare(
        openssl()
            .arg("genrsa")
            .arg("-out")
            .arg(&private)
            .arg("2048"),
    );
    let from = [private.as_os_str(), "-pubout".as_ref(), "-out".as_ref()];
    prepare(openssl().args(["rsa", "-in"]).args(from).arg(&public));
    let text = std::fs::read_to_string(public).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('-'));
    let lines: String = lines.map(|line| format!(" \"{line}\"")).collect();
    format!("\"v=DKIM1; k=rsa; p=\"{lines}")
}

/// It signs what comes from this machine, and verifies what comes from others. It would ask the root of the DNS.
fn opendkim(folder: TempDir, port: u16, dns: &str) -> Serving {
    let at = folder.path().display();
    let text = format!(
        "Mode sv\nDomain postfix.test\nSelector s1\nKeyFile {at}/key.pem\nInternalHosts 127.0.0.1\n\
         AuthservID {NAME}\nAlwaysAddARHeader yes\nRequireSafeKeys no\nNameservers {dns}\nSocket inet:{port}@127.0.0.1\n\
         Background no\nSyslog no\nUMask 022\n"
    );
    serve("opendkim", "-x", &text, folder.path(), port).with(folder)
}

fn opendmarc(folder: TempDir, port: u16) -> Serving {
    let text = format!(
        "AuthservID {NAME}\nTrustedAuthservIDs {NAME}\nRejectFailures true\nSocket inet:{port}@127.0.0.1\n\
         Background false\nSyslog false\nPublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat\n"
    );
    serve("opendmarc", "-c", &text, folder.path(), port).with(folder)
}

/// Starts one of them with a configuration, and waits until it listens.
fn serve(name: &str, flag: &str, configuration: &str, folder: &Path, port: u16) -> Serving {
    let path = folder.join(format!("{name}.conf"));
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new("timeout");
    command
        .arg(LIFETIME.to_string())
        .arg(format!("/usr/sbin/{name}"))
        .args(["-f", flag])
        .arg(&path)
        .stdout(Stdio::null());
    let serving = Serving::start(&mut command);
    serving.listens(port, &path);
    serving
}
