//! How a command line is read.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{SaslLine, decode_sasl};

use crate::command::etrn::EtrnScope;
use crate::command::line::Command;
use crate::command::proxied::{XCLIENT, XFORWARD, attributes};
use crate::error::{Expected, IResult, SyntaxError, end_of_line, expected, fails, refused};
use crate::leniency::{Leniencies, Leniency};
use crate::mechanism::is_mechanism;
use crate::octets::{self, numeral};
use crate::parameter::mail::MailParameters;
use crate::parameter::rcpt::RcptParameters;
use crate::path::domain::greeting_name;
use crate::path::forward::forward_path;
use crate::path::mailbox::quoted_string;
use crate::path::reverse::reverse_path;

/// The longest word that a command may begin with.
pub(crate) const VERB: usize = 24;

impl Command {
    /// Reads a line, given without its CRLF, with all leniencies. The texts are slices of it.
    ///
    /// ```
    /// use hikyaku_smtp_proto::Command;
    /// let line = "RCPT TO:<bob@example.org> NOTIFY=DELAY".into();
    /// let Command::Rcpt { forward_path, .. } = Command::parse(&line)? else { panic!() };
    /// assert_eq!(forward_path.to_string(), "<bob@example.org>");
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet; at offset 0 there is no command at all.
    pub fn parse(line: &Bytes) -> Result<Self, SyntaxError> {
        Command::read(line, Leniencies::ALL).map(|command| command.within(line))
    }
}

impl<'a> Command<&'a [u8]> {
    /// Reads a line, given without its CRLF. The texts borrow from it; [`within`](Self::within) makes a command of them
    /// that can be kept.
    ///
    /// ```
    /// use hikyaku_smtp_proto::{Command, Leniencies};
    /// let command = Command::read(b"EHLO mx.example.org", Leniencies::NONE)?;
    /// assert!(matches!(command, Command::Ehlo(b"mx.example.org")));
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet; at offset 0 there is no command at all.
    #[inline]
    pub fn read(line: &'a [u8], leniencies: Leniencies) -> Result<Self, SyntaxError> {
        command(line, leniencies)
    }

    /// Takes the first command of several off `input`, with its CRLF; `None` when that is not there yet. It looks at the
    /// whole line again each time: see [`CommandFramer`](crate::framer::CommandFramer) for a stream.
    ///
    /// ```
    /// use hikyaku_smtp_proto::{Command, Leniencies};
    /// let mut input = &b"RSET\r\nQUIT\r\nNO"[..];
    /// let mut names = Vec::new();
    /// while let Some(command) = Command::take(&mut input, Leniencies::ALL) {
    ///     names.push(command?.name().to_owned());
    /// }
    /// assert_eq!((&names[..], input), (&["RSET".to_owned(), "QUIT".to_owned()][..], &b"NO"[..]));
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// [`SyntaxError`], also at a CR or LF alone, which ends no line. The line is taken all the same.
    #[inline]
    pub fn take(input: &mut &'a [u8], leniencies: Leniencies) -> Option<Result<Self, SyntaxError>> {
        let end = memchr::memchr2(b'\r', b'\n', input)?;
        let (line, behind) = input.split_at(end);
        match behind {
            [b'\r', b'\n', rest @ ..] => {
                *input = rest;
                Some(Self::read(line, leniencies))
            }
            [b'\r'] => None,
            _ => bare_newline(input, end),
        }
    }
}

/// The error of a line with a CR or LF alone, which ends at its CRLF.
#[cold]
fn bare_newline<'a>(
    input: &mut &'a [u8],
    at: usize,
) -> Option<Result<Command<&'a [u8]>, SyntaxError>> {
    let line = *input;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    *input = line.get(end + 2..).unwrap_or(&[]);
    let (line, rest) = (line.get(..end)?, line.get(at..end)?);
    let error = fails::<()>(rest, "CRLF").err()?;
    Some(Err(refused(line, &error)))
}

/// One type from the inside out: a command is large, and to wrap it anew is to copy it.
type Parsed<'a> = Result<Command<&'a [u8]>, SyntaxError>;

/// Says where in `line` a parser inside has failed.
#[inline]
fn of(line: &[u8]) -> impl FnOnce(nom::Err<Expected<'_>>) -> SyntaxError {
    move |error| refused(line, &error)
}

