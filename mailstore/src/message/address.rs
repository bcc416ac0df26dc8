//! Addresses in header fields (RFC 5322 §3.4), read as leniently as the world writes them.

use serde::{Deserialize, Serialize};

/// So many addresses of one field are kept.
const MOST: usize = 1_000;

/// An address, or the begin or end of a group, as ENVELOPE shows them (RFC 9051 §7.5.2):
/// a group begins with `mailbox` alone and ends with nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The display name, quoting removed, encoded words kept.
    pub name: Option<Vec<u8>>,
    /// The source route of old (RFC 5322 §4.4).
    pub route: Option<Vec<u8>>,
    /// The local part.
    pub mailbox: Option<Vec<u8>>,
    /// The domain.
    pub host: Option<Vec<u8>>,
}

impl Address {
    /// `local@domain`, when it is an address.
    #[must_use]
    pub fn addr_spec(&self) -> Option<Vec<u8>> {
        match (&self.mailbox, &self.host) {
            (Some(mailbox), Some(host)) => Some([mailbox, &b"@"[..], host].concat()),
            _ => None,
        }
    }
}

/// Reads an unfolded address list. What is no address is passed over; nothing fails.
///
/// ```
/// use hikyaku_mailstore::message::parse_addresses;
/// let list = parse_addresses(b"\"Joe Q. Public\" <john.q.public@example.com>");
/// assert_eq!(list[0].name.as_deref(), Some(&b"Joe Q. Public"[..]));
/// ```
#[must_use]
pub fn parse_addresses(field: &[u8]) -> Vec<Address> {
    let mut reader = Reader {
        rest: field,
        comment: None,
    };
    let mut list = Vec::new();
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut in_group = false;
    while list.len() < MOST {
        let Some(token) = reader.token() else { break };
        match token {
            Token::Word(word) => words.push(word),
            Token::Special(b'<') => {
                let name = phrase(&mut words);
                let mut address = reader.angle();
                address.name = name;
                reader.comment = None;
                if address.mailbox.is_some() {
                    list.push(address);
                }
            }
            Token::Special(b':') if !in_group => {
                in_group = true;
                list.push(Address {
                    mailbox: Some(phrase(&mut words).unwrap_or_default()),
                    ..Address::default()
                });
            }
            Token::Special(b';') => {
                finish(&mut words, &mut reader, &mut list);
                if std::mem::take(&mut in_group) {
                    list.push(Address::default());
                }
            }
            Token::Special(b'@') => {
                let host = reader.domain();
                let mailbox = words.concat();
                words.clear();
                list.push(Address {
                    name: reader.trailing_comment(),
                    route: None,
                    mailbox: Some(mailbox),
                    host: Some(host),
                });
            }
            Token::Special(b',') => finish(&mut words, &mut reader, &mut list),
            Token::Special(_) => {}
        }
    }
    finish(&mut words, &mut reader, &mut list);
    if in_group {
        list.push(Address::default());
    }
    list
}

/// Words that were followed by no domain.
fn finish(words: &mut Vec<Vec<u8>>, reader: &mut Reader<'_>, list: &mut Vec<Address>) {
    if let Some(mailbox) = phrase(words) {
        list.push(Address {
            name: reader.comment.take(),
            route: None,
            mailbox: Some(mailbox),
            host: Some(Vec::new()),
        });
    }
    reader.comment = None;
}

fn phrase(words: &mut Vec<Vec<u8>>) -> Option<Vec<u8>> {
    let phrase = words.join(&b' ');
    let any = !words.is_empty();
    words.clear();
    any.then_some(phrase)
}

enum Token {
    Word(Vec<u8>),
    Special(u8),
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The last comment: old mail writes the name so.
    comment: Option<Vec<u8>>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn skip_space(&mut self) {
        while let Some(&first) = self.rest.first() {
            match first {
                b' ' | b'\t' | b'\r' | b'\n' => drop(self.next()),
                b'(' => self.comment = Some(self.comment()),
                _ => return,
            }
        }
    }

