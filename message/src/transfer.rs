//! Content-Transfer-Encodings (RFC 2045 §6), decoded as the octets come.

use alloc::vec::Vec;

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encoding {
    /// 7bit, 8bit, binary, and what is unknown.
    Identity,
    /// RFC 2045 §6.8
    Base64,
    /// RFC 2045 §6.7
    QuotedPrintable,
    /// `x-uuencode`, as POSIX has it: what old mail was encoded in.
    Uuencode,
}

impl Encoding {
    /// Returns the encoding of that name, whose case is ignored.
    ///
    /// ```
    /// use hikyaku_message::Encoding;
    /// assert_eq!(Encoding::named(b"Base64"), Encoding::Base64);
    /// // What is not known is taken as it is.
    /// assert_eq!(Encoding::named(b"x-odd"), Encoding::Identity);
    /// ```
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        Self::known(name).unwrap_or(Self::Identity)
    }

    /// Returns the encoding as [`named`](Self::named) does, but `None` for an unknown name.
    ///
    /// ```
    /// use hikyaku_message::Encoding;
    /// assert_eq!(Encoding::known(b"8bit"), Some(Encoding::Identity));
    /// assert_eq!(Encoding::known(b"x-odd"), None);
    /// ```
    #[must_use]
    pub fn known(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        Some(match () {
            () if is("base64") => Self::Base64,
            () if is("quoted-printable") => Self::QuotedPrintable,
            () if is("x-uuencode") || is("uuencode") || is("x-uue") || is("uue") => Self::Uuencode,
            () if is("7bit") || is("8bit") || is("binary") => Self::Identity,
            () => return None,
        })
    }
}

/// Decodes a body in pieces of any size. What does not belong is passed over, as §6.7 and §6.8 have it.
#[derive(Debug, Clone)]
pub struct TransferDecoder {
    encoding: Encoding,
    bits: u32,
    count: u32,
    /// What waits in quoted-printable: an `=` with what follows, or white space at a line's end. In uuencode, the line.
    held: Vec<u8>,
    /// Between `begin` and `end`.
    begun: bool,
}

/// How many octets of white space at the end of a line are held: a longer run is text.
const HELD: usize = 1_000;

