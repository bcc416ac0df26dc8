//! Encoded words in header fields (RFC 2047).

use base64::Engine as _;

/// Decodes a header field's value to text: encoded words by their charset, other octets as UTF-8
/// where they are, as windows-1252 where they are not. Nothing fails; what is odd stays as it is.
///
/// ```
/// use hikyaku_mailstore::message::decode_header;
/// assert_eq!(decode_header(b"=?iso-2022-jp?B?GyRCSHQ1UxsoQg==?= !"), "飛脚 !");
/// ```
#[must_use]
pub fn decode_header(value: &[u8]) -> String {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    // Adjacent words in one charset may split a character between them.
    let mut open: Option<(Vec<u8>, &'static encoding_rs::Encoding)> = None;
    while let Some(at) = memchr::memmem::find(rest, b"=?") {
        let (before, from) = rest.split_at(at);
        let Some((charset, octets, length)) = encoded_word(from) else {
            flush(&mut open, &mut text);
            push(&mut text, before);
            text.push_str("=?");
            rest = from.get(2..).unwrap_or(&[]);
            continue;
        };
        let between = before.trim_ascii().is_empty() && open.is_some();
        if !between {
            flush(&mut open, &mut text);
            push(&mut text, before);
        }
        match &mut open {
            Some((gathered, same)) if *same == charset => gathered.extend(octets),
            _ => {
                flush(&mut open, &mut text);
                open = Some((octets, charset));
            }
        }
        rest = from.get(length..).unwrap_or(&[]);
    }
    flush(&mut open, &mut text);
    push(&mut text, rest);
    text
}

fn flush(open: &mut Option<(Vec<u8>, &'static encoding_rs::Encoding)>, text: &mut String) {
    if let Some((octets, charset)) = open.take() {
        text.push_str(&charset.decode_without_bom_handling(&octets).0);
    }
}

fn push(text: &mut String, octets: &[u8]) {
    match std::str::from_utf8(octets) {
        Ok(utf8) => text.push_str(utf8),
        Err(_) => text.push_str(&encoding_rs::WINDOWS_1252.decode(octets).0),
    }
}

/// `=?charset*lang?e?text?=` at the start of `from`: the charset, the octets, its length.
fn encoded_word(from: &[u8]) -> Option<(&'static encoding_rs::Encoding, Vec<u8>, usize)> {
    let end = |s: &[u8]| memchr::memchr(b'?', s.get(..s.len().min(1000))?);
    let inside = from.get(2..)?;
    let charset_end = end(inside)?;
    let charset = inside.get(..charset_end)?.split(|&o| o == b'*').next()?;
    let charset = encoding_rs::Encoding::for_label(charset)?;
    let &[kind, b'?', ref text @ ..] = inside.get(charset_end + 1..)? else {
        return None;
    };
    let length = end(text)?;
    let octets = text.get(..length)?;
    if text.get(length + 1) != Some(&b'=') {
        return None;
    }
    let octets = match kind {
        b'B' | b'b' => BASE64.decode(octets).ok()?,
        b'Q' | b'q' => q(octets),
        _ => return None,
    };
    Some((charset, octets, 2 + charset_end + 3 + length + 2))
}

const BASE64: base64::engine::GeneralPurpose = base64::engine::GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    base64::engine::GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

fn q(text: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'_' => octets.push(b' '),
            b'=' => match tail.get(..2).and_then(super::transfer::hex) {
                Some(octet) => {
                    octets.push(octet);
                    rest = tail.get(2..).unwrap_or(&[]);
                }
                None => octets.push(b'='),
            },
            _ => octets.push(first),
        }
    }
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
