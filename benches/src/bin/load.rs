//! Delivers by LMTP from many connections at once: `load ADDRESS RECIPIENT CONNECTIONS MESSAGES [OCTETS]`, or by SMTP
//! where ADDRESS begins with `smtp:`. Prints deliveries a second. With OCTETS the messages are such as people write,
//! with a body of that size.

use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Instant;

/// A message such as people write.
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
    let small = "Subject: x\r\n\r\nx\r\n".to_owned();
    start.wait();
    for number in messages {
        let message = octets.map_or_else(
            || small.clone(),
            |octets| written(recipient, number, octets),
        );
        let transaction =
            format!("MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n{message}.\r\n");
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
            std::thread::spawn(move || deliver(hello, &address, &recipient, own, octets, &start))
        })
        .collect();
    start.wait();
    let began = Instant::now();
    for thread in threads {
        thread
            .join()
            .map_err(|_| Error::other("a thread panicked"))??;
    }
    let total = connections * messages;
    println!(
        "{:.0} deliveries a second",
        total as f64 / began.elapsed().as_secs_f64()
    );
    Ok(())
}
