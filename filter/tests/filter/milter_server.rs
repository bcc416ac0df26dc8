//! A milter that answers what it is given, and keeps what it was sent.

use hikyaku_filter::Endpoint;
use std::path::Path;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;

/// What is done about a command.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// These packets are answered, each an octet and its arguments.
    Answer(Vec<Vec<u8>>),
    /// These octets are sent, then the connection is closed.
    Raw(Vec<u8>),
    /// Nothing is answered, for as long as the test runs.
    Silence,
}

/// Answers one packet.
pub(crate) fn answer(packet: &[u8]) -> Act {
    Act::Answer(vec![packet.to_vec()])
}

/// What a milter agrees to: version, actions, protocol.
pub(crate) fn agreed(version: u32, actions: u32, protocol: u32) -> Act {
    let numbers = [version, actions, protocol].map(u32::to_be_bytes).concat();
    answer(&[&b"O"[..], &numbers].concat())
}

/// What a milter does: its acts by command, each with the message that it is for, counted from 0, or for all of them. Without
/// one it wants everything and lets everything pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script(pub(crate) Vec<(usize, u8, Act)>);

impl Script {
    /// The act for that command of every message.
    pub(crate) fn with(mut self, command: u8, act: Act) -> Self {
        self.0.push((usize::MAX, command, act));
        self
    }

    /// The act for that command of the first message.
    pub(crate) fn first(mut self, command: u8, act: Act) -> Self {
        self.0.push((0, command, act));
        self
    }

    fn act(&self, nth: usize, command: u8) -> Act {
        let is_it =
            |(of, to, _): &&(usize, u8, Act)| *to == command && (*of == nth || *of == usize::MAX);
        match (self.0.iter().find(is_it), command) {
            (Some((_, _, act)), _) => act.clone(),
            (None, b'O') => agreed(6, 0x33, 0),
            (None, b'D' | b'A' | b'Q') => Act::Answer(Vec::new()),
            (None, _) => answer(b"c"),
        }
    }
}

pub(crate) struct MilterServer {
    pub(crate) endpoint: Endpoint,
    sent: Arc<Mutex<Vec<String>>>,
    serving: JoinSet<()>,
}

impl MilterServer {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self::of(Endpoint::Tcp(address.to_string()));
        let sent = Arc::clone(&server.sent);
        server.serving.spawn(async move {
            let mut connections = JoinSet::new();
            for nth in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, nth, script.clone(), Arc::clone(&sent)));
            }
        });
        server
    }

    /// One on a unix socket in that folder.
    pub(crate) fn start_unix(folder: &Path, script: Script) -> Self {
        let path = folder.join("milter.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut server = Self::of(Endpoint::Unix(path));
        let sent = Arc::clone(&server.sent);
        server.serving.spawn(async move {
            for nth in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, nth, script.clone(), Arc::clone(&sent)).await;
            }
        });
        server
    }

    fn of(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            sent: Arc::default(),
            serving: JoinSet::new(),
        }
    }

    /// Whether nobody has sent anything yet.
    pub(crate) fn heard_nothing(&self) -> bool {
        self.sent.lock().unwrap().is_empty()
    }

    /// The commands of all messages so far, with their arguments; NUL is shown as `|`. Whoever sends QUIT does not
    /// wait, so it is waited for here.
    pub(crate) async fn sent(&self) -> Vec<String> {
        for _ in 0..2000 {
            if self
                .sent
                .lock()
                .unwrap()
                .iter()
                .any(|command| command == "Q")
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        self.sent.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    nth: usize,
    script: Script,
    sent: Arc<Mutex<Vec<String>>>,
) {
    loop {
        let Ok(length) = stream.read_u32().await else {
            return;
        };
        let mut packet = vec![0; usize::try_from(length).unwrap()];
        if stream.read_exact(&mut packet).await.is_err() {
            return;
        }
        let shown = String::from_utf8_lossy(&packet).replace('\0', "|");
        sent.lock().unwrap().push(shown);
        match script.act(nth, packet[0]) {
            Act::Answer(packets) => {
                for packet in packets {
                    let length = u32::try_from(packet.len()).unwrap();
                    let octets = [&length.to_be_bytes()[..], &packet].concat();
                    if stream.write_all(&octets).await.is_err() {
                        return;
                    }
                }
            }
            Act::Raw(octets) => {
                let _ = stream.write_all(&octets).await;
                return;
            }
            Act::Silence => std::future::pending().await,
        }
    }
}
