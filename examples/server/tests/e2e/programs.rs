//! Debian's programs and Python's libraries.

use crate::harness::{House, PASSWORD, Talk, run};
use mailserver::Protocol;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_sends_reads_and_deletes() {
    let house = House::with("[limits]\nconnections_per_ip = 64\n").await;
    let script = r#"
import sys, ssl, smtplib, poplib, imaplib, os, hashlib
from email.message import EmailMessage
ca, password, submission, submissions, pop3s, pop3, imaps, imap = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
user = "alice@example.test"
big = os.urandom(25 * 1024 * 1024)
m = EmailMessage()
m["From"], m["To"], m["Subject"] = user, "bob@example.test", "big"
m.set_content("see attachment")
m.add_attachment(big, maintype="application", subtype="octet-stream", filename="big.bin")
s = smtplib.SMTP("localhost", int(submission))
s.starttls(context=tls)
s.login(user, password)
s.send_message(m)
s.quit()
s = smtplib.SMTP_SSL("localhost", int(submissions), context=tls)
s.login(user, password)
try:
    s.sendmail(user, ["nobody@example.test"], "x")
    raise SystemExit("an unknown recipient was accepted")
except smtplib.SMTPRecipientsRefused as e:
    assert e.recipients["nobody@example.test"][0] == 550
s.sendmail(user, ["bob@example.test"], "Subject: small\r\n\r\n.\r\n..\r\n")
s.quit()

import email, email.policy
def check(raw):
    got = email.message_from_bytes(raw, policy=email.policy.default)
    part = next(got.iter_attachments()).get_content()
    assert hashlib.sha256(part).digest() == hashlib.sha256(big).digest()

i = imaplib.IMAP4_SSL("localhost", int(imaps), ssl_context=tls)
i.login("bob@example.test", password)
assert i.select("INBOX")[1] == [b"2"]
typ, data = i.fetch("1", "(BODY.PEEK[])")
check(data[0][1])
typ, data = i.search(None, "SUBJECT", "small")
assert data == [b"2"], data
assert i.append("Drafts", "\\Draft", imaplib.Time2Internaldate(1e9), b"Subject: d\r\n\r\nx\r\n")[0] == "OK"
i.logout()
i = imaplib.IMAP4("localhost", int(imap))
i.starttls(tls)
i.authenticate("PLAIN", lambda _: b"\0bob@example.test\0" + password.encode())
i.logout()

p = poplib.POP3("localhost", int(pop3))
p.stls(tls)
p.user("bob@example.test")
p.pass_(password)
assert p.stat()[0] == 2
check(b"\r\n".join(p.retr(1)[1]))
assert p.retr(2)[1][-2:] == [b".", b".."], p.retr(2)
assert len(p.uidl()[1]) == 2 and p.top(2, 0)[1][-1] == b""
p.dele(1); p.dele(2)
p.quit()
p = poplib.POP3_SSL("localhost", int(pop3s), context=tls)
p.user("bob@example.test")
p.pass_(password)
assert p.stat() == (0, 0), p.stat()
p.quit()
print("fine")
"#;
    let port = |service| house.port(service);
    let ca = house.ca();
    let (ok, said) = run(
        "python3",
        &[
            "-c",
            script,
            ca.to_str().unwrap(),
            PASSWORD,
            &port(Protocol::Submission),
            &port(Protocol::Submissions),
            &port(Protocol::Pop3s),
            &port(Protocol::Pop3),
            &port(Protocol::Imaps),
            &port(Protocol::Imap),
        ],
        "",
    )
    .await;
    assert!(ok && said.contains("fine"), "{said}");
    // What POP3 deleted is gone from the server.
    let mut bob = house.talk(Protocol::Lmtp).await;
    bob.send("QUIT\r\n").await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_sends_and_reads_as_the_readme_shows() {
    let house = House::with("").await;
    let ca = house.ca();
    let ca = ca.to_str().unwrap();
    let message =
        "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: hello\r\n\r\nIt works.\r\n";
    let alice = format!("alice@example.test:{PASSWORD}");
    let bob = format!("bob@example.test:{PASSWORD}");
    let url = format!("smtps://localhost:{}", house.port(Protocol::Submissions));
    let from = [
        "--mail-from",
        "alice@example.test",
        "--mail-rcpt",
        "bob@example.test",
        "--upload-file",
        "-",
    ];
    let (ok, said) = run(
        "curl",
        &[&["--cacert", ca, &url, "--user", &alice][..], &from].concat(),
        message,
    )
    .await;
    assert!(ok, "{said}");
    for url in [
        format!(
            "imaps://localhost:{}/INBOX;UID=1",
            house.port(Protocol::Imaps)
        ),
        format!("pop3s://localhost:{}/1", house.port(Protocol::Pop3s)),
    ] {
        let (ok, said) = run("curl", &["--cacert", ca, &url, "--user", &bob], "").await;
        assert!(
            ok && said.contains("Subject: hello") && said.contains("It works."),
            "{said}"
        );
    }
    // Every mechanism, STARTTLS and STLS too.
    for scheme in ["imap", "pop3"] {
        for mechanism in ["PLAIN", "LOGIN"] {
            let service = if scheme == "imap" {
                Protocol::Imap
            } else {
                Protocol::Pop3
            };
            let url = format!("{scheme}://localhost:{}/", house.port(service));
            let login = format!("AUTH={mechanism}");
            let arguments = [
                "--ssl-reqd",
                "--cacert",
                ca,
                &url,
                "--user",
                &bob,
                "--login-options",
                &login,
            ];
            let (ok, said) = run("curl", &arguments, "").await;
            assert!(ok, "{scheme} {mechanism}: {said}");
        }
    }
    let url = format!("http://127.0.0.1:{}/metrics", house.port(Protocol::Metrics));
    let (_, said) = run("curl", &["--silent", &url], "").await;
    assert!(
        said.contains("mailserver_messages_delivered_total 1"),
        "{said}"
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetchmail_fetches_and_the_mail_is_gone_from_the_server() {
    let house = House::new().await;
    house.deliver("Subject: fetched\n\nby fetchmail\n").await;
    let folder = tempfile::tempdir().unwrap();
    let (mailbox, rc) = (folder.path().join("mailbox"), folder.path().join("rc"));
    let text = format!(
        "poll localhost protocol pop3 port {} auth password username \"bob@example.test\" password \"{PASSWORD}\" \
         sslproto '' mda \"cat >> {}\"\n",
        house.port(Protocol::Pop3),
        mailbox.display()
    );
    std::fs::write(&rc, text).unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(
        &mut std::fs::metadata(&rc).unwrap().permissions(),
        0o700,
    );
    std::fs::set_permissions(&rc, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let pid = folder.path().join("pid");
    let arguments = [
        "-f",
        rc.to_str().unwrap(),
        "--pidfile",
        pid.to_str().unwrap(),
        "--nosyslog",
        "-v",
    ];
    let (_, said) = run("fetchmail", &arguments, "").await;
    let fetched = std::fs::read_to_string(&mailbox).unwrap_or_default();
    assert!(fetched.contains("by fetchmail"), "{said}");
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    assert!(
        bob.imap("STATUS INBOX (MESSAGES)")
            .await
            .contains("MESSAGES 0")
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutt_shows_the_mailbox_on_a_terminal() {
    let house = House::new().await;
    house
        .deliver("From: Jo <jo@x.test>\nSubject: seen in mutt\n\nthe body in mutt\n")
        .await;
    let folder = tempfile::tempdir().unwrap();
    let rc = folder.path().join("muttrc");
    let text = format!(
        "set folder=\"imap://127.0.0.1:{port}/\"\nset spoolfile=\"+INBOX\"\nset imap_user=\"bob@example.test\"\n\
         set imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\nset header_cache=\"\"\n\
         set sort=date\nset wait_key=no\nset mail_check=1\nset timeout=1\n",
        port = house.port(Protocol::Imap)
    );
    std::fs::write(&rc, text).unwrap();
    let socket = folder.path().join("tmux");
    let socket = socket.to_str().unwrap();
    let command = format!(
        "HOME={} mutt -n -F {}",
        folder.path().display(),
        rc.display()
    );
    let tmux = |arguments: &[&str]| {
        let all: Vec<String> = ["-S", socket]
            .iter()
            .chain(arguments)
            .map(ToString::to_string)
            .collect();
        async move {
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            run("tmux", &all, "").await.1
        }
    };
    tmux(&["new-session", "-d", "-x", "100", "-y", "30", &command]).await;
    let mut screen = String::new();
    let shows = |what: &'static str| {
        let tmux = &tmux;
        async move {
            let mut screen = String::new();
            for _ in 0..100 {
                screen = tmux(&["capture-pane", "-p"]).await;
                if screen.contains(what) {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(screen.contains(what), "{what}: {screen}");
            screen
        }
    };
    screen += &shows("seen in mutt").await;
    tmux(&["send-keys", "Enter"]).await;
    screen += &shows("the body in mutt").await;
    house.deliver("Subject: news for mutt\n\nx\n").await;
    tmux(&["send-keys", "q"]).await;
    screen += &shows("news for mutt").await;
    tmux(&["send-keys", "d"]).await;
    tmux(&["send-keys", "q"]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    tmux(&["send-keys", "y"]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    tmux(&["kill-server"]).await;
    assert!(!screen.is_empty());
    house.server.stop().await;
}
