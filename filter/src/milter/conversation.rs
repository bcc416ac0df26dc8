//! The conversation about one message: connection, HELO, MAIL, RCPT, DATA, fields, body, and what the milter changes.

use bytes::Bytes;
use hikyaku_service::{Arrival, Opinion, Remarks};
use std::net::IpAddr;

use super::command::Command;
use super::macros::macros;
use super::negotiation::{Agreed, proposal};
use super::packets::{ARGUMENTS, Packets};
use super::response::{Change, Response};
use crate::edited::Edited;
use crate::fault::Fault;
use crate::field::field;

/// Changes to one message, pieces of a new body apart.
const CHANGES: usize = 1000;
/// Octets of a field's name that a milter gets.
const NAME: usize = 1000;
/// Octets by which a new body may be longer than twice the message.
const LONGER: usize = 1 << 20;

pub(super) struct Conversation<'a> {
    packets: Packets,
    arrival: Arrival<'a>,
    mta_name: &'a str,
}

/// What comes of a step.
enum Next {
    Continue,
    Skip,
    End(Opinion),
}

impl<'a> Conversation<'a> {
    pub(super) fn new(packets: Packets, arrival: Arrival<'a>, mta_name: &'a str) -> Self {
        Self {
            packets,
            arrival,
            mta_name,
        }
    }

    /// Runs it to its end. A milter that was asked is sent QUIT, and need not answer it.
    pub(super) async fn run(mut self) -> Result<Opinion, Fault> {
        let agreed = self.negotiated().await?;
        let mut edited = Edited::of(self.arrival.message);
        let opinion = match self.envelope(agreed).await? {
            Some(opinion) => Some(opinion),
            None => self.content(agreed, &edited).await?,
        };
        let opinion = match opinion {
            Some(opinion) => {
                self.packets.send(Command::Abort, &[]).await?;
                opinion
            }
            None => match self.end_of_body(agreed, &mut edited).await? {
                Ended::Refused(opinion) => opinion,
                Ended::Accepted { junk } => {
                    let mut remarks = edited.into_remarks();
                    remarks.junk = junk;
                    Opinion::Accept(remarks)
                }
            },
        };
        // What it said counts, even if it is gone by now.
        if self.packets.send(Command::Quit, &[]).await.is_ok() {
            let _ = self.packets.flush().await;
        }
        Ok(opinion)
    }

    async fn negotiated(&mut self) -> Result<Agreed, Fault> {
        self.packets
            .send(Command::Negotiate, &[&proposal()])
            .await?;
        let (answer, arguments) = self.packets.answer().await?;
        let command = Command::Negotiate.octet();
        if answer != command {
            return Err(Fault::Unexpected { answer, command });
        }
        Agreed::read(arguments)
    }

    /// Connection, HELO, MAIL, RCPT. An opinion ends the conversation.
    async fn envelope(&mut self, agreed: Agreed) -> Result<Option<Opinion>, Fault> {
        let arrival = self.arrival;
        let connect = connect(arrival.client.address);
        if let Next::End(opinion) = self.step(agreed, Command::Connect, &[&connect]).await? {
            return Ok(Some(opinion));
        }
        if !arrival.client.hello.is_empty() {
            let hello = string(arrival.client.hello.as_bytes());
            if let Next::End(opinion) = self.step(agreed, Command::Helo, &[&hello]).await? {
                return Ok(Some(opinion));
            }
        }
        let from = string(arrival.reverse_path.to_string().as_bytes());
        if let Next::End(opinion) = self.step(agreed, Command::Mail, &[&from]).await? {
            return Ok(Some(opinion));
        }
        for to in arrival.recipients {
            let path = string(format!("<{to}>").as_bytes());
            let parts: [&[u8]; 1] = [&path];
            let next = self.step_to(agreed, Command::Recipient, &parts, Some(to));
            if let Next::End(opinion) = next.await? {
                return Ok(Some(opinion));
            }
        }
        match self.step(agreed, Command::Data, &[]).await? {
            Next::End(opinion) => Ok(Some(opinion)),
            _ => Ok(None),
        }
    }

    /// Header section and body.
    async fn content(&mut self, agreed: Agreed, edited: &Edited) -> Result<Option<Opinion>, Fault> {
        for (name, value) in edited.fields() {
            // A packet that is cut still has a name and a value.
            let (name, _) = name.split_at(name.len().min(NAME));
            let value = value_for(value, agreed.leading_space());
            let parts = [name, b"\0", &value, b"\0"];
            if let Next::End(opinion) = self.step(agreed, Command::Header, &parts).await? {
                return Ok(Some(opinion));
            }
        }
        if let Next::End(opinion) = self.step(agreed, Command::EndOfHeader, &[]).await? {
            return Ok(Some(opinion));
        }
        let body = edited.body();
        for piece in body.chunks(ARGUMENTS) {
            match self.step(agreed, Command::Body, &[piece]).await? {
                Next::Continue => {}
                Next::Skip => break,
                Next::End(opinion) => return Ok(Some(opinion)),
            }
        }
        Ok(None)
    }

    async fn step(
        &mut self,
        agreed: Agreed,
        command: Command,
        parts: &[&[u8]],
    ) -> Result<Next, Fault> {
        self.step_to(agreed, command, parts, None).await
    }

