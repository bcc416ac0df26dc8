//! The part tree of a message, and how it is kept beside it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use serde::{Deserialize, Serialize};

use super::envelope_view::VERSION;
use super::{Content, Envelope, EnvelopeView};

/// What a part is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
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
#[non_exhaustive]
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
    /// Returns the message itself.
    #[must_use]
    #[allow(
        clippy::indexing_slicing,
        reason = "a scanner's result has a root, decode checks it"
    )]
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.root().kind, Kind::Multipart);
    /// ```
    pub fn root(&self) -> &Part {
        &self.parts[0]
    }

    /// Returns the part of that index.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// // Parts in the order in which they begin; 0 is the message itself.
    /// assert!(structure.get(2).is_some() && structure.get(3).is_none());
    /// ```
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&Part> {
        self.parts.get(index)
    }

    /// Returns all parts.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.parts().len(), 3);
    /// ```
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Returns the indices of a part's children.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.children(0).collect::<Vec<_>>(), [1, 2]);
    /// ```
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.parts.get(index).map_or(0, |part| part.end);
        let mut next = index + 1;
        core::iter::from_fn(move || {
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

    /// Finds the part that an IMAP part number names (RFC 9051 §6.4.5.1). An empty number is the message itself.
    ///
    /// A number inside of a message/rfc822 part counts the parts of the message in it; a message
    /// that is no multipart has itself as part 1.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.find(&[2]), Some(2));
    /// assert_eq!(structure.find(&[]), Some(0));
    /// ```
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

    /// Encodes the structure in the form that is kept with a message (a store's `summary`).
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let kept = structure.encode();
    /// assert_eq!(Structure::decode(&kept).expect("this version").parts().len(), 3);
    /// ```
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut kept = Vec::with_capacity(512);
        kept.push(VERSION);
        // The envelope first, where it is read in place (`EnvelopeView`).
        match self.parts.first().and_then(|root| root.envelope.as_ref()) {
            Some(envelope) => envelope.keep(&mut kept),
            None => Envelope::default().keep(&mut kept),
        }
        let parts = kept::Parts(&self.parts);
        postcard::to_extend(&parts, kept).map_or_else(|_| Bytes::new(), Bytes::from)
    }

    /// Reads the kept form; `None` when it is of another version or damaged: scan the message anew.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let kept = structure.encode();
    /// assert!(Structure::decode(&kept).is_some());
    /// // Another version, or damaged: scan the message again.
    /// assert!(Structure::decode(b"?").is_none());
    /// ```
    #[must_use]
    pub fn decode(kept: &[u8]) -> Option<Self> {
        let (envelope, rest) = kept_envelope(kept)?;
        let mut parts: Vec<Part> = postcard::from_bytes(rest).ok()?;
        parts.first_mut()?.envelope = Some(Box::new(envelope.owned()));
        Some(Self { parts })
    }

    /// Reads the [`root`](Self::root) alone from the kept form: what a list shows, at the same cost for a message of a
    /// thousand parts as for one of one. `None` as for [`decode`](Self::decode).
    ///
    /// ```
    /// use hikyaku_message::Structure;
    /// let structure = Structure::of(b"Subject: tea\r\nContent-Type: text/html\r\n\r\n<p>tea");
    /// let root = Structure::decode_root(&structure.encode());
    /// assert_eq!(root.as_ref(), Some(structure.root()));
    /// ```
    #[must_use]
    pub fn decode_root(kept: &[u8]) -> Option<Part> {
        let (envelope, rest) = kept_envelope(kept)?;
        // How many parts, and then each.
        let (_, rest) = postcard::take_from_bytes::<usize>(rest).ok()?;
        let (mut root, _) = postcard::take_from_bytes::<Part>(rest).ok()?;
        root.envelope = Some(Box::new(envelope.owned()));
        Some(root)
    }
}

/// The envelope of the kept form, and what follows it.
fn kept_envelope(kept: &[u8]) -> Option<(EnvelopeView<'_>, &[u8])> {
    let (&version, mut rest) = kept.split_first()?;
    let envelope = (version == VERSION).then(|| EnvelopeView::read(&mut rest))??;
    Some((envelope, rest))
}

/// What is written of a part: the same octets as a [`Part`] itself would be, its texts written whole instead of octet by
/// octet, and nothing copied before.
mod kept {
    use alloc::vec::Vec;
    use core::ops::Range;
    use serde::{Serialize, Serializer};

    use super::super::{Address, Content};
    use super::{Envelope, Kind};

