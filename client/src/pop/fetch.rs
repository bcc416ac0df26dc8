//! Messages on their way to the disk.

use bytes::Bytes;
use hikyaku_mailstore::{Append, Operation, Stage, Transaction, Want, Which};
use hikyaku_message::Scanner;
use hikyaku_pop3_proto::Response;
use hikyaku_pop3_proto::client::{Event, Handle};
use std::collections::VecDeque;

use super::maildrop::Run;
use super::record::{Doubt, Printer, Record, origin};
use super::said;
use super::state::{At, Flush, Listed, Waiting};
use crate::error::out_of_turn;
use crate::{Error, Octets, Progress, Result};
use hikyaku_mailstore::unix_now;

/// RETRs that are under way at once, where the server has PIPELINING.
const AHEAD: usize = 8;
/// What was downloaded is put on the disk together, up to this many messages and octets.
const BATCH: (usize, u64) = (32, 8 * 1024 * 1024);
/// A message that has this many times the octets that were listed, and more than so many, does not end.
const AS_LISTED: (u64, u64) = (4, 64 * 1024 * 1024);

/// A message that is coming.
struct Coming {
    stage: Box<dyn Stage>,
    scanner: Scanner,
    printer: Printer,
    octets: u64,
    /// More than these are not taken.
    most: u64,
}

