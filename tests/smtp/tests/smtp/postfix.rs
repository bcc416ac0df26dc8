//! Postfix as the other provider, both ways.

use hikyaku_smtp_programs::{House, Postfix, Sink, run};
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::Protocol;
use std::time::Duration;

/// A message that every fault of dots, lines and encodings would show in.
pub(crate) const MESSAGE: &str = "From: alice@example.test\r\nTo: carol@postfix.test\r\nSubject: =?utf-8?B?6aOb6ISa?=\r\n\
     MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
     .\r\n..\r\n.dot\r\n\r\n飛脚 äöü\r\nFrom the beginning\r\n\ttab and space \r\n\r\nend\r\n";

/// What follows the header section of [`MESSAGE`].
fn body() -> String {
    let (_, body) = MESSAGE.split_once("\r\n\r\n").unwrap();
    body.replace("\r\n", "\n")
}

fn zones() -> [Zone; 1] {
    [Zone::new("postfix.test").mx(10, "mx").a("mx", "127.0.0.1")]
}

/// A server whose mail to `postfix.test` goes to that port, as DNS says.
pub(crate) async fn house(dns: &DnsServer, port: u16, more: &str) -> House {
    House::with(&format!(
        "[relay]\ndns = [\"{}\"]\nport = {port}\nretry = [\"500ms\"]\n{more}",
        dns.address()
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_finds_postfix_by_its_mx_and_delivers_to_its_mailboxes() {
    let Some(postfix) = Postfix::start("") else {
        return;
    };
    let dns = DnsServer::start(zones());
    let house = house(&dns, postfix.smtp, "").await;
    let to = "carol@postfix.test,dave@postfix.test,nobody@postfix.test";
    house.submit(to, MESSAGE, &["BODY=8BITMIME"], &[]).await;
    for name in ["carol", "dave"] {
        let mail = postfix.gets(name, 1).await;
        let (head, text) = mail[0].split_once("\n\n").unwrap();
        assert_eq!(text, body(), "{}", mail[0]);
        assert!(head.contains("Return-Path: <alice@example.test>"), "{head}");
        assert!(head.contains("Subject: =?utf-8?B?6aOb6ISa?="), "{head}");
    }
    // Whom Postfix does not know comes back.
    let mail = house.gets("alice", 1).await;
    assert!(
        mail[0].contains("Final-Recipient: rfc822; nobody@postfix.test"),
        "{}",
        mail[0]
    );
    assert!(mail[0].contains("Status: 5.1.1"), "{}", mail[0]);
    assert!(
        mail[0].contains("Remote-MTA: dns; mx.postfix.test"),
        "{}",
        mail[0]
    );
    house.empties().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_hands_on_what_ours_gives_it() {
    let sink = Sink::start(&[]);
    let further = format!(
        "transport_maps = inline:{{far.test=smtp:[127.0.0.1]:{}}}",
        sink.port
    );
    let Some(postfix) = Postfix::start(&further) else {
        return;
    };
    let dns = DnsServer::start([Zone::new("far.test").mx(10, "mx").a("mx", "127.0.0.1")]);
    let house = house(&dns, postfix.smtp, "").await;
    house
        .submit("x@far.test", MESSAGE, &["BODY=8BITMIME"], &[])
        .await;
    let taken = sink.takes(1, Duration::from_secs(30)).await;
    assert!(
        taken[0].mail.starts_with("<alice@example.test>"),
        "{taken:?}"
    );
    assert_eq!(taken[0].rcpt.len(), 1, "{taken:?}");
    assert!(taken[0].rcpt[0].starts_with("<x@far.test>"), "{taken:?}");
    assert!(taken[0].message.contains(&body()), "{taken:?}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_delivers_to_our_mailboxes_over_tls() {
    let house = House::with("").await;
    let smtp = house.port(Protocol::Smtp);
    let ca = house.ca();
    // TLS is a must, with our certificate checked: the policy of a partner.
    let more = format!(
        "transport_maps = inline:{{example.test=smtp:[localhost]:{smtp}}}\nsmtp_tls_security_level = verify\n\
         smtp_tls_verify_cert_match = hostname\nsmtp_tls_CAfile = {}",
        ca.display()
    );
    let Some(postfix) = Postfix::start(&more) else {
        return;
    };
    let server = format!("127.0.0.1:{}", postfix.smtp);
    let to = "bob@example.test,alice@example.test,nobody@example.test";
    let swaks = [
        "--server",
        &*server,
        "--from",
        "carol@postfix.test",
        "--to",
        to,
        "--data",
        "-",
    ];
    let done = run(
        "swaks",
        &swaks,
        &MESSAGE.replace("alice@example.test", "carol@postfix.test"),
    )
    .await;
    assert_eq!(done.code, 0, "{}", done.said);
    for name in ["alice", "bob"] {
        let mail = house.gets(name, 1).await;
        assert!(
            mail[0].replace("\r\n", "\n").contains(&body()),
            "{}",
            mail[0]
        );
        assert!(
            mail[0].starts_with("Return-Path: <carol@postfix.test>\r\n"),
            "{}",
            mail[0]
        );
        assert!(mail[0].contains("with ESMTPS id"), "{}", mail[0]);
    }
    // Whom we do not know Postfix returns.
    let mail = postfix.gets("carol", 1).await;
    assert!(
        mail[0].contains("550 5.1.1 No such mailbox here"),
        "{}",
        mail[0]
    );
    assert!(mail[0].contains("nobody@example.test"), "{}", mail[0]);
    house.server.stop().await;
}

/// RFC 6531, both ways.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn international_mail_goes_both_ways() {
    let smtp = hikyaku_smtp_programs::free_port();
    let dns = DnsServer::start(zones());
    let house = house(&dns, smtp, "").await;
    let more = format!(
        "smtputf8_enable = yes\nvirtual_mailbox_maps = inline:{{例@postfix.test=carol/}}\n\
         transport_maps = inline:{{example.test=smtp:[127.0.0.1]:{}}}",
        house.port(Protocol::Smtp)
    );
    let Some(postfix) = Postfix::with(smtp, &[], &more) else {
        return;
    };
    let message = "From: alice@example.test\r\nTo: 例@postfix.test\r\nSubject: 飛脚\r\n\r\nÄ\r\n";
    let options = ["SMTPUTF8", "BODY=8BITMIME"];
    house
        .submit("例@postfix.test", message, &options, &[])
        .await;
    let mail = postfix.gets("carol", 1).await;
    assert!(mail[0].contains("\nSubject: 飛脚\n"), "{}", mail[0]);
    assert!(mail[0].contains("\nTo: 例@postfix.test\n"), "{}", mail[0]);
    let script = "import smtplib, sys\n\
         s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
         s.sendmail('例@postfix.test', ['bob@example.test'], sys.stdin.buffer.read(), ['SMTPUTF8', 'BODY=8BITMIME'])\n\
         s.quit()\n";
    let message = message.replace("alice@example.test", "例@postfix.test");
    let done = run("python3", &["-c", script, &smtp.to_string()], &message).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let mail = house.gets("bob", 1).await;
    assert!(
        mail[0].starts_with("Return-Path: <例@postfix.test>\r\n"),
        "{}",
        mail[0]
    );
    assert!(mail[0].contains("\r\nSubject: 飛脚\r\n"), "{}", mail[0]);
    assert!(mail[0].contains("with UTF8SMTP"), "{}", mail[0]);
    house.server.stop().await;
}
