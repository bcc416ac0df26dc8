//! Mailboxes (RFC 5321 §4.1.2, RFC 6531 §3.3).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::error::{IResult, SyntaxError, expected, whole};
use crate::leniency::{Leniencies, Leniency};
use crate::octets::{self, slice_of};
use crate::path::domain::domain;

/// `local-part@domain`; the domain may be an address literal in brackets.
///
/// The text is kept as it was sent; two mailboxes are equal when their local parts are, without quoting, and their
/// domains are, octet for octet.
///
/// ```
/// use hikyaku_smtp_proto::Mailbox;
/// let mailbox = Mailbox::parse(br#""alice smith"@example.org"#)?;
/// assert_eq!((&*mailbox.local_part(), mailbox.domain()), ("alice smith", "example.org"));
/// assert_eq!(Mailbox::parse(br#""alice"@a.test"#)?, Mailbox::parse(b"alice@a.test")?);
/// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mailbox<T = Bytes> {
    text: T,
    /// Where the `@` between local part and domain is.
    at: u16,
}

impl Mailbox {
    /// Reads `local-part@domain`, without angle brackets.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet where the grammar ends.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        let mailbox = whole(text, mailbox(text, Leniencies::ALL))?;
        Ok(mailbox.within(&Bytes::copy_from_slice(text)))
    }
}

impl Mailbox<&[u8]> {
    /// Returns the mailbox with its text as a slice of `line`, which it was read from.
    pub(crate) fn within(self, line: &Bytes) -> Mailbox {
        Mailbox {
            text: slice_of(line, self.text),
            at: self.at,
        }
    }
}

impl<T: AsRef<[u8]>> Mailbox<T> {
    /// Returns what stands before the `@`, without quoting.
    #[must_use]
    pub fn local_part(&self) -> Cow<'_, str> {
        let local_part = self.text.as_ref().get(..self.at.into()).unwrap_or(&[]);
        let text = core::str::from_utf8(local_part).unwrap_or("");
        match text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
        {
            None => text.into(),
            Some(text) if !text.contains('\\') => text.into(),
            Some(text) => unescaped(text).into(),
        }
    }

    /// Returns what stands behind the `@`, as it was sent.
    #[must_use]
    pub fn domain(&self) -> &str {
        let domain = self.text.as_ref().get(usize::from(self.at) + 1..);
        core::str::from_utf8(domain.unwrap_or(&[])).unwrap_or("")
    }

    /// Returns whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_international(&self) -> bool {
        !self.text.as_ref().is_ascii()
    }
}

fn unescaped(quoted: &str) -> String {
    let mut chars = quoted.chars();
    let mut text = String::with_capacity(quoted.len());
    while let Some(c) = chars.next() {
        text.extend(match c {
            '\\' => chars.next(),
            other => Some(other),
        });
    }
    text
}

impl<T: AsRef<[u8]>> fmt::Display for Mailbox<T> {
    /// Writes the mailbox as it is sent; the local part is quoted when it has to be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local_part = self.local_part();
        if is_dot_string(local_part.as_bytes()) {
            f.write_str(&local_part)?;
        } else {
            f.write_str("\"")?;
            for c in local_part.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        write!(f, "@{}", self.domain())
    }
}

impl<T: AsRef<[u8]>, U: AsRef<[u8]>> PartialEq<Mailbox<U>> for Mailbox<T> {
    fn eq(&self, other: &Mailbox<U>) -> bool {
        self.domain() == other.domain() && self.local_part() == other.local_part()
    }
}

impl<T: AsRef<[u8]>> Eq for Mailbox<T> {}

impl<T: AsRef<[u8]>> Hash for Mailbox<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.local_part().hash(state);
        self.domain().hash(state);
    }
}

/// `Mailbox`, at most 254 octets, as a path has at most 256 (§4.5.3.1.3).
#[inline]
pub(crate) fn mailbox(start: &[u8], leniencies: Leniencies) -> IResult<'_, Mailbox<&[u8]>> {
    let (at_sign, local_part) = local_part(start, leniencies)?;
    let Some((b'@', i)) = at_sign.split_first() else {
        return expected(at_sign, "\"@\"");
    };
    let (rest, _) = domain(i, leniencies)?;
    let text = start.get(..start.len() - rest.len()).unwrap_or(&[]);
    match u16::try_from(local_part.len()) {
        Ok(at) if text.len() <= 254 => Ok((rest, Mailbox { text, at })),
        _ => expected(start, "a path of at most 256 octets"),
    }
}

/// `Local-part = Dot-string / Quoted-string`, as it stands; the latter may be empty (§4.1.2). At most 64 octets without
/// the quoting (§4.5.3.1.1); octets above 127 are UTF-8 (RFC 6531).
#[inline]
fn local_part(start: &[u8], leniencies: Leniencies) -> IResult<'_, &[u8]> {
    let (length, text, rest, seen) = match start.first() {
        Some(b'"') => quoted_string(start)?.1,
        _ => {
            let (text, rest, seen) = octets::run_of(start, octets::LOCAL);
            if !is_dots(text, leniencies) {
                return expected(start, "a local part");
            }
            (text.len(), text, rest, seen)
        }
    };
    if length > 64 {
        return expected(start, "a local part of at most 64 octets");
    }
    if seen & octets::UTF8 != 0 && core::str::from_utf8(text).is_err() {
        return expected(start, "UTF-8");
    }
    Ok((rest, text))
}

/// `Dot-string = Atom *("." Atom)`; with the leniency, dots may stand side by side and at the end.
#[inline]
fn is_dots(text: &[u8], leniencies: Leniencies) -> bool {
    if matches!(text.first(), None | Some(b'.')) {
        return false;
    }
    leniencies.contains(Leniency::DotsInLocalPart)
        || (text.last() != Some(&b'.') && !text.windows(2).any(|pair| pair == b".."))
}

