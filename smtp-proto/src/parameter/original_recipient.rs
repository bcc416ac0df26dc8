//! ORCPT= (RFC 3461 §4.2, RFC 6533 §3).

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::leniency::{Leniencies, Leniency};
use crate::octets::{self, slice_of};
use crate::parameter::list::write_value;
use crate::parameter::xtext::Xtext;

/// The address that the sender gave, before anyone rewrote it: `addr-type ";" address`, kept as it was sent.
///
/// ```
/// use hikyaku_smtp_proto::OriginalRecipient;
/// let original = OriginalRecipient::rfc822("bob+lists@example.org");
/// assert_eq!(original.as_text(), "rfc822;bob+2Blists@example.org");
/// assert_eq!((original.kind(), original.address()), ("rfc822", "bob+lists@example.org".into()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OriginalRecipient<T = Bytes> {
    text: T,
    /// Where the `;` is.
    at: u16,
}

/// How long a value may be (RFC 3461 §4.2).
const LONGEST: usize = 500;

impl OriginalRecipient {
    /// Makes one of an address of mail: of type `rfc822`, or `utf-8` where it needs that.
    #[must_use]
    pub fn rfc822(address: &str) -> Self {
        let (kind, encoded) = match address.is_ascii() {
            true => (
                "rfc822",
                Bytes::copy_from_slice(Xtext::of(address.as_bytes()).as_bytes()),
            ),
            false => ("utf-8", escaped(address).into()),
        };
        Self {
            text: [kind.as_bytes(), b";", &encoded].concat().into(),
            at: u16::try_from(kind.len()).unwrap_or(0),
        }
    }

    /// Takes the value of a parameter; `None` when it is not in the grammar.
    #[must_use]
    pub fn parse(text: impl Into<Bytes>) -> Option<Self> {
        let text = text.into();
        let at = OriginalRecipient::read(&text, Leniencies::ALL)?.at;
        Some(Self { text, at })
    }
}

/// `utf-8-addr-xtext`: 7 bits, whoever takes it (RFC 6533 §3).
fn escaped(address: &str) -> Vec<u8> {
    use core::fmt::Write as _;
    let mut text = String::new();
    for c in address.chars() {
        match c {
            '!'..='*' | ','..='<' | '>'..='[' | ']'..='~' => text.push(c),
            other => {
                let _ = write!(text, "\\x{{{:02X}}}", u32::from(other));
            }
        }
    }
    text.into_bytes()
}

impl<'a> OriginalRecipient<&'a [u8]> {
    pub(crate) fn read(text: &'a [u8], leniencies: Leniencies) -> Option<Self> {
        let at = memchr::memchr(b';', text)?;
        let (kind, address) = (text.get(..at)?, text.get(at + 1..)?);
        let is_kind = kind.first().is_some_and(u8::is_ascii_alphanumeric)
            && octets::all(kind, octets::KEYWORD);
        let is_address = match kind.eq_ignore_ascii_case(b"utf-8") {
            true if leniencies.contains(Leniency::AnyEscape) => {
                !address.is_empty() && core::str::from_utf8(address).is_ok()
            }
            true => is_utf8_address(address),
            false => Xtext::read(address, LONGEST)
                .is_some_and(|address| !address.octets().any(|octet| octet.is_ascii_control())),
        };
        if !is_kind || !is_address || text.len() > LONGEST {
            return None;
        }
        let at = u16::try_from(at).ok()?;
        Some(Self { text, at })
    }

    pub(crate) fn within(self, line: &Bytes) -> OriginalRecipient {
        OriginalRecipient {
            text: slice_of(line, self.text),
            at: self.at,
        }
    }
}

impl<T: AsRef<[u8]>> OriginalRecipient<T> {
    /// Returns the value as it is sent.
    #[must_use]
    pub fn as_text(&self) -> &str {
        core::str::from_utf8(self.text.as_ref()).unwrap_or("")
    }

