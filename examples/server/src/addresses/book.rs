//! What is known of addresses, in memory. Changes are made in a copy, which is put in its place when they are stored.

use hikyaku_mailstore::AccountId;
use hikyaku_smtp_proto::Mailbox;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::record::{Alias, Domain, Forward, Identities, Record};

/// How many bases of an address are looked for: a local part of separators alone has dozens.
const BASES: usize = 8;

/// All addresses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    /// The domains of the configuration, in lower case; the first is that of names without one.
    configured: Vec<String>,
    /// The characters that begin a detail.
    separators: String,
    pub(super) domains: BTreeMap<String, Domain>,
    pub(super) aliases: BTreeMap<String, Arc<Alias>>,
    pub(super) forwards: BTreeMap<String, Arc<Forward>>,
    pub(super) identities: BTreeMap<String, Arc<Identities>>,
    /// The aliases that each account is named by.
    memberships: HashMap<String, Vec<String>>,
    /// The names of accounts with identities, by number.
    by_number: HashMap<u64, String>,
}

impl Book {
    /// One of these domains, without anything else.
    pub(super) fn new(domains: &[String], separators: &str) -> Self {
        Self {
            configured: domains.iter().map(|name| name.to_lowercase()).collect(),
            separators: separators.to_owned(),
            ..Self::default()
        }
    }

    /// Puts a record into its place, or takes it out.
    pub(super) fn put(&mut self, record: Record) {
        fn set<T>(map: &mut BTreeMap<String, T>, name: String, value: Option<T>) {
            match value {
                Some(value) => drop(map.insert(name, value)),
                None => drop(map.remove(&name)),
            }
        }
        match record {
            Record::Alias(name, value) => set(&mut self.aliases, name, value.map(Arc::new)),
            Record::Domain(name, value) => set(&mut self.domains, name, value),
            Record::Forward(name, value) => set(&mut self.forwards, name, value.map(Arc::new)),
            Record::Identities(name, value) => {
                set(&mut self.identities, name, value.map(Arc::new));
            }
        }
    }

    /// Works out what is looked for by the other end, when all records are in their places.
    pub(super) fn index(&mut self) {
        let mut memberships: HashMap<String, Vec<String>> = HashMap::new();
        for (name, alias) in &self.aliases {
            // Nobody writes as a whole domain for getting what is left of it, nor as a list.
            if name.starts_with('@') || alias.owner.is_some() {
                continue;
            }
            let to = alias.to.iter();
            let to = to.filter_map(|to| Mailbox::parse(to.as_bytes()).ok());
            for member in to.filter_map(|to| self.account_name(&to)) {
                memberships.entry(member).or_default().push(name.clone());
            }
        }
        self.memberships = memberships;
        let identities = self.identities.iter();
        self.by_number = identities
            .map(|(name, one)| (one.account, name.clone()))
            .collect();
    }

    /// The domain of names without one.
    pub(crate) fn first(&self) -> &str {
        self.configured.first().map_or("", |first| first)
    }

