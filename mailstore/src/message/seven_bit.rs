//! Messages with octets over 127, made fit for servers without 8BITMIME (RFC 6152 §3): each part that has some
//! is encoded, nothing else changes.
//!
//! What cannot be encoded is an error, and the message goes back to its sender: header sections (they need
//! SMTPUTF8), and what multipart/signed covers, since the signature would be broken. A DKIM signature does not
//! survive either; RFC 6376 §5.3 has signers encode before they sign, so it stays where it is, as a trace.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Encoding, Kind, Limits, Part, Structure, TransferDecoder};

/// The longest line of quoted-printable and base64 (RFC 2045 §6.7, §6.8).
const LINE: usize = 76;
/// The longest line of text that is sent as it is (RFC 5321 §4.5.3.1.6).
const TEXT_LINE: usize = 998;

/// Why a message cannot go to a server without 8BITMIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotSevenBit {
    /// A header section has octets over 127: 5.6.7.
    #[error("a header section needs SMTPUTF8")]
    International,
    /// A signed part has octets over 127, and encoding it would break the signature: 5.6.3.
    #[error("a signed part has octets over 127 and cannot be encoded")]
    Signed,
    /// A part of a type or an encoding that must not be encoded has octets over 127: 5.6.3.
    #[error("a part with octets over 127 is of a kind that cannot be encoded")]
    Composite,
}

/// The message with every part in 7 bits: quoted-printable for text that is mostly ASCII, base64 for the rest.
///
/// ```
/// use hikyaku_mailstore::message::seven_bit;
/// let message = "Content-Type: text/plain; charset=utf-8\r\n\r\nThe caf\u{e9} opens at eight.\r\n";
/// let sent = seven_bit(message.as_bytes()).unwrap();
/// assert!(sent.is_ascii());
/// assert!(sent.ends_with(b"\r\n\r\nThe caf=C3=A9 opens at eight.\r\n"));
/// ```
///
/// # Errors
/// [`NotSevenBit`]: then the message is undeliverable there.
pub fn seven_bit(message: &[u8]) -> Result<Vec<u8>, NotSevenBit> {
    let structure = Structure::of(message);
    if structure.parts().len() >= Limits::default().parts && !message.is_ascii() {
        // What the last part holds are further parts.
        return Err(NotSevenBit::Composite);
    }
    let mut output = Vec::with_capacity(message.len() + message.len() / 4);
    let mut at = 0;
    for (index, part) in structure.parts().iter().enumerate() {
        let (header, body) = (
            Structure::slice(message, &part.header),
            Structure::slice(message, &part.body),
        );
        if !header.is_ascii() {
            return Err(NotSevenBit::International);
        }
        between(message, at, part.header.start, &mut output);
        let is_composite = part.kind != Kind::Leaf;
        if part.kind == Kind::Multipart
            && part.content.is("multipart", "signed")
            && !body.is_ascii()
        {
            return Err(NotSevenBit::Signed);
        }
        if part.kind == Kind::Multipart && part.end == index + 1 && !body.is_ascii() {
            // Without any part its text is all that there is.
            return Err(NotSevenBit::Composite);
        }
        // A message begins anew: the root, and what a message/rfc822 holds.
        let is_message = part.envelope.is_some() || index == 0;
        if is_composite {
            let encoding = is_labelled(part).then_some("7bit");
            edit(
                header,
                encoding,
                is_message && encoding.is_some(),
                !body.is_empty(),
                None,
                &mut output,
            );
            at = part.header.end;
        } else {
            leaf(part, header, body, is_message, &mut output)?;
            at = part.body.end;
        }
    }
    between(message, at, message.len() as u64, &mut output);
    Ok(output)
}

/// Whether a part says 8bit or binary.
fn is_labelled(part: &Part) -> bool {
    let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
    encoding.eq_ignore_ascii_case(b"8bit") || encoding.eq_ignore_ascii_case(b"binary")
}

/// Boundaries, and what stands before the first and behind the last, which nobody reads.
fn between(message: &[u8], from: u64, to: u64, output: &mut Vec<u8>) {
    let gap = Structure::slice(message, &(from..to.max(from)));
    output.extend(
        gap.iter()
            .map(|octet| if octet.is_ascii() { *octet } else { b'?' }),
    );
}

