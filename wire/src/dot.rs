//! Dot-stuffed blocks: SMTP DATA (RFC 5321 §4.5.2) and POP3 multi-line responses (RFC 1939 §3).

use bytes::{Buf, Bytes, BytesMut};
use memchr::{memchr2, memchr3};

use crate::Output;
use crate::regular::has_odd_pairs;

/// What a [`DotDecoder`] found next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever drives a machine has to do each of them"
)]
pub enum DotStep {
    /// Octets of the block, stuffing removed. Pieces may end anywhere, never empty.
    Chunk(Bytes),
    /// The terminating `CRLF . CRLF` was taken. The CRLF before the dot belongs to the block.
    End,
    /// More octets are needed.
    NeedInput,
}

/// What a block held that RFC 5321 §2.3.8 does not allow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Irregular {
    /// LF without CR before it, or CR without LF after it.
    pub bare_newline: bool,
    /// A NUL octet.
    pub nul: bool,
}

/// Takes a dot-stuffed block apart as it comes, without a copy.
///
/// Only CRLF is a line end: `LF . LF` and its mixtures are data, whatever other software makes of
/// them (SMTP smuggling). [`irregular`](Self::irregular) returns what was irregular, so that the
/// caller can refuse the whole when it has ended.
///
/// ```
/// use bytes::BytesMut;
/// use hikyaku_wire::{DotDecoder, DotStep};
///
/// let mut decoder = DotDecoder::new();
/// let mut input = BytesMut::from("..a\r\n.\r\nQUIT\r\n");
/// assert_eq!(decoder.next(&mut input), DotStep::Chunk(".a\r\n".into()));
/// assert_eq!(decoder.next(&mut input), DotStep::End);
/// assert_eq!(input, "QUIT\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotDecoder {
    at_line_start: bool,
    irregular: Irregular,
}

impl Default for DotDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotDecoder {
    /// Creates one that stands before the first octet of a block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            at_line_start: true,
            irregular: Irregular::default(),
        }
    }

    /// Returns what was irregular so far.
    #[must_use]
    pub fn irregular(&self) -> Irregular {
        self.irregular
    }

    /// Takes the next piece of the block, or its end, from `input`.
    pub fn next(&mut self, input: &mut BytesMut) -> DotStep {
        if self.at_line_start && input.first() == Some(&b'.') {
            match input.get(1..) {
                None | Some([] | [b'\r']) => return DotStep::NeedInput,
                Some([b'\r', b'\n', ..]) => {
                    input.advance(3);
                    return DotStep::End;
                }
                Some(_) => {
                    input.advance(1);
                    self.at_line_start = false;
                }
            }
        }
        let length = self.scan(input, 0);
        if length == 0 {
            return DotStep::NeedInput;
        }
        if self.is_stuffed(input.get(length..)) {
            return DotStep::Chunk(self.unstuffed(length, input));
        }
        DotStep::Chunk(input.split_to(length).freeze())
    }

    /// Returns whether a line begins with a dot that is not of the block, and not its end.
    fn is_stuffed(&self, rest: Option<&[u8]>) -> bool {
        self.at_line_start
            && match rest {
                Some([b'.', b'\r', after, ..]) => *after != b'\n',
                Some([b'.', after, ..]) => *after != b'\r',
                _ => false,
            }
    }

    /// Takes all that is at hand, of which the first octets have no stuffing. To move the others forward costs less than
    /// a piece for each line that begins with a dot.
    fn unstuffed(&mut self, length: usize, input: &mut BytesMut) -> Bytes {
        let (mut kept, mut taken) = (length, length);
        while self.is_stuffed(input.get(taken..)) {
            taken += 1;
            let rest = input.get(taken..).unwrap_or(&[]);
            let end = memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
            let length = match rest.get(end..) {
                Some([b'\r', b'\n', b'.', ..]) => end + 2,
                _ => {
                    self.at_line_start = false;
                    self.scan(rest, ALONE)
                }
            };
            input.copy_within(taken..taken + length, kept);
            kept += length;
            taken += length;
        }
        let mut block = input.split_to(taken);
        block.truncate(kept);
        block.freeze()
    }

    /// Returns how many octets are data, up to a dot at the start of a line or a CR that ends `input`. Many are looked at
    /// together behind the first `alone`, where a dot is expected.
    fn scan(&mut self, input: &[u8], alone: usize) -> usize {
        let (mut at, mut seen) = (0, alone);
        loop {
            let rest = input.get(at..).unwrap_or(&[]);
            if rest.is_empty() || (self.at_line_start && rest.first() == Some(&b'.')) {
                return at;
            }
            if at >= seen {
                seen = at + TOGETHER;
                let plain = plain_lines(rest);
                if plain > 0 {
                    at += plain;
                    self.at_line_start = input.get(at - 1) == Some(&b'\n');
                    continue;
                }
            }
            let Some(found) = memchr3(b'\r', b'\n', 0, rest) else {
                self.at_line_start = false;
                return input.len();
            };
            let here = at + found;
            match (input.get(here), input.get(here + 1)) {
                (Some(b'\r'), Some(b'\n')) => {
                    self.at_line_start = true;
                    at = here + 2;
                }
                (Some(b'\r'), None) => {
                    self.at_line_start &= found == 0;
                    return here;
                }
                (Some(octet), _) => {
                    match octet {
                        0 => self.irregular.nul = true,
                        _ => self.irregular.bare_newline = true,
                    }
                    self.at_line_start = false;
                    at = here + 1;
                }
                (None, _) => return input.len(),
            }
        }
    }
}

