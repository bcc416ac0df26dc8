//! Tokens: atoms, quoted strings, literals, numbers (RFC 9051 §4, §9), and how strings are written.

use alloc::borrow::Cow;
use bytes::Bytes;
use hikyaku_wire::Output;
use nom::bytes::complete::{take, take_while, take_while1};

use crate::error::{Expected, IResult, expected};

/// What each octet may be: a look at a table costs less than what the table says.
static CLASSES: [u8; 256] = classes();
const ATOM: u8 = 1;
/// What stands in quotes for itself.
const PLAIN: u8 = 2;
/// What stands in a mailbox name for itself, in quotes, be it UTF-8 or modified UTF-7.
const NAME: u8 = 4;

#[allow(
    clippy::indexing_slicing,
    reason = "an octet is always one of 256, and this runs in the compiler"
)]
const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut octet = 0_u8;
    loop {
        let special = matches!(
            octet,
            b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']'
        );
        let atom = octet.is_ascii_graphic() && !special;
        let plain = !matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0);
        let name = plain && matches!(octet, b' '..=b'~') && octet != b'&';
        classes[octet as usize] = if atom { ATOM } else { 0 }
            | if plain { PLAIN } else { 0 }
            | if name { NAME } else { 0 };
        if octet == u8::MAX {
            return classes;
        }
        octet += 1;
    }
}

fn is_of(class: u8, octet: u8) -> bool {
    let classes = CLASSES.get(usize::from(octet));
    classes.is_some_and(|classes| classes & class != 0)
}

/// `ATOM-CHAR`: any CHAR but `( ) { SP CTL % * " \ ]`.
pub(crate) fn is_atom_char(octet: u8) -> bool {
    is_of(ATOM, octet)
}

/// `ASTRING-CHAR`: an ATOM-CHAR or `]`.
pub(crate) fn is_astring_char(octet: u8) -> bool {
    is_atom_char(octet) || octet == b']'
}

/// `tag`: ASTRING-CHARs but `+`.
pub(crate) fn is_tag_char(octet: u8) -> bool {
    is_astring_char(octet) && octet != b'+'
}

/// `list-char`: what a pattern may hold without quoting.
pub(crate) fn is_list_char(octet: u8) -> bool {
    is_astring_char(octet) || matches!(octet, b'%' | b'*')
}

/// One or more octets of a class.
pub(crate) fn run<'a>(
    class: impl Fn(u8) -> bool + Copy,
    what: &'static str,
) -> impl Fn(&'a [u8]) -> IResult<'a, &'a [u8]> {
    move |i| {
        let end = i.iter().position(|&octet| !class(octet));
        match i.split_at_checked(end.unwrap_or(i.len())) {
            Some((text, rest)) if !text.is_empty() => Ok((rest, text)),
            _ => expected(i, what),
        }
    }
}

pub(crate) fn atom(i: &[u8]) -> IResult<'_, &[u8]> {
    run(is_atom_char, "an atom")(i)
}

/// A string as it stands in the input: quoting removed, which allocates only where a `\` is.
pub(crate) type Text<'a> = Cow<'a, [u8]>;

/// A quoted mailbox name in which nothing is encoded, or nothing.
pub(crate) fn plain_name(i: &[u8]) -> Option<(&[u8], &[u8])> {
    let i = i.strip_prefix(b"\"")?;
    let end = i.iter().position(|&octet| !is_of(NAME, octet))?;
    let (name, rest) = i.split_at_checked(end)?;
    Some((rest.strip_prefix(b"\"")?, name))
}

/// `quoted`, with UTF-8 in it (RFC 9051 §4.3; RFC 3501 has ASCII only).
pub(crate) fn quoted(start: &[u8]) -> IResult<'_, Text<'_>> {
    let (rest, text) = quoted_octets(start)?;
    if core::str::from_utf8(&text).is_err() {
        return expected(start, "UTF-8");
    }
    Ok((rest, text))
}