    fn comment(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        let mut depth = 0_usize;
        while let Some(octet) = self.next() {
            match octet {
                b'(' => {
                    depth += 1;
                    if depth == 1 {
                        continue;
                    }
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                b'\\' => {
                    text.extend(self.next());
                    continue;
                }
                _ => {}
            }
            text.push(octet);
        }
        text.trim_ascii().to_vec()
    }

    fn trailing_comment(&mut self) -> Option<Vec<u8>> {
        self.comment = None;
        self.skip_space();
        self.comment.take()
    }

    fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while let Some(octet) = self.next() {
            match octet {
                b'"' => break,
                b'\\' => text.extend(self.next()),
                b'\r' | b'\n' => {}
                _ => text.push(octet),
            }
        }
        text
    }

    /// Octets up to a special or a space.
    fn atom(&mut self) -> Vec<u8> {
        let special = |octet: &u8| b" \t\r\n()<>@,;:\"".contains(octet);
        let end = self
            .rest
            .iter()
            .position(special)
            .unwrap_or(self.rest.len());
        let (atom, rest) = self.rest.split_at(end);
        self.rest = rest;
        atom.to_vec()
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_space();
        let &first = self.rest.first()?;
        Some(match first {
            b'"' => {
                self.next();
                Token::Word(self.quoted())
            }
            b'<' | b'>' | b'@' | b',' | b';' | b':' | b')' => {
                self.next();
                Token::Special(first)
            }
            _ => Token::Word(self.atom()),
        })
    }

    fn domain(&mut self) -> Vec<u8> {
        self.skip_space();
        if self.rest.first() == Some(&b'[') {
            let end = self.rest.iter().position(|&o| o == b']');
            let (literal, rest) = self
                .rest
                .split_at(end.map_or(self.rest.len(), |end| end + 1));
            self.rest = rest;
            return literal.to_vec();
        }
        self.atom()
    }

    /// What stands behind `<`, its `>` included.
    fn angle(&mut self) -> Address {
        let mut address = Address::default();
        let mut local = Vec::new();
        let mut route = Vec::new();
        while let Some(token) = self.token() {
            match token {
                Token::Word(word) => local.extend_from_slice(&word),
                Token::Special(b'@') if local.is_empty() => {
                    route.push(b'@');
                    route.extend(self.domain());
                }
                Token::Special(b',') if local.is_empty() && !route.is_empty() => route.push(b','),
                Token::Special(b':') if local.is_empty() => {}
                Token::Special(b'@') => address.host = Some(self.domain()),
                Token::Special(b'>') => break,
                Token::Special(_) => {}
            }
        }
        if !local.is_empty() || address.host.is_some() {
            address.mailbox = Some(local);
            address.host.get_or_insert_default();
        }
        address.route = (!route.is_empty()).then_some(route);
        address
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(field: &str) -> Vec<String> {
        let text = |part: &Option<Vec<u8>>| match part {
            Some(part) => String::from_utf8_lossy(part).into_owned(),
            None => "-".into(),
        };
        parse_addresses(field.as_bytes())
            .iter()
            .map(|a| [&a.name, &a.route, &a.mailbox, &a.host].map(text).join("|"))
            .collect()
    }

    #[test]
    fn the_examples_of_rfc_5322() {
        assert_eq!(
            shown(
                "\"Joe Q. Public\" <john.q.public@example.com>, Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>"
            ),
            [
                "Joe Q. Public|-|john.q.public|example.com",
                "Mary Smith|-|mary|x.test",
                "-|-|jdoe|example.org",
                "Who?|-|one|y.test"
            ]
        );
        assert_eq!(
            shown("A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;"),
            [
                "-|-|A Group|-",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                "-|-|-|-"
            ]
        );
        assert_eq!(
            shown("Undisclosed recipients:;"),
            ["-|-|Undisclosed recipients|-", "-|-|-|-"]
        );
        assert_eq!(
            shown("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>"),
            ["Pete|-|pete|silly.test"]
        );
        assert_eq!(shown("joe@x.test (Joe Doe)"), ["Joe Doe|-|joe|x.test"]);
        assert_eq!(
            shown("<@a.test,@b.test:joe@c.test>"),
            ["-|@a.test,@b.test|joe|c.test"]
        );
        assert_eq!(shown("user@[192.0.2.1]"), ["-|-|user|[192.0.2.1]"]);
        assert_eq!(shown("lonely"), ["-|-|lonely|"]);
        assert!(shown("<>, ,").is_empty());
    }

    proptest! {
        #[test]
        fn anything_is_read(field in "[a-c<>@,;:()\"\\\\ \\[\\]]{0,40}") {
            let _ = parse_addresses(field.as_bytes());
        }
    }
}
