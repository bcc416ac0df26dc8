//! Octets as quoted-printable (RFC 2045 §6.7), written as they come.

use alloc::vec::Vec;

/// The longest line of quoted-printable and base64 (RFC 2045 §6.7, §6.8).
pub(super) const LINE: usize = 76;

/// Returns whether an octet is written as three, wherever it stands.
pub(super) fn is_escaped(octet: u8) -> bool {
    !matches!(octet, b'\t' | b'\r' | b'\n' | b' '..=b'~') || octet == b'='
}

/// Writes lines of 76 octets at most. CRLF are line ends; CR and LF alone are octets.
#[derive(Debug, Clone)]
pub(super) struct QuotedPrintable {
    /// Octets of the line under way.
    length: usize,
    /// The line under way was none before.
    is_soft: bool,
    held: Held,
}

/// What depends on the next octet.
#[derive(Debug, Clone, Copy)]
enum Held {
    Nothing,
    /// It is escaped before a line end.
    Blank(u8),
    BlankAndCr(u8),
    Cr,
}

impl QuotedPrintable {
    pub(super) fn new() -> Self {
        Self {
            length: 0,
            is_soft: false,
            held: Held::Nothing,
        }
    }

    pub(super) fn push(&mut self, mut octets: &[u8], output: &mut Vec<u8>) {
        while let Some((&first, rest)) = octets.split_first() {
            let (plain, behind) = octets.split_at(self.plain(octets));
            if plain.is_empty() {
                self.octet(first, output);
                octets = rest;
                continue;
            }
            output.extend_from_slice(plain);
            self.length += plain.len();
            octets = behind;
            if let [b'\r', b'\n', next @ ..] = behind {
                self.end_line(output);
                octets = next;
            }
        }
    }

    /// Counts the octets that are written as they are, on this line.
    fn plain(&self, octets: &[u8]) -> usize {
        let is_boundary = self.is_soft && self.length == 0 && octets.first() == Some(&b'-');
        if !matches!(self.held, Held::Nothing) || is_boundary {
            return 0;
        }
        // Room for the `=` of a soft line end.
        let room = (LINE - 1).saturating_sub(self.length).min(octets.len());
        let octets = octets.get(..room).unwrap_or(octets);
        let is_plain = |octet: &u8| matches!(octet, b'\t' | b' '..=b'~') && *octet != b'=';
        let length = octets.iter().position(|octet| !is_plain(octet));
        let octets = octets.get(..length.unwrap_or(room)).unwrap_or(octets);
        // A line may end behind the last blanks.
        let is_text = |octet: &u8| !matches!(octet, b'\t' | b' ');
        octets.iter().rposition(is_text).map_or(0, |last| last + 1)
    }

    fn octet(&mut self, octet: u8, output: &mut Vec<u8>) {
        match (core::mem::replace(&mut self.held, Held::Nothing), octet) {
            (Held::Blank(blank), b'\r') => {
                self.held = Held::BlankAndCr(blank);
                return;
            }
            (Held::BlankAndCr(blank), b'\n') => {
                self.write(blank, true, output);
                return self.end_line(output);
            }
            (Held::Cr, b'\n') => return self.end_line(output),
            (held, _) => self.release(held, output),
        }
        match octet {
            b' ' | b'\t' => self.held = Held::Blank(octet),
            b'\r' => self.held = Held::Cr,
            _ => self.write(octet, octet == b'\n' || is_escaped(octet), output),
        }
    }

    /// Writes what stands before no line end.
    fn release(&mut self, held: Held, output: &mut Vec<u8>) {
        match held {
            Held::Nothing => {}
            Held::Blank(blank) => self.write(blank, false, output),
            Held::Cr => self.write(b'\r', true, output),
            Held::BlankAndCr(blank) => {
                self.write(blank, false, output);
                self.write(b'\r', true, output);
            }
        }
    }

    fn end_line(&mut self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"\r\n");
        (self.length, self.is_soft) = (0, false);
    }

    fn write(&mut self, octet: u8, mut escaped: bool, output: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let width = if escaped { 3 } else { 1 };
        if self.length + width >= LINE {
            output.extend_from_slice(b"=\r\n");
            (self.length, self.is_soft) = (0, true);
        }
        // A line that was none before must not look like a boundary.
        escaped |= octet == b'-' && self.is_soft && self.length == 0;
        if escaped {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
            output.extend_from_slice(&[b'=', digit(octet >> 4), digit(octet & 15)]);
            self.length += 3;
        } else {
            output.push(octet);
            self.length += 1;
        }
    }

    /// Ends the text: a blank at its end is escaped.
    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        match core::mem::replace(&mut self.held, Held::Nothing) {
            Held::Blank(blank) => self.write(blank, true, output),
            held => self.release(held, output),
        }
    }
}
