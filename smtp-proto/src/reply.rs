//! Replies: what a server answers (RFC 5321 §4.2, enhanced status codes RFC 2034 and 3463).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Excerpt, Output};

use crate::error::SyntaxError;
use crate::leniency::{Leniencies, Leniency};
use crate::octets::{Text, end_of_text, slice_of};

/// `class.subject.detail` (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct EnhancedCode {
    /// 2, 4 or 5.
    pub class: u8,
    /// Up to 999.
    pub subject: u16,
    /// Up to 999.
    pub detail: u16,
}

impl core::fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One reply, all of its lines under one code.
///
/// The text is without CRLF and without the enhanced status code, which is kept apart.
///
/// ```
/// use hikyaku_smtp_proto::Reply;
/// let reply = Reply::new(550, "5.1.1", "no such mailbox");
/// assert_eq!(reply.to_string(), "550 5.1.1 no such mailbox");
/// ```
#[derive(Debug, Clone)]
pub struct Reply<T = Bytes> {
    code: u16,
    enhanced: Option<EnhancedCode>,
    lines: Lines<T>,
}

/// Room for the lines of most replies to EHLO.
const LINES: usize = 12;

/// Most replies have one line, which costs no allocation.
#[derive(Debug, Clone)]
enum Lines<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Lines<T> {
    fn all(&self) -> &[T] {
        match self {
            Self::One(line) => core::slice::from_ref(line),
            Self::Many(lines) => lines,
        }
    }

    fn push(&mut self, line: T) {
        match self {
            Self::Many(lines) => lines.push(line),
            Self::One(_) => {
                let many = Self::Many(Vec::with_capacity(LINES));
                let one = core::mem::replace(self, many);
                if let (Self::One(first), Self::Many(lines)) = (one, self) {
                    lines.extend([first, line]);
                }
            }
        }
    }
}

impl Reply {
    /// Creates a reply of one line. An `enhanced` that is not an enhanced status code, such as `""`, is left out.
    #[must_use]
    pub fn new(code: u16, enhanced: &str, text: impl Into<Bytes>) -> Self {
        Self::of_lines(code, enhanced, [text.into()])
    }

    /// Creates a reply of several lines; what may not stand in one becomes a blank.
    #[must_use]
    pub fn of_lines(code: u16, enhanced: &str, lines: impl IntoIterator<Item = Bytes>) -> Self {
        let mut lines = lines.into_iter().map(printable);
        let mut all = Lines::One(lines.next().unwrap_or_default());
        for line in lines {
            all.push(line);
        }
        Self {
            code: if is_code(code, Leniencies::ALL) {
                code
            } else {
                451
            },
            enhanced: take_enhanced(enhanced.as_bytes()).map(|(code, _)| code),
            lines: all,
        }
    }

    /// Reads a whole reply, each line ending in CRLF, with all leniencies. The texts are slices of it.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet. Lines whose codes differ are an error (§4.2.1); a missing
    /// text is not (§4.2).
    pub fn parse(unit: &Bytes) -> Result<Self, SyntaxError> {
        let read = Reply::read(unit, Leniencies::ALL)?;
        Ok(read.within(unit))
    }

    /// Appends the reply with an enhanced status code, `x.0.0` where there is none: RFC 2034 §4 promises one in each
    /// 2yz, 4yz and 5yz.
    pub(crate) fn encode_enhanced(&self, output: &mut Output) {
        let enhanced = match u8::try_from(self.code / 100) {
            Ok(class @ (2 | 4 | 5)) => self.enhanced.or(Some(EnhancedCode {
                class,
                subject: 0,
                detail: 0,
            })),
            _ => self.enhanced,
        };
        self.encode_with(enhanced, output);
    }
}

