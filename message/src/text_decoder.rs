//! Text in any charset, decoded as the octets come.

use alloc::string::String;
use alloc::vec::Vec;
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::charset::Charset;
use super::guess::{guess, looks_like_utf_8};
use super::shifted::Shifted;
use super::unicode::{Utf7, Utf32};
use super::web_decoder::decode_web;
use super::{code_page, html_charset};

/// How much of a text is looked at before its charset is guessed, in octets (64 KiB). A longer text whose charset
/// shows only behind that is decoded by what its beginning looks like.
const HEAD: usize = 64 * 1024;

/// Decodes octets to text, in pieces of any size: whatever the pieces, the text is the same. What cannot be decoded
/// becomes U+FFFD. What is said to be in a charset of seven bits and is UTF-8 is decoded as that; a byte order mark says more than a charset's name, and is not in the text.
///
/// Where no charset is named, or none that is known, or `us-ascii` (what says so and has octets above 127 is
/// something else), it is found out, from the first octet on that is not plain ASCII and up to 64 KiB behind it, which
/// are held until then: UTF-8 where it is valid, ISO-2022-JP where its escapes are, else what looks like Japanese,
/// Chinese or Korean, or for the most part like another script, else windows-1252. HTML is decoded by its `meta`
/// element first.
///
/// ```
/// use hikyaku_message::TextDecoder;
/// let mut text = String::new();
/// TextDecoder::new(Some(b"cp932")).decode(b"\x94\xf2\x8b\x72", true, &mut text);
/// assert_eq!(text, "飛脚");
/// ```
#[derive(Debug)]
pub struct TextDecoder(Stage);

#[derive(Debug)]
enum Stage {
    /// The charset has to be found out.
    Head {
        what: Undecided,
        held: Vec<u8>,
        begun: bool,
    },
    Decided(Decoding),
}

/// What is known before the octets are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecided {
    Text,
    Html,
    /// The byte order is not known.
    Utf16,
    Utf32,
    /// Said to be of that charset, which has seven bits: it may be UTF-8 all the same.
    SevenBit(Charset),
}

enum Decoding {
    Web(Decoder),
    Shifted(Shifted),
    Utf7(Utf7),
    Utf32(Utf32),
    Dos(&'static str),
}

impl core::fmt::Debug for Decoding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Web(decoder) => f.write_str(decoder.encoding().name()),
            Self::Shifted(shifted) => shifted.fmt(f),
            Self::Utf7(_) => f.write_str("UTF-7"),
            Self::Utf32(_) => f.write_str("UTF-32"),
            Self::Dos(_) => f.write_str("DOS"),
        }
    }
}

impl TextDecoder {
    /// Creates a decoder of the charset of that name, in any of the spellings that mail has.
    ///
    /// ```
    /// use hikyaku_message::TextDecoder;
    /// let mut text = String::new();
    /// TextDecoder::new(Some(b"iso-2022-jp")).decode(b"\x1b$B$*Cc\x1b(B", true, &mut text);
    /// assert_eq!(text, "お茶");
    /// ```
    #[must_use]
    pub fn new(charset: Option<&[u8]>) -> Self {
        Self::of_kind(charset, Undecided::Text)
    }

    pub(super) fn of_kind(charset: Option<&[u8]>, what: Undecided) -> Self {
        let head = |what| Stage::Head {
            what,
            held: Vec::new(),
            begun: false,
        };
        Self(match charset.and_then(Charset::named) {
            None => head(what),
            Some(Charset::Utf16) => head(Undecided::Utf16),
            Some(Charset::Utf32) => head(Undecided::Utf32),
            Some(
                charset @ (Charset::Iso2022Jp | Charset::Iso2022Kr | Charset::Hz | Charset::Utf7),
            ) => head(Undecided::SevenBit(charset)),
            Some(charset) => Stage::Decided(Decoding::of(charset, true)),
        })
    }

