//! Delivers by LMTP from many connections at once: `load ADDRESS RECIPIENT CONNECTIONS MESSAGES [OCTETS]`, or
//! by SMTP if ADDRESS begins with `smtp:`. With a LOGIN in the environment, `NAME PASSWORD`, it logs in and sends as
//! NAME. In RECIPIENT, `%` becomes the number of the message modulo DOMAINS, 1 unless the environment has it. Prints deliveries a second. With OCTETS, the messages are like
//! those that people write, with a body of that size.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

/// How often one tries to log in.
const LOGINS: usize = 100;

/// Writes a message like those that people write.
fn written(recipient: &str, number: usize, octets: usize) -> String {
    let line = "All work and no play makes a courier a dull runner, by day and by night.\r\n";
    let body = line.repeat(octets.div_ceil(line.len()));
    format!(
        "From: Friend {number} <friend{}@elsewhere.test>\r\nTo: <{recipient}>\r\nSubject: message number {number}\r\n\
         Date: Tue, 24 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{number}.{}@elsewhere.test>\r\n\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}",
        number % 97,
        std::process::id()
    )
}

fn deliver(
    hello: &str,
    address: &str,
    recipient: &str,
    messages: std::ops::Range<usize>,
    octets: Option<usize>,
    start: &Barrier,
) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut wait = |code: &str| loop {
        let line = lines.next().ok_or(Error::other("closed"))??;
        if line.starts_with(code) {
            return Ok(());
        }
        if line.starts_with(['4', '5']) {
            return Err(Error::other(line));
        }
    };
    wait("220 ")?;
    stream.write_all(format!("{hello} load\r\n").as_bytes())?;
    wait("250 ")?;
    let mut sender = String::new();
    if let Ok(login) = std::env::var("LOGIN")
        && let Some((name, password)) = login.split_once(' ')
    {
        let plain = STANDARD.encode(format!("\0{name}\0{password}"));
        // Where too many log in at once, some are asked to come again.
        for attempt in 1.. {
            stream.write_all(format!("AUTH PLAIN {plain}\r\n").as_bytes())?;
            match wait("235 ") {
                Ok(()) => break,
                Err(error) if attempt == LOGINS => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        name.clone_into(&mut sender);
    }
    let domains = std::env::var("DOMAINS").ok();
    let domains: usize = domains.and_then(|count| count.parse().ok()).unwrap_or(1);
    let small = "Subject: x\r\n\r\nx\r\n".to_owned();
    start.wait();
    for number in messages {
        let recipient = &recipient.replace('%', &(number % domains).to_string());
        let message = octets.map_or_else(
            || small.clone(),
            |octets| written(recipient, number, octets),
        );
        let transaction =
            format!("MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n{message}.\r\n");
        stream.write_all(transaction.as_bytes())?;
        for code in ["250 ", "250 ", "354", "250 "] {
            wait(code)?;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, recipient, connections, messages, octets @ ..] = arguments.as_slice() else {
        return Err(Error::other(
            "load ADDRESS RECIPIENT CONNECTIONS MESSAGES [OCTETS]",
        ));
    };
    let octets: Option<usize> = octets
        .first()
        .map(|octets| octets.parse())
        .transpose()
        .map_err(Error::other)?;
    let (hello, address) = match address.strip_prefix("smtp:") {
        Some(address) => ("EHLO", address),
        None => ("LHLO", address.as_str()),
    };
    let connections: usize = connections.parse().map_err(Error::other)?;
    let messages: usize = messages.parse().map_err(Error::other)?;
    let start = Arc::new(Barrier::new(connections + 1));
    let threads: Vec<_> = (0..connections)
        .map(|connection| {
            let (address, recipient, start) =
                (address.to_owned(), recipient.clone(), Arc::clone(&start));
            let own = connection * messages..(connection + 1) * messages;
            std::thread::spawn(move || {
                let done = deliver(hello, &address, &recipient, own, octets, &start);
                if let Err(error) = done {
                    // The others wait for this one.
                    eprintln!("{error}");
                    std::process::exit(1);
                }
            })
        })
        .collect();
    start.wait();
    let began = Instant::now();
    for thread in threads {
        let ended = thread.join();
        ended.map_err(|_| Error::other("a thread panicked"))?;
    }
    let total = connections * messages;
    println!(
        "{:.0} deliveries a second",
        total as f64 / began.elapsed().as_secs_f64()
    );
    Ok(())
}
