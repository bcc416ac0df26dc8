//! Charsets that shift between sets of characters with escapes: ISO-2022-JP (RFC 1468), ISO-2022-KR (RFC 1557)
//! and HZ (RFC 1843). Each becomes its unshifted relative, EUC-JP, EUC-KR or GBK, as the octets come.

use alloc::string::String;
use alloc::vec::Vec;
use encoding_rs::{Decoder, EUC_JP, EUC_KR, GBK};

use super::charset::Charset;
use super::web_decoder::decode_web;

const ESC: u8 = 0x1b;
const SHIFT_OUT: u8 = 0x0e;
const SHIFT_IN: u8 = 0x0f;

/// The set that octets are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Ascii,
    /// ASCII with a yen sign and an overline.
    Roman,
    HalfWidthKana,
    /// Two octets a character.
    Double,
    /// JIS X 0212.
    Supplement,
}

/// Decodes one of them, in pieces of any size.
#[derive(Debug)]
pub(super) struct Shifted {
    kind: Charset,
    set: Set,
    /// An escape under way, its first octet included.
    escape: Vec<u8>,
    /// The first octet of a character.
    first: Option<u8>,
    /// In the unshifted form.
    plain: Vec<u8>,
    decoder: Inner,
}

struct Inner(Decoder);

impl core::fmt::Debug for Inner {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0.encoding().name())
    }
}

impl Shifted {
    pub(super) fn new(kind: Charset) -> Self {
        let relative = match kind {
            Charset::Iso2022Kr => EUC_KR,
            Charset::Hz => GBK,
            _ => EUC_JP,
        };
        Self {
            kind,
            set: Set::Ascii,
            escape: Vec::new(),
            first: None,
            plain: Vec::new(),
            decoder: Inner(relative.new_decoder_without_bom_handling()),
        }
    }

    /// Whether a character was begun that has not ended.
    pub(super) fn is_within_character(&self) -> bool {
        self.first.is_some()
    }

    /// Whether the octets did not end in ASCII.
    pub(super) fn is_shifted(&self) -> bool {
        self.set != Set::Ascii
    }

    pub(super) fn decode(&mut self, octets: &[u8], last: bool, text: &mut String) {
        for &octet in octets {
            self.octet(octet, text);
        }
        if last {
            self.plain.append(&mut self.escape);
            self.half();
        }
        self.flush(last, text);
    }

    fn flush(&mut self, last: bool, text: &mut String) {
        decode_web(&mut self.decoder.0, &self.plain, last, text);
        self.plain.clear();
    }

    fn octet(&mut self, octet: u8, text: &mut String) {
        if !self.escape.is_empty() {
            self.escape.push(octet);
            return self.escaped(text);
        }
        let begins = match self.kind {
            Charset::Hz => octet == b'~' && self.first.is_none(),
            _ => octet == ESC,
        };
        match octet {
            _ if begins => {
                self.half();
                self.escape.push(octet);
            }
            // No line ends within a shift: what follows a line that was cut off can be read.
            b'\n' | b'\r' => {
                self.half();
                self.set = Set::Ascii;
                self.plain.push(octet);
            }
            SHIFT_OUT | SHIFT_IN if self.kind != Charset::Hz => {
                self.half();
                self.set = match (octet, self.kind) {
                    (SHIFT_IN, _) => Set::Ascii,
                    (_, Charset::Iso2022Kr) => Set::Double,
                    _ => Set::HalfWidthKana,
                };
            }
            _ => self.character(octet, text),
        }
    }

    fn character(&mut self, octet: u8, text: &mut String) {
        match self.set {
            Set::Double | Set::Supplement if octet > b' ' => match self.first.take() {
                None => self.first = Some(octet),
                Some(first) => {
                    if self.set == Set::Supplement {
                        self.plain.push(0x8f);
                    }
                    self.plain.extend([first | 0x80, octet | 0x80]);
                }
            },
            Set::HalfWidthKana if (0x21..0x60).contains(&octet) => {
                self.plain.extend([0x8e, octet | 0x80]);
            }
            Set::Roman if octet == b'\\' || octet == b'~' => {
                self.flush(false, text);
                text.push(if octet == b'~' { '\u{203e}' } else { '¥' });
            }
            _ => {
                self.half();
                match octet {
                    // Kana of JIS X 0201 with the eighth bit, as some gateways leave them.
                    0xa1..=0xdf if self.kind == Charset::Iso2022Jp => {
                        self.plain.extend([0x8e, octet]);
                    }
                    _ => self.plain.push(octet),
                }
            }
        }
    }

    /// Half a character is none.
    fn half(&mut self) {
        if self.first.take().is_some() {
            self.plain.push(0xff);
        }
    }

    fn escaped(&mut self, text: &mut String) {
        let set = match (self.kind, &*self.escape) {
            (Charset::Hz, b"~{") => Some(Set::Double),
            (Charset::Hz, b"~}") => Some(Set::Ascii),
            (Charset::Hz, b"~~") => {
                self.escape.clear();
                return self.plain.push(b'~');
            }
            // A line that goes on.
            (Charset::Hz, b"~\n") => Some(Set::Ascii),
            (Charset::Iso2022Kr, b"\x1b$)C") => Some(self.set),
            (_, b"\x1b(B" | b"\x1b(H") => Some(Set::Ascii),
            (_, b"\x1b(J") => Some(Set::Roman),
            (_, b"\x1b(I") => Some(Set::HalfWidthKana),
            (_, b"\x1b$B" | b"\x1b$@" | b"\x1b$(B" | b"\x1b$(@" | b"\x1b$(Q" | b"\x1b$(O") => {
                Some(Set::Double)
            }
            (_, b"\x1b$(D") => Some(Set::Supplement),
            // What follows is of a revision.
            (_, b"\x1b&@") => Some(self.set),
            (
                Charset::Iso2022Kr | Charset::Iso2022Jp,
                b"\x1b" | b"\x1b(" | b"\x1b$" | b"\x1b$(" | b"\x1b$)" | b"\x1b&",
            ) => return,
            _ => None,
        };
        let escape = core::mem::take(&mut self.escape);
        match set {
            Some(set) => self.set = set,
            // None that is known: its octets are text.
            None => {
                let mut octets = escape.into_iter();
                self.plain.extend(octets.next());
                for octet in octets {
                    self.octet(octet, text);
                }
            }
        }
    }
}
