//! Addresses in header fields (RFC 5322 §3.4), read as leniently as the world writes them.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::octet_set::OctetSet;

/// How many addresses of one field are kept.
const MOST: usize = 1_000;

/// An address, or the begin or end of a group, as ENVELOPE shows them (RFC 9051 §7.5.2):
/// a group begins with `mailbox` alone and ends with nothing at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
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
    /// Returns `local@domain`; `None` when the domain is missing.
    ///
    /// ```
    /// use hikyaku_message::parse_addresses;
    /// let all = parse_addresses(b"Alice <alice@example.org>");
    /// assert_eq!(all[0].addr_spec().as_deref(), Some(&b"alice@example.org"[..]));
    /// ```
    #[must_use]
    pub fn addr_spec(&self) -> Option<Vec<u8>> {
        match (&self.mailbox, &self.host) {
            (Some(mailbox), Some(host)) if !mailbox.is_empty() && !host.is_empty() => {
                Some([mailbox, &b"@"[..], host].concat())
            }
            _ => None,
        }
    }
}

/// Reads an unfolded address list. What is no address is passed over; nothing fails.
///
/// What stands before `<` is the name, also where it should have been in quotes: with a comma, a colon or an address in it.
/// A colon begins a group only where a semicolon ends it, or where nothing follows.
///
/// ```
/// use hikyaku_message::parse_addresses;
/// let list = parse_addresses(b"\"Joe Q. Public\" <john.q.public@example.com>");
/// assert_eq!(list[0].name.as_deref(), Some(&b"Joe Q. Public"[..]));
/// let list = parse_addresses(b"Muster, Max <max@remote.test>");
/// assert_eq!(list[0].name.as_deref(), Some(&b"Muster, Max"[..]));
/// ```
#[must_use]
pub fn parse_addresses(field: &[u8]) -> Vec<Address> {
    plain_list(field).unwrap_or_else(|| any_list(field))
}

/// Octets that stand for themselves in a name and in an address, whatever is beside them: neither special, nor
/// blanks, nor controls, nor the beginning of an encoded word.
const PLAIN: OctetSet = OctetSet::without(b'!', 0xff, b"<>@,;:\"()\\=[]\x7f");

/// Plain octets at the begin.
fn plain(octets: &[u8]) -> usize {
    let end = octets.iter().position(|octet| !PLAIN.has(*octet));
    end.unwrap_or(octets.len())
}

/// Reads what nearly all lists are: `Joe Public <joe@example.com>`, `"Public, Joe" <joe@example.com>`,
/// `joe@example.com`, with commas between them. `None`, where there is anything else: [`any_list`] reads the same of these.
fn plain_list(field: &[u8]) -> Option<Vec<Address>> {
    let mut rest = field.trim_ascii();
    let mut all = Vec::new();
    loop {
        let name = plain_name(rest)?;
        let behind = rest.get(name.octets..)?;
        let (address, behind) = match behind.strip_prefix(b"<") {
            Some(inside) => {
                let (address, behind) = addr_spec(inside, name.text)?;
                (address, behind.strip_prefix(b">")?)
            }
            None => addr_spec(rest, None)?,
        };
        all.push(address);
        match behind.split_first() {
            None => return Some(all),
            Some((b',', behind)) if all.len() < MOST => rest = behind.trim_ascii_start(),
            Some(_) => return None,
        }
    }
}

/// A name of the plainest kind.
struct PlainName<'a> {
    text: Option<&'a [u8]>,
    /// With its quotes and the blank behind it.
    octets: usize,
}

