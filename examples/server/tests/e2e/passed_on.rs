//! What is passed on to another server: SPF passes for it, it is sealed, and notifications find back to its sender.

use crate::addresses::{has, mailserver};
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{PASSWORD, Talk, config, run};
use crate::relay::base64;
use crate::trust::key;
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Addresses, Protocol, Server};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// The address that else.test sends from. Servers here send from 127.0.0.1.
const ELSEWHERE: &str = "127.0.0.3";

/// Two servers that know the way to each other, and to an exchanger for all others. The first passes mail on, the second
/// refuses what fails SPF.
struct World {
    one: Server,
    two: Server,
    exchanger: Exchanger,
    /// The key of one.test, as dkimpy reads it.
    records: std::path::PathBuf,
    data: [TempDir; 2],
    _dns: DnsServer,
}

async fn world(forward: &str) -> World {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (record, lines) = key(&data[0], "one.test", "r1", " --rsa").await;
    let (second, second_lines) = key(&data[1], "two.test", "r2", " --rsa").await;
    let records = data[0].path().join("records");
    let both = format!("r1._domainkey.one.test {record}\nr2._domainkey.two.test {second}\n");
    std::fs::write(&records, both).unwrap();
    let zone = Zone::new("test")
        .txt("r1._domainkey.one", &record)
        .txt("r2._domainkey.two", &second)
        .txt("one", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.one", "v=DMARC1; p=reject")
        .txt("two", "v=spf1 ip4:127.0.0.1 -all")
        .txt("else", "v=spf1 ip4:127.0.0.3 -all")
        .txt("first", "v=spf1 ip4:127.0.0.3 -all");
    let dns = DnsServer::start([zone]);
    let ports = [port(), port(), port()];
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, ports[2], Manner::Good).await;
    let route = |domain: &str, port: u16| {
        format!(
            "[[relay.routes]]\ndomains = [\"{domain}\"]\nhosts = [\"smtp+clear://127.0.0.1:{port}\"]\n"
        )
    };
    let start = |nth: usize, domain: &str, checks: &str, rest: String| {
        let more = format!(
            "[auth]\nplaintext = \"always\"\n{checks}\n{rest}\n[relay]\nretry = [\"300ms\"]\ndns = [\"{}\"]\n{}{}{}",
            dns.address(),
            route("one.test", ports[0]),
            route("two.test", ports[1]),
            route("*", ports[2])
        );
        let mut config = config(data[nth].path(), domain, &more);
        config.listen.smtp = Addresses::One(format!("127.0.0.1:{}", ports[nth]));
        Server::start(config)
    };
    let one = start(0, "one.test", "[checks]", format!("{forward}\n{lines}")).await;
    let two = start(1, "two.test", "[checks]\nspf = \"reject\"", second_lines).await;
    let world = World {
        one: one.unwrap(),
        two: two.unwrap(),
        exchanger,
        records,
        data,
        _dns: dns,
    };
    for account in ["bob@one.test", "lost@one.test"] {
        let accounts = world.one.accounts();
        accounts.add(account, PASSWORD).await.unwrap();
    }
    for account in ["carol@two.test", "dave@two.test"] {
        let accounts = world.two.accounts();
        accounts.add(account, PASSWORD).await.unwrap();
    }
    world
        .command(0, "forward set bob@one.test carol@two.test --no-copy")
        .await;
    world
        .command(0, "forward set lost@one.test nobody@two.test --no-copy")
        .await;
    world
}

impl World {
    async fn command(&self, nth: usize, command: &str) {
        let domain = ["one.test", "two.test"][nth];
        let (ok, said) = mailserver(self.data[nth].path(), domain, command).await;
        assert!(ok, "{said}");
    }

    fn at(&self) -> SocketAddr {
        self.one.address(Protocol::Smtp).unwrap()
    }

    async fn stop(self) {
        self.one.stop().await;
        self.two.stop().await;
    }
}

/// What the first server answers to a message from elsewhere: the reply to RCPT where that is refused, else the last one.
async fn sent(at: SocketAddr, from: &str, to: &str, subject: &str) -> String {
    let mut talk = Talk::from(ELSEWHERE, at).await;
    talk.send(&format!(
        "EHLO mail.else.test\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\n"
    ))
    .await;
    talk.until("220").await;
    talk.until("250 ").await;
    talk.line().await;
    let rcpt = talk.line().await;
    if !rcpt.starts_with("250") {
        return rcpt;
    }
    talk.send(&format!(
        "DATA\r\nFrom: ann@else.test\r\nSubject: {subject}\r\n\r\nHello.\r\n.\r\n"
    ))
    .await;
    talk.until("354").await;
    talk.line().await
}

