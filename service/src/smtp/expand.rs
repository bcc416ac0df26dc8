//! What a forward-path means: one mailbox, or all that an alias, a list or a forward stands for (RFC 5321 §3.9).

use hikyaku_mailstore::{Account, Error, MailboxId};
use hikyaku_smtp_proto::{ForwardPath, Mailbox, Notify, OriginalRecipient, RcptParameters};
use std::collections::{HashSet, VecDeque};
use tracing::warn;

use super::recipient::{Local, Recipient, Remote, Report};
use crate::queue::Became;
use crate::service::Service;
use crate::{StandsFor, Whose};

/// What a forward-path means.
pub(super) enum Means {
    /// Mailboxes here, and addresses elsewhere that an address of this server stands for.
    Known(Recipient),
    /// Somebody at another server.
    Elsewhere(Mailbox),
    Nobody,
    /// It stands for nothing but itself, or takes too many steps.
    Loop,
    /// It stands for more addresses than there may be.
    TooMany,
}

/// An address on the way.
struct Step {
    path: ForwardPath,
    parameters: RcptParameters,
    owner: Option<Mailbox>,
    depth: usize,
}

/// What was found so far.
struct Walk<'a> {
    service: &'a Service,
    /// The octets that each account must have room for.
    size: u64,
    recipient: Recipient,
    steps: VecDeque<Step>,
    /// All addresses that were found, so that each is asked for once, and a loop ends.
    seen: HashSet<String>,
    inboxes: HashSet<MailboxId>,
    /// Whether an address led back to one that was there before.
    leads_back: bool,
}

/// An address as it differs from others. A local part elsewhere may differ by its case (RFC 5321 §2.4); one that
/// is asked for twice is no harm.
fn key(path: &ForwardPath) -> String {
    path.mailbox().map_or("postmaster".into(), |mailbox| {
        let domain = mailbox.domain().to_lowercase();
        format!("{}@{domain}", mailbox.local_part())
    })
}

/// Looks up what a path means. `size` is what the accounts must have room for.
pub(super) async fn means(
    service: &Service,
    path: &ForwardPath,
    parameters: &RcptParameters,
    size: u64,
) -> Result<Means, Error> {
    let address = path
        .mailbox()
        .map_or_else(|| "postmaster".to_owned(), ToString::to_string);
    let mut recipient = Recipient::new(address, parameters.clone());
    match service.directory.whose(path).await? {
        // Nearly all of them.
        Whose::Account(name) => {
            let Some((account, inbox)) = service.store.find(&name, "INBOX").await? else {
                return Ok(Means::Nobody);
            };
            let local = local(name, &account, inbox.id, size, parameters.clone());
            recipient.here.push(local);
            Ok(Means::Known(recipient))
        }
        Whose::Elsewhere => Ok(path
            .mailbox()
            .cloned()
            .map_or(Means::Nobody, Means::Elsewhere)),
        Whose::Stands(stands) => {
            let first = Step {
                path: path.clone(),
                parameters: parameters.clone(),
                owner: None,
                depth: 0,
            };
            let walk = Walk {
                service,
                size,
                recipient,
                steps: VecDeque::new(),
                seen: HashSet::from([key(path)]),
                inboxes: HashSet::new(),
                leads_back: false,
            };
            // Boxed: it needs much more room than the others, and is rare.
            Box::pin(walk.all(stands, first)).await
        }
    }
}

/// An INBOX here.
fn local(
    address: String,
    account: &Account,
    mailbox: MailboxId,
    size: u64,
    parameters: RcptParameters,
) -> Local {
    Local {
        address,
        mailbox,
        parameters,
        has_room: account.quota.admits(size, 1),
        owner: None,
        form: 0,
    }
}