/// `quoted` with any octets over 127, as servers send them out of old messages.
fn quoted_octets(start: &[u8]) -> IResult<'_, Text<'_>> {
    let Some(i) = start.strip_prefix(b"\"") else {
        return expected(start, "a quoted string");
    };
    let plain = |o: u8| is_of(PLAIN, o);
    let (rest, run) = take_while(plain)(i)?;
    let (rest, text) = match rest.first() {
        Some(b'"') => (rest.get(1..).unwrap_or(&[]), Cow::Borrowed(run)),
        _ => {
            let mut text = run.to_vec();
            let mut rest = rest;
            loop {
                match rest {
                    [b'"', tail @ ..] => break (tail, Cow::Owned(text)),
                    [b'\\', escaped @ (b'"' | b'\\'), tail @ ..] => {
                        text.push(*escaped);
                        rest = tail;
                    }
                    [octet, tail @ ..] if plain(*octet) => {
                        text.push(*octet);
                        rest = tail;
                    }
                    _ => return expected(rest, "the end of a quoted string"),
                }
            }
        }
    };
    Ok((rest, text))
}

/// `{n}` or `{n+}`, CRLF, n octets without NUL.
pub(crate) fn literal(start: &[u8]) -> IResult<'_, &[u8]> {
    let (rest, octets) = literal_octets(start)?;
    if memchr::memchr(0, octets).is_some() {
        return expected(start, "a literal without NUL");
    }
    Ok((rest, octets))
}

/// A literal with any octets in it.
fn literal_octets(start: &[u8]) -> IResult<'_, &[u8]> {
    let Some(i) = start.strip_prefix(b"{") else {
        return expected(start, "a literal");
    };
    let (i, digits) = take_while1(|o: u8| o.is_ascii_digit())(i)?;
    let i = i.strip_prefix(b"+").unwrap_or(i);
    let Some((i, size)) = i.strip_prefix(b"}\r\n").zip(number64_of(digits)) else {
        return expected(start, "a literal");
    };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let (i, octets) = take(size)(i)
        .or_else(|_: nom::Err<Expected<'_>>| expected(i, "the octets of a literal"))?;
    Ok((i, octets))
}

/// A string as servers send it: with octets over 127 in quotes, or NUL in a literal, or literal8.
pub(crate) fn any_string(i: &[u8]) -> IResult<'_, Text<'_>> {
    let inner = i.strip_prefix(b"~").unwrap_or(i);
    match inner.first() {
        Some(b'{') => literal_octets(inner).map(|(i, octets)| (i, Cow::Borrowed(octets))),
        _ => quoted_octets(i),
    }
}

/// `string = quoted / literal`
pub(crate) fn string(i: &[u8]) -> IResult<'_, Text<'_>> {
    match i.first() {
        Some(b'{') => literal(i).map(|(i, octets)| (i, Cow::Borrowed(octets))),
        _ => quoted(i),
    }
}

/// `astring`
pub(crate) fn astring(i: &[u8]) -> IResult<'_, Text<'_>> {
    match i.first() {
        Some(b'{' | b'"') => string(i),
        _ => run(is_astring_char, "a string or an atom")(i)
            .map(|(i, octets)| (i, Cow::Borrowed(octets))),
    }
}

/// `list-mailbox`
pub(crate) fn list_mailbox(i: &[u8]) -> IResult<'_, Text<'_>> {
    match i.first() {
        Some(b'{' | b'"') => string(i),
        _ => {
            run(is_list_char, "a mailbox pattern")(i).map(|(i, octets)| (i, Cow::Borrowed(octets)))
        }
    }
}

fn number64_of(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit - b'0'))
    })
}

/// `number64`: up to 63 bits (RFC 9051 §9).
pub(crate) fn number64(start: &[u8]) -> IResult<'_, u64> {
    let (i, digits) = run(|o| o.is_ascii_digit(), "a number")(start)?;
    match number64_of(digits).filter(|&n| n <= i64::MAX as u64) {
        Some(number) => Ok((i, number)),
        None => expected(start, "a number of at most 63 bits"),
    }
}

pub(crate) fn number(start: &[u8]) -> IResult<'_, u32> {
    let (i, number) = number64(start)?;
    match u32::try_from(number) {
        Ok(number) => Ok((i, number)),
        Err(_) => expected(start, "a number of at most 32 bits"),
    }
}

