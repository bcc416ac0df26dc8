//! The examples, against a server made of this crate's other machine, over a socket.

#[path = "../examples/fetch.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod fetch;

#[cfg(feature = "codec")]
#[path = "../examples/framed.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod framed;

use hikyaku_pop3_proto::server::{Connection, Event, Maildrop, Options};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use std::net::{TcpListener, TcpStream};

const MESSAGES: [&str; 2] = ["Subject: one\r\n\r\n.dot\r\n", "Subject: two\r\n\r\n"];

/// Serves one client; the password is `sesame`.
fn serve(stream: TcpStream) {
    let mut options = Options::default();
    // The socket never leaves this machine.
    options.login_needs_tls = false;
    let mut driver = Driver::new(Connection::new(options), stream);
    while let Ok(Next::Event(event)) = driver.next() {
        let (pop, output) = driver.split();
        match event {
            Event::Connected => pop.ok("ready", output).unwrap(),
            Event::Login { password, .. } if password.expose() == b"sesame" => {
                let mut maildrop = Maildrop::new();
                for (at, message) in MESSAGES.iter().enumerate() {
                    maildrop
                        .push(message.len() as u64, format!("id{at}"))
                        .unwrap();
                }
                pop.grant(maildrop, output).unwrap();
            }
            Event::Message { number, .. } => {
                pop.begin(output).unwrap();
                pop.chunk(MESSAGES[number as usize - 1].into(), output)
                    .unwrap();
                pop.end(output).unwrap();
            }
            Event::Update { deleted } => {
                assert!(
                    deleted.is_empty(),
                    "the example leaves the maildrop as it is"
                );
                pop.ok("bye", output).unwrap();
            }
            _ => pop.err(None, "no", output).unwrap(),
        }
    }
}

fn with_server(password: &str) -> Result<Vec<(String, String)>, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let stream = TcpStream::connect(address).unwrap();
    let password = Secret::from(password.as_bytes().to_vec());
    let messages = fetch::fetch(stream, "alice", password).map_err(|error| error.to_string());
    server.join().unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    Ok(messages?
        .into_values()
        .map(|(unique_id, message)| (unique_id, text(message)))
        .collect())
}

#[test]
fn fetch_reads_every_message() {
    let expected = MESSAGES.iter().enumerate();
    let expected: Vec<_> = expected
        .map(|(at, message)| (format!("id{at}"), (*message).to_string()))
        .collect();
    assert_eq!(with_server("sesame"), Ok(expected));
}

#[test]
fn fetch_says_why_it_cannot() {
    assert_eq!(with_server("wrong"), Err("no".to_string()));
}

#[cfg(feature = "codec")]
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

#[test]
#[cfg(feature = "codec")]
fn framed_lists_a_maildrop() {
    for (password, expected) in [
        (
            "sesame",
            Ok(MESSAGES.map(|message| message.split_inclusive("\r\n\r\n").next().unwrap())),
        ),
        ("wrong", Err("no")),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
        let listed = run(async {
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let password = Secret::from(password.as_bytes().to_vec());
            let listed = framed::list(stream, "alice", password).await;
            listed.map_err(|error| error.to_string())
        });
        server.join().unwrap();
        let ids = |at: usize, head: &str| (format!("id{at}"), head.to_string());
        let expected = expected.map(|heads| {
            let all = heads.iter().enumerate();
            all.map(|(at, head)| ids(at, head)).collect::<Vec<_>>()
        });
        assert_eq!(listed, expected.map_err(str::to_string));
    }
}
