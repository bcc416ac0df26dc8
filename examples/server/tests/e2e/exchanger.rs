//! Mail exchangers for a test: each on an address of its own, all on one port.

pub(crate) use hikyaku_test_dns::free_port as port;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What an exchanger does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It takes what comes.
    Good,
    /// It takes what comes, and greets after a while.
    Slow(Duration),
    /// It accepts the connection and says nothing.
    Silent,
    /// It sends the greeting, then an octet of a reply now and then.
    Tarpit,
    /// It closes the connection.
    Closes,
    /// It refuses every recipient.
    Refuses,
    /// It wants every recipient later.
    Defers,
}

/// What an exchanger saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Connections so far.
    pub(crate) connections: usize,
    /// Connections at the moment, and the most there were.
    pub(crate) open: usize,
    pub(crate) most: usize,
    /// The messages it took, and when.
    pub(crate) messages: Vec<(Instant, String)>,
}

/// An exchanger; its manner may change.
#[derive(Debug, Clone)]
pub(crate) struct Exchanger {
    pub(crate) seen: Arc<Mutex<Seen>>,
    pub(crate) manner: Arc<Mutex<Manner>>,
}

impl Exchanger {
    pub(crate) async fn at(ip: Ipv4Addr, port: u16, manner: Manner) -> Self {
        let address = SocketAddr::new(IpAddr::V4(ip), port);
        let listener = TcpListener::bind(address).await.unwrap();
        let exchanger = Self {
            seen: Arc::default(),
            manner: Arc::new(Mutex::new(manner)),
        };
        let serves = exchanger.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let one = serves.clone();
                tokio::spawn(async move {
                    let manner = *one.manner.lock().unwrap();
                    {
                        let mut seen = one.seen.lock().unwrap();
                        seen.connections += 1;
                        seen.open += 1;
                        seen.most = seen.most.max(seen.open);
                    }
                    let _ = one.talk(stream, manner).await;
                    one.seen.lock().unwrap().open -= 1;
                });
            }
        });
        exchanger
    }

    async fn talk(&self, mut stream: TcpStream, manner: Manner) -> std::io::Result<()> {
        match manner {
            Manner::Closes => return Ok(()),
            Manner::Silent => {
                let mut nothing = [0; 1];
                return stream.read(&mut nothing).await.map(|_| ());
            }
            Manner::Slow(wait) => tokio::time::sleep(wait).await,
            Manner::Tarpit => {
                stream.write_all(b"220 mx ESMTP\r\n").await?;
                for octet in b"250-slow\r\n".iter().cycle() {
                    stream.write_all(&[*octet]).await?;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
            Manner::Good | Manner::Refuses | Manner::Defers => {}
        }
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 mx ESMTP\r\n").await?;
        while let Some(line) = lines.next_line().await? {
            let verb = line.get(..4).unwrap_or("").to_ascii_uppercase();
            let reply: &[u8] = match &verb[..] {
                "RCPT" if manner == Manner::Refuses => b"550 5.1.1 no such user\r\n",
                "RCPT" if manner == Manner::Defers => b"450 4.2.0 not yet\r\n",
                "DATA" => {
                    write.write_all(b"354 go\r\n").await?;
                    let mut message = String::new();
                    loop {
                        match lines.next_line().await? {
                            // What has no end is no message.
                            None => return Ok(()),
                            Some(line) if line == "." => break,
                            Some(line) => message += &(line + "\n"),
                        }
                    }
                    let now = Instant::now();
                    self.seen.lock().unwrap().messages.push((now, message));
                    b"250 2.0.0 taken\r\n"
                }
                "QUIT" => return write.write_all(b"221 bye\r\n").await,
                _ => b"250 ok\r\n",
            };
            write.write_all(reply).await?;
        }
        Ok(())
    }

    pub(crate) fn becomes(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How many messages with that subject it took.
    pub(crate) fn count(&self, subject: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        let subject = format!("Subject: {subject}\n");
        let has = |(_, text): &&(Instant, String)| text.contains(&subject);
        seen.messages.iter().filter(has).count()
    }

    /// Waits until it has taken one with that subject; how long that took.
    pub(crate) async fn takes(&self, subject: &str, within: Duration) -> Duration {
        let began = Instant::now();
        while self.count(subject) == 0 {
            assert!(began.elapsed() < within, "{subject} is not there in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    }
}
