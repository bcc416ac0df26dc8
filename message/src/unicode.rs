//! Encodings of Unicode that the web has given up: UTF-7 (RFC 2152) and UTF-32.

use alloc::string::String;
use alloc::vec::Vec;

/// What stands for what cannot be decoded.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// Decodes UTF-7 in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Utf7 {
    /// Within `+..-`: whether anything was in it yet.
    shifted: Option<bool>,
    bits: u32,
    count: u32,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

impl Utf7 {
    pub(super) fn decode(&mut self, octets: &[u8], last: bool, text: &mut String) {
        for &octet in octets {
            self.octet(octet, text);
        }
        if last {
            self.end(text);
        }
    }

    fn octet(&mut self, octet: u8, text: &mut String) {
        let Some(any) = self.shifted else {
            match octet {
                b'+' => self.shifted = Some(false),
                0..0x80 => text.push(char::from(octet)),
                _ => text.push(UNKNOWN),
            }
            return;
        };
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => {
                self.end(text);
                match octet {
                    b'-' if any => {}
                    b'-' => text.push('+'),
                    octet => {
                        if !any {
                            text.push('+');
                        }
                        self.octet(octet, text);
                    }
                }
                return;
            }
        };
        self.shifted = Some(true);
        self.bits = (self.bits << 6 | u32::from(value)) & 0xff_ffff;
        self.count += 6;
        if self.count >= 16 {
            self.count -= 16;
            self.unit((self.bits >> self.count & 0xffff) as u16, text);
        }
    }

    fn unit(&mut self, unit: u16, text: &mut String) {
        match (self.high.take(), unit) {
            (high, 0xd800..0xdc00) => {
                text.extend(high.map(|_| UNKNOWN));
                self.high = Some(unit);
            }
            (high, unit) => {
                let units = high.into_iter().chain([unit]);
                text.extend(char::decode_utf16(units).map(|one| one.unwrap_or(UNKNOWN)));
            }
        }
    }

    /// The end of what is shifted.
    fn end(&mut self, text: &mut String) {
        text.extend(self.high.take().map(|_| UNKNOWN));
        (self.shifted, self.bits, self.count) = (None, 0, 0);
    }
}

/// Decodes UTF-32 in pieces of any size.
#[derive(Debug)]
pub(super) struct Utf32 {
    little_endian: bool,
    begun: bool,
    held: Vec<u8>,
}

impl Utf32 {
    pub(super) fn new(little_endian: bool) -> Self {
        Self {
            little_endian,
            begun: false,
            held: Vec::new(),
        }
    }

    pub(super) fn decode(&mut self, octets: &[u8], last: bool, text: &mut String) {
        for &octet in octets {
            self.held.push(octet);
            if let &[a, b, c, d] = &*self.held {
                let unit = match self.little_endian {
                    true => u32::from_le_bytes([a, b, c, d]),
                    false => u32::from_be_bytes([a, b, c, d]),
                };
                let is_mark = unit == 0xfeff && !self.begun;
                if !is_mark {
                    text.push(char::from_u32(unit).unwrap_or(UNKNOWN));
                }
                self.begun = true;
                self.held.clear();
            }
        }
        if last && !self.held.is_empty() {
            self.held.clear();
            text.push(UNKNOWN);
        }
    }
}
