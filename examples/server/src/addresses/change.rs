//! Changes of addresses: each is checked against what is known, and one transaction.

use hikyaku_mailstore::Account;
use hikyaku_smtp_proto::Mailbox;

use super::error::AddressError;
use super::known::AddressBook;
use super::record::{Alias, Domain, Forward, Identities, Record};

/// The most aliases, domains added here, forwards, and accounts with identities.
const ALIASES: usize = 10_000;
const DOMAINS: usize = 1_000;
const FORWARDS: usize = 10_000;
const WITH_IDENTITIES: usize = 10_000;
/// The most addresses that an alias stands for, that an account is forwarded to, and that it may write as.
const MEMBERS: usize = 1_000;
const PLACES: usize = 100;
const IDENTITIES: usize = 100;

fn bounded(what: &'static str, count: usize, most: usize) -> Result<(), AddressError> {
    match count > most {
        true => Err(AddressError::TooMany(what, most)),
        false => Ok(()),
    }
}

/// AddressBook as they are kept, each once.
fn checked(addresses: &[String], to: &mut Vec<String>) -> Result<(), AddressError> {
    for address in addresses {
        let mailbox = Mailbox::parse(address.as_bytes());
        let mailbox = mailbox.map_err(|_| AddressError::NotAnAddress(address.clone()))?;
        let address = mailbox.to_string();
        if !to.iter().any(|one| one.eq_ignore_ascii_case(&address)) {
            to.push(address);
        }
    }
    Ok(())
}

/// A domain, in lower case.
fn domain(name: &str) -> Result<String, AddressError> {
    match Mailbox::parse(format!("a@{name}").as_bytes()) {
        Ok(_) if !name.starts_with('[') => Ok(name.to_lowercase()),
        _ => Err(AddressError::NotADomain(name.to_owned())),
    }
}

impl AddressBook {
    fn not_here(&self, what: &str) -> AddressError {
        let book = self.book();
        let domains: Vec<_> = book.domains().cloned().collect();
        AddressError::NotHere(what.to_owned(), domains.join(", "))
    }

    /// The name of an alias as it is kept: an address here, or `@` and a domain.
    fn alias_name(&self, text: &str) -> Result<String, AddressError> {
        let book = self.book();
        if let Some(name) = text.strip_prefix('@') {
            let name = domain(name)?;
            return match book.domain(&name) {
                Some(means) if means != name => Err(AddressError::Means(name, means)),
                Some(name) => Ok(format!("@{name}")),
                None => Err(self.not_here(text)),
            };
        }
        let mailbox = Mailbox::parse(text.as_bytes());
        let mailbox = mailbox.map_err(|_| AddressError::NotAnAddress(text.to_owned()))?;
        let here = book.domain(mailbox.domain());
        let here = here.ok_or_else(|| self.not_here(text))?;
        Ok(format!("{}@{here}", mailbox.local_part()).to_lowercase())
    }

    /// The account of an address.
    async fn account(&self, text: &str) -> Result<Account, AddressError> {
        let mailbox = Mailbox::parse(text.as_bytes());
        let mailbox = mailbox.map_err(|_| AddressError::NotAnAddress(text.to_owned()))?;
        let name = self.book().account_name(&mailbox);
        let name = name.ok_or_else(|| self.not_here(text))?;
        let found = self.store().account(&name).await?;
        found.ok_or(AddressError::NoAccount(name))
    }

