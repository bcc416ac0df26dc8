//! Replies: what a server answers (RFC 5321 §4.2, enhanced status codes RFC 2034 and 3463).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Excerpt, Output};

use crate::SyntaxError;

/// `class.subject.detail` (RFC 3463 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    lines: Vec<Bytes>,
}

impl Reply {
    /// A reply of one line. An `enhanced` that is none (`""`) is left out.
    #[must_use]
    pub fn new(code: u16, enhanced: &str, text: impl Into<Bytes>) -> Self {
        Self::of_lines(code, enhanced, [text.into()])
    }

    /// A reply of several lines; what may not stand in one becomes a blank.
    #[must_use]
    pub fn of_lines(code: u16, enhanced: &str, lines: impl IntoIterator<Item = Bytes>) -> Self {
        let mut lines: Vec<Bytes> = lines.into_iter().map(printable).collect();
        if lines.is_empty() {
            lines.push(Bytes::new());
        }
        Self {
            code: if is_code(code) { code } else { 451 },
            enhanced: take_enhanced(enhanced.as_bytes()).map(|(code, _)| code),
            lines,
        }
    }

    /// The three digits.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code.
    #[must_use]
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The texts, at least one.
    #[must_use]
    pub fn lines(&self) -> &[Bytes] {
        &self.lines
    }

    /// 2yz: done.
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 3yz: go on.
    #[must_use]
    pub fn is_intermediate(&self) -> bool {
        self.code / 100 == 3
    }

    /// 4yz: try again later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// Reads a whole reply, each line ending in CRLF.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet. Lines whose codes differ are an error (§4.2.1); a missing
    /// text is not (§4.2).
    pub fn parse(unit: &Bytes) -> Result<Self, SyntaxError> {
        let error = |offset, expected| SyntaxError {
            offset,
            expected,
            found: Excerpt::of(unit.get(offset..).unwrap_or(&[])),
        };
        let mut builder = Builder::default();
        let mut at = 0;
        loop {
            let rest = unit.get(at..).unwrap_or(&[]);
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return Err(error(at, "a line"));
            };
            let Some(line) = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")) else {
                return Err(error(at + end, "CRLF"));
            };
            let done = builder.push(&unit.slice_ref(line));
            let line_start = at;
            at += end + 1;
            match done.map_err(|expected| error(line_start, expected))? {
                Some(reply) if at == unit.len() => return Ok(reply),
                Some(_) => return Err(error(at, "the end of the reply")),
                None => {}
            }
        }
    }

    /// The same with an enhanced status code, `x.0.0` where there is none: RFC 2034 §4 promises one in each 2yz, 4yz
    /// and 5yz.
    pub(crate) fn encode_enhanced(&self, output: &mut Output) {
        match u8::try_from(self.code / 100) {
            Ok(class @ (2 | 4 | 5)) if self.enhanced.is_none() => {
                let enhanced = Some(EnhancedCode {
                    class,
                    subject: 0,
                    detail: 0,
                });
                let reply = Self {
                    enhanced,
                    ..self.clone()
                };
                reply.encode(output);
            }
            _ => self.encode(output),
        }
    }

    /// Appends the reply in the form of §4.2.1.
    pub fn encode(&self, output: &mut Output) {
        use core::fmt::Write as _;
        for (index, line) in self.lines.iter().enumerate() {
            let last = index + 1 == self.lines.len();
            let _ = write!(output, "{}{}", self.code, if last { " " } else { "-" });
            if let Some(enhanced) = self.enhanced {
                let _ = write!(output, "{enhanced} ");
            }
            output.write_only(line, |octet| !octet.is_ascii_control(), b' ');
            output.write(b"\r\n");
        }
    }
}

/// The reply on one line, for logs and notifications.
impl core::fmt::Display for Reply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for line in &self.lines {
            write!(f, " {}", alloc::string::String::from_utf8_lossy(line))?;
        }
        Ok(())
    }
}

/// A reply whose last line has not come yet.
#[derive(Debug, Default)]
pub(crate) struct Builder(Option<Reply>);

impl Builder {
    /// Takes the next line, without its CRLF; the reply when it was the last.
    pub(crate) fn push(&mut self, line: &Bytes) -> Result<Option<Reply>, &'static str> {
        let (code, last, text) = reply_line(line).ok_or("a reply code, then a blank or a dash")?;
        // RFC 2034 §4: the enhanced code stands on each line.
        let enhanced = take_enhanced(text).filter(|(e, _)| u16::from(e.class) == code / 100);
        let first = self.0.as_ref();
        let enhanced = enhanced.filter(|(e, _)| first.is_none_or(|f| f.enhanced == Some(*e)));
        let text = line.slice_ref(enhanced.map_or(text, |(_, rest)| rest));
        match &mut self.0 {
            None => {
                self.0 = Some(Reply {
                    code,
                    enhanced: enhanced.map(|(code, _)| code),
                    lines: [text].into(),
                });
            }
            Some(reply) if reply.code == code => reply.lines.push(text),
            Some(_) => return Err("the code of the first line"),
        }
        Ok(if last { self.0.take() } else { None })
    }

    /// How many lines have come.
    pub(crate) fn lines(&self) -> usize {
        self.0.as_ref().map_or(0, |reply| reply.lines.len())
    }
}

/// The code of a line, whether it is the last, and its text.
fn reply_line(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let code = digits.iter().try_fold(0, |sum, &o| {
        o.is_ascii_digit().then(|| sum * 10 + u16::from(o - b'0'))
    })?;
    if !is_code(code) || memchr::memchr2(b'\r', 0, rest).is_some() {
        return None;
    }
    match rest.split_first() {
        None => Some((code, true, rest)),
        Some((b' ', text)) => Some((code, true, text)),
        Some((b'-', text)) => Some((code, false, text)),
        Some(_) => None,
    }
}

/// The first digit is 2 to 5. The second is 0 to 5 (§4.2), but Exchange says 571, and others what they like: only
/// the first one counts (§4.3.2).
fn is_code(code: u16) -> bool {
    (200..600).contains(&code)
}

fn take_enhanced(text: &[u8]) -> Option<(EnhancedCode, &[u8])> {
    let end = text.iter().position(|&o| o == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let mut numbers = word.split(|&o| o == b'.').map(|digits| {
        let leading_zero = digits.len() > 1 && digits.starts_with(b"0");
        (crate::parameter::is_number(digits, 3) && !leading_zero)
            .then(|| u16::try_from(crate::parameter::number(digits)).ok())
            .flatten()
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let class = u8::try_from(class)
        .ok()
        .filter(|class| matches!(class, 2 | 4 | 5))?;
    if numbers.next().is_some() {
        return None;
    }
    let code = EnhancedCode {
        class,
        subject,
        detail,
    };
    Some((code, rest.strip_prefix(b" ").unwrap_or(rest)))
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

    #[test]
    fn a_reply_cannot_smuggle_a_line() {
        assert_eq!(
            Reply::new(550, "", "a\r\n250 b").to_string(),
            "550 a  250 b"
        );
    }
}