    /// Returns the type of the address, in any case: `rfc822`, `utf-8`, `x400`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.as_text().get(..self.at.into()).unwrap_or("")
    }

    /// Returns the address, decoded. Octets that are no UTF-8 are replaced.
    #[must_use]
    pub fn address(&self) -> String {
        let text = self.as_text().get(usize::from(self.at) + 1..).unwrap_or("");
        match self.kind().eq_ignore_ascii_case("utf-8") {
            true => unescaped(text),
            false => {
                let octets = Xtext::read(text.as_bytes(), LONGEST).map(|text| text.decoded());
                String::from_utf8_lossy(&octets.unwrap_or_default()).into_owned()
            }
        }
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        write_value(self.text.as_ref(), output);
    }
}

/// `utf-8-addr-xtext`, `utf-8-addr-unitext` or `utf-8-address` (RFC 6533 §3).
fn is_utf8_address(text: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(text) else {
        return false;
    };
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let Some((_, behind)) = escape(rest.get(at..).unwrap_or(""), true) else {
            return false;
        };
        rest = behind;
    }
    !text.is_empty()
}

/// `EmbeddedUnicodeChar`: the character, and what follows. Strictly, its digits are `HEXPOINT`: no zero before them, and
/// no character that stands for itself.
fn escape(text: &str, strict: bool) -> Option<(char, &str)> {
    let (digits, rest) = text.strip_prefix("\\x{")?.split_once('}')?;
    let is_hex = (2..=6).contains(&digits.len())
        && digits
            .bytes()
            .all(|o| matches!(o, b'0'..=b'9' | b'A'..=b'F'));
    let c = u32::from_str_radix(digits, 16)
        .ok()
        .and_then(char::from_u32)?;
    let stands_for_itself = c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\');
    let conforms = !stands_for_itself && (digits.len() == 2 || !digits.starts_with('0'));
    (is_hex && (!strict || conforms)).then_some((c, rest))
}

fn unescaped(text: &str) -> String {
    let (mut address, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('\\') {
        let (plain, escaped) = rest.split_at(at);
        address.push_str(plain);
        match escape(escaped, false) {
            Some((c, behind)) => {
                address.push(c);
                rest = behind;
            }
            // It is kept as it came.
            None => {
                address.push('\\');
                rest = escaped.get(1..).unwrap_or("");
            }
        }
    }
    address.push_str(rest);
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_address_comes_back(address in "[ -~]{1,40}|[a-zé日+= \\\\]{1,20}") {
            let original = OriginalRecipient::rfc822(&address);
            prop_assert!(original.as_text().is_ascii());
            prop_assert_eq!(original.address(), address);
            prop_assert_eq!(OriginalRecipient::parse(String::from(original.as_text())), Some(original));
        }
    }

    #[test]
    fn the_forms_of_rfc_6533_are_read() {
        for (text, address) in [
            (r"utf-8;\x{62}ob@example.org", "bob@example.org"),
            (r"utf-8;\x{D800}@example.org", r"\x{D800}@example.org"),
            (r"UTF-8;\x{3B1}@example.org", "α@example.org"),
            ("utf-8;α@example.org", "α@example.org"),
            ("rfc822;a+2Bb@example.org", "a+b@example.org"),
            ("x400;/c+3Dus/", "/c=us/"),
        ] {
            assert_eq!(OriginalRecipient::parse(text).unwrap().address(), address);
        }
        for bad in [
            "",
            ";a",
            "rfc822",
            "rfc822;",
            "rfc822;a+b",
            "rfc822;é",
            "é;a",
        ] {
            assert_eq!(OriginalRecipient::parse(bad), None, "{bad}");
        }
        for bad in [
            r"\x{110000}",
            r"\x{D800}",
            r"\x{3b1}",
            r"a\b",
            r"\x{0041}",
            r"\x{41}",
            r"\x{03B1}",
        ] {
            let text = [b"utf-8;", bad.as_bytes()].concat();
            assert!(
                OriginalRecipient::read(&text, Leniencies::NONE).is_none(),
                "{bad}"
            );
            assert!(
                OriginalRecipient::read(&text, Leniencies::ALL).is_some(),
                "{bad}"
            );
        }
    }
}