    /// Adds addresses to an alias, and makes it if there is none. `@example.org` is the alias for what is left of a
    /// domain. With an owner it is a mailing list.
    ///
    /// # Errors
    /// One line: what is wrong with which address.
    pub async fn add_alias(
        &self,
        alias: &str,
        to: &[String],
        owner: Option<&str>,
    ) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let name = self.alias_name(alias)?;
        if self.store().account(&name).await?.is_some() {
            return Err(AddressError::IsAccount(name));
        }
        let book = self.book();
        let mut kept = book
            .aliases
            .get(&name)
            .map_or_else(Alias::default, |kept| (**kept).clone());
        bounded("aliases", book.aliases.len() + 1, ALIASES)?;
        checked(to, &mut kept.to)?;
        bounded("addresses of an alias", kept.to.len(), MEMBERS)?;
        if kept.to.iter().any(|one| one.eq_ignore_ascii_case(&name)) {
            return Err(AddressError::Itself(name));
        }
        if let Some(owner) = owner {
            let mut owners = Vec::new();
            checked(&[owner.to_owned()], &mut owners)?;
            kept.owner = owners.pop();
        }
        Ok(self.keep(Record::Alias(name, Some(kept))).await?)
    }

    /// Takes addresses out of an alias; all of it if none are named, or none are left.
    ///
    /// # Errors
    /// One line.
    pub async fn remove_alias(&self, alias: &str, to: &[String]) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let name = self.alias_name(alias)?;
        let known = self.book().aliases.get(&name).cloned();
        let known = known.ok_or(AddressError::Unknown("alias", name.clone()))?;
        let mut kept = (*known).clone();
        for one in to {
            let place = kept
                .to
                .iter()
                .position(|kept| kept.eq_ignore_ascii_case(one));
            let unknown = || AddressError::Unknown("such address in the alias:", one.clone());
            kept.to.remove(place.ok_or_else(unknown)?);
        }
        let is_left = !to.is_empty() && !kept.to.is_empty();
        Ok(self
            .keep(Record::Alias(name, is_left.then_some(kept)))
            .await?)
    }

    /// Adds a domain, whose mail is delivered here from now on.
    ///
    /// # Errors
    /// One line.
    pub async fn add_domain(&self, name: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let name = domain(name)?;
        let book = self.book();
        if book.domain(&name).is_some() {
            return Err(AddressError::Exists("domain", name));
        }
        bounded("domains", book.domains.len() + 1, DOMAINS)?;
        Ok(self
            .keep(Record::Domain(name, Some(Domain::default())))
            .await?)
    }

    /// Makes a name mean a domain of this server: each address there is the same one here.
    ///
    /// # Errors
    /// One line.
    pub async fn alias_domain(&self, name: &str, means: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let (name, means) = (domain(name)?, domain(means)?);
        let book = self.book();
        match book.domain(&means) {
            _ if name == means => return Err(AddressError::Itself(name)),
            Some(other) if other != means => return Err(AddressError::Means(means, other)),
            Some(_) => {}
            None => return Err(self.not_here(&means)),
        }
        match book.domains.get(&name) {
            _ if book.is_configured(&name) => return Err(AddressError::Configured(name)),
            Some(known) if known.means.is_none() => {
                return Err(AddressError::Exists("domain", name));
            }
            Some(_) => {}
            None => bounded("domains", book.domains.len() + 1, DOMAINS)?,
        }
        let means = Some(means);
        Ok(self
            .keep(Record::Domain(name, Some(Domain { means })))
            .await?)
    }

    /// Removes a domain that nothing is of any more.
    ///
    /// # Errors
    /// One line: what is of it still.
    pub async fn remove_domain(&self, name: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let name = domain(name)?;
        let book = self.book();
        if book.is_configured(&name) {
            return Err(AddressError::Configured(name));
        }
        if !book.domains.contains_key(&name) {
            return Err(AddressError::Unknown("domain", name));
        }
        let end = format!("@{name}");
        let aliases = book.aliases.keys();
        let mut used = aliases.filter(|alias| alias.ends_with(&end)).cloned();
        let names = book.domains.iter();
        let mut names = names.filter(|(_, one)| one.means.as_ref() == Some(&name));
        if let Some(by) = used.next().or(names.next().map(|(name, _)| name.clone())) {
            return Err(AddressError::InUse(name, by));
        }
        let mut after = String::new();
        loop {
            let some = self.store().accounts(&after, 500).await?;
            let Some(last) = some.last() else { break };
            after.clone_from(&last.name);
            if let Some(by) = some.iter().find(|account| account.name.ends_with(&end)) {
                return Err(AddressError::InUse(name, by.name.clone()));
            }
        }
        Ok(self.keep(Record::Domain(name, None)).await?)
    }

    /// Lets an account write as an address, or as a whole domain for `@` and its name.
    ///
    /// # Errors
    /// One line.
    pub async fn add_identity(&self, account: &str, address: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let account = self.account(account).await?;
        let whole = match address.strip_prefix('@') {
            Some(domain) => format!("a@{domain}"),
            None => address.to_owned(),
        };
        if Mailbox::parse(whole.as_bytes()).is_err() {
            return Err(AddressError::NeitherNor(address.to_owned()));
        }
        let book = self.book();
        let known = book.identities.get(&account.name);
        // What a former account of that name might was its own.
        let known = known.filter(|known| known.account == account.id.0);
        bounded(
            "accounts with identities",
            book.identities.len() + 1,
            WITH_IDENTITIES,
        )?;
        let mut kept = known.map_or_else(Identities::default, |known| (**known).clone());
        kept.account = account.id.0;
        let address = address.to_lowercase();
        if kept.addresses.contains(&address) {
            return Err(AddressError::Exists("identity", address));
        }
        kept.addresses.push(address);
        bounded("identities of an account", kept.addresses.len(), IDENTITIES)?;
        Ok(self
            .keep(Record::Identities(account.name, Some(kept)))
            .await?)
    }

    /// Takes an identity from an account.
    ///
    /// # Errors
    /// One line.
    pub async fn remove_identity(&self, account: &str, address: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let account = self.account(account).await?;
        let known = self.book().identities.get(&account.name).cloned();
        let mut kept = known.map_or_else(Identities::default, |known| (*known).clone());
        let place = kept
            .addresses
            .iter()
            .position(|one| one.eq_ignore_ascii_case(address));
        let unknown = || AddressError::Unknown("identity", address.to_owned());
        kept.addresses.remove(place.ok_or_else(unknown)?);
        let is_left = !kept.addresses.is_empty();
        let record = Record::Identities(account.name, is_left.then_some(kept));
        Ok(self.keep(record).await?)
    }

    /// Passes an account's mail on to other addresses, with or without a copy in its mailbox.
    ///
    /// # Errors
    /// One line.
    pub async fn set_forward(
        &self,
        account: &str,
        to: &[String],
        copy: bool,
    ) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let account = self.account(account).await?;
        let mut places = Vec::new();
        checked(to, &mut places)?;
        bounded("addresses of a forward", places.len(), PLACES)?;
        let book = self.book();
        bounded("forwards", book.forwards.len() + 1, FORWARDS)?;
        let mailboxes = places.iter().flat_map(|to| Mailbox::parse(to.as_bytes()));
        let mut names = mailboxes.filter_map(|to| book.account_name(&to));
        if names.any(|name| name == account.name) {
            return Err(AddressError::Itself(account.name));
        }
        let forward = Forward {
            account: account.id.0,
            to: places,
            copy,
        };
        Ok(self
            .keep(Record::Forward(account.name, Some(forward)))
            .await?)
    }

    /// Ends that; the account's mail goes into its mailbox again.
    ///
    /// # Errors
    /// One line.
    pub async fn remove_forward(&self, account: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let account = self.account(account).await?;
        if !self.book().is_forwarded(&account.name) {
            return Err(AddressError::Unknown("forward of", account.name));
        }
        Ok(self.keep(Record::Forward(account.name, None)).await?)
    }

    /// Forgets what was of an account that is removed.
    pub(crate) async fn forget(&self, account: &str) -> Result<(), AddressError> {
        let _changing = self.changing().await;
        let book = self.book();
        if book.forwards.contains_key(account) {
            self.keep(Record::Forward(account.to_owned(), None)).await?;
        }
        if book.identities.contains_key(account) {
            self.keep(Record::Identities(account.to_owned(), None))
                .await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
