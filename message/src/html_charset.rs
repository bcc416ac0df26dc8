//! The charset that HTML names in itself.

use encoding_rs::{UTF_16BE, UTF_16LE};

use super::charset::Charset;

/// In how many octets the attributes of an element are looked for.
const ELEMENT: usize = 1024;

/// The charset of the first `meta` element, or of an XML declaration, that names one which is known.
pub(super) fn declared(html: &[u8]) -> Option<Charset> {
    let mut rest = html;
    while let Some(open) = memchr::memchr(b'<', rest) {
        let element = rest.get(open + 1..).unwrap_or(&[]);
        if let Some(comment) = element.strip_prefix(b"!--") {
            let end = memchr::memmem::find(comment, b"-->")?;
            rest = comment.get(end..).unwrap_or(&[]);
            continue;
        }
        let head = element.get(..element.len().min(ELEMENT)).unwrap_or(&[]);
        let end = memchr::memchr2(b'>', b'<', head).unwrap_or(head.len());
        let (inside, _) = element.split_at(end);
        let starts = |name: &[u8]| {
            let head = inside.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name))
        };
        let named = match () {
            () if starts(b"meta") => value(inside, b"charset"),
            () if starts(b"?xml") => value(inside, b"encoding"),
            () => None,
        };
        let charset = named.and_then(Charset::named);
        if let Some(charset) = charset.filter(|charset| !is_wide(*charset)) {
            return Some(charset);
        }
        rest = element;
    }
    None
}

/// Returns whether an element in it could not have been read as it was.
fn is_wide(charset: Charset) -> bool {
    match charset {
        Charset::Utf16 | Charset::Utf32 | Charset::Utf32Le => true,
        Charset::Web(encoding) => encoding == UTF_16LE || encoding == UTF_16BE,
        _ => false,
    }
}

/// What stands behind `name=`.
fn value<'a>(inside: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = inside;
    loop {
        let at = rest
            .windows(name.len())
            .position(|window| window.eq_ignore_ascii_case(name))?;
        rest = rest.get(at + name.len()..)?;
        let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") else {
            continue;
        };
        let value = value.trim_ascii_start();
        let value = match value.first() {
            Some(b'"' | b'\'') => value.get(1..)?,
            _ => value,
        };
        let end = value
            .iter()
            .position(|octet| octet.is_ascii_whitespace() || b"\"';/>".contains(octet));
        return value.get(..end.unwrap_or(value.len()));
    }
}
