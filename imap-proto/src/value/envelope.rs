//! ENVELOPE (RFC 9051 §7.5.2).

use hikyaku_wire::Output;

use crate::Leniency;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::tape::{NIL, Tape, Writer};
use crate::plumbing::text::{write_list, write_nstring};

/// The parsed header summary of a message. Strings are as they stand in the header, unfolded. They lie where they
/// came in: one allocation for all of them.
///
/// ```
/// use hikyaku_imap_proto::{Address, Envelope, EnvelopeFields};
/// let joe = Address { mailbox: Some(b"joe"), host: Some(b"x.test"), ..Address::default() };
/// let envelope = Envelope::new(EnvelopeFields {
///     subject: Some(b"tea"),
///     from: &[joe],
///     ..EnvelopeFields::default()
/// });
/// assert_eq!(envelope.subject(), Some(&b"tea"[..]));
/// assert_eq!(envelope.from().get(0), Some(joe));
/// ```
#[derive(Clone, Default)]
pub struct Envelope {
    /// Date, Subject, In-Reply-To, Message-ID; then four texts of each address.
    tape: Tape,
    /// Behind which address the lists end: From, Sender, Reply-To, To, Cc, Bcc.
    ends: [u32; 6],
}

/// What an [`Envelope`] is made of.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct EnvelopeFields<'a> {
    /// Date
    pub date: Option<&'a [u8]>,
    /// Subject
    pub subject: Option<&'a [u8]>,
    /// From
    pub from: &'a [Address<'a>],
    /// Sender
    pub sender: &'a [Address<'a>],
    /// Reply-To
    pub reply_to: &'a [Address<'a>],
    /// To
    pub to: &'a [Address<'a>],
    /// Cc
    pub cc: &'a [Address<'a>],
    /// Bcc
    pub bcc: &'a [Address<'a>],
    /// In-Reply-To
    pub in_reply_to: Option<&'a [u8]>,
    /// Message-ID
    pub message_id: Option<&'a [u8]>,
}

/// An address. A group begins with one that has a mailbox (its name) and no host, and ends with one
/// that has neither.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Address<'a> {
    /// The display name.
    pub name: Option<&'a [u8]>,
    /// The source route.
    pub route: Option<&'a [u8]>,
    /// The local part.
    pub mailbox: Option<&'a [u8]>,
    /// The domain.
    pub host: Option<&'a [u8]>,
}

/// The addresses of a field.
#[derive(Clone, Copy)]
pub struct Addresses<'a> {
    tape: &'a Tape,
    first: u32,
    end: u32,
}

/// How many texts are before the addresses'.
const TEXTS: usize = 4;

impl<'a> Addresses<'a> {
    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        usize::try_from(self.end - self.first).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.first == self.end
    }

    /// That one, counted from 0.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Address<'a>> {
        (index < self.len()).then(|| {
            let first = usize::try_from(self.first).unwrap_or(usize::MAX);
            let at = TEXTS + 4 * (first + index);
            Address {
                name: self.tape.get(at),
                route: self.tape.get(at + 1),
                mailbox: self.tape.get(at + 2),
                host: self.tape.get(at + 3),
            }
        })
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Address<'a>> {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

/// `b"text"` or `None`.
struct Shown<'a>(Option<&'a [u8]>);

impl core::fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(text) => write!(f, "b\"{}\"", text.escape_ascii()),
            None => f.write_str("None"),
        }
    }
}

impl core::fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Address")
            .field("name", &Shown(self.name))
            .field("route", &Shown(self.route))
            .field("mailbox", &Shown(self.mailbox))
            .field("host", &Shown(self.host))
            .finish()
    }
}

impl core::fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Addresses<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Addresses<'_> {}

impl Address<'_> {
    fn encode(&self, output: &mut Output) {
        let all = [self.name, self.route, self.mailbox, self.host];
        write_list(all, output, write_nstring);
    }
}

