//! Postfix as a smarthost: a login by Dovecot, over TLS whose certificate is checked, and a second one behind it.

use hikyaku_smtp_programs::{Authority, House, PASSWORD, Smarthost, free_port};
use std::path::Path;

const MESSAGE: &str = "From: alice@example.test\r\nSubject: through a smarthost\r\n\r\nx\r\n";

/// A server whose mail goes to these hosts, one after the other.
async fn house(folder: &Path, ca: &Path, password: &str, hosts: &[String]) -> House {
    let file = folder.join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    House::with(&format!(
        "[relay]\nca = \"{}\"\nretry = [\"500ms\"]\n[[relay.routes]]\nhosts = {hosts:?}\nuser = \"user@postfix.test\"\n\
         password_file = \"{}\"\n",
        ca.display(),
        file.display()
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_in_on_both_ports_and_falls_back() {
    let authority = Authority::new();
    let Some(host) = Smarthost::start(&authority, "") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let gone = format!("smtps://localhost:{}", free_port());
    let starttls = format!("smtp://localhost:{}", host.submission);
    let implicit = format!("smtps://localhost:{}", host.submissions);
    // In clear it has no logins: the next one is asked.
    let clear = format!("smtps://localhost:{}", host.postfix.smtp);
    let mut count = 0;
    for hosts in [
        vec![starttls.clone()],
        vec![implicit.clone()],
        vec![gone.clone(), implicit],
        vec![gone, clear, starttls],
    ] {
        let house = house(folder.path(), &authority.ca(), PASSWORD, &hosts).await;
        house.submit("carol@postfix.test", MESSAGE, &[], &[]).await;
        count += 1;
        let mail = host.postfix.gets("carol", count).await;
        for message in &mail {
            assert!(message.contains("with ESMTPSA id"), "{message}");
        }
        house.empties().await;
        assert!(house.mail("alice").await.is_empty());
        house.server.stop().await;
    }
    let log = host.postfix.log();
    assert_eq!(
        log.matches("sasl_username=user@postfix.test").count(),
        count,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gives_no_password_to_whom_it_cannot_trust_and_says_what_is_wrong() {
    let authority = Authority::new();
    let Some(host) = Smarthost::start(&authority, "") else {
        return;
    };
    let stranger = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    for (ca, password, scheme, name, words) in [
        (&stranger, PASSWORD, "smtp", "localhost", "TLS"),
        (&stranger, PASSWORD, "smtps", "localhost", "TLS"),
        // Another name than the certificate's.
        (&authority, PASSWORD, "smtps", "127.0.0.1", "TLS"),
        (&authority, "wrong", "smtps", "localhost", "535"),
        (&authority, "wrong", "smtp", "localhost", "535"),
    ] {
        let port = if scheme == "smtp" {
            host.submission
        } else {
            host.submissions
        };
        let hosts = [format!("{scheme}://{name}:{port}")];
        let before = host.postfix.log().matches("sasl_method").count();
        let house = house(folder.path(), &ca.ca(), password, &hosts).await;
        house.submit("carol@postfix.test", MESSAGE, &[], &[]).await;
        // It is kept, and what is wrong is written beside it.
        let mut last = String::new();
        for _ in 0..300 {
            let queue = house.server.store().queue(None, 9).await.unwrap();
            assert_eq!(queue.len(), 1);
            last = String::from_utf8_lossy(&queue[0].envelope).into_owned();
            if last.contains(words) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        assert!(
            last.contains(words),
            "{name} {password}: {last}\n{}",
            host.postfix.log()
        );
        if words == "TLS" {
            assert_eq!(host.postfix.log().matches("sasl_method").count(), before);
        }
        house.server.stop().await;
    }
    assert!(host.postfix.mail("carol").is_empty());
}
