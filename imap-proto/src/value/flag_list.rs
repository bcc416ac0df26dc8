//! The flags of a message (RFC 9051 §2.3.2), as FETCH sends them.

use bytes::Bytes;
use hikyaku_wire::Output;

use crate::Flag;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_list;
use crate::plumbing::word::write_flag;
use crate::value::flag::response_flag;
use crate::value::named_set::{NamedSet, usual};

/// The flags of a message: those that most messages have once and in one order, then the others as they
/// came.
///
/// ```
/// use hikyaku_imap_proto::{Flag, FlagList};
/// let flags: FlagList = [Flag::Keyword("$Forwarded".into()), Flag::Seen].into_iter().collect();
/// assert!(flags.contains(&Flag::Seen));
/// assert_eq!(flags.iter().next(), Some(Flag::Seen));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagList(NamedSet<Flag>);

/// System flags, and the keywords of RFC 9051 §2.3.2, RFC 5788 and RFC 8457 as those write them.
const KNOWN: [&str; 15] = [
    "\\Answered",
    "\\Flagged",
    "\\Deleted",
    "\\Seen",
    "\\Draft",
    "\\Recent",
    "\\*",
    "$Forwarded",
    "$MDNSent",
    "$Junk",
    "$NotJunk",
    "$Phishing",
    "$Important",
    "$Submitted",
    "$SubmitPending",
];

/// What stands at that place in `KNOWN`.
fn known(at: usize) -> Option<Flag> {
    Some(match at {
        0 => Flag::Answered,
        1 => Flag::Flagged,
        2 => Flag::Deleted,
        3 => Flag::Seen,
        4 => Flag::Draft,
        5 => Flag::Recent,
        6 => Flag::Any,
        at => Flag::Keyword(Bytes::from_static(KNOWN.get(at)?.as_bytes())),
    })
}

/// Where a flag stands in `KNOWN`. A keyword that is written otherwise is another text.
fn place(flag: &Flag) -> Option<usize> {
    Some(match flag {
        Flag::Answered => 0,
        Flag::Flagged => 1,
        Flag::Deleted => 2,
        Flag::Seen => 3,
        Flag::Draft => 4,
        Flag::Recent => 5,
        Flag::Any => 6,
        Flag::Keyword(name) if name.starts_with(b"$") => {
            KNOWN.iter().position(|known| known.as_bytes() == name)?
        }
        Flag::Keyword(_) | Flag::Extension(_) => return None,
    })
}

impl FlagList {
    /// Adds one.
    pub fn insert(&mut self, flag: Flag) {
        match place(&flag) {
            Some(at) => self.0.set(at),
            None => self.0.push(flag),
        }
    }

    /// Whether it is among them. Keywords are the same in any case.
    #[must_use]
    pub fn contains(&self, flag: &Flag) -> bool {
        let named = |one: &Flag| one.as_bytes().eq_ignore_ascii_case(flag.as_bytes());
        place(flag).is_some_and(|at| self.0.has(at)) || self.iter().any(|one| named(&one))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = Flag> + '_ {
        let known = self.0.known().filter_map(known);
        known.chain(self.0.others().iter().cloned())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn encode(&self, output: &mut Output) {
        let known = self.0.known().filter_map(|at| KNOWN.get(at));
        let known = known.map(|name| name.as_bytes());
        let others = self.0.others().iter().map(Flag::as_bytes);
        write_list(known.chain(others), output, |name: &[u8], output| {
            write_flag(name, output);
        });
    }
}

impl FromIterator<Flag> for FlagList {
    fn from_iter<I: IntoIterator<Item = Flag>>(flags: I) -> Self {
        let mut all = Self::default();
        all.extend(flags);
        all
    }
}

impl Extend<Flag> for FlagList {
    fn extend<I: IntoIterator<Item = Flag>>(&mut self, flags: I) {
        flags.into_iter().for_each(|flag| self.insert(flag));
    }
}

/// What most messages have, and where it stands in `KNOWN`.
const USUAL: [(&[u8], usize); 5] = [
    (b"\\Seen", 3),
    (b"\\Answered", 0),
    (b"\\Flagged", 1),
    (b"\\Recent", 5),
    (b"$Forwarded", 7),
];

/// `"(" [flag-fetch *(SP flag-fetch)] ")"`
pub(crate) fn fetched_flags(cursor: &mut Cursor<'_>) -> Result<FlagList> {
    let mut all = FlagList::default();
    cursor.expect(b'(', "\"(\"")?;
    if cursor.eat(b')') {
        return Ok(all);
    }
    loop {
        match usual(cursor, USUAL) {
            Some(at) => all.0.set(at),
            None => all.insert(response_flag(cursor)?),
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
        for (at, name) in KNOWN.iter().enumerate() {
            let flag = known(at).unwrap();
            assert_eq!(flag.as_bytes(), name.as_bytes());
            assert_eq!(place(&flag), Some(at));
        }
        assert_eq!(known(KNOWN.len()), None);
    }

    #[test]
    fn what_is_known_is_there_once() {
        let keyword = |name: &'static str| Flag::Keyword(name.into());
        let flags = [
            keyword("$junk"),
            keyword("$Junk"),
            Flag::Draft,
            keyword("$Junk"),
            keyword("x"),
        ];
        let all: FlagList = flags.into_iter().collect();
        let listed: Vec<_> = all.iter().collect();
        let expected = [
            Flag::Draft,
            keyword("$Junk"),
            keyword("$junk"),
            keyword("x"),
        ];
        assert_eq!(listed, expected);
        assert!(all.contains(&keyword("$JUNK")) && all.contains(&keyword("X")));
        assert!(!all.contains(&Flag::Seen) && !FlagList::default().contains(&Flag::Seen));
    }
}
