//! Results that others wrote in our name (RFC 8601 §5).

use std::ops::Range;

use crate::domain::ascii;
use crate::section::fields;

/// Octets of a field that is read: an id, or a comment before it, may be as long as the message.
const OCTETS: usize = 64 * 1024;

/// Finds the Authentication-Results fields that bear an authserv-id, which only the server of that name may have written.
///
/// `message` begins with the header section. Returns where each field lies in it, the end of its line included, in
/// order. A field that cannot be read counts when the id stands anywhere before its first semicolon, since others may
/// read it; one of more than 64 KiB counts in any case.
///
/// ```
/// use hikyaku_trust::foreign_results;
///
/// let message = b"Authentication-Results: (x) MX.example.ORG 1;\r\n\tdkim=pass\r\nSubject: x\r\n\r\n";
/// assert_eq!(foreign_results(message, "mx.example.org"), [0..59]);
/// ```
pub fn foreign_results(message: &[u8], authserv_id: &str) -> Vec<Range<usize>> {
    let own = comparable(authserv_id);
    let is_own = |value: &[u8]| {
        if value.len() > OCTETS {
            return true;
        }
        let text = String::from_utf8_lossy(value);
        match identifier(&text) {
            Some(found) => comparable(&found) == own,
            None => {
                let head = text.split(';').next().unwrap_or_default();
                head.to_lowercase().contains(&own)
            }
        }
    };
    fields(message)
        .filter(|field| field.is("Authentication-Results") && is_own(field.value))
        .map(|field| field.place)
        .collect()
}

/// Finds the fields of a name, in any case: where each lies in `message`, the end of its line included, in order.
///
/// ```
/// use hikyaku_trust::fields_named;
///
/// assert_eq!(fields_named(b"A: 1\r\na: 2\r\n 3\r\nB: 4\r\n\r\nA: 5\r\n", "A"), [0..6, 6..16]);
/// ```
pub fn fields_named(message: &[u8], name: &str) -> Vec<Range<usize>> {
    fields(message)
        .filter(|field| field.is(name))
        .map(|field| field.place)
        .collect()
}

fn comparable(id: &str) -> String {
    let id = id.trim();
    ascii(id).unwrap_or_else(|| id.trim_end_matches('.').to_lowercase())
}

/// The authserv-id: a token or a quoted string behind spaces and comments (RFC 8601 §2.2).
fn identifier(value: &str) -> Option<String> {
    let mut letters = value.chars().peekable();
    skip(&mut letters)?;
    let mut id = String::new();
    if letters.next_if_eq(&'"').is_some() {
        loop {
            match letters.next()? {
                '\\' => id.push(letters.next()?),
                '"' => return Some(id),
                letter => id.push(letter),
            }
        }
    }
    let is_token = |letter: &char| {
        !letter.is_whitespace() && !letter.is_control() && !"()<>@,;:\\\"/[]?=".contains(*letter)
    };
    while let Some(letter) = letters.next_if(is_token) {
        id.push(letter);
    }
    (!id.is_empty()).then_some(id)
}

/// Passes over spaces and comments. `None` when a comment does not end.
fn skip(letters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    let mut depth = 0_usize;
    loop {
        match letters.peek() {
            Some('(') => depth += 1,
            Some(')') if depth > 0 => depth -= 1,
            Some('\\') if depth > 0 => drop(letters.next()),
            Some(letter) if depth > 0 || letter.is_whitespace() => {}
            None if depth > 0 => return None,
            _ => return Some(()),
        }
        letters.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_name_is_found_in_every_disguise() {
        for (value, is_ours) in [
            (" mx.our.test; spf=pass", true),
            ("mx.our.test;none", true),
            (" MX.Our.TEST; spf=pass", true),
            (" mx.our.test 1; spf=pass", true),
            (" mx.our.test (c) 1 (d); spf=pass", true),
            (" (mx.else.test) mx.our.test; spf=pass", true),
            (" (a (nested \\) one) b) mx.our.test; spf=pass", true),
            ("\r\n\tmx.our.test\r\n\t; spf=pass", true),
            ("\r\n\t(a)\r\n (b) mx.our.test; none", true),
            (" \"mx.our.test\"; spf=pass", true),
            (" \"mx.o\\ur.test\"; spf=pass", true),
            (" mx.our.test.; spf=pass", true),
            (" mx.our.test", true),
            (" mx.our.test/1; spf=pass", true),
            (" (unclosed mx.our.test; spf=pass", true),
            (" mx\u{3002}our.test; spf=pass", true),
            (" mx.else.test; spf=pass smtp.helo=mx.our.test", false),
            (" mx.else.test (mx.our.test); spf=pass", false),
            (" amx.our.test; spf=pass", false),
            (" mx.our.test.else.test; spf=pass", false),
            (" our.test; spf=pass", false),
            ("", false),
        ] {
            for name in [
                "Authentication-Results",
                "authentication-RESULTS",
                "Authentication-Results ",
            ] {
                let message = format!("Subject: x\r\n{name}:{value}\r\nTo: y\r\n\r\n");
                let begin = 12;
                let end = message.len() - 9;
                let want: Vec<Range<usize>> = is_ours.then_some(begin..end).into_iter().collect();
                assert_eq!(
                    foreign_results(message.as_bytes(), "mx.our.test"),
                    want,
                    "{name}:{value}"
                );
            }
        }
    }

    #[test]
    fn a_field_without_end_is_not_read() {
        let field = |octets| format!("Authentication-Results:{}\r\n", "a".repeat(octets));
        assert_eq!(foreign_results(field(OCTETS).as_bytes(), "mx.our.test"), []);
        let long = field(OCTETS + 1);
        let found = foreign_results(long.as_bytes(), "mx.our.test");
        assert_eq!(found.first(), Some(&(0..long.len())));
    }

    #[test]
    fn the_body_and_other_fields_are_left_alone() {
        let message = b"X-Authentication-Results: mx.our.test; none\r\n\r\nAuthentication-Results: mx.our.test; none\r\n";
        assert_eq!(foreign_results(message, "mx.our.test"), []);
    }
}
