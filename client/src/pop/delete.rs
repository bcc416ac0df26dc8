//! What is deleted from the server, and what is remembered of it.

use bytes::Bytes;
use hikyaku_mailstore::{BodyRef, EmailId, Operation, Pieces, Transaction, Want, Which};
use std::collections::HashMap;

use super::maildrop::Run;
use super::record::{Doubt, Print, Printer, key};
use super::said;
use super::state::{Listed, emails};
use crate::error::out_of_turn;
use crate::{Deletion, Error, Result};
use hikyaku_mailstore::unix_now;

/// How long a message that is listed no more is remembered, in seconds: servers list less by mistake.
const REMEMBERED: i64 = 30 * 86_400;

impl Run<'_> {
    /// Whether the account's rule deletes a message from the server.
    pub(super) fn is_due(&self, index: usize) -> bool {
        let Some((_, record)) = self.records.get(index) else {
            return false;
        };
        match self.account.delete {
            Deletion::AtOnce => true,
            Deletion::AfterDays(days) => record.at + i64::from(days) * 86_400 <= unix_now(),
            Deletion::WhenDeletedHere => {
                record.email != 0 && !self.here.contains(&EmailId(record.email))
            }
            Deletion::Never => false,
        }
    }

    /// Marks on the server what is due and lies here as the same octets. Returns the records' indices with
    /// what DELE was answered.
    pub(super) async fn mark(&mut self) -> Result<Vec<usize>> {
        if self.account.delete == Deletion::WhenDeletedHere {
            self.here = emails(self.local).await?;
        }
        let seen = self.listed.iter().filter_map(|one| match one.claim {
            Some((index, true)) => Some((one.number, index)),
            _ => None,
        });
        let seen: Vec<_> = seen.filter(|(_, index)| self.is_due(*index)).collect();
        let mut due = Vec::new();
        let mut transaction = Transaction::new(self.local.account);
        for (number, index) in seen {
            let lies_here = self.lies_here(index).await?;
            let Some((origin, record)) = self.records.get_mut(index) else {
                continue;
            };
            if !lies_here {
                self.report.warnings.push(format!(
                    "message {number} is not deleted from the server: what lies here is not the same; \
                     it is brought again at the next sync"
                ));
                let key = key(origin);
                transaction = transaction.with(Operation::SetProperty { key, value: None });
                continue;
            }
            // Whatever becomes of the connection: from here on the id says nothing.
            if record.doubt != Doubt::Kept {
                record.doubt = Doubt::Unsure;
            }
            transaction = transaction.with(record.keep(origin));
            due.push((number, index));
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        let mut asked = Vec::new();
        for (number, index) in due {
            let (machine, output) = self.session.driver.split();
            let handle = machine.dele(number, output).map_err(out_of_turn)?;
            asked.push((handle, number, index));
        }
        let mut marked = Vec::new();
        for (handle, number, index) in asked {
            let response = self.session.end_of(handle, |_| {}).await?;
            if response.is_ok {
                marked.push(index);
            } else {
                self.report.warnings.push(format!(
                    "message {number} is not deleted from the server: {}",
                    said(&response)
                ));
            }
        }
        Ok(marked)
    }

    /// Whether a record's message is on this disk as the octets that came; or was, until the person that
    /// reads it removed it.
    async fn lies_here(&mut self, index: usize) -> Result<bool> {
        let Some((origin, record)) = self.records.get(index) else {
            return Ok(false);
        };
        let (origin, email, print) = (origin.clone(), record.email, record.print);
        if record.doubt == Doubt::Broken {
            return Ok(false);
        }
        let body = match self.placed.get(&index) {
            Some(body) => Some(*body),
            None => self.body(&origin, email).await?,
        };
        match body {
            Some(body) => Ok(match self.print(&body).await {
                Ok(here) => Some(here) == print,
                Err(Error::Store(_)) => false,
                Err(error) => return Err(error),
            }),
            None => Ok(email != 0),
        }
    }

    /// Where a message lies, in whatever mailbox.
    pub(super) async fn body(&mut self, origin: &Bytes, email: u64) -> Result<Option<BodyRef>> {
        let store = &self.local.store;
        let which = Which::Origin(origin.clone());
        let rows = store.messages(self.inbox, &which, Want::ROW, 1).await?.rows;
        if let Some(row) = rows.first() {
            return Ok(Some(row.body));
        }
        if email == 0 {
            return Ok(None);
        }
        if self.bodies.is_none() {
            let mut bodies = HashMap::new();
            for folder in self.local.folders().await? {
                let which = Which::After(None);
                let rows = store.messages(folder.id, &which, Want::ROW, usize::MAX);
                let rows = rows.await?.rows.into_iter();
                bodies.extend(rows.map(|row| (row.email, row.body)));
            }
            self.bodies = Some(bodies);
        }
        let found = self.bodies.as_ref();
        Ok(found.and_then(|bodies| bodies.get(&EmailId(email)).copied()))
    }

    /// What the octets are that lie here.
    pub(super) async fn print(&self, body: &BodyRef) -> Result<Print> {
        let mut printer = Printer::default();
        let mut pieces = Pieces::whole(&*self.local.store, body);
        while let Some(piece) = pieces.next().await? {
            printer.feed(&piece);
        }
        Ok(printer.finish())
    }

    /// QUIT, and what is remembered from now on.
    pub(super) async fn end(&mut self, marked: Vec<usize>) -> Result<()> {
        let (machine, output) = self.session.driver.split();
        let handle = machine.quit(output).map_err(out_of_turn)?;
        let response = self.session.end_of(handle, |_| {}).await;
        self.session.driver.shutdown().await;
        if !marked.is_empty() {
            let response = response?;
            if response.is_ok {
                self.report.deleted += marked.len();
            } else {
                // RFC 1939 §6: some may be gone, some not.
                self.report.warnings.push(format!(
                    "the server did not delete all that it was asked to: {}",
                    said(&response)
                ));
            }
            for index in marked.into_iter().filter(|_| response.is_ok) {
                if let Some((_, record)) = self.records.get_mut(index)
                    && record.doubt != Doubt::Kept
                {
                    record.doubt = Doubt::Deleted;
                }
            }
        }
        self.remember().await
    }

    /// Writes down what changed, and forgets what is listed no more.
    async fn remember(&mut self) -> Result<()> {
        self.trouble.last.retain(|id| self.ids.contains(id));
        let properties = self.local.properties(self.local.account).await?;
        let mut transaction = Transaction::new(self.local.account);
        let mut of: HashMap<usize, &Listed> = HashMap::new();
        for one in &self.listed {
            if let Some((index, _)) = one.claim {
                of.insert(index, one);
            }
        }
        for (index, (origin, record)) in self.records.iter_mut().enumerate() {
            let key = key(origin);
            let before = properties.get(&key);
            if before.is_none() {
                continue;
            }
            let forgotten = match of.get(&index) {
                Some(one) => {
                    let is_same = record.id == one.id && record.octets == one.octets;
                    if !is_same || record.missing != 0 {
                        record.number = one.number;
                        (record.id, record.octets, record.missing) = (one.id, one.octets, 0);
                    }
                    false
                }
                None if matches!(record.doubt, Doubt::Deleted | Doubt::Kept) => true,
                None if record.missing == 0 => {
                    record.missing = unix_now();
                    if record.doubt == Doubt::None {
                        record.doubt = Doubt::Unsure;
                    }
                    false
                }
                None => record.missing + REMEMBERED < unix_now(),
            };
            let operation = match forgotten {
                true => Operation::SetProperty { key, value: None },
                false => record.keep(origin),
            };
            let is_new = match &operation {
                Operation::SetProperty { value, .. } => value.as_ref() != before,
                _ => false,
            };
            if is_new {
                transaction = transaction.with(operation);
            }
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        Ok(())
    }
}
