//! SPF records with what is at fault changed, and the rest as it was (RFC 7208 §4.5, §5, §6).

/// What is to be changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mend {
    /// An address that should pass does not.
    pub(super) lacks: bool,
    /// The terms by which everybody passes.
    pub(super) opens: Vec<String>,
}

/// The terms that let the server pass, the second where the first is there already.
pub(super) type Own<'a> = [&'a str; 2];

/// Returns the records as one, with what is at fault changed, and the terms that were left out since they are none.
/// `own` is `None` where others send.
pub(super) fn mended(records: &[&str], mend: &Mend, own: Option<Own<'_>>) -> (String, Vec<String>) {
    let terms = records.iter().flat_map(|record| terms(record));
    let (mut kept, broken): (Vec<&str>, Vec<&str>) = terms.partition(|term| is_term(term));
    let opens = |term: &str| mend.opens.iter().any(|one| one == term);
    let is_changed = records.len() > 1 || !broken.is_empty() || kept.iter().any(|one| opens(one));
    // What stands behind `all` counts for nothing (§5.1).
    let end = kept.iter().find(|term| is_all(term) && !opens(term));
    let has_redirect = kept.iter().any(|term| is_named(term, "redirect="));
    let end = match (end, is_changed && !has_redirect) {
        (Some(end), _) => Some(*end),
        (None, true) => Some("-all"),
        (None, false) => None,
    };
    kept.retain(|term| !is_all(term) && !opens(term));
    let mut all: Vec<&str> = Vec::new();
    for term in kept {
        if !all.iter().any(|one| one.eq_ignore_ascii_case(term)) {
            all.push(term);
        }
    }
    if let Some([first, second]) = own {
        let has = |term: &str| all.iter().any(|one| is_bare(one, term));
        let added = match has(first) {
            false if mend.lacks || is_changed => Some(first),
            true if mend.lacks => Some(second),
            _ => None,
        };
        if let Some(added) = added {
            all.retain(|term| !is_bare(term, added));
            all.insert(0, added);
        }
    }
    all.extend(end);
    let text = ["v=spf1"].into_iter().chain(all).collect::<Vec<_>>();
    let broken = broken.into_iter().map(str::to_owned).collect();
    (text.join(" "), broken)
}

/// Whether a text is a record (§4.5).
pub(super) fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

/// Whether a record lets nobody pass but the domain's own hosts.
pub(super) fn names_nobody_else(record: &str) -> bool {
    terms(record).all(|term| {
        let bare = unqualified(term);
        let is_own = ["a", "mx", "all"]
            .iter()
            .any(|one| one.eq_ignore_ascii_case(bare));
        is_own || is_named(term, "exp=")
    })
}

fn terms(record: &str) -> impl Iterator<Item = &str> {
    record.split(' ').skip(1).filter(|term| !term.is_empty())
}

fn unqualified(term: &str) -> &str {
    term.strip_prefix(['+', '-', '~', '?']).unwrap_or(term)
}

fn is_all(term: &str) -> bool {
    unqualified(term).eq_ignore_ascii_case("all")
}

/// Whether it is that term, and lets pass.
fn is_bare(term: &str, wanted: &str) -> bool {
    let term = term.strip_prefix('+').unwrap_or(term);
    term.eq_ignore_ascii_case(wanted)
}

fn is_named(term: &str, name: &str) -> bool {
    term.get(..name.len())
        .is_some_and(|begin| begin.eq_ignore_ascii_case(name))
}

/// Whether it may be a term at all: mistakes further inside are not found.
fn is_term(term: &str) -> bool {
    let bare = unqualified(term);
    let end = bare.find([':', '/', '=']).unwrap_or(bare.len());
    let (name, argument) = bare.split_at(end);
    let name = name.to_ascii_lowercase();
    let is_network = |is_address: fn(&str) -> bool| {
        let network = argument.strip_prefix(':').unwrap_or_default();
        let (address, bits) = network.split_once('/').unwrap_or((network, "0"));
        is_address(address) && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
    };
    match name.as_str() {
        _ if argument.starts_with('=') => true,
        "all" => argument.is_empty(),
        "include" | "exists" => argument.len() > 1 && argument.starts_with(':'),
        "a" | "mx" | "ptr" => argument.len() != 1,
        "ip4" => is_network(|address| address.parse::<std::net::Ipv4Addr>().is_ok()),
        "ip6" => is_network(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Option<Own<'static>> = Some(["mx", "a:mail.test"]);

    fn with(records: &[&str], lacks: bool, opens: &[&str]) -> String {
        let opens = opens.iter().map(|one| (*one).to_owned()).collect();
        mended(records, &Mend { lacks, opens }, OWN).0
    }

    #[test]
    fn what_lets_others_pass_stays_where_the_server_is_added() {
        for (record, expected) in [
            (
                "v=spf1 include:_spf.shop.example -all",
                "v=spf1 mx include:_spf.shop.example -all",
            ),
            ("v=spf1 -all", "v=spf1 mx -all"),
            // Without an end there was none.
            ("v=spf1 redirect=a.test", "v=spf1 mx redirect=a.test"),
            ("v=spf1 ?mx ~all", "v=spf1 mx ?mx ~all"),
            // The MX records lead to other addresses.
            ("v=spf1 +mx -all", "v=spf1 a:mail.test +mx -all"),
            (
                "v=spf1 mx -a a:mail.test -all",
                "v=spf1 a:mail.test mx -a -all",
            ),
        ] {
            assert_eq!(with(&[record], true, &[]), expected);
        }
    }

    #[test]
    fn terms_that_let_everybody_pass_are_taken_out() {
        for (record, opens, expected) in [
            ("v=spf1 mx +all", "+all", "v=spf1 mx -all"),
            ("v=spf1 mx ip6:::/0 ~all", "ip6:::/0", "v=spf1 mx ~all"),
            (
                "v=spf1 ip4:0.0.0.0/0 include:a.test",
                "ip4:0.0.0.0/0",
                "v=spf1 mx include:a.test -all",
            ),
            // It is in another record.
            (
                "v=spf1 mx redirect=a.test",
                "+all",
                "v=spf1 mx redirect=a.test",
            ),
        ] {
            assert_eq!(with(&[record], false, &[opens]), expected);
        }
    }

    #[test]
    fn several_records_become_one_and_what_is_no_term_is_left_out() {
        let both = ["v=spf1 include:a.test ~all", "v=spf1 MX mx -all"];
        assert_eq!(with(&both, false, &[]), "v=spf1 include:a.test MX ~all");
        let (text, broken) = mended(
            &["v=spf1 ipv4:192.0.2.1 ip4:192.0.2 include:a.test al"],
            &Mend::default(),
            OWN,
        );
        assert_eq!(text, "v=spf1 mx include:a.test -all");
        assert_eq!(broken, ["ipv4:192.0.2.1", "ip4:192.0.2", "al"]);
        // Nothing is added where others send.
        let (text, _) = mended(&["v=spf1 include:a.test al"], &Mend::default(), None);
        assert_eq!(text, "v=spf1 include:a.test -all");
    }

    #[test]
    fn records_of_the_own_hosts_alone_are_known() {
        assert!(names_nobody_else("v=spf1 mx a ~all exp=why.test"));
        for other in [
            "include:a.test",
            "a:b.test",
            "ip4:192.0.2.1",
            "redirect=a.test",
        ] {
            assert!(!names_nobody_else(&format!("v=spf1 mx {other}")), "{other}");
        }
    }
}
