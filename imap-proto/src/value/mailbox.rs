//! Mailbox names (RFC 9051 §5.1) and their modified UTF-7 (RFC 3501 §5.1.3).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{write_astring, write_utf8};

/// A mailbox name in Unicode. `INBOX` is the same in any case, and written in capitals.
///
/// ```
/// use hikyaku_imap_proto::MailboxName;
/// assert_eq!(MailboxName::decode(b"&U,BTFw-").as_str(), "台北");
/// assert_eq!(MailboxName::decode(b"inbox").as_str(), "INBOX");
/// assert_eq!(MailboxName::new("台北").wire(), "&U,BTFw-");
/// ```
#[derive(Clone)]
pub struct MailboxName {
    /// UTF-8; where it can be, a slice of what came over the wire.
    name: Bytes,
    /// How it is written; no part of what it is.
    utf8: bool,
    /// What came over the wire, where writing the name gives something else.
    raw: Option<Box<Bytes>>,
    /// `raw` is written.
    verbatim: bool,
}

impl MailboxName {
    /// The mailbox of that Unicode name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self::of(name.into().into())
    }

    /// `name` is UTF-8.
    fn of(name: Bytes) -> Self {
        let name = match name.eq_ignore_ascii_case(b"INBOX") {
            true => Bytes::from_static(b"INBOX"),
            false => name,
        };
        Self {
            name,
            utf8: false,
            raw: None,
            verbatim: false,
        }
    }

    /// Reads the form on the wire. What is no modified UTF-7 stands for itself, as UTF-8: clients and
    /// servers that send it are in the world, and no name may be lost. See [`as_it_came`](Self::as_it_came).
    #[must_use]
    pub fn decode(wire: &[u8]) -> Self {
        if let Some(name) = decode_utf7(wire) {
            return Self::new(name);
        }
        let mut name = Self::new(String::from_utf8_lossy(wire).into_owned());
        name.raw = Some(Box::new(Bytes::copy_from_slice(wire)));
        name
    }

    /// The same name, written as it came: a server that lists a name in no valid form knows it by no other.
    #[must_use]
    pub fn as_it_came(mut self) -> Self {
        self.verbatim = true;
        self
    }

    /// What came over the wire, where it was no modified UTF-7.
    #[must_use]
    pub fn raw(&self) -> Option<&[u8]> {
        self.raw.as_deref().map(AsRef::as_ref)
    }

    /// Whether a mailbox may be created under that name: it was written in well-formed modified UTF-7, or in UTF-8 where
    /// that was agreed on, and holds no control character (RFC 3501 §5.1.3, RFC 9051 §5.1, RFC 5198 §2).
    ///
    /// ```
    /// use hikyaku_imap_proto::MailboxName;
    /// assert!(MailboxName::decode(b"R&-D").is_well_formed());
    /// for wire in ["R&D", "&AGE-", "&U,BTFw", "&AAo-"] {
    ///     assert!(!MailboxName::decode(wire.as_bytes()).is_well_formed());
    /// }
    /// ```
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let control = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
        self.raw.is_none() && !self.as_str().contains(control)
    }

    pub(crate) fn is_in_utf8(&self) -> bool {
        self.utf8
    }

    /// Returns the name in Unicode: `INBOX` in capitals, modified UTF-7 decoded. [`wire`](Self::wire) returns the
    /// modified UTF-7.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }

    /// The same name, written in UTF-8: for a peer that has enabled IMAP4rev2 or UTF8=ACCEPT.
    #[must_use]
    pub fn in_utf8(mut self) -> Self {
        self.utf8 = true;
        self
    }

    /// The form on the wire, in modified UTF-7.
    #[must_use]
    pub fn wire(&self) -> String {
        encode_utf7(self.as_str())
    }

    /// Appends it as an astring.
    pub fn encode(&self, output: &mut Output) {
        match self.utf8 {
            true => write_utf8(self.as_str(), output),
            false if self.verbatim && self.raw.is_some() => {
                write_astring(self.raw().unwrap_or(&[]), output);
            }
            false if is_plain(&self.name) => write_astring(&self.name, output),
            false => write_astring(self.wire().as_bytes(), output),
        }
    }
}

