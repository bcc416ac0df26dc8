//! The flags of a message (RFC 9051 §2.3.2).

use std::collections::BTreeSet;
use std::sync::Arc;

/// System flags and keywords. `\Recent` is no flag of a message and is not here.
///
/// ```
/// use hikyaku_mailstore::Flags;
/// let mut flags = Flags::SEEN;
/// flags.add_keyword("$Forwarded").unwrap();
/// assert!(flags.contains(&Flags::SEEN) && !flags.contains(&Flags::DELETED));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    system: u8,
    keywords: BTreeSet<Arc<str>>,
}

/// A keyword that IMAP cannot say: empty, over 128 octets, or not an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a keyword is an atom of 1 to 128 octets")]
#[allow(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct InvalidKeyword;

/// The system flags (RFC 9051 §2.3.2).
static SYSTEM: [(&str, Flags); 5] = [
    ("\\Seen", Flags::SEEN),
    ("\\Answered", Flags::ANSWERED),
    ("\\Flagged", Flags::FLAGGED),
    ("\\Deleted", Flags::DELETED),
    ("\\Draft", Flags::DRAFT),
];

impl Flags {
    /// No flag.
    pub const NONE: Self = Self::system(0);
    /// `\Seen`
    pub const SEEN: Self = Self::system(1);
    /// `\Answered`
    pub const ANSWERED: Self = Self::system(2);
    /// `\Flagged`
    pub const FLAGGED: Self = Self::system(4);
    /// `\Deleted`
    pub const DELETED: Self = Self::system(8);
    /// `\Draft`
    pub const DRAFT: Self = Self::system(16);

    const fn system(system: u8) -> Self {
        Self {
            system,
            keywords: BTreeSet::new(),
        }
    }

    /// Adds a keyword. Names that differ in case alone are one: the first spelling stays.
    ///
    /// # Errors
    /// [`InvalidKeyword`]
    pub fn add_keyword(&mut self, name: &str) -> Result<(), InvalidKeyword> {
        let special = |c: char| !c.is_ascii_graphic() || "(){%*\"\\]".contains(c);
        if name.is_empty() || name.len() > 128 || name.contains(special) {
            return Err(InvalidKeyword);
        }
        if !self.keywords.iter().any(|k| k.eq_ignore_ascii_case(name)) {
            self.keywords.insert(name.into());
        }
        Ok(())
    }

    /// Adds the flag of that name, as IMAP writes it: `\Seen`, `\Answered`, `\Flagged`, `\Deleted` or `\Draft`, in any
    /// case, or a keyword.
    ///
    /// ```
    /// use hikyaku_mailstore::Flags;
    /// let mut flags = Flags::SEEN;
    /// flags.add_named("\\draft")?;
    /// flags.add_named("$Forwarded")?;
    /// assert_eq!(flags.names().collect::<Vec<_>>(), ["\\Seen", "\\Draft", "$Forwarded"]);
    /// // What is of a session is not kept.
    /// assert!(flags.add_named("\\Recent").is_err());
    /// # Ok::<(), hikyaku_mailstore::InvalidKeyword>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidKeyword`] for other names that begin with a backslash, and for what is no keyword.
    pub fn add_named(&mut self, name: &str) -> Result<(), InvalidKeyword> {
        let mut system = SYSTEM.iter();
        match system.find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, flag)) => {
                self.add(flag);
                Ok(())
            }
            None => self.add_keyword(name),
        }
    }

    /// Returns the names as IMAP writes them: the system flags, then the keywords, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let system = SYSTEM.iter().filter(|(_, flag)| self.contains(flag));
        system.map(|(name, _)| *name).chain(self.keywords())
    }

    /// Returns the keywords, sorted.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.keywords.iter().map(|name| &**name)
    }

    /// Returns the system flags as bits, in the order of the constants.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.system
    }

    /// Creates flags from [`bits`](Self::bits) and keywords; what is invalid is left out.
    #[must_use]
    pub fn from_parts<'a>(bits: u8, keywords: impl IntoIterator<Item = &'a str>) -> Self {
        let mut flags = Self::system(bits & 31);
        for name in keywords {
            let _ = flags.add_keyword(name);
        }
        flags
    }

    /// Returns whether all of `others` are set.
    #[must_use]
    pub fn contains(&self, others: &Self) -> bool {
        self.system & others.system == others.system
            && others
                .keywords()
                .all(|o| self.keywords().any(|k| k.eq_ignore_ascii_case(o)))
    }

    /// Sets all flags of `others`, and leaves the rest as they are. Of two keywords that differ in case alone, the
    /// one already set keeps its spelling.
    pub fn add(&mut self, others: &Self) {
        self.system |= others.system;
        for name in others.keywords() {
            let _ = self.add_keyword(name);
        }
    }

    /// Clears all flags of `others`, keywords in any case.
    pub fn remove(&mut self, others: &Self) {
        self.system &= !others.system;
        self.keywords
            .retain(|k| !others.keywords().any(|o| o.eq_ignore_ascii_case(k)));
    }

    /// Returns whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == 0 && self.keywords.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_fold_case_and_are_atoms() {
        let mut flags = Flags::NONE;
        flags.add_keyword("Foo[1").unwrap();
        flags.add_keyword("foo[1").unwrap();
        assert_eq!(flags.keywords().collect::<Vec<_>>(), ["Foo[1"]);
        for bad in ["", "a b", "\\Seen", "a]", "é", "a\"", &"x".repeat(129)] {
            assert_eq!(flags.add_keyword(bad), Err(InvalidKeyword), "{bad}");
        }
        flags.remove(&Flags::from_parts(0, ["FOO[1"]));
        assert!(flags.is_empty());
    }
}
