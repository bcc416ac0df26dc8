//! Macro strings (RFC 7208 §7): how they are read, and what they expand to.

use super::broken::Broken;

/// A macro string. What it stands for depends on the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// `%%`, `%_` and `%-`, which may end a domain as macros do.
    Escape(&'static str),
    Macro(Macro),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    letter: u8,
    /// The parts that are kept, from the right. All where there is none.
    parts: Option<usize>,
    is_reversed: bool,
    delimiters: Vec<u8>,
    is_escaped: bool,
}

/// Where a macro string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a record.
    Record,
    /// In the text of an explanation, which may have spaces and the letters `c`, `r` and `t`.
    Explanation,
}

/// What macros stand for (RFC 7208 §7.2).
#[derive(Debug, Clone)]
pub(crate) struct Values<'a> {
    pub(crate) sender: &'a str,
    pub(crate) local_part: &'a str,
    pub(crate) sender_domain: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) address: std::net::IpAddr,
    /// The validated name of the address, or "unknown".
    pub(crate) validated: &'a str,
    pub(crate) helo: &'a str,
    pub(crate) receiver: &'a str,
    pub(crate) seconds: u64,
}

impl Template {
    /// Reads a macro string.
    pub(crate) fn parse(text: &str, place: Place) -> Result<Self, Broken> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            let (before, found) = rest.split_at(at);
            push_text(&mut pieces, before, place)?;
            rest = match found.as_bytes().get(1) {
                Some(b'%') => escape(&mut pieces, "%", found),
                Some(b'_') => escape(&mut pieces, " ", found),
                Some(b'-') => escape(&mut pieces, "%20", found),
                Some(b'{') => {
                    let inner = found.get(2..).unwrap_or_default();
                    let (inner, after) = inner.split_once('}').ok_or(Broken("macro"))?;
                    pieces.push(Piece::Macro(Macro::parse(inner, place)?));
                    after
                }
                _ => return Err(Broken("macro")),
            };
        }
        push_text(&mut pieces, rest, place)?;
        Ok(Self { pieces })
    }

    /// Reads a `domain-spec`: it ends in a macro or in a label that can be a top-level domain.
    pub(crate) fn domain(text: &str) -> Result<Self, Broken> {
        let template = Self::parse(text, Place::Record)?;
        match template.pieces.last() {
            Some(Piece::Macro(_) | Piece::Escape(_)) => Ok(template),
            Some(Piece::Text(end)) if is_domain_end(end) => Ok(template),
            _ => Err(Broken("domain")),
        }
    }

    /// Whether it needs the validated name of the address, which costs questions.
    pub(crate) fn needs_names(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Macro(one) if one.letter == b'p'))
    }

    /// Whether it stands for the local part, which cannot be in DNS when it is not in ASCII (RFC 8616 §4).
    pub(crate) fn needs_local_part(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Macro(one) if matches!(one.letter, b's' | b'l')))
    }

    /// Returns what it stands for.
    pub(crate) fn expand(&self, values: &Values<'_>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(one) => text.push_str(one),
                Piece::Escape(one) => text.push_str(one),
                Piece::Macro(one) => text.push_str(&one.expand(values)),
            }
        }
        text
    }

    /// Returns the name that it stands for. Labels are removed from the left until it fits (§7.3).
    pub(crate) fn expand_name(&self, values: &Values<'_>) -> String {
        let text = self.expand(values);
        let mut name = text.strip_suffix('.').unwrap_or(&text);
        while name.len() > 253 {
            match name.split_once('.') {
                Some((_, less)) => name = less,
                None => break,
            }
        }
        name.to_owned()
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str, place: Place) -> Result<(), Broken> {
    let is_allowed =
        |octet: u8| matches!(octet, 0x21..=0x7e) || place == Place::Explanation && octet == b' ';
    if !text.bytes().all(is_allowed) {
        return Err(Broken("octet"));
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(())
}

fn escape<'a>(pieces: &mut Vec<Piece>, text: &'static str, found: &'a str) -> &'a str {
    pieces.push(Piece::Escape(text));
    found.get(2..).unwrap_or_default()
}

/// `"." toplabel [ "." ]` at the end of a text (RFC 7208 §7.1).
fn is_domain_end(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let Some((_, label)) = text.rsplit_once('.') else {
        return false;
    };
    let is_edge = |octet: Option<u8>| octet.is_some_and(|octet| octet.is_ascii_alphanumeric());
    let is_inner = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    is_edge(label.bytes().next())
        && is_edge(label.bytes().last())
        && label.bytes().all(is_inner)
        && label.bytes().any(|octet| !octet.is_ascii_digit())
}

impl Macro {
    fn parse(inner: &str, place: Place) -> Result<Self, Broken> {
        let broken = Broken("macro");
        let mut octets = inner.bytes().peekable();
        let first = octets.next().ok_or(broken)?;
        let letter = first.to_ascii_lowercase();
        let is_known = match place {
            Place::Record => b"slodiphv".contains(&letter),
            Place::Explanation => b"slodiphvcrt".contains(&letter),
        };
        if !is_known {
            return Err(broken);
        }
        let mut parts = None;
        while let Some(digit) = octets.next_if(u8::is_ascii_digit) {
            let so_far: usize = parts.unwrap_or(0);
            let value = so_far.saturating_mul(10);
            parts = Some(value.saturating_add(usize::from(digit - b'0')));
        }
        if parts == Some(0) {
            return Err(broken);
        }
        let is_reversed = octets
            .next_if(|octet| octet.eq_ignore_ascii_case(&b'r'))
            .is_some();
        let delimiters: Vec<u8> = octets.collect();
        if !delimiters.iter().all(|one| b".-+,/_=".contains(one)) {
            return Err(broken);
        }
        Ok(Self {
            letter,
            parts,
            is_reversed,
            delimiters,
            is_escaped: first.is_ascii_uppercase(),
        })
    }

    fn expand(&self, values: &Values<'_>) -> String {
        let whole = match self.letter {
            b's' => values.sender.to_owned(),
            b'l' => values.local_part.to_owned(),
            b'o' => values.sender_domain.to_owned(),
            b'd' => values.domain.to_owned(),
            b'i' => dotted(values.address),
            b'p' => values.validated.to_owned(),
            b'v' if values.address.is_ipv4() => "in-addr".to_owned(),
            b'v' => "ip6".to_owned(),
            b'h' => values.helo.to_owned(),
            b'c' => values.address.to_string(),
            b'r' => values.receiver.to_owned(),
            _ => values.seconds.to_string(),
        };
        let is_delimiter = |letter: char| match self.delimiters.as_slice() {
            [] => letter == '.',
            some => u8::try_from(letter).is_ok_and(|letter| some.contains(&letter)),
        };
        let is_whole = self.parts.is_none() && !self.is_reversed && self.delimiters.is_empty();
        let text = if is_whole {
            whole
        } else {
            let mut parts: Vec<&str> = whole.split(is_delimiter).collect();
            if self.is_reversed {
                parts.reverse();
            }
            let kept = self.parts.unwrap_or(usize::MAX).min(parts.len());
            let kept = parts.split_off(parts.len().saturating_sub(kept));
            kept.join(".")
        };
        match self.is_escaped {
            true => escaped(&text),
            false => text,
        }
    }
}

/// The address with a dot between its parts: octets of IPv4, digits of IPv6.
fn dotted(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(address) => address.to_string(),
        std::net::IpAddr::V6(address) => {
            let digits = format!("{:032x}", u128::from(address));
            let digits: Vec<String> = digits.chars().map(String::from).collect();
            digits.join(".")
        }
    }
}

