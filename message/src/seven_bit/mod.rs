//! Messages with octets over 127, made fit for servers without 8BITMIME (RFC 6152 §3): each part that has some
//! is encoded, nothing else changes.
//!
//! What cannot be encoded is an error, and the message goes back to its sender: header sections (they need
//! SMTPUTF8), and what multipart/signed covers, since the signature would be broken. A DKIM signature does not
//! survive either; RFC 6376 §5.3 has signers encode before they sign, so it stays where it is, as a trace.

mod adapter;
mod base64_lines;
mod header_edit;
mod leaf;
mod mime_field;
mod not_seven_bit;
mod plan;
mod quoted_printable;
mod said;
mod survey;
mod utf8;
mod verbatim;

use alloc::vec::Vec;

pub use adapter::SevenBit;
pub use not_seven_bit::NotSevenBit;
pub use survey::SevenBitSurvey;

/// Returns the message with every part in 7 bits: quoted-printable for text that is mostly ASCII, base64 for the
/// rest. For a message that is whole in memory; [`SevenBitSurvey`] and [`SevenBit`] do the same to one that is not.
///
/// ```
/// use hikyaku_message::seven_bit;
/// let message = "Content-Type: text/plain; charset=utf-8\r\n\r\nThe caf\u{e9} opens at eight.\r\n";
/// let sent = seven_bit(message.as_bytes()).unwrap();
/// assert!(sent.is_ascii());
/// assert!(sent.ends_with(b"\r\n\r\nThe caf=C3=A9 opens at eight.\r\n"));
/// ```
///
/// # Errors
/// [`NotSevenBit`]: then the message is undeliverable there.
pub fn seven_bit(message: &[u8]) -> Result<Vec<u8>, NotSevenBit> {
    let mut survey = SevenBitSurvey::new();
    survey.feed(message);
    let mut seven_bit = survey.finish()?;
    let mut output = Vec::with_capacity(message.len() + message.len() / 4);
    seven_bit.convert(message, &mut output);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::leaf::TEXT_LINE;
    use super::quoted_printable::{LINE, QuotedPrintable};
    use super::*;
    use crate::{Encoding, Kind, Structure, TransferDecoder};
    use alloc::format;
    use alloc::string::String;
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

    fn quoted_printable(octets: &[u8], output: &mut Vec<u8>) {
        let mut lines = QuotedPrintable::new();
        lines.push(octets, output);
        lines.finish(output);
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

    /// What comes out, when the survey is fed in pieces of one size and the message passes in pieces of another.
    fn in_pieces(message: &[u8], survey: usize, pass: usize) -> Result<Vec<u8>, NotSevenBit> {
        let mut all = SevenBitSurvey::new();
        message.chunks(survey).for_each(|piece| all.feed(piece));
        let mut seven_bit = all.finish()?;
        let pieces = message.chunks(pass);
        Ok(pieces.flat_map(|piece| seven_bit.push(piece)).collect())
    }

    #[test]
    fn lines_that_are_longer_than_what_is_held_of_them() {
        let long = |begin: &str, octet: &str| format!("{begin}{}\r\n", octet.repeat(70_000));
        let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
        for message in [
            // A header section that has no empty line, and ends where no field is.
            format!("Subject: x\r\n{}", long("\u{e9}", "y")),
            format!("Content-Type: message/rfc822\r\n{}", long("\u{e9}", "y")),
            format!("Subject: x\r\n{}\u{e9}\r\n", "y".repeat(70_000)),
            format!("{}\r\n\u{e9}\r\n", long("X-Long: ", "z")),
            format!("{}\r\n\u{e9}\r\n", long("Content-Type", " ")),
            // Boundaries, and lines that look like one.
            format!(
                "{multipart}\r\n\u{e9}\r\n{}\r\nx\r\n--b--\r\n",
                long("--b ", "v")
            ),
            format!("{multipart}\r\n{}\u{e9}\r\n--b--\r\n", long("--", "v")),
            format!("{multipart}\r\n{}--b--\r\n", long("", "\u{e9}")),
        ] {
            let message = message.as_bytes();
            let whole = seven_bit(message).unwrap();
            assert!(whole.is_ascii());
            assert_eq!(leaves(message), leaves(&whole));
            for size in [1000, 16_384, 65_535, 65_536, 65_537] {
                assert!(
                    in_pieces(message, size, size).as_ref() == Ok(&whole),
                    "{size}"
                );
            }
        }
    }

    #[test]
    fn the_newline_before_a_boundary_counts_for_nothing() {
        // Text is readable as long as a third of it is escaped at most.
        for (text, encoding) in [("\u{e9}abc", "base64"), ("\u{e9}abcd", "quoted-printable")] {
            let head = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n";
            let message = format!("{head}{text}\r\n--b--\r\n");
            for size in 1..=message.len() {
                let sent = in_pieces(message.as_bytes(), size, size).unwrap();
                let sent = String::from_utf8(sent).unwrap();
                let label = format!("Content-Transfer-Encoding: {encoding}\r\n");
                assert!(sent.contains(&label), "{size} {sent}");
            }
        }
    }

    #[test]
    fn what_stands_behind_a_boundary_is_signed_too() {
        for line in [
            "--b \u{e9}\r\n",
            "--b-- \u{e9}\r\n",
            "--b\r\n\r\n\r\n--b--\r\n\u{e9}",
        ] {
            let message =
                format!("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n{line}");
            assert_eq!(
                seven_bit(message.as_bytes()),
                Err(NotSevenBit::Signed),
                "{line}"
            );
        }
    }

    const WORDS: &[&[u8]] = &[
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b"Content-Type: multipart/signed; boundary=b\r\n",
        b"Content-Type: multipart/digest; boundary=bb\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Type: message/partial\r\n",
        b"Content-Type: text/plain\r\n",
        b"content-type : application/x\r\n",
        b" Content-Type: image/png\r\n",
        b"Content-Transfer-Encoding: 8bit\r\n",
        b"Content-Transfer-Encoding:\r\n binary\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: x-uuencode\r\n",
        b"MIME-Version: 1.0\r\n",
        b"Subject: x\r\n y\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b"\r",
        b"--b\r\n",
        b"--b",
        b"--b--\r\n",
        b"--bb\r\n",
        b"--b \xff\n",
        b"-",
        b"--",
        b"-x\r\n",
        b"caf\xc3\xa9\r\n",
        b"caf\xe9 \r\n",
        b"\xe9\xa3\x9b",
        b"text \r\n",
        b"=C3=A9",
        b"= \r\n",
        b"aGVsbG8=\r\n",
        b"begin 644 x\r\n21W\r\nend\r\n",
        b"\0",
        b" ",
    ];

    fn messages() -> impl Strategy<Value = Vec<u8>> {
        let words = proptest::collection::vec(proptest::sample::select(WORDS), 0..30);
        words.prop_map(|words| words.concat())
    }

    #[test]
    fn these_messages_meet_every_fate() {
        use proptest::strategy::ValueTree as _;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut met = [0; 7];
        for _ in 0..3000 {
            let message = messages().new_tree(&mut runner).unwrap().current();
            let sent = seven_bit(&message);
            let has = |text: &str| {
                let count = |octets: &[u8]| String::from_utf8_lossy(octets).matches(text).count();
                sent.as_ref()
                    .is_ok_and(|sent| count(sent) > count(&message))
            };
            for (met, is_met) in met.iter_mut().zip([
                sent.as_ref() == Ok(&message),
                has("Encoding: 7bit"),
                has("Encoding: quoted-printable"),
                has("Encoding: base64"),
                sent == Err(NotSevenBit::International),
                sent == Err(NotSevenBit::Signed),
                sent == Err(NotSevenBit::Composite),
            ]) {
                *met += usize::from(is_met);
            }
        }
        assert!(met.iter().all(|count| *count > 5), "{met:?}");
    }

    proptest! {
        #[test]
        fn in_any_pieces_it_is_the_same(message in messages(), survey in 1..40_usize, pass in 1..40_usize) {
            let whole = seven_bit(&message);
            prop_assert_eq!(&in_pieces(&message, survey, pass), &whole);
            if let Ok(sent) = whole {
                prop_assert!(sent.is_ascii());
                prop_assert!(sent.split(|&o| o == b'\n').all(|line| line.len() <= TEXT_LINE + 1));
            }
        }

        #[test]
        fn other_octets_than_were_surveyed_come_out_as_ascii(message in messages(), other in messages(), pass in 1..40_usize) {
            let mut survey = SevenBitSurvey::new();
            survey.feed(&message);
            if let Ok(mut seven_bit) = survey.finish() {
                for piece in other.chunks(pass) {
                    prop_assert!(seven_bit.push(piece).is_ascii());
                }
            }
        }

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
