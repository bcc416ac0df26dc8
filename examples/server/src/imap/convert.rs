//! From the store's words to IMAP's and back.

use bytes::Bytes;
use imap_proto::{
    Address, BodyFields, BodyPart, BodyStructure, Disposition, Envelope, EnvelopeFields, Flag,
};
use mailstore::message::{self, Kind, Part, Structure};
use mailstore::{AccountId, EmailId, Flags, MailboxId, UidSet};

static SYSTEM: [(Flag, Flags); 5] = [
    (Flag::Answered, Flags::ANSWERED),
    (Flag::Flagged, Flags::FLAGGED),
    (Flag::Deleted, Flags::DELETED),
    (Flag::Seen, Flags::SEEN),
    (Flag::Draft, Flags::DRAFT),
];

/// The flags as they are told.
pub(super) fn flags_told(flags: &Flags) -> Vec<Flag> {
    let system = SYSTEM
        .iter()
        .filter(|(_, kept)| flags.contains(kept))
        .map(|(flag, _)| flag.clone());
    let keywords = flags
        .keywords()
        .map(|name| Flag::Keyword(Bytes::copy_from_slice(name.as_bytes())));
    system.chain(keywords).collect()
}

/// The flags as they are kept; `\Recent` and what is unknown cannot be.
pub(super) fn flags_kept(flags: &[Flag]) -> Option<Flags> {
    let mut kept = Flags::NONE;
    for flag in flags {
        if let Some((_, system)) = SYSTEM.iter().find(|(known, _)| known == flag) {
            kept.add(system);
        } else if let Flag::Keyword(name) = flag {
            kept.add_keyword(std::str::from_utf8(name).ok()?).ok()?;
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

pub(super) fn uid_set(ranges: &[(u32, u32)]) -> UidSet {
    UidSet::from_ranges(ranges.iter().copied())
}

fn octets(text: &Option<Vec<u8>>) -> Option<Bytes> {
    text.as_ref().map(|text| Bytes::from(text.clone()))
}

pub(super) fn envelope(envelope: &message::Envelope) -> Envelope {
    fn address(one: &message::Address) -> Address<'_> {
        Address {
            name: one.name.as_deref(),
            route: one.route.as_deref(),
            mailbox: one.mailbox.as_deref(),
            host: one.host.as_deref(),
        }
    }
    fn all(list: &[message::Address]) -> Vec<Address<'_>> {
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

fn pairs(pairs: &[(Vec<u8>, Vec<u8>)]) -> Vec<(Bytes, Bytes)> {
    let pair = |(name, value): &(Vec<u8>, Vec<u8>)| (name.clone().into(), value.clone().into());
    pairs.iter().map(pair).collect()
}

fn fields(part: &Part) -> BodyFields {
    let content = &part.content;
    BodyFields {
        parameters: pairs(&content.parameters),
        disposition: content.disposition.as_ref().map(|disposition| Disposition {
            kind: disposition.kind.clone().into(),
            parameters: pairs(&disposition.parameters),
        }),
        language: content
            .language
            .iter()
            .map(|tag| tag.clone().into())
            .collect(),
        location: octets(&content.location),
    }
}

/// An empty text, where the grammar wants a part and there is none.
fn nothing() -> BodyStructure {
    let charset = ("charset".into(), "us-ascii".into());
    BodyStructure::Part(Box::new(BodyPart {
        kind: "text".into(),
        subtype: "plain".into(),
        encoding: "7bit".into(),
        fields: BodyFields {
            parameters: vec![charset],
            ..BodyFields::default()
        },
        ..BodyPart::default()
    }))
}

/// The tree below a part. As deep as the scanner lets it be: 64.
pub(super) fn body_structure(structure: &Structure, index: usize) -> BodyStructure {
    let Some(part) = structure.get(index) else {
        return BodyStructure::default();
    };
    let content = &part.content;
    if part.kind == Kind::Multipart {
        let mut parts: Vec<_> = structure
            .children(index)
            .map(|child| body_structure(structure, child))
            .collect();
        if parts.is_empty() {
            // The grammar wants one part at least.
            parts.push(nothing());
        }
        return BodyStructure::Multipart {
            parts,
            subtype: content.subtype.clone().into(),
            fields: Box::new(fields(part)),
        };
    }
    // RFC 9051 §9 `body-type-msg`: also one that is not looked into, for its encoding or its depth.
    let closed = content.is("message", "rfc822") || content.is("message", "global");
    let closed = (closed && part.kind != Kind::Message).then(|| (Envelope::default(), nothing()));
    let message = (part.kind == Kind::Message).then(|| {
        let inner = structure
            .get(index + 1)
            .and_then(|inner| inner.envelope.as_deref());
        (
            inner.map(envelope).unwrap_or_default(),
            body_structure(structure, index + 1),
        )
    });
    let mut parameters = fields(part);
    // RFC 2045 §5.2: what is said of nothing is text/plain in US-ASCII.
    let unsaid = content.is("text", "*") && content.parameters.is_empty();
    if unsaid {
        parameters
            .parameters
            .push(("charset".into(), "us-ascii".into()));
    }
    BodyStructure::Part(Box::new(BodyPart {
        kind: content.kind.clone().into(),
        subtype: content.subtype.clone().into(),
        id: octets(&content.id),
        description: octets(&content.description),
        encoding: octets(&content.encoding).unwrap_or("7bit".into()),
        octets: part.body.end - part.body.start,
        lines: part.lines,
        message: message.or(closed),
        md5: octets(&content.md5),
        fields: parameters,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::{Buf as _, Bytes};

    fn told(message: &str) -> Bytes {
        let structure = Structure::of(message.as_bytes());
        let mut output = hikyaku_wire::Output::new();
        body_structure(&structure, 0).encode(false, &mut output);
        output.copy_to_bytes(output.len())
    }

    #[test]
    fn a_message_that_cannot_be_looked_into_has_an_envelope_all_the_same() {
        let told = told(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
        );
        assert_eq!(
            told,
            "(\"message\" \"rfc822\" NIL NIL NIL \"base64\" 6 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 1)"
        );
    }

    #[test]
    fn a_multipart_without_parts_has_one() {
        let told = told("Content-Type: multipart/mixed; boundary=b\r\n\r\nnone\r\n");
        assert_eq!(
            told,
            "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")"
        );
    }
}
