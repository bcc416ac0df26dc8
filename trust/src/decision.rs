//! What is done with a message.

use std::fmt;

/// What is done with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// It is accepted.
    Accept,
    /// It is accepted, as suspicious: it belongs into the folder for junk.
    Quarantine {
        /// Why, for the header field that says so.
        reason: String,
    },
    /// It is refused for good.
    Refuse(Reply),
    /// It is refused for now: the sender tries again.
    Defer(Reply),
}

/// A reply of SMTP (RFC 5321 §4.2) with an enhanced status code (RFC 3463, RFC 7372).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The reply code.
    pub code: u16,
    /// Class, subject and detail of the enhanced status code.
    pub enhanced: (u8, u16, u16),
    /// The text, of one line, in visible ASCII.
    pub text: String,
}

impl Reply {
    /// Creates a permanent reply of the subject "security or policy".
    pub(crate) fn never(detail: u16, text: impl Into<String>) -> Self {
        Self {
            code: 550,
            enhanced: (5, 7, detail),
            text: visible(&text.into()),
        }
    }

    /// Creates a temporary one.
    pub(crate) fn later(detail: u16, text: impl Into<String>) -> Self {
        Self {
            code: 451,
            enhanced: (4, 7, detail),
            text: visible(&text.into()),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (class, subject, detail) = self.enhanced;
        write!(f, "{} {class}.{subject}.{detail} {}", self.code, self.text)
    }
}

/// The text, which may have come from a stranger, cut to what a line of a reply holds (RFC 5321 §4.5.3.1.5).
fn visible(text: &str) -> String {
    let letters = text.chars().take(400);
    let seen = letters.map(|letter| {
        if matches!(letter, ' '..='~') {
            letter
        } else {
            '?'
        }
    });
    seen.collect()
}
