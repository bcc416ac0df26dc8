//! The envelope of a message as it is kept: read in place, for searching and sorting many.

use super::{Address, Envelope};
use alloc::vec::Vec;

/// The version of the kept form: an older one is computed anew.
pub(super) const VERSION: u8 = 3;

/// An [`Envelope`] in its kept form. Fields are read where they lie.
///
/// ```
/// use hikyaku_message::{EnvelopeView, Structure};
/// let kept = Structure::of(b"Subject: tea\r\nFrom: Joe <joe@x.test>\r\n\r\n").encode();
/// let view = EnvelopeView::of(&kept).unwrap();
/// assert_eq!(view.subject, Some(&b"tea"[..]));
/// assert_eq!(view.from.iter().next().unwrap().host, Some(&b"x.test"[..]));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EnvelopeView<'a> {
    /// Date
    pub date: Option<&'a [u8]>,
    /// Subject
    pub subject: Option<&'a [u8]>,
    /// From
    pub from: AddressesView<'a>,
    /// Sender
    pub sender: AddressesView<'a>,
    /// Reply-To
    pub reply_to: AddressesView<'a>,
    /// To
    pub to: AddressesView<'a>,
    /// Cc
    pub cc: AddressesView<'a>,
    /// Bcc
    pub bcc: AddressesView<'a>,
    /// In-Reply-To
    pub in_reply_to: Option<&'a [u8]>,
    /// Message-ID
    pub message_id: Option<&'a [u8]>,
    /// References
    pub references: Option<&'a [u8]>,
}

/// Addresses in their kept form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressesView<'a>(&'a [u8]);

/// An [`Address`], read in place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressView<'a> {
    /// The display name.
    pub name: Option<&'a [u8]>,
    /// The source route.
    pub route: Option<&'a [u8]>,
    /// The local part.
    pub mailbox: Option<&'a [u8]>,
    /// The domain.
    pub host: Option<&'a [u8]>,
}

/// Before a text: nothing is 0, a text its length and one more, seven bits an octet.
fn write_length(mut length: usize, kept: &mut Vec<u8>) {
    while length >= 128 {
        kept.push(u8::try_from(length & 127).unwrap_or(0) | 128);
        length >>= 7;
    }
    kept.push(u8::try_from(length).unwrap_or(0));
}

fn read_length(kept: &mut &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    for shift in (0..=28).step_by(7) {
        let (&octet, rest) = kept.split_first()?;
        *kept = rest;
        length |= usize::from(octet & 127) << shift;
        if octet < 128 {
            return Some(length);
        }
    }
    None
}

fn write_text(text: Option<&[u8]>, kept: &mut Vec<u8>) {
    match text {
        None => kept.push(0),
        Some(text) => {
            write_length(text.len() + 1, kept);
            kept.extend_from_slice(text);
        }
    }
}

fn read_text<'a>(kept: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Some(length) = read_length(kept)?.checked_sub(1) else {
        return Some(None);
    };
    let (text, rest) = kept.split_at_checked(length)?;
    *kept = rest;
    Some(Some(text))
}

/// Returns how many octets a length takes.
fn length_of_length(mut length: usize) -> usize {
    let mut octets = 1;
    while length >= 128 {
        length >>= 7;
        octets += 1;
    }
    octets
}

fn write_addresses(all: &[Address], kept: &mut Vec<u8>) {
    let texts = || {
        let each = all.iter();
        each.flat_map(|one| [&one.name, &one.route, &one.mailbox, &one.host])
    };
    let octets = texts().map(|text| match text {
        None => 1,
        Some(text) => length_of_length(text.len() + 1) + text.len(),
    });
    write_length(octets.sum(), kept);
    texts().for_each(|text| write_text(text.as_deref(), kept));
}

fn read_addresses<'a>(kept: &mut &'a [u8]) -> Option<AddressesView<'a>> {
    let length = read_length(kept)?;
    let (list, rest) = kept.split_at_checked(length)?;
    *kept = rest;
    Some(AddressesView(list))
}

