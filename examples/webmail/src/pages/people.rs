//! People on a page: the name, always with the address, and what is wrong with the two.

use hikyaku_client::visible::Person;
use hikyaku_message::Address;

/// The most of one field that are listed.
const LISTED: usize = 100;

/// Those of an address field.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) all: Vec<Person>,
    /// How many there are beyond.
    pub(super) more: usize,
}

impl People {
    pub(super) fn of(all: &[Address]) -> Self {
        Self {
            all: all.iter().take(LISTED).map(Person::of).collect(),
            more: all.len().saturating_sub(LISTED),
        }
    }

    /// Whether other mailboxes are meant than by that field.
    pub(super) fn differ_from(&self, other: &Self) -> bool {
        let addresses = |people: &Self| {
            let mut all: Vec<_> = people
                .all
                .iter()
                .map(|one| one.address.to_lowercase())
                .collect();
            all.sort();
            all.dedup();
            all
        };
        !self.all.is_empty() && (self.more != other.more || addresses(self) != addresses(other))
    }

    /// Their names for a list, and how many there are beyond.
    pub(super) fn short(all: &[Address]) -> String {
        let few = all.iter().take(4).map(Person::of);
        let names: Vec<_> = few
            .map(|one| one.short().chars().take(100).collect::<String>())
            .collect();
        match all.len().saturating_sub(4) {
            0 => names.join(", "),
            more => format!("{}, +{more}", names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_message::parse_addresses;

    #[test]
    fn a_reply_elsewhere_differs() {
        for (from, reply_to, differs) in [
            ("Max <m@a.test>", "Max <M@A.test>", false),
            ("Max <m@a.test>", "Max <m@b.test>", true),
            ("Max <m@a.test>", "m@a.test, n@a.test", true),
            ("a@a.test, b@a.test", "b@a.test, a@a.test", false),
            ("a@a.test", "", false),
        ] {
            let of = |text: &str| People::of(&parse_addresses(text.as_bytes()));
            assert_eq!(of(reply_to).differ_from(&of(from)), differs, "{reply_to}");
        }
    }

    #[test]
    fn a_list_has_few_names_and_none_that_misleads() {
        let short = |text: &str| People::short(&parse_addresses(text.as_bytes()));
        assert_eq!(short("Max <m@a.test>, b@a.test"), "Max, b@a.test");
        assert_eq!(
            short("\"boss@bank.test\" <evil@evil.test>"),
            "evil@evil.test"
        );
        assert_eq!(
            short("a@a.test, b@a.test, c@a.test, d@a.test, e@a.test, f@a.test"),
            "a@a.test, b@a.test, c@a.test, d@a.test, +2"
        );
    }
}
