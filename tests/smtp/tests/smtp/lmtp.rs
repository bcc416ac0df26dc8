//! LMTP: Postfix hands mail to us, and we hand it to smtp-sink on a socket.

use hikyaku_smtp_programs::{House, Postfix, Sink, run};
use mailserver::Protocol;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_hands_over_by_lmtp_and_each_recipient_has_an_answer_of_its_own() {
    let house = House::with("").await;
    let more = format!(
        "transport_maps = inline:{{example.test=lmtp:inet:127.0.0.1:{}}}",
        house.port(Protocol::Lmtp)
    );
    let Some(postfix) = Postfix::start(&more) else {
        return;
    };
    let accounts = house.server.accounts();
    // There is room for RCPT, which asks without a size, and none for the message.
    accounts.set_quota("bob@example.test", 300).await.unwrap();
    let server = format!("127.0.0.1:{}", postfix.smtp);
    let to = "alice@example.test,bob@example.test,nobody@example.test";
    let body = "x".repeat(500);
    let swaks = [
        "--server",
        &*server,
        "--from",
        "carol@postfix.test",
        "--to",
        to,
        "--body",
        &body,
    ];
    let done = run("swaks", &swaks, "").await;
    assert_eq!(done.code, 0, "{}", done.said);
    let mail = house.gets("alice", 1).await;
    assert!(mail[0].contains("with LMTP id"), "{}", mail[0]);
    // Nobody is returned, and bob waits.
    let returned = postfix.gets("carol", 1).await;
    assert!(
        returned[0].contains("Final-Recipient: rfc822; nobody@example.test"),
        "{}",
        returned[0]
    );
    assert!(
        !returned[0].contains("Final-Recipient: rfc822; bob@"),
        "{}",
        returned[0]
    );
    postfix.says("452 4.2.2 Mailbox full").await;
    accounts
        .set_quota("bob@example.test", 1 << 20)
        .await
        .unwrap();
    house.gets("bob", 1).await;
    house.gets("alice", 1).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_hands_over_by_lmtp_on_a_socket_and_on_a_port() {
    let (socket, port) = (Sink::on_socket(&["-L"]), Sink::start(&["-L"]));
    let route = |domain: &str, host: &str| {
        format!("[[relay.routes]]\ndomains = [\"{domain}\"]\nhosts = [\"{host}\"]\n")
    };
    let house = House::with(&format!(
        "{}{}",
        route(
            "socket.test",
            &format!("lmtp:{}", socket.socket().display())
        ),
        route("port.test", &format!("lmtp://127.0.0.1:{}", port.port))
    ))
    .await;
    let message = "From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n";
    let to = "a@socket.test,b@socket.test,a@port.test,b@port.test";
    house.submit(to, message, &[], &[]).await;
    for (sink, domain) in [(&socket, "socket.test"), (&port, "port.test")] {
        let taken = sink.takes(1, Duration::from_secs(30)).await;
        let mut rcpt = taken[0].rcpt.clone();
        rcpt.sort();
        assert_eq!(rcpt.len(), 2, "{taken:?}");
        for (path, name) in rcpt.iter().zip(["a", "b"]) {
            assert!(path.starts_with(&format!("<{name}@{domain}>")), "{taken:?}");
        }
    }
    house.empties().await;
    house.server.stop().await;
}

/// Who announces DSN notifies of deliveries. By LMTP we do neither, and Postfix does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_notifies_of_what_it_has_handed_over_by_lmtp() {
    let house = House::with("").await;
    let more = format!(
        "transport_maps = inline:{{example.test=lmtp:inet:127.0.0.1:{}}}",
        house.port(Protocol::Lmtp)
    );
    let Some(postfix) = Postfix::start(&more) else {
        return;
    };
    let script = "import smtplib, sys\n\
         s = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
         s.sendmail('carol@postfix.test', ['bob@example.test'], 'Subject: x\\r\\n\\r\\nx\\r\\n', ['ENVID=QQ1'], \
         ['NOTIFY=SUCCESS', 'ORCPT=rfc822;b@first.test'])\n\
         s.quit()\n";
    let done = run("python3", &["-c", script, &postfix.smtp.to_string()], "").await;
    assert_eq!(done.code, 0, "{}", done.said);
    house.gets("bob", 1).await;
    let mail = postfix.gets("carol", 1).await;
    for line in [
        "Original-Envelope-Id: QQ1",
        "Original-Recipient: rfc822;b@first.test",
        "Final-Recipient: rfc822; bob@example.test",
    ] {
        assert!(
            mail[0].contains(&format!("\n{line}\n")),
            "{line}: {}",
            mail[0]
        );
    }
    // Postfix of Debian 12 says that it has relayed it, later ones that it is delivered.
    let said = ["\nAction: delivered\n", "\nAction: relayed\n"];
    assert!(
        said.iter().any(|line| mail[0].contains(line)),
        "{}",
        mail[0]
    );
    house.server.stop().await;
}
