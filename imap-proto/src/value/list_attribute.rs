//! What LIST says of a mailbox besides its name (RFC 9051 §7.3.1, RFC 5258 §3.3, RFC 6154 §2).

use bytes::Bytes;
use hikyaku_wire::Output;

use crate::Leniency;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{is_atom_char, write_list};
use crate::plumbing::word::write_flag;
use crate::value::named_set::{NamedSet, usual};

/// One attribute of a mailbox name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListAttribute {
    /// `\Noselect`
    NoSelect,
    /// `\NonExistent`
    NonExistent,
    /// `\Noinferiors`
    NoInferiors,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Subscribed`
    Subscribed,
    /// `\Marked`
    Marked,
    /// `\Unmarked`
    Unmarked,
    /// `\Remote`
    Remote,
    /// `\NoAccess`: there is something, and it may not be seen (RFC 5465).
    NoAccess,
    /// A special use, such as `\Sent`, with its `\` (RFC 6154 §2, RFC 8457).
    SpecialUse(Bytes),
    /// Another one, with its `\`.
    Other(Bytes),
}

use ListAttribute as A;

/// Those that say one thing only, with their names.
const PLAIN: [(&str, A); 10] = [
    ("\\Noselect", A::NoSelect),
    ("\\NonExistent", A::NonExistent),
    ("\\Noinferiors", A::NoInferiors),
    ("\\HasChildren", A::HasChildren),
    ("\\HasNoChildren", A::HasNoChildren),
    ("\\Subscribed", A::Subscribed),
    ("\\Marked", A::Marked),
    ("\\Unmarked", A::Unmarked),
    ("\\Remote", A::Remote),
    ("\\NoAccess", A::NoAccess),
];

/// RFC 6154 §2 and RFC 8457.
const SPECIAL_USES: [&str; 8] = [
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Junk",
    "\\Sent",
    "\\Trash",
    "\\Important",
];

/// All attributes of a mailbox name: those that are known once and in the order of [`ListAttribute`], then
/// the others as they came.
///
/// ```
/// use hikyaku_imap_proto::{ListAttribute, ListAttributes};
/// let all: ListAttributes = [ListAttribute::Subscribed, ListAttribute::HasChildren].into_iter().collect();
/// assert!(all.contains(&ListAttribute::Subscribed));
/// assert_eq!(all.iter().next(), Some(ListAttribute::HasChildren));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListAttributes(
    /// Known: those of `PLAIN`, and then of `SPECIAL_USES`.
    NamedSet<Bytes>,
);

/// Where a name stands in `PLAIN`, or behind it in `SPECIAL_USES`.
fn place(name: &[u8]) -> Option<usize> {
    // Clients see a LIST of thousands: it is looked for among those that are as long.
    let among: &[usize] = match name.len() {
        4 => &[10],
        5 => &[14, 15],
        6 => &[16],
        7 => &[6, 8, 12],
        8 => &[11, 13],
        9 => &[0, 7, 9],
        10 => &[17],
        11 => &[5],
        12 => &[3, 1, 2],
        14 => &[4],
        _ => &[],
    };
    let is = |&at: &usize| known(at).is_some_and(|one| one.as_bytes().eq_ignore_ascii_case(name));
    among.iter().copied().find(is)
}

fn known(at: usize) -> Option<&'static str> {
    let plain = PLAIN.get(at).map(|(name, _)| *name);
    plain.or_else(|| SPECIAL_USES.get(at.checked_sub(PLAIN.len())?).copied())
}

impl ListAttributes {
    /// Adds one.
    pub fn insert(&mut self, attribute: ListAttribute) {
        let name = match attribute {
            A::SpecialUse(name) | A::Other(name) => name,
            plain => {
                let at = PLAIN.iter().position(|(_, one)| *one == plain);
                return at.into_iter().for_each(|at| self.0.set(at));
            }
        };
        match place(&name) {
            Some(at) => self.0.set(at),
            None => self.0.push(name),
        }
    }