#[inline(never)]
fn command(line: &[u8], leniencies: Leniencies) -> Parsed<'_> {
    // §4.1.1 asks to tolerate white space at the end.
    let line = line.trim_ascii_end();
    if let Some((four, rest)) = line.split_first_chunk::<4>()
        && matches!(rest.first(), None | Some(b' '))
    {
        let (_, i) = argument(rest, leniencies).map_err(of(line))?;
        // Without the bit that makes a letter small: no other octets become letters.
        let capitals = u32::from_be_bytes(*four) & 0xDFDF_DFDF;
        match &capitals.to_be_bytes() {
            b"MAIL" => return mail(line, i, leniencies),
            b"RCPT" => return rcpt(line, i, leniencies),
            b"DATA" => return bare(line, i).map(|()| Command::Data),
            b"BDAT" => return bdat(line, i),
            b"EHLO" => return map(line, greeting_name(i, true, leniencies), Command::Ehlo),
            b"HELO" => return map(line, greeting_name(i, false, leniencies), Command::Helo),
            b"LHLO" => return map(line, greeting_name(i, true, leniencies), Command::Lhlo),
            b"RSET" => return bare(line, i).map(|()| Command::Rset),
            b"QUIT" => return bare(line, i).map(|()| Command::Quit),
            _ => {}
        }
    }
    seldom(line, leniencies)
}

/// What stands behind the verb.
#[inline]
fn argument(rest: &[u8], leniencies: Leniencies) -> IResult<'_, &[u8]> {
    let i = rest.get(1..).unwrap_or(&[]);
    match i.first() {
        Some(b' ' | b'\t') if leniencies.contains(Leniency::ExtraBlanks) => {
            let i = i.trim_ascii_start();
            Ok((i, i))
        }
        Some(b' ' | b'\t') => expected(rest, "one blank before an argument"),
        _ => Ok((i, i)),
    }
}

/// Commands that are not those of each transaction.
fn seldom(line: &[u8], leniencies: Leniencies) -> Parsed<'_> {
    let (verb, rest) = octets::run(line, octets::KEYWORD);
    let is_verb = verb.first().is_some_and(u8::is_ascii_alphabetic) && verb.len() <= VERB;
    if !is_verb || !matches!(rest.first(), None | Some(b' ')) {
        return fails(line, "a command").map_err(of(line));
    }
    let (_, i) = argument(rest, leniencies).map_err(of(line))?;
    match &*verb.to_ascii_uppercase() {
        b"NOOP" if i.is_empty() => Ok(Command::Noop(None)),
        b"NOOP" => map(line, string(i, leniencies), |text| {
            Command::Noop(Some(text))
        }),
        b"HELP" if i.is_empty() => Ok(Command::Help(None)),
        b"HELP" => map(line, string(i, leniencies), |text| {
            Command::Help(Some(text))
        }),
        b"STARTTLS" => bare(line, i).map(|()| Command::StartTls),
        b"AUTH" => auth(line, i),
        b"VRFY" => map(line, named(i, leniencies), |(string, smtputf8)| {
            Command::Vrfy { string, smtputf8 }
        }),
        b"EXPN" => map(line, named(i, leniencies), |(string, smtputf8)| {
            Command::Expn { string, smtputf8 }
        }),
        b"BURL" => burl(line, i),
        b"ETRN" => etrn(line, i),
        b"XCLIENT" => map(line, attributes(i, &XCLIENT), Command::XClient),
        b"XFORWARD" => map(line, attributes(i, &XFORWARD), Command::XForward),
        _ => Ok(Command::Other { verb, arguments: i }),
    }
}

/// A command has no argument.
#[inline]
fn bare(line: &[u8], i: &[u8]) -> Result<(), SyntaxError> {
    end_of_line(i).map_err(of(line))
}

#[inline]
fn map<'a, T>(
    line: &'a [u8],
    parsed: IResult<'a, T>,
    command: impl FnOnce(T) -> Command<&'a [u8]>,
) -> Parsed<'a> {
    let (rest, value) = parsed.map_err(of(line))?;
    end_of_line(rest).map_err(of(line))?;
    Ok(command(value))
}

/// Where the path behind `FROM:` or `TO:` begins.
#[inline]
fn behind_colon(rest: &[u8], leniencies: Leniencies) -> &[u8] {
    match rest.first() {
        Some(b' ' | b'\t') if leniencies.contains(Leniency::BlankBehindColon) => {
            rest.trim_ascii_start()
        }
        _ => rest,
    }
}

#[inline(never)]
fn mail<'a>(line: &'a [u8], i: &'a [u8], leniencies: Leniencies) -> Parsed<'a> {
    let [
        b'F' | b'f',
        b'R' | b'r',
        b'O' | b'o',
        b'M' | b'm',
        b':',
        rest @ ..,
    ] = i
    else {
        return fails(i, "FROM:").map_err(of(line));
    };
    let i = behind_colon(rest, leniencies);
    let (i, reverse_path) = reverse_path(i, leniencies).map_err(of(line))?;
    let mut parameters = MailParameters::default();
    if !i.is_empty() {
        parameters.read(i, leniencies).map_err(of(line))?;
    }
    Ok(Command::Mail {
        reverse_path,
        parameters,
    })
}

