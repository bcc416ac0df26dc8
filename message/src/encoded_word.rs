//! Encoded words in header fields (RFC 2047), and what else a field's text is made of.

use super::charset::Charset;
use super::guess::guess;
use super::shifted::Shifted;
use super::text_decoder::decoded;
use super::{Encoding, TransferDecoder};
use alloc::string::String;
use alloc::vec::Vec;

/// Longer names are of no charset, languages included.
const LONGEST_CHARSET: usize = 100;

/// Half a character is looked for at the end of at most this many octets: no word is longer (RFC 2047 §2).
const SPLIT: usize = 200;

/// Decodes a header field's value to text on one line: encoded words by their charset, other octets as UTF-8, as
/// ISO-2022-JP or in the charset they look like. Nothing fails; what is odd stays as it is.
///
/// Each word is decoded by itself; words in one charset that follow each other may split a character between them all the
/// same. Words that are folded, that have a bare question mark or blanks in them or lack padding are words, too, and they
/// may be in quotes and stand beside anything.
///
/// Control characters become blanks, encoded ones too, and marks that turn the direction of the text around are left out:
/// no value can look like more than one field, or like another one.
///
/// ```
/// use hikyaku_message::decode_header;
/// assert_eq!(decode_header(b"=?iso-2022-jp?B?GyRCSHQ1UxsoQg==?= !"), "飛脚 !");
/// assert_eq!(decode_header(b"=?utf-8?q?Eve=0D=0ABcc=3A_x?="), "Eve Bcc: x");
/// ```
#[must_use]
pub fn decode_header(value: &[u8]) -> String {
    let plain = |octet: &u8| (b' '..0x7f).contains(octet);
    if memchr::memmem::find(value, b"=?").is_none() && value.iter().all(plain) {
        return String::from_utf8_lossy(value).into_owned();
    }
    let unfolded: Vec<u8> = value
        .iter()
        .copied()
        .filter(|o| !b"\r\n".contains(o))
        .collect();
    let mut reading = Reading {
        raw: guess(&unfolded),
        open: None,
        text: String::with_capacity(unfolded.len()),
    };
    let mut rest = &*unfolded;
    // Up to here it was seen that no word begins.
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(rest.get(from..).unwrap_or(&[]), b"=?") {
        let (before, begin) = rest.split_at(from + at);
        match Word::at_start(begin) {
            Some(word) => {
                if !(before.trim_ascii().is_empty() && reading.open.is_some()) {
                    reading.raw(before);
                }
                reading.word(word.charset, word.octets());
                (rest, from) = (begin.get(word.length..).unwrap_or(&[]), 0);
            }
            None => from += at + 2,
        }
    }
    reading.raw(rest);
    on_one_line(reading.text)
}

/// The text so far, and words whose last character may go on in the next one.
struct Reading {
    /// What octets outside of words are in.
    raw: Charset,
    open: Option<(Option<Charset>, Vec<u8>)>,
    text: String,
}

impl Reading {
    fn raw(&mut self, octets: &[u8]) {
        self.close();
        self.text += &match core::str::from_utf8(octets) {
            Ok(text) if !octets.contains(&0x1b) => text.into(),
            _ => alloc::borrow::Cow::Owned(decoded(Some(self.raw), octets)),
        };
    }

    fn word(&mut self, charset: Option<Charset>, octets: Vec<u8>) {
        match &mut self.open {
            Some((same, gathered)) if *same == charset && goes_on(charset, gathered, &octets) => {
                gathered.extend(octets);
            }
            _ => {
                self.close();
                self.open = Some((charset, octets));
            }
        }
    }

    fn close(&mut self) {
        if let Some((charset, octets)) = self.open.take() {
            self.text += &decoded(charset, &octets);
        }
    }
}

/// Returns whether the next word in a charset goes on where this one ends. One with shifts begins anew (RFC 2047 §2),
/// unless this one ends with half a character, or in a shift that the next one ends without having begun it: some cut
/// what was encoded.
fn goes_on(charset: Option<Charset>, octets: &[u8], next: &[u8]) -> bool {
    match charset {
        Some(kind @ (Charset::Iso2022Jp | Charset::Iso2022Kr | Charset::Hz))
            if octets.len() <= SPLIT =>
        {
            let mut shifted = Shifted::new(kind);
            shifted.decode(octets, false, &mut String::new());
            let escape = next.iter().position(|octet| *octet == 0x1b);
            let ends_shift = escape.is_some_and(|at| {
                let before = next.get(..at).unwrap_or(&[]);
                at > 0 && at % 2 == 0 && before.iter().all(u8::is_ascii_graphic)
            });
            shifted.is_within_character() || shifted.is_shifted() && ends_shift
        }
        charset => charset.is_none_or(|charset| !charset.has_state()),
    }
}

