//! Reads a mailbox and leaves it as it is:
//!
//!     cargo run -p hikyaku-imap-proto --example fetch-imap -- localhost:2143 alice INBOX <password-file
//!
//! The password is the first line of standard input. The connection is in clear, so only a server on this machine
//! is connected to. For TLS, `fetch` takes any stream that can be read and written; set `Options::tls` then instead of
//! `Options::login_needs_tls`.

use hikyaku_imap_proto::client::{Connection, Event, Options};
use hikyaku_imap_proto::{Command, FetchAttribute, MailboxName, Section, SequenceSet, Status, Uid};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};

/// Logs in, opens the mailbox read-only, and fetches all messages, by UID.
pub fn fetch(
    stream: impl Read + Write,
    name: &str,
    password: Secret,
    mailbox: &str,
) -> Result<BTreeMap<Uid, Vec<u8>>, Box<dyn Error>> {
    let mut options = Options::default();
    options.login_needs_tls = false;
    let mut driver = Driver::new(Connection::new(options), stream);
    let mut messages = BTreeMap::new();
    let mut password = Some(password);
    let (mut body, mut examined, mut fetched) = (Vec::new(), None, None);
    loop {
        let event = match driver.next()? {
            Next::Event(event) => event,
            Next::Closed => return Ok(messages),
            Next::NeedAnswer | Next::StartTls | Next::Compress => {
                return Err("not asked for".into());
            }
        };
        let (imap, output) = driver.split();
        match event {
            Event::Connected { .. } => {
                let password = password.take().unwrap_or_default();
                imap.login(name.to_string(), password, output)?;
                let examine = Command::examine(MailboxName::new(mailbox));
                examined = Some(imap.issue(examine, output)?);
            }
            Event::Section { .. } => body.clear(),
            Event::Chunk(octets) => body.extend_from_slice(&octets),
            Event::Fetch { uid: Some(uid), .. } => {
                messages.insert(uid, std::mem::take(&mut body));
            }
            Event::Bye(_, text) => return Err(String::from_utf8_lossy(&text).into()),
            Event::AuthenticationRefused(_, end) => {
                return Err(String::from_utf8_lossy(&end.text).into());
            }
            Event::Completed(_, end) if end.status != Status::Ok => {
                return Err(String::from_utf8_lossy(&end.text).into());
            }
            Event::Completed(handle, _) if Some(handle) == examined => {
                let whole = FetchAttribute::peek(Section::default());
                let fetch = Command::uid_fetch(SequenceSet::all(), [FetchAttribute::Uid, whole]);
                fetched = Some(imap.issue(fetch, output)?);
            }
            Event::Completed(handle, _) if Some(handle) == fetched => {
                imap.issue(Command::Logout, output)?;
            }
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, name, mailbox] = arguments.as_slice() else {
        return Err("usage: fetch HOST:PORT NAME MAILBOX <password-file".into());
    };
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = Secret::from(password.trim_end().as_bytes().to_vec());
    let stream = std::net::TcpStream::connect(address)?;
    if !stream.peer_addr()?.ip().is_loopback() {
        return Err("the password would cross the network in clear".into());
    }
    for (uid, message) in fetch(stream, name, password, mailbox)? {
        println!("{uid}: {} octets", message.len());
        std::io::stdout().write_all(&message)?;
    }
    Ok(())
}
