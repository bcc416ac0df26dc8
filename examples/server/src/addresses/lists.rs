//! The addresses as an operator sees them: one a line.

use super::known::AddressBook;

fn lines(all: impl Iterator<Item = String>) -> String {
    all.map(|line| line + "\n").collect()
}

impl AddressBook {
    /// Lists the aliases: each with the addresses that it stands for, and the owner of a list.
    #[must_use]
    pub fn list_aliases(&self) -> String {
        let book = self.book();
        lines(book.aliases.iter().map(|(name, alias)| {
            let owner = alias.owner.as_ref();
            let owner = owner.map_or(String::new(), |owner| format!("\towner {owner}"));
            format!("{name}\t{}{owner}", alias.to.join(", "))
        }))
    }

    /// Lists the domains: where each comes from, or what it means.
    #[must_use]
    pub fn list_domains(&self) -> String {
        let book = self.book();
        lines(book.domains().map(|name| match book.domains.get(name) {
            _ if book.is_configured(name) => format!("{name}\tin the configuration"),
            Some(domain) => match &domain.means {
                Some(means) => format!("{name}\tmeans {means}"),
                None => name.clone(),
            },
            None => name.clone(),
        }))
    }

    /// Lists the identities that accounts were given.
    #[must_use]
    pub fn list_identities(&self, account: Option<&str>) -> String {
        let book = self.book();
        let all = book.identities.iter();
        let all = all.filter(|(name, _)| account.is_none_or(|one| one.eq_ignore_ascii_case(name)));
        lines(all.map(|(name, one)| format!("{name}\t{}", one.addresses.join(", "))))
    }

    /// Lists the forwards: of one account, or all.
    #[must_use]
    pub fn list_forwards(&self, account: Option<&str>) -> String {
        let book = self.book();
        let all = book.forwards.iter();
        let all = all.filter(|(name, _)| account.is_none_or(|one| one.eq_ignore_ascii_case(name)));
        lines(all.map(|(name, one)| {
            let copy = if one.copy {
                "with a copy"
            } else {
                "without a copy"
            };
            format!("{name}\t{}\t{copy}", one.to.join(", "))
        }))
    }
}