/// A name, or none: then nothing is taken. Words have one blank between them.
fn plain_name(octets: &[u8]) -> Option<PlainName<'_>> {
    if let Some(inside) = octets.strip_prefix(b"\"") {
        let end = memchr::memchr3(b'"', b'\\', 0x1b, inside)?;
        let text = inside.get(..end)?;
        let is_simple = inside.get(end) == Some(&b'"')
            && memchr::memchr2(b'\r', b'\n', text).is_none()
            && !text.is_empty()
            && text.trim_ascii().len() == text.len();
        let behind = usize::from(inside.get(end + 1) == Some(&b' '));
        return is_simple.then_some(PlainName {
            text: Some(text),
            octets: end + 2 + behind,
        });
    }
    let mut end = 0;
    loop {
        let word = plain(octets.get(end..)?);
        let is_dot = word == 1 && octets.get(end) == Some(&b'.');
        match octets.get(end + word) {
            // Dots alone draw their neighbours together.
            Some(b' ') if word > 0 && !is_dot => end += word + 1,
            Some(b'<') if word == 0 && end > 0 => {
                return Some(PlainName {
                    text: octets.get(..end - 1),
                    octets: end,
                });
            }
            Some(b'<') if word > 0 && !is_dot => {
                return Some(PlainName {
                    text: octets.get(..end + word),
                    octets: end + word,
                });
            }
            Some(b'<') | None if word == 0 && end == 0 => {
                return Some(PlainName {
                    text: None,
                    octets: 0,
                });
            }
            // An address without a name.
            Some(b'@') if end == 0 && word > 0 => {
                return Some(PlainName {
                    text: None,
                    octets: 0,
                });
            }
            _ => return None,
        }
    }
}

/// `local@domain`, and what is behind it.
fn addr_spec<'a>(octets: &'a [u8], name: Option<&[u8]>) -> Option<(Address, &'a [u8])> {
    let (mailbox, behind) = octets.split_at_checked(plain(octets))?;
    let behind = behind.strip_prefix(b"@")?;
    let (host, behind) = behind.split_at_checked(plain(behind))?;
    if mailbox.is_empty() || host.is_empty() {
        return None;
    }
    let address = Address {
        name: name.map(<[u8]>::to_vec),
        route: None,
        mailbox: Some(mailbox.to_vec()),
        host: Some(host.to_vec()),
    };
    Some((address, behind))
}

/// Reads any list.
fn any_list(field: &[u8]) -> Vec<Address> {
    let mut reader = Reader {
        rest: field,
        comment: None,
        apart: None,
        quotes: true,
        comments: true,
    };
    let last_semicolon = memchr::memrchr(b';', field);
    let mut list = List::default();
    while list.all.len() < MOST {
        let Some((blank, token)) = reader.token() else {
            break;
        };
        let at = field.len() - reader.rest.len();
        // `Support (Billing) <..>`: a comment amid a name is of the name, unless it stands without a blank.
        if matches!(token, Token::Word(_) | Token::Special(b'<'))
            && let Some(comment) = reader.apart.take()
        {
            list.item.comment(&comment);
        }
        match token {
            Token::Word(word) => list.item.word(&word, blank),
            Token::Special(b'<') => {
                let address = reader.angle();
                reader.apart = None;
                list.angle(address);
            }
            Token::Special(b':')
                if !list.in_group
                    && list.item.bare.is_none()
                    && (last_semicolon >= Some(at) || reader.rest.trim_ascii().is_empty()) =>
            {
                list.group();
            }
            Token::Special(b';') => {
                list.finish(&mut reader.comment);
                list.end_group();
            }
            Token::Special(b'@') => {
                let behind = reader.skip_space();
                list.item.host(reader.domain(), blank, behind);
            }
            Token::Special(b',') => list.comma(&mut reader.comment),
            Token::Special(b':') => list.item.special(b':', blank),
            Token::Special(_) => {}
        }
    }
    list.finish(&mut reader.comment);
    list.end_group();
    list.all
}

#[derive(Debug, Default)]
struct List {
    all: Vec<Address>,
    item: Item,
    in_group: bool,
    /// An address in angle brackets, and no comma behind it.
    behind_angle: bool,
}

/// What came since the last address.
#[derive(Debug, Default)]
struct Item {
    /// As it is shown, should it be a name.
    text: Vec<u8>,
    /// Where in the text a local part would begin.
    local: Option<usize>,
    /// Whether the last word was a dot alone.
    behind_dot: bool,
    /// A comma in the text, with nothing before it that has a domain: where each of such parts ends.
    parts: Vec<usize>,
    /// An address without angle brackets, and where in the text it begins.
    bare: Option<(usize, Address)>,
}

