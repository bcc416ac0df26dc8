//! Thousands of messages over twenty connections, in and out: nothing is lost, nothing is doubled.
//!
//! `HIKYAKU_MESSAGES` says how many; ten thousand without it.

use hikyaku_smtp_programs::{House, PASSWORD, Sink, run_with};
use mailserver::Protocol;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const CONNECTIONS: &str = "20";
const TIME: Duration = Duration::from_secs(110);

fn messages() -> usize {
    let asked = std::env::var("HIKYAKU_MESSAGES");
    asked.map_or(10_000, |count| count.parse().unwrap())
}

/// How often each message is there, by the name that smtp-source gave it.
fn names(messages: &[String]) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for message in messages {
        let line = message
            .lines()
            .find(|line| line.starts_with("Message-Id: "));
        *names.entry(line.unwrap().to_owned()).or_default() += 1;
    }
    names
}

fn all_are_there_once(names: &BTreeMap<String, usize>, count: usize) {
    let doubled: Vec<_> = names.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert_eq!(names.len(), count);
}

async fn smtp_source(port: u16, arguments: &[&str]) {
    let count = messages().to_string();
    let (host, fixed) = (
        format!("127.0.0.1:{port}"),
        ["-d", "-s", CONNECTIONS, "-m", &count, "-l", "2000"],
    );
    let all = [&fixed[..], arguments, &[&host]].concat();
    let done = run_with("/usr/sbin/smtp-source", &all, b"", TIME).await;
    assert_eq!(done.code, 0, "{}", done.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn into_a_mailbox() {
    let house = House::with("").await;
    let began = Instant::now();
    let to = ["-f", "x@other.test", "-t", "bob@example.test"];
    smtp_source(house.port(Protocol::Smtp), &to).await;
    println!("{} received in {:?}", messages(), began.elapsed());
    all_are_there_once(&names(&house.mail("bob").await), messages());
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_submission_and_relay_to_another_server() {
    let sink = Sink::start(&["-8", "-N"]);
    let house = House::with(&format!(
        "[relay]\nretry = [\"500ms\"]\n[[relay.routes]]\nhosts = [\"smtp+clear://127.0.0.1:{}\"]\n",
        sink.port
    ))
    .await;
    let began = Instant::now();
    // Each has a recipient of its own.
    let to = ["-N", "-f", "alice@example.test", "-t", "x@far.test"];
    smtp_source(logging_in(house.at(Protocol::Submission)).await, &to).await;
    println!("{} submitted in {:?}", messages(), began.elapsed());
    let takes = tokio::time::timeout(TIME, sink.takes(messages(), 2 * TIME)).await;
    let Ok(taken) = takes else {
        let alive = TcpStream::connect(("127.0.0.1", sink.port)).await;
        panic!("{}; the sink: {alive:?}", house.queue().await);
    };
    println!("{} relayed in {:?}", messages(), began.elapsed());
    house.empties().await;
    let mut recipients = BTreeMap::new();
    for one in sink.taken() {
        assert_eq!(one.rcpt.len(), 1);
        *recipients.entry(one.rcpt[0].clone()).or_default() += 1;
    }
    all_are_there_once(&recipients, messages());
    let all: Vec<_> = taken.into_iter().map(|one| one.message).collect();
    all_are_there_once(&names(&all), messages());
    // Nobody was notified of anything.
    assert!(house.mail("alice").await.is_empty());
    house.server.stop().await;
}

/// A port behind which a connection is alice's already: smtp-source has no logins.
async fn logging_in(submission: SocketAddr) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = log_in(submission).await;
                from.write_all(b"220 logged in ESMTP\r\n").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn log_in(submission: SocketAddr) -> BufReader<TcpStream> {
    let mut stream = BufReader::new(TcpStream::connect(submission).await.unwrap());
    let plain = format!("\0alice@example.test\0{PASSWORD}");
    let plain = String::from_utf8(hikyaku_wire::encode_sasl(plain.as_bytes())).unwrap();
    for (command, reply) in [
        ("", "220 "),
        ("EHLO tests\r\n", "250 "),
        (&format!("AUTH PLAIN {plain}\r\n"), "235 "),
    ] {
        stream.write_all(command.as_bytes()).await.unwrap();
        let mut line = String::from("250-");
        while line.as_bytes()[3] == b'-' {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        assert!(line.starts_with(reply), "{command}: {line}");
    }
    stream
}
