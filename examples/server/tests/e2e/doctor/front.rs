//! What stands before the server's port 25.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What it does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Passes,
    /// Nothing listens.
    Closed,
    /// Another server answers.
    Greets(&'static str),
    /// It looks into SMTP, and takes STARTTLS out.
    WithoutTls,
    /// It accepts, and closes.
    Drops,
}

pub(super) struct Front {
    at: SocketAddr,
    server: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    task: Option<JoinHandle<()>>,
}

impl Front {
    pub(super) async fn new(at: SocketAddr, server: SocketAddr) -> Self {
        let mut front = Self {
            at,
            server,
            manner: Arc::new(Mutex::new(Manner::Passes)),
            task: None,
        };
        front.becomes(Manner::Passes).await;
        front
    }

    pub(super) async fn becomes(&mut self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        if let Some(task) = self.task.take() {
            task.abort();
            let _ = task.await;
        }
        if manner == Manner::Closed {
            return;
        }
        let listener = TcpListener::bind(self.at).await.unwrap();
        let (server, manner) = (self.server, Arc::clone(&self.manner));
        self.task = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manner = *manner.lock().unwrap();
                tokio::spawn(async move {
                    let _ = serve(stream, server, manner).await;
                });
            }
        }));
    }
}

async fn serve(mut stream: TcpStream, server: SocketAddr, manner: Manner) -> std::io::Result<()> {
    let name = match manner {
        Manner::Passes => {
            let mut inner = TcpStream::connect(server).await?;
            tokio::io::copy_bidirectional(&mut stream, &mut inner).await?;
            return Ok(());
        }
        Manner::Closed | Manner::Drops => return Ok(()),
        Manner::Greets(name) => name,
        Manner::WithoutTls => "mail.one.test",
    };
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write
        .write_all(format!("220 {name} ESMTP\r\n").as_bytes())
        .await?;
    while let Some(line) = lines.next_line().await? {
        let reply: &[u8] = match line.starts_with("EHLO") {
            true => b"250-mail.one.test\r\n250-XXXXXXXA\r\n250 SIZE\r\n",
            false => b"502 no\r\n",
        };
        write.write_all(reply).await?;
    }
    Ok(())
}
