//! The field Authentication-Results, written (RFC 8601 §2.2).

use crate::outcome::Outcome;

/// Octets of a line, beyond which it is folded.
const LINE: usize = 78;
/// The longest value. What a stranger chose is cut there.
const VALUE: usize = 200;

/// The results of one server.
pub(crate) struct Results {
    text: String,
    is_empty: bool,
}

impl Results {
    pub(crate) fn new(authserv_id: &str) -> Self {
        Self {
            text: format!("Authentication-Results: {}", value(authserv_id)),
            is_empty: true,
        }
    }

    /// Adds a result, with its reason and with the properties that it is about (`smtp.mailfrom`, ..).
    pub(crate) fn add(
        &mut self,
        method: &str,
        outcome: Outcome,
        reason: Option<&str>,
        properties: &[(&str, &str)],
    ) {
        self.is_empty = false;
        self.text.push_str(";\r\n\t");
        let mut words = vec![format!("{method}={outcome}")];
        if let Some(reason) = reason {
            words.push(format!("reason={}", quoted(reason)));
        }
        let shown = properties.iter().filter(|(_, text)| !text.is_empty());
        words.extend(shown.map(|(name, text)| format!("{name}={}", value(text))));
        self.text.push_str(&folded(&words, 1));
    }

    /// Returns the field with the end of its line.
    pub(crate) fn finish(mut self) -> String {
        if self.is_empty {
            self.text.push_str("; none");
        }
        self.text.push_str("\r\n");
        self.text
    }
}

/// Joins words with spaces, or with folds where a line would be too long. The first line has some octets already.
fn folded(words: &[String], begun: usize) -> String {
    let mut text = String::new();
    let mut line = begun;
    for (position, word) in words.iter().enumerate() {
        if position > 0 && line + 1 + word.len() > LINE {
            text.push_str("\r\n\t");
            line = 1;
        } else if position > 0 {
            text.push(' ');
            line += 1;
        }
        text.push_str(word);
        line += word.len();
    }
    text
}

/// A value: as it is where it is a token, an address or a domain, else quoted.
fn value(text: &str) -> String {
    let is_plain =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+!#$%&'*^`{|}@".contains(&octet);
    match !text.is_empty() && text.len() <= VALUE && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => quoted(text),
    }
}

/// A quoted string. Nothing in it can end it, or the line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars().take(VALUE) {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            ' '..='~' => quoted.push(letter),
            _ => quoted.push('?'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn results_stand_below_each_other() {
        let mut results = Results::new("mx.our.test");
        let properties = [("smtp.mailfrom", "a@one.test"), ("smtp.helo", "")];
        results.add("spf", Outcome::Fail, Some("-all"), &properties);
        let long = "x".repeat(60);
        results.add(
            "dkim",
            Outcome::Pass,
            None,
            &[("header.d", "one.test"), ("header.s", &long)],
        );
        let want = format!(
            "Authentication-Results: mx.our.test;\r\n\tspf=fail reason=\"-all\" smtp.mailfrom=a@one.test;\r\n\t\
             dkim=pass header.d=one.test\r\n\theader.s={long}\r\n"
        );
        assert_eq!(results.finish(), want);
        let none = "Authentication-Results: mx.our.test; none\r\n";
        assert_eq!(Results::new("mx.our.test").finish(), none);
    }

    #[test]
    fn what_strangers_chose_stays_a_value() {
        assert_eq!(value("a b"), "\"a b\"");
        assert_eq!(value("a;dkim=pass"), "\"a;dkim=pass\"");
        assert_eq!(value("a\"\\\r\n"), "\"a\\\"\\\\??\"");
        assert_eq!(value("é"), "\"?\"");
        assert_eq!(value(""), "\"\"");
        assert!(value(&"a".repeat(5000)).len() < 210);
    }

    proptest! {
        #[test]
        fn a_field_is_one_field(text in any::<String>()) {
            let mut results = Results::new("mx.our.test");
            results.add("spf", Outcome::Fail, Some(&text), &[("smtp.helo", &text)]);
            let field = results.finish();
            let message = format!("{field}\r\n");
            let fields: Vec<_> = crate::section::fields(message.as_bytes()).collect();
            prop_assert_eq!(fields.len(), 1);
            prop_assert_eq!(fields[0].place.end, field.len());
            prop_assert!(field.lines().all(|line| line.len() < 900));
        }
    }
}
