//! The results of attempts to send a message.

use bytes::Bytes;
use hikyaku_client::Error;
use hikyaku_client::compose::address_of;
use hikyaku_mailstore::unix_now;
use hikyaku_mailstore::{Operation, Transaction};
use serde::{Deserialize, Serialize};

use super::notes::Notes;
use super::written::Written;
use crate::User;
use crate::words::Words;

const PREFIX: &str = "webmail/attempt/";
/// The most attempts that an account remembers; what was finished longest ago is forgotten first.
const REMEMBERED: usize = 64;

/// What became so far of trying to send something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Attempt {
    /// How often it was tried.
    pub(super) number: u32,
    /// When, in seconds since 1970.
    pub(super) at: i64,
    /// Everybody has it.
    pub(super) finished: bool,
    /// The form it was tried with last.
    pub(super) digest: String,
    /// What went wrong then.
    pub(super) said: Vec<String>,
    /// Who has it, as they were typed.
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) bcc: Vec<String>,
    /// Who may have it. Those of an attempt are written down before it begins.
    pub(super) unknown: Vec<String>,
}

impl Attempt {
    /// What is known of that name.
    pub(super) async fn of(user: &User, key: &str) -> Result<Self, Error> {
        let local = &user.local;
        let account = local.store().account_by_id(local.account_id()).await?;
        let properties = account
            .map(|account| account.properties)
            .unwrap_or_default();
        let known = properties.get(&format!("{PREFIX}{key}"));
        Ok(known
            .and_then(|known| toml::from_slice(known).ok())
            .unwrap_or_default())
    }

    pub(super) async fn keep(&mut self, user: &User, key: &str) -> Result<(), Error> {
        self.at = unix_now();
        let local = &user.local;
        let account = local.store().account_by_id(local.account_id()).await?;
        let properties = account
            .map(|account| account.properties)
            .unwrap_or_default();
        let mut others: Vec<_> = properties
            .iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !name.ends_with(key))
            .map(|(name, known)| (toml::from_slice::<Self>(known).unwrap_or_default(), name))
            .collect();
        others.sort_by_key(|(one, _)| (!one.finished, one.at));
        let value = toml::to_string(self).map_err(|error| Error::Usage(error.to_string()))?;
        let mut transaction = Transaction::new(local.account_id()).with(Operation::SetProperty {
            key: format!("{PREFIX}{key}"),
            value: Some(Bytes::from(value)),
        });
        let too_many = (others.len() + 1).saturating_sub(REMEMBERED);
        for (_, name) in others.into_iter().take(too_many) {
            let key = name.clone();
            transaction = transaction.with(Operation::SetProperty { key, value: None });
        }
        local.store().commit(transaction).await?;
        Ok(())
    }

    /// Whether everybody has it.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether it was made after that form.
    pub(super) fn is_after(&self, written: &Written) -> bool {
        self.number > written.attempt
    }

    /// Whether it was made with that form.
    pub(super) fn is_of(&self, digest: &str) -> bool {
        self.digest == digest
    }

    /// Whether somebody has it.
    pub(super) fn has(&self, address: &str) -> bool {
        let mut all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.any(|one| address_of(one).eq_ignore_ascii_case(address))
    }

    /// Adds to the notes who has it, and who may have it.
    pub(super) fn explain(&self, w: &'static Words, notes: &mut Notes) {
        if self.finished {
            return;
        }
        let all: Vec<_> = self.to.iter().chain(&self.cc).chain(&self.bcc).collect();
        let all: Vec<_> = all.into_iter().map(|one| address_of(one)).collect();
        if !all.is_empty() {
            let has_it = format!("{} {}", w.has_it, all.join(", "));
            notes.notes.insert(0, has_it);
        }
        if !self.unknown.is_empty() {
            let unknown = self.unknown.join(", ");
            notes.problems.push(format!("{} {unknown}", w.unknown_fate));
        }
    }
}
