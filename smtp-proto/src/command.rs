//! Commands: what a client sends (RFC 5321 §4.1.1 and the extensions that add some).

use bytes::Bytes;
use hikyaku_wire::{Excerpt, Output, SaslLine, Secret, decode_sasl, encode_sasl};

use crate::SyntaxError;
use crate::error::{IResult, expected, whole};
use crate::parameter::{
    MailParameters, RcptParameters, encode_all, is_keyword, is_number, mail_parameters, number,
    rcpt_parameters,
};
use crate::path::{self, ForwardPath, ReversePath, forward_path, greeting_name, reverse_path};

/// A command line.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// `EHLO domain`
    Ehlo(Bytes),
    /// `HELO domain`
    Helo(Bytes),
    /// `LHLO domain` (LMTP, RFC 2033)
    Lhlo(Bytes),
    /// `MAIL FROM:<..> ..`
    Mail(ReversePath, MailParameters),
    /// `RCPT TO:<..> ..`
    Rcpt(ForwardPath, RcptParameters),
    /// `DATA`
    Data,
    /// `BDAT octets [LAST]` (RFC 3030); more than 64 bits are the largest number.
    Bdat {
        /// Octets that follow.
        octets: u64,
        /// Whether they are the last.
        last: bool,
    },
    /// `RSET`
    Rset,
    /// `NOOP [string]`
    Noop,
    /// `QUIT`
    Quit,
    /// `VRFY string`
    Vrfy(Bytes),
    /// `EXPN string`
    Expn(Bytes),
    /// `HELP [string]`
    Help(Option<Bytes>),
    /// `STARTTLS` (RFC 3207)
    StartTls,
    /// `AUTH mechanism [initial-response]` (RFC 4954)
    Auth {
        /// In upper case.
        mechanism: Bytes,
        /// Decoded; `=` is an empty one.
        initial: Option<Secret>,
    },
    /// `ETRN node` (RFC 1985)
    Etrn(Bytes),
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 500: no such command.
    Unknown,
    /// 501: a known one, wrongly used.
    Syntax(SyntaxError),
}

impl Command {
    /// Reads a line, given without its CRLF.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet; at offset 0 the command itself is unknown.
    pub fn parse(line: &Bytes) -> Result<Self, SyntaxError> {
        Self::parse_line(line).map_err(|refused| match refused {
            Refused::Unknown => SyntaxError {
                offset: 0,
                expected: "a command",
                found: Excerpt::of_command(line, 0),
            },
            Refused::Syntax(error) => error,
        })
    }

    pub(crate) fn parse_line(line: &Bytes) -> Result<Self, Refused> {
        let end = line.iter().position(|o| !o.is_ascii_alphabetic());
        let (verb, rest) = line.split_at(end.unwrap_or(line.len()));
        let mut upper = [0_u8; 8];
        let Some(upper) = upper.get_mut(..verb.len()) else {
            return Err(Refused::Unknown);
        };
        upper.copy_from_slice(verb);
        upper.make_ascii_uppercase();
        if !matches!(rest.first(), None | Some(b' ')) {
            return Err(Refused::Unknown);
        }
        // White space at the end is in the world (§4.1.1 lets receivers take it).
        let arguments = rest.trim_ascii();
        let parsed = match &*upper {
            b"EHLO" => map(greeting_name(arguments), Self::Ehlo),
            b"HELO" => map(greeting_name(arguments), Self::Helo),
            b"LHLO" => map(greeting_name(arguments), Self::Lhlo),
            b"MAIL" => mail(line, arguments),
            b"RCPT" => rcpt(line, arguments),
            b"DATA" => Ok((arguments, Self::Data)),
            b"BDAT" => bdat(arguments),
            b"RSET" => Ok((arguments, Self::Rset)),
            b"NOOP" => Ok((&[][..], Self::Noop)),
            b"QUIT" => Ok((arguments, Self::Quit)),
            b"VRFY" => string(line, arguments, Self::Vrfy),
            b"EXPN" => string(line, arguments, Self::Expn),
            b"HELP" if arguments.is_empty() => Ok((arguments, Self::Help(None))),
            b"HELP" => string(line, arguments, |s| Self::Help(Some(s))),
            b"STARTTLS" => Ok((arguments, Self::StartTls)),
            b"AUTH" => auth(line, arguments),
            b"ETRN" => string(line, arguments, Self::Etrn),
            _ => return Err(Refused::Unknown),
        };
        whole(line, parsed).map_err(Refused::Syntax)
    }