impl Item {
    fn blank(&mut self, blank: bool) {
        if blank && !self.text.is_empty() && !self.text.ends_with(b" ") {
            self.text.push(b' ');
        }
    }

    fn word(&mut self, word: &[u8], blank: bool) {
        // RFC 5322 §4.4: blanks around the dots of a local part.
        let goes_on = !blank || word == b"." || self.behind_dot;
        self.behind_dot = word == b".";
        self.blank(!goes_on);
        if self.local.is_none() || !goes_on {
            self.local = Some(self.text.len());
        }
        self.text.extend_from_slice(word);
    }

    fn comment(&mut self, comment: &[u8]) {
        if !self.text.is_empty() && self.bare.is_none() && !comment.is_empty() {
            self.blank(true);
            self.text.push(b'(');
            self.text.extend_from_slice(comment);
            self.text.push(b')');
            self.local = None;
        }
    }

    fn special(&mut self, special: u8, blank: bool) {
        self.blank(blank);
        self.text.push(special);
        self.local = None;
    }

    /// An `@` and what follows it.
    fn host(&mut self, host: Vec<u8>, before: bool, behind: bool) {
        let local = self.local.take();
        if let Some(at) = local.filter(|_| self.bare.is_none()) {
            let mailbox = self.text.get(at..).unwrap_or(&[]).to_vec();
            let address = Address {
                mailbox: Some(mailbox),
                host: Some(host.clone()),
                ..Address::default()
            };
            self.bare = Some((at, address));
        }
        self.blank(before);
        self.text.push(b'@');
        self.blank(behind);
        self.text.extend(host);
    }

    /// The text as a name.
    fn name(&self) -> Option<Vec<u8>> {
        let name = self.text.trim_ascii();
        (!name.is_empty()).then(|| name.to_vec())
    }
}

impl List {
    fn angle(&mut self, mut address: Address) {
        let item = core::mem::take(&mut self.item);
        if address.mailbox.is_none() {
            // `<>` behind an address.
            address = match item.bare {
                Some((_, bare)) => bare,
                None => return,
            };
        } else {
            address.name = item.name();
        }
        self.all.push(address);
        self.behind_angle = true;
    }

    fn group(&mut self) {
        let name = core::mem::take(&mut self.item).name();
        self.in_group = true;
        self.behind_angle = false;
        self.all.push(Address {
            mailbox: Some(name.unwrap_or_default()),
            ..Address::default()
        });
    }

    fn end_group(&mut self) {
        if core::mem::take(&mut self.in_group) {
            self.all.push(Address::default());
        }
    }

    fn comma(&mut self, comment: &mut Option<Vec<u8>>) {
        let item = &mut self.item;
        if item.bare.is_some() || item.text.is_empty() || self.behind_angle {
            return self.finish(comment);
        }
        // It may be a name's.
        item.parts.push(item.text.len());
        item.text.push(b',');
        item.local = None;
    }

    /// The end of what had no angle brackets.
    fn finish(&mut self, comment: &mut Option<Vec<u8>>) {
        let item = core::mem::take(&mut self.item);
        let comment = comment.take().filter(|comment| !comment.is_empty());
        if core::mem::take(&mut self.behind_angle) {
            // What stands behind an address in angle brackets is its name, if it has none.
            if let Some(last) = self.all.last_mut()
                && last.name.is_none()
            {
                last.name = item.name().filter(|_| item.bare.is_none()).or(comment);
            }
            self.all.extend(item.bare.map(|(_, bare)| bare));
            return;
        }
        let mut begin = 0;
        // Names of mailboxes alone, as far as commas were seen.
        let ends = item.parts.iter().copied();
        let last = item.bare.is_none().then_some(item.text.len());
        for end in ends.chain(last) {
            let part = item.text.get(begin..end).unwrap_or(&[]).trim_ascii();
            begin = end + 1;
            if !part.is_empty() && self.all.len() < MOST {
                self.all.push(Address {
                    name: comment.as_ref().filter(|_| Some(end) == last).cloned(),
                    mailbox: Some(part.to_vec()),
                    host: Some(Vec::new()),
                    route: None,
                });
            }
        }
        if let Some((at, mut bare)) = item.bare {
            let before = item.text.get(begin..at).unwrap_or(&[]).trim_ascii();
            let before = (!before.is_empty() && !before.ends_with(b":")).then(|| before.to_vec());
            bare.name = comment.or(before);
            self.all.push(bare);
        }
    }
}

