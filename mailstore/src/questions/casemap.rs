//! How text compares: `i;unicode-casemap` (RFC 5051), with the letters of kana kept whole.
//!
//! Each character is mapped to its upper case and decomposed, so that `É`, `é` and `e` with an accent of
//! its own are one, full-width `Ａ` is `A`, and half-width kana are kana. RFC 5051 would decompose `が` to
//! `か` and a mark too; looked for as a part of a text, `か` would then be found in every `が`, which are two
//! letters to whoever reads them. The marks of kana are composed again therefore: which texts are equal
//! is the same, which are part of another is as Japanese has it.

use std::borrow::Cow;
use unicode_normalization::char::{compose, decompose_compatible};

/// Returns the text in the form in which it is compared.
///
/// ```
/// use hikyaku_mailstore::casemap;
/// assert_eq!(casemap("Café"), casemap("CAFE\u{301}"));
/// assert_eq!(casemap("ｶﾞｰﾄﾞ"), casemap("ガード"));
/// assert!(!casemap("が").contains(&*casemap("か")));
/// ```
#[must_use]
pub fn casemap(text: &str) -> Cow<'_, str> {
    if !text
        .bytes()
        .any(|octet| octet.is_ascii_lowercase() || !octet.is_ascii())
    {
        return Cow::Borrowed(text);
    }
    let mut mapped = String::with_capacity(text.len());
    push_casemapped(text, &mut mapped);
    Cow::Owned(mapped)
}

/// Appends the text as it compares; it may be the continuation of what `mapped` ends with.
pub(crate) fn push_casemapped(text: &str, mapped: &mut String) {
    for character in text.chars() {
        match character {
            '\0'..='\x7f' => mapped.push(character.to_ascii_uppercase()),
            // Kana and ideographs have no case, and are whole.
            '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fe}' | '\u{4e00}'..='\u{9fff}' => {
                mapped.push(character);
            }
            _ => decompose_compatible(upper(character), |part| push_part(part, mapped)),
        }
    }
}

/// The upper case where that is one character.
fn upper(character: char) -> char {
    let mut all = character.to_uppercase();
    match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn push_part(part: char, mapped: &mut String) {
    let voiced = matches!(part, '\u{3099}' | '\u{309a}');
    if voiced
        && let Some(whole) = mapped
            .chars()
            .next_back()
            .and_then(|last| compose(last, part))
    {
        mapped.pop();
        mapped.push(whole);
        return;
    }
    // A ligature comes apart to small letters.
    mapped.push(upper(part));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_alike_compares_alike() {
        for (one, other) in [
            ("tea", "TEA"),
            ("NAÏVE", "nai\u{308}ve"),
            ("ﬁn", "FIN"),
            ("ｔｅａ", "tea"),
            ("か\u{3099}", "が"),
            ("ﾊﾟﾝ", "パン"),
            ("Ω", "\u{2126}"),
            ("ПРИВЕТ", "привет"),
            ("K", "\u{212a}"),
        ] {
            assert_eq!(casemap(one), casemap(other), "{one} {other}");
        }
        for (one, other) in [("か", "が"), ("ア", "あ"), ("ß", "ss"), ("茶", "菜")] {
            assert_ne!(casemap(one), casemap(other), "{one} {other}");
        }
        // RFC 5051: accents are characters of their own, and may be left out at the end.
        assert!(casemap("café").contains(&*casemap("cafe")));
    }

    #[test]
    fn pieces_map_as_the_whole() {
        let whole = "ｶﾞか\u{3099}Éx\u{301}";
        for (at, _) in whole.char_indices() {
            let (head, tail) = whole.split_at(at);
            let mut mapped = String::new();
            push_casemapped(head, &mut mapped);
            push_casemapped(tail, &mut mapped);
            assert_eq!(mapped, casemap(whole));
        }
    }
}