    /// Appends what `octets` decode to; `last` when nothing follows.
    ///
    /// ```
    /// use hikyaku_message::TextDecoder;
    /// let (mut decoder, mut text) = (TextDecoder::new(Some(b"utf-8")), String::new());
    /// // A character may lie across pieces.
    /// decoder.decode(b"\xe8\x8c", false, &mut text);
    /// decoder.decode(b"\xb6", true, &mut text);
    /// assert_eq!(text, "茶");
    /// ```
    pub fn decode(&mut self, mut octets: &[u8], last: bool, text: &mut String) {
        if let Stage::Head { what, held, begun } = &mut self.0 {
            if *what == Undecided::Text && held.is_empty() {
                // What means the same in all of them need not be held. A mark has no such octets.
                let plain = octets.iter().position(|octet| !is_plain(*octet));
                let (plain, rest) = octets.split_at(plain.unwrap_or(octets.len()));
                text.push_str(core::str::from_utf8(plain).unwrap_or_default());
                *begun |= !plain.is_empty();
                octets = rest;
            }
            let room = HEAD - held.len();
            let (taken, rest) = octets.split_at(octets.len().min(room));
            held.extend_from_slice(taken);
            octets = rest;
            if held.len() < HEAD && !last {
                return;
            }
            let held = core::mem::take(held);
            let mut decoding = decided(*what, &held, *begun);
            decoding.decode(&held, false, text);
            self.0 = Stage::Decided(decoding);
        }
        if let Stage::Decided(decoding) = &mut self.0 {
            decoding.decode(octets, last, text);
        }
    }
}

/// Returns whether it stands for itself in every charset that is guessed.
fn is_plain(octet: u8) -> bool {
    (1..0x80).contains(&octet) && octet != 0x1b
}

fn decided(what: Undecided, head: &[u8], begun: bool) -> Decoding {
    let marked = match begun {
        true => None,
        false => by_mark(head),
    };
    if let Some(decoding) = marked {
        return decoding;
    }
    match what {
        Undecided::Utf16 => Decoding::Web(byte_order(head).new_decoder_without_bom_handling()),
        Undecided::Utf32 => Decoding::Utf32(Utf32::new(looks_little_endian(head, 4))),
        Undecided::SevenBit(charset) => {
            let is_utf_8 = looks_like_utf_8(head) && !head.contains(&0x1b);
            let charset = if is_utf_8 {
                Charset::Web(UTF_8)
            } else {
                charset
            };
            Decoding::of(charset, true)
        }
        Undecided::Html => {
            let charset = html_charset::declared(head);
            Decoding::of(charset.unwrap_or_else(|| guess(head)), true)
        }
        // A mark stands at the begin only.
        Undecided::Text => Decoding::of(guess(head), !begun),
    }
}

/// A byte order mark says it all.
fn by_mark(head: &[u8]) -> Option<Decoding> {
    if head.starts_with(b"\xff\xfe\0\0") || head.starts_with(b"\0\0\xfe\xff") {
        return Some(Decoding::Utf32(Utf32::new(head.first() == Some(&0xff))));
    }
    Encoding::for_bom(head).map(|(encoding, _)| Decoding::Web(encoding.new_decoder()))
}

/// Of UTF-16 without a mark: the network's (RFC 2781 §4.3), unless Latin text is seen in the other.
fn byte_order(head: &[u8]) -> &'static Encoding {
    match looks_little_endian(head, 2) {
        true => UTF_16LE,
        false => UTF_16BE,
    }
}

fn looks_little_endian(head: &[u8], width: usize) -> bool {
    let zeros_at = |place: usize| {
        head.iter()
            .skip(place)
            .step_by(width)
            .filter(|o| **o == 0)
            .count()
    };
    zeros_at(width - 1) > zeros_at(0)
}

impl Decoding {
    fn of(charset: Charset, with_mark: bool) -> Self {
        match charset {
            Charset::Web(encoding) if with_mark => Self::Web(encoding.new_decoder()),
            Charset::Web(encoding) => Self::Web(encoding.new_decoder_without_bom_handling()),
            Charset::Iso2022Jp | Charset::Iso2022Kr | Charset::Hz => {
                Self::Shifted(Shifted::new(charset))
            }
            Charset::Utf7 => Self::Utf7(Utf7::default()),
            Charset::Utf16 => Self::Web(UTF_16BE.new_decoder()),
            Charset::Utf32 => Self::Utf32(Utf32::new(false)),
            Charset::Utf32Le => Self::Utf32(Utf32::new(true)),
            Charset::Dos(upper_half) => Self::Dos(upper_half),
        }
    }

    fn decode(&mut self, octets: &[u8], last: bool, text: &mut String) {
        match self {
            Self::Web(decoder) => decode_web(decoder, octets, last, text),
            Self::Shifted(shifted) => shifted.decode(octets, last, text),
            Self::Utf7(utf7) => utf7.decode(octets, last, text),
            Self::Utf32(utf32) => utf32.decode(octets, last, text),
            Self::Dos(upper_half) => code_page::decode(upper_half, octets, text),
        }
    }
}