impl Walk<'_> {
    /// Finds all that the first address stands for.
    async fn all(mut self, stands: StandsFor, first: Step) -> Result<Means, Error> {
        let service = self.service;
        if service.options.alias_depth == 0 {
            return Ok(Means::Loop);
        }
        self.stands(stands, first).await?;
        loop {
            if self.has_too_many() {
                return Ok(Means::TooMany);
            }
            let Some(step) = self.steps.pop_front() else {
                break;
            };
            match service.directory.whose(&step.path).await? {
                Whose::Account(name) => self.account(&name, step.parameters, step.owner).await?,
                Whose::Elsewhere => self.elsewhere(step),
                Whose::Stands(_) if step.depth >= service.options.alias_depth => {
                    return Ok(Means::Loop);
                }
                Whose::Stands(stands) => self.stands(stands, step).await?,
            }
        }
        let is_nobody = self.recipient.here.is_empty() && self.recipient.elsewhere.is_empty();
        Ok(match is_nobody {
            true if self.leads_back => Means::Loop,
            true => Means::Nobody,
            false => Means::Known(self.recipient),
        })
    }

    fn has_too_many(&self) -> bool {
        self.seen.len() > self.service.options.alias_addresses.saturating_add(1)
    }

    /// An account: its INBOX, once.
    async fn account(
        &mut self,
        name: &str,
        parameters: RcptParameters,
        owner: Option<Mailbox>,
    ) -> Result<(), Error> {
        let Some((account, inbox)) = self.service.store.find(name, "INBOX").await? else {
            warn!(
                alias = self.recipient.address,
                member = name,
                "an alias names an account that is not there"
            );
            return Ok(());
        };
        if self.inboxes.insert(inbox.id) {
            let local = local(name.to_owned(), &account, inbox.id, self.size, parameters);
            self.recipient.here.push(Local { owner, ..local });
        }
        Ok(())
    }

    fn elsewhere(&mut self, step: Step) {
        let Some(mailbox) = step.path.mailbox().cloned() else {
            return;
        };
        if self.service.queue().is_none() {
            return warn!(%mailbox, "nothing is relayed, so that nothing is forwarded");
        }
        self.recipient.elsewhere.push(Remote {
            mailbox,
            parameters: step.parameters,
            owner: step.owner,
            form: 0,
        });
    }

    /// An address that stands for others: they are asked for next.
    async fn stands(&mut self, stands: StandsFor, step: Step) -> Result<(), Error> {
        self.recipient.stands = true;
        self.recipient.notifications_only |= stands.notifications_only;
        let address = step.path.mailbox();
        let address = address.map_or_else(|| "postmaster".to_owned(), ToString::to_string);
        let count = stands.to.len() + usize::from(stands.account.is_some());
        let (parameters, became) = match stands.owner {
            Some(_) => (RcptParameters::default(), Some(Became::Redistributed)),
            None if count > 1 => (shared(&step.parameters, &address), Some(Became::Expanded)),
            None => (passed(&step.parameters, &address), None),
        };
        let wants =
            |notify: Option<Notify>| notify.is_some_and(|one| one.contains(Notify::SUCCESS));
        if let Some(became) = became.filter(|_| wants(step.parameters.notify)) {
            self.recipient.reports.push(Report {
                became,
                address,
                parameters: step.parameters,
            });
        }
        let owner = stands.owner.or(step.owner);
        if let Some(name) = stands.account {
            self.account(&name, parameters.clone(), owner.clone())
                .await?;
        }
        for mailbox in stands.to {
            let path = ForwardPath::Mailbox(mailbox);
            // What is too much already need not be gathered.
            if self.has_too_many() {
                break;
            }
            if !self.seen.insert(key(&path)) {
                self.leads_back = true;
                continue;
            }
            self.steps.push_back(Step {
                path,
                parameters: parameters.clone(),
                owner: owner.clone(),
                depth: step.depth + 1,
            });
        }
        Ok(())
    }
}

/// What was asked for an alias of one address, for that address (RFC 3461 §5.2.7.2). The sender finds the address that
/// it wrote in notifications (§5.2.1 c).
fn passed(asked: &RcptParameters, address: &str) -> RcptParameters {
    let mut passed = asked.clone();
    passed
        .orcpt
        .get_or_insert_with(|| OriginalRecipient::rfc822(address));
    passed
}

/// What was asked for an alias of several addresses, for each of them (RFC 3461 §5.2.7.3 c): the alias answers SUCCESS.
fn shared(asked: &RcptParameters, address: &str) -> RcptParameters {
    let mut shared = passed(asked, address);
    shared.further = None;
    shared.notify = asked.notify.map(|notify| {
        let mut left = Notify::NEVER;
        for one in [Notify::FAILURE, Notify::DELAY] {
            if notify.contains(one) {
                left = left.with(one);
            }
        }
        left
    });
    shared
}

impl Service {
    /// Finds the INBOX that an address means here: of the account of that name, or the first that it stands for.
    ///
    /// # Errors
    /// Errors of the store and the directory.
    pub async fn inbox(&self, address: &str) -> Result<Option<MailboxId>, Error> {
        if let Some((_, inbox)) = self.store.find(address, "INBOX").await? {
            return Ok(Some(inbox.id));
        }
        let (inboxes, _) = self.places(address).await?;
        Ok(inboxes.into_iter().next().map(|(_, inbox)| inbox))
    }

    /// Finds everything that an address of this server means: INBOXes here, each with the name of its account, and
    /// addresses elsewhere. An address of another server means nothing here.
    ///
    /// # Errors
    /// Errors of the store and the directory.
    pub async fn places(
        &self,
        address: &str,
    ) -> Result<(Vec<(String, MailboxId)>, Vec<Mailbox>), Error> {
        let Ok(mailbox) = Mailbox::parse(address.as_bytes()) else {
            return Ok(Default::default());
        };
        let path = ForwardPath::Mailbox(mailbox);
        let means = means(self, &path, &RcptParameters::default(), 0).await?;
        let Means::Known(recipient) = means else {
            return Ok(Default::default());
        };
        let here = recipient.here.into_iter();
        let elsewhere = recipient.elsewhere.into_iter();
        Ok((
            here.map(|local| (local.address, local.mailbox)).collect(),
            elsewhere.map(|remote| remote.mailbox).collect(),
        ))
    }
}

#[cfg(test)]
mod tests;
