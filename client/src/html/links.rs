//! Links: turns addresses in text into links, and detects a link whose text names another host than it leads
//! to.

use std::fmt::Write as _;
use std::ops::Range;
use url::Url;

/// The most octets of an address that becomes a link.
const ADDRESS: usize = 2048;
/// The most octets of an `href`.
const HREF: usize = 16 * 1024;

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The normalised URL (URL Standard).
    pub href: String,
    place: Place,
}

/// A host, or somebody to write to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Host(String),
    Mail(String),
}

impl Place {
    fn host(&self) -> &str {
        match self {
            Self::Host(host) => host,
            Self::Mail(address) => address.rsplit_once('@').map_or("", |(_, domain)| domain),
        }
    }

    /// Whether who reads of this and comes to the other was not misled.
    fn is_kept_by(&self, other: &Self) -> bool {
        if let (Self::Mail(said), Self::Mail(meant)) = (self, other) {
            return said.eq_ignore_ascii_case(meant);
        }
        let plain = |host: &str| {
            let host = host.to_ascii_lowercase();
            host.strip_prefix("www.")
                .map_or(host.clone(), ToOwned::to_owned)
        };
        let (said, meant) = (plain(self.host()), plain(other.host()));
        let within = |inner: &str, outer: &str| {
            let rest = inner
                .strip_suffix(outer)
                .and_then(|rest| rest.strip_suffix('.'));
            rest.is_some() && outer.contains('.')
        };
        said == meant || within(&said, &meant) || within(&meant, &said)
    }
}

impl Target {
    /// Reads an `href`; `None` if it leads neither to a page nor to a mailbox.
    pub fn of(href: &str) -> Option<Self> {
        if href.len() > HREF {
            return None;
        }
        let url = Url::parse(href).ok()?;
        let place = match url.scheme() {
            "http" | "https" => Place::Host(url.host_str()?.to_owned()),
            "mailto" => {
                let address = url.path().split(',').next().unwrap_or("");
                Place::Mail(percent_decoded(address))
            }
            _ => return None,
        };
        Some(Self {
            href: url.into(),
            place,
        })
    }

    /// Returns the true place of a link whose text names another one, to be shown beside it.
    pub fn contradicts(&self, text: &str) -> Option<String> {
        let misleads = |said: Place| !said.is_kept_by(&self.place);
        named(text)
            .into_iter()
            .any(misleads)
            .then(|| match &self.place {
                Place::Host(place) | Place::Mail(place) => place.clone(),
            })
    }
}

