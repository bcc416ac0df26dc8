//! Domains and address literals (RFC 5321 §4.1.2, §4.1.3, RFC 6531 §3.3).

use core::net::{Ipv4Addr, Ipv6Addr};
use hikyaku_wire::Output;

use crate::error::{IResult, expected};
use crate::leniency::{Leniencies, Leniency};

/// A domain or an address literal, at most 255 octets (§4.5.3.1.2).
#[inline]
pub(crate) fn domain(start: &[u8], leniencies: Leniencies) -> IResult<'_, &[u8]> {
    if start.first() == Some(&b'[') {
        return address_literal(start, leniencies);
    }
    let (text, rest, seen, is_bad) = labels(start);
    let strict = !leniencies.contains(Leniency::UnderscoreInDomain);
    if is_bad || !are_short(text) || (strict && seen & UNDERSCORE != 0) {
        return expected(start, "a domain");
    }
    if seen & UTF8 != 0 && core::str::from_utf8(text).is_err() {
        return expected(start, "UTF-8");
    }
    Ok((rest, text))
}

/// What an octet is in a domain: in the low bits itself, in the high ones what may not stand behind it.
const DASH: u8 = 1 | 2 << 4;
const DOT: u8 = 2 | 3 << 4;
const UNDERSCORE: u8 = 4;
const UTF8: u8 = 8;
const END: u8 = 255;

static KINDS: [u8; 256] = kinds();

#[allow(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "evaluated when it is compiled"
)]
const fn kinds() -> [u8; 256] {
    let mut all = [END; 256];
    let mut octet = 0;
    while octet < 256 {
        all[octet] = match octet as u8 {
            b'-' => DASH,
            b'.' => DOT,
            b'_' => UNDERSCORE,
            128.. => UTF8,
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => 0,
            _ => END,
        };
        octet += 1;
    }
    all
}

/// Splits off what may stand in a domain, and returns what was seen in it, and whether a label is empty, or begins or
/// ends with a dash.
#[inline]
fn labels(start: &[u8]) -> (&[u8], &[u8], u8, bool) {
    let (mut before, mut seen, mut bad) = (DOT, 0, 0);
    let ends = |&octet: &u8| {
        let kind = KINDS.get(usize::from(octet)).copied().unwrap_or(END);
        if kind == END {
            return true;
        }
        bad |= (before >> 4) & kind;
        seen |= kind;
        before = kind;
        false
    };
    let length = start.iter().position(ends);
    // The end is as bad as a dot.
    bad |= (before >> 4) & DOT;
    let (text, rest) = start.split_at(length.unwrap_or(start.len()));
    (text, rest, seen, bad != 0)
}

/// Labels of at most 63 octets, and 255 in all.
fn are_short(text: &[u8]) -> bool {
    text.len() <= 63
        || (text.len() <= 255
            && text
                .split(|&octet| octet == b'.')
                .all(|one| one.len() <= 63))
}

/// `"[" ( IPv4 / "IPv6:" IPv6 / tag ":" text ) "]"` (§4.1.3).
fn address_literal(start: &[u8], leniencies: Leniencies) -> IResult<'_, &[u8]> {
    let bracketed = memchr::memchr(b']', start).and_then(|close| start.split_at_checked(close + 1));
    let Some((literal, rest)) = bracketed.filter(|(literal, _)| literal.len() <= 255) else {
        return expected(start, "\"]\" of an address literal");
    };
    let inner = literal
        .strip_prefix(b"[")
        .and_then(|inner| inner.strip_suffix(b"]"));
    match inner.and_then(|inner| core::str::from_utf8(inner).ok()) {
        Some(inner) if is_literal(inner, leniencies) => Ok((rest, literal)),
        _ => expected(start, "an address literal"),
    }
}

fn is_literal(inner: &str, leniencies: Leniencies) -> bool {
    match inner.split_once(':') {
        None => is_ipv4(inner),
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => is_ipv6(address, leniencies),
        // It lacks its tag, and may have a zone.
        Some(_) if is_bare_ipv6(inner) => false,
        Some((tag, address)) => {
            let ldh = |c: char| c.is_ascii_alphanumeric() || c == '-';
            let dcontent = |c: char| c.is_ascii_graphic() && !matches!(c, '[' | '\\');
            tag.chars().all(ldh)
                && tag.ends_with(|c: char| c.is_ascii_alphanumeric())
                && !address.is_empty()
                && address.chars().all(dcontent)
        }
    }
}

