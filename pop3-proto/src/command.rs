//! Commands: what a client sends (RFC 1939, 2449, 2595, 5034, 6856).

use bytes::Bytes;
use hikyaku_wire::{Excerpt, Output, SaslLine, Secret, decode_sasl, encode_sasl};

/// A line that is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at octet {offset}, found {found}")]
#[non_exhaustive]
pub struct SyntaxError {
    /// Where, from the first octet of the line.
    pub offset: usize,
    /// What had to stand there.
    pub expected: &'static str,
    /// The first octets of what stands there; nothing of a line that may hold a password.
    pub found: Excerpt,
}

/// A command line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// `USER name`: may hold blanks.
    User(Bytes),
    /// `PASS string`: blanks belong to it.
    Pass(Secret),
    /// `APOP name digest`
    Apop {
        /// The name.
        name: Bytes,
        /// 32 hexadecimal digits, decoded.
        digest: [u8; 16],
    },
    /// `AUTH mechanism [initial-response]`
    Auth {
        /// In upper case.
        mechanism: Bytes,
        /// Decoded; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `AUTH` alone: which mechanisms there are, in an old form.
    AuthList,
    /// `STLS`
    Stls,
    /// `CAPA`
    Capa,
    /// `UTF8`
    Utf8,
    /// `LANG [language]`
    Lang(Option<Bytes>),
    /// `STAT`
    Stat,
    /// `LIST [number]`
    List(Option<u32>),
    /// `UIDL [number]`
    Uidl(Option<u32>),
    /// `RETR number`
    Retr(u32),
    /// `TOP number lines`
    Top {
        /// The message, counted from 1.
        number: u32,
        /// Lines of its body.
        lines: u32,
    },
    /// `DELE number`
    Dele(u32),
    /// `NOOP`
    Noop,
    /// `RSET`
    Rset,
    /// `QUIT`
    Quit,
}

impl Command {
    /// Reads a line, given without its CRLF.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet; at offset 0 the command itself is unknown.
    pub fn parse(line: &Bytes) -> Result<Self, SyntaxError> {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        let (verb, rest) = line.split_at(end);
        let arguments = rest.get(1..).unwrap_or(&[]);
        let error_at = |offset, expected| SyntaxError {
            offset,
            expected,
            found: Excerpt::of_command(line, offset),
        };
        let error = |expected| error_at(end + 1, expected);
        let mut keyword = [0_u8; 4];
        let unknown = error_at(0, "a command");
        let Some(keyword) = keyword.get_mut(..verb.len()) else {
            return Err(unknown);
        };
        keyword.copy_from_slice(verb);
        keyword.make_ascii_uppercase();
        let number = |text: &[u8]| number(text).filter(|&n| n > 0);
        // More than one blank is in the world.
        let message = || number(arguments.trim_ascii()).ok_or(error("a message number"));
        let optional = || match arguments.trim_ascii() {
            [] => Ok(None),
            _ => message().map(Some),
        };
        let alone = |command| match arguments.trim_ascii_end() {
            [] => Ok(command),
            _ => Err(error("the end of the line")),
        };
        match &*keyword {
            b"USER" => match arguments.trim_ascii_end() {
                [] => Err(error("a name")),
                name => Ok(Self::User(line.slice_ref(name))),
            },
            b"PASS" => Ok(Self::Pass(Secret::from(arguments.to_vec()))),
            b"APOP" => apop(line, arguments).ok_or(error("a name and 32 hexadecimal digits")),
            b"AUTH" if arguments.trim_ascii().is_empty() => Ok(Self::AuthList),
            b"AUTH" => auth(arguments).ok_or(error("a mechanism, then base64")),
            b"STLS" => alone(Self::Stls),
            b"CAPA" => alone(Self::Capa),
            b"UTF8" => alone(Self::Utf8),
            b"LANG" => match arguments.trim_ascii() {
                [] => Ok(Self::Lang(None)),
                language if language.iter().all(u8::is_ascii_graphic) => {
                    Ok(Self::Lang(Some(line.slice_ref(language))))
                }
                _ => Err(error("a language")),
            },
            b"STAT" => alone(Self::Stat),
            b"LIST" => optional().map(Self::List),
            b"UIDL" => optional().map(Self::Uidl),
            b"RETR" => message().map(Self::Retr),
            b"TOP" => top(arguments.trim_ascii_end()).ok_or(error("a message number and lines")),
            b"DELE" => message().map(Self::Dele),
            b"NOOP" => alone(Self::Noop),
            b"RSET" => alone(Self::Rset),
            b"QUIT" => alone(Self::Quit),
            _ => Err(unknown),
        }
    }

