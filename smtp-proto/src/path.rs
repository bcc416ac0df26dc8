//! Reverse-paths, forward-paths and mailboxes (RFC 5321 §4.1.2, RFC 6531 §3.3).

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use bytes::Bytes;
use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use hikyaku_wire::Output;
use nom::bytes::complete::take_while1;

use crate::error::{IResult, SyntaxError, expected, whole};

/// `local-part@domain`; the domain may be an address literal in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    local_part: String,
    domain: String,
}

impl Mailbox {
    /// Reads `local-part@domain`, without angle brackets.
    ///
    /// # Errors
    /// [`SyntaxError`] names the octet where the grammar ends.
    pub fn parse(text: &[u8]) -> Result<Self, SyntaxError> {
        whole(text, mailbox(text))
    }

    /// What stands before the `@`, without quoting.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// What stands behind it, as it was sent.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_international(&self) -> bool {
        !self.local_part.is_ascii() || !self.domain.is_ascii()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_string(self.local_part.as_bytes()) {
            f.write_str(&self.local_part)?;
        } else {
            f.write_str("\"")?;
            for c in self.local_part.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        write!(f, "@{}", self.domain)
    }
}

/// Where a message comes from; `None` is the null reverse-path `<>` of notifications (§4.5.5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ReversePath(pub Option<Mailbox>);

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(mailbox) => write!(f, "<{mailbox}>"),
            None => f.write_str("<>"),
        }
    }
}

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ForwardPath {
    /// `<Postmaster>` without a domain (§4.1.1.3), the receiving host's.
    Postmaster,
    /// A mailbox. A source route before it is dropped (§F.2).
    Mailbox(Mailbox),
}

impl ForwardPath {
    /// The mailbox, when it has a domain.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

pub(crate) fn reverse_path(i: &[u8]) -> IResult<'_, ReversePath> {
    if let Some(rest) = i.strip_prefix(b"<>") {
        return Ok((rest, ReversePath(None)));
    }
    let (i, mailbox) = path(i)?;
    Ok((i, ReversePath(Some(mailbox))))
}

pub(crate) fn forward_path(i: &[u8]) -> IResult<'_, ForwardPath> {
    if let Some(inner) = i.get(..12)
        && inner.eq_ignore_ascii_case(b"<postmaster>")
    {
        return Ok((i.get(12..).unwrap_or(&[]), ForwardPath::Postmaster));
    }
    let (i, mailbox) = path(i)?;
    Ok((i, ForwardPath::Mailbox(mailbox)))
}

/// `Path = "<" [ A-d-l ":" ] Mailbox ">"`, at most 256 octets (§4.5.3.1.3).
fn path(start: &[u8]) -> IResult<'_, Mailbox> {
    let Some(mut i) = start.strip_prefix(b"<") else {
        // Scanners, printers and scripts leave the brackets away.
        return match mailbox(start) {
            Ok((rest, mailbox)) if matches!(rest.first(), None | Some(b' ')) => Ok((rest, mailbox)),
            _ => expected(start, "\"<\""),
        };
    };
    if i.first() == Some(&b'@') {
        loop {
            let Some(at) = i.strip_prefix(b"@") else {
                return expected(i, "\"@\" of a source route");
            };
            (i, _) = domain(at)?;
            match i.split_first() {
                Some((b',', rest)) => i = rest,
                Some((b':', rest)) => {
                    i = rest;
                    break;
                }
                _ => return expected(i, "\",\" or \":\" in a source route"),
            }
        }
    }
    let (i, mailbox) = mailbox(i)?;
    match i.strip_prefix(b">") {
        Some(rest) => Ok((rest, mailbox)),
        None => expected(i, "\">\""),
    }
}

fn mailbox(start: &[u8]) -> IResult<'_, Mailbox> {
    let (i, local_part) = local_part(start)?;
    let Some(i) = i.strip_prefix(b"@") else {
        return expected(i, "\"@\"");
    };
    let (rest, domain) = domain(i)?;
    if start.len() - rest.len() > 254 {
        return expected(start, "a path of at most 256 octets");
    }
    Ok((rest, Mailbox { local_part, domain }))
}

