//! Mail to another domain: found through MX records, waiting while its server is down.

use crate::harness::{House, PASSWORD, Talk, config, run};
use mailserver::{Protocol, Server};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_waits_for_the_other_server_and_arrives() {
    let dns = crate::dns::serve("other.test").await;
    // A port for the other server, which is down at first.
    let other_data = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n"
    ))
    .await;
    let server = format!("127.0.0.1:{}", house.port(Protocol::Submission));
    let (ok, said) = run(
        "swaks",
        &[
            "--server",
            &server,
            "--auth",
            "PLAIN",
            "--auth-user",
            "alice@example.test",
            "--auth-password",
            PASSWORD,
            "--from",
            "alice@example.test",
            "--to",
            "dave@other.test,nobody@other.test",
            "--header",
            "Subject: over there",
        ],
        "",
    )
    .await;
    assert!(ok, "{said}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(house.server.store().queue(None, 10).await.unwrap().len(), 1);
    let mut other = config(other_data.path(), "other.test", "");
    // It knows dave before it can be asked for him.
    let elsewhere = Server::start(other.clone()).await.unwrap();
    let accounts = elsewhere.accounts();
    accounts.add("dave@other.test", PASSWORD).await.unwrap();
    elsewhere.stop().await;
    other.listen.smtp = mailserver::Addresses::One(format!("127.0.0.1:{port}"));
    let other = Server::start(other).await.unwrap();
    let inbox = |server: &Server| {
        let store = std::sync::Arc::clone(server.store());
        async move {
            let account = store.account("dave@other.test").await.unwrap().unwrap();
            store
                .mailboxes(account.id, None)
                .await
                .unwrap()
                .mailboxes
                .into_iter()
                .find(|m| m.name == "INBOX")
                .unwrap()
        }
    };
    for _ in 0..100 {
        if inbox(&other).await.messages == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(inbox(&other).await.messages, 1);
    // The recipient that there is not comes back as a notification.
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    alice
        .eventually("STATUS INBOX (MESSAGES)", "MESSAGES 1")
        .await;
    alice.imap("SELECT INBOX").await;
    let text = alice.imap("FETCH 1 BODY[]").await;
    assert!(
        text.contains("Final-Recipient: rfc822; nobody@other.test"),
        "{text}"
    );
    assert!(
        text.contains("Status: 5.1.1") && text.contains("Subject: over there"),
        "{text}"
    );
    assert!(
        house
            .server
            .store()
            .queue(None, 10)
            .await
            .unwrap()
            .is_empty()
    );
    other.stop().await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_handed_on_is_given_up_and_reported() {
    let dns = crate::dns::serve("other.test").await;
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"500ms\"]\nexpire = \"1s\"\n"
    ))
    .await;
    let mut submission = house.talk(Protocol::Submission).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    submission
        .send(&format!(
            "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<x@other.test>\r\n\
             RCPT TO:<x@nowhere.invalid>\r\nDATA\r\nSubject: lost\r\n\r\nx\r\n.\r\nQUIT\r\n"
        ))
        .await;
    let said = submission.rest().await;
    assert!(said.contains("250 2.0.0 Accepted"), "{said}");
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    alice
        .eventually("STATUS INBOX (MESSAGES)", "MESSAGES 2")
        .await;
    alice.imap("SELECT INBOX").await;
    let text = alice.imap("FETCH 1:2 BODY[TEXT]").await;
    assert!(
        text.contains("rfc822; x@other.test") && text.contains("Status: 5.4.7"),
        "{text}"
    );
    assert!(
        text.contains("rfc822; x@nowhere.invalid") && text.contains("Status: 5.1.2"),
        "{text}"
    );
    house.server.stop().await;
}

pub(crate) fn base64(octets: &[u8]) -> String {
    String::from_utf8(hikyaku_wire::encode_sasl(octets)).unwrap()
}

/// A server that offers STARTTLS and cannot do it, and that knows no SMTPUTF8. What it was sent as a
/// message goes to `messages`.
async fn broken_tls(messages: tokio::sync::mpsc::UnboundedSender<String>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
        while let Ok((stream, _)) = listener.accept().await {
            let messages = messages.clone();
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = tokio::io::BufReader::new(read).lines();
                let _ = write.write_all(b"220 broken\r\n").await;
                let mut message = None::<String>;
                while let Ok(Some(line)) = lines.next_line().await {
                    let verb = line.get(..4).unwrap_or("").to_ascii_uppercase();
                    let answer: &[u8] = match &mut message {
                        Some(text) if line == "." => {
                            let _ = messages.send(text.clone());
                            message = None;
                            b"250 2.0.0 taken\r\n"
                        }
                        Some(text) => {
                            text.push_str(&line);
                            text.push('\n');
                            continue;
                        }
                        None if verb == "EHLO" => {
                            b"250-broken\r\n250-PIPELINING\r\n250 STARTTLS\r\n"
                        }
                        None if verb == "STAR" => {
                            let _ = write.write_all(b"220 go\r\nthis is no TLS").await;
                            return;
                        }
                        None if verb == "DATA" => {
                            message = Some(String::new());
                            b"354 go\r\n"
                        }
                        None => b"250 ok\r\n",
                    };
                    if write.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_that_fails_is_done_without_and_smtputf8_is_not_sent_where_it_is_unknown() {
    let dns = crate::dns::serve("other.test").await;
    let (send, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let port = broken_tls(send).await;
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1s\"]\n"
    ))
    .await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    let mut submission = house.talk(Protocol::Submission).await;
    submission
        .send(&format!(
            "EHLO a\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test>\r\nRCPT TO:<x@other.test>\r\nDATA\r\n\
             Subject: in clear\r\n\r\n..dot\r\n.\r\nMAIL FROM:<alice@example.test> SMTPUTF8\r\n\
             RCPT TO:<あ@other.test>\r\nDATA\r\nSubject: あ\r\n\r\nx\r\n.\r\nQUIT\r\n"
        ))
        .await;
    let said = submission.rest().await;
    assert_eq!(said.matches("250 2.0.0 Accepted").count(), 2, "{said}");
    let message = tokio::time::timeout(Duration::from_secs(15), sent.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(
        message.contains("Subject: in clear") && message.contains("\n..dot\n"),
        "{message}"
    );
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    alice
        .eventually("STATUS INBOX (MESSAGES)", "MESSAGES 1")
        .await;
    alice.imap("SELECT INBOX").await;
    let text = alice.imap("FETCH 1 BODY[TEXT]").await;
    assert!(
        text.contains("Status: 5.6.7") && text.contains("あ@other.test"),
        "{text}"
    );
    house.server.stop().await;
}

/// Waits until the metrics page has that line.
pub(crate) async fn metric(house: &House, line: &str) {
    let began = Instant::now();
    loop {
        let mut talk = Talk::new(house.at(Protocol::Metrics)).await;
        talk.send("GET /metrics HTTP/1.1\r\n\r\n").await;
        let page = talk.rest().await;
        if page.lines().any(|one| one == line) {
            return;
        }
        let late = began.elapsed() > Duration::from_secs(20);
        assert!(!late, "{line} is not in {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
