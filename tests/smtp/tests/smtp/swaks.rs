//! swaks in its modes: what it exits with, and what comes of it.

use hikyaku_smtp_programs::{House, PASSWORD, run, run_with};
use mailserver::Protocol;
use std::time::Duration;

/// Which port swaks speaks to.
const PORTS: [Protocol; 4] = [
    Protocol::Smtp,
    Protocol::Submission,
    Protocol::Submissions,
    Protocol::Lmtp,
];

/// swaks' exit codes, as its manual has them.
const FINE: i32 = 0;
const MAIL: i32 = 23;
const NO_RECIPIENT: i32 = 24;
const REFUSED: i32 = 26;
const LOGIN: i32 = 28;
const TLS: i32 = 29;
const NO_PRDR: i32 = 30;
const NO_XCLIENT: i32 = 33;

/// Runs rows of service, options, exit code and messages that bob has from it; then counts.
async fn rows(house: &House, common: &[&str], rows: &[(Protocol, &str, i32, usize)]) {
    let mut before = house.mail("bob").await.len();
    for (service, options, code, messages) in rows {
        let port = house.port(*service).to_string();
        let fixed = [
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            "--to",
            "bob@example.test",
        ];
        let options = options.split_whitespace();
        let all: Vec<&str> = fixed
            .into_iter()
            .chain(common.iter().copied())
            .chain(options)
            .collect();
        let done = run("swaks", &all, "").await;
        assert_eq!(done.code, *code, "{all:?}: {}", done.said);
        let now = house.mail("bob").await.len();
        assert_eq!(now - before, *messages, "{all:?}: {}", done.said);
        before = now;
    }
}

/// From other servers: no login is offered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_from_other_servers() {
    let house = House::with("").await;
    let ca = house.ca().display().to_string();
    let verify = format!("-tls --tls-verify --tls-ca-path {ca}");
    let from = ["--from", "x@other.test"];
    let [smtp, submission, submissions, lmtp] = PORTS;
    rows(
        &house,
        &from,
        &[
            (smtp, "", FINE, 1),
            (smtp, "--protocol SMTP", FINE, 1),
            (smtp, "--protocol ESMTP", FINE, 1),
            (smtp, "--protocol ESMTPS", FINE, 1),
            (smtp, "--pipeline", FINE, 1),
            (smtp, "--pipeline -tls", FINE, 1),
            (smtp, "-tls", FINE, 1),
            (smtp, "-tlso", FINE, 1),
            (smtp, "-tlsos", FINE, 1),
            (smtp, "-tls -tlsp tlsv1_2", FINE, 1),
            (smtp, "-tls -tlsp tlsv1_3", FINE, 1),
            (smtp, "-tls -tlsp tlsv1_1", TLS, 0),
            (smtp, &verify, FINE, 1),
            // The system does not know the authority.
            (smtp, "-tls --tls-verify", TLS, 0),
            (smtp, "--auth CRAM-MD5 --au x --ap x", LOGIN, 0),
            (smtp, "--auth-optional CRAM-MD5 --au x --ap x", FINE, 1),
            (smtp, "--prdr", NO_PRDR, 0),
            (smtp, "--xclient-addr 192.0.2.1", NO_XCLIENT, 0),
            (smtp, "--xclient-optional --xclient-addr 192.0.2.1", FINE, 1),
            (smtp, "--from <>", FINE, 1),
            (smtp, "--from alice@example.test", MAIL, 0),
            (smtp, "--to nobody@example.test", NO_RECIPIENT, 0),
            (smtp, "--to x@elsewhere.test", NO_RECIPIENT, 0),
            (smtp, "--to nobody@example.test,bob@example.test", FINE, 1),
            (
                smtp,
                "--to nobody@example.test,bob@example.test --pipeline",
                FINE,
                1,
            ),
            (smtp, "--to nobody@example.test --pipeline", NO_RECIPIENT, 0),
            (smtp, "--to bob@example.test,alice@example.test", FINE, 1),
            (submission, "", MAIL, 0),
            (submission, "-tls", MAIL, 0),
            (submissions, "-tlsc", MAIL, 0),
            (lmtp, "--protocol LMTP", FINE, 1),
            (lmtp, "--protocol LMTP --pipeline", FINE, 1),
            (lmtp, "--protocol LMTP -tlso", FINE, 1),
            (lmtp, "--protocol LMTPS", TLS, 0),
            (
                lmtp,
                "--protocol LMTP --to nobody@example.test",
                NO_RECIPIENT,
                0,
            ),
            // LMTP is no SMTP, and the other way round.
            (lmtp, "--protocol ESMTP", 22, 0),
            (smtp, "--protocol LMTP", 22, 0),
        ],
    )
    .await;
    house.server.stop().await;
}

