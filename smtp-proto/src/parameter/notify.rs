//! NOTIFY= (RFC 3461 §4.1).

use hikyaku_wire::Output;

/// When the sender is to be notified of what became of a recipient.
///
/// ```
/// use hikyaku_smtp_proto::Notify;
/// let notify = Notify::NEVER.with(Notify::FAILURE).with(Notify::DELAY);
/// assert!(notify.contains(Notify::DELAY) && !notify.contains(Notify::SUCCESS));
/// assert_eq!(notify.to_string(), "FAILURE,DELAY");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Notify(u8);

impl Notify {
    /// `NEVER`
    pub const NEVER: Self = Self(0);
    /// `SUCCESS`: when it was delivered.
    pub const SUCCESS: Self = Self(1);
    /// `FAILURE`: when it was given up.
    pub const FAILURE: Self = Self(2);
    /// `DELAY`: when it takes long.
    pub const DELAY: Self = Self(4);

    const NAMES: [(Self, &'static str); 3] = [
        (Self::SUCCESS, "SUCCESS"),
        (Self::FAILURE, "FAILURE"),
        (Self::DELAY, "DELAY"),
    ];

    /// Returns these and those.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the sender is to be notified of all of these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads `NEVER`, or the names of others.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        if value.eq_ignore_ascii_case(b"NEVER") {
            return Some(Self::NEVER);
        }
        let mut all = Self::NEVER;
        for item in value.split(|&octet| octet == b',') {
            let is = |(_, name): &&(Self, &str)| item.eq_ignore_ascii_case(name.as_bytes());
            let (one, _) = Self::NAMES.iter().find(is)?;
            all = all.with(*one);
        }
        Some(all)
    }

    pub(crate) fn encode(self, output: &mut Output) {
        use core::fmt::Write as _;
        let _ = write!(output, "{self}");
    }
}

impl core::fmt::Display for Notify {
    /// Writes the value as it is sent.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if *self == Self::NEVER {
            return f.write_str("NEVER");
        }
        let names = Self::NAMES.iter().filter(|(one, _)| self.contains(*one));
        for (nth, (_, name)) in names.enumerate() {
            write!(f, "{}{name}", if nth > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