    /// All domains, further names of them included.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &String> {
        self.configured.iter().chain(self.domains.keys())
    }

    /// The domains that accounts may be in.
    pub(crate) fn real_domains(&self) -> impl Iterator<Item = &String> {
        let added = self.domains.iter().filter(|(_, one)| one.means.is_none());
        self.configured.iter().chain(added.map(|(name, _)| name))
    }

    pub(super) fn is_configured(&self, domain: &str) -> bool {
        self.configured.iter().any(|one| one == domain)
    }

    /// The domain of this server that a name means.
    pub(crate) fn domain(&self, name: &str) -> Option<String> {
        let name = name.to_lowercase();
        if self.is_configured(&name) {
            return Some(name);
        }
        let known = self.domains.get(&name)?;
        Some(known.means.clone().unwrap_or(name))
    }

    /// The name of the account of an address; `None` for a domain of another server.
    pub(crate) fn account_name(&self, mailbox: &Mailbox) -> Option<String> {
        let domain = self.domain(mailbox.domain())?;
        Some(match self.has_plus() {
            true => hikyaku_service::base_address(&mailbox.local_part(), &domain),
            false => format!("{}@{domain}", mailbox.local_part()).to_lowercase(),
        })
    }

    /// Whether `+` begins a detail, so that no name of an account holds one.
    pub(crate) fn has_plus(&self) -> bool {
        self.separators.contains('+')
    }

    /// The names that a local part at a domain of this server may have as an account or an alias, the longest first
    /// (RFC 5233).
    pub(crate) fn bases(&self, local_part: &str, domain: &str) -> Vec<String> {
        let local_part = local_part.to_lowercase();
        let is_separator = |(at, c): &(usize, char)| *at > 0 && self.separators.contains(*c);
        let cuts = local_part.char_indices().rev().filter(is_separator);
        let ends = std::iter::once(local_part.len()).chain(cuts.map(|(at, _)| at));
        let bases = ends.filter_map(|end| local_part.get(..end));
        bases
            .take(BASES)
            .map(|base| format!("{base}@{domain}"))
            .collect()
    }

    /// An address without any details, in lower case, for telling apart who is meant.
    pub(crate) fn base(&self, address: &str) -> String {
        let (local_part, domain) = address.rsplit_once('@').unwrap_or((address, ""));
        let bases = self.bases(local_part, &domain.to_lowercase());
        bases.into_iter().next_back().unwrap_or_default()
    }

    /// What an alias of that name, or what is left of a domain for `@` and its name, stands for.
    pub(crate) fn alias(&self, name: &str) -> Option<(Vec<Mailbox>, Option<Mailbox>)> {
        let alias = self.aliases.get(name)?;
        let owner = alias.owner.as_ref();
        Some((
            mailboxes(&alias.to),
            owner.and_then(|owner| Mailbox::parse(owner.as_bytes()).ok()),
        ))
    }

    /// Whether there is an alias of that name.
    pub(crate) fn is_alias(&self, name: &str) -> bool {
        self.aliases.contains_key(name)
    }

    /// Whether there is somebody for what is left of a domain.
    pub(crate) fn has_rest(&self, domain: &str) -> bool {
        self.aliases.contains_key(&format!("@{domain}"))
    }

    /// Whether the mail of an account of that name goes elsewhere.
    pub(crate) fn is_forwarded(&self, name: &str) -> bool {
        self.forwards.contains_key(name)
    }

    /// Where the mail of an account goes, and whether it keeps a copy.
    pub(crate) fn forward(&self, name: &str, id: AccountId) -> Option<(Vec<Mailbox>, bool)> {
        let forward = self.forwards.get(name)?;
        (forward.account == id.0).then(|| (mailboxes(&forward.to), forward.copy))
    }

    /// What an account may write as besides its own name. `as_member` says whether that includes the aliases that it is
    /// named by.
    pub(crate) fn identities(&self, name: &str, id: AccountId, as_member: bool) -> Vec<String> {
        let mut all = Vec::new();
        let identities = self.by_number.get(&id.0);
        if let Some(known) = identities.and_then(|name| self.identities.get(name)) {
            all.extend(known.addresses.iter().cloned());
        }
        if as_member && let Some(aliases) = self.memberships.get(name) {
            all.extend(aliases.iter().cloned());
        }
        all
    }

    /// The same local part at further names of its domain.
    pub(crate) fn namesakes(&self, address: &str) -> Vec<String> {
        let Some((local_part, domain)) = address.rsplit_once('@') else {
            return Vec::new();
        };
        let domains = self.domains.iter();
        let further = domains.filter(|(_, one)| one.means.as_deref() == Some(domain));
        further
            .map(|(further, _)| format!("{local_part}@{further}"))
            .collect()
    }
}

