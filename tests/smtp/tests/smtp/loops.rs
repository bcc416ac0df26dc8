//! Loops of two servers that hand on to each other. They end, with one notification.

use hikyaku_smtp_programs::{House, PASSWORD, Postfix, free_port, run};
use mailserver::Protocol;

const MESSAGE: &str = "From: alice@example.test\r\nSubject: round and round\r\n\r\nx\r\n";

/// A route for all of `loop.test`, with a login.
fn route(folder: &tempfile::TempDir, host: &str) -> String {
    let password = folder.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    format!(
        "[senders]\nown_only = false\n[relay]\nretry = [\"500ms\"]\nexpire = \"1h\"\n\
         [[relay.routes]]\ndomains = [\"loop.test\"]\nhosts = [\"{host}\"]\n{}",
        match host.starts_with("smtp+clear") {
            true => format!(
                "user = \"alice@example.test\"\npassword_file = \"{}\"\n",
                password.display()
            ),
            false => String::new(),
        }
    )
}

/// How often a server of that name handed a message on.
fn hops(notification: &str, by: &str) -> usize {
    let returned = notification.split("rfc822").last().unwrap();
    returned.matches(&format!("by {by} ")).count()
}

/// Each is the other's smarthost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let (here, there) = (free_port(), free_port());
    let address = |port: u16| format!("127.0.0.1:{port}");
    let to = |port: u16| route(&folder, &format!("smtp+clear://127.0.0.1:{port}"));
    let first = House::of("example.test", &address(here), &to(there)).await;
    let second = House::of("example.test", &address(there), &to(here)).await;
    first.submit("x@loop.test", MESSAGE, &[], &[]).await;
    // Whoever sees it the hundred-and-first time refuses it, and the other one notifies.
    for _ in 0..900 {
        let all = [first.mail("alice").await, second.mail("alice").await].concat();
        if !all.is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    first.empties().await;
    second.empties().await;
    let all = [first.mail("alice").await, second.mail("alice").await].concat();
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(all[0].contains("Status: 5.4.6"), "{}", all[0]);
    assert_eq!(hops(&all[0], "localhost"), 101, "{}", all[0]);
    first.server.stop().await;
    second.server.stop().await;
}

/// Ours hands on to Postfix, and Postfix back to ours, as a user of it. Either finds it, whoever counts less.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ours_and_postfix() {
    for (limit, status) in [(30, "5.4.0"), (1000, "5.4.6")] {
        let folder = tempfile::tempdir().unwrap();
        let smtp = free_port();
        let house = House::of(
            "example.test",
            "127.0.0.1:0",
            &route(&folder, &format!("smtp+any://127.0.0.1:{smtp}")),
        )
        .await;
        let (submission, receives) = (house.port(Protocol::Submission), house.port(Protocol::Smtp));
        let more = format!(
            "hopcount_limit = {limit}\nrelayhost = [127.0.0.1]:{submission}\nsmtp_sasl_auth_enable = yes\n\
             smtp_sasl_security_options = noanonymous\nsmtp_tls_security_level = encrypt\n\
             smtp_sasl_password_maps = inline:{{{{[127.0.0.1]:{submission}=alice@example.test:{PASSWORD}}}}}\n\
             transport_maps = inline:{{example.test=smtp:[127.0.0.1]:{receives}}}"
        );
        let Some(postfix) = Postfix::with(smtp, &[], &more) else {
            return;
        };
        house.submit("x@loop.test", MESSAGE, &[], &[]).await;
        let mail = house.gets("alice", 1).await;
        assert!(
            mail[0].contains(&format!("Status: {status}")),
            "{}\n{}",
            mail[0],
            postfix.log()
        );
        house.empties().await;
        house.gets("alice", 1).await;
        house.server.stop().await;
    }
}

/// A message that has been through too many servers is refused to whoever sends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_door() {
    let house = House::with("").await;
    let port = house.port(Protocol::Smtp).to_string();
    let file = house.data.path().join("message");
    for (hops, code) in [(100, 0), (101, 26)] {
        let received = "Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\n".repeat(hops);
        std::fs::write(
            &file,
            format!("{received}From: x@other.test\nSubject: x\n\nx\n"),
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
        ];
        let done = run("swaks", &arguments, "").await;
        assert_eq!(done.code, code, "{}", done.said);
    }
    house.gets("bob", 1).await;
    house.server.stop().await;
}