    /// Sends a command, where the milter wants it, and waits for an answer, where it gives one.
    async fn step_to(
        &mut self,
        agreed: Agreed,
        command: Command,
        parts: &[&[u8]],
        to: Option<&str>,
    ) -> Result<Next, Fault> {
        if !agreed.wants(command) {
            return Ok(Next::Continue);
        }
        self.send(command, parts, to).await?;
        if !agreed.answers(command) {
            return Ok(Next::Continue);
        }
        loop {
            let (answer, arguments) = self.packets.answer().await?;
            return Ok(match Response::read(answer, arguments, command)? {
                Response::Continue => Next::Continue,
                Response::Accept => Next::End(Opinion::Accept(Remarks::default())),
                Response::Refuse(reply) => Next::End(Opinion::Refuse(reply)),
                Response::Skip if command == Command::Body && agreed.skips() => Next::Skip,
                Response::Progress => continue,
                Response::Skip | Response::Change(_) => {
                    let command = command.octet();
                    return Err(Fault::Unexpected { answer, command });
                }
            });
        }
    }

    async fn send(
        &mut self,
        command: Command,
        parts: &[&[u8]],
        to: Option<&str>,
    ) -> Result<(), Fault> {
        let macros = macros(command, self.arrival, self.mta_name, to);
        if !macros.is_empty() {
            self.packets.send(Command::Macros, &[&macros]).await?;
        }
        self.packets.send(command, parts).await
    }

    /// The end of the body: the milter changes the message, then it has its last word.
    async fn end_of_body(&mut self, agreed: Agreed, edited: &mut Edited) -> Result<Ended, Fault> {
        self.send(Command::EndOfBody, &[], None).await?;
        let longest = self
            .arrival
            .message
            .len()
            .saturating_mul(2)
            .saturating_add(LONGER);
        let mut body: Option<Vec<u8>> = None;
        let mut junk = false;
        let mut changes = 0;
        loop {
            let (answer, arguments) = self.packets.answer().await?;
            let change = match Response::read(answer, arguments, Command::EndOfBody)? {
                Response::Continue | Response::Accept => break,
                Response::Refuse(reply) => return Ok(Ended::Refused(Opinion::Refuse(reply))),
                Response::Progress => continue,
                Response::Skip => {
                    let command = Command::EndOfBody.octet();
                    return Err(Fault::Unexpected { answer, command });
                }
                Response::Change(change) => change,
            };
            match change {
                Change::Body(piece) => {
                    let body = body.get_or_insert_default();
                    if body.len() + piece.len() > longest {
                        return Err(Fault::TooLong(longest));
                    }
                    body.extend_from_slice(&piece);
                    continue;
                }
                Change::Quarantine => junk = true,
                change => change_field(edited, change, agreed.leading_space())
                    .ok_or(Fault::Arguments(answer))?,
            }
            changes += 1;
            if changes > CHANGES {
                return Err(Fault::Changes(CHANGES));
            }
        }
        if let Some(body) = body {
            edited.replace_body(&body);
        }
        Ok(Ended::Accepted { junk })
    }
}

/// How the end of the body was answered.
enum Ended {
    Accepted { junk: bool },
    Refused(Opinion),
}

/// Changes a field; `None` where it is none.
fn change_field(edited: &mut Edited, change: Change, leading_space: bool) -> Option<()> {
    let written = |name: &[u8], value: &[u8]| field(name, value, !leading_space);
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    match change {
        Change::Append { name, value } => edited.append(written(&name, &value)?),
        // Nothing goes above the server's own Received, which is 0: most insert at 1.
        Change::Insert { at, name, value } => {
            edited.insert(place(at.saturating_sub(1)), written(&name, &value)?);
        }
        Change::Replace { nth, name, value } => {
            let octets = match value.is_empty() {
                true => None,
                false => Some(written(&name, &value)?),
            };
            edited.change(&name, place(nth), octets);
        }
        Change::Body(_) | Change::Quarantine => {}
    }
    Some(())
}

/// The arguments of the connection: a host's name, then family, port and address. The name is not known, and the port
/// neither.
fn connect(address: Option<IpAddr>) -> Vec<u8> {
    let Some(address) = address.map(|address| address.to_canonical()) else {
        return b"localhost\0U".to_vec();
    };
    let family = match address {
        IpAddr::V4(_) => b'4',
        IpAddr::V6(_) => b'6',
    };
    // As sendmail writes a client without a name.
    let mut arguments = format!("[{address}]\0").into_bytes();
    arguments.extend_from_slice(&[family, 0, 0]);
    arguments.extend_from_slice(address.to_string().as_bytes());
    arguments.push(0);
    arguments
}

/// A string with its NUL, and no other.
fn string(octets: &[u8]) -> Vec<u8> {
    let plain = octets.iter().copied().filter(|octet| *octet != 0);
    plain.chain([0]).collect()
}

/// A field's value as milters get it: lines end in LF, the last in nothing, NUL is left out.
fn value_for(value: &[u8], leading_space: bool) -> Bytes {
    let value = value.strip_suffix(b"\n").unwrap_or(value);
    let value = value.strip_suffix(b"\r").unwrap_or(value);
    let value = match leading_space {
        true => value,
        false => value.strip_prefix(b" ").unwrap_or(value),
    };
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        let ends_line = octet == b'\r' && rest.peek() == Some(&b'\n');
        if octet != 0 && !ends_line {
            octets.push(octet);
        }
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_named_by_its_address() {
        assert_eq!(connect(None), b"localhost\0U");
        let v4: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(connect(Some(v4)), b"[192.0.2.1]\x004\0\x00192.0.2.1\0");
        let v6: IpAddr = "2001:db8::1".parse().unwrap();
        assert_eq!(connect(Some(v6)), b"[2001:db8::1]\x006\0\x002001:db8::1\0");
    }

    #[test]
    fn values_have_lf_and_one_blank_less() {
        assert_eq!(value_for(b"  a\r\n\tb\r\n", false), &b" a\n\tb"[..]);
        assert_eq!(value_for(b" a\0\r\n", true), &b" a"[..]);
        assert_eq!(value_for(b"a\rb\n", false), &b"a\rb"[..]);
    }
}
