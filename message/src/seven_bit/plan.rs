//! What is done to each part of a message.

use alloc::vec::Vec;
use core::ops::Range;

use super::leaf::Facts;
use super::not_seven_bit::NotSevenBit;
use super::said::is_labelled;
use crate::{Encoding, Kind, Part, Structure};

/// What was seen of a part's octets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Its header section has octets over 127.
    pub(super) header_is_eight_bit: bool,
    /// Its body has some, where no parts of it are.
    pub(super) body_is_eight_bit: bool,
    /// Its header section has a Content-Type.
    pub(super) has_type: bool,
    /// Of a part without parts.
    pub(super) facts: Facts,
}

/// A part that does not stay as it is. Offsets count from the start of the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) header: Range<u64>,
    pub(super) edit: Edit,
    /// The encoding that a body has, which is written anew, and where it ends.
    pub(super) body: Option<(Encoding, u64)>,
}

/// What becomes of a header section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) label: Label,
    /// A message begins anew: its MIME-Version must not be missing.
    pub(super) needs_version: bool,
    /// For a Content-Type, where it is missing.
    pub(super) charset: Option<&'static str>,
    pub(super) has_body: bool,
}

/// A Content-Transfer-Encoding that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    SevenBit,
    QuotedPrintable,
    Base64,
}

/// Decides about each part, in the order they stand.
pub(super) fn plan(structure: &Structure, seen: &[Seen]) -> Result<Vec<Step>, NotSevenBit> {
    let mut steps = Vec::new();
    for (index, part) in structure.parts().iter().enumerate() {
        let its = seen.get(index).copied().unwrap_or_default();
        if its.header_is_eight_bit {
            return Err(NotSevenBit::International);
        }
        // A message begins anew: the root, and what a message/rfc822 holds.
        let is_message = part.envelope.is_some() || index == 0;
        let step = match part.kind {
            Kind::Leaf => leaf(part, its, is_message)?,
            Kind::Multipart | Kind::Message => {
                if part.kind == Kind::Multipart {
                    let within = seen.get(index + 1..part.end.min(seen.len()));
                    multipart(part, index, its, within.unwrap_or(&[]))?;
                }
                relabelled(part, is_message)
            }
        };
        steps.extend(step);
    }
    Ok(steps)
}

/// Checks a multipart: `within` was seen of its parts.
fn multipart(part: &Part, index: usize, its: Seen, within: &[Seen]) -> Result<(), NotSevenBit> {
    let is_eight_bit = |seen: &Seen| seen.header_is_eight_bit || seen.body_is_eight_bit;
    let is_signed = part.content.is("multipart", "signed");
    if is_signed && (its.body_is_eight_bit || within.iter().any(is_eight_bit)) {
        return Err(NotSevenBit::Signed);
    }
    // Without any part its text is all that there is.
    match part.end == index + 1 && its.body_is_eight_bit {
        true => Err(NotSevenBit::Composite),
        false => Ok(()),
    }
}

/// The step of a part that says 8bit or binary, and whose body stays as it is.
fn relabelled(part: &Part, needs_version: bool) -> Option<Step> {
    is_labelled(&part.content).then(|| Step {
        header: part.header.clone(),
        edit: Edit {
            label: Label::SevenBit,
            needs_version,
            charset: None,
            has_body: !part.body.is_empty(),
        },
        body: None,
    })
}

fn leaf(part: &Part, seen: Seen, is_message: bool) -> Result<Option<Step>, NotSevenBit> {
    let (content, facts) = (&part.content, seen.facts);
    if !seen.body_is_eight_bit && !facts.is_binary {
        return Ok(relabelled(part, false));
    }
    // RFC 2046 §5.2: these must not be encoded. Leaves they are when they nest too deeply.
    let held = ["rfc822", "partial", "external-body", "news"];
    if content.is("multipart", "*") || held.iter().any(|subtype| content.is("message", subtype)) {
        return Err(NotSevenBit::Composite);
    }
    let encoding = content.encoding.as_deref().unwrap_or(b"7bit");
    let encoding = Encoding::known(encoding).ok_or(NotSevenBit::Composite)?;
    let charset = match facts.is_utf8 {
        true => "utf-8",
        // RFC 1428
        false => "unknown-8bit",
    };
    let label = match facts.is_readable {
        true => Label::QuotedPrintable,
        false => Label::Base64,
    };
    Ok(Some(Step {
        header: part.header.clone(),
        edit: Edit {
            label,
            needs_version: is_message,
            charset: Some(charset),
            has_body: true,
        },
        body: Some((encoding, part.body.end)),
    }))
}