    /// Whether it is among them.
    #[must_use]
    pub fn contains(&self, attribute: &ListAttribute) -> bool {
        let mut one = Self::default();
        one.insert(attribute.clone());
        let is = |name: &Bytes| {
            let mut others = self.0.others().iter();
            others.any(|other| other.eq_ignore_ascii_case(name))
        };
        one.0.known().all(|at| self.0.has(at)) && one.0.others().iter().all(is)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = ListAttribute> + '_ {
        let known = self.0.known().filter_map(|at| match PLAIN.get(at) {
            Some((_, plain)) => Some(plain.clone()),
            None => Some(A::SpecialUse(Bytes::from_static(known(at)?.as_bytes()))),
        });
        known.chain(self.0.others().iter().cloned().map(A::Other))
    }

    /// What the mailbox is for, such as `\Sent`.
    pub fn special_uses(&self) -> impl Iterator<Item = &'static str> {
        let known = self.0.known();
        known.filter_map(|at| SPECIAL_USES.get(at.checked_sub(PLAIN.len())?).copied())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        let known = self.0.known().filter_map(known);
        let known = known.map(|name| Bytes::from_static(name.as_bytes()));
        let all = known.chain(self.0.others().iter().cloned());
        write_list(all, output, |name, output| write_flag(&name, output));
    }
}

impl FromIterator<ListAttribute> for ListAttributes {
    fn from_iter<I: IntoIterator<Item = ListAttribute>>(attributes: I) -> Self {
        let mut all = Self::default();
        all.extend(attributes);
        all
    }
}

impl Extend<ListAttribute> for ListAttributes {
    fn extend<I: IntoIterator<Item = ListAttribute>>(&mut self, attributes: I) {
        attributes.into_iter().for_each(|one| self.insert(one));
    }
}

/// What servers say of most mailboxes, and where it stands in `PLAIN`.
const USUAL: [(&[u8], usize); 3] = [
    (b"\\HasNoChildren", 4),
    (b"\\HasChildren", 3),
    (b"\\Subscribed", 5),
];

/// `"(" [mbx-list-flags] ")"`
pub(crate) fn list_attributes(cursor: &mut Cursor<'_>) -> Result<ListAttributes> {
    let mut all = ListAttributes::default();
    cursor.expect(b'(', "\"(\"")?;
    if cursor.eat(b')') {
        return Ok(all);
    }
    loop {
        if let Some(at) = usual(cursor, USUAL) {
            all.0.set(at);
            if cursor.eat(b')') {
                return Ok(all);
            }
            cursor.eat(b' ');
            continue;
        }
        let start = cursor.rest();
        cursor.expect(b'\\', "an attribute")?;
        if cursor.lets(Leniency::AttributeWithoutName) {
            if cursor.eat(b')') {
                return Ok(all);
            }
            if cursor.eat(b' ') {
                continue;
            }
        }
        let name = cursor.word(is_atom_char, "an attribute")?;
        let name = start.get(..=name.len()).unwrap_or(start);
        match place(name) {
            Some(at) => all.0.set(at),
            None => all.0.push(cursor.unit().slice_ref(name)),
        }
        if cursor.eat(b')') {
            return Ok(all);
        }
        cursor.sp()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn each_is_found_by_its_name() {
        let count = PLAIN.len() + SPECIAL_USES.len();
        for at in 0..count {
            let name = known(at).unwrap();
            assert_eq!(
                place(name.to_ascii_uppercase().as_bytes()),
                Some(at),
                "{name}"
            );
        }
        assert_eq!(known(count), None);
        assert_eq!(place(b"\\Sens"), None);
    }

    #[test]
    fn what_is_known_is_there_once() {
        let other = |name: &'static str| A::Other(name.into());
        let all: ListAttributes = [
            other("\\sent"),
            A::Marked,
            A::SpecialUse("\\Sent".into()),
            other("\\X"),
        ]
        .into_iter()
        .collect();
        let listed: Vec<_> = all.iter().collect();
        assert_eq!(
            listed,
            [A::Marked, A::SpecialUse("\\Sent".into()), other("\\X")]
        );
        assert!(all.contains(&other("\\x")) && all.contains(&A::Marked));
        assert!(!all.contains(&A::Unmarked) && !all.contains(&other("\\Y")));
        assert_eq!(all.special_uses().collect::<Vec<_>>(), ["\\Sent"]);
    }
}