fn leaf(
    part: &Part,
    header: &[u8],
    body: &[u8],
    is_message: bool,
    output: &mut Vec<u8>,
) -> Result<(), NotSevenBit> {
    let content = &part.content;
    let has_long_lines = || {
        body.split(|&octet| octet == b'\n')
            .any(|line| line.len() > TEXT_LINE + 1)
    };
    let is_binary = is_labelled(part) && (memchr::memchr(0, body).is_some() || has_long_lines());
    if body.is_ascii() && !is_binary {
        let encoding = is_labelled(part).then_some("7bit");
        edit(header, encoding, false, !body.is_empty(), None, output);
        output.extend_from_slice(body);
        return Ok(());
    }
    // RFC 2046 §5.2: these must not be encoded. Leaves they are when they nest too deeply.
    let held = ["rfc822", "partial", "external-body", "news"];
    if content.is("multipart", "*") || held.iter().any(|subtype| content.is("message", subtype)) {
        return Err(NotSevenBit::Composite);
    }
    let encoding = content.encoding.as_deref().unwrap_or(b"7bit");
    let encoding = Encoding::known(encoding).ok_or(NotSevenBit::Composite)?;
    // Octets that do not belong into an encoded body are what its reader makes of them.
    let mut decoded = Vec::new();
    let octets = match encoding {
        Encoding::Identity => body,
        Encoding::Base64 | Encoding::QuotedPrintable | Encoding::Uuencode => {
            let mut decoder = TransferDecoder::new(encoding);
            decoder.decode(body, &mut decoded);
            decoder.finish(&mut decoded);
            &decoded
        }
    };
    let charset = match std::str::from_utf8(octets) {
        Ok(_) => "utf-8",
        // RFC 1428
        Err(_) => "unknown-8bit",
    };
    let escaped = octets.iter().filter(|&&octet| is_escaped(octet)).count();
    let is_text = content.is("text", "*") || content.is("message", "*");
    let is_readable = !matches!(encoding, Encoding::Base64 | Encoding::Uuencode)
        && is_text
        && escaped * 3 <= octets.len();
    if is_readable {
        edit(
            header,
            Some("quoted-printable"),
            is_message,
            true,
            Some(charset),
            output,
        );
        quoted_printable(octets, output);
    } else {
        edit(
            header,
            Some("base64"),
            is_message,
            true,
            Some(charset),
            output,
        );
        base64(octets, output);
        // The last line ends where the body's did.
        if body.ends_with(b"\n") {
            output.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

/// Writes a header section with another Content-Transfer-Encoding; what MIME needs besides, where it is missing:
/// MIME-Version in a message, a type in what has none.
fn edit(
    header: &[u8],
    encoding: Option<&str>,
    is_message: bool,
    has_body: bool,
    charset: Option<&str>,
    output: &mut Vec<u8>,
) {
    let Some(encoding) = encoding else {
        return output.extend_from_slice(header);
    };
    let (mut has_type, mut has_version, mut is_kept) = (false, false, true);
    // A body may follow without an empty line; where none follows there may be none either.
    let mut end: &[u8] = if has_body { b"\r\n" } else { b"" };
    for line in header.split_inclusive(|&octet| octet == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            end = line;
            break;
        }
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|&octet| octet == b':').next().unwrap_or(line);
            let is = |wanted: &[u8]| name.trim_ascii_end().eq_ignore_ascii_case(wanted);
            is_kept = !is(b"content-transfer-encoding");
            has_type |= is(b"content-type");
            has_version |= is(b"mime-version");
        }
        if is_kept {
            output.extend_from_slice(line);
            if !line.ends_with(b"\n") {
                output.extend_from_slice(b"\r\n");
            }
        }
    }
    if is_message && !has_version {
        output.extend_from_slice(b"MIME-Version: 1.0\r\n");
    }
    if let Some(charset) = charset.filter(|_| !has_type) {
        output.extend_from_slice(b"Content-Type: text/plain; charset=");
        output.extend_from_slice(charset.as_bytes());
        output.extend_from_slice(b"\r\n");
    }
    output.extend_from_slice(b"Content-Transfer-Encoding: ");
    output.extend_from_slice(encoding.as_bytes());
    // The last line's end may be the boundary's.
    if header.is_empty() || header.ends_with(b"\n") || !end.is_empty() {
        output.extend_from_slice(b"\r\n");
    }
    output.extend_from_slice(end);
}

