//! The examples, against a server made of this crate's other machine, over a socket.

#[path = "../examples/fetch.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod fetch;

#[cfg(feature = "codec")]
#[path = "../examples/framed.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod framed;

use hikyaku_imap_proto::server::{Connection, Event, Options};
use hikyaku_imap_proto::{Command, FetchAttribute, FetchItem, Status, Uid};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use std::net::{TcpListener, TcpStream};

/// With their UIDs.
const MESSAGES: [(u32, &str); 3] = [(3, "Subject: one\r\n\r\n)\r\n"), (7, ""), (9, "x")];

/// Serves one client; the password is `sesame`, and there is but INBOX.
fn serve(stream: TcpStream) {
    let mut options = Options::default();
    // The socket never leaves this machine.
    options.login_needs_tls = false;
    let mut driver = Driver::new(Connection::new(options), stream);
    while let Ok(Next::Event(event)) = driver.next() {
        let (imap, output) = driver.split();
        let status = match event {
            Event::Connected => {
                imap.greet("ready", output).unwrap();
                continue;
            }
            Event::Login { password, .. } if password.expose() == b"sesame" => Status::Ok,
            Event::Command(Command::Select { mailbox, .. }) if mailbox.as_str() == "INBOX" => {
                let uids = MESSAGES.iter().filter_map(|(uid, _)| Uid::new(*uid));
                imap.select(uids.collect(), Uid::new(1), true, output);
                Status::Ok
            }
            Event::Command(Command::Fetch { fetch, .. }) => {
                assert!(!fetch.attributes.iter().any(FetchAttribute::sets_seen));
                for (uid, message) in MESSAGES {
                    let uid = Uid::new(uid).unwrap();
                    imap.begin_fetch(uid, output).unwrap();
                    let octets = Some(message.len() as u64);
                    imap.begin_section(&fetch.attributes[1], octets, output)
                        .unwrap();
                    imap.section_chunk(message.into(), output).unwrap();
                    imap.fetch_item(&FetchItem::Uid(uid), output).unwrap();
                    imap.end_fetch(output).unwrap();
                }
                Status::Ok
            }
            _ => Status::No,
        };
        imap.complete(status, None, "so be it", output).unwrap();
    }
}

fn with_server(password: &str, mailbox: &str) -> Result<Vec<(u32, String)>, String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let stream = TcpStream::connect(address).unwrap();
    let password = Secret::from(password.as_bytes().to_vec());
    let messages = fetch::fetch(stream, "alice", password, mailbox);
    let messages = messages.map_err(|error| error.to_string());
    server.join().unwrap();
    let text = |(uid, octets): (Uid, _)| (uid.get(), String::from_utf8(octets).unwrap());
    Ok(messages?.into_iter().map(text).collect())
}

#[test]
fn fetch_reads_every_message() {
    let expected = MESSAGES.map(|(uid, message)| (uid, message.to_string()));
    assert_eq!(with_server("sesame", "INBOX"), Ok(expected.into()));
}

#[test]
fn fetch_says_why_it_cannot() {
    assert_eq!(with_server("wrong", "INBOX"), Err("so be it".to_string()));
    assert_eq!(with_server("sesame", "other"), Err("so be it".to_string()));
}

#[cfg(feature = "codec")]
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

/// Serves one client that appends, and returns what it appended.
#[cfg(feature = "codec")]
fn keep(stream: TcpStream) -> Vec<u8> {
    let mut options = Options::default();
    options.tls = true;
    let mut driver = Driver::new(Connection::new(options), stream);
    let mut message = Vec::new();
    while let Ok(Next::Event(event)) = driver.next() {
        let (imap, output) = driver.split();
        let status = match event {
            Event::Connected => {
                imap.greet("ready", output).unwrap();
                continue;
            }
            Event::Append { append, .. } if append.mailbox.as_str() == "entw\u{fc}rfe" => {
                imap.accept(output).unwrap();
                continue;
            }
            Event::Chunk(octets) => {
                message.extend_from_slice(&octets);
                continue;
            }
            Event::Append { .. } => Status::No,
            Event::Login { .. } | Event::EndOfBody => Status::Ok,
            _ => Status::No,
        };
        imap.complete(status, None, "so be it", output).unwrap();
    }
    message
}

#[cfg(feature = "codec")]
fn appended(mailbox: &str, message: &[u8]) -> (Result<(), String>, Vec<u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || keep(listener.accept().unwrap().0));
    let message = message.to_vec().into();
    let result = run(async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let password = Secret::from(b"p\xc3\xa4ss".to_vec());
        let appended = framed::append(stream, "alice", password, mailbox, message).await;
        appended.map_err(|error| error.to_string())
    });
    (result, server.join().unwrap())
}

#[test]
#[cfg(feature = "codec")]
fn framed_appends_a_message() {
    for message in [&b""[..], b"x", &b"0123456789abcde\n".repeat(10_000)] {
        let (result, kept) = appended("entw\u{fc}rfe", message);
        assert_eq!(result, Ok(()));
        assert_eq!(kept, message);
    }
    let (result, kept) = appended("other", b"x");
    assert_eq!((result, kept), (Err("so be it".to_string()), Vec::new()));
}