impl<'a> Reply<&'a [u8]> {
    /// Reads a whole reply, each line ending in CRLF. The texts borrow from it; [`within`](Self::within) makes a reply
    /// of them that can be kept.
    ///
    /// ```
    /// use hikyaku_smtp_proto::{Leniencies, Reply};
    /// let reply = Reply::read(b"250-mx.example.org\r\n250 SIZE\r\n", Leniencies::NONE)?;
    /// assert_eq!((reply.code(), reply.lines()), (250, &[&b"mx.example.org"[..], b"SIZE"][..]));
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Reply::parse).
    pub fn read(unit: &'a [u8], leniencies: Leniencies) -> Result<Self, SyntaxError> {
        match Self::first(unit, leniencies)? {
            Some((reply, [])) => Ok(reply),
            Some((_, rest)) => Err(error(unit, unit.len() - rest.len(), "the end of the reply")),
            None => Err(error(unit, unit.len(), "a line")),
        }
    }

    /// Reads the first reply of several, and returns what follows it; `None` when its end is not there yet. It looks at
    /// all lines again each time: see [`ReplyFramer`](crate::framer::ReplyFramer) for a stream.
    ///
    /// # Errors
    /// As [`parse`](Reply::parse).
    pub fn first(
        input: &'a [u8],
        leniencies: Leniencies,
    ) -> Result<Option<(Self, &'a [u8])>, SyntaxError> {
        let mut builder = Builder::default();
        let mut rest = input;
        loop {
            let at = input.len() - rest.len();
            let Some(end) = end_of_text(rest) else {
                return Ok(None);
            };
            let (line, behind) = rest.split_at(end);
            match behind {
                [b'\r', b'\n', behind @ ..] => rest = behind,
                [b'\r'] => return Ok(None),
                _ => return Err(error(input, at + end, "CRLF")),
            }
            let done = builder.push_line(&line, leniencies);
            if let Some(reply) = done.map_err(|expected| error(input, at, expected))? {
                return Ok(Some((reply, rest)));
            }
        }
    }

    /// Returns the reply with its texts as slices of `unit`, which it was read from. Nothing is copied.
    #[must_use]
    pub fn within(self, unit: &Bytes) -> Reply {
        Reply {
            code: self.code,
            enhanced: self.enhanced,
            lines: match self.lines {
                Lines::One(line) => Lines::One(slice_of(unit, line)),
                Lines::Many(lines) => {
                    Lines::Many(lines.into_iter().map(|line| slice_of(unit, line)).collect())
                }
            },
        }
    }
}

fn error(unit: &[u8], offset: usize, expected: &'static str) -> SyntaxError {
    SyntaxError {
        offset,
        expected,
        found: alloc::boxed::Box::new(Excerpt::of(unit.get(offset..).unwrap_or(&[]))),
    }
}

impl<T: AsRef<[u8]>> Reply<T> {
    /// Returns the reply code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// Returns the enhanced status code.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// Returns the texts of the lines, at least one.
    #[must_use]
    pub fn lines(&self) -> &[T] {
        self.lines.all()
    }

    /// Returns whether the reply code is 2yz: done.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// Returns whether the reply code is 3yz: go on.
    #[must_use]
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// Returns whether the reply code is 4yz: try again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// Appends the reply in the form of §4.2.1.
    pub fn encode(&self, output: &mut Output) {
        self.encode_with(self.enhanced, output);
    }

    fn encode_with(&self, enhanced: Option<EnhancedCode>, output: &mut Output) {
        use core::fmt::Write as _;
        let lines = self.lines();
        for (nth, line) in lines.iter().enumerate() {
            output.write_number(self.code.into());
            output.write(if nth + 1 == lines.len() { b" " } else { b"-" });
            if let Some(enhanced) = enhanced {
                let _ = write!(output, "{enhanced} ");
            }
            output.write_only(line.as_ref(), |octet| !octet.is_ascii_control(), b' ');
            output.write(b"\r\n");
        }
    }
}

impl<T: AsRef<[u8]>, U: AsRef<[u8]>> PartialEq<Reply<U>> for Reply<T> {
    fn eq(&self, other: &Reply<U>) -> bool {
        let (ours, theirs) = (self.lines().iter(), other.lines().iter());
        self.code == other.code
            && self.enhanced == other.enhanced
            && ours.map(AsRef::as_ref).eq(theirs.map(AsRef::as_ref))
    }
}