fn is_escaped(octet: u8) -> bool {
    !matches!(octet, b'\t' | b'\r' | b'\n' | b' '..=b'~') || octet == b'='
}

/// RFC 2045 §6.7. CRLF are line ends; CR and LF alone are octets.
fn quoted_printable(octets: &[u8], output: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let (mut length, mut is_soft) = (0, false);
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        let next = octets.get(at + 1).copied();
        at += 1;
        if octet == b'\r' && next == Some(b'\n') {
            output.extend_from_slice(b"\r\n");
            (length, is_soft) = (0, false);
            at += 1;
            continue;
        }
        let ends_line =
            next.is_none() || (next == Some(b'\r') && octets.get(at + 1) == Some(&b'\n'));
        let is_blank = matches!(octet, b' ' | b'\t');
        // A line that was none before must not look like a boundary.
        let begins = |length: usize, is_soft: bool| octet == b'-' && is_soft && length == 0;
        let is_bare = matches!(octet, b'\r' | b'\n');
        let mut escaped = is_escaped(octet) || is_bare || (is_blank && ends_line);
        let width = if escaped { 3 } else { 1 };
        // Room for the `=` of a soft line end.
        if length + width >= LINE {
            output.extend_from_slice(b"=\r\n");
            (length, is_soft) = (0, true);
        }
        escaped |= begins(length, is_soft);
        if escaped {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
            output.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet & 15)]);
            length += 3;
        } else {
            output.push(octet);
            length += 1;
        }
    }
}

