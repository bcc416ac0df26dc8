//! Checks the addresses in From and Sender, and in the fields of a message that is sent again (RFC 5322
//! §3.6.2, §3.6.6).
//!
//! Users who have logged in write as themselves and as what the configuration adds. Nobody else writes as a domain of
//! this server.

use hikyaku_message::{Address, decode_header, fields, parse_addresses};
use hikyaku_smtp_proto::Mailbox;

/// The fields that say whose message it is.
const FIELDS: [&str; 4] = ["from", "sender", "resent-from", "resent-sender"];
/// More addresses than this are not read (the parser's limit), so that nobody could say whose they are.
const MOST: usize = 1_000;
/// Names with an `@` in one field that are looked for in it, and quotes and comments of one field that do not end: each
/// costs one pass over the field. A field that has more is not read.
const PASSES: usize = 16;

/// The addresses that the author of a message may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors(Who);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Anybody,
    /// These addresses, and all of these domains.
    Only(Own),
    /// Nobody of these domains.
    NoneOf(Vec<String>),
}

/// What an account may write as. Domains are in ASCII and lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Own {
    /// Whether `+detail` does not count.
    with_details: bool,
    /// As accounts are named; the account's own comes first.
    addresses: Vec<String>,
    domains: Vec<String>,
}

/// Why a message is refused for its author.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTheirs {
    /// An address is not one of the account's.
    Foreign,
    /// A field names no address.
    Nobody,
    /// An address is of a domain of this server, and the message came from outside.
    Ours,
    /// The header section, or one of these fields, is too long or too confused to be looked through.
    Unread,
}

impl NotTheirs {
    /// What the client is sent with `550 5.7.1`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Foreign => "From or Sender is not your address",
            Self::Nobody => "From or Sender does not name an address of yours",
            Self::Ours => "From or Sender is of a domain of this server: log in to write as it",
            Self::Unread => "The header section is too long to see whose message it is",
        }
    }
}

/// A domain as it is compared: in ASCII (RFC 5891) and lower case, without the dot of the root.
fn domain(name: &str) -> String {
    let name = name.trim().trim_end_matches(['.', '。', '．', '｡']);
    idna::domain_to_ascii(name).unwrap_or_else(|_| name.to_lowercase())
}

/// Returns an address as accounts are named: in lower case, without a `+detail` (RFC 5233).
///
/// ```
/// assert_eq!(hikyaku_service::base_address("Alice+news", "Example.org"), "alice@example.org");
/// ```
#[must_use]
pub fn base_address(local_part: &str, domain: &str) -> String {
    let base = match local_part.split_once('+') {
        Some((base, _)) if !base.is_empty() => base,
        _ => local_part,
    };
    format!("{base}@{domain}").to_lowercase()
}

impl Own {
    fn of(with_details: bool, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let mut own = Self {
            with_details,
            ..Self::default()
        };
        for name in names {
            own.add(name.as_ref());
        }
        own
    }

    /// An address as it is compared.
    fn address(&self, local_part: &str, host: &str) -> String {
        match self.with_details {
            true => base_address(local_part, &domain(host)),
            false => format!("{local_part}@{}", domain(host)).to_lowercase(),
        }
    }

    fn add(&mut self, name: &str) {
        match name.rsplit_once('@') {
            Some(("", host)) => self.domains.push(domain(host)),
            Some((local_part, host)) => self.addresses.push(self.address(local_part, host)),
            None => {}
        }
    }

    fn has(&self, local_part: &str, host: &str) -> bool {
        self.domains.contains(&domain(host))
            || self.addresses.contains(&self.address(local_part, host))
    }
}

impl Authors {
    /// Allows every author; From is not checked.
    #[must_use]
    pub fn anybody() -> Self {
        Self(Who::Anybody)
    }

    /// Allows these addresses with every `+detail`, and a whole domain for a name such as `@example.org`. The first one
    /// is the From field of a message that has none.
    pub fn only(names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        Self(Who::Only(Own::of(true, names)))
    }