/// What octets that are all there decode to.
pub(super) fn decoded(charset: Option<Charset>, octets: &[u8]) -> String {
    let mut text = String::new();
    match charset {
        Some(Charset::Utf16) => TextDecoder::new(Some(b"utf-16")).decode(octets, true, &mut text),
        Some(Charset::Utf32) => TextDecoder::new(Some(b"utf-32")).decode(octets, true, &mut text),
        Some(charset) => Decoding::of(charset, true).decode(octets, true, &mut text),
        None => TextDecoder::new(None).decode(octets, true, &mut text),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Structure;
    use alloc::format;
    use proptest::prelude::*;

    fn decoded_in(charset: Option<&str>, octets: &[u8], step: usize) -> String {
        let mut decoder = TextDecoder::new(charset.map(str::as_bytes));
        let mut text = String::new();
        for piece in octets.chunks(step) {
            decoder.decode(piece, false, &mut text);
        }
        decoder.decode(b"", true, &mut text);
        text
    }

    #[test]
    fn named_charsets_in_any_pieces() {
        for (charset, octets, text) in [
            ("cp932", &b"\x8c\xa9\x90\xcf\x8f\x91\x87\x40"[..], "見積書①"),
            ("x-sjis", b"\xb1\xb2\x5c", "ｱｲ\\"),
            ("ms949", b"\xb0\xa1\xb0\xa2", "가각"),
            ("cp936", b"\xc4\xe3\xba\xc3", "你好"),
            ("cp950", b"\xa7\x41\xa6\x6e", "你好"),
            (
                "iso-2022-jp",
                b"\x1b$B$\x22$$\x1b(B!\x1b$B$&\x1b(B",
                "あい!う",
            ),
            // Each of these breaks what the web does with it.
            (
                "iso-2022-jp",
                b"\x1b$B\x1b(B\x1b$B$\x22\x1b(B\x1b$B$$\x1b(B",
                "あい",
            ),
            ("iso-2022-jp-ms", b"\x1b$B-!\x1b(B \x1b(I12\x1b(B", "① ｱｲ"),
            ("cp50222", b"a\x0e12\x0fb", "aｱｲb"),
            ("cp50221", b"\xb1\xb2 \x1b$B$\x22\x1b(B", "ｱｲ あ"),
            ("_iso-2022-jp$ESC", b"\x1b$B$\x22\r\nplain", "あ\r\nplain"),
            ("iso-2022-jp", b"\x1b(J\\100~\x1b(B\\", "¥100\u{203e}\\"),
            ("iso-2022-jp-1", b"\x1b$(D0!\x1b(B", "丂"),
            ("iso-2022-jp", b"\x1b$B$\x22$\x1b(B!", "あ\u{fffd}!"),
            ("iso-2022-kr", b"\x1b$)C\x0e0!0\x22\x0f ok", "가각 ok"),
            ("hz-gb-2312", b"~~ ~{Dc:C~} ok ~\nx", "~ 你好 ok x"),
            ("utf-7", b"Hi +ZeVnLIqe- +- A+ImIDkQ.", "Hi 日本語 + A≢Α."),
            ("utf-7", b"+2D3cqQ-! +", "\u{1f4a9}! "),
            ("utf-16", b"\xff\xfeR\0\xe9\0", "Ré"),
            ("utf-16", b"\xfe\xff\0R\0\xe9", "Ré"),
            ("utf-16", b"\0R\0\xe9", "Ré"),
            ("utf-16", b"R\0\xe9\0", "Ré"),
            ("utf-16le", b"\xff\xfeR\0", "R"),
            ("utf-16be", b"\xd8\x3d\xdc\xa9", "\u{1f4a9}"),
            ("utf-32", b"\xff\xfe\0\0R\0\0\0", "R"),
            ("utf-32", b"\0\0\0R\0\0\xfe\xff", "R\u{feff}"),
            ("utf-32le", b"R\0\0\0\0", "R\u{fffd}"),
            ("utf-8", b"\xef\xbb\xbfa\xff", "a\u{fffd}"),
            ("iso-2022-jp", "日本語".as_bytes(), "日本語"),
            ("cp850", b"Gr\x94\xe1te", "Größte"),
            ("IBM437", b"\x81", "ü"),
            ("8859-1", b"caf\xe9", "café"),
            ("latin2", b"\xb1", "ą"),
            ("cp1251", b"\xe4\xe0", "да"),
        ] {
            for step in 1..=octets.len() {
                assert_eq!(
                    decoded_in(Some(charset), octets, step),
                    text,
                    "{charset} by {step}"
                );
            }
        }
    }

    #[test]
    fn charsets_that_are_not_named_in_any_pieces() {
        let long = format!("{}日本", "日".repeat(HEAD));
        for (octets, text) in [
            (&b""[..], ""),
            (b"plain", "plain"),
            ("prix: 5 €".as_bytes(), "prix: 5 €"),
            (
                b"Rendez-vous \xe0 l'\xe9t\xe9 prochain",
                "Rendez-vous à l'été prochain",
            ),
            (b"caf\xe9", "café"),
            (b"\xdcbung", "Übung"),
            (b"\x93quoted\x94 \x96 5 \x80", "“quoted” – 5 €"),
            (b"Gr\xfc\xdfe aus K\xf6ln", "Grüße aus Köln"),
            (b"to \x1b$B$\x22$$\x1b(B!", "to あい!"),
            (b"\xff\xfea\0", "a"),
            (b"\xef\xbb\xbfa", "a"),
            (b"a\xff\xfeb", "aÿþb"),
            (long.as_bytes(), &long),
        ] {
            for step in (1..=octets.len().clamp(1, 9)).chain([octets.len().max(1)]) {
                assert_eq!(decoded_in(None, octets, step), text, "{octets:?} by {step}");
                let ascii = decoded_in(Some("us-ascii"), octets, step);
                assert_eq!(ascii, text);
                if octets.len() > 1000 && step > 2 {
                    break;
                }
            }
        }
    }

    #[test]
    fn japanese_and_chinese_are_guessed() {
        let japanese = "本日の会議は午後三時から始まります。よろしくお願いします。";
        let chinese = "今天下午三点开会，请大家准时参加。谢谢大家的支持。";
        let traditional = "今天下午三點開會，請大家準時參加。謝謝大家的支持。";
        let korean = "오늘 오후 세 시에 회의가 있습니다. 감사합니다.";
        for (encoding, text) in [
            (encoding_rs::SHIFT_JIS, japanese),
            (encoding_rs::EUC_JP, japanese),
            (encoding_rs::ISO_2022_JP, japanese),
            (encoding_rs::SHIFT_JIS, "お見積りの件"),
            (encoding_rs::EUC_JP, "お見積りの件について"),
            (encoding_rs::GBK, chinese),
            (encoding_rs::BIG5, traditional),
            (encoding_rs::EUC_KR, korean),
            (
                encoding_rs::WINDOWS_1251,
                "Здравствуйте, встреча сегодня в три часа дня.",
            ),
            (
                encoding_rs::KOI8_R,
                "Здравствуйте, встреча сегодня в три часа дня.",
            ),
        ] {
            let (octets, ..) = encoding.encode(text);
            assert_eq!(decoded_in(None, &octets, 7), text, "{}", encoding.name());
        }
    }

    #[test]
    fn html_says_it_itself() {
        for (head, octets, text) in [
            ("", &b"<html><head><meta http-equiv=\"Content-Type\" content=\"text/html; charset=iso-8859-2\">\xb1"[..], "ą"),
            ("; charset=us-ascii", b"<META CHARSET='shift_jis'>\x94\xf2", "飛"),
            ("", b"<?xml version='1.0' encoding='koi8-r'?><p>\xc1", "а"),
            ("", b"<!-- <meta charset=koi8-r> --><meta charset=utf-8>\xc3\xa9", "é"),
            ("; charset=utf-8", b"<meta charset=iso-8859-1>\xc3\xa9", "é"),
            ("", b"<p>\xe9", "é"),
            ("", b"<meta name=x content=y><meta charset=iso-2022-jp>\x1b$B$\x22\x1b(B", "あ"),
        ] {
            let message = format!("Content-Type: text/html{head}\r\n\r\n");
            let structure = Structure::of(message.as_bytes());
            let mut decoder = TextDecoder::of(&structure.root().content);
            let mut all = String::new();
            for piece in octets.chunks(5) {
                decoder.decode(piece, false, &mut all);
            }
            decoder.decode(b"", true, &mut all);
            assert!(all.ends_with(text), "{all}");
        }
    }

    proptest! {
        #[test]
        fn any_pieces_give_the_same_text(
            octets in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0x1b), Just(b'$'), Just(b'B'), Just(b'('), Just(b'~'), Just(b'+')], 0..60),
            step in 1_usize..9,
            name in prop_oneof![
                Just(None), Just(Some("iso-2022-jp")), Just(Some("iso-2022-kr")), Just(Some("hz")), Just(Some("utf-7")),
                Just(Some("utf-16")), Just(Some("utf-32")), Just(Some("cp932")), Just(Some("utf-8"))
            ],
        ) {
            prop_assert_eq!(decoded_in(name, &octets, step), decoded_in(name, &octets, octets.len().max(1)));
        }
    }
}
