//! Whose name a message bears: the domains in its From fields.
//!
//! Everything that some reader may take for an address counts. `"ceo@our.test" <x@elsewhere.test>` is no address of
//! ours, since it stands in quotes; `ceo@our.test <x@elsewhere.test>` is.

use crate::domain::canonical;
use crate::section::fields;
use std::collections::BTreeSet;

/// Octets of all From fields together. A message of 50 MiB may be nothing but a From field.
const OCTETS: usize = 64 * 1024;
/// Addresses in all From fields together. Each `@` counts, and may have nothing behind it.
const ADDRESSES: usize = 1000;

/// The authors of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Authors {
    /// The domains of all addresses, in the form of DNS, in order.
    pub domains: Vec<String>,
    /// How many From fields there are. One is right (RFC 5322 §3.6).
    pub fields: usize,
    /// Domains that cannot be read, in small letters.
    pub unclear: Vec<String>,
    /// The domains in Sender, Resent-From and Resent-Sender, which readers show, too.
    pub senders: Vec<String>,
    /// Domains in these that cannot be read, in small letters.
    pub unclear_senders: Vec<String>,
    /// The From fields, or those of senders, have more than 64 KiB or 1000 addresses together, and were not read to their
    /// end. Any name may stand behind that.
    pub is_too_large: bool,
}

impl Authors {
    /// Finds the authors in the header section of a message.
    pub fn find(message: &[u8]) -> Self {
        let from = Found::of(message, &["From"]);
        let senders = Found::of(message, &["Sender", "Resent-From", "Resent-Sender"]);
        Self {
            domains: from.domains.into_iter().collect(),
            fields: from.fields,
            unclear: from.unclear,
            senders: senders.domains.into_iter().collect(),
            unclear_senders: senders.unclear,
            is_too_large: from.is_too_large || senders.is_too_large,
        }
    }

    /// Returns the domain that DMARC is about: that of all authors, when it is one (RFC 7489 §6.6.1).
    pub fn one(&self) -> Option<&str> {
        match self.domains.as_slice() {
            [domain] if self.fields == 1 && self.unclear.is_empty() && !self.is_too_large => {
                Some(domain)
            }
            _ => None,
        }
    }
}

/// What some fields hold.
#[derive(Default)]
struct Found {
    domains: BTreeSet<String>,
    unclear: Vec<String>,
    fields: usize,
    is_too_large: bool,
}

impl Found {
    fn of(message: &[u8], names: &[&str]) -> Self {
        let mut all = Self::default();
        let (mut octets, mut addresses) = (0, 0);
        let is_one = |field: &crate::section::Field<'_>| names.iter().any(|name| field.is(name));
        for field in fields(message).filter(is_one) {
            all.fields += 1;
            octets += field.place.len();
            all.is_too_large |= octets > OCTETS;
            if all.is_too_large {
                continue;
            }
            let text = String::from_utf8_lossy(field.value);
            let most = ADDRESSES - addresses;
            let mut found = addressed(&text, most);
            if found.as_ref().is_some_and(Vec::is_empty) {
                // An address in an encoded word is none, and is shown as if it were one.
                found = addressed(&hikyaku_message::decode_header(field.value), most);
            }
            let Some(found) = found else {
                all.is_too_large = true;
                continue;
            };
            addresses += found.len();
            for domain in found {
                match canonical(&domain) {
                    Some(domain) => drop(all.domains.insert(domain)),
                    None => all.unclear.push(domain.to_lowercase()),
                }
            }
        }
        all
    }
}

