//! A domain set up by the command: its configuration starts, its keys sign, and its zone is what others look for.

use crate::addresses::has;
use crate::exchanger::port;
use crate::harness::{PASSWORD, Talk, run};
use crate::relay::base64;
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Addresses, Config, Protocol, Server};
use std::path::Path;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_mailserver");

/// Runs the command in a folder of its own; what it prints.
async fn set_up(folder: &Path, words: &[&str]) -> (bool, String) {
    let (file, data) = (folder.join("mailserver.toml"), folder.join("data"));
    let mut arguments = vec!["--config", file.to_str().unwrap(), "setup"];
    arguments.extend(words);
    arguments.extend(["--data", data.to_str().unwrap()]);
    run(PROGRAM, &arguments, "").await
}

/// Adds the records of a printed zone, and counts those of each type.
fn loaded(mut zone: Zone, printed: &str, counts: &mut Vec<String>) -> Zone {
    for line in printed
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty())
    {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[1], "IN", "{line}");
        let (name, kind, rest) = (words[0], words[2], &words[3..]);
        let within = |name: &'_ str| name.strip_suffix(".test.").expect(line).to_owned();
        let name = &within(name);
        counts.push(kind.to_owned());
        zone = match kind {
            "A" => zone.a(name, rest[0]),
            "MX" => zone.mx_of(name, rest[0].parse().unwrap(), &within(rest[1])),
            "CNAME" => zone.cname(name, &within(rest[0])),
            "TXT" => {
                let strings = line.split('"').skip(1).step_by(2);
                zone.txt(name, &strings.collect::<String>())
            }
            "SRV" | "CAA" | "AAAA" => zone,
            other => panic!("{other}: {line}"),
        };
    }
    zone
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
        let mut counts = Vec::new();
        zone = loaded(zone, zone_file, &mut counts);
        let count = |kind: &str| counts.iter().filter(|one| *one == kind).count();
        let found = ["A", "AAAA", "MX", "TXT", "CNAME", "SRV", "CAA"].map(count);
        assert_eq!(found, [1, 1, 1, 7, 3, 5, 1], "{said}");
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
async fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for (words, expected) in [
        (&["one.test"][..], "name each with --address"),
        (
            &["one", "--address", "192.0.2.1"],
            "is not the name of a domain",
        ),
        (&["one.test", "--address", "192.0.2"], "invalid value"),
    ] {
        let (ok, said) = set_up(folder.path(), words).await;
        assert!(!ok && said.contains(expected), "{said}");
    }
    assert!(!folder.path().join("mailserver.toml").exists());
}
