//! What clients and servers are known to send against the grammar, each with a name, and what is made of it.

/// A deviation from the grammar that is accepted. Each variant names who is known to send it; others may do the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Leniency {
    /// Outlook Express, Exchange 5.5, scripts: blanks between the colon of MAIL or RCPT and the path. They are passed
    /// over.
    BlankBehindColon,
    /// Printers, scanners, scripts: a path without its angle brackets. It is the mailbox, up to the next blank.
    PathWithoutBrackets,
    /// Scripts, old libraries: several blanks where one belongs. They are passed over. Blanks at the end of a line are no
    /// deviation: RFC 5321 §4.1.1 asks servers to tolerate them.
    ExtraBlanks,
    /// Windows, macOS, Thunderbird once: a name in EHLO that is neither a domain nor an address literal: with
    /// underscores, apostrophes or a last dot, of other scripts, an IPv6 address without its tag or with a zone, a
    /// literal behind HELO or before a name (RFC 2821 clients). It is the name, if it means nothing in a Received field.
    NameInHello,
    /// Addresses of docomo and au: dots side by side or at the end of a local part. They are part of it.
    DotsInLocalPart,
    /// Windows: an underscore in a domain. It is part of it.
    UnderscoreInDomain,
    /// Resolvers of hosts: `::` in an IPv6 literal for one group of zeros, where RFC 5321 has two or more. It is that
    /// address.
    OneGroupOfZeros,
    /// Everybody: an address, a path or several words behind VRFY, EXPN, NOOP and HELP, where the grammar has an atom or
    /// a quoted string. It is all of the line.
    AnyString,
    /// Senders that print `%04X` or UTF-16: an ORCPT of type `utf-8` whose escapes are not those of RFC 6533. It is kept
    /// as it came.
    AnyEscape,
    /// Exchange 5.5 and what imitates it: `AUTH=LOGIN PLAIN` in the reply to EHLO, beside `AUTH` or alone. It is
    /// `AUTH LOGIN PLAIN`.
    AuthWithEquals,
    /// Exchange, filters: a reply code whose second digit is over 5, as 571. Its first digit counts (RFC 5321 §4.3.2).
    SecondDigit,
    /// Servers whose texts are translated: octets over 127 in a reply, in UTF-8 or another charset. They are text.
    OctetsInReply,
    /// Large providers: a reply line of more than 512 octets, with addresses and links. It is read whole.
    LongReplyLine,
}

impl Leniency {
    /// Each of them.
    pub const ALL: [Self; 13] = [
        Self::BlankBehindColon,
        Self::PathWithoutBrackets,
        Self::ExtraBlanks,
        Self::NameInHello,
        Self::DotsInLocalPart,
        Self::UnderscoreInDomain,
        Self::OneGroupOfZeros,
        Self::AnyString,
        Self::AnyEscape,
        Self::AuthWithEquals,
        Self::SecondDigit,
        Self::OctetsInReply,
        Self::LongReplyLine,
    ];

    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Which deviations are accepted; all of them by default.
///
/// ```
/// use hikyaku_smtp_proto::{Command, Leniencies, Leniency};
/// let scanner = b"MAIL FROM:scan@example.org";
/// assert!(Command::read(scanner, Leniencies::ALL).is_ok());
/// let strict = Leniencies::ALL.without(Leniency::PathWithoutBrackets);
/// assert!(Command::read(scanner, strict).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leniencies(u32);

impl Leniencies {
    /// All deviations that are known.
    pub const ALL: Self = Self(u32::MAX);
    /// None: the grammar alone.
    pub const NONE: Self = Self(0);

    /// Returns these and that one.
    #[must_use]
    pub const fn with(self, one: Leniency) -> Self {
        Self(self.0 | one.bit())
    }

    /// Returns these without that one.
    #[must_use]
    pub const fn without(self, one: Leniency) -> Self {
        Self(self.0 & !one.bit())
    }

    /// Returns whether that one is accepted.
    #[must_use]
    pub const fn contains(self, one: Leniency) -> bool {
        self.0 & one.bit() != 0
    }
}

impl Default for Leniencies {
    fn default() -> Self {
        Self::ALL
    }
}