/// What stands behind each `@` that is neither quoted nor in a comment. `None` for more of them than `most`.
fn addressed(text: &str, most: usize) -> Option<Vec<String>> {
    let letters: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    // Without its second half a quote or a comment is none.
    let mut may_quote = true;
    let mut may_comment = true;
    while let Some(letter) = letters.get(at) {
        match letter {
            '"' if may_quote => match end_of_quote(&letters, at) {
                Some(end) => at = end,
                None => may_quote = false,
            },
            '(' if may_comment => match end_of_comment(&letters, at) {
                Some(end) => at = end,
                None => may_comment = false,
            },
            '\\' => at += 1,
            '@' if found.len() == most => return None,
            '@' => {
                let (domain, end) = domain(&letters, at + 1, may_comment);
                found.push(domain);
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    Some(found)
}

/// The domain that begins here, and where it ends. Spaces and comments may stand around its dots (RFC 5322 §4.4).
fn domain(letters: &[char], begin: usize, may_comment: bool) -> (String, usize) {
    let mut domain = String::new();
    let mut at = begin;
    let mut is_after_gap = false;
    while let Some(letter) = letters.get(at) {
        match letter {
            '(' if may_comment => match end_of_comment(letters, at) {
                Some(end) => {
                    at = end;
                    is_after_gap = true;
                }
                None => break,
            },
            letter if letter.is_whitespace() || letter.is_control() => is_after_gap = true,
            '<' | '>' | ',' | ';' | ':' | '"' | '\\' | '@' | '(' | ')' => break,
            letter => {
                let joins = domain.is_empty() || domain.ends_with('.') || *letter == '.';
                if is_after_gap && !joins {
                    break;
                }
                is_after_gap = false;
                domain.push(*letter);
            }
        }
        at += 1;
    }
    (domain, at)
}

fn end_of_quote(letters: &[char], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        match letters.get(at)? {
            '\\' => at += 1,
            '"' => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

fn end_of_comment(letters: &[char], begin: usize) -> Option<usize> {
    let (mut at, mut depth) = (begin, 0_usize);
    loop {
        match letters.get(at)? {
            '\\' => at += 1,
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn all_that_may_be_an_address_counts() {
        for (from, domains) in [
            ("From: a@one.test\r\n", "one.test"),
            ("from:A@ONE.TEST\r\n", "one.test"),
            ("From : a@one.test\r\n", "one.test"),
            ("From: Name <a@one.test>\r\n", "one.test"),
            ("From: \"b@two.test\" <a@one.test>\r\n", "one.test"),
            ("From: (b@two.test) a@one.test\r\n", "one.test"),
            ("From: b@two.test <a@one.test>\r\n", "one.test two.test"),
            ("From: a@one.test, b@two.test\r\n", "one.test two.test"),
            (
                "From: a@one.test\r\nFrom: b@two.test\r\n",
                "one.test two.test",
            ),
            ("From: <@two.test:a@one.test>\r\n", "one.test two.test"),
            ("From: \"a@two.test\"@one.test\r\n", "one.test"),
            ("From: a@ (x) one (y) . (z) test\r\n", "one.test"),
            ("From:\r\n a@one\r\n .test\r\n", "one.test"),
            ("From: a@one.test.\r\n", "one.test"),
            ("From: group: a@one.test;\r\n", "one.test"),
            ("From: \"a <a@one.test>\r\n", "one.test"),
            ("From: a (unclosed <a@one.test>\r\n", "one.test"),
            ("From: =?utf-8?q?a=40one.test?=\r\n", "one.test"),
            ("From: =?utf-8?b?YUBvbmUudGVzdA==?=\r\n", "one.test"),
            ("From: a@b\u{fc}cher.test\r\n", "xn--bcher-kva.test"),
            ("From: a@sub.one.test\r\n", "sub.one.test"),
            ("To: a@one.test\r\n", ""),
            ("\r\nFrom: a@one.test\r\n", ""),
        ] {
            let found = Authors::find(from.as_bytes());
            assert_eq!(found.domains.join(" "), domains, "{from}");
        }
    }

    #[test]
    fn one_author_is_one_domain_in_one_field() {
        let one = |text: &str| Authors::find(text.as_bytes()).one().map(str::to_owned);
        assert_eq!(
            one("From: a@one.test, b@one.test\r\n").as_deref(),
            Some("one.test")
        );
        assert_eq!(one("From: a@one.test\r\nFrom: a@one.test\r\n"), None);
        assert_eq!(one("From: a@one.test, b@two.test\r\n"), None);
        assert_eq!(one("From: a@one.test, b@[192.0.2.1]\r\n"), None);
        assert_eq!(one("From: nobody\r\n"), None);
        assert_eq!(one("Subject: x\r\n"), None);
    }

    #[test]
    fn from_fields_are_read_up_to_a_bound() {
        // As in a message of 50 MiB, which took gigabytes.
        let folded = format!(
            "From: x@one.test\r\n{}",
            " @@@@@@@@@@@@@\r\n".repeat(1 << 20)
        );
        let many = "From: x@one.test\r\n".repeat(1 << 12);
        let empty = "From:\r\n".repeat(1 << 16);
        for message in [folded.as_str(), &many, &empty] {
            let found = Authors::find(message.as_bytes());
            assert!(found.is_too_large, "{}", &message[..40]);
            assert!(found.unclear.len() <= ADDRESSES && found.domains.len() <= 1);
            assert_eq!(found.one(), None);
        }
        let few = |count: usize| Authors::find(format!("From: {}", "x@,".repeat(count)).as_bytes());
        assert!(!few(ADDRESSES).is_too_large);
        assert_eq!(few(ADDRESSES).unclear.len(), ADDRESSES);
        assert!(few(ADDRESSES + 1).is_too_large);
        let two = format!("From: {}\r\n", "x@a.test,".repeat(ADDRESSES / 2 + 1)).repeat(2);
        assert!(Authors::find(two.as_bytes()).is_too_large);
        let long = |octets: usize| format!("From: a@one.test {}", "x".repeat(octets - 17));
        assert_eq!(
            Authors::find(long(OCTETS).as_bytes()).one(),
            Some("one.test")
        );
        assert_eq!(Authors::find(long(OCTETS + 1).as_bytes()).one(), None);
    }

    proptest! {
        #[test]
        fn no_from_is_too_strange(value in r#"[a@.<>"(),:;\\ \[\]é=?]{0,40}"#) {
            Authors::find(format!("From: {value}\r\n\r\n").as_bytes());
        }
    }
}