impl Run<'_> {
    pub(super) async fn fetch(&mut self, new: &[usize], progress: &dyn Progress) -> Result<()> {
        let new = self.small_enough(new);
        let mut next = new.iter();
        let mut under_way: VecDeque<(Handle, usize)> = VecDeque::new();
        let mut coming: Option<Coming> = None;
        loop {
            while under_way.len() < AHEAD {
                let Some(&at) = next.next() else { break };
                let Some(number) = self.listed.get(at).map(|one| one.number) else {
                    break;
                };
                let (machine, output) = self.session.driver.split();
                let handle = machine.retr(number, output).map_err(out_of_turn)?;
                under_way.push_back((handle, at));
            }
            let Some(&(first, at)) = under_way.front() else {
                break;
            };
            let Some(one) = self.listed.get(at) else {
                break;
            };
            self.at = At::Message((one.number, one.id));
            let listed = one.octets;
            match self.session.next().await? {
                Event::Message { .. } => {
                    coming = Some(Coming {
                        stage: self.local.store.stage().await?,
                        scanner: Scanner::default(),
                        printer: Printer::default(),
                        octets: 0,
                        most: self.most(listed),
                    });
                }
                Event::Chunk(octets) => {
                    let Some(coming) = &mut coming else { continue };
                    self.take(at, coming, octets).await?;
                }
                Event::Completed { handle, response } if handle == first => {
                    under_way.pop_front();
                    if self.ended(at, coming.take(), &response).await? {
                        progress.step();
                    }
                    if self.waiting.len() > BATCH.0 || self.octets >= BATCH.1 {
                        self.flush(Flush::AllButLast).await?;
                    }
                }
                _ => {}
            }
        }
        if !self.waiting.is_empty() {
            // The last one was whole if the server goes on with an answer, not with more of it.
            let (machine, output) = self.session.driver.split();
            let handle = machine.noop(output).map_err(out_of_turn)?;
            self.session.end_of(handle, |_| {}).await?;
        }
        self.at = At::Listing;
        self.flush(Flush::All).await
    }

    /// Those of some that are not too large; the others stay on the server.
    fn small_enough(&mut self, new: &[usize]) -> Vec<usize> {
        let largest = self.session.pace.limits().message;
        let (too_large, new): (Vec<usize>, Vec<usize>) = new.iter().partition(|&&at| {
            let listed = self.listed.get(at).and_then(|one| one.octets);
            listed.is_some_and(|listed| listed > largest.0)
        });
        for at in too_large {
            let why = format!("it has more than {largest} octets (largest_message)");
            self.leave(at, &why);
        }
        new
    }

    /// Takes more of a message.
    async fn take(&mut self, at: usize, coming: &mut Coming, octets: Bytes) -> Result<()> {
        coming.octets += octets.len() as u64;
        if coming.octets > coming.most {
            let most = Octets(coming.most);
            let why = format!("it has no end within {most} octets");
            self.leave(at, &why);
            let number = self.listed.get(at).map_or(0, |one| one.number);
            return Err(Error::Network(format!("message {number}: {why}")));
        }
        coming.scanner.feed(&octets);
        coming.printer.feed(&octets);
        coming.stage.write(octets).await?;
        Ok(())
    }

    /// Takes note of the end of a message. Whether it came.
    async fn ended(
        &mut self,
        at: usize,
        coming: Option<Coming>,
        response: &Response,
    ) -> Result<bool> {
        let Some(one) = self.listed.get(at) else {
            return Ok(false);
        };
        let (number, listed) = (one.number, one.octets);
        let why = match coming.filter(|_| response.is_ok) {
            Some(coming) if coming.octets > 0 || listed == Some(0) => {
                self.octets += coming.octets;
                self.waiting.push(Waiting {
                    listed: at,
                    body: coming.stage.finish().await?,
                    summary: coming.scanner.finish().encode(),
                    print: coming.printer.finish(),
                });
                return Ok(true);
            }
            // What the server could not read comes so: nothing to keep, and nothing to delete.
            Some(_) => format!("message {number} came without a single octet"),
            None => format!("message {number}: {}", said(response)),
        };
        let again = "it is tried again at the next sync";
        self.report.warnings.push(format!("{why}; {again}"));
        Ok(false)
    }

    /// How many octets a message may have, by what was listed of it.
    fn most(&self, listed: Option<u64>) -> u64 {
        let most = self.session.pace.limits().message.0;
        let (times, least) = AS_LISTED;
        let as_listed = listed.map(|listed| listed.saturating_mul(times).max(least));
        as_listed.map_or(most, |as_listed| as_listed.min(most))
    }

    /// Leaves a message on the server, for this sync at least, and names it.
    fn leave(&mut self, at: usize, why: &str) {
        let Some(one) = self.listed.get(at) else {
            return;
        };
        self.trouble.given_up.insert((one.number, one.id));
        self.report
            .warnings
            .push(format!("message {} stays on the server: {why}", one.number));
    }

    /// Puts on the disk what came, each together with its record.
    pub(super) async fn flush(&mut self, how: Flush) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.octets = 0;
        if how == Flush::AllButLast {
            self.waiting.extend(waiting.pop());
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let last = waiting.len() - 1;
        let mut each = Vec::new();
        for (nth, one) in waiting.into_iter().enumerate() {
            let is_broken = how == Flush::BrokenOff && nth == last;
            each.push(self.kept(one, is_broken));
        }
        let all = each.iter().flat_map(|(_, operations)| operations.clone());
        let mut transaction = Transaction::new(self.local.account);
        transaction.operations = all.collect();
        let mut done = Vec::new();
        match self.local.commit(transaction).await {
            Ok(_) => done.extend(each.iter().map(|(index, _)| *index)),
            // One of them is what cannot be put there: not the others.
            Err(first) => {
                for (index, operations) in each {
                    let mut transaction = Transaction::new(self.local.account);
                    transaction.operations = operations;
                    match self.local.commit(transaction).await {
                        Ok(_) => done.push(index),
                        Err(error) => self.not_kept(index, &error),
                    }
                }
                if done.is_empty() {
                    return Err(first);
                }
            }
        }
        self.name_emails(&done).await
    }

    /// What puts a message on the disk, and its record's index: the record of the same octets, or a new one.
    fn kept(&mut self, one: Waiting, is_broken: bool) -> (usize, Vec<Operation>) {
        let at = one.listed;
        let known = self.by_content(at, &one.print);
        let (number, octets, id) = match self.listed.get(at) {
            Some(listed) => (listed.number, listed.octets, listed.id),
            None => (0, None, None),
        };
        let doubt = match is_broken {
            true => Doubt::Broken,
            false => Doubt::None,
        };
        if let Some(id) = id.filter(|_| !is_broken) {
            self.trouble.last.remove(&id);
        }
        if let Some((index, (origin, record))) =
            known.and_then(|index| Some((index, self.records.get_mut(index)?)))
        {
            if record.doubt == Doubt::Deleted {
                self.report.warnings.push(format!(
                    "message {number}: the server kept it, although it had said that it is deleted"
                ));
            }
            record.doubt = match record.doubt {
                Doubt::Deleted | Doubt::Kept if !is_broken => Doubt::Kept,
                _ => doubt,
            };
            (record.number, record.octets, record.id, record.missing) = (number, octets, id, 0);
            let operations = vec![record.keep(origin)];
            self.claim(at, index, true);
            return (index, operations);
        }
        let record = Record {
            id,
            octets,
            number,
            print: Some(one.print),
            at: unix_now(),
            email: 0,
            doubt,
            missing: 0,
        };
        let origin = origin(&one.print);
        let mut append = Append::new(self.inbox, one.body, (unix_now(), 0));
        append.summary = one.summary;
        append.origin = Some(origin.clone());
        let operations = vec![Operation::Append(Box::new(append)), record.keep(&origin)];
        let index = self.records.len();
        self.records.push((origin, record));
        self.index(index);
        self.claim(at, index, true);
        self.report.new += 1;
        (index, operations)
    }

    /// Undoes what was noted of a message that could not be put on the disk.
    fn not_kept(&mut self, index: usize, error: &Error) {
        let of = |one: &&mut Listed| one.claim.is_some_and(|(of, _)| of == index);
        if let Some(one) = self.listed.iter_mut().find(of) {
            one.claim = None;
            let number = one.number;
            self.report
                .warnings
                .push(format!("message {number}: {error}; it stays on the server"));
        }
        if self
            .records
            .get(index)
            .is_some_and(|(_, record)| record.email == 0)
        {
            self.report.new = self.report.new.saturating_sub(1);
        }
    }

    /// Notes which messages those of new records became.
    async fn name_emails(&mut self, done: &[usize]) -> Result<()> {
        let mut transaction = Transaction::new(self.local.account);
        for &index in done {
            let Some((origin, record)) = self.records.get_mut(index) else {
                continue;
            };
            if record.email != 0 {
                continue;
            }
            let which = Which::Origin(origin.clone());
            let rows = self.local.store.messages(self.inbox, &which, Want::ROW, 1);
            if let Some(row) = rows.await?.rows.pop() {
                record.email = row.email.0;
                self.placed.insert(index, row.body);
                transaction = transaction.with(record.keep(origin));
            }
        }
        if !transaction.operations.is_empty() {
            self.local.commit(transaction).await?;
        }
        Ok(())
    }
}
