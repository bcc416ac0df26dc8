//! The charset of text that does not say it.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, SHIFT_JIS, UTF_8, WINDOWS_1252};

use super::charset::Charset;

/// How many letters of a script other than Latin make a text of that script: fewer may be chance.
const LETTERS: usize = 8;

/// A text of fewer octets counts as whole.
const LONG: usize = 1000;

/// The charset that those octets most likely are in. What begins a text is enough: a character of UTF-8 that is cut
/// off at its end does not count against it.
pub(super) fn guess(octets: &[u8]) -> Charset {
    let eight_bit = octets.iter().any(|octet| *octet >= 0x80);
    if !eight_bit {
        return match octets.contains(&0x1b) {
            true => by_escapes(octets),
            false => Charset::Web(UTF_8),
        };
    }
    if looks_like_utf_8(octets) {
        return Charset::Web(UTF_8);
    }
    if let Some(encoding) = super::common::guess(octets) {
        return Charset::Web(encoding);
    }
    if let Some(encoding) = by_kana(octets) {
        return Charset::Web(encoding);
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    // A long text may be the beginning of one, cut off within a character.
    detector.feed(octets, octets.len() < LONG);
    let guessed = detector.guess(None, Utf8Detection::Deny);
    Charset::Web(match is_credible(guessed, octets) {
        true => guessed,
        false => WINDOWS_1252,
    })
}

/// The charset of Japan in which it is whole and has hiragana all over: lines of symbols mislead who counts octets alone.
fn by_kana(octets: &[u8]) -> Option<&'static Encoding> {
    [EUC_JP, SHIFT_JIS].into_iter().find(|encoding| {
        let (text, _) = encoding.decode_without_bom_handling(octets);
        let text = text
            .strip_suffix(char::REPLACEMENT_CHARACTER)
            .unwrap_or(&text);
        let hiragana = text.chars().filter(|c| matches!(c, 'ぁ'..='ん')).count();
        let wide = text.chars().filter(|c| is_east_asian(*c)).count();
        hiragana >= 3 && hiragana * 5 >= wide && !text.contains(char::REPLACEMENT_CHARACTER)
    })
}

/// ISO-2022-JP or ISO-2022-KR, where an escape of theirs is in it.
fn by_escapes(octets: &[u8]) -> Charset {
    let has = |escape: &[u8]| memchr::memmem::find(octets, escape).is_some();
    match () {
        () if has(b"\x1b$)C") => Charset::Iso2022Kr,
        () if [&b"\x1b$B"[..], b"\x1b$@", b"\x1b(J", b"\x1b(I", b"\x1b$("]
            .into_iter()
            .any(has) =>
        {
            Charset::Iso2022Jp
        }
        () => Charset::Web(UTF_8),
    }
}

/// Whether it is UTF-8, a few damaged characters among many whole ones aside.
pub(super) fn looks_like_utf_8(octets: &[u8]) -> bool {
    let (mut whole, mut damaged) = (0_usize, 0_usize);
    let mut chunks = octets.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        let continued = chunk.valid().bytes().filter(|octet| *octet >= 0xc0);
        whole += continued.count();
        let invalid = chunk.invalid();
        let cut = chunks.peek().is_none()
            && core::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        damaged += usize::from(!invalid.is_empty() && !cut);
    }
    whole > 0 && damaged <= whole / 32
}

/// Returns whether a guess is likelier than what most mail of that sort is: the charset of Western Europe.
fn is_credible(guessed: &'static Encoding, octets: &[u8]) -> bool {
    if guessed == WINDOWS_1252 {
        return false;
    }
    let (text, _) = guessed.decode_without_bom_handling(octets);
    let others = text.chars().filter(|c| !c.is_ascii());
    if [SHIFT_JIS, EUC_JP, GBK, GB18030, BIG5, EUC_KR].contains(&guessed) {
        // Two characters at least: one may be two letters with accents. What is cut off at the end, and a little damage,
        // does not count.
        let wide = others.clone().filter(|c| is_east_asian(*c)).count();
        let text = text
            .strip_suffix(char::REPLACEMENT_CHARACTER)
            .unwrap_or(&text);
        let odd = text
            .chars()
            .filter(|c| matches!(c, '\u{fffd}' | '\u{e000}'..='\u{f8ff}'));
        return wide >= 2 && odd.count() * 20 <= wide;
    }
    let foreign = others.filter(|c| c.is_alphabetic() && is_beyond_latin(*c));
    let foreign = foreign.count();
    let latin = text
        .chars()
        .filter(|c| c.is_alphabetic() && !is_beyond_latin(*c));
    foreign >= LETTERS && foreign > latin.count()
}

fn is_east_asian(c: char) -> bool {
    matches!(
        c,
        '\u{3000}'..='\u{30ff}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{ff01}'..='\u{ff9f}'
    )
}

/// Greek and what comes behind it in Unicode.
fn is_beyond_latin(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{1cff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_of_western_europe_stay_what_they_are() {
        for text in [
            "é",
            "Ärger",
            "Übung",
            "Grüße",
            "naïve café",
            "£100",
            "½ kg",
            "Señor Muñoz",
            "à l'été",
            "Ñandú",
            "Müller & Söhne",
            "Åse Ødegård",
            "São João",
            "ÄÖÜ äöü ß",
            "“hi”",
            "5 € – 10 €",
            "Fußgängerübergänge",
            "Þórður Guðmundsson",
            "Crème brûlée à la façon d'Hélène",
            "RÉSUMÉ",
            "DÉJÀ VU",
            "ÉÈÀÇ",
            "¿Qué? ¡Sí!",
            "Öåäö",
            "FRÜHLINGSGRÜSSE AUS MÜNCHEN",
        ] {
            let (octets, ..) = WINDOWS_1252.encode(text);
            let guessed = guess(&octets);
            assert_eq!(guessed, Charset::Web(WINDOWS_1252), "{text}");
        }
    }

    #[test]
    fn text_with_symbols_is_japanese_all_the_same() {
        let text = "━━━━━━━━━━━━━━━━\r\n★☆ 春の新作 ☆★\r\n━━━━━━━━━━━━━━━━\r\n→ 詳しくはこちらをご覧ください。";
        for encoding in [SHIFT_JIS, EUC_JP] {
            assert_eq!(guess(&encoding.encode(text).0), Charset::Web(encoding));
            let long = text.repeat(10);
            let (octets, ..) = encoding.encode(&long);
            let cut = octets.get(..octets.len() - 1).unwrap();
            assert_eq!(guess(cut), Charset::Web(encoding), "cut");
        }
    }

    #[test]
    fn a_damaged_character_does_not_make_it_another_charset() {
        let mut text = "日本語の文章です。".repeat(10).into_bytes();
        text.extend(b"\xff end");
        assert_eq!(guess(&text), Charset::Web(UTF_8));
        assert_eq!(guess(b"caf\xe9"), Charset::Web(WINDOWS_1252));
        assert_eq!(
            guess("日本".as_bytes().get(..5).unwrap()),
            Charset::Web(UTF_8)
        );
        assert_eq!(guess(b"\x1b[31mred"), Charset::Web(UTF_8));
    }
}