    /// Parts, one after the other.
    pub(super) struct Parts<'a>(pub(super) &'a [super::Part]);

    impl Serialize for Parts<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let parts = self.0.iter().enumerate();
            serializer.collect_seq(parts.map(|(index, part)| Part::of(part, index == 0)))
        }
    }

    #[derive(Serialize)]
    struct Part<'a> {
        header: &'a Range<u64>,
        body: &'a Range<u64>,
        lines: u64,
        header_lines: u64,
        content: Fields<'a>,
        kind: Kind,
        envelope: Option<Inner<'a>>,
        end: usize,
    }

    impl<'a> Part<'a> {
        /// The envelope of the root is written elsewhere.
        fn of(part: &'a super::Part, is_root: bool) -> Self {
            let envelope = part.envelope.as_deref().filter(|_| !is_root);
            Self {
                header: &part.header,
                body: &part.body,
                lines: part.lines,
                header_lines: part.header_lines,
                content: Fields::of(&part.content),
                kind: part.kind,
                envelope: envelope.map(Inner::of),
                end: part.end,
            }
        }
    }

    /// A text: as it is, its length before it.
    struct Text<'a>(&'a [u8]);

    impl Serialize for Text<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(self.0)
        }
    }

    fn text(text: &Option<Vec<u8>>) -> Option<Text<'_>> {
        text.as_deref().map(Text)
    }

    struct Parameters<'a>(&'a [(Vec<u8>, Vec<u8>)]);

    impl Serialize for Parameters<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let all = self.0.iter();
            serializer.collect_seq(all.map(|(name, value)| (Text(name), Text(value))))
        }
    }

    struct Texts<'a>(&'a [Vec<u8>]);

    impl Serialize for Texts<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().map(|text| Text(text)))
        }
    }

    #[derive(Serialize)]
    struct Disposition<'a> {
        kind: Text<'a>,
        parameters: Parameters<'a>,
    }

    /// A [`Content`].
    #[derive(Serialize)]
    struct Fields<'a> {
        kind: Text<'a>,
        subtype: Text<'a>,
        parameters: Parameters<'a>,
        id: Option<Text<'a>>,
        description: Option<Text<'a>>,
        encoding: Option<Text<'a>>,
        md5: Option<Text<'a>>,
        disposition: Option<Disposition<'a>>,
        language: Texts<'a>,
        location: Option<Text<'a>>,
    }

    impl<'a> Fields<'a> {
        fn of(content: &'a Content) -> Self {
            Self {
                kind: Text(&content.kind),
                subtype: Text(&content.subtype),
                parameters: Parameters(&content.parameters),
                id: text(&content.id),
                description: text(&content.description),
                encoding: text(&content.encoding),
                md5: text(&content.md5),
                disposition: content.disposition.as_ref().map(|one| Disposition {
                    kind: Text(&one.kind),
                    parameters: Parameters(&one.parameters),
                }),
                language: Texts(&content.language),
                location: text(&content.location),
            }
        }
    }

    #[derive(Serialize)]
    struct Person<'a> {
        name: Option<Text<'a>>,
        route: Option<Text<'a>>,
        mailbox: Option<Text<'a>>,
        host: Option<Text<'a>>,
    }

    struct People<'a>(&'a [Address]);

    impl Serialize for People<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.0.iter().map(|one| Person {
                name: text(&one.name),
                route: text(&one.route),
                mailbox: text(&one.mailbox),
                host: text(&one.host),
            }))
        }
    }

    /// The [`Envelope`] of a message within.
    #[derive(Serialize)]
    struct Inner<'a> {
        date: Option<Text<'a>>,
        subject: Option<Text<'a>>,
        from: People<'a>,
        sender: People<'a>,
        reply_to: People<'a>,
        to: People<'a>,
        cc: People<'a>,
        bcc: People<'a>,
        in_reply_to: Option<Text<'a>>,
        message_id: Option<Text<'a>>,
        references: Option<Text<'a>>,
    }

    impl<'a> Inner<'a> {
        fn of(envelope: &'a Envelope) -> Self {
            Self {
                date: text(&envelope.date),
                subject: text(&envelope.subject),
                from: People(&envelope.from),
                sender: People(&envelope.sender),
                reply_to: People(&envelope.reply_to),
                to: People(&envelope.to),
                cc: People(&envelope.cc),
                bcc: People(&envelope.bcc),
                in_reply_to: text(&envelope.in_reply_to),
                message_id: text(&envelope.message_id),
                references: text(&envelope.references),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned as _;
    use alloc::format;
    use alloc::vec;

    /// What was written before anything was written for itself.
    fn plainly(structure: &Structure) -> Vec<u8> {
        let mut kept = vec![VERSION];
        let mut parts = structure.parts.clone();
        let envelope = parts.first_mut().and_then(|root| root.envelope.take());
        envelope.unwrap_or_default().keep(&mut kept);
        postcard::to_extend(&parts, kept).unwrap()
    }

    #[test]
    fn a_summary_is_what_its_types_are() {
        let inner = "From: A <a@b.test>\r\nSender: <s@b.test>\r\nTo: x: c@d.test, e@f.test;\r\nCc: <@r.test:g@h.test>\r\n\
            Bcc: i@j.test\r\nSubject: s\r\nDate: d\r\nIn-Reply-To: <1@a>\r\nReferences: <0@a>\r\nMessage-ID: <2@a>\r\n\
            Reply-To: k@l.test\r\n\r\nbody\r\n";
        let message = format!(
            "{}Content-Type: multipart/mixed; boundary=b; x=\"y z\"\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n\
             --b\r\nContent-Type: image/png; name=n\r\nContent-Disposition: attachment; filename=f\r\nContent-ID: <i>\r\n\
             Content-Description: d\r\nContent-Transfer-Encoding: base64\r\nContent-MD5: m\r\nContent-Language: de, en\r\n\
             Content-Location: l\r\n\r\nAAAA\r\n--b--\r\n",
            inner
                .trim_end_matches("body\r\n")
                .trim_end_matches("\r\n")
                .to_owned()
                + "\r\n"
        );
        for message in [message.as_str(), inner, "", "\r\n", "no header"] {
            let structure = Structure::of(message.as_bytes());
            let kept = structure.encode();
            assert_eq!(kept, plainly(&structure), "{message}");
            assert_eq!(Structure::decode(&kept).as_ref(), Some(&structure));
            let root = Structure::decode_root(&kept);
            assert_eq!(root.as_ref(), Some(structure.root()), "{message}");
        }
    }
}
