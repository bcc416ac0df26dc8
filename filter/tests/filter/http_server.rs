//! A server in rspamd's place that answers what it is given.

use hikyaku_filter::Endpoint;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

/// What is answered to each question, in turn; the last to all that follow.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// Status 200 and that body; the connection stays open.
    Json(String),
    /// The same, and the connection is closed.
    JsonOnce(String),
    /// These octets, then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing, for as long as the test runs.
    Silence,
}

pub(crate) struct HttpServer {
    pub(crate) endpoint: Endpoint,
    asked: Arc<Mutex<Asked>>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Asked {
    connections: usize,
    questions: Vec<String>,
}

impl HttpServer {
    pub(crate) async fn start(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Asked>>::default();
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&asked);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, answers.clone(), Arc::clone(&shared)));
            }
        });
        Self {
            endpoint: Endpoint::Tcp(address.to_string()),
            asked,
            _serving: serving,
        }
    }

    /// One on a unix socket in that folder.
    pub(crate) fn start_unix(folder: &std::path::Path, answers: Vec<Answer>) -> Self {
        let path = folder.join("rspamd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let asked = Arc::<Mutex<Asked>>::default();
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&asked);
        serving.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, answers.clone(), Arc::clone(&shared)).await;
            }
        });
        Self {
            endpoint: Endpoint::Unix(path),
            asked,
            _serving: serving,
        }
    }

    /// The questions so far, head and body.
    pub(crate) fn questions(&self) -> Vec<String> {
        self.asked.lock().unwrap().questions.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.asked.lock().unwrap().connections
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: Vec<Answer>,
    asked: Arc<Mutex<Asked>>,
) {
    while let Some(question) = question(&mut stream).await {
        let nth = {
            let mut asked = asked.lock().unwrap();
            asked.questions.push(question);
            asked.questions.len() - 1
        };
        let answer = answers.get(nth).or(answers.last()).unwrap();
        let (octets, stays) = match answer {
            Answer::Json(json) => (http(json, "keep-alive"), true),
            Answer::JsonOnce(json) => (http(json, "close"), false),
            Answer::Raw(octets) => (octets.clone(), false),
            Answer::Silence => std::future::pending().await,
        };
        let written = stream.write_all(&octets).await;
        if written.is_err() || !stays {
            return;
        }
    }
}

fn http(json: &str, connection: &str) -> Vec<u8> {
    let octets = json.len();
    let head =
        format!("HTTP/1.1 200 OK\r\nConnection: {connection}\r\nContent-Length: {octets}\r\n\r\n");
    (head + json).into_bytes()
}

/// A whole question; `None` at the end of the connection.
async fn question(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut octets).await.ok()? == 0 {
            return None;
        }
    }
}
