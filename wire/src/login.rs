//! Logins that a server refuses.

/// Why a server refuses a login, in all three protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// The name or the password is wrong: another one may be right.
    Credentials,
    /// The login cannot be checked now: the same may be right later.
    Unavailable,
}