/// Octets that are looked at together.
const TOGETHER: usize = 512;
/// Octets behind a line that began with a dot in which the next one is likely.
const ALONE: usize = 128;

/// Returns how many octets at the front are looked at together and have nothing that needs care: CR and LF only side by
/// side, no NUL, no line that begins with a dot. They do not end with a CR.
fn plain_lines(text: &[u8]) -> usize {
    let (Some(first), Some(shifted)) = (text.first(), text.get(1..)) else {
        return 0;
    };
    let length = TOGETHER.min(shifted.len());
    let (Some(text), Some(shifted)) = (text.get(..length), shifted.get(..length)) else {
        return 0;
    };
    let odd = *first == b'\n' || has_odd_pairs::<true>(text, shifted);
    match text.last() {
        _ if odd => 0,
        // The other half of the line end is looked at with what follows.
        Some(b'\r') => length - 1,
        _ => length,
    }
}

/// Writes a dot-stuffed block as its octets come.
///
/// Dots at line starts are doubled, CR or LF alone become CRLF (neither may be sent), a missing
/// last CRLF is added. Text between two such places is queued without a copy.
///
/// ```
/// use bytes::Buf;
/// use hikyaku_wire::{DotEncoder, Output};
///
/// let mut output = Output::new();
/// let mut encoder = DotEncoder::new();
/// encoder.chunk(".a".into(), &mut output);
/// encoder.end(&mut output);
/// assert_eq!(output.chunk(), b"..a\r\n.\r\n");
/// ```
#[derive(Debug, Clone)]
pub struct DotEncoder {
    at_line_start: bool,
    after_cr: bool,
}

impl Default for DotEncoder {
    fn default() -> Self {
        Self::new()
    }
}

impl DotEncoder {
    /// Creates one that stands before the first octet of a block.
    #[must_use]
    pub fn new() -> Self {
        Self {
            at_line_start: true,
            after_cr: false,
        }
    }

    /// Appends the next octets of the block.
    pub fn chunk(&mut self, mut chunk: Bytes, output: &mut Output) {
        while let Some(&first) = chunk.first() {
            if self.after_cr {
                self.after_cr = false;
                self.at_line_start = true;
                output.write(b"\r\n");
                if first == b'\n' {
                    chunk.advance(1);
                    continue;
                }
            }
            if self.at_line_start && first == b'.' {
                output.write(b".");
            }
            let (length, last) = self.plain(&chunk);
            output.push(chunk.split_to(length));
            match last {
                Some(b'\r') => {
                    chunk.advance(1);
                    self.after_cr = true;
                }
                Some(b'\n') => {
                    chunk.advance(1);
                    output.write(b"\r\n");
                    self.at_line_start = true;
                }
                _ => {}
            }
        }
    }

    /// Ends the block.
    pub fn end(self, output: &mut Output) {
        if self.after_cr || !self.at_line_start {
            output.write(b"\r\n");
        }
        output.write(b".\r\n");
    }