impl core::fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("MailboxName").field(&self.as_str()).finish()
    }
}

impl PartialEq for MailboxName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for MailboxName {}

impl core::hash::Hash for MailboxName {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl PartialOrd for MailboxName {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MailboxName {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

pub(crate) fn mailbox(cursor: &mut Cursor<'_>) -> Result<MailboxName> {
    if let Some(name) = cursor.plain_name() {
        let name = MailboxName::of(name);
        return Ok(match cursor.is_utf8() {
            true => name.in_utf8(),
            false => name,
        });
    }
    let start = cursor.clone();
    let wire = cursor.astring()?;
    if cursor.is_of_command() && cursor.is_utf8() && core::str::from_utf8(&wire).is_err() {
        // RFC 3629 §3: overlong forms and surrogates are none. Read as something else, two names would be one.
        return start.fail("a mailbox name in UTF-8");
    }
    Ok(read(cursor, wire))
}

/// The name, in the form that both ends have agreed on.
pub(crate) fn read(cursor: &Cursor<'_>, wire: Bytes) -> MailboxName {
    if is_plain(&wire) {
        let name = MailboxName::of(wire);
        return if cursor.is_utf8() {
            name.in_utf8()
        } else {
            name
        };
    }
    match cursor.is_utf8() {
        true => MailboxName::new(String::from_utf8_lossy(&wire)).in_utf8(),
        false => MailboxName::decode(&wire),
    }
}

/// Whether the name is the same in UTF-8 and in modified UTF-7.
fn is_plain(name: &[u8]) -> bool {
    name.iter()
        .all(|&octet| (b' '..=b'~').contains(&octet) && octet != b'&')
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

fn encode_utf7(name: &str) -> String {
    let mut wire = String::with_capacity(name.len());
    let mut units: Vec<u16> = Vec::new();
    for c in name.chars() {
        if !matches!(c, ' '..='~') {
            units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
            continue;
        }
        shift(&mut units, &mut wire);
        wire.push(c);
        if c == '&' {
            wire.push('-');
        }
    }
    shift(&mut units, &mut wire);
    wire
}

/// Ends a run of UTF-16 units as `&..-`.
fn shift(units: &mut Vec<u16>, wire: &mut String) {
    if units.is_empty() {
        return;
    }
    wire.push('&');
    let (mut bits, mut count) = (0_u32, 0);
    let mut digit = |value: u32| {
        let digit = DIGITS.get(value as usize & 63).copied().unwrap_or(b'A');
        wire.push(char::from(digit));
    };
    for unit in units.drain(..) {
        bits = (bits << 16 | u32::from(unit)) & 0x3f_ffff;
        count += 16;
        while count >= 6 {
            count -= 6;
            digit(bits >> count);
        }
    }
    if count > 0 {
        digit(bits << (6 - count));
    }
    wire.push('-');
}

/// `None` when it is no canonical modified UTF-7.
fn decode_utf7(wire: &[u8]) -> Option<String> {
    let mut name = String::with_capacity(wire.len());
    let mut rest = wire;
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'&' {
            if !(b' '..=b'~').contains(&octet) {
                return None;
            }
            name.push(char::from(octet));
            continue;
        }
        let end = memchr::memchr(b'-', rest)?;
        let (digits, tail) = rest.split_at(end);
        rest = tail.get(1..).unwrap_or(&[]);
        if digits.is_empty() {
            name.push('&');
            continue;
        }
        let mut units = Vec::with_capacity(digits.len());
        let (mut bits, mut count) = (0_u32, 0);
        for digit in digits {
            let value = DIGITS.iter().position(|d| d == digit)?;
            bits = (bits << 6 | u32::try_from(value).ok()?) & 0xff_ffff;
            count += 6;
            if count >= 16 {
                count -= 16;
                units.push(u16::try_from(bits >> count & 0xffff).ok()?);
            }
        }
        let unused = bits & ((1 << count) - 1);
        if count >= 6 || unused != 0 {
            return None;
        }
        for c in char::decode_utf16(units) {
            name.push(c.ok()?);
        }
    }
    // What is legal without a shift may not be shifted: one name, one form.
    (encode_utf7(&name).as_bytes() == wire).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString as _;

    proptest! {
        #[test]
        fn what_is_written_is_read(name: String) {
            let name = MailboxName::new(name);
            prop_assert_eq!(MailboxName::decode(name.wire().as_bytes()), name);
        }

        #[test]
        fn nothing_panics(wire: Vec<u8>) {
            let _ = MailboxName::decode(&wire);
        }
    }

    #[test]
    fn what_no_mailbox_may_be_created_under() {
        for well_formed in [
            "INBOX",
            "a/b c",
            "&-",
            "&-&-",
            "&AOQ-",
            "~peter/mail/&U,BTFw-/&ZeVnLIqe-",
            "&2D3eAA-",
            "&AOQ-&-",
            "-",
            "a-",
        ] {
            assert!(
                MailboxName::decode(well_formed.as_bytes()).is_well_formed(),
                "{well_formed}"
            );
        }
        for wire in [
            // Alone, or not finished.
            &b"&"[..],
            b"a&",
            b"&a",
            b"R&D",
            b"&U,BTFw",
            b"&-&",
            b"&U,BTFw-&ZeVnLIqe",
            // Printable ASCII in base64, alone or among others.
            b"&AGE-",
            b"&AGEAYg-",
            b"&AOQAYQ-",
            b"&ACY-",
            // Shifts that are not needed.
            b"&AOQ-&AOQ-",
            // Octets or bits too many or too few, digits of another base64, padding.
            b"&AOR-",
            b"&A-",
            b"&AO-",
            b"&AOQA-",
            b"&U/BTFw-",
            b"&AOQ=-",
            b"&AO Q-",
            // Surrogates alone, or in the wrong order.
            b"&2D0-",
            b"&3gA-",
            b"&3gDYPQ-",
            b"&2D3YPQ-",
            // Control characters, encoded or not, and line separators.
            b"&AAA-",
            b"&AA0ACg-",
            b"&AIU-",
            b"&ICg-",
            b"a\tb",
            b"\x7f",
            // Octets over 127: UTF-8, another charset, overlong, a surrogate.
            "\u{e4}".as_bytes(),
            b"\xe4",
            b"\xc0\xaf",
            b"\xe0\x80\xaf",
            b"\xed\xa0\x80",
            b"\xf5\x80\x80\x80",
        ] {
            let name = MailboxName::decode(wire);
            assert!(!name.is_well_formed(), "{}", wire.escape_ascii());
        }
        assert!(!MailboxName::new("a\r\nb").is_well_formed());
    }

    #[test]
    fn names_of_the_rfc_and_of_the_world() {
        for (wire, name) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("A&-B", "A&B"),
            ("&2D3eAA-", "😀"),
            ("&AGE-", "&AGE-"),
            ("&broken", "&broken"),
            ("inbox/Sub", "inbox/Sub"),
        ] {
            assert_eq!(MailboxName::decode(wire.as_bytes()).as_str(), name);
        }
        // A server knows a name that it writes wrongly by no other one.
        for wire in [&b"Entw&APw-rfe&"[..], "Entwürfe".as_bytes(), b"Entw\xfcrfe"] {
            let mut output = Output::new();
            MailboxName::decode(wire).as_it_came().encode(&mut output);
            let length = output.len();
            let written = bytes::Buf::copy_to_bytes(&mut output, length);
            assert!(written.ends_with(wire) || written.ends_with(&[wire, b"\""].concat()));
        }
        assert_eq!(
            MailboxName::decode("受信".as_bytes()).as_str().to_string(),
            "受信"
        );
    }
}
