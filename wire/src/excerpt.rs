//! The first octets of what came, for the texts of errors.

use core::fmt;

/// As many octets are kept.
const MOST: usize = 40;

/// The first octets of a line that could not be used: at most 40, escaped when they are shown.
///
/// Lines that may hold a password are never kept: see [`of_command`](Self::of_command).
///
/// ```
/// use hikyaku_wire::Excerpt;
/// assert_eq!(Excerpt::of(b"HTTP/1.1 400\r\n").to_string(), r#""HTTP/1.1 400\r\n""#);
/// assert_eq!(Excerpt::of(b"").to_string(), "nothing");
/// assert_eq!(Excerpt::of_command(b"PASS sesame", 5).to_string(), "what is not shown");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    octets: [u8; MOST],
    length: u8,
    /// More came than is kept.
    more: bool,
    hidden: bool,
}

impl Excerpt {
    /// Keeps the first octets.
    #[must_use]
    pub fn of(octets: &[u8]) -> Self {
        let mut kept = [0; MOST];
        let mut length = 0;
        for (place, octet) in kept.iter_mut().zip(octets) {
            *place = *octet;
            length += 1;
        }
        Self {
            octets: kept,
            length,
            more: octets.len() > MOST,
            hidden: false,
        }
    }

    /// Keeps nothing: what came may be secret.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            hidden: true,
            ..Self::of(&[])
        }
    }

    /// Keeps the first octets of a client's line from `offset` on, unless the line may hold a password: a login in any
    /// of the three protocols, with or without a tag before it, or a line that could be base64, as the lines after AUTH
    /// are.
    #[must_use]
    pub fn of_command(line: &[u8], offset: usize) -> Self {
        let is_login = |word: &[u8]| {
            let logins = ["PASS", "APOP", "AUTH", "LOGIN", "AUTHENTICATE"];
            logins
                .iter()
                .any(|login| word.eq_ignore_ascii_case(login.as_bytes()))
        };
        let mut words = line.split(|o| !o.is_ascii_graphic());
        match words.by_ref().take(3).any(is_login) || is_base64(line) {
            true => Self::hidden(),
            false => Self::of(line.get(offset..).unwrap_or(&[])),
        }
    }

    /// Returns the octets that were kept.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// Returns whether the line has the form of a SASL response.
fn is_base64(line: &[u8]) -> bool {
    let digits = line.iter().rposition(|&o| o != b'=').map_or(0, |at| at + 1);
    let is_digit = |o: &u8| o.is_ascii_alphanumeric() || matches!(o, b'+' | b'/');
    !line.is_empty()
        && line.len().is_multiple_of(4)
        && line.len() - digits <= 2
        && line.iter().take(digits).all(is_digit)
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.hidden {
            return f.write_str("what is not shown");
        }
        if self.length == 0 {
            return f.write_str("nothing");
        }
        write!(f, "\"{}\"", self.octets().escape_ascii())?;
        f.write_str(if self.more { ".." } else { "" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn an_excerpt_is_short_and_escaped() {
        let long = [b'x'; 1000];
        let shown = Excerpt::of(&long).to_string();
        assert_eq!(shown.len(), MOST + 4);
        assert!(shown.ends_with("x\".."));
        assert_eq!(
            Excerpt::of(b"\0\x1b[31m\xff").to_string(),
            "\"\\x00\\x1b[31m\\xff\""
        );
    }

    #[test]
    fn no_line_of_a_login_is_shown() {
        for line in [
            "PASS sesame",
            "pass  sesame",
            "PASS\tsesame",
            "AUTH PLAIN AGEAc2VzYW1l!",
            "APOP a sesame",
            "a1 LOGIN alice sesame extra",
            "LOGIN alice sesame",
            "a1 authenticate PLAIN sesame",
            "AGEAc2VzYW1l",
            "c2VzYW1l",
            "c2VzYW0=",
        ] {
            for offset in 0..line.len() {
                let shown = Excerpt::of_command(line.as_bytes(), offset);
                assert!(shown.octets().is_empty(), "{line}: {shown}");
            }
        }
        let shown = Excerpt::of_command(b"FETCH x", 6);
        assert_eq!(shown.to_string(), "\"x\"");
    }
}
