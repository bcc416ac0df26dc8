//! A session of a sync: what is listed, and which records it has.

use bytes::Bytes;
use hikyaku_mailstore::{BodyRef, EmailId, MailboxId};
use std::collections::{BTreeSet, HashMap, HashSet};

use super::Session;
use super::record::{Doubt, Hash, Print, Printer, Record};
use super::state::{At, Listed, Trouble, Waiting, emails};
use crate::{Account, Deletion, Local, Progress, Report, Result};

/// A maildrop of at most this many messages that stay is looked at closely in every sync.
const FEW: usize = 16;
/// Records with the same octets or header section that are looked at for one message.
const ALIKE: usize = 64;

/// One session.
pub(super) struct Run<'a> {
    pub(super) session: Session,
    pub(super) local: &'a Local,
    pub(super) account: &'a Account,
    pub(super) report: &'a mut Report,
    pub(super) trouble: &'a mut Trouble,
    pub(super) at: At,
    pub(super) inbox: MailboxId,
    pub(super) listed: Vec<Listed>,
    /// With the origins under which they are kept.
    pub(super) records: Vec<(Bytes, Record)>,
    pub(super) claimed: HashSet<usize>,
    /// Ids of messages that are listed.
    pub(super) ids: HashSet<Hash>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) octets: u64,
    pub(super) by_header: HashMap<Hash, Vec<usize>>,
    pub(super) by_content: HashMap<Hash, Vec<usize>>,
    /// Where messages lie that were brought in this session, by record.
    pub(super) placed: HashMap<usize, BodyRef>,
    /// Where messages lie that are not in INBOX by their origin, once somebody asked.
    pub(super) bodies: Option<HashMap<EmailId, BodyRef>>,
    /// What is here and not in the trash, where that decides what is deleted.
    pub(super) here: BTreeSet<EmailId>,
}

impl<'a> Run<'a> {
    pub(super) async fn begin(
        session: Session,
        local: &'a Local,
        account: &'a Account,
        report: &'a mut Report,
        trouble: &'a mut Trouble,
    ) -> Result<Self> {
        let properties = local.properties(local.account).await?;
        let records = properties.iter();
        let records = records.filter_map(|(key, value)| Record::read(key, value));
        let mut run = Self {
            session,
            local,
            account,
            report,
            trouble,
            at: At::Listing,
            inbox: local.folder("INBOX").await?.id,
            listed: Vec::new(),
            records: records.collect(),
            claimed: HashSet::new(),
            ids: HashSet::new(),
            waiting: Vec::new(),
            octets: 0,
            by_header: HashMap::new(),
            by_content: HashMap::new(),
            placed: HashMap::new(),
            bodies: None,
            here: BTreeSet::new(),
        };
        if account.delete == Deletion::WhenDeletedHere {
            run.here = emails(local).await?;
        }
        for index in 0..run.records.len() {
            run.complete(index).await?;
            run.index(index);
        }
        Ok(run)
    }

    /// Looks at what is here of a message that was brought before its octets were remembered.
    async fn complete(&mut self, index: usize) -> Result<()> {
        let Some((origin, record)) = self.records.get(index) else {
            return Ok(());
        };
        if record.print.is_none() {
            let (origin, email) = (origin.clone(), record.email);
            let body = self.body(&origin, email).await?;
            let print = match body {
                Some(body) => self.print(&body).await.ok(),
                None => None,
            };
            if let Some((_, record)) = self.records.get_mut(index) {
                record.print = print;
            }
        }
        Ok(())
    }

    pub(super) fn index(&mut self, index: usize) {
        if let Some(print) = self.records.get(index).and_then(|(_, r)| r.print) {
            self.by_header.entry(print.header).or_default().push(index);
            self.by_content
                .entry(print.content)
                .or_default()
                .push(index);
        }
    }

    pub(super) async fn all(&mut self, progress: &dyn Progress) -> Result<()> {
        self.list().await?;
        let mut new = self.recognise().await?;
        new.sort_by_key(|&index| self.comes_last(index));
        progress.begin(&self.account.address, new.len() as u64);
        self.fetch(&new, progress).await?;
        progress.end();
        self.at = At::Deleting;
        let marked = self.mark().await?;
        self.end(marked).await
    }