    /// Returns the word that the command begins with.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "USER",
            Self::Pass(_) => "PASS",
            Self::Apop { .. } => "APOP",
            Self::Auth { .. } | Self::AuthList => "AUTH",
            Self::Stls => "STLS",
            Self::Capa => "CAPA",
            Self::Utf8 => "UTF8",
            Self::Lang(_) => "LANG",
            Self::Stat => "STAT",
            Self::List(_) => "LIST",
            Self::Uidl(_) => "UIDL",
            Self::Retr(_) => "RETR",
            Self::Top { .. } => "TOP",
            Self::Dele(_) => "DELE",
            Self::Noop => "NOOP",
            Self::Rset => "RSET",
            Self::Quit => "QUIT",
        }
    }

    /// Returns whether [`encode`](Self::encode) writes every argument as it is.
    #[must_use]
    pub fn is_encodable(&self) -> bool {
        match self {
            Self::User(name) | Self::Apop { name, .. } => {
                // Blanks at the end are taken for none.
                let whole = !name.is_empty() && name.trim_ascii_end().len() == name.len();
                whole && name.iter().all(|&octet| is_text_char(octet))
            }
            Self::Pass(password) => password.expose().iter().all(|&octet| is_text_char(octet)),
            Self::Auth { mechanism, .. } => {
                (1..=20).contains(&mechanism.len())
                    && mechanism.iter().all(|&octet| is_mechanism_char(octet))
            }
            Self::Lang(Some(language)) => {
                !language.is_empty() && language.iter().all(u8::is_ascii_graphic)
            }
            Self::List(Some(0)) | Self::Uidl(Some(0)) | Self::Retr(0) | Self::Dele(0) => false,
            Self::Top { number, .. } => *number > 0,
            _ => true,
        }
    }

    /// Appends the line with its CRLF. It is one line and this command whatever the arguments hold: what may not stand
    /// in one is replaced. [`is_encodable`](Self::is_encodable) says beforehand whether that would be needed.
    pub fn encode(&self, output: &mut Output) {
        let text = |output: &mut Output, verb: &str, argument: &[u8]| {
            output.write(verb.as_bytes());
            output.write_only(argument, is_text_char, b'?');
        };
        let numbered = |output: &mut Output, verb: &str, number: Option<u32>| {
            output.write(verb.as_bytes());
            if let Some(number) = number {
                output.write(b" ");
                output.write_number(u64::from(number));
            }
        };
        match self {
            Self::User(name) => text(output, "USER ", name),
            Self::Pass(password) => text(output, "PASS ", password.expose()),
            Self::Apop { name, digest } => {
                use core::fmt::Write as _;
                text(output, "APOP ", name);
                output.write(b" ");
                for octet in digest {
                    let _ = write!(output, "{octet:02x}");
                }
            }
            Self::Auth { mechanism, initial } => {
                output.write(b"AUTH ");
                write_mechanism(mechanism, output);
                match initial {
                    Some(secret) if secret.expose().is_empty() => output.write(b" ="),
                    Some(secret) => text(output, " ", &encode_sasl(secret.expose())),
                    None => {}
                }
            }
            Self::AuthList => output.write(b"AUTH"),
            Self::Stls => output.write(b"STLS"),
            Self::Capa => output.write(b"CAPA"),
            Self::Utf8 => output.write(b"UTF8"),
            Self::Lang(None) => output.write(b"LANG"),
            Self::Lang(Some(language)) => {
                output.write(b"LANG ");
                output.write_only(language, |octet| octet.is_ascii_graphic(), b'-');
            }
            Self::Stat => output.write(b"STAT"),
            Self::List(number) => numbered(output, "LIST", *number),
            Self::Uidl(number) => numbered(output, "UIDL", *number),
            Self::Retr(number) => numbered(output, "RETR", Some(*number)),
            Self::Top { number, lines } => {
                numbered(output, "TOP", Some(*number));
                numbered(output, "", Some(*lines));
            }
            Self::Dele(number) => numbered(output, "DELE", Some(*number)),
            Self::Noop => output.write(b"NOOP"),
            Self::Rset => output.write(b"RSET"),
            Self::Quit => output.write(b"QUIT"),
        }
        output.write(b"\r\n");
    }
}

/// What a name or a password may hold: nothing that ends the line.
fn is_text_char(octet: u8) -> bool {
    !matches!(octet, b'\r' | b'\n' | 0)
}

/// What the name of a SASL mechanism may hold (RFC 4422 §3.1); lower case is accepted.
pub(crate) fn is_mechanism_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

/// Appends the name of a mechanism: one word, whatever is in it.
pub(crate) fn write_mechanism(mechanism: &[u8], output: &mut Output) {
    if mechanism.is_empty() {
        // AUTH alone is another command.
        output.note_replaced();
        output.write(b"-");
    }
    output.write_only(mechanism, is_mechanism_char, b'-');
}

