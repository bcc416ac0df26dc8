//! Servers that do not end: the program stops listening to them, says why, and takes little memory meanwhile.
//!
//! Each row is a server that keeps the protocol but for one answer. The program runs against it as a process of its
//! own, whose largest memory is read from the kernel. What is endless is made while it is sent.

mod rows;
mod servers;
mod slow;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rows::{Ask, Before, Fill, Lines, Row, Say, rows};
use servers::{imap, pop, smtp};

/// Sends what a row has; false: what comes next is the usual answer.
fn says(say: Say, stream: &mut TcpStream) -> std::io::Result<bool> {
    match say {
        Before(text) => {
            stream.write_all(text().as_bytes())?;
            return Ok(false);
        }
        Lines(each) => {
            let mut count = 0;
            loop {
                let mut block = String::new();
                while block.len() < 60_000 {
                    block += &each(count);
                    count += 1;
                }
                stream.write_all(block.as_bytes())?;
            }
        }
        Fill(text, octet) => {
            stream.write_all(text.as_bytes())?;
            loop {
                stream.write_all(&[octet; 60_000])?;
            }
        }
        Ask(text) => {
            stream.write_all(text.as_bytes())?;
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone()?);
            while reader.read_line(&mut line)? > 0 {
                stream.write_all(text.as_bytes())?;
                line.clear();
            }
        }
    }
    Ok(true)
}

/// Serves one connection.
fn serve(mut stream: TcpStream, of: &str, row: &Row) -> std::io::Result<()> {
    let is_it = of == row.of;
    if is_it && row.on.is_empty() && says(row.say, &mut stream)? {
        return Ok(());
    }
    stream.write_all(match of {
        "imap" => b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n",
        "pop" => b"+OK hello\r\n",
        _ => b"220 hello\r\n",
    })?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut last) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 {
        let command = line.trim_end();
        let said = match of {
            "imap" => command.split_once(' ').map_or("", |(_, rest)| rest),
            _ => command,
        };
        let on = match row.on.strip_prefix('/') {
            Some(on) if last == 1 || said.contains("Other") => on,
            Some(_) => "\0",
            None => row.on,
        };
        if is_it && !on.is_empty() && said.starts_with(on) && says(row.say, &mut stream)? {
            return Ok(());
        }
        let answer = match of {
            "imap" => imap(command, &mut last),
            "pop" => pop(command),
            _ => smtp(command).into(),
        };
        stream.write_all(answer.as_bytes())?;
        line.clear();
    }
    Ok(())
}

/// A server for a row, on a port of its own.
fn server(of: &'static str, row: &Arc<Row>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let row = Arc::clone(row);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let row = Arc::clone(&row);
            std::thread::spawn(move || serve(stream, of, &row));
        }
    });
    port
}

/// What the program said, its largest memory in mebibytes, and how long it took.
fn run(home: &Path, words: &[&str]) -> (String, u64, Duration) {
    let since = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mailclient"))
        .args(words)
        .env("HIKYAKU_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut largest = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        largest = largest.max(kib.unwrap_or(0) / 1024);
        if since.elapsed() > Duration::from_secs(120) {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut said = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    (said, largest, since.elapsed())
}

fn try_row(row: Row) -> Result<(), String> {
    let home = tempfile::tempdir().unwrap();
    let row = Arc::new(row);
    let kind = if row.of == "imap" { "imap" } else { "pop" };
    let entry = |name: &str, port: u16| {
        format!("[account.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\n")
    };
    let config = format!(
        "[[account]]\naddress = \"me@a.test\"\ntype = \"{kind}\"\nlargest_message = \"16M\"\npassword = {{ in-clear = \"secret\" }}\n{}{}",
        entry("incoming", server(kind, &row)),
        entry("outgoing", server("smtp", &row)),
    );
    std::fs::write(home.path().join("accounts.toml"), config).unwrap();
    let words: &[&str] = match row.of {
        "smtp" => &["account", "test", "me@a.test"],
        _ => &["sync"],
    };
    let (said, largest, took) = run(home.path(), words);
    eprintln!(
        "{} ({}): {largest} MiB, {took:.1?}: {said}",
        row.name, row.of
    );
    let wrong = match () {
        () if !said.contains(row.words) => "says something else",
        () if !said.contains(row.brought) => "brought something else",
        () if largest > row.most => "takes too much memory",
        () if took > Duration::from_secs(110) => "took too long",
        () => return Ok(()),
    };
    Err(format!(
        "{} ({}): {wrong}: {largest} MiB, {took:.1?}: {said}",
        row.name, row.of
    ))
}

#[test]
fn an_imap_server_without_an_end_is_left() {
    try_rows("imap");
}

#[test]
fn a_pop3_server_without_an_end_is_left() {
    try_rows("pop");
}

#[test]
fn a_submission_server_without_an_end_is_left() {
    try_rows("smtp");
}

/// `ROW` names one row, for a look at it alone.
fn try_rows(of: &str) {
    let only = std::env::var("ROW").unwrap_or_default();
    let rows = rows()
        .into_iter()
        .filter(|row| row.of == of && row.name.contains(&only));
    let wrong: Vec<String> = rows.filter_map(|row| try_row(row).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