/// `nz-number`: no leading zero.
pub(crate) fn nz_number(start: &[u8]) -> IResult<'_, u32> {
    if start.first() == Some(&b'0') {
        return expected(start, "a number that is not zero");
    }
    number(start)
}

/// Writes an astring in its shortest form: atom, quoted or literal.
pub(crate) fn write_astring(text: &[u8], output: &mut Output) {
    let nil = text.eq_ignore_ascii_case(b"NIL");
    if !text.is_empty() && !nil && text.iter().all(|&o| is_astring_char(o)) {
        output.write(text);
    } else {
        write_string(text, output);
    }
}

/// Writes a string: quoted where that is legal, else a literal.
pub(crate) fn write_string(text: &[u8], output: &mut Output) {
    let quotable = |&o: &u8| (32..127).contains(&o);
    if text.len() > 1024 || !text.iter().all(quotable) {
        output.write(b"{");
        output.write_number(text.len() as u64);
        output.write(b"}\r\n");
        // RFC 9051 §9: a literal holds no NUL.
        output.write_only(text, |octet| octet != 0, b'?');
        return;
    }
    output.write(b"\"");
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let (head, tail) = rest.split_at(at);
        output.write(head);
        output.write(b"\\");
        output.write(tail.get(..1).unwrap_or(&[]));
        rest = tail.get(1..).unwrap_or(&[]);
    }
    output.write(rest);
    output.write(b"\"");
}

/// Writes an astring of Unicode text, with UTF-8 in quotes where it is not ASCII (RFC 9051 §9 `quoted`).
pub(crate) fn write_utf8(text: &str, output: &mut Output) {
    let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.is_ascii() || text.chars().any(control) || text.len() > 1024 {
        return write_astring(text.as_bytes(), output);
    }
    output.write(b"\"");
    for piece in text.split_inclusive(['"', '\\']) {
        let plain = piece.strip_suffix(['"', '\\']);
        output.write(plain.unwrap_or(piece).as_bytes());
        if plain.is_some() {
            output.write(b"\\");
            output.write(piece.as_bytes().get(piece.len() - 1..).unwrap_or(&[]));
        }
    }
    output.write(b"\"");
}

/// Writes a string or NIL.
pub(crate) fn write_nstring(text: Option<&[u8]>, output: &mut Output) {
    match text {
        Some(text) => write_string(text, output),
        None => output.write(b"NIL"),
    }
}

/// Writes a string, as literal8 where NUL is in it (RFC 3516 §4.2), or NIL.
pub(crate) fn write_nstring8(text: Option<&[u8]>, output: &mut Output) {
    if text.is_some_and(|text| memchr::memchr(0, text).is_some()) {
        output.write(b"~{");
        let text = text.unwrap_or(&[]);
        output.write_number(text.len() as u64);
        output.write(b"}\r\n");
        return output.write(text);
    }
    write_nstring(text, output);
}

/// Writes `(a b c)`.
pub(crate) fn write_list<T>(
    items: impl IntoIterator<Item = T>,
    output: &mut Output,
    mut write: impl FnMut(T, &mut Output),
) {
    output.write(b"(");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            output.write(b" ");
        }
        write(item, output);
    }
    output.write(b")");
}

/// The text as a slice of the unit it came from, or as its own allocation.
pub(crate) fn to_bytes(unit: &Bytes, text: Text<'_>) -> Bytes {
    match text {
        Cow::Borrowed(octets) => unit.slice_ref(octets),
        Cow::Owned(octets) => Bytes::from(octets),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn any_string_is_written_and_read(text: Vec<u8>) {
            let mut output = Output::new();
            write_astring(&text, &mut output);
            let written = output.copy_to_bytes(output.len());
            let read = astring(&written).ok().map(|(rest, text)| (rest.len(), text.into_owned()));
            let nul = text.iter().position(|octet| *octet == 0);
            prop_assert_eq!(output.has_replaced(), nul.is_some());
            let expected = text.iter().map(|octet| if *octet == 0 { b'?' } else { *octet });
            prop_assert_eq!(read, Some((0, expected.collect())));
        }

        #[test]
        fn nothing_panics(text in "[\"{}0-9+\\\\\r\n a]{0,20}") {
            let _ = astring(text.as_bytes());
            let _ = nz_number(text.as_bytes());
        }
    }
}