/// Its length without the quoting, the whole of it, what follows, and whether octets of UTF-8 are in it.
pub(crate) fn quoted_string(start: &[u8]) -> IResult<'_, (usize, &[u8], &[u8], u8)> {
    let mut seen = 0;
    let mut octets = start.iter().enumerate().skip(1);
    let mut length = 0;
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => {
                let (text, rest) = start.split_at(at + 1);
                return Ok((rest, (length, text, rest, seen)));
            }
            b'\\' => match octets.next() {
                Some((_, 32..=126)) => length += 1,
                _ => break,
            },
            32..=126 => length += 1,
            128.. => {
                length += 1;
                seen = octets::UTF8;
            }
            _ => break,
        }
    }
    expected(start, "a quoted string")
}

fn is_dot_string(text: &[u8]) -> bool {
    !text.starts_with(b".") && !text.is_empty() && octets::all(text, octets::LOCAL)
}

/// Returns the text of a local part as it has to stand before an `@`.
fn quoted(local_part: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(local_part.len() + 2);
    text.push(b'"');
    for octet in local_part.bytes() {
        if matches!(octet, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(octet);
    }
    text.push(b'"');
    text
}

impl Mailbox {
    /// Makes a mailbox of a local part without quoting and a domain.
    ///
    /// ```
    /// use hikyaku_smtp_proto::Mailbox;
    /// let mailbox = Mailbox::new("alice smith", "example.org")?;
    /// assert_eq!(mailbox.to_string(), r#""alice smith"@example.org"#);
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    ///
    /// # Errors
    /// [`SyntaxError`], when one of them is not in the grammar or too long; control characters, for example.
    pub fn new(local_part: &str, domain: &str) -> Result<Self, SyntaxError> {
        let mut text = match is_dot_string(local_part.as_bytes()) {
            true => local_part.into(),
            false => quoted(local_part),
        };
        text.push(b'@');
        text.extend_from_slice(domain.as_bytes());
        Self::parse(&text)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString as _;

    pub(crate) fn any_mailbox() -> impl Strategy<Value = Mailbox> {
        let local = prop_oneof![
            "[a-zA-Z0-9!#=+]{1,20}",
            "[ -~]{0,30}",
            "[a-zあé\"\\\\ ]{1,8}"
        ];
        let domain = prop_oneof![
            "[a-z0-9]{1,9}(\\.[a-z]{2,5}){0,3}",
            Just("[127.0.0.1]".to_string()),
            Just("[IPv6:::1]".to_string()),
            Just("[x-tag:data]".to_string()),
            Just("例え.テスト".to_string()),
        ];
        // Dots that only a leniency reads are written as they came.
        let is_strict = |text: &String| {
            let text = text.as_bytes();
            !is_dot_string(text) || is_dots(text, Leniencies::NONE)
        };
        let local = local.prop_filter("dots as the grammar has them", is_strict);
        (local, domain).prop_map(|(local_part, domain)| Mailbox::new(&local_part, &domain).unwrap())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mailbox in any_mailbox()) {
            let text = mailbox.to_string();
            let read = Mailbox::parse(text.as_bytes()).unwrap();
            prop_assert_eq!(&read, &mailbox);
            prop_assert_eq!(read.to_string(), text);
        }

        #[test]
        fn a_mailbox_is_of_its_parts(local_part in "[ -~é]{0,30}") {
            let mailbox = Mailbox::new(&local_part, "a.test").unwrap();
            prop_assert_eq!((&*mailbox.local_part(), mailbox.domain()), (&*local_part, "a.test"));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = Mailbox::parse(&octets);
        }
    }

    #[test]
    fn quoting_is_no_part_of_a_name() {
        let all = [&br#""a.b"@c"#[..], br#""a\.b"@c"#, b"a.b@c"];
        for text in all {
            let mailbox = Mailbox::parse(text).unwrap();
            assert_eq!(mailbox, Mailbox::parse(b"a.b@c").unwrap());
            assert_eq!(mailbox.to_string(), "a.b@c");
        }
        assert_ne!(
            Mailbox::parse(b"a.b@c").unwrap(),
            Mailbox::parse(b"a.b@C").unwrap()
        );
    }

    #[test]
    fn dots_are_where_the_grammar_or_the_leniency_has_them() {
        let strict = Leniencies::ALL.without(Leniency::DotsInLocalPart);
        for text in [&b"a..b@docomo.test"[..], b"a.@docomo.test"] {
            assert!(mailbox(text, Leniencies::ALL).is_ok());
            assert!(mailbox(text, strict).is_err());
        }
        assert!(mailbox(b"a.b@c", Leniencies::NONE).is_ok());
        assert!(mailbox(b".a@c", Leniencies::ALL).is_err());
        assert!(mailbox(br#"".a..b."@c"#, Leniencies::NONE).is_ok());
    }

    #[test]
    fn lengths_have_their_limits() {
        let local = |n: usize| std::format!("{}@a.test", "x".repeat(n));
        assert!(Mailbox::parse(local(64).as_bytes()).is_ok());
        assert!(Mailbox::parse(local(65).as_bytes()).is_err());
        let escaped = std::format!("\"{}\"@a.test", "\\x".repeat(64));
        assert!(Mailbox::parse(escaped.as_bytes()).is_ok());
        let long = |n: usize| std::format!("a@{}", "b.".repeat(n) + "c");
        assert!(Mailbox::parse(long(125).as_bytes()).is_ok());
        assert!(Mailbox::parse(long(126).as_bytes()).is_err());
    }
}
