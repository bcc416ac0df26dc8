//! msmtp on both submission ports.

use hikyaku_smtp_programs::{Done, House, PASSWORD, free_port, run};
use mailserver::Protocol;
use std::os::unix::fs::PermissionsExt as _;

/// Exit codes of sysexits.h.
const FINE: i32 = 0;
const DATA: i32 = 65;
const UNAVAILABLE: i32 = 69;
/// EX_TEMPFAIL: it may be there later.
const NO_HOST: i32 = 75;
const NO_PERMISSION: i32 = 77;

const MESSAGE: &str = "From: alice@example.test\nTo: bob@example.test, Al <alice@example.test>\nBcc: bob+secret@example.test\n\
     Subject: by msmtp\n\n.dot\n..\nend\n";

/// The accounts of a configuration: how each differs from alice's, under TLS from the start.
fn configuration(house: &House) -> String {
    let (submission, submissions) = (
        house.port(Protocol::Submission),
        house.port(Protocol::Submissions),
    );
    let mut text = format!(
        "defaults\ntls_trust_file {}\nhost localhost\nauth on\nuser alice@example.test\nfrom alice@example.test\n\
         tls on\npassword {PASSWORD}\n\
         account implicit\nport {submissions}\ntls_starttls off\n\
         account starttls\nport {submission}\ntls_starttls on\n\
         account lmtp\nprotocol lmtp\nport {}\nauth off\ntls off\nfrom x@other.test\n",
        house.ca().display(),
        house.port(Protocol::Lmtp)
    );
    for (name, lines) in [
        ("plain", "auth plain"),
        ("login", "auth login"),
        ("scram", "auth scram-sha-256"),
        ("cram", "auth cram-md5"),
        ("nobody", "auth off"),
        ("wrong", "password wrong"),
        ("unknown", "user nobody@example.test"),
        // The system's authorities did not sign it.
        (
            "untrusted",
            "tls_trust_file /etc/ssl/certs/ca-certificates.crt",
        ),
        (
            "other",
            "tls_trust_file\ntls_fingerprint 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33",
        ),
        ("forged", "from bob@example.test"),
    ] {
        text += &format!("account {name} : implicit\n{lines}\n");
    }
    text + &format!("account gone : implicit\nport {}\n", free_port())
}

async fn msmtp(house: &House, arguments: &[&str]) -> Done {
    let file = house.data.path().join("msmtprc");
    std::fs::write(&file, configuration(house)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let first = ["-C", file.to_str().unwrap(), "-a"];
    run("msmtp", &[&first[..], arguments].concat(), MESSAGE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_and_certificates() {
    let house = House::with("").await;
    let mut count = 0;
    for (account, code) in [
        ("implicit", FINE),
        ("starttls", FINE),
        ("plain", FINE),
        ("login", FINE),
        ("scram", FINE),
        ("cram", UNAVAILABLE),
        ("nobody", DATA),
        ("wrong", NO_PERMISSION),
        ("unknown", NO_PERMISSION),
        ("untrusted", UNAVAILABLE),
        ("other", UNAVAILABLE),
        ("gone", NO_HOST),
        ("forged", DATA),
        ("lmtp", FINE),
    ] {
        let done = msmtp(&house, &[account, "bob@example.test"]).await;
        assert_eq!(done.code, code, "{account}: {}", done.said);
        count += usize::from(code == FINE);
        house.gets("bob", count).await;
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_from_arguments_and_from_the_header() {
    let house = House::with("").await;
    let done = msmtp(&house, &["starttls", "--read-recipients"]).await;
    assert_eq!(done.code, FINE, "{}", done.said);
    let to_alice = house.gets("alice", 1).await;
    // To him, and to him again by an address of his that nobody else sees: he gets it once.
    let to_bob = house.gets("bob", 1).await;
    for text in to_bob.iter().chain(&to_alice) {
        assert!(text.contains("Subject: by msmtp\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\n.dot\r\n..\r\nend\r\n"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    // One that is unknown, and nobody has it: msmtp gives up.
    for to in [
        &["nobody@example.test"][..],
        &["bob@example.test", "nobody@example.test"],
    ] {
        for account in ["implicit", "lmtp"] {
            let done = msmtp(&house, &[&[account], to].concat()).await;
            assert_eq!(done.code, DATA, "{}", done.said);
            assert!(done.said.contains("nobody@example.test"), "{}", done.said);
            assert!(
                done.said.contains("550 5.1.1 No such mailbox here"),
                "{}",
                done.said
            );
        }
    }
    house.gets("bob", 1).await;
    // A notification, as msmtp asks for it.
    let done = msmtp(
        &house,
        &[
            "implicit",
            "-N",
            "success",
            "-R",
            "hdrs",
            "--",
            "bob@example.test",
        ],
    )
    .await;
    assert_eq!(done.code, FINE, "{}", done.said);
    house.gets("bob", 2).await;
    let mail = house.gets("alice", 2).await;
    assert!(mail[1].contains("Action: delivered"), "{}", mail[1]);
    house.server.stop().await;
}