    /// Allows these addresses as they are written, and whole domains as [`only`](Self::only) does: for a server where
    /// `alice+x` may be somebody else than `alice`.
    ///
    /// ```
    /// use hikyaku_service::Authors;
    /// let names = ["alice@example.org"];
    /// assert_ne!(Authors::exactly(names), Authors::only(names));
    /// ```
    pub fn exactly(names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        Self(Who::Only(Own::of(false, names)))
    }

    /// Allows every author except those of these domains.
    pub fn none_of(domains: impl IntoIterator<Item: AsRef<str>>) -> Self {
        let domains = domains.into_iter();
        Self(Who::NoneOf(
            domains.map(|name| domain(name.as_ref())).collect(),
        ))
    }

    /// Whether MAIL may name that mailbox.
    pub(crate) fn may_send(&self, mailbox: &Mailbox) -> bool {
        self.may(&mailbox.local_part(), mailbox.domain())
    }

    fn may(&self, local_part: &str, host: &str) -> bool {
        match &self.0 {
            Who::Anybody => true,
            Who::Only(own) => own.has(local_part, host),
            Who::NoneOf(domains) => !domains.contains(&domain(host)),
        }
    }

    /// Looks through a header section; `is_whole` says whether that is all of it. What a user's message lacks is
    /// returned: a From field (RFC 6409 §8.1).
    pub(crate) fn check(&self, head: &[u8], is_whole: bool) -> Result<Option<String>, NotTheirs> {
        if self.0 == Who::Anybody {
            return Ok(None);
        }
        if !is_whole {
            return Err(NotTheirs::Unread);
        }
        let mut has_from = false;
        for (name, value, _) in fields(head) {
            let name = name.trim_ascii().to_ascii_lowercase();
            if FIELDS.iter().any(|field| field.as_bytes() == name) {
                has_from |= name == b"from";
                self.field(value)?;
            }
        }
        Ok(match &self.0 {
            Who::Only(own) if !has_from => {
                let first = own.addresses.first().map_or("", |first| first);
                Some(format!("From: <{first}>\r\n"))
            }
            _ => None,
        })
    }

    fn field(&self, value: &[u8]) -> Result<(), NotTheirs> {
        let value: Vec<u8> = value
            .iter()
            .copied()
            .filter(|octet| !matches!(octet, b'\r' | b'\n'))
            .collect();
        let mut all = parse_addresses(&value);
        let is_address = |one: &Address| one.addr_spec().is_some();
        let is_encoded = |one: &Address| {
            let parts = [&one.mailbox, &one.host].into_iter().flatten();
            parts
                .into_iter()
                .any(|part| memchr::memmem::find(part, b"=?").is_some())
        };
        // Some programs decode words where none may be.
        if !all.iter().any(is_address) || all.iter().any(is_encoded) {
            all.extend(parse_addresses(decode_header(&value).as_bytes()));
        }
        if all.len() >= MOST {
            return Err(NotTheirs::Unread);
        }
        // An address where only a name may be, not in quotes: others may take it for the author's.
        let names = all.iter().filter_map(|one| one.name.as_deref());
        let names: Vec<_> = names.filter(|name| name.contains(&b'@')).collect();
        if names.len() > PASSES {
            return Err(NotTheirs::Unread);
        }
        let bare = names.into_iter().filter(|name| is_bare(&value, name));
        let bare: Vec<_> = bare.flat_map(parse_addresses).collect();
        all.extend(bare);
        all.retain(is_address);
        for one in &all {
            let text = |part: &Option<Vec<u8>>| {
                String::from_utf8_lossy(part.as_deref().unwrap_or(b"")).into_owned()
            };
            if !self.may(&text(&one.mailbox), &text(&one.host)) {
                return Err(self.refusal());
            }
        }
        let hosts = hosts(&value).ok_or(NotTheirs::Unread)?;
        match &self.0 {
            // More of them than addresses were read: what the others are, nobody knows.
            Who::Only(_) if hosts.len() > all.len() => Err(NotTheirs::Foreign),
            Who::Only(_) if all.is_empty() => Err(NotTheirs::Nobody),
            Who::NoneOf(_) if hosts.iter().any(|host| !self.may("", host)) => Err(NotTheirs::Ours),
            _ => Ok(()),
        }
    }

