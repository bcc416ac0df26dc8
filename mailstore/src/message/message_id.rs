//! Message IDs (RFC 5322 §3.6.4).

/// Message IDs in a field, quoting removed (RFC 5322 §3.6.4; §3 of RFC 5256 on normalizing).
pub(crate) fn message_ids(field: &[u8]) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    let mut rest = field;
    while let Some(open) = memchr::memchr(b'<', rest) {
        rest = rest.get(open + 1..).unwrap_or(&[]);
        let (mut id, mut quoted, mut octets) = (Vec::new(), false, rest.iter().enumerate());
        let mut end = None;
        while let Some((at, &octet)) = octets.next() {
            match octet {
                b'"' => quoted = !quoted,
                b'\\' if quoted => id.extend(octets.next().map(|(_, octet)| *octet)),
                b'>' if !quoted => {
                    end = Some(at);
                    break;
                }
                b'<' if !quoted => break,
                b' ' | b'\t' if !quoted => {}
                _ => id.push(octet),
            }
        }
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
}