/// `=?charset*language?e?text?=`
struct Word<'a> {
    /// Where it says nothing, it is guessed.
    charset: Option<Charset>,
    encoding: Encoding,
    text: &'a [u8],
    /// Of the whole word.
    length: usize,
}

/// How many octets of an encoded word `octets` begin with.
pub(super) fn length(octets: &[u8]) -> Option<usize> {
    Some(Word::at_start(octets)?.length)
}

impl<'a> Word<'a> {
    fn at_start(octets: &'a [u8]) -> Option<Self> {
        let inside = octets.strip_prefix(b"=?")?;
        let name = inside.get(..inside.len().min(LONGEST_CHARSET))?;
        let name = name.get(..memchr::memchr(b'?', name)?)?;
        let behind = inside.get(name.len() + 1..)?;
        let question = memchr::memchr(b'?', behind.get(..behind.len().min(8))?)?;
        let encoding = match behind.get(..question)?.trim_ascii() {
            b"B" | b"b" => Encoding::Base64,
            b"Q" | b"q" => Encoding::QuotedPrintable,
            _ => return None,
        };
        let charset = name.split(|octet| *octet == b'*').next()?.trim_ascii();
        let known = Charset::named(charset);
        if known.is_none() && !says_it_is_unknown(charset) {
            return None;
        }
        let text = behind.get(question + 1..)?;
        let end = match encoding {
            Encoding::Base64 => end_of_base64(text)?,
            _ => end_of_q(text)?,
        };
        Some(Self {
            charset: known,
            encoding,
            text: text.get(..end)?,
            length: 2 + name.len() + 1 + question + 1 + end + 2,
        })
    }

    fn octets(&self) -> Vec<u8> {
        if self.encoding == Encoding::QuotedPrintable {
            return q(self.text);
        }
        let mut octets = Vec::with_capacity(self.text.len());
        let mut decoder = TransferDecoder::new(Encoding::Base64);
        decoder.decode(self.text, &mut octets);
        octets
    }
}

/// Returns whether the charset is named as one that is not known, or as US-ASCII.
fn says_it_is_unknown(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |word: &[u8]| memchr::memmem::find(&name, word).is_some();
    has(b"ascii")
        || has(b"unknown")
        || name.starts_with(b"ansi_x3.4")
        || matches!(&*name, b"" | b"default" | b"8bit" | b"us")
}

/// Up to `?=`, blanks and padding anywhere; nothing where there are other octets.
fn end_of_base64(text: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'?', text)?;
    let belongs = |o: &u8| o.is_ascii_alphanumeric() || b"+/= \t".contains(o);
    let whole = text.get(end + 1) == Some(&b'=') && text.get(..end)?.iter().all(belongs);
    whole.then_some(end)
}

/// Up to the `?=` that ends the word. A question mark alone is text, and so is one that an encoded octet follows, as long
/// as another `?=` comes before a blank.
fn end_of_q(text: &[u8]) -> Option<usize> {
    let mut found = None;
    for at in memchr::memchr3_iter(b'?', b' ', b'\t', text) {
        if text.get(at) != Some(&b'?') {
            match found {
                Some(_) => return found,
                None => continue,
            }
        }
        let begins_another = at > 0 && text.get(at - 1) == Some(&b'=');
        if begins_another && !is_escape_cut(text, at) {
            return found;
        }
        if text.get(at + 1) != Some(&b'=') {
            continue;
        }
        let digits = text.get(at + 2..at + 4);
        if digits.and_then(super::transfer::hex).is_none() {
            return Some(at);
        }
        found = Some(at);
    }
    found
}

/// Returns whether the equals sign before that question mark ends a text that was cut off: `caf=?=`.
fn is_escape_cut(text: &[u8], question: usize) -> bool {
    text.get(question + 1) == Some(&b'=')
        && text
            .get(question + 2)
            .is_none_or(|o| !o.is_ascii_alphanumeric())
}

