//! Logins that a server refuses.

/// Why a server refuses a login, in all three protocols: the client asks the user for another password, or tries again.
///
/// Each server says it in its own words: IMAP with `[AUTHENTICATIONFAILED]` and `[UNAVAILABLE]` (RFC 5530 §3), POP3 with
/// `[AUTH]` and `[SYS/TEMP]` (RFC 3206 §4), SMTP with 535 and 454 (RFC 4954 §6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginRefusal {
    /// The name or the password is wrong: another one may be right.
    Credentials,
    /// The login cannot be checked now: the same may be right later.
    Unavailable,
}