/// `Local-part = Dot-string / Quoted-string`; the latter may be empty (§4.1.2), at most 64 octets (§4.5.3.1.1); octets above 127 are
/// UTF-8 (RFC 6531). Dots may stand anywhere: real addresses end in one.
fn local_part(start: &[u8]) -> IResult<'_, String> {
    let (i, octets) = match start.first() {
        Some(b'"') => quoted_string(start)?,
        _ => {
            let (i, run) = take_while1(|o| o == b'.' || is_atext(o))(start).or_else(
                |_: nom::Err<crate::error::Expected<'_>>| expected(start, "a local part"),
            )?;
            (i, run.to_vec())
        }
    };
    if start.len() - i.len() > 64 + 2 || octets.len() > 64 {
        return expected(start, "a local part of at most 64 octets");
    }
    if octets.starts_with(b".") && !start.starts_with(b"\"") {
        return expected(start, "a local part");
    }
    match String::from_utf8(octets) {
        Ok(text) => Ok((i, text)),
        Err(_) => expected(start, "UTF-8"),
    }
}

fn quoted_string(start: &[u8]) -> IResult<'_, Vec<u8>> {
    let mut text = Vec::new();
    let mut octets = start.iter().enumerate().skip(1);
    while let Some((at, &octet)) = octets.next() {
        match octet {
            b'"' => return Ok((start.get(at + 1..).unwrap_or(&[]), text)),
            b'\\' => match octets.next() {
                Some((_, &quoted @ 32..=126)) => text.push(quoted),
                _ => break,
            },
            32..=126 | 128.. => text.push(octet),
            _ => break,
        }
    }
    expected(start, "a quoted string")
}

/// A domain or an address literal, at most 255 octets (§4.5.3.1.2).
pub(crate) fn domain(start: &[u8]) -> IResult<'_, String> {
    if start.first() == Some(&b'[') {
        return address_literal(start);
    }
    let is_domain = |o: u8| o.is_ascii_alphanumeric() || matches!(o, b'.' | b'-' | b'_' | 128..);
    let length = start.iter().take_while(|&&o| is_domain(o)).count();
    let (text, rest) = start.split_at(length);
    let label_ok = |label: &[u8]| {
        !label.is_empty()
            && label.len() <= 63
            && label.first() != Some(&b'-')
            && label.last() != Some(&b'-')
    };
    if length > 255 || !text.split(|&o| o == b'.').all(label_ok) {
        return expected(start, "a domain");
    }
    match core::str::from_utf8(text) {
        Ok(text) => Ok((rest, text.to_string())),
        Err(_) => expected(start, "UTF-8"),
    }
}

/// `"[" ( IPv4 / "IPv6:" IPv6 / tag ":" text ) "]"` (§4.1.3).
fn address_literal(start: &[u8]) -> IResult<'_, String> {
    let bracketed = memchr::memchr(b']', start).and_then(|close| start.split_at_checked(close + 1));
    let Some((literal, rest)) = bracketed.filter(|(literal, _)| literal.len() <= 255) else {
        return expected(start, "\"]\" of an address literal");
    };
    let ok = core::str::from_utf8(literal).is_ok_and(|text| {
        let inner = text.trim_start_matches('[').trim_end_matches(']');
        match inner.split_once(':') {
            _ if text.len() != inner.len() + 2 => false,
            None => is_ipv4(inner),
            Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => {
                address.parse::<Ipv6Addr>().is_ok()
            }
            Some((tag, address)) => {
                let ldh = |c: char| c.is_ascii_alphanumeric() || c == '-';
                let dcontent = |c: char| c.is_ascii_graphic() && !matches!(c, '[' | '\\');
                tag.chars().all(ldh)
                    && tag.ends_with(|c: char| c.is_ascii_alphanumeric())
                    && !address.is_empty()
                    && address.chars().all(dcontent)
            }
        }
    });
    match core::str::from_utf8(literal) {
        Ok(text) if ok => Ok((rest, text.to_string())),
        _ => expected(start, "an address literal"),
    }
}

/// `Snum = 1*3DIGIT`: leading zeros are legal here, which the standard library refuses.
fn is_ipv4(text: &str) -> bool {
    let number = |part: &str| {
        (1..=3).contains(&part.len())
            && part.bytes().all(|o| o.is_ascii_digit())
            && part.parse::<u8>().is_ok()
    };
    text.parse::<Ipv4Addr>().is_ok()
        || (text.split('.').count() == 4 && text.split('.').all(number))
}

fn is_atext(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet) || octet >= 128
}

fn is_dot_string(text: &[u8]) -> bool {
    !text.starts_with(b".") && !text.is_empty() && text.iter().all(|&o| o == b'.' || is_atext(o))
}

