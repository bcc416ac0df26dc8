//! A web server that says what a test wants, over TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::exchanger::Tls;

/// How the server behaves.
#[derive(Clone)]
pub(crate) enum Answer {
    /// It sends these octets.
    Octets(Vec<u8>),
    /// It says nothing.
    Nothing,
}

/// An answer with a status, a header section and a body.
pub(crate) fn answer(status: &str, header: &str, body: &str) -> Answer {
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{header}Content-Length: {length}\r\n\r\n{body}");
    Answer::Octets(text.into_bytes())
}

/// A policy as it should be served.
pub(crate) fn policy(mode: &str, hosts: &[&str], max_age: u32) -> Answer {
    let hosts: String = hosts.iter().map(|host| format!("mx: {host}\r\n")).collect();
    let body = format!("version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: {max_age}\r\n");
    answer("200 OK", "Content-Type: text/plain\r\n", &body)
}

struct Shared {
    tls: Tls,
    answer: Answer,
    requests: Vec<(String, Vec<u8>)>,
}

/// A web server, until it is dropped.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Web {
    pub(crate) async fn start(tls: Tls, answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Mutex::new(Shared {
            tls,
            answer,
            requests: Vec::new(),
        }));
        let serves = Arc::clone(&shared);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serves);
                tokio::spawn(async move {
                    let _ = serve(stream, &shared).await;
                });
            }
        });
        Self {
            address,
            shared,
            serving,
        }
    }

    pub(crate) fn answers(&self, answer: Answer) {
        self.shared.lock().unwrap().answer = answer;
    }

    pub(crate) fn presents(&self, tls: Tls) {
        self.shared.lock().unwrap().tls = tls;
    }

    /// What it was asked: a head and a body each.
    pub(crate) fn requests(&self) -> Vec<(String, Vec<u8>)> {
        self.shared.lock().unwrap().requests.clone()
    }
}

async fn serve(stream: TcpStream, shared: &Mutex<Shared>) -> std::io::Result<()> {
    let acceptor = shared.lock().unwrap().tls.0.clone();
    let mut stream = acceptor.accept(stream).await?;
    let mut octets = Vec::new();
    let head = loop {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        octets.extend_from_slice(&piece[..count]);
        let end = octets.windows(4).position(|four| four == b"\r\n\r\n");
        match end {
            Some(end) => break end + 4,
            None if count == 0 => return Ok(()),
            None => {}
        }
    };
    let mut body = octets.split_off(head);
    let head = String::from_utf8(octets).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().unwrap())
    });
    while body.len() < length.unwrap_or(0) {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).await?;
        body.extend_from_slice(&piece[..count]);
    }
    let answer = {
        let mut shared = shared.lock().unwrap();
        shared.requests.push((head, body));
        shared.answer.clone()
    };
    match answer {
        Answer::Octets(octets) => {
            stream.write_all(&octets).await?;
            stream.shutdown().await
        }
        Answer::Nothing => {
            tokio::time::sleep(Duration::from_secs(120)).await;
            Ok(())
        }
    }
}
