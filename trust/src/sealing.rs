//! ARC seals for mail that is passed on (RFC 8617 §5.1): what was found out here, kept where SPF and DKIM will fail next.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::checker::{Checked, Checker};
use crate::outcome::Outcome;
use crate::section::{Field, fields, size};
use crate::signing::{NotSigned, Set, Signer, Validation};

/// The fields of a set, in the order in which a seal signs them (RFC 8617 §5.1.1).
const FIELDS: [&str; 3] = [
    "ARC-Authentication-Results",
    "ARC-Message-Signature",
    "ARC-Seal",
];

impl Checker {
    /// Seals a message that is passed on, with the signer's key for a domain of ours. `message` is the message as it is
    /// sent, with all that was changed in it; `checked` is what came of it when it arrived.
    ///
    /// Returns the fields to put above the message. A chain that was found broken is marked so (`cv=fail`). `None` for a
    /// chain that is marked already (§5.1), for one that has as many sets as there may be, for one whose sets have no number
    /// above zero, and for one that was not looked at, or could not be: see [`Checker::seals`].
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn seal(
        &self,
        signer: &Signer,
        domain: &str,
        message: &[u8],
        checked: &Checked,
        now: SystemTime,
    ) -> Result<Option<String>, NotSigned> {
        let keys = signer.keys_of(domain, now)?;
        let key = keys
            .first()
            .ok_or_else(|| NotSigned::NoKey(domain.to_owned()))?;
        let (count, octets) = size(message);
        // No chain was looked at there.
        if checked.verdicts.authors.is_too_large || !self.limits.admit(count, octets) {
            return Ok(None);
        }
        let Some(arc) = &checked.verdicts.arc else {
            return Ok(None);
        };
        let chain = Chain::of(message);
        let validation = match arc.outcome {
            Outcome::TempError => return Ok(None),
            _ if chain.is_marked || chain.last >= self.limits.arc_sets => return Ok(None),
            Outcome::None if chain.fields.is_empty() => Validation::None,
            // The first set has cv=none (§5.2, step 3 C), which would hide that there is something broken.
            _ if chain.last == 0 => return Ok(None),
            Outcome::Pass => Validation::Pass,
            _ => Validation::Fail,
        };
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let results = checked.fields.split_once(':').map_or("", |(_, text)| text);
        let set = Set {
            key,
            message,
            results,
            instance: chain.last + 1,
            validation,
            time: since.as_secs(),
        };
        set.write(&chain.fields).map(Some)
    }
}

/// The sets that a message has.
struct Chain<'a> {
    /// All fields, in order.
    fields: Vec<Field<'a>>,
    /// The highest instance.
    last: usize,
    /// Whether the seal of that instance says that the chain is broken.
    is_marked: bool,
}

impl<'a> Chain<'a> {
    fn of(message: &'a [u8]) -> Self {
        let mut all: Vec<(usize, usize, Field<'a>)> = Vec::new();
        for field in fields(message) {
            let kind = FIELDS.iter().position(|name| field.is(name));
            if let Some(kind) = kind {
                let instance = tag(field.value, "i").and_then(|text| text.parse().ok());
                // What has no number that could be one is not continued.
                all.push((instance.unwrap_or(usize::MAX), kind, field));
            }
        }
        all.sort_by_key(|(instance, kind, _)| (*instance, *kind));
        let last = all.last().map_or(0, |(instance, ..)| *instance);
        let is_marked = all.iter().any(|(instance, _, field)| {
            *instance == last
                && field.is("ARC-Seal")
                && tag(field.value, "cv").as_deref() == Some("fail")
        });
        Self {
            fields: all.into_iter().map(|(.., field)| field).collect(),
            last,
            is_marked,
        }
    }
}

/// The value of a tag (RFC 6376 §3.2).
fn tag(value: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    let mut tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let (_, found) = tags.find(|(found, _)| found.trim() == name)?;
    Some(found.trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_read_in_any_order() {
        let message = b"ARC-Seal: i=2; cv=pass; b=x\r\nARC-Authentication-Results: i=1; mx.test; none\r\n\
            Subject: i=9\r\nARC-Message-Signature: a=b;\r\n\ti=1\r\narc-seal: i = 1 ; cv=none\r\n\
            ARC-Authentication-Results: i=2; mx\r\nARC-Message-Signature: i=2; b=\r\n\r\nARC-Seal: i=3\r\n";
        let chain = Chain::of(message);
        assert_eq!((chain.last, chain.is_marked), (2, false));
        let names = chain.fields.iter().map(|field| {
            let name = String::from_utf8_lossy(field.name).to_lowercase();
            (name, tag(field.value, "i").unwrap())
        });
        let names: Vec<_> = names.collect();
        let expected = ["1", "2"].map(|i| FIELDS.map(|name| (name.to_lowercase(), i.to_owned())));
        assert_eq!(names, expected.concat());
        for (seal, last, is_marked) in [
            ("i=1; cv=fail", 1, true),
            ("i=1; cv=FAIL;", 1, true),
            ("i=1; cv=none", 1, false),
            ("cv=fail", usize::MAX, true),
            ("i=x", usize::MAX, false),
        ] {
            let message = format!("ARC-Seal: {seal}\r\n\r\n");
            let chain = Chain::of(message.as_bytes());
            assert_eq!((chain.last, chain.is_marked), (last, is_marked), "{seal}");
        }
        assert_eq!(Chain::of(b"Subject: x\r\n\r\n").last, 0);
    }
}