    fn comes_last(&self, index: usize) -> bool {
        self.listed.get(index).is_some_and(|one| {
            let by_id = one.id.is_some_and(|id| self.trouble.last.contains(&id));
            by_id || self.trouble.once.contains(&(one.number, one.id))
        })
    }

    /// What LIST and UIDL say together: each may lack what the other has.
    async fn list(&mut self) -> Result<()> {
        let sizes = self.session.sizes().await?;
        self.at = At::Ids;
        let ids = self.session.unique_ids().await?;
        self.at = At::Listing;
        let mut numbers: BTreeSet<u32> = sizes
            .lines
            .keys()
            .chain(ids.lines.keys())
            .copied()
            .collect();
        if !sizes.is_ok && !ids.is_ok {
            let count = self.session.count().await?;
            let most = self.session.pace.limits().maildrop;
            numbers.extend((1..=count).take(most));
        }
        let mut of: HashMap<Hash, usize> = HashMap::new();
        for (id, _) in ids.lines.values() {
            *of.entry(*id).or_default() += 1;
        }
        for number in numbers {
            let id = ids
                .lines
                .get(&number)
                .filter(|_| !ids.twice.contains(&number));
            let octets = sizes
                .lines
                .get(&number)
                .filter(|_| !sizes.twice.contains(&number));
            let hashed = id.map(|(id, _)| *id);
            let is_shared = hashed.is_some_and(|id| of.get(&id).is_some_and(|&count| count > 1));
            self.listed.push(Listed {
                number,
                octets: octets.copied(),
                id: hashed,
                is_weak: is_shared || id.is_some_and(|(_, is_of_number)| *is_of_number),
                claim: None,
            });
            self.ids.extend(hashed);
        }
        Ok(())
    }

    /// Finds the records of what is listed, and returns the indices of what must be fetched: what has none, and
    /// what cannot be known otherwise.
    async fn recognise(&mut self) -> Result<Vec<usize>> {
        let mut by_id: HashMap<Hash, Vec<usize>> = HashMap::new();
        for (index, (_, record)) in self.records.iter().enumerate() {
            if let Some(id) = record.id {
                by_id.entry(id).or_default().push(index);
            }
        }
        for one in &mut self.listed {
            let same = one.id.and_then(|id| by_id.get(&id));
            if let Some(&[index]) = same.map(Vec::as_slice)
                && let Some((_, record)) = self.records.get(index)
                && is_trusted(record, one)
            {
                one.claim = Some((index, false));
                self.claimed.insert(index);
            }
        }
        let looks_closely = self.claimed.len() <= FEW;
        let sizes: HashSet<Option<u64>> =
            self.unclaimed().map(|(_, record)| record.octets).collect();
        let mut fetch = Vec::new();
        for at in 0..self.listed.len() {
            let Some(one) = self.listed.get(at) else {
                break;
            };
            let (number, id, claim) = (one.number, one.id, one.claim);
            match claim {
                Some((index, _)) => {
                    let is_due = self.is_due(index);
                    if !is_due && !looks_closely {
                        continue;
                    }
                    match self.looks(number, index).await? {
                        Looks::Same => self.claim(at, index, true),
                        Looks::Unknown if !is_due => {}
                        Looks::Unknown | Looks::Other => {
                            self.claimed.remove(&index);
                            if let Some(one) = self.listed.get_mut(at) {
                                one.claim = None;
                            }
                            fetch.push(at);
                        }
                    }
                }
                None => {
                    let has_record = id.is_some_and(|id| by_id.contains_key(&id));
                    let may_be = has_record
                        || sizes.contains(&None)
                        || (one.octets.is_some() && sizes.contains(&one.octets));
                    let header = match may_be {
                        true => self.header(number).await?,
                        false => None,
                    };
                    let found = header.and_then(|header| self.by_header(at, &header));
                    match found {
                        Some(index) => self.claim(at, index, true),
                        None => fetch.push(at),
                    }
                }
            }
        }
        fetch.retain(|&at| {
            let one = self.listed.get(at);
            !one.is_some_and(|one| self.trouble.given_up.contains(&(one.number, one.id)))
        });
        Ok(fetch)
    }

