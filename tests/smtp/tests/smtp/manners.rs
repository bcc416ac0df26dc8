//! smtp-sink in its manners: servers that know little, refuse at each stage, or go away.

use hikyaku_smtp_programs::{House, Sink, Taken};
use std::time::Duration;

const MESSAGE: &str = "From: alice@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
     Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.dot\r\nÄ line\r\n";

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Taken,
    Returned,
    Kept,
}

/// Sends one message; what becomes of it, and what the sink has of it.
async fn sent(arguments: &[&str]) -> (End, Vec<Taken>) {
    let sink = Sink::start(arguments);
    let house = House::with(&format!(
        "[relay]\nretry = [\"1h\"]\n[[relay.routes]]\nhosts = [\"smtp+clear://127.0.0.1:{}\"]\n",
        sink.port
    ))
    .await;

    house
        .submit("x@far.test", MESSAGE, &["BODY=8BITMIME"], &[])
        .await;
    for _ in 0..400 {
        let queue = house.server.store().queue(None, 9).await.unwrap();
        // Out of the queue, or put off for an hour.
        let later = std::time::SystemTime::now() + Duration::from_secs(1800);
        let end = match &queue[..] {
            [] if house.mail("alice").await.is_empty() => Some(End::Taken),
            [] => Some(End::Returned),
            [entry] if entry.token == 0 && entry.due > later => Some(End::Kept),
            _ => None,
        };
        if let Some(end) = end {
            house.server.stop().await;
            return (end, sink.taken());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{arguments:?}: under way for ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_know_little_get_what_they_can_take() {
    for (arguments, eight_bit) in [
        (&[][..], true),
        (&["-p"], true),
        (&["-E", "-a", "-C", "-F"], true),
        (&["-8"], false),
        // No ESMTP, and a firewall that hides what there is.
        (&["-e"], false),
        (&["-P"], false),
    ] {
        let (end, taken) = sent(arguments).await;
        assert_eq!(end, End::Taken, "{arguments:?}");
        assert_eq!(taken.len(), 1, "{arguments:?}");
        let text = &taken[0].message;
        assert_eq!(text.contains("Ä line"), eight_bit, "{arguments:?}: {text}");
        assert_eq!(text.is_ascii(), !eight_bit, "{arguments:?}: {text}");
        assert!(text.contains(".dot\n"), "{arguments:?}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_final_or_not_at_each_stage() {
    for stage in ["MAIL", "RCPT", "DATA", "."] {
        assert_eq!(sent(&["-f", stage]).await.0, End::Returned, "{stage}");
    }
    for stage in ["CONNECT", "MAIL", "RCPT", "DATA", "."] {
        assert_eq!(sent(&["-r", stage]).await.0, End::Kept, "{stage}");
        for how in ["-q", "-Q"] {
            assert_eq!(sent(&[how, stage]).await.0, End::Kept, "{how} {stage}");
        }
    }
    // It is at work for nobody; HELO is tried where it knows no EHLO.
    assert_eq!(sent(&["-f", "EHLO"]).await.0, End::Taken);
    assert_eq!(sent(&["-f", "EHLO,HELO"]).await.0, End::Returned);
    // What comes behind the message changes nothing.
    for how in ["-f", "-r", "-q", "-Q"] {
        assert_eq!(sent(&[how, "QUIT"]).await.0, End::Taken, "{how}");
    }
}
