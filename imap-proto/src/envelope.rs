//! ENVELOPE (RFC 9051 §7.5.2).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::cursor::{Cursor, Result};
use crate::text::{write_list, write_nstring};

/// The parsed header summary of a message. Strings are as they stand in the header, unfolded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Date
    pub date: Option<Bytes>,
    /// Subject
    pub subject: Option<Bytes>,
    /// From
    pub from: Vec<Address>,
    /// Sender
    pub sender: Vec<Address>,
    /// Reply-To
    pub reply_to: Vec<Address>,
    /// To
    pub to: Vec<Address>,
    /// Cc
    pub cc: Vec<Address>,
    /// Bcc
    pub bcc: Vec<Address>,
    /// In-Reply-To
    pub in_reply_to: Option<Bytes>,
    /// Message-ID
    pub message_id: Option<Bytes>,
}

/// An address. A group begins with one that has a mailbox (its name) and no host, and ends with one
/// that has neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// The display name.
    pub name: Option<Bytes>,
    /// The source route.
    pub route: Option<Bytes>,
    /// The local part.
    pub mailbox: Option<Bytes>,
    /// The domain.
    pub host: Option<Bytes>,
}

impl Address {
    fn encode(&self, output: &mut Output) {
        let all = [&self.name, &self.route, &self.mailbox, &self.host];
        write_list(all, output, |text, output| {
            write_nstring(text.as_deref(), output);
        });
    }
}

impl Envelope {
    /// Appends it with its parentheses.
    pub fn encode(&self, output: &mut Output) {
        let addresses = |list: &[Address], output: &mut Output| {
            if list.is_empty() {
                return output.write(b" NIL");
            }
            // No blank between addresses (RFC 9051 §9 `env-from`).
            output.write(b" (");
            list.iter().for_each(|address| address.encode(output));
            output.write(b")");
        };
        output.write(b"(");
        write_nstring(self.date.as_deref(), output);
        output.write(b" ");
        write_nstring(self.subject.as_deref(), output);
        for list in [
            &self.from,
            &self.sender,
            &self.reply_to,
            &self.to,
            &self.cc,
            &self.bcc,
        ] {
            addresses(list, output);
        }
        output.write(b" ");
        write_nstring(self.in_reply_to.as_deref(), output);
        output.write(b" ");
        write_nstring(self.message_id.as_deref(), output);
        output.write(b")");
    }
}

/// ENVELOPE's value.
pub(crate) fn envelope(cursor: &mut Cursor<'_>) -> Result<Envelope> {
    cursor.expect(b'(', "\"(\"")?;
    let date = cursor.any_nstring()?;
    cursor.sp()?;
    let subject = cursor.any_nstring()?;
    let mut lists = [const { Vec::new() }; 6];
    for list in &mut lists {
        cursor.sp()?;
        *list = addresses(cursor)?;
    }
    let [from, sender, reply_to, to, cc, bcc] = lists;
    cursor.sp()?;
    let in_reply_to = cursor.any_nstring()?;
    cursor.sp()?;
    let message_id = cursor.any_nstring()?;
    cursor.expect(b')', "\")\"")?;
    Ok(Envelope {
        date,
        subject,
        from,
        sender,
        reply_to,
        to,
        cc,
        bcc,
        in_reply_to,
        message_id,
    })
}

/// Some servers put blanks between addresses.
fn addresses(cursor: &mut Cursor<'_>) -> Result<Vec<Address>> {
    if cursor.eat_word("NIL") {
        return Ok(Vec::new());
    }
    cursor.expect(b'(', "\"(\"")?;
    let mut all = Vec::new();
    while !cursor.eat(b')') {
        cursor.eat(b' ');
        cursor.expect(b'(', "an address")?;
        let name = cursor.any_nstring()?;
        cursor.sp()?;
        let route = cursor.any_nstring()?;
        cursor.sp()?;
        let mailbox = cursor.any_nstring()?;
        cursor.sp()?;
        let host = cursor.any_nstring()?;
        cursor.expect(b')', "\")\"")?;
        all.push(Address {
            name,
            route,
            mailbox,
            host,
        });
    }
    Ok(all)
}