impl<'a> AddressesView<'a> {
    /// Returns each address, in order.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let summary = structure.encode();
    /// let envelope = EnvelopeView::of(&summary).expect("a summary of this version");
    /// let from = envelope.from.iter().next().expect("somebody");
    /// assert_eq!(from.mailbox, Some(&b"alice"[..]));
    /// ```
    pub fn iter(self) -> impl Iterator<Item = AddressView<'a>> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let kept = &mut rest;
            Some(AddressView {
                name: read_text(kept)?,
                route: read_text(kept)?,
                mailbox: read_text(kept)?,
                host: read_text(kept)?,
            })
        })
    }

    /// Returns whether there are none.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let summary = structure.encode();
    /// let envelope = EnvelopeView::of(&summary).expect("a summary of this version");
    /// assert!(envelope.cc.is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    fn owned(self) -> Vec<Address> {
        let text = |text: Option<&[u8]>| text.map(<[u8]>::to_vec);
        let address = |one: AddressView<'_>| Address {
            name: text(one.name),
            route: text(one.route),
            mailbox: text(one.mailbox),
            host: text(one.host),
        };
        self.iter().map(address).collect()
    }
}

impl<'a> EnvelopeView<'a> {
    /// Reads the envelope out of a message's summary; `None` when the summary is of another version:
    /// scan the message anew.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let summary = structure.encode();
    /// let envelope = EnvelopeView::of(&summary).expect("a summary of this version");
    /// assert_eq!(envelope.subject, Some(&b"tea"[..]));
    /// ```
    #[must_use]
    pub fn of(summary: &'a [u8]) -> Option<Self> {
        let (&version, rest) = summary.split_first()?;
        let mut rest = rest;
        (version == VERSION).then(|| Self::read(&mut rest))?
    }

    pub(super) fn read(kept: &mut &'a [u8]) -> Option<Self> {
        Some(Self {
            date: read_text(kept)?,
            subject: read_text(kept)?,
            from: read_addresses(kept)?,
            sender: read_addresses(kept)?,
            reply_to: read_addresses(kept)?,
            to: read_addresses(kept)?,
            cc: read_addresses(kept)?,
            bcc: read_addresses(kept)?,
            in_reply_to: read_text(kept)?,
            message_id: read_text(kept)?,
            references: read_text(kept)?,
        })
    }

    pub(super) fn owned(self) -> Envelope {
        let text = |text: Option<&[u8]>| text.map(<[u8]>::to_vec);
        Envelope {
            date: text(self.date),
            subject: text(self.subject),
            from: self.from.owned(),
            sender: self.sender.owned(),
            reply_to: self.reply_to.owned(),
            to: self.to.owned(),
            cc: self.cc.owned(),
            bcc: self.bcc.owned(),
            in_reply_to: text(self.in_reply_to),
            message_id: text(self.message_id),
            references: text(self.references),
        }
    }
}

impl Envelope {
    pub(super) fn keep(&self, kept: &mut Vec<u8>) {
        write_text(self.date.as_deref(), kept);
        write_text(self.subject.as_deref(), kept);
        for list in [
            &self.from,
            &self.sender,
            &self.reply_to,
            &self.to,
            &self.cc,
            &self.bcc,
        ] {
            write_addresses(list, kept);
        }
        for text in [&self.in_reply_to, &self.message_id, &self.references] {
            write_text(text.as_deref(), kept);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Option<Vec<u8>>> {
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200))
    }

    fn addresses() -> impl Strategy<Value = Vec<Address>> {
        let address =
            (text(), text(), text(), text()).prop_map(|(name, route, mailbox, host)| Address {
                name,
                route,
                mailbox,
                host,
            });
        proptest::collection::vec(address, 0..3)
    }

    proptest! {
        #[test]
        fn what_is_kept_is_read(
            (date, subject, message_id, references) in (text(), text(), text(), text()),
            (from, to, cc, bcc) in (addresses(), addresses(), addresses(), addresses()),
        ) {
            let envelope = Envelope {
                date, subject, message_id, references, from, to, cc, bcc, ..Envelope::default()
            };
            let mut kept = Vec::new();
            envelope.keep(&mut kept);
            let mut rest = &kept[..];
            prop_assert_eq!(EnvelopeView::read(&mut rest).unwrap().owned(), envelope);
            prop_assert!(rest.is_empty());
        }

        #[test]
        fn anything_is_read_or_not(octets: Vec<u8>) {
            if let Some(view) = EnvelopeView::read(&mut &octets[..]) {
                let _ = view.owned();
            }
        }
    }
}