/// From users.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_from_users() {
    let house = House::with("").await;
    let ca = house.ca().display().to_string();
    let verify = format!("-tlsc --tls-verify --tls-ca-path {ca} --auth PLAIN");
    let from = [
        "--from",
        "alice@example.test",
        "--auth-user",
        "alice@example.test",
        "--auth-password",
        PASSWORD,
    ];
    let [smtp, submission, submissions, _] = PORTS;
    rows(
        &house,
        &from,
        &[
            (submission, "--auth PLAIN", FINE, 1),
            (submission, "--auth LOGIN", FINE, 1),
            (submission, "--auth LOGIN -tls", FINE, 1),
            (submission, "--auth PLAIN -tls --pipeline", FINE, 1),
            (submission, "--auth CRAM-MD5", LOGIN, 0),
            (submission, "--auth DIGEST-MD5,CRAM-MD5,LOGIN -tls", FINE, 1),
            (submission, "--auth-optional PLAIN -tlso", FINE, 1),
            (submission, "--auth-optional-strict PLAIN -tlsos", FINE, 1),
            (submission, "--protocol ESMTPA", FINE, 1),
            (submission, "--protocol ESMTPSA", FINE, 1),
            (submission, "--protocol SMTP", LOGIN, 0),
            (
                submission,
                "--auth PLAIN -tls --to bob+detail@example.test",
                FINE,
                1,
            ),
            (
                submission,
                "--auth PLAIN -tls --from bob@example.test",
                MAIL,
                0,
            ),
            (
                submission,
                "--auth PLAIN -tls --h-From bob@example.test",
                REFUSED,
                0,
            ),
            (submission, "--auth PLAIN -tls --ap wrong", LOGIN, 0),
            (submission, "-tlsc --auth PLAIN", TLS, 0),
            (submissions, "-tlsc --auth PLAIN", FINE, 1),
            (submissions, "-tlsc --auth LOGIN --pipeline", FINE, 1),
            (submissions, "--protocol SSMTP", FINE, 1),
            (submissions, "--protocol SSMTPA", FINE, 1),
            (submissions, "--protocol SMTPS", LOGIN, 0),
            (submissions, &verify, FINE, 1),
            (submissions, "-tlsc --tls-verify --auth PLAIN", TLS, 0),
            (smtp, "--auth PLAIN", LOGIN, 0),
            // Who does not log in may not write as a user of ours.
            (smtp, "--auth-optional PLAIN", MAIL, 0),
        ],
    )
    .await;
    // In clear a login is not offered, where the operator has not allowed it.
    let strict = "--auth PLAIN";
    let data = tempfile::tempdir().unwrap();
    let text = format!(
        "hostname = \"localhost\"\ndata = \"{}\"\ndomains = [\"example.test\"]\n[listen]\nsubmission = \"127.0.0.1:0\"\n",
        data.path().display()
    );
    let config = mailserver::Config::parse(&text).unwrap();
    let other = mailserver::Server::start(config).await.unwrap();
    other
        .accounts()
        .add("alice@example.test", PASSWORD)
        .await
        .unwrap();
    other
        .accounts()
        .add("bob@example.test", PASSWORD)
        .await
        .unwrap();
    let port = other
        .address(Protocol::Submission)
        .unwrap()
        .port()
        .to_string();
    for (more, code) in [("-tls", FINE), ("-tlso", FINE), ("--suppress-data", LOGIN)] {
        let fixed = [
            "--server",
            "127.0.0.1",
            "--port",
            &port,
            "--to",
            "bob@example.test",
            more,
        ];
        let words = strict.split_whitespace();
        let all: Vec<&str> = fixed.into_iter().chain(from).chain(words).collect();
        let done = run("swaks", &all, "").await;
        assert_eq!(done.code, code, "{all:?}: {}", done.said);
    }
    other.stop().await;
    house.server.stop().await;
}

/// A conversation that ends early leaves nothing behind; one that breaks after the dot leaves one message at most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversations_that_end_at_each_stage() {
    let house = House::with("").await;
    let from = ["--from", "x@other.test"];
    let mut all = Vec::new();
    for stage in [
        "CONNECT",
        "FIRST-HELO",
        "TLS",
        "HELO",
        "AUTH",
        "MAIL",
        "RCPT",
    ] {
        for how in ["--quit-after", "--drop-after"] {
            all.push(format!("{how} {stage}"));
            all.push(format!("{how} {stage} -tls"));
            all.push(format!("{how} {stage} --pipeline"));
        }
    }
    for stage in ["FIRST-HELO", "HELO", "MAIL", "RCPT", "DATA"] {
        all.push(format!("--drop-after-send {stage}"));
    }
    all.push("--drop-after DATA".into());
    let table: Vec<_> = all
        .iter()
        .map(|one| (Protocol::Smtp, &**one, FINE, 0))
        .collect();
    rows(&house, &from, &table).await;
    // The reply is there, so the message is.
    rows(
        &house,
        &from,
        &[(Protocol::Smtp, "--drop-after DOT", FINE, 1)],
    )
    .await;
    let port = house.port(Protocol::Smtp).to_string();
    let sent = [
        "--server",
        "127.0.0.1",
        "--port",
        &port,
        "--to",
        "alice@example.test",
    ];
    let more = ["--from", "x@other.test", "--drop-after-send", "DOT"];
    assert_eq!(
        run("swaks", &[&sent[..], &more].concat(), "").await.code,
        FINE
    );
    house.gets("alice", 1).await;
    house.server.stop().await;
}

