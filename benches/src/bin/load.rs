//! Delivers by LMTP from many connections at once: `load ADDRESS RECIPIENT CONNECTIONS MESSAGES`.
//! Prints deliveries a second.

use std::io::{BufRead as _, BufReader, Error, Result, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Barrier};
use std::time::Instant;

fn deliver(address: &str, recipient: &str, messages: usize, start: &Barrier) -> Result<()> {
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
    stream.write_all(b"LHLO load\r\n")?;
    wait("250 ")?;
    let transaction =
        format!("MAIL FROM:<>\r\nRCPT TO:<{recipient}>\r\nDATA\r\nSubject: x\r\n\r\nx\r\n.\r\n");
    start.wait();
    for _ in 0..messages {
        stream.write_all(transaction.as_bytes())?;
        for code in ["250 ", "250 ", "354", "250 "] {
            wait(code)?;
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, recipient, connections, messages] = arguments.as_slice() else {
        return Err(Error::other("load ADDRESS RECIPIENT CONNECTIONS MESSAGES"));
    };
    let connections: usize = connections.parse().map_err(Error::other)?;
    let messages: usize = messages.parse().map_err(Error::other)?;
    let start = Arc::new(Barrier::new(connections + 1));
    let threads: Vec<_> = (0..connections)
        .map(|_| {
            let (address, recipient, start) =
                (address.clone(), recipient.clone(), Arc::clone(&start));
            std::thread::spawn(move || deliver(&address, &recipient, messages, &start))
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
