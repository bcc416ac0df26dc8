//! The part tree of a message, and how it is kept beside it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::{Address, Content, EnvelopeView, Scanner};

/// The version of the kept form: an older one is computed anew.
pub(super) const VERSION: u8 = 3;

/// What ENVELOPE shows of a message (RFC 9051 §7.5.2). Values are unfolded and not decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date
    pub date: Option<Vec<u8>>,
    /// Subject
    pub subject: Option<Vec<u8>>,
    /// From
    pub from: Vec<Address>,
    /// Sender; From, when there is none.
    pub sender: Vec<Address>,
    /// Reply-To; From, when there is none.
    pub reply_to: Vec<Address>,
    /// To
    pub to: Vec<Address>,
    /// Cc
    pub cc: Vec<Address>,
    /// Bcc
    pub bcc: Vec<Address>,
    /// In-Reply-To
    pub in_reply_to: Option<Vec<u8>>,
    /// Message-ID
    pub message_id: Option<Vec<u8>>,
    /// References
    pub references: Option<Vec<u8>>,
}

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Neither of the others.
    Leaf,
    /// Parts between boundaries.
    Multipart,
    /// A whole message (message/rfc822): its one child.
    Message,
}

/// A part: offsets count from the first octet of the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The header section, its empty line included.
    pub header: Range<u64>,
    /// The body.
    pub body: Range<u64>,
    /// Newlines in the body.
    pub lines: u64,
    /// Newlines in the header section.
    pub header_lines: u64,
    /// What the MIME fields say.
    pub content: Content,
    /// What it is made of.
    pub kind: Kind,
    /// The envelope, of the message itself and of what lies in a message/rfc822 part.
    pub envelope: Option<Box<Envelope>>,
    /// The index behind its last descendant.
    pub end: usize,
}

/// The parts of a message in the order they stand: each before what it contains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Structure {
    pub(super) parts: Vec<Part>,
}

impl Structure {
    /// The structure of a message that is whole in memory.
    #[must_use]
    pub fn of(message: &[u8]) -> Self {
        let mut scanner = Scanner::default();
        scanner.feed(message);
        scanner.finish()
    }

    /// The message itself.
    #[must_use]
    #[allow(
        clippy::indexing_slicing,
        reason = "a scanner's result has a root, decode checks it"
    )]
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// The part of that index.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Part> {
        self.parts.get(index)
    }

    /// All parts.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The indices of a part's children.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.parts.get(index).map_or(0, |part| part.end);
        let mut next = index + 1;
        std::iter::from_fn(move || {
            let child = next;
            (child < end).then(|| {
                next = self
                    .parts
                    .get(child)
                    .map_or(end, |part| part.end.max(child + 1));
                child
            })
        })
    }

    /// The part an IMAP part number names (RFC 9051 §6.4.5.1). An empty one is the message itself.
    ///
    /// A number inside of a message/rfc822 part counts the parts of the message in it; a message
    /// that is no multipart has itself as part 1.
    #[must_use]
    pub fn find(&self, number: &[u32]) -> Option<usize> {
        let mut at = 0;
        let mut whole = true;
        for &step in number {
            let part = self.get(at)?;
            // Step into the message that a message/rfc822 part holds.
            let holder = match part.kind {
                Kind::Message if !whole => at + 1,
                _ => at,
            };
            let nth = usize::try_from(step).ok()?.checked_sub(1)?;
            match (self.get(holder)?.kind, whole || holder != at) {
                (Kind::Multipart, _) => {
                    at = self.children(holder).nth(nth)?;
                    whole = false;
                }
                // A message that is no multipart: its body is part 1.
                (_, true) if nth == 0 => {
                    at = holder;
                    whole = false;
                }
                _ => return None,
            }
        }
        Some(at)
    }

    /// The form that is kept with a message (a store's `summary`).
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut kept = vec![VERSION];
        // The envelope first, where it is read in place (`EnvelopeView`).
        let mut parts = self.parts.clone();
        let envelope = parts.first_mut().and_then(|root| root.envelope.take());
        envelope.unwrap_or_default().keep(&mut kept);
        postcard::to_extend(&parts, kept).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    /// Reads the kept form; `None` when it is of another version or damaged: scan the message anew.
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let (&version, mut rest) = kept.split_first()?;
        let envelope = (version == VERSION).then(|| EnvelopeView::read(&mut rest))??;
        let mut parts: Vec<Part> = postcard::from_bytes(rest).ok()?;
        parts.first_mut()?.envelope = Some(Box::new(envelope.owned()));
        Some(Self { parts })
    }
}