/// Large bodies, 8-bit bodies, dots, from files: what arrives is what was sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_arrive_as_they_were_sent() {
    let house = House::with("[limits]\nmessage_size = \"12 MiB\"\n").await;
    let port = house.port(Protocol::Smtp).to_string();
    let line = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789\n";
    let large = line.repeat(11 * 1024 * 1024 / line.len());
    // swaks takes a dot at the end for the end.
    let dots = ".\n..\n...\n.x\n\n.\nend\n".to_owned();
    let octets = "Grüße, 飛脚, ümlaut\n".repeat(1000);
    let long = format!("{}\n", "y".repeat(900));
    let mut count = 0;
    for (name, body) in [
        ("large", &large),
        ("dots", &dots),
        ("octets", &octets),
        ("long", &long),
    ] {
        for more in ["--pipeline", "-tls"] {
            let file = house.data.path().join("body");
            let data = format!("Subject: {name}\nFrom: x@other.test\n\n{body}");
            std::fs::write(&file, data).unwrap();
            let file = format!("@{}", file.display());
            let arguments = [
                "--server",
                "127.0.0.1",
                "--port",
                &port,
                "--from",
                "x@other.test",
                "--to",
                "bob@example.test",
                "--data",
                &file,
                more,
                "--suppress-data",
            ];
            let done = run_with("swaks", &arguments, b"", Duration::from_secs(120)).await;
            assert_eq!(done.code, FINE, "{name} {more}: {}", done.said);
            count += 1;
            let mail = house.gets("bob", count).await;
            let (_, text) = mail.last().unwrap().split_once("\r\n\r\n").unwrap();
            // swaks ends every message with an empty line.
            let text = text.replace("\r\n", "\n");
            assert_eq!(text.trim_end(), body.trim_end(), "{name} {more}");
        }
    }
    // One octet for each is too much.
    let file = house.data.path().join("body");
    std::fs::write(
        &file,
        format!(
            "Subject: x\n\n{}",
            line.repeat(13 * 1024 * 1024 / line.len())
        ),
    )
    .unwrap();
    let file = format!("@{}", file.display());
    let arguments = [
        "--server",
        "127.0.0.1",
        "--port",
        &port,
        "--from",
        "x@other.test",
        "--to",
        "bob@example.test",
        "--data",
        &file,
        "--suppress-data",
    ];
    let done = run_with("swaks", &arguments, b"", Duration::from_secs(120)).await;
    assert_eq!(done.code, REFUSED, "{}", done.said);
    assert!(done.said.contains("552 5.3.4"), "{}", done.said);
    house.gets("bob", count).await;
    house.server.stop().await;
}

/// Over IPv6, and through a program that has the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_transports() {
    let house = House::with("").await;
    let ca = house.ca().display().to_string();
    let pipe = format!(
        "openssl s_client -quiet -verify_return_error -CAfile {ca} -connect 127.0.0.1:{}",
        house.port(Protocol::Submissions)
    );
    let arguments = [
        "--pipe",
        &*pipe,
        "--from",
        "alice@example.test",
        "--to",
        "bob@example.test",
        "--auth",
        "PLAIN",
        "--auth-user",
        "alice",
        "--auth-password",
        PASSWORD,
    ];
    let done = run("swaks", &arguments, "").await;
    assert_eq!(done.code, FINE, "{}", done.said);
    house.gets("bob", 1).await;
    let mut addresses = house.server.addresses().iter();
    let Some((_, address)) = addresses.find(|(_, address)| address.is_ipv6()) else {
        println!("no IPv6 here");
        return;
    };
    let port = address.port().to_string();
    let arguments = [
        "-6",
        "--server",
        "::1",
        "--port",
        &port,
        "--from",
        "x@other.test",
        "--to",
        "bob@example.test",
    ];
    for more in ["--pipeline", "-tls"] {
        let done = run("swaks", &[&arguments[..], &[more]].concat(), "").await;
        assert_eq!(done.code, FINE, "{}", done.said);
    }
    let mail = house.gets("bob", 3).await;
    assert!(mail[2].contains("([IPv6:::1])"), "{}", mail[2]);
    house.server.stop().await;
}
