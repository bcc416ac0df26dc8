//! Header fields that a filter adds (RFC 5322 §2.2).

use bytes::Bytes;

/// Octets of a name that are believed.
const NAME: usize = 200;

/// Writes a field, CRLF included. `None` where the name is none (§2.2: printable, without a colon).
///
/// Whatever ends a line in the value is CRLF afterwards, and what follows it begins with white space (§2.2.3): a
/// value cannot end the header section or begin another field. NUL is left out, and so are lines of nothing but blanks (§3.2.2).
pub(crate) fn field(name: &[u8], value: &[u8], blank: bool) -> Option<Bytes> {
    let is_name = |octet: &u8| matches!(octet, b'!'..=b'~') && *octet != b':';
    if name.is_empty() || name.len() > NAME || !name.iter().all(is_name) {
        return None;
    }
    let mut field = Vec::with_capacity(name.len() + value.len() + 8);
    field.extend_from_slice(name);
    field.push(b':');
    if blank {
        field.push(b' ');
    }
    let lines = value.split(|octet| matches!(octet, b'\n' | b'\r'));
    for (nth, line) in lines.enumerate() {
        if nth > 0 && line.trim_ascii().is_empty() {
            continue;
        }
        if nth > 0 {
            field.extend_from_slice(b"\r\n");
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                field.push(b'\t');
            }
        }
        field.extend(line.iter().filter(|octet| **octet != 0));
    }
    field.extend_from_slice(b"\r\n");
    Some(field.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_within_its_field() {
        let written = |value: &str| field(b"X", value.as_bytes(), true).unwrap();
        assert_eq!(written("a"), "X: a\r\n");
        assert_eq!(written("a\n\tb"), "X: a\r\n\tb\r\n");
        assert_eq!(written("a\r\n b\r\n"), "X: a\r\n b\r\n");
        assert_eq!(written("a\r\n\r\nbody"), "X: a\r\n\tbody\r\n");
        assert_eq!(written("a\nTo: b\r\rc\0d"), "X: a\r\n\tTo: b\r\n\tcd\r\n");
        assert_eq!(written("a\n \t\n b"), "X: a\r\n b\r\n");
        assert_eq!(field(b"X", b"a", false).unwrap(), "X:a\r\n");
        for name in ["", "a b", "a:", "a\n", "\u{e9}", &"x".repeat(NAME + 1)] {
            assert_eq!(field(name.as_bytes(), b"a", true), None, "{name}");
        }
    }
}