fn is_bare_ipv6(inner: &str) -> bool {
    let address = inner.split('%').next().unwrap_or("");
    address.parse::<Ipv6Addr>().is_ok()
}

/// `IPv6-addr`, whose `::` stands for two groups at least, and whose end may be an IPv4 address.
fn is_ipv6(text: &str, leniencies: Leniencies) -> bool {
    let (groups, four) = match text.rsplit_once(':') {
        Some((groups, four)) if four.contains('.') => (groups, Some(four)),
        _ => (text, None),
    };
    let whole = match four {
        Some(four) if is_ipv4(four) => alloc::format!("{groups}:0:0"),
        Some(_) => return false,
        None => groups.into(),
    };
    let named = whole.split(':').filter(|group| !group.is_empty()).count();
    let strict = !leniencies.contains(Leniency::OneGroupOfZeros);
    whole.parse::<Ipv6Addr>().is_ok() && !(strict && text.contains("::") && named > 6)
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

/// What follows HELO, EHLO, LHLO: a domain or an address literal, or with [`Leniency::NameInHello`] what client machines
/// are called in the world. Nothing that means something in a Received field is taken.
///
/// HELO has no literal, and no octets of UTF-8 stand before SMTPUTF8 is known (RFC 6531 §3.7.1).
#[inline]
pub(crate) fn greeting_name(i: &[u8], literal: bool, leniencies: Leniencies) -> IResult<'_, &[u8]> {
    let lenient = leniencies.contains(Leniency::NameInHello);
    match domain(i, leniencies) {
        Ok((rest, name))
            if rest.is_empty()
                && (lenient || (name.is_ascii() && (literal || !name.starts_with(b"[")))) =>
        {
            Ok((rest, name))
        }
        Ok(([b' ', ..], name)) if lenient && name.starts_with(b"[") => Ok((&[], name)),
        _ if lenient && is_named(i) => Ok((&[], i)),
        _ => expected(i, "a domain or an address literal"),
    }
}

fn is_named(name: &[u8]) -> bool {
    let text = core::str::from_utf8(name).unwrap_or("");
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
    let is_allowed =
        |c: char| !c.is_whitespace() && !c.is_control() && !"()<>@,;:\\\"[]".contains(c);
    let is_name = !text.is_empty() && text.chars().all(is_allowed);
    text.len() <= 255 && (is_literal || is_name)
}

/// Appends a name for EHLO, HELO or LHLO: one word that [`greeting_name`] reads, whatever is in it.
pub(crate) fn write_greeting_name(name: &[u8], output: &mut Output) {
    let reads = |name: &[u8]| matches!(greeting_name(name, true, Leniencies::ALL), Ok((_, read)) if read == name);
    if reads(name) {
        return output.write(name);
    }
    let is_allowed =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
    let clean = |&octet: &u8| if is_allowed(octet) { octet } else { b'-' };
    let clean: alloc::vec::Vec<u8> = name.iter().map(clean).collect();
    output.note_replaced();
    output.write(match reads(&clean) {
        true => &clean,
        false => b"localhost",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_client_machines_are_taken() {
        for name in [
            "host.",
            "-host",
            "John's-Mac.local",
            "a..b",
            "my_pc",
            "PC-\u{c4}\u{d6}",
            "[::1]",
            "[fe80::1%eth0]",
            "[IPv6:fe80::1%12]",
        ] {
            assert!(
                greeting_name(name.as_bytes(), true, Leniencies::ALL).is_ok(),
                "{name}"
            );
            let strict = Leniencies::ALL
                .without(Leniency::NameInHello)
                .without(Leniency::UnderscoreInDomain);
            assert!(
                greeting_name(name.as_bytes(), true, strict).is_err(),
                "{name}"
            );
        }
        for name in ["a.test", "[IPv6:fe80::1]", "[192.0.2.1]"] {
            assert!(
                greeting_name(name.as_bytes(), true, Leniencies::NONE).is_ok(),
                "{name}"
            );
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
            assert!(
                greeting_name(name.as_bytes(), true, Leniencies::ALL).is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn labels_have_their_length_and_their_edges() {
        let long = |n: usize| std::format!("{}.test", "a".repeat(n));
        for good in ["a", "a.b", "a-b.c", "1.2.3.4", "xn--a", &long(63), "é.test"] {
            assert!(domain(good.as_bytes(), Leniencies::NONE).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "a.-b",
            "a-.b",
            &long(64),
        ] {
            assert!(domain(bad.as_bytes(), Leniencies::NONE).is_err(), "{bad}");
        }
    }
}