impl<T: AsRef<[u8]>> Eq for Reply<T> {}

/// The reply on one line, for logs and notifications.
impl<T: AsRef<[u8]>> core::fmt::Display for Reply<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in self.lines() {
            write!(
                f,
                " {}",
                alloc::string::String::from_utf8_lossy(line.as_ref())
            )?;
        }
        Ok(())
    }
}

/// A reply whose last line has not come yet.
#[derive(Debug)]
pub(crate) struct Builder<T = Bytes>(Option<Reply<T>>);

impl<T> Default for Builder<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Text> Builder<T> {
    /// Takes the next line, without its CRLF; the reply when it was the last.
    pub(crate) fn push(
        &mut self,
        line: &T,
        leniencies: Leniencies,
    ) -> Result<Option<Reply<T>>, &'static str> {
        match memchr::memchr2(b'\r', 0, line.as_ref()) {
            Some(_) => Err("text without CR and NUL"),
            None => self.push_line(line, leniencies),
        }
    }

    /// The same, of a line that has neither CR nor NUL.
    fn push_line(
        &mut self,
        line: &T,
        leniencies: Leniencies,
    ) -> Result<Option<Reply<T>>, &'static str> {
        let octets = line.as_ref();
        let (code, last, text) =
            reply_line(octets, leniencies).ok_or("a reply code, then a blank or a dash")?;
        let part = |text: &[u8]| line.part(octets.len() - text.len()..octets.len());
        match &mut self.0 {
            Some(reply) if reply.code != code => return Err("the code of the first line"),
            // RFC 2034 §4: the enhanced code stands on each line.
            Some(reply) => {
                let same = |(code, _): &(EnhancedCode, _)| reply.enhanced == Some(*code);
                let found = reply
                    .enhanced
                    .and_then(|_| take_enhanced(text).filter(same));
                reply.lines.push(part(found.map_or(text, |(_, rest)| rest)));
            }
            None => {
                let of_class =
                    |(found, _): &(EnhancedCode, _)| u16::from(found.class) == code / 100;
                let found = take_enhanced(text).filter(of_class);
                self.0 = Some(Reply {
                    code,
                    enhanced: found.map(|(code, _)| code),
                    lines: Lines::One(part(found.map_or(text, |(_, rest)| rest))),
                });
            }
        }
        Ok(if last { self.0.take() } else { None })
    }

    /// How many lines have come.
    pub(crate) fn lines(&self) -> usize {
        self.0.as_ref().map_or(0, |reply| reply.lines().len())
    }
}

/// The code of a line, whether it is the last, and its text.
#[inline(always)]
fn reply_line(line: &[u8], leniencies: Leniencies) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    let [hundreds, tens, ones] = digits.map(|octet| u16::from(octet.wrapping_sub(b'0')));
    if hundreds > 9 || tens > 9 || ones > 9 {
        return None;
    }
    if leniencies != Leniencies::ALL && !is_strict_enough(rest, leniencies) {
        return None;
    }
    let code = hundreds * 100 + tens * 10 + ones;
    if !is_code(code, leniencies) {
        return None;
    }
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// At most 512 octets with code and CRLF (§4.5.3.1.5), of ASCII.
fn is_strict_enough(rest: &[u8], leniencies: Leniencies) -> bool {
    (rest.len() <= 512 - 5 || leniencies.contains(Leniency::LongReplyLine))
        && (rest.is_ascii() || leniencies.contains(Leniency::OctetsInReply))
}

/// The first digit is 2 to 5, the second 0 to 5 (§4.2), or any with [`Leniency::SecondDigit`].
#[inline]
fn is_code(code: u16, leniencies: Leniencies) -> bool {
    (200..600).contains(&code)
        && (leniencies.contains(Leniency::SecondDigit) || code / 10 % 10 <= 5)
}