/// What follows HELO, EHLO, LHLO: a domain or an address literal, or what client machines are called in the world:
/// names that end in a dot, begin with a dash or hold an apostrophe, IPv6 addresses without their tag or with a zone.
/// Nothing that means something in a Received field is taken.
pub(crate) fn greeting_name(i: &[u8]) -> IResult<'_, Bytes> {
    if let Ok((rest, name)) = domain(i)
        && rest.is_empty()
    {
        return Ok((rest, Bytes::from(name)));
    }
    let text = core::str::from_utf8(i).unwrap_or("");
    let is_literal = text
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .is_some_and(|inner| {
            let tag = inner
                .get(..5)
                .filter(|tag| tag.eq_ignore_ascii_case("IPv6:"));
            let address = inner.get(tag.map_or(0, str::len)..).unwrap_or("");
            let (address, zone) = address.split_once('%').unwrap_or((address, "0"));
            address.parse::<Ipv6Addr>().is_ok() && zone.bytes().all(|o| o.is_ascii_alphanumeric())
        });
    let is_named = |c: char| !c.is_whitespace() && !c.is_control() && !"()<>@,;:\\\"[]".contains(c);
    let is_name = !text.is_empty() && text.chars().all(is_named);
    match text.len() <= 255 && (is_literal || is_name) {
        true => Ok((&[], Bytes::copy_from_slice(i))),
        false => expected(i, "a domain or an address literal"),
    }
}

/// Appends a name for EHLO, HELO or LHLO: one word that [`greeting_name`] reads, whatever is in it.
pub(crate) fn write_greeting_name(name: &[u8], output: &mut Output) {
    if greeting_name(name).is_ok() {
        return output.write(name);
    }
    let is_allowed =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
    let clean: Vec<u8> = name
        .iter()
        .map(|&octet| if is_allowed(octet) { octet } else { b'-' })
        .collect();
    output.note_replaced();
    output.write(match greeting_name(&clean) {
        Ok(_) => &clean,
        Err(_) => b"localhost",
    });
}

pub(crate) fn encode(path: &impl fmt::Display, output: &mut Output) {
    use fmt::Write as _;
    let _ = write!(output, "{path}");
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

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
            Just("例え.テスト".to_string()),
        ];
        (local, domain).prop_map(|(local_part, domain)| Mailbox { local_part, domain })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mailbox in any_mailbox()) {
            let text = mailbox.to_string();
            prop_assert_eq!(Mailbox::parse(text.as_bytes()), Ok(mailbox));
        }

        #[test]
        fn nothing_panics(octets: Vec<u8>) {
            let _ = Mailbox::parse(&octets);
            let _ = reverse_path(&octets);
        }
    }

    #[test]
    fn names_of_client_machines_are_taken() {
        for name in [
            "a.test",
            "host.",
            "-host",
            "John's-Mac.local",
            "a..b",
            "PC-\u{c4}\u{d6}",
            "[::1]",
            "[fe80::1%eth0]",
            "[IPv6:fe80::1%12]",
        ] {
            assert!(greeting_name(name.as_bytes()).is_ok(), "{name}");
        }
        for name in [
            "",
            "a b",
            "a;b",
            "(none)",
            "[300.0.2.1]",
            "[IPv6:::1",
            "[::1%a b]",
            "a\tb",
            "a@b",
            "<a>",
        ] {
            assert!(greeting_name(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_path_may_lack_its_brackets() {
        let (rest, path) = forward_path(b"u@c.test SIZE=1").unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" SIZE=1"[..], "<u@c.test>")
        );
        for bad in [
            &b"u@c.test>"[..],
            b"<u@c.test",
            b"u",
            b"u@",
            b"@a:u@c.test",
            b"",
        ] {
            assert!(forward_path(bad).is_err());
        }
    }

    /// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`: it may be empty.
    #[test]
    fn an_empty_quoted_local_part_is_in_the_grammar() {
        let (rest, path) = forward_path(br#"<""@c.test> X"#).unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" X"[..], r#"<""@c.test>"#)
        );
        assert_eq!(path.mailbox().unwrap().local_part(), "");
        let (_, path) = reverse_path(br#"<@a.test:""@[127.0.0.1]>"#).unwrap();
        assert_eq!(path.to_string(), r#"<""@[127.0.0.1]>"#);
        let path = path.0.unwrap().to_string();
        assert_eq!(Mailbox::parse(path.as_bytes()).unwrap().to_string(), path);
        for bad in [
            &br#"<"@c.test>"#[..],
            br#"<"">"#,
            br#"<""@>"#,
            br#"<"""@c.test>"#,
            br#"<""a@c.test>"#,
            b"<@c.test>",
            br#"<"\"@c.test>"#,
        ] {
            assert!(forward_path(bad).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn source_routes_are_dropped() {
        let (rest, path) = forward_path(b"<@a.test,@b.test:u@c.test> X").unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" X"[..], "<u@c.test>")
        );
    }
}
