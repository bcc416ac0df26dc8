//! Servers that are slow: those that get nowhere are left, those that get on are waited for.

use hikyaku_client::{Dial, Server, Wire};
use std::time::Duration;

use super::servers::{imap, pop, smtp};

/// No command is called so: such a server takes its time for all of them.
const NEVER: &str = "NEVER";

/// A server that is slow: what it sends again and again, and how many seconds lie between.
struct Slow {
    of: &'static str,
    on: &'static str,
    first: &'static str,
    again: &'static str,
    every: u64,
}

const fn slow(
    of: &'static str,
    on: &'static str,
    first: &'static str,
    again: &'static str,
    every: u64,
) -> Slow {
    Slow {
        of,
        on,
        first,
        again,
        every,
    }
}

const SLOW: [Slow; 12] = [
    slow("imap", "", "* OK ", "x", 60),
    slow("imap", "", "", "\r\n", 60),
    slow("imap", "AUTHENTICATE", "* OK ", "x", 60),
    slow("imap", "AUTHENTICATE", "", "* OK still here\r\n", 10),
    slow("imap", "AUTHENTICATE", "", "* CAPABILITY IMAP4rev1\r\n", 30),
    slow("pop", "", "+OK ", "x", 60),
    slow("pop", "AUTH", "+OK ", "x", 60),
    slow("pop", "AUTH", "", "\r\n", 200),
    slow("smtp", "", "", "220-patience\r\n", 60),
    slow("smtp", "EHLO", "250-mx ", "x", 60),
    slow("smtp", "EHLO", "", "250-X-PATIENCE\r\n", 100),
    slow("smtp", "AUTH", "", "235-patience\r\n", 290),
];

impl Slow {
    async fn serve(&self, mut stream: tokio::io::DuplexStream) -> std::io::Result<()> {
        use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
        let greeting = match self.of {
            "imap" => "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n",
            "pop" => "+OK hello\r\n",
            _ => "220 hello\r\n",
        };
        let (mut line, mut last) = (String::new(), 0);
        let mut answer = greeting.to_owned();
        loop {
            let said = line.split_once(' ').map_or("", |(_, rest)| rest);
            let said = if self.of == "imap" { said } else { &line };
            if line.is_empty() == self.on.is_empty() && said.starts_with(self.on) {
                stream.write_all(self.first.as_bytes()).await?;
                loop {
                    tokio::time::sleep(Duration::from_secs(self.every)).await;
                    stream.write_all(self.again.as_bytes()).await?;
                }
            }
            if self.on == NEVER {
                tokio::time::sleep(Duration::from_secs(self.every)).await;
            }
            stream.write_all(answer.as_bytes()).await?;
            line.clear();
            let mut reader = tokio::io::BufReader::new(&mut stream);
            if reader.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            answer = match self.of {
                "imap" => imap(line.trim_end(), &mut last),
                "pop" => pop(line.trim_end()),
                _ => smtp(line.trim_end()).into(),
            };
        }
    }
}

impl Dial for &'static Slow {
    fn dial<'a>(
        &'a self,
        _: &'a Server,
    ) -> hikyaku_mailstore::BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async {
            let (here, there) = tokio::io::duplex(4096);
            let server: &'static Slow = self;
            tokio::spawn(server.serve(there));
            Ok(Box::new(here) as Box<dyn Wire>)
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        _: &'a Server,
    ) -> hikyaku_mailstore::BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async { Ok(stream) })
    }
}

async fn log_in(server: &'static Slow) -> hikyaku_client::Result<()> {
    let entry = Server {
        host: "localhost".into(),
        port: 1,
        security: hikyaku_client::Security::None,
    };
    let password = || b"secret".to_vec().into();
    match server.of {
        "imap" => hikyaku_client::imap::Session::open(&server, &entry, "me", password())
            .await
            .map(drop),
        "pop" => hikyaku_client::pop::Session::open(&server, &entry, "me", password())
            .await
            .map(drop),
        _ => hikyaku_client::Submission::open(&server, &entry, "me", password())
            .await
            .map(drop),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gets_nowhere_is_left() {
    for server in &SLOW {
        let since = tokio::time::Instant::now();
        let name = format!("{} {:?}: {:?}", server.of, server.on, server.again);
        let done = log_in(server).await;
        let why = done.map_or_else(|error| error.to_string(), |()| "it logged in".into());
        let took = since.elapsed().as_secs();
        assert!(why.contains("the server gets nowhere"), "{name}: {why}");
        assert!((500..900).contains(&took), "{name}: {took} s: {why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_is_waited_for() {
    static HONEST: [Slow; 3] = [
        slow("imap", NEVER, "", "", 200),
        slow("pop", NEVER, "", "", 200),
        slow("smtp", NEVER, "", "", 200),
    ];
    for server in &HONEST {
        log_in(server).await.unwrap();
    }
}
