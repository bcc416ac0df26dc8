//! SPF records (RFC 7208 §4.5, §4.6, §12): which TXT record is one, and what its terms are.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::broken::Broken;
use super::template::{Place, Template};
use crate::outcome::Outcome;

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) directives: Vec<Directive>,
    pub(crate) redirect: Option<Template>,
    pub(crate) explanation: Option<Template>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    /// The result when it matches.
    pub(crate) qualifier: Outcome,
    pub(crate) mechanism: Mechanism,
    /// As it is written, for those who read the result.
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mechanism {
    All,
    Include(Template),
    A(Option<Template>, Prefixes),
    Mx(Option<Template>, Prefixes),
    Ptr(Option<Template>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(Template),
}

/// How many bits of an address must be the same, for each family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefixes {
    v4: u8,
    v6: u8,
}

impl Prefixes {
    /// Whether two addresses of one family are the same in these bits.
    pub(crate) fn match_both(self, one: IpAddr, other: IpAddr) -> bool {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => is_same_v4(one, other, self.v4),
            (IpAddr::V6(one), IpAddr::V6(other)) => is_same_v6(one, other, self.v6),
            _ => false,
        }
    }
}

/// Whether the first bits of two addresses are the same.
pub(crate) fn is_same_v4(one: Ipv4Addr, other: Ipv4Addr, bits: u8) -> bool {
    let differing = u32::from(one) ^ u32::from(other);
    differing.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
}

/// As [`is_same_v4`].
pub(crate) fn is_same_v6(one: Ipv6Addr, other: Ipv6Addr, bits: u8) -> bool {
    let differing = u128::from(one) ^ u128::from(other);
    differing.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
}

/// Whether a TXT record is an SPF record (§4.5): the version, and then a space or nothing.
pub(crate) fn is_record(text: &[u8]) -> bool {
    let version = b"v=spf1";
    let begins = text
        .get(..version.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(version));
    begins && matches!(text.get(version.len()), None | Some(b' '))
}

