//! A domain set up by the command: its configuration starts, its keys sign, and its zone is what others look for.

use crate::addresses::has;
use crate::exchanger::port;
use crate::harness::{PASSWORD, Talk, run};
use crate::relay::base64;
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Addresses, Config, Protocol, Server};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mailserver");

/// Runs the command in a folder of its own; what it prints.
pub(crate) async fn set_up(folder: &Path, words: &[&str]) -> (bool, String) {
    let (file, data) = (folder.join("mailserver.toml"), folder.join("data"));
    let mut arguments = vec!["--config", file.to_str().unwrap(), "setup"];
    arguments.extend(words);
    arguments.extend(["--data", data.to_str().unwrap()]);
    run(PROGRAM, &arguments, "").await
}

/// How many records of each type a printed zone has.
fn counts<const N: usize>(printed: &str, kinds: [&str; N]) -> [usize; N] {
    let records = printed
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty());
    let found: Vec<_> = records
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    kinds.map(|kind| found.iter().filter(|one| **one == kind).count())
}

/// Starts what was set up, on ports of loopback, with mail for `other` going to that port.
async fn started(folder: &TempDir, own: u16, other: &str, to: u16, dns: &DnsServer) -> Server {
    let text = std::fs::read_to_string(folder.path().join("mailserver.toml")).unwrap();
    let more = format!(
        "dns = [\"{}\"]\n[[relay.routes]]\ndomains = [\"{other}\"]\nhosts = [\"smtp+clear://127.0.0.1:{to}\"]\n",
        dns.address()
    );
    // The reports go: what stands behind the routes would be one of theirs.
    let relay = format!("[auth]\nplaintext = \"always\"\n[relay]\n{more}# ");
    let text = text.replace("[relay]\n", &relay);
    let mut config = Config::parse(&text).unwrap();
    config.acme.directory = None;
    config.listen = mailserver::Listen::default();
    config.listen.smtp = Addresses::One(format!("127.0.0.1:{own}"));
    config.listen.submission = Addresses::One("127.0.0.1:0".into());
    Server::start(config).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_between_two_domains_that_were_set_up_passes_all_checks() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut zone = Zone::new("test");
    for (folder, domain) in [(&one, "one.test"), (&two, "two.test")] {
        let words = [domain, "--address", "127.0.0.1", "--address", "2001:db8::1"];
        let (ok, said) = set_up(folder.path(), &words).await;
        assert!(ok, "{said}");
        let (zone_file, steps) = said.split_once("; What is left:").unwrap();
        assert!(
            steps.contains(&format!("account add you@{domain}")),
            "{said}"
        );
        zone = zone.load(&said);
        let kinds = ["A", "AAAA", "MX", "TXT", "CNAME", "SRV", "CAA"];
        let found = counts(zone_file, kinds);
        assert_eq!(found, [1, 1, 1, 7, 3, 6, 1], "{said}");
        // What is there is not written over.
        let (ok, said) = set_up(folder.path(), &words).await;
        assert!(!ok && said.contains("name another file"), "{said}");
    }
    let dns = DnsServer::start([zone]);
    let ports = [port(), port()];
    let first = started(&one, ports[0], "two.test", ports[1], &dns).await;
    let second = started(&two, ports[1], "one.test", ports[0], &dns).await;
    for (server, account) in [(&first, "ann@one.test"), (&second, "bob@two.test")] {
        server.accounts().add(account, PASSWORD).await.unwrap();
    }
    for (from, server, to, other) in [
        ("ann@one.test", &first, "bob@two.test", &second),
        ("bob@two.test", &second, "ann@one.test", &first),
    ] {
        let mut talk = Talk::new(server.address(Protocol::Submission).unwrap()).await;
        let plain = base64(format!("\0{from}\0{PASSWORD}").as_bytes());
        talk.send(&format!(
            "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\nFrom: {from}\r\n\
             Subject: hello\r\n\r\nHello.\r\n.\r\nQUIT\r\n"
        ))
        .await;
        let said = talk.rest().await;
        assert!(said.contains("250 2.0.0 Accepted"), "{said}");
        let arrived = has(other, to, 1).await.remove(0);
        for passed in ["spf=pass", "dkim=pass", "dmarc=pass"] {
            assert!(arrived.contains(passed), "{passed}: {arrived}");
        }
        for failed in ["spf=fail", "dkim=fail", "dkim=permerror"] {
            assert!(!arrived.contains(failed), "{failed}: {arrived}");
        }
    }
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn what_root_sets_up_is_the_servers_users() {
    let folder = tempfile::tempdir().unwrap();
    let of = |path: &Path| {
        let found = std::fs::metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode() & 0o777)
    };
    if of(folder.path()).0 != 0 {
        eprintln!("not tested, since only root can give files away");
        return;
    }
    let words = ["one.test", "--address", "127.0.0.1", "--user"];
    let no_user = [&words[..], &["no-such-user-here"]].concat();
    let (ok, said) = set_up(folder.path(), &no_user).await;
    assert!(!ok && said.contains("adduser --system"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let (ok, said) = set_up(folder.path(), &[&words[..], &["nobody"]].concat()).await;
    assert!(ok && said.contains("systemctl start mailserver"), "{said}");
    let id = async |flag: &str| run("id", &[flag, "nobody"], "").await.1;
    let [user, group] = [id("-u").await, id("-g").await];
    let [user, group] = [user, group].map(|id| id.trim().parse::<u32>().unwrap());
    let data = folder.path().join("data");
    for (path, mode) in [
        (data.clone(), 0o700),
        (data.join("dkim"), 0o700),
        (data.join("dkim/r1.one.test.pem"), 0o600),
        (data.join("dkim/e1.one.test.pem"), 0o600),
    ] {
        assert_eq!(of(&path), (user, group, mode), "{}", path.display());
    }
    let file = folder.path().join("mailserver.toml");
    assert_eq!(of(&file), (0, group, 0o640));
    let config = Config::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(config.run.user.as_deref(), Some("nobody"));
}

#[tokio::test]
async fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (words, expected) in [
        (&["one.test"][..], "name each with --address"),
        (
            &["one", "--address", "192.0.2.1"],
            "is not the name of a domain",
        ),
        (&["one.test", "--address", "192.0.2"], "invalid value"),
        (
            &[
                "one.test",
                "--address",
                "192.0.2.1",
                "--cert",
                "/none",
                "--key",
                "/none",
            ],
            "/none: No such file",
        ),
    ] {
        let (ok, said) = set_up(folder.path(), words).await;
        assert!(!ok && said.contains(expected), "{said}");
    }
    assert!(!folder.path().join("mailserver.toml").exists());
}
