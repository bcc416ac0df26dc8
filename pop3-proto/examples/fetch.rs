//! Fetches a maildrop and leaves it as it is:
//!
//!     cargo run -p hikyaku-pop3-proto --example fetch-pop3 -- localhost:2110 alice <password-file
//!
//! The password is the first line of standard input. The connection is in clear, so only a server on this machine
//! is connected to. For TLS, `fetch` takes any stream that can be read and written; set `Options::tls` then instead of
//! `Options::login_needs_tls`.

use hikyaku_pop3_proto::client::{Connection, Event, Options};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{Read, Write};

/// A message with its unique-id.
pub type Message = (String, Vec<u8>);

/// Logs in, lists, and retrieves all messages, by number.
pub fn fetch(
    stream: impl Read + Write,
    name: &str,
    password: Secret,
) -> Result<BTreeMap<u32, Message>, Box<dyn Error>> {
    let mut options = Options::default();
    options.login_needs_tls = false;
    let mut driver = Driver::new(Connection::new(options), stream);
    let mut messages: BTreeMap<u32, Message> = BTreeMap::new();
    let mut password = Some(password);
    let (mut listing, mut receiving) = (None, 0);
    loop {
        let event = match driver.next()? {
            Next::Event(event) => event,
            Next::Closed => return Ok(messages),
            Next::NeedAnswer | Next::StartTls | Next::Compress => {
                return Err("not asked for".into());
            }
        };
        let (pop, output) = driver.split();
        match event {
            Event::Connected { response, .. } if response.is_ok => {
                // What CAPA lists decides whether the machine may pipeline.
                pop.capa(output)?;
            }
            Event::UniqueId { number, unique_id } => {
                let unique_id = String::from_utf8_lossy(&unique_id).into_owned();
                messages.insert(number, (unique_id, Vec::new()));
            }
            Event::Message { number, .. } => receiving = number,
            Event::Chunk(octets) => {
                if let Some((_, message)) = messages.get_mut(&receiving) {
                    message.extend_from_slice(&octets);
                }
            }
            Event::Authenticated { .. } => listing = Some(pop.uidl(None, output)?),
            Event::AuthenticationRefused { response, .. } => {
                return Err(String::from_utf8_lossy(&response.text).into());
            }
            Event::Completed { handle, response } => {
                if let Some(password) = password.take() {
                    pop.login(name.to_string(), password, output)?;
                } else if !response.is_ok {
                    return Err(String::from_utf8_lossy(&response.text).into());
                } else if listing == Some(handle) {
                    for number in messages.keys() {
                        pop.retr(*number, output)?;
                    }
                    pop.quit(output)?;
                }
            }
            Event::Connected { response, .. } | Event::Bye(response) => {
                return Err(String::from_utf8_lossy(&response.text).into());
            }
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, address, name] = arguments.as_slice() else {
        return Err("usage: fetch HOST:PORT NAME <password-file".into());
    };
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    let password = Secret::from(password.trim_end().as_bytes().to_vec());
    let stream = std::net::TcpStream::connect(address)?;
    if !stream.peer_addr()?.ip().is_loopback() {
        return Err("the password would cross the network in clear".into());
    }
    for (number, (unique_id, message)) in fetch(stream, name, password)? {
        println!("{number} {unique_id}: {} octets", message.len());
        std::io::stdout().write_all(&message)?;
    }
    Ok(())
}