/// Escapes all but the unreserved characters of RFC 3986 §2.3.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for octet in text.bytes() {
        match octet {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(octet));
            }
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7208 §7.4.
    #[test]
    fn examples_of_the_rfc_expand() {
        let v4 = values("192.0.2.3");
        let v6 = values("2001:db8::cb01");
        for (values, text, expanded) in [
            (&v4, "%{s}", "strong-bad@email.example.com"),
            (&v4, "%{o}", "email.example.com"),
            (&v4, "%{d}", "email.example.com"),
            (&v4, "%{d4}", "email.example.com"),
            (&v4, "%{d3}", "email.example.com"),
            (&v4, "%{d2}", "example.com"),
            (&v4, "%{d1}", "com"),
            (&v4, "%{dr}", "com.example.email"),
            (&v4, "%{d2r}", "example.email"),
            (&v4, "%{l}", "strong-bad"),
            (&v4, "%{l-}", "strong.bad"),
            (&v4, "%{lr}", "strong-bad"),
            (&v4, "%{lr-}", "bad.strong"),
            (&v4, "%{l1r-}", "strong"),
            (
                &v4,
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            (
                &v4,
                "%{lr-}.lp._spf.%{d2}",
                "bad.strong.lp._spf.example.com",
            ),
            (
                &v4,
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
            ),
            (
                &v4,
                "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
                "3.2.0.192.in-addr.strong.lp._spf.example.com",
            ),
            (
                &v4,
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
            (
                &v6,
                "%{ir}.%{v}._spf.%{d2}",
                "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
            ),
            (&v4, "%%%_%-", "% %20"),
            (&v4, "%{S}", "strong-bad%40email.example.com"),
        ] {
            let template = Template::parse(text, Place::Record).unwrap();
            assert_eq!(template.expand(values), expanded, "{text}");
        }
    }

    fn values(address: &str) -> Values<'static> {
        Values {
            sender: "strong-bad@email.example.com",
            local_part: "strong-bad",
            sender_domain: "email.example.com",
            domain: "email.example.com",
            address: address.parse().unwrap(),
            validated: "unknown",
            helo: "mail.example.com",
            receiver: "here.test",
            seconds: 0,
        }
    }

    #[test]
    fn what_is_no_macro_is_broken() {
        for text in [
            "%", "%a", "%{", "%{}", "%{a}", "%{c}", "%{d0}", "%{d1x}", "%(d)", "a b", "é",
        ] {
            assert!(Template::parse(text, Place::Record).is_err(), "{text}");
        }
        for text in ["%{c} of %{r} at %{t}", "two words"] {
            assert!(Template::parse(text, Place::Explanation).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_domain_ends_in_a_macro_or_a_label() {
        for text in [
            "a.b",
            "a.b.",
            "%{d}",
            "a%%",
            "a.%{i}",
            "x.xn--a-b",
            "a:b/c.example",
        ] {
            assert!(Template::domain(text).is_ok(), "{text}");
        }
        for text in [
            "", "b", "b.", "a.1", "a.-b", "a.b-", "a.b:25", "%{d}b", "a..", "a.b/24",
        ] {
            assert!(Template::domain(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_lose_labels_on_the_left() {
        let template = Template::domain("first.%{d}.%{d}.%{d}.%{d}.example").unwrap();
        let domain = format!("{}.test", "a".repeat(60));
        let values = Values {
            domain: &domain,
            ..values("192.0.2.3")
        };
        let name = template.expand_name(&values);
        assert_eq!(name, format!("test.{domain}.{domain}.{domain}.example"));
    }
}
