//! The lists of new messages: header fields, size, flags and date of each, as rows of a mirror.

use bytes::Bytes;
use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{FetchAttribute, Section, SectionText};
use hikyaku_mailstore::Transaction;
use std::collections::{BTreeMap, VecDeque};

use super::arrived::Arrived;
use super::missing::Missing;
use super::parts::{Part, Parts, Reported, Wanted, held};
use super::requests::Requests;
use super::sync::{Known, Pull};
use super::{Mirror, answers, late, missing};
use crate::{Error, Result};

/// How many messages are asked for, and kept, at a time.
const BATCH: usize = 500;
/// How many such commands are under way at once.
const AHEAD: usize = 4;
/// How many messages that come late are put into a mirror by one sync.
const LATE: usize = 10_000;
/// The fields that a list, a reply and a thread need.
const FIELDS: [&str; 10] = [
    "DATE",
    "FROM",
    "SENDER",
    "REPLY-TO",
    "TO",
    "CC",
    "SUBJECT",
    "MESSAGE-ID",
    "REFERENCES",
    "CONTENT-TYPE",
];

impl Pull<'_> {
    /// Brings the list of messages that are not here, a batch at a time. What the server does not give is
    /// remembered, so that no UID is passed over.
    pub(super) async fn fetch(&mut self, known: &mut Known, uids: &[u32]) -> Result<()> {
        let floor = self.next_row(known).await?;
        let (avoided, uids): (Vec<u32>, Vec<u32>) =
            uids.iter().partition(|uid| self.avoid.contains_key(uid));
        let uids = uids.as_slice();
        let at = uids.partition_point(|&uid| uid < floor);
        let (late, ahead) = uids.split_at(at.min(uids.len()));
        let (late, later) = late.split_at(LATE.min(late.len()));
        known.missing.extend(later);
        self.progress.begin(self.mailbox, uids.len() as u64);
        let mut lacking = self.bring(known, ahead, true).await?.1;
        if !late.is_empty() {
            let (arrived, refused) = self.bring(known, late, false).await?;
            lacking.extend(refused);
            self.put_in(known, arrived).await?;
        }
        self.progress.end();
        let why = |uid| self.avoid.get(&uid).cloned().unwrap_or_default();
        lacking.extend(avoided.into_iter().map(|uid| (uid, why(uid))));
        self.name(known, lacking).await
    }

    /// The lowest UID that the store takes.
    async fn next_row(&self, known: &Known) -> Result<u32> {
        let all = self.local.store.mailboxes(self.local.account, None).await?;
        let mut all = all.mailboxes.into_iter();
        let next = all.find(|mailbox| mailbox.id == known.id);
        Ok(next.map_or(1, |mailbox| mailbox.uid_next))
    }

    /// Asks for messages, and keeps them batch by batch in the order of their UIDs, or returns them. Returns also
    /// what did not come, and why.
    async fn bring(
        &mut self,
        known: &mut Known,
        uids: &[u32],
        keep: bool,
    ) -> Result<(BTreeMap<u32, Arrived>, BTreeMap<u32, String>)> {
        let mut next = answers::batches(uids.iter().copied(), BATCH).into_iter();
        let mut under_way: VecDeque<Vec<u32>> = VecDeque::new();
        let mut requests = Requests::new(list_attributes());
        let largest = self.session.pace.limits().message;
        let mut parts = Parts::new(Wanted::Header, &*self.local.store, largest);
        let mut reported: BTreeMap<u32, Reported> = BTreeMap::new();
        let mut arrived = BTreeMap::new();
        loop {
            while requests.under_way() < AHEAD && under_way.len() < 2 * AHEAD {
                let Some(batch) = next.next() else { break };
                requests.ask(self.session, batch.clone())?;
                under_way.push_back(batch);
            }
            let is_here = |reported: &BTreeMap<u32, Reported>, uid: &u32| {
                reported
                    .get(uid)
                    .is_some_and(|reported| reported.section.is_some())
            };
            // In the order they were asked for: UIDs ascend. More of a message may come until the end of the command.
            while let Some(last) = under_way.front().and_then(|batch| {
                let (first, last) = (batch.first()?, batch.last()?);
                (!requests.expects(*first, *last)).then_some(*last)
            }) {
                let batch = under_way.pop_front().unwrap_or_default();
                let rest = reported.split_off(&last.saturating_add(1));
                let of_batch = arrived_of(std::mem::replace(&mut reported, rest));
                match keep {
                    true => {
                        let lacking = batch.into_iter().filter(|uid| !of_batch.contains_key(uid));
                        known.missing.extend(lacking);
                        self.keep(known, of_batch, last).await?;
                    }
                    false => arrived.extend(of_batch),
                }
                parts.held = held(reported.values());
            }
            if under_way.is_empty() {
                return Ok((arrived, requests.refused));
            }
            let event = match self.session.next().await {
                Ok(event) => event,
                Err(error) => {
                    self.suspect = requests.first_lacking(|uid| is_here(&reported, &uid));
                    if keep {
                        self.keep_the_first(known, under_way, reported).await?;
                    }
                    return Err(error);
                }
            };
            match parts.take(event).await? {
                Part::Of(uid, more) => {
                    // Flags alone may be sent of any message at any time.
                    if uids.binary_search(&uid).is_ok() {
                        if more.section.is_some() {
                            self.progress.step();
                        }
                        reported.entry(uid).or_default().add(more);
                    }
                }
                Part::Other(Event::Completed(handle, end)) => {
                    requests.ended(self.session, handle, &end, |uid| is_here(&reported, &uid))?;
                }
                Part::Other(_) | Part::Taken => {}
            }
        }
    }

    /// The connection broke: what came without a gap is kept, so that a server that closes after some
    /// messages gives all of them in the end.
    async fn keep_the_first(
        &mut self,
        known: &mut Known,
        under_way: VecDeque<Vec<u32>>,
        mut reported: BTreeMap<u32, Reported>,
    ) -> Result<()> {
        let whole = |uid: &u32| {
            reported
                .get(uid)
                .is_some_and(|reported| reported.section.is_some())
        };
        let last = under_way
            .iter()
            .flatten()
            .take_while(|uid| whole(uid))
            .last();
        let Some(last) = last.copied() else {
            return Ok(());
        };
        reported.retain(|uid, _| *uid <= last);
        self.keep(known, arrived_of(reported), last).await
    }

    async fn keep(
        &mut self,
        known: &mut Known,
        batch: BTreeMap<u32, Arrived>,
        last: u32,
    ) -> Result<()> {
        self.is_the_same(known)?;
        let mut transaction = Transaction::new(self.local.account);
        let count = batch.len();
        for (uid, arrived) in batch {
            transaction = transaction.with(arrived.append(self.local, known.id, uid).await?);
        }
        known.mirror.uid_next = last.saturating_add(1);
        // Flags are brought again until all is here: the mod-sequence comes last.
        let state = Mirror {
            modseq: 0,
            ..known.mirror.clone()
        };
        transaction = transaction
            .with(state.keep(self.mailbox))
            .with(self.missing(known).keep(self.mailbox));
        self.local.commit(transaction).await?;
        self.report.new += count;
        Ok(())
    }

    /// Messages that came late, put below those that are here.
    async fn put_in(&mut self, known: &mut Known, late: BTreeMap<u32, Arrived>) -> Result<()> {
        if late.is_empty() {
            return Ok(());
        }
        self.is_the_same(known)?;
        let count = late.len();
        known.missing.retain(|uid| !late.contains_key(uid));
        late::insert(self.local, self.mailbox, known.id, late).await?;
        known.id = self.local.mailbox(self.mailbox).await?.id;
        let state = Mirror {
            modseq: 0,
            ..known.mirror.clone()
        };
        let transaction = Transaction::new(self.local.account)
            .with(state.keep(self.mailbox))
            .with(self.missing(known).keep(self.mailbox));
        self.local.commit(transaction).await?;
        self.report.new += count;
        Ok(())
    }

    /// Names what did not come. What is not there any more need not come.
    async fn name(&mut self, known: &mut Known, mut lacking: BTreeMap<u32, String>) -> Result<()> {
        if lacking.is_empty() {
            return Ok(());
        }
        let uids: Vec<u32> = lacking.keys().copied().collect();
        let mut there = std::collections::BTreeSet::new();
        for some in answers::batches(uids.iter().copied(), usize::MAX) {
            let Some(set) = hikyaku_imap_proto::SequenceSet::of_numbers(some.iter().copied())
            else {
                continue;
            };
            match answers::search(self.session, hikyaku_imap_proto::SearchKey::Uid(set)).await {
                Ok(found) => there.extend(found),
                Err(Error::Refused(_)) => there.extend(some),
                Err(error) => return Err(error),
            }
        }
        lacking.retain(|uid, _| there.contains(uid));
        known
            .missing
            .retain(|uid| uids.binary_search(uid).is_err() || there.contains(uid));
        known.missing.extend(lacking.keys());
        missing::name(self.report, self.mailbox, "the header", &lacking);
        Ok(())
    }

    pub(super) fn missing(&self, known: &Known) -> Missing {
        Missing::new(known.mirror.uid_validity, known.missing.iter().copied())
    }

    /// The mailbox is still the one that was opened.
    fn is_the_same(&self, known: &Known) -> Result<()> {
        let now = self.session.selected().and_then(|now| now.uid_validity);
        match now {
            Some(validity) if known.has_validity && validity != known.mirror.uid_validity => {
                Err(Error::Refused(
                    "it became another mailbox meanwhile; the next sync begins it anew".into(),
                ))
            }
            _ => Ok(()),
        }
    }
}

fn list_attributes() -> [FetchAttribute; 5] {
    let fields = FIELDS
        .iter()
        .map(|name| Bytes::from_static(name.as_bytes()));
    let text = SectionText::fields(fields);
    [
        FetchAttribute::Uid,
        FetchAttribute::Flags,
        FetchAttribute::InternalDate,
        FetchAttribute::Rfc822Size,
        FetchAttribute::peek(Section {
            part: Vec::new(),
            text,
        }),
    ]
}

fn arrived_of(reported: BTreeMap<u32, Reported>) -> BTreeMap<u32, Arrived> {
    reported
        .into_iter()
        .filter_map(|(uid, reported)| Some((uid, Arrived::of(reported)?)))
        .collect()
}
