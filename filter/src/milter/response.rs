//! What a milter answers (`SMFIR_*`).

use bytes::{Buf as _, Bytes};
use hikyaku_smtp_proto::Reply;

use super::command::Command;
use crate::fault::Fault;
use crate::text;

/// An answer.
#[derive(Debug)]
pub(super) enum Response {
    Continue,
    /// The rest of the message is not looked at.
    Accept,
    /// The rest of the body is not looked at.
    Skip,
    /// More time is needed.
    Progress,
    Refuse(Reply),
    Change(Change),
}

/// What is to be changed in a message.
#[derive(Debug, PartialEq)]
pub(super) enum Change {
    Append {
        name: Bytes,
        value: Bytes,
    },
    /// Counted over all fields. The server's own Received is 0, as sendmail counts.
    Insert {
        at: u32,
        name: Bytes,
        value: Bytes,
    },
    /// Counted from 1, over those of that name. An empty value removes it.
    Replace {
        nth: u32,
        name: Bytes,
        value: Bytes,
    },
    /// A piece of a new body.
    Body(Bytes),
    /// The message is junk.
    Quarantine,
}

impl Response {
    /// Reads an answer to that command.
    pub(super) fn read(code: u8, mut arguments: Bytes, command: Command) -> Result<Self, Fault> {
        let broken = || Fault::Arguments(code);
        Ok(match code {
            b'c' => Self::Continue,
            b'a' => Self::Accept,
            b's' => Self::Skip,
            b'p' => Self::Progress,
            b'r' => Self::Refuse(Reply::new(550, "5.7.1", "Refused by a filter")),
            // Nothing that was accepted vanishes here: its sender hears of it.
            b'd' => Self::Refuse(Reply::new(550, "5.7.1", "Message not wanted")),
            // The client's connection is the server's own affair (`SMFIR_SHUTDOWN`, `SMFIR_CONN_FAIL`).
            b't' | b'4' | b'f' => Self::Refuse(Reply::new(451, "4.7.1", "Try again later")),
            b'y' => {
                let end = memchr::memchr(0, &arguments).unwrap_or(arguments.len());
                Self::Refuse(text::refusal(&arguments.split_to(end)).ok_or_else(broken)?)
            }
            b'h' => {
                let (name, value) = pair(arguments).ok_or_else(broken)?;
                Self::Change(Change::Append { name, value })
            }
            b'i' | b'm' => {
                let number = arguments.try_get_u32().map_err(|_| broken())?;
                let (name, value) = pair(arguments).ok_or_else(broken)?;
                Self::Change(match code {
                    b'i' => Change::Insert {
                        at: number,
                        name,
                        value,
                    },
                    _ => Change::Replace {
                        nth: number,
                        name,
                        value,
                    },
                })
            }
            b'b' => Self::Change(Change::Body(arguments)),
            b'q' => Self::Change(Change::Quarantine),
            // Recipients and the reverse-path (`+`, `2`, `-`, `e`) among them: they were not offered.
            answer => {
                let command = command.octet();
                return Err(Fault::Unexpected { answer, command });
            }
        })
    }
}

/// A name and a value, each with its NUL.
fn pair(mut arguments: Bytes) -> Option<(Bytes, Bytes)> {
    let mut next = || {
        let text = arguments.split_to(memchr::memchr(0, &arguments)?);
        arguments.advance(1);
        Some(text)
    };
    let pair = (next()?, next()?);
    arguments.is_empty().then_some(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(packet: &'static [u8]) -> Result<Response, Fault> {
        Response::read(packet[0], packet[1..].into(), Command::EndOfBody)
    }

    #[test]
    fn changes_are_read_with_their_numbers() {
        let change = |packet| match read(packet) {
            Ok(Response::Change(change)) => change,
            other => panic!("{other:?}"),
        };
        let (name, value) = (Bytes::from("A"), Bytes::from("b"));
        let append = change(b"hA\0b\0");
        assert_eq!(
            append,
            Change::Append {
                name: name.clone(),
                value: value.clone()
            }
        );
        let insert = change(b"i\0\0\0\x02A\0b\0");
        assert_eq!(
            insert,
            Change::Insert {
                at: 2,
                name: name.clone(),
                value
            }
        );
        let value = Bytes::new();
        assert_eq!(
            change(b"m\0\0\0\x01A\0\0"),
            Change::Replace {
                nth: 1,
                name,
                value
            }
        );
        assert_eq!(change(b"bx\0y"), Change::Body("x\0y".into()));
        assert_eq!(change(b"qwhy\0"), Change::Quarantine);
    }

    #[test]
    fn refusals_are_replies() {
        for (packet, expected) in [
            (&b"r"[..], "550 5.7.1 Refused by a filter"),
            (b"d", "550 5.7.1 Message not wanted"),
            (b"t", "451 4.7.1 Try again later"),
            (b"4", "451 4.7.1 Try again later"),
            (b"f", "451 4.7.1 Try again later"),
            (b"y554 5.6.0 No\0", "554 5.6.0 No"),
            (b"y450-4.2.0 a\r\n450 4.2.0 b", "450 4.2.0 a b"),
        ] {
            match read(packet) {
                Ok(Response::Refuse(reply)) => assert_eq!(reply.to_string(), expected),
                other => panic!("{packet:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        for packet in [
            &b"x"[..],
            b"+<a@b>\0",
            b"-<a@b>\0",
            b"e<a@b>\0",
            b"y250 fine\0",
            b"y\0",
            b"hA",
            b"hA\0b",
            b"hA\0b\0c",
            b"i\0\0\x01",
            b"m\0\0\0\x01A\0",
        ] {
            assert!(read(packet).is_err(), "{packet:?}");
        }
    }
}
