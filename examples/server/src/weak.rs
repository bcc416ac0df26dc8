//! Hints about passwords that are easily guessed. They are hints: what is taken is the administrator's decision.
//!
//! A library that estimates strength (zxcvbn) brings 90 000 words and a regular expression engine; what guesses here are a
//! few attempts a minute, so that length and what is tried first decide.

/// A password of fewer characters is short.
const SHORT: usize = 10;
/// One of fewer different characters is as if it were short.
const DIFFERENT: usize = 5;

/// What is tried first, wherever mail is guessed at, without digits and signs at the end.
const COMMON: &[&str] = &[
    "abc",
    "abcdef",
    "access",
    "admin",
    "administrator",
    "asdf",
    "asdfgh",
    "azerty",
    "baseball",
    "batman",
    "changeme",
    "charlie",
    "default",
    "donald",
    "dragon",
    "email",
    "flower",
    "football",
    "freedom",
    "guest",
    "hallo",
    "hello",
    "hottie",
    "iloveyou",
    "info",
    "jesus",
    "letmein",
    "login",
    "love",
    "loveme",
    "mail",
    "master",
    "michael",
    "monkey",
    "mustang",
    "mypass",
    "mypassword",
    "ninja",
    "office",
    "pass",
    "passw",
    "passwd",
    "password",
    "passwort",
    "postmaster",
    "princess",
    "private",
    "qazwsx",
    "qwer",
    "qwert",
    "qwerty",
    "qwertyuiop",
    "qwertz",
    "root",
    "sales",
    "secret",
    "server",
    "shadow",
    "solo",
    "starwars",
    "summer",
    "sunshine",
    "superman",
    "support",
    "temp",
    "test",
    "testing",
    "trustno",
    "user",
    "welcome",
    "whatever",
    "winter",
    "zaq",
    "zaqwsx",
    "zxcvbn",
    "zxcvbnm",
];

/// Rows of keys and of the alphabet.
const ROWS: &[&str] = &[
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "qwertzuiop",
    "azertyuiop",
];

/// Returns what is weak about the password of an address, with what to do; `None` if nothing is.
#[must_use]
pub fn hint(address: &str, password: &str) -> Option<String> {
    let lower = plain(password);
    let letters = lower.trim_matches(|c: char| !c.is_alphabetic());
    let different = lower
        .chars()
        .collect::<std::collections::BTreeSet<_>>()
        .len();
    let mut own = address.split(['@', '.', '-', '_', '+']).map(plain);
    let why = if COMMON.contains(&letters) || is_repeated(letters, COMMON) {
        "is among the first that attackers try"
    } else if own.any(|part| part.chars().count() > 2 && letters == part) {
        "is a part of the address"
    } else if is_row(&lower) {
        "is a row of keys on a keyboard"
    } else if password.chars().count() < SHORT {
        "is too short"
    } else if different < DIFFERENT {
        "has too few different characters"
    } else {
        return None;
    };
    Some(format!(
        "this password {why}: use several words, or run the command on a terminal to have one generated"
    ))
}

/// Small letters, with what is written for them taken back.
fn plain(text: &str) -> String {
    let of = |c| match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        c => c,
    };
    let lower = text.to_lowercase();
    // Digits at the end are digits: "summer2024".
    let word = lower.trim_end_matches(|c: char| !c.is_alphabetic());
    match word.is_empty() {
        true => lower,
        false => word
            .chars()
            .map(of)
            .chain(lower[word.len()..].chars())
            .collect(),
    }
}

/// Whether it is one of those, several times.
fn is_repeated(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| {
        let times = text.len() / word.len();
        times > 1 && text.len().is_multiple_of(word.len()) && word.repeat(times) == text
    })
}

/// Whether it is a piece of a row, in either direction, or several times one character.
fn is_row(text: &str) -> bool {
    let back: String = text.chars().rev().collect();
    let is_piece = |row: &&str| row.contains(text) || row.contains(&back);
    let mut characters = text.chars();
    let first = characters.next();
    ROWS.iter().any(is_piece) || characters.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_first_is_weak() {
        for password in [
            "password",
            "Passw0rd",
            "P@ssw0rd!",
            "password1234567",
            "Summer2024!",
            "qwertyuiop",
            "1234567890",
            "987654321",
            "aaaaaaaaaaaaaaaa",
            "abababababab",
            "Alice",
            "alice2024",
            "example!",
            "x",
            "short",
            "geheim",
            "testtest",
            "letmein!!!!",
            "zyxwvutsrq",
            "飛脚",
        ] {
            assert!(hint("alice@example.test", password).is_some(), "{password}");
        }
        for password in [
            "a secret of words",
            "k3vh-9mzt-x2pq-ru7d",
            "correct horse battery staple",
            "Tr0ub4dor&3xyz",
            "飛脚は手紙を運ぶ人です",
        ] {
            assert_eq!(hint("alice@example.test", password), None, "{password}");
        }
    }
}
