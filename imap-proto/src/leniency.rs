//! What servers are known to send against the grammar, each with a name, and what is made of it.

/// A deviation that is understood. Each names who is known for it; others may do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leniency {
    /// Exchange: a line is a response code without `* OK`, or has the code alone behind `* `. It is an OK
    /// with that code.
    CodeWithoutStatus,
    /// Yahoo: a status has no text behind its code. It is empty.
    StatusWithoutText,
    /// Exchange: LIST has a name with blanks or control characters without quotes. It is all of the line.
    UnquotedName,
    /// Domino: an item of FETCH has parentheses of its own. They are passed over.
    ItemInParentheses,
    /// Yandex: a section has no value. It is NIL.
    SectionWithoutValue,
    /// A literal in FETCH is two octets longer than announced: its last line end. That is passed over.
    LiteralTooShort,
    /// Gmail: quotes within a quoted string are not escaped. A quote ends one only where something may
    /// follow.
    UnescapedQuotes,
    /// Dovecot, once: blanks stand between parts, addresses and parentheses. They are passed over.
    Blanks,
    /// An envelope lacks its last fields. They are NIL.
    ShortEnvelope,
    /// An address is NIL. It is passed over.
    NilAddress,
    /// Gmail, Yandex, QQ: a multipart has no parts, or NIL for them. It has none.
    MultipartWithoutParts,
    /// A part has a blank for its type. It is empty.
    MissingType,
    /// A part has no subtype. It is empty.
    MissingSubtype,
    /// A part's octets or lines are less than none. They are 0.
    NegativeNumber,
    /// A list stands for Content-MD5 or Content-Location. It is NIL.
    ListForText,
    /// NIL, or nothing in parentheses, stands for the body of a message/rfc822. It is a part without anything.
    EmptyMessage,
    /// Exchange: a disposition without parentheses. It has no parameters.
    DispositionWithoutList,
    /// Exchange: a disposition that is `(NIL NIL)`. It is NIL.
    NilDisposition,
    /// Exchange: a multipart's description stands for its disposition. It is passed over.
    MultipartDescription,
    /// A line without anything stands between two responses, or before the greeting. It is passed over.
    EmptyLine,
    /// The challenge in AUTHENTICATE is no base64, as `+ ""` for an empty one, or a prompt in words. It is empty.
    ChallengeInWords,
    /// Exchange 2003: behind a tagged response its text comes once more, alone in a line. It is passed over.
    RepeatedText,
    /// home.pl: LIST has an attribute that is a backslash and no more. It is passed over.
    AttributeWithoutName,
}

impl Leniency {
    /// Each of them.
    pub const ALL: [Self; 23] = [
        Self::CodeWithoutStatus,
        Self::StatusWithoutText,
        Self::UnquotedName,
        Self::ItemInParentheses,
        Self::SectionWithoutValue,
        Self::LiteralTooShort,
        Self::UnescapedQuotes,
        Self::Blanks,
        Self::ShortEnvelope,
        Self::NilAddress,
        Self::MultipartWithoutParts,
        Self::MissingType,
        Self::MissingSubtype,
        Self::NegativeNumber,
        Self::ListForText,
        Self::EmptyMessage,
        Self::DispositionWithoutList,
        Self::NilDisposition,
        Self::MultipartDescription,
        Self::EmptyLine,
        Self::ChallengeInWords,
        Self::RepeatedText,
        Self::AttributeWithoutName,
    ];

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Which deviations are understood: all, unless it is said otherwise.
///
/// ```
/// use hikyaku_imap_proto::{Leniencies, Leniency, Limits, Received, Response};
/// let domino = "* 1 FETCH ((UID 7))".into();
/// let mut limits = Limits::default();
/// let read = Received::parse(&domino, &limits);
/// assert!(matches!(read, Ok(Received::Untagged(Response::Fetch(_, items))) if items.len() == 1));
/// limits.leniencies = Leniencies::ALL.without(Leniency::ItemInParentheses);
/// let read = Received::parse(&domino, &limits);
/// assert!(matches!(read, Ok(Received::Untagged(Response::Other(_)))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leniencies(u32);

impl Leniencies {
    /// Whatever is known is understood.
    pub const ALL: Self = Self(u32::MAX);
    /// The grammar rules.
    pub const NONE: Self = Self(0);

    /// With that one, too.
    #[must_use]
    pub fn with(self, one: Leniency) -> Self {
        Self(self.0 | one.bit())
    }

    /// But for that one.
    #[must_use]
    pub fn without(self, one: Leniency) -> Self {
        Self(self.0 & !one.bit())
    }

    /// Whether that one is understood.
    #[must_use]
    pub fn contains(self, one: Leniency) -> bool {
        self.0 & one.bit() != 0
    }
}

impl Default for Leniencies {
    fn default() -> Self {
        Self::ALL
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FetchItem, Limits, Received, Response};
    use bytes::Buf as _;
    use hikyaku_wire::Output;
    use hikyaku_wire::testkit::{escape, unescape};
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    fn read(octets: &[u8], leniencies: Leniencies) -> String {
        let limits = Limits {
            leniencies,
            ..Limits::default()
        };
        let Ok(received) = Received::parse(&octets.to_vec().into(), &limits) else {
            return "refused".into();
        };
        let raw = match &received {
            Received::Untagged(Response::Other(_)) => true,
            Received::Untagged(Response::Fetch(_, items)) => items
                .iter()
                .any(|item| matches!(item, FetchItem::Other(..))),
            _ => false,
        };
        if raw {
            return "raw".into();
        }
        let mut output = Output::new();
        received.encode(&mut output);
        let octets = output.copy_to_bytes(output.len());
        escape(octets.trim_ascii_end())
    }

    #[test]
    fn each_is_what_lets_its_rows_through() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/leniencies.tsv");
        let table = std::fs::read_to_string(path).unwrap();
        let mut failed = Vec::new();
        let mut shown = Leniencies::NONE;
        for row in table.lines().filter(|row| !row.starts_with('#')) {
            let [name, wire, expected, without] = row.split('\t').collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            let named = |one: &&Leniency| format!("{one:?}") == name;
            let one = *Leniency::ALL.iter().find(named).expect(name);
            let octets = unescape(&wire.replace("\\t", "\t"));
            let without = if without == "same" { expected } else { without };
            let came = [
                read(&octets, Leniencies::ALL),
                read(&octets, Leniencies::NONE.with(one)),
                read(&octets, Leniencies::ALL.without(one)),
            ];
            if came != [expected, expected, without] {
                failed.push(format!("{row}\n  came {came:#?}"));
            }
            if without != expected {
                shown = shown.with(one);
            }
        }
        assert!(failed.is_empty(), "{}", failed.join("\n"));
        // What goes over one response is the client's: see its tests.
        let elsewhere = [
            Leniency::LiteralTooShort,
            Leniency::EmptyLine,
            Leniency::ChallengeInWords,
            Leniency::RepeatedText,
        ];
        for one in Leniency::ALL {
            assert!(shown.contains(one) || elsewhere.contains(&one), "{one:?}");
        }
    }
}