    fn refusal(&self) -> NotTheirs {
        match &self.0 {
            Who::NoneOf(_) => NotTheirs::Ours,
            _ => NotTheirs::Foreign,
        }
    }
}

/// Whether a name that was read in a field stands there neither in quotes nor in a comment.
fn is_bare(field: &[u8], name: &[u8]) -> bool {
    let within = |before: &[u8], behind: &[u8]| {
        let whole = [before, name, behind].concat();
        memchr::memmem::find(field, &whole).is_some()
    };
    !within(b"\"", b"\"") && !within(b"(", b")")
}

/// What stands behind each `@` that is neither in quotes nor in a comment; `None` where more than [`PASSES`] of these do
/// not end.
fn hosts(field: &[u8]) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    let mut unended = 0..PASSES;
    let mut rest = field;
    while let Some((&first, behind)) = rest.split_first() {
        rest = match first {
            b'"' => quoted(behind).or_else(|| unended.next().map(|_| behind))?,
            b'(' => comment(behind).or_else(|| unended.next().map(|_| behind))?,
            b'@' => {
                let mut host = Vec::new();
                let mut rest = behind;
                while let Some((&octet, behind)) = rest.split_first() {
                    rest = match octet {
                        b'(' => comment(behind).or_else(|| unended.next().map(|_| behind))?,
                        b' ' | b'\t' => match behind.trim_ascii_start() {
                            next if host.is_empty() || host.ends_with(b".") => next,
                            next if next.starts_with(b".") => next,
                            _ => break,
                        },
                        b',' | b';' | b':' | b'>' | b'<' | b'@' | b'"' => break,
                        _ => {
                            host.push(octet);
                            behind
                        }
                    };
                }
                hosts.push(String::from_utf8_lossy(&host).into_owned());
                rest
            }
            _ => behind,
        };
    }
    Some(hosts)
}

/// What follows a quoted string, if it ends.
fn quoted(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let at = memchr::memchr2(b'"', b'\\', rest)?;
        if rest.get(at) == Some(&b'"') {
            return rest.get(at + 1..);
        }
        rest = rest.get(at + 2..)?;
    }
}

