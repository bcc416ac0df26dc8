//! The attributes of XCLIENT and XFORWARD, as Postfix documents them.

use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{Ipv4Addr, Ipv6Addr};
use hikyaku_wire::Output;

use crate::error::{IResult, expected};
use crate::octets::{self, numeral, slice_of};
use crate::parameter::xtext::Xtext;

/// The attributes of one of the commands, and what is a value of each.
pub(crate) type Names = [Name];

/// A name, and whether a value is one of its.
pub(crate) type Name = (&'static [u8], fn(&[u8]) -> bool);

pub(crate) const XCLIENT: [Name; 8] = [
    (b"NAME", is_word),
    (b"ADDR", is_address),
    (b"PORT", is_port),
    (b"PROTO", is_smtp),
    (b"HELO", is_word),
    (b"LOGIN", is_printable),
    (b"DESTADDR", is_address),
    (b"DESTPORT", is_port),
];

pub(crate) const XFORWARD: [Name; 7] = [
    (b"NAME", is_word),
    (b"ADDR", is_address),
    (b"PORT", is_port),
    (b"PROTO", is_protocol),
    (b"HELO", is_word),
    (b"IDENT", is_word),
    (b"SOURCE", is_source),
];

fn is_word(value: &[u8]) -> bool {
    value.iter().all(u8::is_ascii_graphic)
}

fn is_printable(value: &[u8]) -> bool {
    !value.iter().any(u8::is_ascii_control)
}

fn is_address(value: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(value) else {
        return false;
    };
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPV6:") => text
            .get(5..)
            .is_some_and(|text| text.parse::<Ipv6Addr>().is_ok()),
        _ => text.parse::<Ipv4Addr>().is_ok(),
    }
}

fn is_port(value: &[u8]) -> bool {
    numeral(value, 5).is_some_and(|port| port <= 65_535)
}

fn is_smtp(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"SMTP") || value.eq_ignore_ascii_case(b"ESMTP")
}

fn is_protocol(value: &[u8]) -> bool {
    value.len() <= 64 && is_word(value)
}

fn is_source(value: &[u8]) -> bool {
    value.eq_ignore_ascii_case(b"LOCAL") || value.eq_ignore_ascii_case(b"REMOTE")
}

/// The longest value.
const LONGEST: usize = 255;

/// `name=value` of XCLIENT (`NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT`) or XFORWARD
/// (`NAME ADDR PORT PROTO HELO IDENT SOURCE`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Attribute<T = Bytes> {
    /// In any case.
    pub name: T,
    /// The value, or `[UNAVAILABLE]`, or `[TEMPUNAVAIL]`.
    pub value: Xtext<T>,
}

impl<T: AsRef<[u8]>> Attribute<T> {
    /// Returns whether it has that name.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.as_ref().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Returns the value, decoded; `None` when the proxy does not have it.
    #[must_use]
    pub fn available(&self) -> Option<Vec<u8>> {
        let value = self.value.as_bytes();
        let missing = [&b"[UNAVAILABLE]"[..], b"[TEMPUNAVAIL]"];
        let is_missing = missing.iter().any(|one| one.eq_ignore_ascii_case(value));
        (!is_missing).then(|| self.value.decoded())
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(b" ");
        let is_name = |octet: u8| octets::is(octet, octets::KEYWORD);
        match self.name.as_ref().is_empty() {
            true => output.note_replaced(),
            false => output.write_only(self.name.as_ref(), is_name, b'-'),
        }
        output.write(b"=");
        self.value.encode(output);
    }
}

impl Attribute<&[u8]> {
    pub(crate) fn within(self, line: &Bytes) -> Attribute {
        Attribute {
            name: slice_of(line, self.name),
            value: self.value.within(line),
        }
    }
}

/// Takes attributes of these names up to the end of the line, at least one.
pub(crate) fn attributes<'a>(i: &'a [u8], names: &Names) -> IResult<'a, Vec<Attribute<&'a [u8]>>> {
    let mut all = Vec::new();
    let mut rest = i;
    while !rest.is_empty() {
        let (word, behind) = octets::word(rest);
        match attribute(word, names) {
            Some(one) if all.len() < MOST => all.push(one),
            _ => return expected(rest, "an attribute, name=value"),
        }
        rest = behind.trim_ascii_start();
    }
    match all.is_empty() {
        true => expected(i, "an attribute, name=value"),
        false => Ok((rest, all)),
    }
}

/// The most attributes of one command.
const MOST: usize = 32;

fn attribute<'a>(word: &'a [u8], names: &Names) -> Option<Attribute<&'a [u8]>> {
    let (name, value) = octets::run(word, octets::KEYWORD);
    let value = Xtext::read(value.strip_prefix(b"=")?, LONGEST)?;
    let (_, is_value) = names
        .iter()
        .find(|(one, _)| name.eq_ignore_ascii_case(one))?;
    let one = Attribute { name, value };
    let valid = one.available().is_none_or(|value| is_value(&value));
    valid.then_some(one)
}
