//! The accounts of this server as the directory of the service.

use hikyaku_mailstore::{Account, BoxFuture, Result, Store};
use hikyaku_service::{Authors, Directory, Guess, ScramKeys, StandsFor, TooMany, Turn, Whose};
use hikyaku_smtp_proto::{ForwardPath, Mailbox};
use hikyaku_wire::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use webmail::Throttle;

use crate::addresses::Book;
use crate::forwarding::{Returned, Rewriter};
use crate::{Accounts, Config};

/// The accounts of the store, what the configuration says of them, and what slows down guessing.
pub(crate) struct Residents {
    pub(crate) accounts: Accounts,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) config: Arc<Config>,
    /// Knows whom notifications for what was passed on are for.
    pub(crate) srs: Option<Arc<Rewriter>>,
}

impl Directory for Residents {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        Box::pin(self.accounts.find(name))
    }

    fn verify<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Account>>> {
        let password = password.expose_str().unwrap_or("");
        Box::pin(self.accounts.verify(name, password))
    }

    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        Box::pin(async move {
            if let Some(whose) = path.mailbox().and_then(|address| self.returned(address)) {
                return Ok(whose);
            }
            let book = self.accounts.addresses().book();
            let (local_part, domain) = match path.mailbox() {
                Some(mailbox) => match book.domain(mailbox.domain()) {
                    Some(domain) => (mailbox.local_part(), domain),
                    None => return Ok(Whose::Elsewhere),
                },
                None => ("postmaster".into(), book.first().to_owned()),
            };
            let names = book.bases(&local_part, &domain);
            for name in &names {
                if book.is_alias(name) || names.len() > 1 {
                    // A later account of that name gets its own mail. The store reads as soon as it is asked.
                    if let Some(account) = self.store.account(name).await? {
                        return Ok(of_account(&book, &account));
                    }
                    if let Some(alias) = of_alias(&book, name) {
                        return Ok(alias);
                    }
                }
            }
            let name = names.into_iter().next_back().unwrap_or_default();
            let role = name.split('@').next().unwrap_or_default();
            let is_role = ROLES.contains(&role);
            if !is_role && !book.has_rest(&domain) && !book.is_forwarded(&name) {
                return Ok(Whose::Account(name));
            }
            if let Some(account) = self.store.account(&name).await? {
                return Ok(of_account(&book, &account));
            }
            // There is always somebody for these: without an own account, the first one.
            if is_role && let Some(first) = self.store.accounts("", 1).await?.pop() {
                return Ok(of_account(&book, &first));
            }
            let rest = of_alias(&book, &format!("@{domain}"));
            Ok(rest.unwrap_or(Whose::Account(name)))
        })
    }

    fn mechanisms(&self) -> &[&'static str] {
        &["PLAIN", "LOGIN", "SCRAM-SHA-256"]
    }

    fn scram_keys<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ScramKeys>>> {
        Box::pin(async move {
            let account = self.accounts.find(name).await?;
            let keys = account.as_ref().and_then(Accounts::scram_keys);
            // A name that there is not gets keys that nothing proves: it looks as one that there is.
            Ok(Some(
                keys.unwrap_or_else(|| self.accounts.nobodys_keys(name)),
            ))
        })
    }

    fn turn<'a>(
        &'a self,
        peer: IpAddr,
        name: &'a str,
    ) -> BoxFuture<'a, std::result::Result<Turn, TooMany>> {
        Box::pin(async move {
            let name = self.accounts.login_name(name);
            let turn = self.throttle.turn(Some(peer), &name).await;
            let turn = turn.map_err(|_| TooMany)?;
            Ok(Turn::new(move |guess| {
                Box::pin(async move {
                    match guess {
                        Guess::Right => turn.succeeded(),
                        Guess::Wrong => turn.failed().await,
                        Guess::Undecided => turn.undecided(),
                    }
                })
            }))
        })
    }

    fn authors(&self, account: Option<&Account>, peer: IpAddr) -> Authors {
        let senders = &self.config.senders;
        let book = self.accounts.addresses().book();
        match account {
            Some(account) if senders.own_only => {
                let mut names = vec![account.name.clone()];
                let configured = senders.aliases.iter();
                let own = configured.filter(|(name, _)| name.eq_ignore_ascii_case(&account.name));
                names.extend(own.flat_map(|(_, aliases)| aliases).cloned());
                names.extend(book.identities(&account.name, account.id, senders.as_member));
                let namesakes = names.iter().flat_map(|name| book.namesakes(name));
                let namesakes: Vec<_> = namesakes.collect();
                names.extend(namesakes);
                match book.has_plus() {
                    true => Authors::only(names),
                    false => Authors::exactly(names),
                }
            }
            // The checks ask for proof instead.
            None if senders.protect
                && self.config.checks.is_none()
                && !senders.exempt.contains(peer) =>
            {
                Authors::none_of(book.domains())
            }
            _ => Authors::anybody(),
        }
    }
}

impl Residents {
    /// What a path that was rewritten here means: nothing that an account or an alias could have.
    fn returned(&self, address: &Mailbox) -> Option<Whose> {
        Some(match self.srs.as_ref()?.returned(address)? {
            Returned::To(sender) => Whose::Stands(StandsFor::new([sender]).for_notifications()),
            Returned::Nobody => Whose::Account(address.to_string()),
        })
    }
}

/// Who always has somebody: RFC 5321 §4.5.1, RFC 2142 §4.
const ROLES: [&str; 2] = ["postmaster", "abuse"];

/// What the address of an account means: itself, unless its mail is passed on.
fn of_account(book: &Book, account: &Account) -> Whose {
    match book.forward(&account.name, account.id) {
        None => Whose::Account(account.name.clone()),
        Some((to, _)) if to.is_empty() => Whose::Account(account.name.clone()),
        Some((to, false)) => Whose::Stands(StandsFor::new(to)),
        Some((to, true)) => Whose::Stands(StandsFor::new(to).and_account(&account.name)),
    }
}

fn of_alias(book: &Book, name: &str) -> Option<Whose> {
    let (to, owner) = book.alias(name)?;
    Some(Whose::Stands(StandsFor::new(to).owned_by(owner)))
}

#[cfg(test)]
mod tests;