fn mailboxes(addresses: &[String]) -> Vec<Mailbox> {
    let read = addresses.iter().map(|one| Mailbox::parse(one.as_bytes()));
    read.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(separators: &str) -> Book {
        let mut book = Book::new(&["A.test".to_owned()], separators);
        let alias = |name: &str, to: &[&str], owner: Option<&str>| {
            let to = to.iter().map(|&to| to.to_owned()).collect();
            let owner = owner.map(ToOwned::to_owned);
            Record::Alias(name.into(), Some(Alias { to, owner }))
        };
        let means = Some("a.test".to_owned());
        for record in [
            Record::Domain("b.test".into(), Some(Domain::default())),
            Record::Domain("c.test".into(), Some(Domain { means })),
            alias("sales@a.test", &["Alice+sales@c.test", "x@else.test"], None),
            alias("list@a.test", &["alice@a.test"], Some("bob@a.test")),
            alias("@b.test", &["alice@a.test"], None),
        ] {
            book.put(record);
        }
        book.index();
        book
    }

    #[test]
    fn a_local_part_has_bases_by_its_separators() {
        for (separators, local_part, expected) in [
            ("+", "Alice", "alice"),
            ("+", "alice+x", "alice+x alice"),
            ("+", "alice+x+y", "alice+x+y alice+x alice"),
            ("+", "alice-x", "alice-x"),
            ("+", "+x", "+x"),
            ("+", "alice+", "alice+ alice"),
            ("-", "mary-ann-x", "mary-ann-x mary-ann mary"),
            ("-", "alice+x", "alice+x"),
            ("+-", "mary-ann+x", "mary-ann+x mary-ann mary"),
            ("", "alice+x", "alice+x"),
        ] {
            let bases = book(separators).bases(local_part, "a.test");
            let bases: Vec<_> = bases
                .iter()
                .map(|one| one.strip_suffix("@a.test").unwrap())
                .collect();
            assert_eq!(bases.join(" "), expected, "{separators} {local_part}");
        }
        let many = "-".repeat(64);
        assert_eq!(book("-").bases(&many, "a.test").len(), BASES);
    }

    #[test]
    fn a_domain_may_mean_another() {
        let book = book("+");
        for (name, expected) in [
            ("A.TEST", Some("a.test")),
            ("b.test", Some("b.test")),
            ("C.test", Some("a.test")),
            ("sub.a.test", None),
        ] {
            assert_eq!(book.domain(name).as_deref(), expected, "{name}");
        }
        assert_eq!(book.namesakes("alice@a.test"), ["alice@c.test"]);
        assert!(book.namesakes("alice@b.test").is_empty());
        let real: Vec<_> = book.real_domains().collect();
        assert_eq!(real, ["a.test", "b.test"]);
    }

    #[test]
    fn members_of_an_alias_write_as_it_and_those_of_a_list_or_of_a_rest_do_not() {
        let book = book("+");
        let id = AccountId(3);
        let alice = book.identities("alice@a.test", id, true);
        assert_eq!(alice, ["sales@a.test"]);
        assert!(book.identities("alice@a.test", id, false).is_empty());
        assert!(book.identities("x@else.test", id, true).is_empty());
    }

    #[test]
    fn identities_and_forwards_are_an_accounts_and_not_a_names() {
        let mut book = book("+");
        let name = || "alice@a.test".to_owned();
        book.put(Record::Forward(
            name(),
            Some(Forward {
                account: 3,
                to: vec!["x@else.test".into()],
                copy: true,
            }),
        ));
        book.put(Record::Identities(
            name(),
            Some(Identities {
                account: 3,
                addresses: vec!["@d.test".into()],
            }),
        ));
        book.index();
        let (first, second) = (AccountId(3), AccountId(4));
        assert_eq!(book.identities(&name(), first, false), ["@d.test"]);
        assert!(book.identities(&name(), second, false).is_empty());
        assert!(book.forward(&name(), first).unwrap().1);
        assert!(book.forward(&name(), second).is_none());
        book.put(Record::Forward(name(), None));
        assert!(!book.is_forwarded(&name()));
    }
}