impl Record {
    /// Reads a record. Mistakes anywhere in it are found (§4.6).
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Broken> {
        if !text.iter().all(|octet| matches!(octet, 0x20..=0x7e)) {
            return Err(Broken("octet"));
        }
        let text = std::str::from_utf8(text).map_err(|_| Broken("octet"))?;
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
            explanation: None,
        };
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            match modifier(term) {
                Some((name, value)) => record.modify(name, value)?,
                None => record.directives.push(Directive::parse(term)?),
            }
        }
        Ok(record)
    }

    fn modify(&mut self, name: &str, value: &str) -> Result<(), Broken> {
        let slot = match name.to_ascii_lowercase().as_str() {
            "redirect" => &mut self.redirect,
            "exp" => &mut self.explanation,
            _ => return Template::parse(value, Place::Record).map(drop),
        };
        match slot.replace(Template::domain(value)?) {
            // §6: neither may be there twice.
            Some(_) => Err(Broken("modifier")),
            None => Ok(()),
        }
    }
}

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`, then `=`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let is_in_name = |octet: char| octet.is_ascii_alphanumeric() || "-_.".contains(octet);
    let end = term.find(|octet| !is_in_name(octet))?;
    let (name, rest) = term.split_at(end);
    let value = rest.strip_prefix('=')?;
    name.starts_with(|octet: char| octet.is_ascii_alphabetic())
        .then_some((name, value))
}

impl Directive {
    fn parse(term: &str) -> Result<Self, Broken> {
        let (qualifier, rest) = match term.as_bytes().first() {
            Some(b'+') => (Outcome::Pass, term.get(1..)),
            Some(b'-') => (Outcome::Fail, term.get(1..)),
            Some(b'~') => (Outcome::SoftFail, term.get(1..)),
            Some(b'?') => (Outcome::Neutral, term.get(1..)),
            _ => (Outcome::Pass, Some(term)),
        };
        let rest = rest.unwrap_or_default();
        let end = rest.find([':', '/']).unwrap_or(rest.len());
        let (name, argument) = rest.split_at(end);
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" if argument.is_empty() => Mechanism::All,
            "include" => Mechanism::Include(required(argument)?),
            "exists" => Mechanism::Exists(required(argument)?),
            "ptr" => Mechanism::Ptr(optional(argument)?),
            "a" => {
                let (target, prefixes) = dual(argument)?;
                Mechanism::A(optional(target)?, prefixes)
            }
            "mx" => {
                let (target, prefixes) = dual(argument)?;
                Mechanism::Mx(optional(target)?, prefixes)
            }
            "ip4" => {
                let (address, bits) = network(argument, 32)?;
                let address = address.parse().map_err(|_| Broken("address"))?;
                Mechanism::Ip4(address, bits)
            }
            "ip6" => {
                let (address, bits) = network(argument, 128)?;
                let address = address.parse().map_err(|_| Broken("address"))?;
                Mechanism::Ip6(address, bits)
            }
            _ => return Err(Broken("mechanism")),
        };
        Ok(Self {
            qualifier,
            mechanism,
            text: term.to_owned(),
        })
    }
}

fn required(argument: &str) -> Result<Template, Broken> {
    optional(argument)?.ok_or(Broken("domain"))
}

fn optional(argument: &str) -> Result<Option<Template>, Broken> {
    match argument.strip_prefix(':') {
        Some(domain) => Template::domain(domain).map(Some),
        None if argument.is_empty() => Ok(None),
        None => Err(Broken("domain")),
    }
}

/// Cuts `[ "/" ip4-cidr ] [ "//" ip6-cidr ]` from the end. Slashes may also stand in a domain.
fn dual(argument: &str) -> Result<(&str, Prefixes), Broken> {
    let (rest, v6) = match cut_digits(argument, "//") {
        Some((rest, digits)) => (rest, bits(digits, 128)?),
        None => (argument, 128),
    };
    let (rest, v4) = match cut_digits(rest, "/") {
        Some((rest, digits)) => (rest, bits(digits, 32)?),
        None => (rest, 32),
    };
    Ok((rest, Prefixes { v4, v6 }))
}

fn cut_digits<'a>(text: &'a str, slashes: &str) -> Option<(&'a str, &'a str)> {
    let (rest, digits) = text.rsplit_once('/')?;
    let rest = match slashes {
        "//" => rest.strip_suffix('/')?,
        _ => rest,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then_some((rest, digits))
}

fn network(argument: &str, most: u8) -> Result<(&str, u8), Broken> {
    let network = argument.strip_prefix(':').ok_or(Broken("address"))?;
    match network.split_once('/') {
        Some((address, digits)) => Ok((address, bits(digits, most)?)),
        None => Ok((network, most)),
    }
}

/// `"0" / %x31-39 *DIGIT`, not above the family's bits.
fn bits(digits: &str, most: u8) -> Result<u8, Broken> {
    let broken = Broken("prefix length");
    let is_number = digits.bytes().all(|octet| octet.is_ascii_digit());
    if !is_number || digits.len() > 1 && digits.starts_with('0') {
        return Err(broken);
    }
    let bits: u8 = digits.parse().map_err(|_| broken)?;
    if bits > most { Err(broken) } else { Ok(bits) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_the_whole_version_makes_a_record() {
        for (text, is_one) in [
            ("v=spf1", true),
            ("V=SPF1 -all", true),
            ("v=spf10 -all", false),
            ("v=spf1\t-all", false),
            (" v=spf1", false),
            ("spf2.0/pra", false),
            ("", false),
        ] {
            assert_eq!(is_record(text.as_bytes()), is_one, "{text}");
        }
    }

    #[test]
    fn terms_are_read_with_their_prefix_lengths() {
        let record =
            Record::parse(b"v=spf1 a/24//64 mx:foo:bar/baz.example//0 ?ip6:2001:db8::/32").unwrap();
        let both = |v4, v6| Prefixes { v4, v6 };
        let target = Template::domain("foo:bar/baz.example").unwrap();
        let [first, second, third] = record.directives.as_slice() else {
            panic!()
        };
        assert_eq!(first.mechanism, Mechanism::A(None, both(24, 64)));
        assert_eq!(second.mechanism, Mechanism::Mx(Some(target), both(32, 0)));
        assert_eq!(third.qualifier, Outcome::Neutral);
    }

    #[test]
    fn prefix_lengths_compare_their_bits() {
        let ip = |text: &str| text.parse().unwrap();
        assert!(is_same_v4(ip("192.0.2.1"), ip("203.0.113.1"), 0));
        assert!(is_same_v4(ip("192.0.2.1"), ip("192.0.2.255"), 24));
        assert!(!is_same_v4(ip("192.0.2.1"), ip("192.0.3.1"), 24));
        assert!(!is_same_v4(ip("192.0.2.1"), ip("192.0.2.2"), 32));
        let ip = |text: &str| text.parse().unwrap();
        assert!(is_same_v6(ip("2001:db8::1"), ip("::"), 0));
        assert!(is_same_v6(ip("2001:db8::1"), ip("2001:db8::ffff"), 112));
        assert!(!is_same_v6(ip("2001:db8::1"), ip("2001:db8::2"), 128));
    }

    proptest! {
        #[test]
        fn no_record_is_too_strange_to_read(text in "v=spf1( [+~?-]?(a|mx|ptr|ip4|ip6|exists|include|redirect|exp|all)[:=/]?[%{}a-z0-9./:-]{0,12}){0,5}") {
            let _ = Record::parse(text.as_bytes());
        }

        #[test]
        fn no_octets_are_too_strange_to_read(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::parse(&octets);
        }
    }
}