enum Token<'a> {
    Word(Cow<'a, [u8]>),
    Special(u8),
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The last comment: old mail writes the name so.
    comment: Option<Vec<u8>>,
    /// As above, where a blank stands before it.
    apart: Option<Vec<u8>>,
    /// Whether quotes, and comments, end: one that does not is none, and there are no more of them.
    quotes: bool,
    comments: bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Passes over blanks and comments; whether there were any.
    fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        let mut blank = false;
        self.apart = None;
        while let Some(&first) = self.rest.first() {
            match first {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    blank = true;
                    self.next();
                }
                b'(' if self.comments => {
                    let begin = self.rest;
                    match self.comment() {
                        Some(comment) => {
                            self.apart = blank.then(|| comment.clone());
                            self.comment = Some(comment);
                        }
                        None => {
                            self.rest = begin;
                            self.comments = false;
                        }
                    }
                }
                _ => break,
            }
        }
        self.rest.len() < before
    }

    fn comment(&mut self) -> Option<Vec<u8>> {
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
                        return Some(text.trim_ascii().to_vec());
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
        None
    }

    /// What stands behind a quote, up to the next.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        let begin = self.rest;
        let mut text = Vec::new();
        loop {
            let shifted = shifted(self.rest);
            let (run, rest) = self.rest.split_at(shifted);
            text.extend_from_slice(run);
            self.rest = rest;
            match self.next() {
                Some(b'"') => return Some(text),
                Some(b'\\') => text.extend(self.next()),
                Some(b'\r' | b'\n') => {}
                Some(octet) => text.push(octet),
                None => break,
            }
        }
        self.rest = begin;
        self.quotes = false;
        None
    }

    /// Octets up to a special or a space.
    fn atom(&mut self) -> &'a [u8] {
        let special = |octet: &u8| b" \t\r\n<>@,;:\"".contains(octet);
        let mut end = 0;
        while let Some(octet) = self.rest.get(end) {
            if PLAIN.has(*octet) {
                end += 1;
                continue;
            }
            let behind = self.rest.get(end..).unwrap_or(&[]);
            let whole = match octet {
                0x1b => shifted(behind),
                // An encoded word is one, whatever is in it.
                b'=' => super::encoded_word::length(behind).unwrap_or(0),
                _ => 0,
            };
            let stops = special(octet) || b"()".contains(octet) && self.comments;
            if whole == 0 && stops {
                break;
            }
            end += whole.max(1);
        }
        let (atom, rest) = self.rest.split_at(end.min(self.rest.len()));
        self.rest = rest;
        atom
    }

    /// The next token, and whether blanks stood before it.
    fn token(&mut self) -> Option<(bool, Token<'a>)> {
        let mut blank = self.skip_space();
        loop {
            let &first = self.rest.first()?;
            let token = match first {
                b'"' => {
                    self.next();
                    match self.quotes.then(|| self.quoted()).flatten() {
                        Some(text) => Token::Word(Cow::Owned(text)),
                        // None that ends.
                        None => {
                            blank |= self.skip_space();
                            continue;
                        }
                    }
                }
                b'<' | b'>' | b'@' | b',' | b';' | b':' => {
                    self.next();
                    Token::Special(first)
                }
                b')' if self.comments => {
                    self.next();
                    Token::Special(first)
                }
                _ => Token::Word(Cow::Borrowed(self.atom())),
            };
            return Some((blank, token));
        }
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
        self.atom().to_vec()
    }

    /// What stands behind `<`, its `>` included.
    fn angle(&mut self) -> Address {
        let mut address = Address::default();
        let mut local = Vec::new();
        let mut route = Vec::new();
        while let Some((_, token)) = self.token() {
            match token {
                Token::Word(word) => local.extend_from_slice(&word),
                Token::Special(b'@') if local.is_empty() => {
                    route.push(b'@');
                    route.extend(self.domain());
                }
                Token::Special(b',') if local.is_empty() && !route.is_empty() => route.push(b','),
                Token::Special(b':') if local.eq_ignore_ascii_case(b"mailto") => local.clear(),
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
        self.comment = None;
        address
    }
}

/// Returns how many octets at the begin are of ISO-2022-JP's two-octet sets: they are no specials, whatever they look
/// like.
fn shifted(octets: &[u8]) -> usize {
    if !octets.starts_with(b"\x1b$") {
        return 0;
    }
    let end = octets.get(1..).and_then(|rest| memchr::memchr(0x1b, rest));
    end.map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
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

    #[test]
    fn names_that_should_have_been_in_quotes() {
        for (field, addresses) in [
            (
                "support@shop.test <support@shop.test>",
                &["support@shop.test|-|support|shop.test"][..],
            ),
            (
                "other@shop.test <support@shop.test>, b@c.test",
                &["other@shop.test|-|support|shop.test", "-|-|b|c.test"],
            ),
            ("Max @ Home <max@x.test>", &["Max @ Home|-|max|x.test"]),
            (
                "HowlRound: A Center <webmaster@remote.test>",
                &["HowlRound: A Center|-|webmaster|remote.test"],
            ),
            (
                "Re: Re: a <a@b.test>, c: d <c@d.test>",
                &["Re: Re: a|-|a|b.test", "c: d|-|c|d.test"],
            ),
            (
                "Muster, Max <max@remote.test>",
                &["Muster, Max|-|max|remote.test"],
            ),
            (
                "Muster, Max, Dr. <max@r.test>, b@c.test",
                &["Muster, Max, Dr.|-|max|r.test", "-|-|b|c.test"],
            ),
            (
                "a@b.test, Muster, Max <max@r.test>",
                &["-|-|a|b.test", "Muster, Max|-|max|r.test"],
            ),
            (
                "J. R. R. Tolkien <j@b.test>",
                &["J. R. R. Tolkien|-|j|b.test"],
            ),
            ("[list] a <a@b.test>", &["[list] a|-|a|b.test"]),
            (
                "\"Muster, Max\" <max@r.test>",
                &["Muster, Max|-|max|r.test"],
            ),
            ("\"Muster, Max <max@r.test>", &["Muster, Max|-|max|r.test"]),
            (
                "Max (Work <max@r.test>, b@c.test",
                &["Max (Work|-|max|r.test", "-|-|b|c.test"],
            ),
            (
                "=?utf-8?q?Muster,_Max_<x@y>?= <max@r.test>",
                &["=?utf-8?q?Muster,_Max_<x@y>?=|-|max|r.test"],
            ),
            (
                "=?utf-8?b?w4Q=?= =?utf-8?b?w4Q=?= <a@b.test>",
                &["=?utf-8?b?w4Q=?= =?utf-8?b?w4Q=?=|-|a|b.test"],
            ),
            (
                "Support (Billing) <s@r.test>",
                &["Support (Billing)|-|s|r.test"],
            ),
            (
                "Support (Billing) Team <s@r.test>",
                &["Support (Billing) Team|-|s|r.test"],
            ),
            (
                "(Billing) <s@r.test>, s@r.test (Billing) , (x) t@r.test",
                &["-|-|s|r.test", "Billing|-|s|r.test", "x|-|t|r.test"],
            ),
            ("Max Muster max@r.test", &["Max Muster|-|max|r.test"]),
            (
                "Max <max@r.test> Eva <eva@r.test>",
                &["Max|-|max|r.test", "Eva|-|eva|r.test"],
            ),
            (
                "<max@r.test> Max, <eva@r.test> (Eva)",
                &["Max|-|max|r.test", "Eva|-|eva|r.test"],
            ),
            (
                "<mailto:max@r.test>, mailto:eva@r.test",
                &["-|-|max|r.test", "-|-|eva|r.test"],
            ),
            ("max@r.test <>", &["-|-|max|r.test"]),
            ("alice, bob", &["-|-|alice|", "-|-|bob|"]),
            ("alice, bob@b.test", &["-|-|alice|", "-|-|bob|b.test"]),
            (
                "undisclosed-recipients:",
                &["-|-|undisclosed-recipients|-", "-|-|-|-"],
            ),
            (
                "Liste: a@b.test, c@d.test",
                &["-|-|a|b.test", "-|-|c|d.test"],
            ),
            ("a@b.test; c@d.test", &["-|-|a|b.test", "-|-|c|d.test"]),
            ("john . doe @ b.test", &["-|-|john.doe|b.test"]),
            ("\"john doe\"@b.test", &["-|-|john doe|b.test"]),
            (
                "\u{1b}$B\"<,@\u{1b}(B <a@b.test>",
                &["\u{1b}$B\"<,@\u{1b}(B|-|a|b.test"],
            ),
            ("a@b@c.test", &["-|-|a|b"]),
        ] {
            assert_eq!(shown(field), addresses, "{field}");
        }
        let lonely = parse_addresses(b"lonely, <x>");
        assert!(lonely.iter().all(|one| one.addr_spec().is_none()));
    }

    /// Lists that are plain, and lists that are nearly.
    fn nearly_plain() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            6 => Just("Joe"),
            3 => Just("Q."),
            6 => Just(" "),
            6 => Just("<joe@example.com>"),
            4 => Just("joe.q@example.com"),
            6 => Just(", "),
            2 => Just(","),
            3 => Just("\"Public, Joe\""),
            1 => Just("\" Joe\""),
            1 => Just("\"a\\\"b\""),
            1 => Just("\"\""),
            1 => Just("<@a,@b:joe@example.com>"),
            1 => Just("<joe>"),
            1 => Just("<>"),
            1 => Just("."),
            1 => Just("@"),
            1 => Just("<"),
            1 => Just(">"),
            1 => Just("(Joe)"),
            1 => Just(":"),
            1 => Just(";"),
            1 => Just("\t"),
            1 => Just("\""),
            1 => Just("\\"),
            1 => Just("=?utf-8?q?a b?="),
            1 => Just("飛脚"),
            1 => Just("\u{1b}$B<>\u{1b}(B"),
            1 => Just("[1.2.3.4]"),
            1 => Just("\0"),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|all| all.concat().into_bytes())
    }

    #[test]
    fn what_most_lists_are_is_read_at_once() {
        for list in [
            "joe@example.com",
            "Joe <joe@example.com>",
            "Joe Q. Public <joe@example.com>, <eve@example.com>",
            "\"Public, Joe\" <joe@example.com>,\"x\"<eve@example.com>",
            " a@b, c@d ",
            "飛脚 <hikyaku@example.jp>",
        ] {
            let plain = plain_list(list.as_bytes());
            assert_eq!(plain, Some(any_list(list.as_bytes())), "{list}");
        }
        let most = vec!["a@b.test"; MOST + 1].join(", ");
        assert_eq!(plain_list(most.as_bytes()), None);
        assert_eq!(parse_addresses(most.as_bytes()).len(), MOST);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn what_is_read_at_once_is_read_the_same(field in nearly_plain()) {
            if let Some(plain) = plain_list(&field) {
                prop_assert_eq!(plain, any_list(&field));
            }
        }
    }

    proptest! {
        #[test]
        fn anything_is_read(field in "([a-c<>@,;:()\"\\\\ .\\[\\]]|=\\?utf-8\\?q\\?|\\?=|\u{1b}\\$B|\u{1b}\\(B){0,40}") {
            let _ = parse_addresses(field.as_bytes());
        }
    }
}