    /// The word it begins with.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ehlo(_) => "EHLO",
            Self::Helo(_) => "HELO",
            Self::Lhlo(_) => "LHLO",
            Self::Mail(..) => "MAIL",
            Self::Rcpt(..) => "RCPT",
            Self::Data => "DATA",
            Self::Bdat { .. } => "BDAT",
            Self::Rset => "RSET",
            Self::Noop => "NOOP",
            Self::Quit => "QUIT",
            Self::Vrfy(_) => "VRFY",
            Self::Expn(_) => "EXPN",
            Self::Help(_) => "HELP",
            Self::StartTls => "STARTTLS",
            Self::Auth { .. } => "AUTH",
            Self::Etrn(_) => "ETRN",
        }
    }

    /// Appends the line with its CRLF. It is one line and this command whatever the arguments hold: what may not stand
    /// in one is replaced, and [`Output::has_replaced`] says so.
    pub fn encode(&self, output: &mut Output) {
        let named = |output: &mut Output, verb: &[u8], name: &[u8]| {
            output.write(verb);
            path::write_greeting_name(name, output);
        };
        let text = |output: &mut Output, verb: &[u8], argument: &[u8]| {
            output.write(verb);
            output.write_only(argument, |octet| !octet.is_ascii_control(), b'?');
        };
        match self {
            Self::Ehlo(name) => named(output, b"EHLO ", name),
            Self::Helo(name) => named(output, b"HELO ", name),
            Self::Lhlo(name) => named(output, b"LHLO ", name),
            Self::Mail(reverse_path, parameters) => {
                output.write(b"MAIL FROM:");
                path::encode(reverse_path, output);
                parameters.encode(output);
            }
            Self::Rcpt(forward_path, parameters) => {
                output.write(b"RCPT TO:");
                path::encode(forward_path, output);
                encode_all(&parameters.others, output);
            }
            Self::Data => output.write(b"DATA"),
            Self::Bdat { octets, last } => {
                output.write(b"BDAT ");
                output.write_number(*octets);
                output.write(if *last { b" LAST" } else { b"" });
            }
            Self::Rset => output.write(b"RSET"),
            Self::Noop => output.write(b"NOOP"),
            Self::Quit => output.write(b"QUIT"),
            Self::Vrfy(string) => text(output, b"VRFY ", string),
            Self::Expn(string) => text(output, b"EXPN ", string),
            Self::Help(None) => output.write(b"HELP"),
            Self::Help(Some(string)) => text(output, b"HELP ", string),
            Self::StartTls => output.write(b"STARTTLS"),
            Self::Auth { mechanism, initial } => {
                output.write(b"AUTH ");
                output.write_only(mechanism, is_mechanism_char, b'-');
                match initial {
                    Some(secret) if secret.expose().is_empty() => output.write(b" ="),
                    Some(secret) => text(output, b" ", &encode_sasl(secret.expose())),
                    None => {}
                }
            }
            Self::Etrn(node) => text(output, b"ETRN ", node),
        }
        output.write(b"\r\n");
    }
}

fn map<T>(parsed: IResult<'_, T>, command: impl FnOnce(T) -> Command) -> IResult<'_, Command> {
    parsed.map(|(rest, value)| (rest, command(value)))
}

/// Takes `keyword` in any case; blanks behind the colon are in the world.
fn keyword<'a>(i: &'a [u8], keyword: &'static str) -> IResult<'a, ()> {
    match i.split_at_checked(keyword.len()) {
        Some((head, rest)) if head.eq_ignore_ascii_case(keyword.as_bytes()) => {
            Ok((rest.trim_ascii_start(), ()))
        }
        _ => expected(i, keyword),
    }
}

fn mail<'a>(line: &Bytes, i: &'a [u8]) -> IResult<'a, Command> {
    let (i, ()) = keyword(i, "FROM:")?;
    let (i, reverse_path) = reverse_path(i)?;
    let (i, parameters) = mail_parameters(line, i)?;
    Ok((i, Command::Mail(reverse_path, parameters)))
}

fn rcpt<'a>(line: &Bytes, i: &'a [u8]) -> IResult<'a, Command> {
    let (i, ()) = keyword(i, "TO:")?;
    let (i, forward_path) = forward_path(i)?;
    let (i, parameters) = rcpt_parameters(line, i)?;
    Ok((i, Command::Rcpt(forward_path, parameters)))
}

fn bdat(i: &[u8]) -> IResult<'_, Command> {
    let mut words = i.split(|&o| o == b' ');
    let digits = words.next().unwrap_or(&[]);
    let last = match words.next() {
        None => false,
        Some(word) if word.eq_ignore_ascii_case(b"LAST") => true,
        Some(_) => return expected(i, "LAST"),
    };
    if !is_number(digits, 20) || words.next().is_some() {
        return expected(i, "a number of octets");
    }
    let octets = number(digits);
    Ok((&[], Command::Bdat { octets, last }))
}

fn string<'a>(
    line: &Bytes,
    i: &'a [u8],
    command: impl FnOnce(Bytes) -> Command,
) -> IResult<'a, Command> {
    if i.is_empty() || i.iter().any(u8::is_ascii_control) || core::str::from_utf8(i).is_err() {
        return expected(i, "a string");
    }
    let text = line.slice_ref(i);
    Ok((&[], command(text)))
}

