//! Message IDs (RFC 5322 §3.6.4).

use alloc::vec::Vec;

/// Returns the message IDs in a field, quoting removed (RFC 5322 §3.6.4; §3 of RFC 5256 on normalizing). Those of a
/// field that has no angle brackets are its words.
///
/// ```
/// use hikyaku_message::message_ids;
/// let ids = message_ids(b"<1@example.org> (first) <2@example.org>");
/// assert_eq!(ids, [b"1@example.org".to_vec(), b"2@example.org".to_vec()]);
/// ```
pub fn message_ids(field: &[u8]) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    let is_id = |id: &[u8]| memchr::memchr(b'@', id).is_some_and(|at| at > 0 && at + 1 < id.len());
    if memchr::memchr(b'<', field).is_none() {
        // Some write them without angle brackets.
        let words = field.split(|octet| octet.is_ascii_whitespace() || *octet == b',');
        return words
            .filter(|word| is_id(word))
            .map(<[u8]>::to_vec)
            .collect();
    }
    let (mut rest, mut quotes) = (field, true);
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = rest.get(open + 1..).unwrap_or(&[]);
        let (mut id, mut quoted, mut octets) = (Vec::new(), false, rest.iter().enumerate());
        let (mut end, mut whole) = (None, true);
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'"' => quoted = quotes && !quoted,
                b'\\' if quoted => id.extend(octets.next().map(|(_, octet)| *octet)),
                b'>' if !quoted => {
                    (end, whole) = (Some(at), false);
                    break;
                }
                b'<' if !quoted => {
                    whole = false;
                    break;
                }
                b' ' | b'\t' if !quoted => {}
                _ => id.push(octet),
            }
        }
        // A quote that does not end would be walked anew from each `<` in it: such quotes are none.
        quotes &= !whole;
        let Some(end) = end else { continue };
        rest = rest.get(end + 1..).unwrap_or(&[]);
        if is_id(&id) {
            ids.push(id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_are_normalized() {
        let ids = message_ids(b"<a@b> junk <\"c\\\"d\"@e> <bad> <<f@g>");
        assert_eq!(ids, [&b"a@b"[..], b"c\"d@e", b"f@g"]);
        for (field, ids) in [
            (
                "1588999900449-1041#7@remote.lan",
                &["1588999900449-1041#7@remote.lan"][..],
            ),
            ("a@b  c@d,\te@f", &["a@b", "c@d", "e@f"]),
            ("your message of Tuesday", &[]),
            ("<a@b> c@d", &["a@b"]),
            ("@ a@ @b", &[]),
        ] {
            let read = message_ids(field.as_bytes());
            assert_eq!(
                read,
                ids.iter().map(|id| id.as_bytes()).collect::<Vec<_>>(),
                "{field}"
            );
        }
    }

    #[test]
    fn a_quote_that_does_not_end_hides_nothing_and_is_walked_once() {
        assert_eq!(message_ids(b"<\"a <b@c> <d@e>"), [&b"b@c"[..], b"d@e"]);
        let hostile = b"<\"\\\"".repeat(300_000);
        assert!(message_ids(&hostile).is_empty());
    }
}
