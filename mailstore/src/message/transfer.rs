//! Content-Transfer-Encodings (RFC 2045 §6), decoded as the octets come.

/// How a body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 7bit, 8bit, binary, and what is unknown.
    Identity,
    /// RFC 2045 §6.8
    Base64,
    /// RFC 2045 §6.7
    QuotedPrintable,
}

impl Encoding {
    /// The encoding of that name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Self {
        Self::known(name).unwrap_or(Self::Identity)
    }

    /// As [`named`](Self::named); `None` for one that is unknown.
    #[must_use]
    pub fn known(name: &[u8]) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        Some(match () {
            () if is("base64") => Self::Base64,
            () if is("quoted-printable") => Self::QuotedPrintable,
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
    /// What waits in quoted-printable: an `=` with what follows, or white space at a line's end.
    held: Vec<u8>,
}

/// White space at the end of a line is held up to so many octets: a longer run is text.
const HELD: usize = 1_000;

impl TransferDecoder {
    /// Stands before the first octet.
    #[must_use]
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            bits: 0,
            count: 0,
            held: Vec::new(),
        }
    }

    /// Appends what `octets` decode to.
    pub fn decode(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Identity => output.extend_from_slice(octets),
            Encoding::Base64 => self.base64(octets, output),
            Encoding::QuotedPrintable => {
                for &octet in octets {
                    self.quoted_printable(octet, output);
                }
            }
        }
    }

    /// The end: what was held comes out as it is.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        output.append(&mut self.held);
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
                Some([b' ' | b'\t', ..]) if octet != b'\n' && self.held.len() < HELD => {}
                Some([b' ' | b'\t', ..]) => self.held.clear(),
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
        }
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