fn base64(octets: &[u8], output: &mut Vec<u8>) {
    let mut is_first = true;
    for line in octets.chunks(LINE / 4 * 3) {
        if !std::mem::take(&mut is_first) {
            output.extend_from_slice(b"\r\n");
        }
        output.extend_from_slice(STANDARD.encode(line).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What each leaf decodes to.
    fn leaves(message: &[u8]) -> Vec<Vec<u8>> {
        let structure = Structure::of(message);
        let leaves = structure
            .parts()
            .iter()
            .filter(|part| part.kind == Kind::Leaf);
        leaves
            .map(|part| {
                let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
                let mut decoder = TransferDecoder::new(Encoding::named(encoding));
                let mut all = Vec::new();
                decoder.decode(Structure::slice(message, &part.body), &mut all);
                decoder.finish(&mut all);
                all
            })
            .collect()
    }

    fn is_sent_whole(message: &[u8]) {
        let sent = seven_bit(message).unwrap();
        assert!(sent.is_ascii());
        let text = String::from_utf8_lossy(&sent);
        assert_eq!(leaves(message), leaves(&sent), "{text}");
        assert!(text.lines().all(|line| line.len() <= TEXT_LINE), "{text}");
        for label in ["8bit", "binary"] {
            assert!(
                !text.contains(&format!("Transfer-Encoding: {label}")),
                "{text}"
            );
        }
        // Once more changes nothing.
        assert_eq!(seven_bit(&sent).unwrap(), sent);
    }

    const MIXED: &str = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
        Content-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e \r\n--b\r\nContent-Type: text/plain\r\n\r\nplain\r\n\
        --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\n\
        Content-Type: text/html; charset=utf-8\r\n\r\n<p>\u{98db}\u{811a}</p>\r\n--b\r\n\
        Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{1}\u{80}\u{0}\r\n--b--\r\n";

    #[test]
    fn every_part_decodes_to_what_it_was() {
        for message in [
            MIXED,
            "Subject: no type\r\n\r\nl'\u{e9}t\u{e9}\r\n",
            "\r\nno header \u{e9}",
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9 raw \u{e9} =\r\nsoft\r\n",
            "Content-Type: image/png\r\nContent-Transfer-Encoding: BASE64\r\n\r\naGVs\u{e9}bG8=\r\n",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nascii\r\n",
        ] {
            is_sent_whole(message.as_bytes());
        }
        is_sent_whole(b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nlatin \xe9\xe8\r\nlone\rcr \xff\r\n");
    }

    #[test]
    fn what_is_missing_of_mime_is_said() {
        let sent = seven_bit("Subject: x\r\n\r\n\u{e9}tait une fois\r\n".as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9tait une fois\r\n"
        );
        let sent = String::from_utf8(seven_bit(MIXED.as_bytes()).unwrap()).unwrap();
        assert!(
            sent.contains("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"),
            "{sent}"
        );
        assert!(
            sent.contains(
                "Subject: inner\r\nContent-Type: text/html; charset=utf-8\r\nMIME-Version: 1.0\r\n"
            ),
            "{sent}"
        );
    }

    #[test]
    fn what_cannot_be_encoded_goes_back() {
        let of = |message: &str| seven_bit(message.as_bytes());
        assert_eq!(
            of("Subject: \u{e9}\r\n\r\nbody\r\n"),
            Err(NotSevenBit::International)
        );
        let part = |kind: &str, body: &str| {
            of(&format!(
                "Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\n{body}\r\n--b--\r\n"
            ))
        };
        assert_eq!(part("signed", "\r\n\u{e9}"), Err(NotSevenBit::Signed));
        assert!(part("signed", "\r\ne").is_ok());
        let named = "Content-Disposition: attachment; filename=\u{e9}\r\n\r\nx";
        assert_eq!(part("mixed", named), Err(NotSevenBit::International));
        assert_eq!(
            part("mixed", "Content-Type: message/partial\r\n\r\n\u{e9}"),
            Err(NotSevenBit::Composite)
        );
        assert_eq!(
            of("Content-Type: multipart/mixed; boundary=b\r\n\r\n\u{e9}\r\n"),
            Err(NotSevenBit::Composite)
        );
        let preamble =
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n\u{e9}\r\n--b\r\n\r\nx\r\n--b--\r\n";
        assert!(of(preamble).unwrap().is_ascii());
        assert_eq!(
            part("mixed", "Content-Transfer-Encoding: x-zip\r\n\r\n\u{e9}"),
            Err(NotSevenBit::Composite)
        );
    }

    #[test]
    fn a_soft_line_end_makes_no_boundary() {
        let line = format!("\u{e9}{}--b--\r\nrest\r\n", "x".repeat(69));
        let message =
            format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{line}--b--\r\n");
        is_sent_whole(message.as_bytes());
    }

    proptest! {
        #[test]
        fn any_message_leaves_in_7_bits_or_not_at_all(
            pieces in proptest::collection::vec(proptest::sample::select(&[
                "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: message/rfc822\r\n", "Content-Type: text/plain\r\n",
                "Content-Transfer-Encoding: 8bit\r\n", "Content-Transfer-Encoding: base64\r\n", "Subject: x\r\n", "\r\n", "--b\r\n",
                "--b--\r\n", "caf\u{e9}\r\n", "text", "\n", "MIME-Version: 1.0\r\n",
            ][..]), 0..40),
        ) {
            let message = pieces.concat();
            if let Ok(sent) = seven_bit(message.as_bytes()) {
                prop_assert!(sent.is_ascii());
                prop_assert_eq!(leaves(message.as_bytes()), leaves(&sent), "{}", String::from_utf8_lossy(&sent));
            }
        }

        #[test]
        fn any_body_comes_out_as_it_went_in(
            pieces in proptest::collection::vec(proptest::sample::select(&["a", "\u{e9}", "\u{98db}", " ", "\t", "=", "-", "\r\n", "\r", "\n", ".", "--b"][..]), 0..300),
            kind in proptest::sample::select(&["text/plain", "application/x"][..]),
        ) {
            let body = pieces.concat();
            let mut octets = Vec::new();
            quoted_printable(body.as_bytes(), &mut octets);
            prop_assert!(octets.is_ascii());
            prop_assert!(octets.split(|&o| o == b'\n').all(|line| line.len() <= LINE + 1));
            let mut decoder = TransferDecoder::new(Encoding::QuotedPrintable);
            let mut all = Vec::new();
            decoder.decode(&octets, &mut all);
            decoder.finish(&mut all);
            prop_assert_eq!(String::from_utf8(all).unwrap(), body.clone());
            is_sent_whole(format!("Content-Type: {kind}\r\n\r\n{body}").as_bytes());
        }
    }
}