#[inline]
fn take_enhanced(text: &[u8]) -> Option<(EnhancedCode, &[u8])> {
    let [class @ (b'2' | b'4' | b'5'), b'.', rest @ ..] = text else {
        return None;
    };
    let (subject, rest) = take_number(rest)?;
    let (detail, rest) = take_number(rest.strip_prefix(b".")?)?;
    let code = EnhancedCode {
        class: class - b'0',
        subject,
        detail,
    };
    match rest.split_first() {
        None => Some((code, rest)),
        Some((b' ', rest)) => Some((code, rest)),
        Some(_) => None,
    }
}

/// One to three digits without a leading zero.
fn take_number(text: &[u8]) -> Option<(u16, &[u8])> {
    let digits = text
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .count();
    let (digits, rest) = text.split_at(digits);
    let leading_zero = digits.len() > 1 && digits.starts_with(b"0");
    if !(1..=3).contains(&digits.len()) || leading_zero {
        return None;
    }
    let number = digits
        .iter()
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    Some((number, rest))
}

fn printable(text: Bytes) -> Bytes {
    if text.iter().any(u8::is_ascii_control) {
        let clean = |&o: &u8| if o.is_ascii_control() { b' ' } else { o };
        return text.iter().map(clean).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;
    use std::string::ToString as _;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            code in (2_u16..6, 0_u16..6, 0_u16..10).prop_map(|(a, b, c)| a * 100 + b * 10 + c),
            enhanced in proptest::option::of((0_u16..999, 0_u16..999)),
            lines in proptest::collection::vec("[a-zA-Z][ -~]{0,30}", 1..5),
        ) {
            let class = code / 100;
            let enhanced = enhanced.filter(|_| class != 3)
                .map_or_else(std::string::String::new, |(s, d)| std::format!("{class}.{s}.{d}"));
            let reply = Reply::of_lines(code, &enhanced, lines.into_iter().map(Bytes::from));
            let mut output = Output::new();
            reply.encode(&mut output);
            prop_assert_eq!(Reply::parse(&output.copy_to_bytes(output.len())), Ok(reply));
        }

        #[test]
        fn nothing_panics(octets: std::vec::Vec<u8>) {
            let _ = Reply::parse(&Bytes::from(octets));
        }
    }

    #[test]
    fn the_text_is_without_the_enhanced_code() {
        let reply = Reply::parse(&"250-2.1.0 a\r\n250 2.1.0 b\r\n".into()).unwrap();
        assert_eq!(reply.enhanced().unwrap().to_string(), "2.1.0");
        assert_eq!(reply.lines(), ["a", "b"]);
        let reply = Reply::parse(&"250 2.1 Ok\r\n".into()).unwrap();
        assert_eq!(
            (reply.enhanced(), &reply.lines()[0][..]),
            (None, &b"2.1 Ok"[..])
        );
        for bad in [
            "25 OK\r\n",
            "999 no\r\n",
            "250_OK\r\n",
            " 250 OK\r\n",
            "250-a\r\n",
            "250-a\r\n251 b\r\n",
            "250 a\r\nx",
        ] {
            assert!(Reply::parse(&Bytes::from(bad)).is_err(), "{bad}");
        }
    }

    /// `ours.tsv`, side R.
    #[test]
    fn our_traps_come_out_as_expected() {
        let mut wrong = std::vec::Vec::new();
        for trap in hikyaku_wire::testkit::traps_of(&crate::command::tests::our_table(), "R") {
            let read = |leniencies| Reply::read(&trap.octets, leniencies).is_ok();
            let came = (read(Leniencies::ALL), read(Leniencies::NONE));
            let expected = match &*trap.expect {
                "ok" => (true, true),
                "error" => (false, false),
                "lenient" => (true, false),
                _ => came,
            };
            if came != expected {
                wrong.push(std::format!(
                    "{} {} came {came:?}: {} ({})",
                    trap.id,
                    trap.expect,
                    trap.escaped,
                    trap.note
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} rows:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }

    #[test]
    fn a_reply_cannot_smuggle_a_line() {
        assert_eq!(
            Reply::new(550, "", "a\r\n250 b").to_string(),
            "550 a  250 b"
        );
    }
}
