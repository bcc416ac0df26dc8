//! DMARC's aggregate reports: counted, sent and read by another server, and those of others in the shapes that they have.

use crate::addresses::{has, mailserver};
use crate::exchanger::port;
use crate::harness::{PASSWORD, Talk, config, run};
use crate::relay::base64;
use crate::trust::{key, reception};
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Addresses, Config, Protocol, Server};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Seconds of a day.
const DAY: i64 = 86_400;

/// Counts of a day, as a server that stops leaves them, moved some days back: then they are due.
fn age(data: &Path, days: i64) {
    let folder = data.join("dmarc-counts");
    let files = std::fs::read_dir(&folder).unwrap();
    let names: Vec<_> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let day: i64 = name.strip_suffix(".json").unwrap().parse().unwrap();
    let older = folder.join(format!("{}.json", day - days));
    std::fs::rename(folder.join(name), older).unwrap();
}

/// Repeats the command until what it prints has that.
async fn table(data: &Path, domain: &str, command: &str, what: &str) -> String {
    let began = Instant::now();
    loop {
        let (_, said) = mailserver(data, domain, command).await;
        if said.contains(what) {
            return said;
        }
        let late = began.elapsed() > Duration::from_secs(20);
        assert!(!late, "{what} is not in {said}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The numbers in the line of an address.
fn row(table: &str, address: &str) -> Vec<u64> {
    let line = table.lines().find(|line| line.starts_with(address));
    let words = line.expect(table).split_whitespace().skip(1);
    words.map(|word| word.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_server_counts_another_reads() {
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (record, lines) = key(&data[0], "one.test", "r1", " --rsa").await;
    // Reports about two.test go to itself, to others that say they want them, and to nobody else.
    let zone = Zone::new("test")
        .txt("r1._domainkey.one", &record)
        .txt("one", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.one", "v=DMARC1; p=reject")
        .txt("two", "v=spf1 ip4:127.0.0.3 -all")
        .txt(
            "_dmarc.two",
            "v=DMARC1; p=quarantine; rua=mailto:dmarc@two.test,mailto:a@wants.two.test!100,mailto:x@victim.test",
        );
    let dns = DnsServer::start([zone]);
    let ports = [port(), port()];
    let settings = |nth: usize, domain: &str, more: String| -> Config {
        let other = ["two.test", "one.test"][nth];
        let more = format!(
            "[auth]\nplaintext = \"always\"\n[checks]\n{more}\n[relay]\ndns = [\"{}\"]\nretry = [\"300ms\"]\n\
             [[relay.routes]]\ndomains = [\"{other}\"]\nhosts = [\"smtp+clear://127.0.0.1:{}\"]\n",
            dns.address(),
            ports[1 - nth]
        );
        let mut config = config(data[nth].path(), domain, &more);
        config.listen.smtp = Addresses::One(format!("127.0.0.1:{}", ports[nth]));
        config
    };
    let reports = format!("dmarc_reports = \"reports@one.test\"\n{lines}");
    let one = Server::start(settings(0, "one.test", reports.clone()))
        .await
        .unwrap();
    let two = Server::start(settings(1, "two.test", String::new()))
        .await
        .unwrap();
    one.accounts().add("bob@one.test", PASSWORD).await.unwrap();
    two.accounts()
        .add("dmarc@two.test", PASSWORD)
        .await
        .unwrap();
    // Two messages that pass, and one that does not.
    for (source, expected) in [("127.0.0.3", 2), ("127.0.0.1", 1)] {
        for _ in 0..expected {
            let mut talk = Talk::from(source, one.address(Protocol::Smtp).unwrap()).await;
            talk.send(
                "EHLO mail.two.test\r\nMAIL FROM:<ann@two.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\n\
                 From: ann@two.test\r\nSubject: x\r\n\r\ny\r\n.\r\nQUIT\r\n",
            )
            .await;
            let said = talk.rest().await;
            assert!(said.contains("250 2.0.0 Accepted"), "{said}");
        }
    }
    one.stop().await;
    // The day of these is over.
    age(data[0].path(), 1);
    let one = Server::start(settings(0, "one.test", reports))
        .await
        .unwrap();
    let report = has(&two, "dmarc@two.test", 1).await.remove(0);
    for part in [
        "Return-Path: <reports@one.test>",
        "Subject: Report Domain: two.test",
        "Submitter: one.test",
        "Report-ID: <",
        "application/gzip",
        "dkim=pass header.d=one.test",
        "dmarc=pass",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let now = hikyaku_mailstore::unix_now();
    let begin = (now.div_euclid(DAY) - 1) * DAY;
    let name = format!("one.test!two.test!{begin}!{}.xml.gz", begin + DAY - 1);
    // It is folded, where it is long.
    let plain: String = report.split_whitespace().collect();
    assert!(plain.contains(&name), "{name}: {report}");
    // What it said is known there at once.
    let said = table(data[1].path(), "two.test", "dmarc", "127.0.0.3").await;
    assert!(
        said.starts_with("two.test: 1 report of one.test\n"),
        "{said}"
    );
    assert_eq!(row(&said, "127.0.0.3"), [2, 2, 0, 2, 0, 0], "{said}");
    assert_eq!(row(&said, "127.0.0.1"), [1, 0, 0, 0, 1, 0], "{said}");
    // Neither whoever has no room for it nor the victim was to get one, and nothing is left of the day.
    for address in ["a@wants.two.test", "x@victim.test"] {
        let (_, said) = mailserver(data[0].path(), "one.test", &format!("trace {address}")).await;
        assert!(said.contains("nothing is known"), "{said}");
    }
    assert!(one.store().queue(None, 9).await.unwrap().is_empty());
    one.stop().await;
    let left = std::fs::read_dir(data[0].path().join("dmarc-counts")).unwrap();
    let yesterday = format!("{}.json", begin / DAY);
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| *name != *yesterday), "{left:?}");
    two.stop().await;
}

/// A report about two.test, as its schema has it (RFC 7489, appendix C).
fn xml(organization: &str, id: &str, address: &str, count: u32) -> String {
    let end = hikyaku_mailstore::unix_now() - 3600;
    let begin = end - DAY;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback><report_metadata><org_name>{organization}</org_name>\
         <email>noreply@{organization}</email><report_id>{id}</report_id><date_range><begin>{begin}</begin>\
         <end>{end}</end></date_range></report_metadata><policy_published><domain>two.test</domain><adkim>r</adkim>\
         <aspf>r</aspf><p>none</p><sp>none</sp><pct>100</pct></policy_published><record><row>\
         <source_ip>{address}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>two.test</header_from>\
         </identifiers><auth_results><dkim><domain>two.test</domain><result>pass</result></dkim></auth_results>\
         </record></feedback>"
    )
}

/// Packs a text with Python's `gzip` or `zipfile`; in base64, in lines.
async fn packed(kind: &str, name: &str, text: &str) -> String {
    let script = "import base64, gzip, io, sys, zipfile\n\
        text, (kind, name) = sys.stdin.buffer.read(), sys.argv[1:]\n\
        room = io.BytesIO()\n\
        if kind == 'zip':\n    zipfile.ZipFile(room, 'w', zipfile.ZIP_DEFLATED).writestr(name, text)\n    text = room.getvalue()\n\
        if kind == 'gzip':\n    text = gzip.compress(text)\n\
        sys.stdout.write(base64.encodebytes(text).decode())\n";
    // A shell keeps the line breaks of the script.
    let (ok, said) = run("python3", &["-c", script, kind, name], text).await;
    assert!(ok, "{said}");
    said.replace('\n', "\r\n").trim_end().to_owned()
}

/// A server that reads reports about two.test.
async fn reader(data: &TempDir, dns: &DnsServer) -> Server {
    let more = format!("[checks]\n[relay]\ndns = [\"{}\"]\n", dns.address());
    let server = Server::start(config(data.path(), "two.test", &more))
        .await
        .unwrap();
    for account in ["dmarc@two.test", "bob@two.test"] {
        server.accounts().add(account, PASSWORD).await.unwrap();
    }
    server
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_read_in_the_shapes_that_others_send() {
    let zone = Zone::new("test")
        .txt("google", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.google", "v=DMARC1; p=reject")
        // Not all who report have a record themselves.
        .txt("plain", "v=spf1 ip4:127.0.0.1 -all")
        .txt("_dmarc.strict", "v=DMARC1; p=none")
        .txt("_dmarc.two", "v=DMARC1; p=none; rua=mailto:Dmarc@two.test");
    let dns = DnsServer::start([zone]);
    let data = tempfile::tempdir().unwrap();
    let server = reader(&data, &dns).await;
    let at = server.address(Protocol::Smtp).unwrap();
    let zip = packed(
        "zip",
        "google.test!two.test!1!2.xml",
        &xml("google.test", "1", "192.0.2.1", 5),
    )
    .await;
    // A zip that is the whole message.
    let google = format!(
        "From: noreply@google.test\r\nSubject: Report domain: two.test Submitter: google.test Report-ID: 1\r\n\
         MIME-Version: 1.0\r\nContent-Type: application/zip; name=\"google.test!two.test!1!2.zip\"\r\n\
         Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n{zip}"
    );
    // A gzip beside a text in HTML.
    let gzip = packed("gzip", "", &xml("Mail.example", "2", "192.0.2.1", 7)).await;
    let microsoft = |from: &str, gzip: &str| {
        format!(
            "From: \"DMARC\" <{from}>\r\nSubject: =?utf-8?B?{}?=\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/mixed; boundary=\"_m_\"\r\n\r\n--_m_\r\nContent-Type: multipart/related; boundary=\"_r_\"\r\n\r\n\
             --_r_\r\nContent-Type: text/html; charset=us-ascii\r\n\r\n<div>A report</div>\r\n--_r_--\r\n\
             --_m_\r\nContent-Type: application/gzip; name=\"a!two.test!1!2.xml.gz\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{gzip}\r\n--_m_--",
            base64(b"Report Domain: two.test Submitter: mail.example")
        )
    };
    let bomb = packed("gzip", "", &" ".repeat(30 << 20)).await;
    let outside = packed(
        "gzip",
        "",
        &xml("other.test", "3", "192.0.2.9", 9).replace("two.test", "one.test"),
    )
    .await;
    let forged = packed("gzip", "", &xml("google.test", "9", "192.0.2.9", 9)).await;
    for (from, to, message) in [
        ("a@google.test", "dmarc@two.test", google.clone()),
        // Twice is once.
        ("a@google.test", "dmarc@two.test", google),
        (
            "a@plain.test",
            "dmarc@two.test",
            microsoft("a@plain.test", &gzip),
        ),
        // None of these counts: unpacked too large, about another domain, not from whom it says, from nobody who can be known, to
        // somebody else.
        (
            "a@plain.test",
            "dmarc@two.test",
            microsoft("a@plain.test", &bomb),
        ),
        (
            "a@plain.test",
            "dmarc@two.test",
            microsoft("a@plain.test", &outside),
        ),
        (
            "a@plain.test",
            "dmarc@two.test",
            microsoft("a@strict.test", &forged),
        ),
        (
            "a@nobody.test",
            "dmarc@two.test",
            microsoft("a@nobody.test", &forged),
        ),
        (
            "a@plain.test",
            "bob@two.test",
            microsoft("a@plain.test", &forged),
        ),
    ] {
        let said = reception(at, from, to, &message).await;
        assert!(said.starts_with("250"), "{from} {to}: {said}");
    }
    // Each is in its mailbox all the same, and the last one is read after the others.
    let last = packed("", "", &xml("last.test", "4", "192.0.2.2", 1)).await;
    let said = reception(
        at,
        "a@plain.test",
        "dmarc@two.test",
        &microsoft("a@plain.test", &last),
    )
    .await;
    assert!(said.starts_with("250"), "{said}");
    has(&server, "dmarc@two.test", 8).await;
    let said = table(
        data.path(),
        "two.test",
        "dmarc --domain Two.test",
        "last.test",
    )
    .await;
    assert!(
        said.starts_with("two.test: 3 reports of Mail.example, google.test, last.test\n"),
        "{said}"
    );
    assert_eq!(row(&said, "192.0.2.1"), [12, 0, 12, 12, 0, 0], "{said}");
    assert!(!said.contains("192.0.2.9"), "{said}");
    let (ok, said) = mailserver(data.path(), "two.test", "dmarc --domain one.test --days 30").await;
    assert!(
        !ok && said.contains("no reports of the last 30 days"),
        "{said}"
    );
    server.stop().await;
}