/// The octets of `%41`, as text.
fn percent_decoded(text: &str) -> String {
    let (mut octets, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&octet, tail)) = rest.split_first() {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match value.filter(|_| octet == b'%') {
            Some(value) => {
                octets.push(value);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            None => {
                octets.push(octet);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// The places that a text names.
fn named(text: &str) -> Vec<Place> {
    let found = find(text).into_iter();
    let mut all: Vec<_> = found
        .filter_map(|(_, href)| Target::of(&href))
        .map(|target| target.place)
        .collect();
    // Nothing but a host, as in `bank.test` or `bank.test/login`, in whatever letters.
    let whole = text.trim();
    if all.is_empty() && !whole.contains(char::is_whitespace) && whole.len() <= ADDRESS {
        let host = whole.split(['/', '?', '#', ':']).next().unwrap_or("");
        let dots = |c: char| matches!(c, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}');
        let last = host.rsplit(dots).next().unwrap_or("");
        let is_host = host.contains(dots)
            && last.chars().count() >= 2
            && last.chars().all(char::is_alphabetic);
        let url = is_host
            .then(|| Url::parse(&format!("https://{host}/")).ok())
            .flatten();
        all.extend(url.and_then(|url| Some(Place::Host(url.host_str()?.to_owned()))));
    }
    all
}

/// Returns text as HTML in which addresses are links.
pub fn linked(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut done = 0;
    for (range, href) in find(text) {
        html += &escaped(text.get(done..range.start).unwrap_or(""));
        let shown = escaped(text.get(range.clone()).unwrap_or(""));
        let _ = write!(
            html,
            "<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">{shown}</a>",
            escaped(&href)
        );
        done = range.end;
    }
    html + &escaped(text.get(done..).unwrap_or(""))
}

/// Escapes text for an element or an attribute.
pub fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            '\u{a0}' => html += "&nbsp;",
            c => html.push(c),
        }
    }
    html
}

/// Octets that an address is made of (RFC 3986, without what text puts around one).
fn is_address(octet: u8) -> bool {
    octet.is_ascii_graphic()
        && !matches!(
            octet,
            b'<' | b'>' | b'"' | b'{' | b'}' | b'|' | b'\\' | b'^' | b'`'
        )
}

/// The addresses in a text, and where each leads. Every octet is looked at a few times.
fn find(text: &str) -> Vec<(Range<usize>, String)> {
    let octets = text.as_bytes();
    let (mut all, mut at) = (Vec::new(), 0);
    while at < octets.len() {
        let rest = octets.get(at..).unwrap_or(&[]);
        let length = rest
            .iter()
            .position(|octet| !is_address(*octet))
            .unwrap_or(rest.len());
        let run = at..at + length;
        match text.get(run.clone()).and_then(web) {
            Some((within, href)) => all.push((at + within.start..at + within.end, href)),
            None => mail(text, run, &mut all),
        }
        at += length + 1;
    }
    all
}

/// The address of a page in a run of octets.
fn web(run: &str) -> Option<(Range<usize>, String)> {
    let lower = |text: &str, with: &str| {
        let head = text.as_bytes().get(..with.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()))
    };
    let scheme = run.find("://").and_then(|at| {
        let starts = ["https", "http"]
            .into_iter()
            .filter_map(|name| at.checked_sub(name.len()));
        starts.into_iter().find(|start| {
            run.get(*start..)
                .is_some_and(|rest| lower(rest, "http://") || lower(rest, "https://"))
        })
    });
    let opening = run
        .bytes()
        .take_while(|octet| matches!(octet, b'(' | b'[' | b'\''))
        .count();
    let (start, prefix) = match scheme {
        Some(start) => (start, ""),
        None if run.get(opening..).is_some_and(|rest| lower(rest, "www.")) => (opening, "https://"),
        None => return None,
    };
    let address = run.get(start..)?;
    let address = trimmed(address);
    if address.len() > ADDRESS {
        return None;
    }
    let url = Url::parse(&format!("{prefix}{address}")).ok()?;
    let host = url.host_str()?;
    (host.contains('.') || prefix.is_empty())
        .then(|| (start..start + address.len(), format!("{prefix}{address}")))
}

/// Without the punctuation of the sentence around it.
fn trimmed(address: &str) -> &str {
    let count = |c| address.matches(c).count();
    let mut surplus = [
        (')', count(')').saturating_sub(count('('))),
        (']', count(']').saturating_sub(count('['))),
    ];
    let mut rest = address;
    while let Some(last) = rest.chars().next_back() {
        let closes = surplus
            .iter_mut()
            .find(|(closing, many)| *closing == last && *many > 0);
        match (last, closes) {
            (_, Some((_, many))) => *many -= 1,
            ('.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_', _) => {}
            _ => break,
        }
        rest = rest.get(..rest.len() - 1).unwrap_or("");
    }
    rest
}