impl Envelope {
    /// The envelope of those fields, which are copied.
    #[must_use]
    pub fn new(fields: EnvelopeFields<'_>) -> Self {
        let lists = [
            fields.from,
            fields.sender,
            fields.reply_to,
            fields.to,
            fields.cc,
            fields.bcc,
        ];
        let count: usize = lists.iter().map(|list| list.len()).sum();
        let mut writer = Writer::new(None, TEXTS + 4 * count);
        let texts = [
            fields.date,
            fields.subject,
            fields.in_reply_to,
            fields.message_id,
        ];
        let addresses = lists.into_iter().flatten();
        let addresses = addresses.flat_map(|one| [one.name, one.route, one.mailbox, one.host]);
        for text in texts.into_iter().chain(addresses) {
            let span = writer.own(text);
            writer.push(span);
        }
        let mut count = 0_u32;
        let ends = lists.map(|list| {
            count = count.saturating_add(u32::try_from(list.len()).unwrap_or(u32::MAX));
            count
        });
        Self {
            tape: writer.finish(None),
            ends,
        }
    }
    /// Date
    #[must_use]
    pub fn date(&self) -> Option<&[u8]> {
        self.tape.get(0)
    }

    /// Subject
    #[must_use]
    pub fn subject(&self) -> Option<&[u8]> {
        self.tape.get(1)
    }

    /// In-Reply-To
    #[must_use]
    pub fn in_reply_to(&self) -> Option<&[u8]> {
        self.tape.get(2)
    }

    /// Message-ID
    #[must_use]
    pub fn message_id(&self) -> Option<&[u8]> {
        self.tape.get(3)
    }

    /// From
    #[must_use]
    pub fn from(&self) -> Addresses<'_> {
        self.list(0)
    }

    /// Sender
    #[must_use]
    pub fn sender(&self) -> Addresses<'_> {
        self.list(1)
    }

    /// Reply-To
    #[must_use]
    pub fn reply_to(&self) -> Addresses<'_> {
        self.list(2)
    }

    /// To
    #[must_use]
    pub fn to(&self) -> Addresses<'_> {
        self.list(3)
    }

    /// Cc
    #[must_use]
    pub fn cc(&self) -> Addresses<'_> {
        self.list(4)
    }

    /// Bcc
    #[must_use]
    pub fn bcc(&self) -> Addresses<'_> {
        self.list(5)
    }

    fn list(&self, index: usize) -> Addresses<'_> {
        let end = |index: usize| self.ends.get(index).copied().unwrap_or(0);
        Addresses {
            tape: &self.tape,
            first: index.checked_sub(1).map_or(0, end),
            end: end(index),
        }
    }

    fn lists(&self) -> impl Iterator<Item = Addresses<'_>> {
        (0..6).map(|index| self.list(index))
    }

    fn texts(&self) -> [Option<&[u8]>; TEXTS] {
        core::array::from_fn(|index| self.tape.get(index))
    }

    /// Appends it with its parentheses.
    pub fn encode(&self, output: &mut Output) {
        output.write(b"(");
        write_nstring(self.date(), output);
        output.write(b" ");
        write_nstring(self.subject(), output);
        for list in self.lists() {
            if list.is_empty() {
                output.write(b" NIL");
                continue;
            }
            // No blank between addresses (RFC 9051 §9 `env-from`).
            output.write(b" (");
            list.iter().for_each(|address| address.encode(output));
            output.write(b")");
        }
        output.write(b" ");
        write_nstring(self.in_reply_to(), output);
        output.write(b" ");
        write_nstring(self.message_id(), output);
        output.write(b")");
    }
}

impl core::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Envelope")
            .field("date", &Shown(self.date()))
            .field("subject", &Shown(self.subject()))
            .field("from", &self.from())
            .field("sender", &self.sender())
            .field("reply_to", &self.reply_to())
            .field("to", &self.to())
            .field("cc", &self.cc())
            .field("bcc", &self.bcc())
            .field("in_reply_to", &Shown(self.in_reply_to()))
            .field("message_id", &Shown(self.message_id()))
            .finish()
    }
}

impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        self.texts() == other.texts() && self.lists().eq(other.lists())
    }
}

impl Eq for Envelope {}

/// So many texts an envelope has in most mails: five addresses.
const EXPECTED: usize = TEXTS + 4 * 6;

/// ENVELOPE's value.
pub(crate) fn envelope(cursor: &mut Cursor<'_>) -> Result<Envelope> {
    let mut writer = Writer::new(Some(cursor), EXPECTED);
    cursor.expect(b'(', "\"(\"")?;
    let date = writer.nstring(cursor)?;
    cursor.sp()?;
    let subject = writer.nstring(cursor)?;
    for span in [date, subject, NIL, NIL] {
        writer.push(span);
    }
    let (mut ends, mut count) = ([0; 6], 0);
    let ends_here =
        |cursor: &Cursor<'_>| cursor.peek() == Some(b')') && cursor.lets(Leniency::ShortEnvelope);
    for end in &mut ends {
        if !ends_here(cursor) {
            cursor.sp()?;
            count += addresses(cursor, &mut writer)?;
        }
        *end = count;
    }
    for index in [2, 3] {
        if ends_here(cursor) {
            break;
        }
        cursor.sp()?;
        let span = writer.nstring(cursor)?;
        writer.set(index, span);
    }
    cursor.expect(b')', "\")\"")?;
    Ok(Envelope {
        tape: writer.finish(Some(cursor)),
        ends,
    })
}

/// How many there were. Some servers put blanks between addresses.
fn addresses(cursor: &mut Cursor<'_>, writer: &mut Writer) -> Result<u32> {
    if cursor.eat_word("NIL") {
        return Ok(0);
    }
    cursor.expect(b'(', "\"(\"")?;
    let mut count = 0;
    while !cursor.eat(b')') {
        if cursor.lets(Leniency::Blanks) {
            cursor.eat(b' ');
        }
        if cursor.lets(Leniency::NilAddress) && cursor.eat_word("NIL") {
            cursor.eat(b' ');
            continue;
        }
        cursor.expect(b'(', "an address")?;
        for index in 0..4 {
            if index > 0 {
                cursor.sp()?;
            }
            let span = writer.nstring(cursor)?;
            writer.push(span);
        }
        cursor.expect(b')', "\")\"")?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes};

    #[test]
    fn texts_that_lie_there_and_texts_that_do_not() {
        let sent = Bytes::from_static(
            b"x (NIL \"a \\\"b\\\"\" ((\"\" NIL {3}\r\nj\"e \"x.test\")(NIL NIL \"\\\\\" NIL)) NIL NIL NIL NIL NIL \"\" \"<i>\")",
        );
        let mut cursor = Cursor::new(&sent);
        assert!(cursor.eat_prefix("x "));
        let read = envelope(&mut cursor).unwrap();
        assert!(cursor.is_at_end());
        let from = [
            Address {
                name: Some(b""),
                mailbox: Some(b"j\"e"),
                host: Some(b"x.test"),
                ..Address::default()
            },
            Address {
                mailbox: Some(b"\\"),
                ..Address::default()
            },
        ];
        let made = Envelope::new(EnvelopeFields {
            subject: Some(b"a \"b\""),
            from: &from,
            in_reply_to: Some(b""),
            message_id: Some(b"<i>"),
            ..EnvelopeFields::default()
        });
        assert_eq!(read, made);
        assert_eq!(read.from().iter().collect::<alloc::vec::Vec<_>>(), from);
        assert!(read.to().is_empty() && read.to().get(0).is_none());
        let mut output = Output::new();
        made.encode(&mut output);
        let written = output.copy_to_bytes(output.len());
        assert_eq!(envelope(&mut Cursor::new(&written)), Ok(made));
        let nothing = Envelope::new(EnvelopeFields::default());
        assert_eq!(nothing, Envelope::default());
        assert_ne!(nothing, read);
    }
}