fn q(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    // Octets that a character of UTF-8 still lacks: no blank belongs there, it was folded.
    let mut lacks = 0_usize;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let octet = match first {
            b' ' | b'\t' if lacks > 0 && tail.trim_ascii_start().starts_with(b"=") => continue,
            b'_' => b' ',
            b'=' => match tail.get(..2).and_then(super::transfer::hex) {
                Some(octet) => {
                    rest = tail.get(2..).unwrap_or(&[]);
                    octet
                }
                None => b'=',
            },
            _ => first,
        };
        lacks = match octet {
            0xc2..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf4 => 3,
            0x80..=0xbf => lacks.saturating_sub(1),
            _ => 0,
        };
        octets.push(octet);
    }
    octets
}

/// Without line ends and other control characters, each run of which becomes a blank, and without marks that turn the
/// direction of what follows around.
pub(super) fn on_one_line(text: String) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(|c| breaks(c) || turns(c)) {
        return text;
    }
    let mut line = String::with_capacity(text.len());
    let mut broken = false;
    for c in text.chars().filter(|c| !turns(*c)) {
        if breaks(c) {
            broken = true;
            continue;
        }
        if core::mem::take(&mut broken) && !line.is_empty() && !line.ends_with(' ') && c != ' ' {
            line.push(' ');
        }
        line.push(c);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_rfc_2047() {
        for (value, text) in [
            ("=?ISO-8859-1?Q?a?=", "a"),
            ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"),
            (
                "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                "Keith Moore <moore@cs.utk.edu>",
            ),
            ("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?=", "Patrik Fältström"),
            ("=?utf-8?b?5pel5pys?= =?utf-8?b?6Kqe?=", "日本語"),
            ("=?utf-8*ja?b?5pel?=x", "日x"),
            ("=?x-none?Q?a?= =?", "=?x-none?Q?a?= =?"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(decode_header(value.as_bytes()), text, "{value}");
        }
        assert_eq!(decode_header(b"caf\xe9"), "café");
        // One character in two words.
        assert_eq!(decode_header(b"=?utf-8?q?=E6=97?= =?utf-8?q?=A5?="), "日");
    }

    #[test]
    fn words_as_the_world_writes_them() {
        for (value, text) in [
            // Each with its own shifts.
            (
                "=?ISO-2022-JP?B?GyRCRUU7Uj1xNEobKEI=?=\r\n =?ISO-2022-JP?B?GyRCJE5PMxsoQg==?=\r\n =?ISO-2022-JP?B?GyRCJGwkcktJJDA7bjgzGyhC?=",
                "電子書簡の漏れを防ぐ試験",
            ),
            ("=?iso-2022-jp?q?=1B$B$\"?= =?iso-2022-jp?q?abc?=", "あabc"),
            (
                "=?iso-2022-jp?q?=1B$B$\"$?= =?iso-2022-jp?q?$=1B(B!?=",
                "あい!",
            ),
            (
                "=?iso-2022-jp?b?GyRCJCI=?= =?iso-2022-jp?b?GyRCJCQbKEI=?=",
                "あい",
            ),
            (
                "=?ISO-2022-JP?B?GyRCRUU7Uj1x?= =?ISO-2022-JP?B?NEobKEI=?=",
                "電子書簡",
            ),
            ("=?utf-7?q?+ZeU-?= =?utf-7?q?+Zyw-?=", "日本"),
            ("=?utf-16?b?/v9l5Q==?= =?utf-16?b?/v9nLA==?=", "日本"),
            ("=?cp932?B?h0CO85KNgsyMjw==?=", "①受注の件"),
            ("=?_iso-2022-jp$ESC?B?GyRCJCIbKEI=?=", "あ"),
            ("=?ks_c_5601-1987?B?sKE=?= =?EUC-KR?B?sKI=?=", "가각"),
            // Folded within, blanks anywhere.
            (
                "=?utf-8?B?w4RyZ2VybGlj\r\n aCBsYW5nZXIgQmV0cmVmZg==?=",
                "Ärgerlich langer Betreff",
            ),
            (
                "=?utf-8?B?w4RyZ2VybGlj aCBsYW5nZXIgQmV0cmVmZg==?=",
                "Ärgerlich langer Betreff",
            ),
            ("=?utf-8?Q?=C3=9Cbung\r\n um acht?=", "Übung um acht"),
            ("=?utf-8?Q?=C3\r\n =9Cbung?=", "Übung"),
            ("=? utf-8 ?Q? =C3=9C?=", " Ü"),
            ("=?utf-8? q ?=C3=9C?=", "Ü"),
            // Question marks.
            ("=?UTF-8?Q?=C3=9Cbung_um_acht??=", "Übung um acht?"),
            (
                "=?UTF-8?Q?Wann?_Um_acht??= sagt =?UTF-8?Q?sie?=",
                "Wann? Um acht? sagt sie",
            ),
            ("=?UTF-8?Q?Was?=20=C3=9C?=", "Was? Ü"),
            ("=?UTF-8?Q?a?=ab", "aab"),
            ("=?UTF-8?Q???=", "?"),
            ("=?UTF-8?Q??=", ""),
            // Padding, and what follows it.
            ("=?utf-8?B?w4Q?=", "Ä"),
            ("=?utf-8?B?w4Q==?=", "Ä"),
            ("=?utf-8?B?w4Q=w5Y=?=", "ÄÖ"),
            // No blank between.
            ("=?utf-8?q?a?==?utf-8?q?b?=", "ab"),
            ("a=?utf-8?q?b?=c", "abc"),
            ("\"=?utf-8?q?J=C3=B6?=\"", "\"Jö\""),
            ("(=?utf-8?q?J=C3=B6?=)", "(Jö)"),
            // Charsets that are none.
            ("=?unknown-8bit?q?caf=E9?=", "café"),
            ("=?x-unknown?b?5pel?=", "日"),
            ("=?us-ascii?q?=E6=97=A5?=", "日"),
            ("=?ansi_x3.4-1968?q?caf=E9?=", "café"),
            ("=?utf8?q?=C3=9C?= =?UTF-8?q?=C3=9C?=", "ÜÜ"),
            // Words that are none.
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?utf-8?q?a =?utf-8?q?b?=", "=?utf-8?q?a b"),
            ("=?utf-8?b?**?=", "=?utf-8?b?**?="),
            ("=?utf-8?q?caf=C3?=", "caf\u{fffd}"),
            ("=?utf-8?q?caf=?=", "caf="),
            ("=?=?=?", "=?=?=?"),
            ("a =?utf-8?q?b?= c =?utf-8?q?d?=", "a b c d"),
            // Lines.
            (
                "=?utf-8?q?Eve=0D=0ABcc=3A_x=40y.test?=",
                "Eve Bcc: x@y.test",
            ),
            ("=?utf-8?q?a=00=07b=7F?=", "a b"),
            ("=?utf-8?q?=E2=80=A8a=C2=85b?=", "a b"),
            ("=?utf-8?q?=E2=80=AEgpj?=.exe", "gpj.exe"),
            ("a\r\n b\r\n\tc", "a b c"),
        ] {
            assert_eq!(decode_header(value.as_bytes()), text, "{value}");
        }
    }

    #[test]
    fn octets_that_are_in_no_word() {
        for (value, text) in [
            (&b"caf\xe9 =?utf-8?q?=C3=9C?= \xfc"[..], "café Ü ü"),
            (b"\x1b$BHt5S\x1b(B", "飛脚"),
            (b"Re: \x1b$BHt5S\x1b(B =?utf-8?q?=C3=9C?=", "Re: 飛脚 Ü"),
            ("飛脚 =?utf-8?q?=C3=9C?=".as_bytes(), "飛脚 Ü"),
            (
                b"\x82\xa8\x8c\xa9\x90\xcf\x82\xe8\x82\xcc\x8c\x8f",
                "お見積りの件",
            ),
            (b"\x1b[2Jred", "[2Jred"),
            (b"\0a\0", "a"),
        ] {
            assert_eq!(decode_header(value), text, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_one_line(pieces in proptest::collection::vec(0..PIECES.len(), 0..30)) {
            let value: Vec<u8> = pieces.iter().flat_map(|at| PIECES[*at]).copied().collect();
            let text = decode_header(&value);
            prop_assert!(!text.contains(char::is_control), "{:?}", text);
        }
    }

    const PIECES: [&[u8]; 15] = [
        b"=?",
        b"?=",
        b"utf-8",
        b"?q?",
        b"?b?",
        b"=0D",
        b"=0A",
        b" ",
        b"\r\n ",
        b"a",
        b"\xe9",
        b"\x1b$B",
        b"iso-2022-jp",
        b"?",
        b"\0",
    ];
}
