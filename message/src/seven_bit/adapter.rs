//! The second pass: a message becomes one of 7 bits as it passes.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

use super::base64_lines::Base64Lines;
use super::header_edit::HeaderEdit;
use super::plan::{Label, Step};
use super::quoted_printable::QuotedPrintable;
use super::verbatim::verbatim;
use crate::{Encoding, TransferDecoder};

/// Octets that are decoded together.
const SOME: usize = 8 * 1024;

/// Makes a message one of 7 bits as it passes, for servers without 8BITMIME (RFC 6152 §3): what a
/// [`SevenBitSurvey`](crate::SevenBitSurvey) of the same message has found to be done.
///
/// A message passes twice, so that it need not be in memory: through the survey, and through this, piece by piece into
/// whatever sends it. Between them another pass, through a clone, counts what will be sent:
///
/// ```
/// use hikyaku_message::{NotSevenBit, SevenBitSurvey};
/// # use bytes::Bytes;
/// # struct Machine(Vec<u8>);
/// # impl Machine { fn chunk(&mut self, chunk: Bytes) { self.0.extend_from_slice(&chunk) } }
/// # let mut machine = Machine(Vec::new());
/// // Three times the same octets, however they are cut.
/// let pieces = ["Subject: tea\r\n\r\nThe caf", "\u{e9} opens at eight.\r\n"];
///
/// let mut survey = SevenBitSurvey::new();
/// for piece in pieces {
///     survey.feed(piece.as_bytes());
/// }
/// let mut seven_bit = survey.finish()?;
///
/// let (mut count, mut octets) = (seven_bit.clone(), 0);
/// for piece in pieces {
///     octets += count.push(piece.as_bytes()).len();
/// }
///
/// for piece in pieces {
///     machine.chunk(seven_bit.push(piece.as_bytes()));
/// }
/// assert_eq!(machine.0.len(), octets);
/// assert!(machine.0.ends_with(b"\r\n\r\nThe caf=C3=A9 opens at eight.\r\n"));
/// # Ok::<(), NotSevenBit>(())
/// ```
///
/// With `hikyaku-smtp-proto` the pieces of the counting pass go into a `client::Survey`, and those of the last one into
/// `client::Connection::chunk`.
///
/// Nothing remains to be finished behind the last piece: the survey knows where the message ends. What is held between two
/// pieces is the name of a header field (64 KiB at most, if it is followed by as many blanks), or less than a line. If other
/// octets are pushed than were surveyed, what comes out is ASCII, too, and good for nothing. All work is linear.
#[derive(Debug, Clone)]
pub struct SevenBit {
    steps: Arc<[Step]>,
    next: usize,
    /// Octets that have come.
    at: u64,
    place: Place,
}

/// What the octets that come next belong to.
#[derive(Debug, Clone)]
enum Place {
    /// What stands before the next step's part.
    Between,
    /// The header section of the next step's part.
    Header(HeaderEdit),
    /// The body of the next step's part.
    Body(Body),
}

impl SevenBit {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self {
            steps: steps.into(),
            next: 0,
            at: 0,
            place: Place::Between,
        }
    }

    /// Takes the next octets of the message, and returns those to send: none where they wait for what follows; at most
    /// about three times as many, and the header fields that parts lack.
    ///
    /// ```
    /// use hikyaku_message::SevenBitSurvey;
    /// let message = b"Subject: Lunch\r\n\r\nAt noon?\r\n";
    /// let mut survey = SevenBitSurvey::new();
    /// survey.feed(message);
    /// let mut seven_bit = survey.finish().unwrap();
    /// assert_eq!(seven_bit.push(message), &message[..], "nothing has to change");
    /// ```
    #[must_use]
    pub fn push(&mut self, octets: &[u8]) -> Bytes {
        let mut output = Vec::with_capacity(octets.len() + octets.len() / 2);
        self.convert(octets, &mut output);
        output.into()
    }

    pub(super) fn convert(&mut self, mut octets: &[u8], output: &mut Vec<u8>) {
        loop {
            let end = self.place_end();
            let left = usize::try_from(end.saturating_sub(self.at)).unwrap_or(usize::MAX);
            let (some, rest) = octets.split_at(left.min(octets.len()));
            self.at += some.len() as u64;
            octets = rest;
            match &mut self.place {
                Place::Between => verbatim(some, output),
                Place::Header(header) => header.push(some, output),
                Place::Body(body) => body.push(some, output),
            }
            if self.at < end {
                return;
            }
            self.next_place(output);
        }
    }

    /// Where the next place begins, in octets from the start of the message.
    fn place_end(&self) -> u64 {
        let Some(step) = self.steps.get(self.next) else {
            return u64::MAX;
        };
        match (&self.place, step.body) {
            (Place::Between, _) => step.header.start,
            (Place::Body(_), Some((_, end))) => end,
            (Place::Header(_) | Place::Body(_), _) => step.header.end,
        }
    }

    fn next_place(&mut self, output: &mut Vec<u8>) {
        let Some(step) = self.steps.get(self.next) else {
            return;
        };
        let next = match &mut self.place {
            Place::Between => Place::Header(HeaderEdit::new(step.edit)),
            Place::Header(header) => {
                header.finish(output);
                match step.body {
                    Some((encoding, _)) => Place::Body(Body::new(encoding, step.edit.label)),
                    None => Place::Between,
                }
            }
            Place::Body(body) => {
                body.finish(output);
                Place::Between
            }
        };
        if let Place::Between = next {
            self.next += 1;
        }
        self.place = next;
    }
}

/// A body that is written in another encoding.
#[derive(Debug, Clone)]
struct Body {
    /// Of the encoding that it has. Octets that do not belong into it are what its reader makes of them.
    decoder: Option<TransferDecoder>,
    writer: Writer,
    ends_line: bool,
}

#[derive(Debug, Clone)]
enum Writer {
    QuotedPrintable(QuotedPrintable),
    Base64(Base64Lines),
}

impl Body {
    fn new(encoding: Encoding, label: Label) -> Self {
        let is_encoded = encoding != Encoding::Identity;
        Self {
            decoder: is_encoded.then(|| TransferDecoder::new(encoding)),
            writer: match label {
                Label::QuotedPrintable => Writer::QuotedPrintable(QuotedPrintable::new()),
                Label::SevenBit | Label::Base64 => Writer::Base64(Base64Lines::new()),
            },
            ends_line: false,
        }
    }

    fn push(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        let Some(last) = octets.last() else { return };
        self.ends_line = *last == b'\n';
        let Some(decoder) = &mut self.decoder else {
            return self.writer.push(octets, output);
        };
        let mut decoded = Vec::with_capacity(SOME);
        for some in octets.chunks(SOME) {
            decoded.clear();
            decoder.decode(some, &mut decoded);
            self.writer.push(&decoded, output);
        }
    }

    fn finish(&mut self, output: &mut Vec<u8>) {
        if let Some(mut decoder) = self.decoder.take() {
            let mut decoded = Vec::new();
            decoder.finish(&mut decoded);
            self.writer.push(&decoded, output);
        }
        match &mut self.writer {
            Writer::QuotedPrintable(lines) => lines.finish(output),
            Writer::Base64(lines) => {
                lines.finish(output);
                // The last line ends where the body's did.
                if self.ends_line {
                    output.extend_from_slice(b"\r\n");
                }
            }
        }
    }
}

impl Writer {
    fn push(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        match self {
            Self::QuotedPrintable(lines) => lines.push(octets, output),
            Self::Base64(lines) => lines.push(octets, output),
        }
    }
}
