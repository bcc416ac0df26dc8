//! Converts between the types of the store and those of IMAP.

use bytes::Bytes;
use hikyaku_imap_proto::{
    Address, BodyStructure, Envelope, EnvelopeFields, Flag, NewBody, NewFields, NewPart,
};
use hikyaku_mailstore::{AccountId, EmailId, Flags, MailboxId, Uid, UidSet};
use hikyaku_message::{Kind, Structure};

static SYSTEM: [(Flag, Flags); 5] = [
    (Flag::Answered, Flags::ANSWERED),
    (Flag::Flagged, Flags::FLAGGED),
    (Flag::Deleted, Flags::DELETED),
    (Flag::Seen, Flags::SEEN),
    (Flag::Draft, Flags::DRAFT),
];

/// The flags as IMAP has them.
pub(super) fn imap_flags(flags: &Flags) -> impl Iterator<Item = Flag> {
    let system = SYSTEM
        .iter()
        .filter(|(_, kept)| flags.contains(kept))
        .map(|(flag, _)| flag.clone());
    let keywords = flags
        .keywords()
        .map(|name| Flag::Keyword(Bytes::copy_from_slice(name.as_bytes())));
    system.chain(keywords)
}

/// The flags as they are kept; `\Recent` and what is unknown cannot be.
pub(super) fn flags_kept(flags: &[Flag]) -> Option<Flags> {
    let mut kept = Flags::NONE;
    for flag in flags {
        // `\Recent` and `\*` are passed over.
        if matches!(flag, Flag::Keyword(_)) || SYSTEM.iter().any(|(known, _)| known == flag) {
            kept.add_named(std::str::from_utf8(flag.as_bytes()).ok()?)
                .ok()?;
        }
    }
    Some(kept)
}

pub(super) fn system_flags() -> Vec<Flag> {
    SYSTEM.iter().map(|(flag, _)| flag.clone()).collect()
}

/// MAILBOXID (RFC 8474 §4): the same whatever the mailbox is called.
pub(super) fn mailbox_id(id: MailboxId) -> Bytes {
    format!("m{}-{}", id.account.0, id.number).into()
}

/// EMAILID (RFC 8474 §5.1): the same for all copies in an account.
pub(super) fn email_id(account: AccountId, email: EmailId) -> Bytes {
    format!("e{}-{}", account.0, email.0).into()
}

/// A UID as the machine has it.
pub(super) fn imap_uid(uid: Uid) -> hikyaku_imap_proto::Uid {
    uid.0.into()
}

/// A UID as the store has it.
pub(super) fn kept_uid(uid: hikyaku_imap_proto::Uid) -> Uid {
    Uid(uid.into())
}

pub(super) fn uid_set(ranges: &[(u32, u32)]) -> UidSet {
    UidSet::from_ranges(ranges.iter().copied())
}

pub(super) fn envelope(envelope: &hikyaku_message::Envelope) -> Envelope {
    fn address(one: &hikyaku_message::Address) -> Address<'_> {
        Address {
            name: one.name.as_deref(),
            route: one.route.as_deref(),
            mailbox: one.mailbox.as_deref(),
            host: one.host.as_deref(),
        }
    }
    fn all(list: &[hikyaku_message::Address]) -> Vec<Address<'_>> {
        list.iter().map(address).collect()
    }
    Envelope::new(EnvelopeFields {
        date: envelope.date.as_deref(),
        subject: envelope.subject.as_deref(),
        from: &all(&envelope.from),
        sender: &all(&envelope.sender),
        reply_to: &all(&envelope.reply_to),
        to: &all(&envelope.to),
        cc: &all(&envelope.cc),
        bcc: &all(&envelope.bcc),
        in_reply_to: envelope.in_reply_to.as_deref(),
        message_id: envelope.message_id.as_deref(),
    })
}

fn pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<(&[u8], &[u8])> {
    pairs
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect()
}

fn fields(content: &hikyaku_message::Content) -> NewFields<'_> {
    let disposition = content.disposition.as_ref();
    NewFields {
        disposition: disposition.map(|one| (&*one.kind, pairs(&one.parameters))),
        language: content.language.iter().map(|tag| &**tag).collect(),
        location: content.location.as_deref(),
    }
}

/// RFC 2045 §5.2: what is said of nothing is text/plain in US-ASCII.
const CHARSET: (&[u8], &[u8]) = (b"charset", b"us-ascii");

/// An empty text, where the grammar wants a part and there is none.
fn nothing() -> NewBody<'static> {
    NewBody::from(NewPart {
        kind: b"text",
        subtype: b"plain",
        encoding: b"7bit",
        parameters: vec![CHARSET],
        ..NewPart::default()
    })
}

/// What a part is made of, itself among it.
pub(super) fn body_structure(structure: &Structure, index: usize) -> BodyStructure {
    body(structure, index).into()
}

/// The tree below a part. As deep as the scanner lets it be: 64.
fn body(structure: &Structure, index: usize) -> NewBody<'_> {
    let Some(part) = structure.get(index) else {
        return nothing();
    };
    let content = &part.content;
    let mut parameters = pairs(&content.parameters);
    if part.kind == Kind::Multipart {
        let children = structure.children(index);
        let mut parts: Vec<_> = children.map(|child| body(structure, child)).collect();
        if parts.is_empty() {
            // The grammar wants one part at least.
            parts.push(nothing());
        }
        return NewBody::Multipart {
            parts,
            subtype: &content.subtype,
            parameters,
            fields: fields(content),
        };
    }
    let message = if part.kind == Kind::Message {
        let inner = structure.get(index + 1);
        let inner = inner.and_then(|inner| inner.envelope.as_deref());
        let envelope = inner.map(envelope).unwrap_or_default();
        Some((envelope, body(structure, index + 1)))
    } else {
        // RFC 9051 §9 `body-type-msg`: also one that is not looked into, for its encoding or its depth.
        let closed = content.is("message", "rfc822") || content.is("message", "global");
        closed.then(|| (Envelope::default(), nothing()))
    };
    if content.is("text", "*") && parameters.is_empty() {
        parameters.push(CHARSET);
    }
    NewBody::from(NewPart {
        kind: &content.kind,
        subtype: &content.subtype,
        parameters,
        id: content.id.as_deref(),
        description: content.description.as_deref(),
        encoding: content.encoding.as_deref().unwrap_or(b"7bit"),
        octets: part.body.end - part.body.start,
        lines: part.lines,
        message,
        md5: content.md5.as_deref(),
        fields: fields(content),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes};

    fn encoded(message: &str) -> Bytes {
        let structure = Structure::of(message.as_bytes());
        let mut output = hikyaku_wire::Output::new();
        body_structure(&structure, 0).encode(false, &mut output);
        output.copy_to_bytes(output.len())
    }

    #[test]
    fn a_message_that_cannot_be_looked_into_has_an_envelope_all_the_same() {
        let encoded = encoded(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
        );
        assert_eq!(
            encoded,
            "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 6 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 1)"
        );
    }

    #[test]
    fn a_multipart_without_parts_has_one() {
        let encoded = encoded("Content-Type: multipart/mixed; boundary=b\r\n\r\nnone\r\n");
        assert_eq!(
            encoded,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")"
        );
    }
}