/// The mail addresses in a run of octets.
fn mail(text: &str, run: Range<usize>, all: &mut Vec<(Range<usize>, String)>) {
    let part = |octet: u8| {
        octet.is_ascii_alphanumeric()
            || matches!(octet, b'.' | b'-' | b'_' | b'+' | b'=' | b'@' | b'%')
    };
    let octets = text.as_bytes();
    let mut at = run.start;
    while at < run.end {
        let rest = octets.get(at..run.end).unwrap_or(&[]);
        let length = rest
            .iter()
            .position(|octet| !part(*octet))
            .unwrap_or(rest.len());
        let word = text.get(at..at + length).unwrap_or("");
        let inner = word.trim_matches(['.', '-', '_', '+', '=', '%']);
        let start = at
            + (word.len()
                - word
                    .trim_start_matches(['.', '-', '_', '+', '=', '%'])
                    .len());
        if inner.len() <= 254
            && inner.bytes().filter(|octet| *octet == b'@').count() == 1
            && let Some((local, domain)) = inner.split_once('@')
        {
            let last = domain.rsplit('.').next().unwrap_or("");
            let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-');
            let is_domain = domain.contains('.')
                && !domain.contains("..")
                && last.len() >= 2
                && last.bytes().all(|octet| octet.is_ascii_alphabetic())
                && domain.bytes().all(plain)
                && !domain.starts_with('.');
            if !local.is_empty() && is_domain {
                all.push((start..start + inner.len(), format!("mailto:{inner}")));
            }
        }
        at += length + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_text_are_links() {
        for (text, expected) in [
            (
                "see https://a.test/x?y=1&z=2.",
                &["https://a.test/x?y=1&z=2"][..],
            ),
            (
                "(https://a.test/a_(b)) and <http://b.test>",
                &["https://a.test/a_(b)", "http://b.test"],
            ),
            ("詳細はhttps://a.test/pathです。", &["https://a.test/path"]),
            (
                "HTTPS://A.TEST, www.b.test!",
                &["HTTPS://A.TEST", "www.b.test"],
            ),
            (
                "write to a.b+c@d.test. Or <e@f.test>, g@h.test;i@j.test",
                &["a.b+c@d.test", "e@f.test", "g@h.test", "i@j.test"],
            ),
            ("url=https://a.test/;x", &["https://a.test/;x"]),
            (
                "a@b @c.test d@ e@f..test www. http:// x://y ftp://a.test javascript://a",
                &[],
            ),
            ("a@b@c.test", &[]),
            ("https://user@a.test/", &["https://user@a.test/"]),
        ] {
            let found: Vec<_> = find(text)
                .into_iter()
                .map(|(range, _)| &text[range])
                .collect();
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(
            linked("<a@b.test> \"https://x.test/?a&b\""),
            "&lt;<a href=\"mailto:a@b.test\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">a@b.test</a>&gt; \
             &quot;<a href=\"https://x.test/?a&amp;b\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">https://x.test/?a&amp;b</a>&quot;"
        );
        for slow in [
            "a@",
            "http://",
            "www.a",
            "(((https://a.test)))",
            "a.",
            "https://a.test/)))",
            "@@",
        ] {
            find(&slow.repeat(20_000));
        }
    }

    #[test]
    fn only_pages_and_mailboxes_are_targets() {
        for (href, expected) in [
            (" https://a.test ", Some("https://a.test/")),
            ("HTTP:\\\\a.test", Some("http://a.test/")),
            (
                "mailto:a@b.test?subject=x",
                Some("mailto:a@b.test?subject=x"),
            ),
            ("java\tscript:alert(1)", None),
            ("javascript:alert(1)", None),
            ("data:text/html,x", None),
            ("//a.test", None),
            ("x.html", None),
            ("https://", None),
            ("vbscript:x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(
                Target::of(href).map(|target| target.href).as_deref(),
                expected,
                "{href}"
            );
        }
    }

    #[test]
    fn a_link_that_says_another_host_is_found_out() {
        for (href, text, expected) in [
            (
                "https://evil.test/x",
                "https://bank.test/login",
                Some("evil.test"),
            ),
            ("https://evil.test/x", "bank.test", Some("evil.test")),
            (
                "https://evil.test/x",
                "Go to www.bank.test now",
                Some("evil.test"),
            ),
            (
                "https://bank.test.evil.test/",
                "bank.test",
                Some("bank.test.evil.test"),
            ),
            (
                "https://bank.test@evil.test/",
                "https://bank.test",
                Some("evil.test"),
            ),
            (
                "https://b\u{430}nk.test/",
                "bank.test",
                Some("xn--bnk-6cd.test"),
            ),
            (
                "https://evil.test/",
                "ｂａｎｋ．ｔｅｓｔ",
                Some("evil.test"),
            ),
            ("https://evil.test/", "boss@bank.test", Some("evil.test")),
            (
                "mailto:evil@evil.test",
                "boss@bank.test",
                Some("evil@evil.test"),
            ),
            (
                "mailto:evil@evil.test",
                "https://bank.test",
                Some("evil@evil.test"),
            ),
            ("https://www.bank.test/a", "bank.test", None),
            ("https://click.bank.test/a", "https://www.bank.test/b", None),
            ("https://bank.test/a", "Click here", None),
            ("https://evil.test/", "version 1.2", None),
            ("https://evil.test/", "e.g.", None),
            ("mailto:Boss@bank.test", "boss@BANK.test", None),
        ] {
            let target = Target::of(href).unwrap();
            assert_eq!(
                target.contradicts(text).as_deref(),
                expected,
                "{href} {text}"
            );
        }
    }
}
