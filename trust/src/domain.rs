//! Domain names: one form for comparing them, and which of them can be asked for.

/// Returns a domain in the form in which domains are compared here: A-labels (RFC 5890 §2.3.2.1), small letters, without
/// a last dot. `None` when it is no domain name with two labels at least: a domain literal, a text, a lone label.
pub(crate) fn canonical(domain: &str) -> Option<String> {
    let name = ascii(domain)?;
    name.contains('.').then_some(name)
}

/// As [`canonical`]; a lone label is one as well.
pub(crate) fn ascii(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let name = match domain.is_ascii() {
        true => domain.to_ascii_lowercase(),
        false => idna::domain_to_ascii(domain).ok()?,
    };
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let is_label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(is_plain);
    // What ends in a number is an address (RFC 3696 §2).
    let is_address = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    (name.len() <= 253 && !is_address && name.split('.').all(is_label)).then_some(name)
}

/// Returns whether a name can be asked for: its labels may hold anything (RFC 2181 §11).
pub(crate) fn is_askable(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| (1..=63).contains(&label.len());
    name.is_ascii() && name.len() <= 253 && name.split('.').all(is_label)
}

/// Returns whether a domain is another one, or lies below it. Both are [`canonical`].
pub(crate) fn is_within(domain: &str, above: &str) -> bool {
    domain
        .strip_suffix(above)
        .is_some_and(|below| below.is_empty() || below.ends_with('.'))
}

/// Returns the domain of an address: what lies behind its last `@`.
pub(crate) fn of_address(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_have_one_form() {
        for (domain, form) in [
            ("Example.ORG", Some("example.org")),
            ("example.org.", Some("example.org")),
            ("bücher.example", Some("xn--bcher-kva.example")),
            ("BÜCHER.example", Some("xn--bcher-kva.example")),
            ("_dmarc.example.org", Some("_dmarc.example.org")),
            ("a。example", Some("a.example")),
            ("localhost", None),
            ("[192.0.2.1]", None),
            ("192.0.2.1", None),
            ("a..b", None),
            ("a b.example", None),
            ("", None),
            (".", None),
            ("example.org..", None),
        ] {
            assert_eq!(canonical(domain).as_deref(), form, "{domain}");
        }
        let long = format!("{}.example", "a".repeat(64));
        assert_eq!(canonical(&long), None);
        assert_eq!(canonical(&"a.".repeat(128)), None);
    }

    #[test]
    fn a_domain_lies_within_itself_and_those_above() {
        assert!(is_within("example.org", "example.org"));
        assert!(is_within("a.example.org", "example.org"));
        assert!(!is_within("badexample.org", "example.org"));
        assert!(!is_within("example.org", "a.example.org"));
    }
}