impl TransferDecoder {
    /// Creates a decoder that stands before the first octet.
    ///
    /// ```
    /// use hikyaku_message::{Encoding, TransferDecoder};
    /// let (mut decoder, mut octets) = (TransferDecoder::new(Encoding::Base64), Vec::new());
    /// decoder.decode(b"dGVh", &mut octets);
    /// decoder.finish(&mut octets);
    /// assert_eq!(octets, b"tea");
    /// ```
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            bits: 0,
            count: 0,
            held: Vec::new(),
            begun: false,
        }
    }

    /// Appends what `octets` decode to.
    ///
    /// ```
    /// use hikyaku_message::{Encoding, TransferDecoder};
    /// let (mut decoder, mut octets) = (TransferDecoder::new(Encoding::QuotedPrintable), Vec::new());
    /// // In whatever pieces it comes.
    /// decoder.decode(b"caf=C", &mut octets);
    /// decoder.decode(b"3=A9", &mut octets);
    /// decoder.finish(&mut octets);
    /// assert_eq!(octets, "café".as_bytes());
    /// ```
    pub fn decode(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => output.extend_from_slice(octets),
            Encoding::Base64 => self.base64(octets, output),
            Encoding::QuotedPrintable => {
                for &octet in octets {
                    self.quoted_printable(octet, output);
                }
            }
            Encoding::Uuencode => {
                for &octet in octets {
                    self.held.push(octet);
                    if octet == b'\n' || self.held.len() > HELD {
                        self.uuencoded_line(output);
                    }
                }
            }
        }
    }

    /// Ends the text: appends what was held, as it is.
    ///
    /// ```
    /// use hikyaku_message::{Encoding, TransferDecoder};
    /// let (mut decoder, mut octets) = (TransferDecoder::new(Encoding::QuotedPrintable), Vec::new());
    /// decoder.decode(b"half=", &mut octets);
    /// // What was cut off comes out as it is.
    /// decoder.finish(&mut octets);
    /// assert_eq!(octets, b"half=");
    /// ```
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Uuencode => self.uuencoded_line(output),
            _ => output.append(&mut self.held),
        }
    }

    /// Takes a line. What stands before `begin` and behind `end` is text.
    fn uuencoded_line(&mut self, output: &mut Vec<u8>) {
        let held = core::mem::take(&mut self.held);
        let line = held.trim_ascii_end();
        match self.begun {
            false if line.starts_with(b"begin ") => self.begun = true,
            false => output.extend_from_slice(&held),
            true if line == b"end" => self.begun = false,
            true => {
                let value = |octet: &u8| octet.wrapping_sub(b' ') & 0x3f;
                let Some((length, text)) = line.split_first() else {
                    return;
                };
                let begin = output.len();
                for four in text.chunks(4) {
                    let at = |place: usize| four.get(place).map_or(0, value);
                    let (a, b, c, d) = (at(0), at(1), at(2), at(3));
                    output.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                }
                output.truncate(begin + usize::from(value(length)));
            }
        }
    }

    fn base64(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        for &octet in octets {
            let value = match octet {
                b'A'..=b'Z' => octet - b'A',
                b'a'..=b'z' => octet - b'a' + 26,
                b'0'..=b'9' => octet - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    (self.bits, self.count) = (0, 0);
                    continue;
                }
                _ => continue,
            };
            self.bits = (self.bits << 6 | u32::from(value)) & 0xff_ffff;
            self.count += 6;
            if self.count >= 8 {
                self.count -= 8;
                output.push((self.bits >> self.count & 0xff) as u8);
            }
        }
    }

    fn quoted_printable(&mut self, octet: u8, output: &mut Vec<u8>) {
        if self.held.first() == Some(&b'=') {
            self.held.push(octet);
            match self.held.get(1..) {
                Some(b"\r") => {}
                Some(b"\n" | b"\r\n") => self.held.clear(),
                Some([b' ' | b'\t', ..]) if octet == b'\n' => self.held.clear(),
                Some([b' ' | b'\t', ..])
                    if matches!(octet, b' ' | b'\t' | b'\r') && self.held.len() < HELD => {}
                // An equals sign that stands for itself.
                Some([b' ' | b'\t', ..]) => {
                    self.held.pop();
                    output.append(&mut self.held);
                    self.quoted_printable(octet, output);
                }
                Some(digits @ [_, _]) => match hex(digits) {
                    Some(decoded) => {
                        output.push(decoded);
                        self.held.clear();
                    }
                    None => output.append(&mut self.held),
                },
                _ => {}
            }
            return;
        }
        match octet {
            b'=' => {
                output.append(&mut self.held);
                self.held.push(octet);
            }
            b' ' | b'\t' if self.held.len() < HELD => self.held.push(octet),
            b'\r' => {
                self.held.clear();
                output.push(octet);
            }
            b'\n' => {
                self.held.clear();
                output.push(octet);
            }
            _ => {
                output.append(&mut self.held);
                output.push(octet);
            }
        }
    }
}

/// The octet that two hexadecimal digits stand for.
pub(super) fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |octet: &u8| char::from(*octet).to_digit(16);
    match digits {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(encoding: Encoding, text: &[u8], step: usize) -> Vec<u8> {
        let mut decoder = TransferDecoder::new(encoding);
        let mut output = Vec::new();
        for piece in text.chunks(step) {
            decoder.decode(piece, &mut output);
        }
        decoder.finish(&mut output);
        output
    }

    #[test]
    fn quoted_printable_in_any_pieces() {
        for step in 1..9 {
            let qp = |text: &str| decoded(Encoding::QuotedPrintable, text.as_bytes(), step);
            assert_eq!(qp("a=3Db=\r\nc =20 \r\nd"), b"a=bc  \r\nd".to_vec());
            assert_eq!(qp("=e3=81=82=\n!"), "あ!".as_bytes());
            assert_eq!(qp("a=zz="), b"a=zz=");
            assert_eq!(qp("soft=  \r\nbreak"), b"softbreak");
            assert_eq!(qp("a = b =3D= =\r\nc"), b"a = b == c");
        }
    }

    #[test]
    fn uuencode_in_any_pieces() {
        let text =
            b"before\r\nbegin 644 note.txt\r\n21W+#O,.?92!A=7,@5VEE;BX*\r\n`\r\nend\r\nbehind";
        for step in 1..9 {
            let read = decoded(Encoding::Uuencode, text, step);
            assert_eq!(read, "before\r\nGrüße aus Wien.\nbehind".as_bytes());
        }
        assert!(decoded(Encoding::Uuencode, b"begin 6 x\n\n#\nZ", 3).is_empty());
    }

    proptest! {
        #[test]
        fn base64_in_any_pieces(octets: Vec<u8>, step in 1_usize..20) {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&octets);
            let lines: Vec<u8> = text.as_bytes().chunks(19).flat_map(|l| [l, b"\r\n"].concat()).collect();
            prop_assert_eq!(decoded(Encoding::Base64, &lines, step), octets);
        }
    }
}