/// Digits within 32 bits.
pub(crate) fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then_some(text)?.iter().try_fold(0_u32, |sum, &o| {
        sum.checked_mul(10)?.checked_add(u32::from(o - b'0'))
    })
}

fn top(arguments: &[u8]) -> Option<Command> {
    let at = memchr::memchr(b' ', arguments)?;
    let (first, second) = arguments.split_at(at);
    Some(Command::Top {
        number: number(first).filter(|&n| n > 0)?,
        lines: number(second.trim_ascii_start())?,
    })
}

fn apop(line: &Bytes, arguments: &[u8]) -> Option<Command> {
    let arguments = arguments.trim_ascii_end();
    let at = memchr::memrchr(b' ', arguments)?;
    let (name, hex) = arguments.split_at(at);
    let hex = hex.get(1..)?;
    let mut digest = [0_u8; 16];
    let digit = |o: u8| char::from(o).to_digit(16);
    if name.is_empty() || hex.len() != 32 {
        return None;
    }
    for (octet, pair) in digest.iter_mut().zip(hex.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *octet = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    }
    let name = line.slice_ref(name);
    Some(Command::Apop { name, digest })
}

fn auth(arguments: &[u8]) -> Option<Command> {
    let end = memchr::memchr(b' ', arguments).unwrap_or(arguments.len());
    let (name, rest) = arguments.split_at(end);
    let is_mechanism = name.iter().all(|&octet| is_mechanism_char(octet));
    if !(1..=20).contains(&name.len()) || !is_mechanism {
        return None;
    }
    let initial = match rest.trim_ascii() {
        [] => None,
        text => match decode_sasl(text) {
            Ok(SaslLine::Response(secret)) => Some(secret),
            _ => return None,
        },
    };
    let mechanism = Bytes::from(name.to_ascii_uppercase());
    Some(Command::Auth { mechanism, initial })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn any_command() -> impl Strategy<Value = Command> {
        let word = || "[a-zA-Z0-9.@]{1,20}".prop_map(Bytes::from);
        let number = || 1..=u32::MAX;
        prop_oneof![
            word().prop_map(Command::User),
            "[ -~]{0,20}".prop_map(|p| Command::Pass(Secret::from(p.into_bytes()))),
            (word(), any::<[u8; 16]>()).prop_map(|(name, digest)| Command::Apop { name, digest }),
            ("[A-Z0-9-]{1,20}", proptest::option::of(any::<Vec<u8>>())).prop_map(|(m, i)| {
                Command::Auth {
                    mechanism: m.into(),
                    initial: i.map(Secret::from),
                }
            }),
            proptest::option::of(word()).prop_map(Command::Lang),
            proptest::option::of(number()).prop_map(Command::List),
            proptest::option::of(number()).prop_map(Command::Uidl),
            number().prop_map(Command::Retr),
            (number(), any::<u32>()).prop_map(|(number, lines)| Command::Top { number, lines }),
            number().prop_map(Command::Dele),
            (0..9).prop_map(|which| match which {
                0 => Command::AuthList,
                1 => Command::Stls,
                2 => Command::Capa,
                3 => Command::Utf8,
                4 => Command::Stat,
                5 => Command::Noop,
                6 => Command::Rset,
                _ => Command::Quit,
            }),
        ]
    }

    fn written(command: &Command) -> Bytes {
        let mut output = Output::new();
        command.encode(&mut output);
        output.copy_to_bytes(output.len())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(command in any_command()) {
            let line = written(&command);
            let read = Command::parse(&line.slice(..line.len() - 2)).unwrap();
            prop_assert_eq!(written(&read), line);
            prop_assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&command));
        }

        #[test]
        fn nothing_panics(verb in "(APOP |AUTH |TOP |LIST |)", rest: Vec<u8>) {
            let _ = Command::parse(&Bytes::from([verb.as_bytes(), &rest].concat()));
        }
    }

    /// `pop3.tsv`, side C: rows `ok` and `bad`.
    #[test]
    fn the_traps_come_out_as_expected() {
        for trap in hikyaku_wire::testkit::traps("pop3.tsv", "C") {
            let mut input = bytes::BytesMut::from(&trap.octets[..]);
            let line = hikyaku_wire::LineFramer::default().next(&mut input, 1024);
            let line = line.and_then(Result::ok);
            let ok = line.is_some_and(|line| Command::parse(&line.freeze()).is_ok());
            if trap.expect != "either" {
                assert_eq!(ok, trap.expect == "ok", "{trap:?}");
            }
        }
    }
}
