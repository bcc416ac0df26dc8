//! A message within a message, as RFC 2046 §5.2.1 wants it: in 7bit or 8bit, so that whoever has it can look into it.

use base64::Engine as _;
use hikyaku_message::{Kind, Part, Structure, fields};

/// The longest line that SMTP transports, without its end (RFC 5321 §4.5.3.1.6).
const LINE: usize = 998;

/// A message that can be carried as a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Carried {
    pub(crate) octets: Vec<u8>,
    /// Its transfer encoding.
    pub(crate) encoding: &'static str,
}

/// Makes a message fit to be carried: line ends are CRLF, and bodies with lines that are too long or with NUL are encoded in
/// Base64. `None` where that is not enough, for a header field's sake.
pub(crate) fn carried(message: &[u8]) -> Option<Carried> {
    let mut octets = with_crlf(bare(message));
    if !fits(&octets) {
        octets = encoded(&octets);
    }
    let encoding = if octets.is_ascii() { "7bit" } else { "8bit" };
    fits(&octets).then_some(Carried { octets, encoding })
}

/// Without what editors and mbox files put before a message.
fn bare(message: &[u8]) -> &[u8] {
    let message = message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message);
    match message.starts_with(b"From ") {
        true => {
            let end = message.iter().position(|octet| *octet == b'\n');
            end.and_then(|end| message.get(end + 1..))
                .unwrap_or(message)
        }
        false => message,
    }
}

fn fits(octets: &[u8]) -> bool {
    let mut lines = octets.split(|octet| *octet == b'\n');
    !octets.contains(&0) && lines.all(|line| line.len() <= LINE + 1)
}

fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(message.len() + message.len() / 32);
    let mut rest = message.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        match octet {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                octets.extend(b"\r\n");
            }
            b'\n' => octets.extend(b"\r\n"),
            octet => octets.push(octet),
        }
    }
    octets
}

/// With those parts in Base64 that do not fit as they are.
fn encoded(message: &[u8]) -> Vec<u8> {
    let structure = Structure::of(message);
    let mut octets = Vec::with_capacity(message.len());
    let mut done = 0;
    for (index, part) in structure.parts().iter().enumerate() {
        let body = Structure::slice(message, &part.body);
        let Ok(begin) = usize::try_from(part.header.start) else {
            continue;
        };
        // Messages and multiparts are not encoded (RFC 2045 §6.4).
        let may_be = part.kind == Kind::Leaf
            && !part.content.is("message", "*")
            && !part.content.is("multipart", "*");
        if !may_be || fits(body) || begin < done {
            continue;
        }
        octets.extend_from_slice(message.get(done..begin).unwrap_or(&[]));
        header(message, part, index == 0, &mut octets);
        base64(&part.octets(message), &mut octets);
        done = usize::try_from(part.body.end).unwrap_or(message.len());
    }
    octets.extend_from_slice(message.get(done..).unwrap_or(&[]));
    octets
}

/// The header section of a part, saying Base64.
fn header(message: &[u8], part: &Part, is_root: bool, octets: &mut Vec<u8>) {
    let mut versioned = false;
    for (name, _, field) in fields(Structure::slice(message, &part.header)) {
        versioned |= name.eq_ignore_ascii_case(b"mime-version");
        if !name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            octets.extend_from_slice(field);
        }
    }
    if is_root && !versioned {
        octets.extend(b"MIME-Version: 1.0\r\n");
    }
    octets.extend(b"Content-Transfer-Encoding: base64\r\n\r\n");
}

/// In lines of 76 characters (RFC 2045 §6.8).
fn base64(plain: &[u8], octets: &mut Vec<u8>) {
    let text = base64::engine::general_purpose::STANDARD.encode(plain);
    for (at, line) in text.as_bytes().chunks(76).enumerate() {
        if at > 0 {
            octets.extend(b"\r\n");
        }
        octets.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_carried_as_it_is() {
        for (message, octets, encoding) in [
            (
                &b"Subject: a\r\n\r\nb\r\n"[..],
                &b"Subject: a\r\n\r\nb\r\n"[..],
                "7bit",
            ),
            (
                b"Subject: a\n\nb\rc\n",
                b"Subject: a\r\n\r\nb\r\nc\r\n",
                "7bit",
            ),
            (
                b"From a Mon Mar 2\nSubject: a\n\nb",
                b"Subject: a\r\n\r\nb",
                "7bit",
            ),
            (
                "Subject: ä\r\n\r\nb".as_bytes(),
                "Subject: ä\r\n\r\nb".as_bytes(),
                "8bit",
            ),
        ] {
            let carried = carried(message).unwrap();
            assert_eq!((&*carried.octets, carried.encoding), (octets, encoding));
        }
    }

    #[test]
    fn long_lines_and_zeros_are_encoded_where_they_are() {
        let long = "x".repeat(2000);
        let message = format!(
            "Subject: a\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nshort\r\n--q\r\nContent-Type: text/html; \
             charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{long}ä\r\n--q\r\nContent-Type: message/rfc822\r\n\r\n\
             Subject: b\r\n\r\n\0\r\n--q--\r\n"
        );
        let carried = carried(message.as_bytes()).unwrap();
        assert_eq!(carried.encoding, "7bit");
        let (before, after) = (
            Structure::of(message.as_bytes()),
            Structure::of(&carried.octets),
        );
        assert_eq!(before.parts().len(), after.parts().len());
        let texts = |structure: &Structure, octets: &[u8]| -> Vec<String> {
            let leaves = structure
                .parts()
                .iter()
                .filter(|part| part.kind == Kind::Leaf);
            leaves.map(|part| part.text(octets)).collect()
        };
        assert_eq!(
            texts(&before, message.as_bytes()),
            texts(&after, &carried.octets)
        );
        let alone = format!("Subject: a\r\n\r\n{long}\r\n");
        let carried = super::carried(alone.as_bytes()).unwrap();
        assert!(carried.octets.starts_with(
            b"Subject: a\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\neHh4"
        ));
        assert_eq!(
            super::carried(format!("Subject: {long}\r\n\r\n").as_bytes()),
            None
        );
    }
}
