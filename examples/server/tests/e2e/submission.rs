//! Sending: lettre and swaks, and what is refused.

use crate::harness::{House, PASSWORD, Talk, run};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use mailserver::Protocol;
use std::time::Instant;

fn lettre(house: &House, service: Protocol) -> AsyncSmtpTransport<Tokio1Executor> {
    let ca = Certificate::from_pem(&std::fs::read(house.ca()).unwrap()).unwrap();
    let tls = TlsParameters::builder("localhost".into())
        .add_root_certificate(ca)
        .build()
        .unwrap();
    let tls = match service {
        Protocol::Submissions => Tls::Wrapper(tls),
        _ => Tls::Required(tls),
    };
    AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(house.at(service).port())
        .tls(tls)
        .credentials(Credentials::new(
            "alice@example.test".into(),
            PASSWORD.into(),
        ))
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lettre_sends_and_the_other_account_has_it() {
    let house = House::with("").await;
    let message = |subject: &str| {
        Message::builder()
            .from("Alice <alice@example.test>".parse().unwrap())
            .to("Bob <bob@example.test>".parse().unwrap())
            .subject(subject)
            .body("飛脚\r\n.dot\r\n".to_owned())
            .unwrap()
    };
    for service in [Protocol::Submission, Protocol::Submissions] {
        lettre(&house, service)
            .send(message("by lettre"))
            .await
            .unwrap();
    }
    // A copy to oneself, with a detail; and as somebody else, which is not allowed.
    let mut bad = message("as bob");
    *bad.headers_mut() = message("as bob").headers().clone();
    let envelope = lettre::address::Envelope::new(
        Some("bob@example.test".parse().unwrap()),
        vec!["bob@example.test".parse().unwrap()],
    )
    .unwrap();
    let refused = lettre(&house, Protocol::Submission)
        .send_raw(&envelope, &bad.formatted())
        .await;
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("Not your address")
    );
    // The port in clear offers no login before STARTTLS.
    let mut clear = house.talk(Protocol::Submission).await;
    clear.send("EHLO a\r\nAUTH PLAIN AAA=\r\nQUIT\r\n").await;
    let said = clear.rest().await;
    assert!(
        said.contains("250-STARTTLS") && !said.contains("AUTH ") && said.contains("538 5.7.11"),
        "{said}"
    );
    let imap = house.talk(Protocol::Imap).await.imap("LOGIN a b").await;
    assert!(imap.contains("NO [PRIVACYREQUIRED]"), "{imap}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaks_logs_in_each_way() {
    let house = House::new().await;
    let server = format!("127.0.0.1:{}", house.port(Protocol::Submission));
    for (mechanism, more) in [
        ("PLAIN", "--tls"),
        ("LOGIN", "--tls"),
        ("PLAIN", "--pipeline"),
    ] {
        let (ok, said) = run(
            "swaks",
            &[
                "--server",
                &server,
                more,
                "--auth",
                mechanism,
                "--auth-user",
                "alice",
                "--auth-password",
                PASSWORD,
                "--from",
                "alice@example.test",
                "--to",
                "bob+swaks@example.test",
            ],
            "",
        )
        .await;
        assert!(ok && said.contains("250 2.0.0 Accepted"), "{said}");
    }
    let mut bob = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    let status = bob.imap("STATUS INBOX (MESSAGES UNSEEN)").await;
    assert!(status.contains("MESSAGES 3 UNSEEN 3"), "{status}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused() {
    let house = House::new().await;
    // An unknown recipient, and relaying for a stranger, at RCPT.
    let mut smtp = house.talk(Protocol::Smtp).await;
    smtp.send(
        "EHLO a\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<nobody@example.test>\r\nRCPT TO:<x@other.test>\r\n\
         RCPT TO:<postmaster>\r\nDATA\r\n.\r\nAUTH PLAIN AAA=\r\nQUIT\r\n",
    )
    .await;
    let said = smtp.rest().await;
    assert!(
        said.contains("550 5.1.1 No such mailbox here\r\n550 5.7.1 Relaying denied\r\n250 2.1.5"),
        "{said}"
    );
    assert!(said.contains("502 5.5.1 No authentication here"), "{said}");
    // A wrong password, slowly, wherever it is tried.
    let server = format!("127.0.0.1:{}", house.port(Protocol::Submission));
    let began = Instant::now();
    let (ok, said) = run(
        "swaks",
        &[
            "--server",
            &server,
            "--auth",
            "PLAIN",
            "--auth-user",
            "alice",
            "--auth-password",
            "wrong",
            "--to",
            "bob@example.test",
        ],
        "",
    )
    .await;
    assert!(!ok && said.contains("535 5.7.8"), "{said}");
    assert!(began.elapsed().as_secs() >= 2);
    let began = Instant::now();
    let mut imap = house.talk(Protocol::Imap).await;
    imap.line().await;
    assert!(
        imap.imap("LOGIN alice wrong")
            .await
            .contains("NO [AUTHENTICATIONFAILED]")
    );
    assert!(
        imap.imap("LOGIN nobody wrong")
            .await
            .contains("NO [AUTHENTICATIONFAILED]")
    );
    assert!(began.elapsed().as_secs() >= 4);
    // Nothing is sent without a login.
    let mut submission = house.talk(Protocol::Submission).await;
    submission
        .send("EHLO a\r\nMAIL FROM:<alice@example.test>\r\nQUIT\r\n")
        .await;
    assert!(
        submission
            .rest()
            .await
            .contains("530 5.7.0 Authentication required")
    );
    house.server.stop().await;
}

/// By rsasl's client: Debian's programs do not have SCRAM-SHA-256.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scram_proves_both_ends_without_sending_the_password() {
    use rsasl::prelude::{Mechname, SASLClient, SASLConfig};
    let house = House::new().await;
    for (password, expected) in [(PASSWORD, "235 2.7.0"), ("wrong", "535 5.7.8")] {
        let config =
            SASLConfig::with_credentials(None, "alice@example.test".into(), password.into())
                .unwrap();
        let mechanism = Mechname::parse(b"SCRAM-SHA-256").unwrap();
        let mut session = SASLClient::new(config)
            .start_suggested(&[mechanism])
            .unwrap();
        let mut smtp = house.talk(Protocol::Submission).await;
        smtp.send("EHLO a\r\nAUTH SCRAM-SHA-256\r\n").await;
        let mut said = smtp.until("334").await;
        let mut proved = false;
        for _ in 0..4 {
            let line = said.lines().last().unwrap().to_owned();
            let Some(challenge) = line.strip_prefix("334 ").or(line.strip_prefix("334")) else {
                break;
            };
            let mut response = Vec::new();
            let challenge = decode(challenge);
            let challenge = (!challenge.is_empty()).then_some(&challenge[..]);
            // Where the proof is wrong the server says so, and the client gives up.
            proved = session
                .step(challenge, &mut response)
                .is_ok_and(|state| state.is_finished());
            smtp.send(&format!("{}\r\n", crate::relay::base64(&response)))
                .await;
            said = smtp.line().await;
        }
        assert!(said.starts_with(expected), "{said}");
        // The server proved that it knows the password, too.
        assert_eq!(proved, expected.starts_with("235"));
    }
    house.server.stop().await;
}

fn decode(text: &str) -> Vec<u8> {
    match hikyaku_wire::decode_sasl(text.as_bytes()) {
        Ok(hikyaku_wire::SaslLine::Response(secret)) => secret.expose().to_vec(),
        _ => panic!("{text}"),
    }
}
