//! What a message asks of a server (RFC 1870, 6152, 6531), worked out while its octets pass.

use memchr::memchr2;

use super::Envelope;
use crate::{ForwardPath, ReversePath};

/// Finds out what a message asks of a server (SIZE, 8BITMIME, SMTPUTF8), from its octets as they pass.
///
/// The message counts as it will be sent: line ends are the CRLF that [`Connection::chunk`](super::Connection::chunk)
/// makes of them. [`Envelope::surveyed`] puts the result into an envelope.
///
/// ```
/// use hikyaku_smtp_proto::client::Survey;
/// let mut survey = Survey::new();
/// survey.feed("Subject: one\n\nl'\u{e9}t".as_bytes());
/// survey.feed("\u{e9}\n".as_bytes());
/// assert_eq!((survey.octets(), survey.is_eight_bit(), survey.is_international()), (25, true, false));
/// ```
#[derive(Debug, Clone)]
pub struct Survey {
    /// In whole lines, as they are sent.
    octets: u64,
    /// Octets of the line under way.
    line: u64,
    longest: u64,
    after_cr: bool,
    in_header: bool,
    eight_bit: bool,
    international: bool,
}

impl Default for Survey {
    fn default() -> Self {
        Self::new()
    }
}

impl Survey {
    /// Starts before the first octet of a message.
    #[must_use]
    pub fn new() -> Self {
        Self {
            octets: 0,
            line: 0,
            longest: 0,
            after_cr: false,
            in_header: true,
            eight_bit: false,
            international: false,
        }
    }

    /// Examines a message that is whole in memory.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let mut survey = Self::new();
        survey.feed(message);
        survey
    }

    /// Examines the next octets of the message. Pieces may end anywhere, between CR and LF too; nothing is kept.
    pub fn feed(&mut self, mut octets: &[u8]) {
        while let Some(&first) = octets.first() {
            if core::mem::take(&mut self.after_cr) {
                self.end_line();
                if first == b'\n' {
                    octets = octets.get(1..).unwrap_or(&[]);
                    continue;
                }
            }
            let length = memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
            let (text, rest) = octets.split_at(length);
            self.text(text);
            if let Some((newline, rest)) = rest.split_first() {
                match newline {
                    b'\r' => self.after_cr = true,
                    _ => self.end_line(),
                }
                octets = rest;
            } else {
                octets = rest;
            }
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.line += text.len() as u64;
        let seen = match self.in_header {
            true => &mut self.international,
            false => &mut self.eight_bit,
        };
        *seen = *seen || !text.is_ascii();
    }

    fn end_line(&mut self) {
        self.octets += self.line + 2;
        self.longest = self.longest.max(self.line);
        self.in_header &= self.line > 0;
        self.line = 0;
    }

    /// Returns the octets of the message as it is sent, without what dot-stuffing adds: the SIZE (RFC 1870 §5).
    #[must_use]
    pub fn octets(&self) -> u64 {
        match self.line > 0 || self.after_cr {
            true => self.octets + self.line + 2,
            false => self.octets,
        }
    }

    /// Returns whether the body has octets over 127, and so needs 8BITMIME (RFC 6152).
    #[must_use]
    pub fn is_eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// Returns whether the header section has octets over 127, and so needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_international(&self) -> bool {
        self.international
    }

    /// Returns the octets of the longest line, without its line end. RFC 5321 §4.5.3.1.6 allows 998.
    #[must_use]
    pub fn longest_line(&self) -> u64 {
        self.longest.max(self.line)
    }
}

impl Envelope {
    /// Creates an envelope that asks for what `message` needs, which is whole in memory.
    #[must_use]
    pub fn of_message(
        reverse_path: ReversePath,
        forward_paths: alloc::vec::Vec<ForwardPath>,
        message: &[u8],
    ) -> Self {
        Self::new(reverse_path, forward_paths).surveyed(&Survey::of(message))
    }

    /// Sets [`octets`](Self::octets), [`eight_bit`](Self::eight_bit) and [`international`](Self::international) to what
    /// the survey found. For a message that is not whole in memory: feed it to the [`Survey`] first, then send it.
    ///
    /// ```
    /// use hikyaku_smtp_proto::client::{Envelope, Survey};
    /// let mut survey = Survey::new();
    /// for piece in ["Subject: one\n", "\n", "caf\u{e9}\n"] {
    ///     survey.feed(piece.as_bytes());
    /// }
    /// let envelope = Envelope::default().surveyed(&survey);
    /// assert_eq!((envelope.octets, envelope.eight_bit), (Some(23), true));
    /// ```
    #[must_use]
    pub fn surveyed(mut self, message: &Survey) -> Self {
        self.octets = Some(message.octets());
        self.eight_bit = message.is_eight_bit();
        self.international = message.is_international();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes, BytesMut};
    use hikyaku_wire::{DotDecoder, DotEncoder, DotStep, Output};
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    /// What arrives, when these octets are sent.
    fn arrives(message: &[u8]) -> Vec<u8> {
        let (mut output, mut encoder) = (Output::new(), DotEncoder::new());
        encoder.chunk(Bytes::copy_from_slice(message), &mut output);
        encoder.end(&mut output);
        let mut input = BytesMut::from(&output.copy_to_bytes(output.remaining())[..]);
        let (mut decoder, mut all) = (DotDecoder::new(), Vec::new());
        while let DotStep::Chunk(chunk) = decoder.next(&mut input) {
            all.extend_from_slice(&chunk);
        }
        all
    }

    proptest! {
        #[test]
        fn size_is_what_arrives_in_any_pieces(
            pieces in proptest::collection::vec(proptest::sample::select(&["a", "é", "\r", "\n", "\r\n", ".", "Subject: x"][..]), 0..30),
            step in 1..9_usize,
        ) {
            let message: String = pieces.concat();
            let mut survey = Survey::new();
            for piece in message.as_bytes().chunks(step) {
                survey.feed(piece);
            }
            let arrived = arrives(message.as_bytes());
            prop_assert_eq!(survey.octets(), arrived.len() as u64);
            let text = String::from_utf8(arrived).unwrap();
            let end = if text.starts_with("\r\n") { Some(0) } else { text.find("\r\n\r\n").map(|end| end + 2) };
            let (header, body) = text.split_at(end.unwrap_or(text.len()));
            prop_assert_eq!(survey.is_international(), !header.is_ascii());
            prop_assert_eq!(survey.is_eight_bit(), !body.is_ascii());
            let longest = text.split("\r\n").map(str::len).max().unwrap_or(0) as u64;
            prop_assert_eq!(survey.longest_line(), longest);
        }
    }
}