/// The address in Return-Path.
fn return_path(message: &str) -> String {
    let (path, _) = message
        .strip_prefix("Return-Path: <")
        .and_then(|rest| rest.split_once('>'))
        .expect(message);
    path.to_owned()
}

/// What dkimpy says of the signatures and of the chain of a message.
async fn dkimpy(records: &Path, message: &str) -> String {
    let script = "import os, sys\n\
        sys.path.insert(0, os.environ['PACKAGES'])\n\
        import dkim\n\
        records = dict(line.split(' ', 1) for line in open(os.environ['RECORDS']).read().splitlines())\n\
        dns = lambda name, timeout=5: records.get(name.decode().rstrip('.'), '').encode() or None\n\
        message = sys.stdin.buffer.read()\n\
        one = dkim.DKIM(message)\n\
        def verified(idx):\n    try:\n        return one.verify(idx=idx, dnsfunc=dns)\n    except dkim.DKIMException:\n        return False\n\
        count = sum(name.lower() == b'dkim-signature' for name, value in one.headers)\n\
        print('dkim', *[verified(idx) for idx in range(count)])\n\
        print('arc', dkim.arc_verify(message, dnsfunc=dns)[0].decode())\n";
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients/python");
    let setting = |name: &str, path: &Path| format!("{name}={}", path.display());
    let arguments = [
        &setting("PACKAGES", &packages),
        &setting("RECORDS", records),
        "python3",
        "-c",
        script,
    ];
    let (ok, said) = run("env", &arguments, message).await;
    assert!(ok, "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_passed_on_passes_spf_bears_a_seal_and_its_notifications_find_back() {
    let world = world("").await;
    let said = sent(world.at(), "ann@else.test", "bob@one.test", "round").await;
    assert!(said.starts_with("250"), "{said}");
    let carol = has(&world.two, "carol@two.test", 1).await.remove(0);
    let path = return_path(&carol);
    assert!(path.starts_with("SRS0="), "{carol}");
    assert!(path.ends_with("=else.test=ann@one.test"), "{carol}");
    let results = carol.split("Authentication-Results: localhost;").nth(1);
    let results = results.expect(&carol);
    for passed in ["spf=pass", "arc=pass"] {
        assert!(results.contains(passed), "{passed}: {carol}");
    }
    // What the first server found out is in its seal.
    let (_, found) = carol
        .split_once("ARC-Authentication-Results: i=1; localhost;")
        .expect(&carol);
    assert!(found.contains("smtp.mailfrom=ann@else.test"), "{carol}");
    let (_, message) = carol.split_once("\r\n").unwrap();
    let said = dkimpy(&world.records, message).await;
    assert_eq!(said, "dkim\narc pass\n", "{carol}");
    // A notification comes back, and goes on to the first sender; nothing else does.
    let said = sent(world.at(), "", &path, "bounced").await;
    assert!(said.starts_with("250"), "{said}");
    world
        .exchanger
        .takes("bounced", Duration::from_secs(20))
        .await;
    let said = sent(world.at(), "eve@else.test", &path, "spam").await;
    assert!(said.starts_with("550 5.7.1 "), "{said}");
    for forged in [
        path.replace("=ann@", "=eve@"),
        path.replace("=else.test=", "=first.test="),
        "SRS0=aaaaaaaa=aa=else.test=ann@one.test".to_owned(),
    ] {
        let said = sent(world.at(), "", &forged, "forged").await;
        assert!(said.starts_with("550 5.1.1 "), "{forged}: {said}");
    }
    assert_eq!(world.exchanger.seen.lock().unwrap().messages.len(), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_forwarders_make_a_chain_of_seals_and_the_second_shortens_the_path() {
    let world = world("").await;
    world
        .command(1, "forward set carol@two.test x@out.test")
        .await;
    let first = "SRS0=hash=aa=origin.test=ann@first.test";
    let said = sent(world.at(), first, "bob@one.test", "chain").await;
    assert!(said.starts_with("250"), "{said}");
    let carol = has(&world.two, "carol@two.test", 1).await.remove(0);
    let path = return_path(&carol);
    assert!(path.starts_with("SRS1="), "{carol}");
    assert!(
        path.ends_with("=first.test==hash=aa=origin.test=ann@one.test"),
        "{carol}"
    );
    world
        .exchanger
        .takes("chain", Duration::from_secs(20))
        .await;
    let sent_on = world.exchanger.seen.lock().unwrap().messages[0].1.clone();
    assert!(
        sent_on.contains("ARC-Seal: i=2;") && sent_on.contains("cv=pass"),
        "{sent_on}"
    );
    let said = dkimpy(&world.records, &sent_on.replace('\n', "\r\n")).await;
    assert_eq!(said, "dkim\narc pass\n", "{sent_on}");
    // Its copy here has no seal of this server.
    assert!(!carol.contains("i=2;"), "{carol}");
    // The notification goes to the first forwarder, which knows whose it is.
    let said = sent(world.at(), "", &path, "bounced").await;
    assert!(said.starts_with("250"), "{said}");
    world
        .exchanger
        .takes("bounced", Duration::from_secs(20))
        .await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servers_own_notifications_are_signed_and_reach_the_first_sender() {
    let world = world("").await;
    let mut talk = Talk::new(world.two.address(Protocol::Submission).unwrap()).await;
    let plain = base64(format!("\0dave@two.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<dave@two.test>\r\nRCPT TO:<lost@one.test>\r\nDATA\r\n\
         From: dave@two.test\r\nSubject: lost\r\n\r\nHello.\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
    // The first server passes it on, is refused, and notifies the sender behind the path that it had made.
    let dave = has(&world.two, "dave@two.test", 1).await.remove(0);
    assert!(dave.contains("rfc822; nobody@two.test"), "{dave}");
    assert!(
        dave.contains("From: Mail Delivery System <postmaster@one.test>"),
        "{dave}"
    );
    for passed in ["dkim=pass header.d=one.test", "dmarc=pass"] {
        assert!(dave.contains(passed), "{passed}: {dave}");
    }
    assert_eq!(dave.matches("Return-Path:").count(), 1, "{dave}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_and_seals_may_be_left_alone() {
    let world = world("[forward]\nsrs = false\nseal = false").await;
    let said = sent(world.at(), "ann@else.test", "bob@one.test", "plain").await;
    assert!(said.starts_with("250"), "{said}");
    // SPF fails for it: its sender hears of that.
    let subject = "Undelivered mail returned to sender";
    world
        .exchanger
        .takes(subject, Duration::from_secs(20))
        .await;
    let text = world.exchanger.seen.lock().unwrap().messages[0].1.clone();
    assert!(text.contains("550 5.7.23 "), "{text}");
    assert!(!text.contains("ARC-Seal"), "{text}");
    assert!(!world.data[0].path().join("srs").exists());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signature_survives_a_server_without_8bitmime() {
    for (setting, expected) in [
        ("", "dkim True\n"),
        ("[senders]\nseven_bit = false", "dkim False\n"),
    ] {
        let world = world(setting).await;
        let mut talk = Talk::new(world.one.address(Protocol::Submission).unwrap()).await;
        let plain = base64(format!("\0bob@one.test\0{PASSWORD}").as_bytes());
        talk.send(&format!(
            "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<bob@one.test> BODY=8BITMIME\r\nRCPT TO:<x@out.test>\r\nDATA\r\n\
             From: bob@one.test\r\nSubject: eight\r\nMIME-Version: 1.0\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nThe caf\u{e9} opens.\r\n.\r\nQUIT\r\n"
        ))
        .await;
        let said = talk.rest().await;
        assert!(said.contains("250 2.0.0 Accepted"), "{said}");
        world
            .exchanger
            .takes("eight", Duration::from_secs(20))
            .await;
        let sent_on = world.exchanger.seen.lock().unwrap().messages[0].1.clone();
        assert!(
            sent_on.is_ascii() && sent_on.contains("caf=C3=A9"),
            "{sent_on}"
        );
        let said = dkimpy(&world.records, &sent_on.replace('\n', "\r\n")).await;
        assert!(said.starts_with(expected), "{said}: {sent_on}");
        world.stop().await;
    }
}