    fn unclaimed(&self) -> impl Iterator<Item = &(Bytes, Record)> {
        let all = self.records.iter().enumerate();
        all.filter(|(index, _)| !self.claimed.contains(index))
            .map(|(_, record)| record)
    }

    pub(super) fn claim(&mut self, at: usize, index: usize, seen: bool) {
        self.claimed.insert(index);
        if let Some(one) = self.listed.get_mut(at) {
            one.claim = Some((index, seen));
        }
    }

    /// The print of a message's header section, by TOP.
    async fn header(&mut self, number: u32) -> Result<Option<Print>> {
        if !self.session.may_have_top() {
            return Ok(None);
        }
        self.at = At::Header;
        let header = self.session.header(number).await?;
        self.at = At::Listing;
        Ok(header.map(|header| {
            let mut printer = Printer::default();
            printer.feed(&header);
            printer.finish()
        }))
    }

    /// Whether a message that has a record's id is the record's, by its header section.
    async fn looks(&mut self, number: u32, index: usize) -> Result<Looks> {
        let print = self.records.get(index).and_then(|(_, record)| record.print);
        let Some(print) = print else {
            return Ok(Looks::Unknown);
        };
        Ok(match self.header(number).await? {
            None => Looks::Unknown,
            Some(header) if header.header != print.header => Looks::Other,
            Some(_) if print.is_distinct => Looks::Same,
            Some(_) => Looks::Unknown,
        })
    }

    /// The first of `alike` that is no other message's and passes; one with the message's id before all others,
    /// but any of them counts: ids that are numbers move on when a message goes.
    fn free(&self, at: usize, alike: &[usize], passes: impl Fn(&Record) -> bool) -> Option<usize> {
        let id = self.listed.get(at)?.id;
        let record = |index: &usize| self.records.get(*index).map(|(_, record)| record);
        let free =
            alike.iter().rev().take(ALIKE).filter(|index| {
                !self.claimed.contains(*index) && record(index).is_some_and(&passes)
            });
        let mut first = free.clone();
        first
            .find(|index| record(index).is_some_and(|record| record.id == id))
            .or_else(|| free.clone().next())
            .copied()
    }

    /// The record of a message of that header section and of that size.
    fn by_header(&mut self, at: usize, header: &Print) -> Option<usize> {
        let octets = self.listed.get(at)?.octets;
        let alike = self.by_header.get_mut(&header.header)?;
        drop_claimed(alike, &self.claimed);
        let alike = self.by_header.get(&header.header)?;
        self.free(at, alike, |record| {
            let doubt = matches!(record.doubt, Doubt::None | Doubt::Unsure | Doubt::Kept);
            let size = record.octets.is_none() || record.octets == octets;
            doubt && size && record.print.is_some_and(|print| print.is_distinct)
        })
    }

    /// The record of a message of those octets.
    pub(super) fn by_content(&mut self, at: usize, print: &Print) -> Option<usize> {
        let alike = self.by_content.get_mut(&print.content)?;
        drop_claimed(alike, &self.claimed);
        self.free(at, self.by_content.get(&print.content)?, |_| true)
    }
}

/// Takes what is claimed from the end, so that the last one is free and nothing is looked at again and again.
fn drop_claimed(alike: &mut Vec<usize>, claimed: &HashSet<usize>) {
    while alike.last().is_some_and(|index| claimed.contains(index)) {
        alike.pop();
    }
}

/// What a look at a header section says.
enum Looks {
    Same,
    Other,
    Unknown,
}

/// Whether id, size and number together say that this is the record's message.
fn is_trusted(record: &Record, one: &Listed) -> bool {
    let is_same = match record.print {
        Some(_) => record.octets.is_some() && record.octets == one.octets,
        None => true,
    };
    let is_plain = record.doubt == Doubt::None && !one.is_weak;
    is_same && is_plain && one.number <= record.number
}