    /// Returns how many octets go as they are, and the newline octet that needs care after them.
    fn plain(&mut self, chunk: &[u8]) -> (usize, Option<u8>) {
        let mut at = 0;
        loop {
            let rest = chunk.get(at..).unwrap_or(&[]);
            match rest.first() {
                None => return (at, None),
                // The caller has doubled a dot that comes first.
                Some(b'.') if self.at_line_start && at > 0 => return (at, None),
                Some(_) => {}
            }
            let Some(newline) = memchr2(b'\r', b'\n', rest) else {
                self.at_line_start = false;
                return (chunk.len(), None);
            };
            let here = at + newline;
            if chunk.get(here) == Some(&b'\r') && chunk.get(here + 1) == Some(&b'\n') {
                self.at_line_start = true;
                at = here + 2;
            } else {
                self.at_line_start = false;
                return (here, chunk.get(here).copied());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// The block, whether it ended, what was irregular, what is left.
    fn decode(octets: &[u8], step: usize) -> (Vec<u8>, bool, Irregular, Vec<u8>) {
        let mut decoder = DotDecoder::new();
        let mut input = BytesMut::new();
        let mut block = Vec::new();
        let mut pieces = octets.chunks(step);
        loop {
            match decoder.next(&mut input) {
                DotStep::Chunk(chunk) => block.extend_from_slice(&chunk),
                DotStep::End => {
                    let left = input.iter().chain(pieces.flatten()).copied().collect();
                    return (block, true, decoder.irregular(), left);
                }
                DotStep::NeedInput => match pieces.next() {
                    Some(piece) => input.extend_from_slice(piece),
                    None => return (block, false, decoder.irregular(), input.to_vec()),
                },
            }
        }
    }

    fn encode(octets: &[u8], step: usize) -> Vec<u8> {
        let mut output = Output::new();
        let mut encoder = DotEncoder::new();
        for piece in octets.chunks(step) {
            encoder.chunk(Bytes::copy_from_slice(piece), &mut output);
        }
        encoder.end(&mut output);
        output.copy_to_bytes(output.remaining()).to_vec()
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_block() {
        for open in [
            &b"hello\n.\n"[..],
            b"hello\n.\r\n",
            b"hello\r\n.\r",
            b"hello\r\n\0.\r\n",
            b"hello\r\n. \r\n",
            b"hello\n\n.\n\n",
            b"a\r\n.\n",
            b"a\r\n..\r\n",
            b"a\r.\r\n",
        ] {
            for step in 1..=open.len() {
                assert!(!decode(open, step).1, "{open:?}");
            }
        }
    }

    #[test]
    fn stuffing_is_removed_and_what_follows_is_left() {
        for step in 1..20 {
            let (block, ended, irregular, left) = decode(b"..\r\n.a\r\n.\r\nQUIT\r\n", step);
            assert!(ended);
            assert_eq!(block, b".\r\na\r\n");
            assert_eq!(irregular, Irregular::default());
            assert_eq!(left, b"QUIT\r\n");
        }
    }

    #[test]
    fn bare_newlines_and_nul_are_noted() {
        for step in 1..20 {
            assert!(decode(b"a\nb\r\n.\r\n", step).2.bare_newline);
            assert!(decode(b"a\rb\r\n.\r\n", step).2.bare_newline);
            assert!(decode(b"\0\r\n.\r\n", step).2.nul);
        }
    }

    #[test]
    fn what_may_not_be_sent_is_mended() {
        for step in 1..8 {
            assert_eq!(encode(b"", step), b".\r\n");
            assert_eq!(encode(b"a\n.b\rc", step), b"a\r\n..b\r\nc\r\n.\r\n");
            assert_eq!(encode(b"a\r\n.", step), b"a\r\n..\r\n.\r\n");
            assert_eq!(encode(b"a\r", step), b"a\r\n.\r\n");
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![Just("."), Just(".."), Just("a"), Just(""), Just("b.c")];
        proptest::collection::vec(line, 0..12).prop_map(|lines| {
            lines
                .iter()
                .flat_map(|l| [l.as_bytes(), b"\r\n"].concat())
                .collect()
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in text(), cut in 1_usize..9, step in 1_usize..9) {
            let wire = encode(&text, cut);
            let (block, ended, irregular, left) = decode(&wire, step);
            prop_assert!(ended);
            prop_assert_eq!(block, text);
            prop_assert_eq!(irregular, Irregular::default());
            prop_assert!(left.is_empty());
        }

        #[test]
        fn no_input_ends_a_block_early(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..40),
            step in 1_usize..9,
        ) {
            // An encoder's block ends at its own end, whatever was in it.
            let wire = encode(&octets, 1);
            let (_, ended, irregular, left) = decode(&wire, step);
            prop_assert!(ended && left.is_empty() && !irregular.bare_newline);
            prop_assert_eq!(decode(&octets, step), decode(&octets, octets.len().max(1)));
        }
    }
}