/// What follows a comment, if it ends.
fn comment(mut rest: &[u8]) -> Option<&[u8]> {
    let mut depth = 1_usize;
    loop {
        let at = memchr::memchr3(b'(', b')', b'\\', rest)?;
        match rest.get(at) {
            Some(b'(') => depth += 1,
            Some(b')') => depth -= 1,
            _ => {
                rest = rest.get(at + 2..)?;
                continue;
            }
        }
        rest = rest.get(at + 1..)?;
        if depth == 0 {
            return Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NotTheirs::{Foreign, Nobody, Ours};

    fn check(authors: &Authors, head: &str) -> Result<Option<String>, NotTheirs> {
        authors.check(format!("{head}\r\n\r\n").as_bytes(), true)
    }

    #[test]
    fn who_logs_in_writes_as_themselves() {
        let authors = Authors::only(["alice@example.test"]);
        for head in [
            "From: alice@example.test",
            "From: Alice <ALICE@Example.TEST>",
            "fRoM :\talice+list@example.test",
            "From: (bob@example.test) alice@example.test (bob@example.test)",
            "From: \"bob@example.test\" <alice@example.test>",
            "From: \"A, (b\" <\"alice\"@example.test.>",
            "From: Alice\r\n <alice@\r\n\texample.test>",
            "From: alice@example.test <alice@example.test>",
            "From: alice (home) @ example.test",
            "From: us: alice@example.test, Alice <alice+x@example.test>;",
            "From: =?utf-8?q?J=C3=BCrgen?= <alice@example.test>",
            "From: alice@example.test\r\nSender: Alice <alice@example.test>",
            "From: alice@example.test\r\nTo: bob@example.test\r\nReply-To: bob@elsewhere.test",
        ] {
            assert_eq!(check(&authors, head), Ok(None), "{head}");
        }
        for (head, why) in [
            ("From: bob@example.test", Foreign),
            ("From: alice@elsewhere.test", Foreign),
            ("From: alice@sub.example.test", Foreign),
            // Blanks around the dots of a domain: of old, and nothing writes them.
            ("From: alice@example . test", Foreign),
            ("From: alice@example.test.evil.test", Foreign),
            ("From: alice@example.test, bob@example.test", Foreign),
            (
                "From: alice@example.test\r\nFrom: bob@example.test",
                Foreign,
            ),
            (
                "From: bob@example.test\r\nFROM: alice@example.test",
                Foreign,
            ),
            (
                "From: alice@example.test\r\nSender: bob@example.test",
                Foreign,
            ),
            (
                "From: alice@example.test\r\nsender : bob@example.test",
                Foreign,
            ),
            (
                "From: alice@example.test\r\nResent-From: bob@example.test",
                Foreign,
            ),
            (
                "From: alice@example.test\r\nResent-Sender: bob@example.test",
                Foreign,
            ),
            ("From: us: alice@example.test, bob@example.test;", Foreign),
            ("From: alice@example.test (c) <bob@example.test>", Foreign),
            ("From: bob@example.test <alice@example.test>", Foreign),
            ("From: alice@example.test bob@example.test", Foreign),
            ("From: <alice@example.test> <bob@example.test>", Foreign),
            ("From: \"alice@example.test\" <bob@example.test>", Foreign),
            ("From: \"alice@example.test <bob@example.test>", Foreign),
            ("From: (alice@example.test <bob@example.test>", Foreign),
            ("From: \"bob\"@example.test", Foreign),
            ("From: \"alice \"@example.test", Foreign),
            ("From: <@example.test:bob@example.test>", Foreign),
            ("From:\r\n bob\r\n @example.test", Foreign),
            ("From: =?utf-8?q?bob=40example.test?=", Foreign),
            ("From: =?utf-8?q?alice?=@example.test", Foreign),
            ("From: alice@xn--bcher-kva.test", Foreign),
            ("\u{feff}From: bob@example.test", Foreign),
            ("From:", Nobody),
            ("From: Alice", Nobody),
            ("From: us:;", Nobody),
            ("From: <>", Nobody),
            ("From: alice@example.test\r\nSender: Alice", Nobody),
        ] {
            assert_eq!(check(&authors, head), Err(why), "{head}");
        }
        let many = format!("From: {}", "alice@example.test, ".repeat(2000));
        assert_eq!(check(&authors, &many), Err(NotTheirs::Unread));
        assert_eq!(
            authors.check(b"From: alice@example.test\r\n", false),
            Err(NotTheirs::Unread)
        );
    }

    #[test]
    fn a_field_is_read_in_linear_time() {
        const LONG: usize = 250_000;
        let (inside, outside) = (
            Authors::only(["a@b.test"]),
            Authors::none_of(["example.test", "bücher.test"]),
        );
        for (begin, again, end) in [
            ("a@b", " ", ".test"),
            ("a@b", " \r\n\t", ".test"),
            ("a@b.test ", "(", ""),
            ("a@b.test ", "(a", ""),
            ("a@b.test ", "(()", ""),
            ("a@(", "(\\(", ""),
            ("a@b.test ", "\"\\", ""),
            ("", "x@y z <a@b.test>, ", ""),
            ("", "@ ", ""),
            ("a@b.test", "@(a)", ""),
            ("", "(a)", "a@b.test"),
        ] {
            let field = format!("From: {begin}{}{end}", again.repeat(LONG / again.len()));
            let began = std::time::Instant::now();
            for authors in [&inside, &outside] {
                let _ = check(authors, &field);
            }
            // A pass for each octet takes half a minute.
            let took = began.elapsed();
            assert!(took.as_secs() < 5, "{begin}{again}..{end}: {took:?}");
        }
        // What people write is read, unended as it may be.
        for from in [
            "From: \"A (B <a@elsewhere.test>",
            "From: A ((( <a@elsewhere.test> :-(",
        ] {
            assert_eq!(check(&outside, from), Ok(None), "{from}");
        }
        let unended = format!("From: x@elsewhere.test {}", "(".repeat(PASSES + 1));
        assert_eq!(check(&outside, &unended), Err(NotTheirs::Unread));
    }

    #[test]
    fn what_is_missing_is_added() {
        let authors = Authors::only(["alice@example.test"]);
        let added = Ok(Some("From: <alice@example.test>\r\n".to_owned()));
        assert_eq!(check(&authors, "To: bob@example.test"), added);
        assert_eq!(
            check(&authors, "X-From: a@b.test\r\nSender: alice@example.test"),
            added
        );
    }

    #[test]
    fn aliases_and_the_switch() {
        let own = Authors::only(["Alice@example.test", "Sales@example.test", "@bücher.test"]);
        let bob = Authors::only(["bob@example.test"]);
        for from in [
            "sales+x@EXAMPLE.test",
            "anybody@bücher.test",
            "anybody@BÜCHER.test",
            "anybody@xn--bcher-kva.test",
            "alice@example.test",
        ] {
            assert_eq!(check(&own, &format!("From: {from}")), Ok(None), "{from}");
            assert_eq!(
                check(&bob, &format!("From: {from}")),
                Err(Foreign),
                "{from}"
            );
        }
        assert_eq!(check(&own, "From: x@sub.bücher.test"), Err(Foreign));
        let off = Authors::anybody();
        assert_eq!(check(&off, "From: bob@example.test"), Ok(None));
    }

    #[test]
    fn a_detail_is_another_address_where_it_does_not_separate() {
        let own = Authors::exactly(["Alice@example.test", "alice-lists@example.test"]);
        for (from, expected) in [
            ("ALICE@Example.test", Ok(None)),
            ("alice-lists@example.test", Ok(None)),
            ("alice+x@example.test", Err(Foreign)),
            ("alice-x@example.test", Err(Foreign)),
        ] {
            assert_eq!(check(&own, &format!("From: {from}")), expected, "{from}");
        }
    }

    #[test]
    fn nobody_from_outside_writes_as_a_domain_of_this_server() {
        let authors = Authors::none_of(["example.test", "bücher.test"]);
        for head in [
            "From: x@elsewhere.test",
            "From: x@sub.example.test",
            "From: x@example.test.elsewhere.test",
            "From: \"alice@example.test\" <x@elsewhere.test>",
            "From: \"'alice@example.test' via List\" <list@elsewhere.test>",
            "From: =?utf-8?q?alice=40example=2Etest_via_List?= <list@elsewhere.test>",
            "From: x@elsewhere.test (alice@example.test)",
            "From: x@elsewhere.test\r\nTo: alice@example.test\r\nReply-To: alice@example.test",
            "From: Somebody",
            "From: hidden:;",
            "To: alice@example.test",
        ] {
            assert_eq!(check(&authors, head), Ok(None), "{head}");
        }
        for head in [
            "From: alice@example.test",
            "From: nobody@EXAMPLE.TEST.",
            "From: Alice <alice@example.test>",
            "From: x@elsewhere.test, alice@example.test",
            "From: x@elsewhere.test\r\nFrom: alice@example.test",
            "From: x@elsewhere.test\r\nSender: alice@example.test",
            "From: alice@example.test <x@elsewhere.test>",
            "From: x@elsewhere.test alice@example.test",
            "From: us: x@elsewhere.test, alice@example.test;",
            "From: alice @ example . test",
            "From: alice@(c)example(c).(c)test",
            "From: alice@\r\n example.test",
            "From: \"alice\"@example.test",
            "From: \"x@elsewhere.test <alice@example.test>",
            "From: x@bücher.test",
            "From: x@BÜCHER.test",
            "From: x@xn--bcher-kva.test",
            "From: x@XN--BCHER-KVA.test",
            "From: x@ｅｘａｍｐｌｅ。test",
            "From: =?utf-8?q?alice=40example.test?=",
            "From: alice@=?utf-8?q?example.test?=",
        ] {
            assert_eq!(check(&authors, head), Err(Ours), "{head}");
        }
    }
}