#[inline(never)]
fn rcpt<'a>(line: &'a [u8], i: &'a [u8], leniencies: Leniencies) -> Parsed<'a> {
    let [b'T' | b't', b'O' | b'o', b':', rest @ ..] = i else {
        return fails(i, "TO:").map_err(of(line));
    };
    let i = behind_colon(rest, leniencies);
    let (i, forward_path) = forward_path(i, leniencies).map_err(of(line))?;
    let mut parameters = RcptParameters::default();
    if !i.is_empty() {
        parameters.read(i, leniencies).map_err(of(line))?;
    }
    Ok(Command::Rcpt {
        forward_path,
        parameters,
    })
}

/// What stands before ` LAST`, and whether that is there.
fn last(i: &[u8]) -> IResult<'_, (&[u8], bool)> {
    let (word, rest) = octets::word(i);
    match rest.trim_ascii_start() {
        [] => Ok((&[], (word, false))),
        last if last.eq_ignore_ascii_case(b"LAST") => Ok((&[], (word, true))),
        other => expected(other, "LAST"),
    }
}

fn bdat<'a>(line: &'a [u8], i: &'a [u8]) -> Parsed<'a> {
    let (_, (digits, last)) = last(i).map_err(of(line))?;
    let Some(octets) = numeral(digits, 20) else {
        return fails(i, "a number of octets").map_err(of(line));
    };
    Ok(Command::Bdat { octets, last })
}

/// `absolute-URI` begins with a scheme (RFC 3986 §4.3).
fn burl<'a>(line: &'a [u8], i: &'a [u8]) -> Parsed<'a> {
    let (_, (url, last)) = last(i).map_err(of(line))?;
    let is_url = url.first().is_some_and(u8::is_ascii_alphabetic)
        && url.contains(&b':')
        && url.iter().all(u8::is_ascii_graphic);
    match is_url {
        true => Ok(Command::Burl { url, last }),
        false => fails(i, "a URL").map_err(of(line)),
    }
}

fn etrn<'a>(line: &'a [u8], i: &'a [u8]) -> Parsed<'a> {
    let (scope, node) = EtrnScope::split(i);
    match !node.is_empty() && node.iter().all(u8::is_ascii_graphic) {
        true => Ok(Command::Etrn { scope, node }),
        false => fails(i, "the name of a host, a domain or a queue").map_err(of(line)),
    }
}

/// `String = Atom / Quoted-string`; with the leniency, any text.
fn string(i: &[u8], leniencies: Leniencies) -> IResult<'_, &[u8]> {
    let is_text = || !i.iter().any(u8::is_ascii_control) && core::str::from_utf8(i).is_ok();
    let is_string = || octets::all(i, octets::ATEXT) || is_quoted(i);
    match !i.is_empty() && is_text() && (leniencies.contains(Leniency::AnyString) || is_string()) {
        true => Ok((&[], i)),
        false => expected(i, "a string"),
    }
}

fn is_quoted(i: &[u8]) -> bool {
    matches!(quoted_string(i), Ok(([], _)))
}

/// A string, and whether SMTPUTF8 stands behind it (RFC 6531 §3.7.4.2), which has no value.
fn named(i: &[u8], leniencies: Leniencies) -> IResult<'_, (&[u8], bool)> {
    let at = i.iter().rposition(|&octet| octet == b' ');
    let (text, last) = i.split_at(at.unwrap_or(i.len()));
    let last = last.get(1..).unwrap_or(&[]);
    let (keyword, value) = octets::run(last, octets::KEYWORD);
    if !keyword.eq_ignore_ascii_case(b"SMTPUTF8") || text.trim_ascii().is_empty() {
        let (rest, text) = string(i, leniencies)?;
        return Ok((rest, (text, false)));
    }
    if !value.is_empty() {
        return expected(last, "SMTPUTF8 without a value");
    }
    let (rest, text) = string(text.trim_ascii_end(), leniencies)?;
    Ok((rest, (text, true)))
}

fn auth<'a>(line: &'a [u8], i: &'a [u8]) -> Parsed<'a> {
    let (name, rest) = octets::word(i);
    if !is_mechanism(name) {
        return fails(i, "a SASL mechanism").map_err(of(line));
    }
    let response = rest.trim_ascii();
    let initial = match decode_sasl(response) {
        _ if response.is_empty() => None,
        Ok(SaslLine::Response(secret)) => Some(secret),
        _ => return fails(rest, "an initial response in base64").map_err(of(line)),
    };
    let mechanism: Vec<u8> = name.to_ascii_uppercase();
    let mechanism = mechanism.into();
    Ok(Command::Auth { mechanism, initial })
}
