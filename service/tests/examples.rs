//! The examples, driven by programs that nobody here wrote: Python's imaplib, poplib and smtplib.

#![allow(
    clippy::duplicate_mod,
    reason = "each example has the store of its own"
)]

#[path = "../examples/imap.rs"]
#[allow(unreachable_pub, reason = "it is a program of its own")]
mod imap;
#[path = "../examples/pop3.rs"]
#[allow(unreachable_pub, reason = "it is a program of its own")]
mod pop3;
#[path = "../examples/reception.rs"]
#[allow(unreachable_pub, reason = "it is a program of its own")]
mod reception;

use hikyaku_mailstore::{Blocking, Store, Want, Which};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::process::Command;

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

/// Runs a script with that port; what it prints.
async fn python(script: &str, port: &str) -> String {
    let mut command = Command::new("python3");
    command.args(["-c", script, port]).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(30), command.output());
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imap_server_over_a_store_of_ones_own() {
    let (listener, port) = listener().await;
    let store = Blocking::start(imap::sorted::Sorted::default()).unwrap();
    tokio::spawn(imap::serve(listener, Arc::new(store)));
    let script = r#"
import imaplib, sys
server = imaplib.IMAP4("127.0.0.1", int(sys.argv[1]))
try:
    server.login("alice@example.org", "wrong")
    raise SystemExit("a wrong password was right")
except imaplib.IMAP4.error:
    pass
server.login("alice@example.org", "sesame")
server.append("INBOX", r"(\Flagged)", None, b"Subject: hello\r\n\r\nfriend\r\n")
server.select("INBOX")
print(server.search(None, "FLAGGED", "SUBJECT", "hello")[1])
print(server.fetch("1", "(FLAGS BODY.PEEK[TEXT])")[1][0])
server.store("1", "+FLAGS", r"(\Deleted)")
server.expunge()
print(server.search(None, "ALL")[1])
server.logout()
"#;
    let said = python(script, &port).await;
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "[b'1']", "{said}");
    assert!(
        lines[1].contains("friend") && lines[1].contains(r"\\Flagged"),
        "{said}"
    );
    assert_eq!(lines[2], "[b'']", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pop3_server_over_a_store_of_ones_own() {
    let (listener, port) = listener().await;
    let store = Blocking::start(pop3::sorted::Sorted::default()).unwrap();
    tokio::spawn(pop3::serve(listener, Arc::new(store)));
    let script = r#"
import poplib, sys
server = poplib.POP3("127.0.0.1", int(sys.argv[1]))
server.user("alice@example.org")
server.pass_("sesame")
print(server.stat(), sorted(server.capa())[:2])
server.quit()
"#;
    let said = python(script, &port).await;
    assert_eq!(said.trim(), "(0, 0) ['AUTH-RESP-CODE', 'EXPIRE']");
}

#[tokio::test(flavor = "multi_thread")]
async fn smtp_reception_into_a_store_of_ones_own() {
    let (listener, port) = listener().await;
    let store = reception::sorted::Sorted::default();
    let store: Arc<dyn Store> = Arc::new(Blocking::start(store).unwrap());
    tokio::spawn(reception::serve(listener, Arc::clone(&store)));
    let script = r#"
import smtplib, sys
server = smtplib.SMTP("127.0.0.1", int(sys.argv[1]))
message = "Subject: hello\r\n\r\nfriend\r\n"
print(server.sendmail("bob@example.net", ["Alice+x@EXAMPLE.org", "x@example.org"], message))
try:
    server.sendmail("bob@example.net", ["carol@example.com"], message)
except smtplib.SMTPRecipientsRefused as error:
    print(error.recipients)
server.quit()
"#;
    let said = python(script, &port).await;
    assert!(said.contains("'x@example.org': (550,"), "{said}");
    assert!(said.contains("Relaying denied"), "{said}");
    let (_, inbox) = store
        .find("alice@example.org", "INBOX")
        .await
        .unwrap()
        .unwrap();
    let page = store
        .messages(inbox.id, &Which::After(None), Want::ROW, 9)
        .await
        .unwrap();
    let [row] = page.rows.as_slice() else {
        panic!("{page:?}");
    };
    let octets = store.read(&row.body, 0..row.body.octets).await.unwrap();
    let text = String::from_utf8_lossy(&octets);
    assert!(
        text.starts_with("Return-Path: <bob@example.net>\r\nReceived: from "),
        "{text}"
    );
    assert!(text.ends_with("Subject: hello\r\n\r\nfriend\r\n"), "{text}");
}