fn is_mechanism_char(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

/// `sasl-mech` (RFC 4422 §3.1); lower case is accepted.
pub(crate) fn is_mechanism(name: &[u8]) -> bool {
    (1..=20).contains(&name.len()) && name.iter().all(|&octet| is_mechanism_char(octet))
}

fn auth<'a>(line: &Bytes, i: &'a [u8]) -> IResult<'a, Command> {
    let end = memchr::memchr(b' ', i).unwrap_or(i.len());
    let (name, rest) = i.split_at(end);
    if !is_mechanism(name) {
        return expected(i, "a SASL mechanism");
    }
    let response = rest.trim_ascii();
    let initial = match decode_sasl(response) {
        _ if response.is_empty() => None,
        Ok(SaslLine::Response(secret)) => Some(secret),
        _ => return expected(rest, "an initial response in base64"),
    };
    let mechanism = match is_keyword(name) && name.iter().all(|o| !o.is_ascii_lowercase()) {
        true => line.slice_ref(name),
        false => Bytes::from(name.to_ascii_uppercase()),
    };
    Ok((&[], Command::Auth { mechanism, initial }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::any_mailbox;
    use crate::{BodyType, Parameter};
    use bytes::Buf as _;
    use proptest::prelude::*;
    use std::vec;

    fn any_command() -> impl Strategy<Value = Command> {
        let text = || "[a-zA-Z0-9.]{1,20}".prop_map(Bytes::from);
        let parameters = (
            proptest::option::of(any::<u64>()),
            proptest::option::of(prop_oneof![
                Just(BodyType::SevenBit),
                Just(BodyType::EightBitMime),
                Just(BodyType::BinaryMime)
            ]),
            any::<bool>(),
            proptest::option::of(Just(Bytes::from("a+40b.test"))),
        )
            .prop_map(|(size, body, smtputf8, auth)| MailParameters {
                size,
                body,
                smtputf8,
                auth,
                others: [Parameter {
                    keyword: "RET".into(),
                    value: Some("HDRS".into()),
                }]
                .into(),
            });
        prop_oneof![
            "[a-z]{1,9}(\\.[a-z]{1,5})?".prop_map(|n| Command::Ehlo(n.into())),
            "[a-z]{1,9}".prop_map(|n| Command::Helo(n.into())),
            "[a-z]{1,9}".prop_map(|n| Command::Lhlo(n.into())),
            (proptest::option::of(any_mailbox()), parameters)
                .prop_map(|(m, p)| Command::Mail(ReversePath(m), p)),
            any_mailbox().prop_map(|m| {
                let never = Parameter {
                    keyword: "NOTIFY".into(),
                    value: Some("NEVER".into()),
                };
                Command::Rcpt(
                    ForwardPath::Mailbox(m),
                    RcptParameters {
                        others: [never].into(),
                    },
                )
            }),
            Just(())
                .prop_map(|()| Command::Rcpt(ForwardPath::Postmaster, RcptParameters::default())),
            Just(()).prop_map(|()| Command::Data),
            (any::<u64>(), any::<bool>()).prop_map(|(octets, last)| Command::Bdat { octets, last }),
            Just(()).prop_map(|()| Command::Rset),
            Just(()).prop_map(|()| Command::Noop),
            Just(()).prop_map(|()| Command::Quit),
            text().prop_map(Command::Vrfy),
            text().prop_map(Command::Expn),
            proptest::option::of(text()).prop_map(Command::Help),
            Just(()).prop_map(|()| Command::StartTls),
            (
                "[A-Z0-9-]{1,20}",
                proptest::option::of(any::<std::vec::Vec<u8>>())
            )
                .prop_map(|(mechanism, initial)| Command::Auth {
                    mechanism: mechanism.into(),
                    initial: initial.map(Secret::from)
                }),
            text().prop_map(Command::Etrn),
        ]
    }

    fn written(command: &Command) -> Bytes {
        let mut output = Output::new();
        command.encode(&mut output);
        output.copy_to_bytes(output.len())
    }

    // `Secret` is not printed by Debug: what is written shows the whole.
    proptest! {
        #[test]
        fn what_is_written_is_read(command in any_command()) {
            let line = written(&command);
            let read = Command::parse(&line.slice(..line.len() - 2)).unwrap();
            prop_assert_eq!(written(&read), line);
            prop_assert_eq!(std::mem::discriminant(&read), std::mem::discriminant(&command));
        }

        #[test]
        fn nothing_panics(verb in "(MAIL FROM:|RCPT TO:|AUTH |BDAT |EHLO |)", rest: std::vec::Vec<u8>) {
            let _ = Command::parse(&Bytes::from([verb.as_bytes(), &rest].concat()));
        }
    }

    /// `smtp.tsv`, side C: rows `ok` and `bad`; a bare CR or LF is framing's, tested there.
    #[test]
    fn the_traps_come_out_as_expected() {
        for trap in hikyaku_wire::testkit::traps("smtp.tsv", "C") {
            let mut input = bytes::BytesMut::from(&trap.octets[..]);
            let line = hikyaku_wire::LineFramer::default().next(&mut input, 4096);
            let line = line.and_then(Result::ok);
            let ok = line.is_some_and(|line| Command::parse(&line.freeze()).is_ok());
            if trap.expect != "either" {
                assert_eq!(ok, trap.expect == "ok", "{trap:?}");
            }
        }
    }
}
