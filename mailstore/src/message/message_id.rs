//! Message IDs (RFC 5322 §3.6.4).

/// Message IDs in a field, quoting removed (RFC 5322 §3.6.4; §3 of RFC 5256 on normalizing).
pub(crate) fn message_ids(field: &[u8]) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
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
        if memchr::memchr(b'@', &id).is_some_and(|at| at > 0 && at + 1 < id.len()) {
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
    }

    #[test]
    fn a_quote_that_does_not_end_hides_nothing_and_is_walked_once() {
        assert_eq!(message_ids(b"<\"a <b@c> <d@e>"), [&b"b@c"[..], b"d@e"]);
        let hostile = b"<\"\\\"".repeat(300_000);
        assert!(message_ids(&hostile).is_empty());
    }
}
