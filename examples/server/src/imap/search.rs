//! SEARCH: IMAP's keys as the store's, and the result as it was asked for.

use imap_proto::{
    ESearch, Flag, Response, ResponseCode, Return, Search, SearchKey, SequenceSet, Status,
};
use mailstore::message::TextDecoder;
use mailstore::search::{Key, When, search};
use mailstore::{Flags, ModSeq, Uid};

use super::convert::{flags_kept, uid_set};
use super::messages::ranges;
use super::{End, Ended, Session};

impl Session<'_> {
    pub(super) async fn search(&mut self, command: Search, uid: bool) -> Ended {
        let charset = command.charset.as_deref().unwrap_or(b"UTF-8");
        let found = self.found(charset, &command.key).await?;
        // What the client does not know of yet has no number.
        let view = self.driver.machine.selected();
        let (mut numbers, mut modseq) = (Vec::new(), 0);
        let mut modseqs = Vec::new();
        for (found, modified) in found {
            let Some(sequence) = view.and_then(|view| view.sequence(found.get())) else {
                continue;
            };
            numbers.push(if uid { found.get() } else { sequence });
            modseqs.push(modified.0);
            modseq = modseq.max(modified.0);
        }
        let wants_modseq = command.key.has_modseq() && !numbers.is_empty();
        let Some(returns) = command.returns else {
            self.respond(&Response::Search(numbers, wants_modseq.then_some(modseq)));
            return Ok(End::ok("Searched"));
        };
        let wants = |what: Return| returns.contains(&what);
        let min = numbers.first().copied().filter(|_| wants(Return::Min));
        let max = numbers.last().copied().filter(|_| wants(Return::Max));
        if !wants(Return::All) && !wants(Return::Count) {
            // RFC 7162 §3.1.10: only those that are told count.
            let first = modseqs.first().filter(|_| min.is_some());
            let last = modseqs.last().filter(|_| max.is_some());
            modseq = first.into_iter().chain(last).copied().max().unwrap_or(0);
        }
        let esearch = ESearch {
            tag: self.driver.machine.tag().cloned().unwrap_or_default(),
            uid,
            min,
            max,
            all: if wants(Return::All) {
                ranges(&numbers)
            } else {
                Vec::new()
            },
            count: wants(Return::Count).then(|| u32::try_from(numbers.len()).unwrap_or(u32::MAX)),
            modseq: wants_modseq.then_some(modseq),
        };
        self.respond(&Response::ESearch(esearch));
        Ok(End(Status::Ok, None, "Searched".into()))
    }

    /// What is found, with mod-sequences.
    pub(super) async fn found(
        &mut self,
        charset: &[u8],
        key: &SearchKey,
    ) -> Result<Vec<(Uid, ModSeq)>, End> {
        let mailbox = self.current()?;
        if !charset.eq_ignore_ascii_case(b"UTF-8") && !charset.eq_ignore_ascii_case(b"US-ASCII") {
            let known = vec!["US-ASCII".into(), "UTF-8".into()];
            let code = ResponseCode::BadCharset(known);
            return Err(End::no(code, "Not a charset that is known here"));
        }
        let key = self.key(key)?;
        Ok(search(&*self.shared.store, mailbox, &key).await?)
    }

    fn recent(&self) -> Key {
        let view = self.driver.machine.selected();
        let uids = view.map_or(&[][..], |view| view.recent());
        Key::Uids(uid_set(&ranges(uids)))
    }

    /// A number that there is not matches nothing.
    fn numbered(&self, set: &SequenceSet, uid: bool) -> Key {
        let view = self.driver.machine.selected();
        Key::Uids(uid_set(
            &view.map(|view| view.matching(set, uid)).unwrap_or_default(),
        ))
    }

    /// As deep as the machine lets a key be: 64.
    fn key(&self, key: &SearchKey) -> Result<Key, End> {
        use SearchKey as K;
        let day = |date: &imap_proto::Date| date.days();
        Ok(match key {
            K::All => Key::All,
            K::Flag(Flag::Recent, true) => self.recent(),
            K::Flag(Flag::Recent, false) => Key::Not(Box::new(self.recent())),
            K::New => Key::And(vec![self.recent(), Key::Flags(Flags::SEEN, false)]),
            K::Flag(flag, set) => match flags_kept(std::slice::from_ref(flag)) {
                Some(flags) => Key::Flags(flags, *set),
                None => Key::Flags(Flags::NONE, !*set),
            },
            K::Header(name, value) => Key::Header(text(name), text(value)),
            K::Body(value) => Key::Body(text(value)),
            K::Text(value) => Key::Text(text(value)),
            K::Before(date) => Key::Received(When::Before, day(date)),
            K::On(date) => Key::Received(When::On, day(date)),
            K::Since(date) => Key::Received(When::Since, day(date)),
            K::SentBefore(date) => Key::Sent(When::Before, day(date)),
            K::SentOn(date) => Key::Sent(When::On, day(date)),
            K::SentSince(date) => Key::Sent(When::Since, day(date)),
            K::Larger(octets) => Key::Larger(*octets),
            K::Smaller(octets) => Key::Smaller(*octets),
            K::Sequence(set) => self.numbered(set, false),
            K::Uid(set) => self.numbered(set, true),
            K::ModSeq(since) => Key::Modified(ModSeq(*since)),
            K::Not(key) => Key::Not(Box::new(self.key(key)?)),
            K::Or(keys) => Key::Or(vec![self.key(&keys.0)?, self.key(&keys.1)?]),
            K::And(keys) => {
                let keys: Result<Vec<Key>, End> = keys.iter().map(|key| self.key(key)).collect();
                Key::And(keys?)
            }
            _ => return Err(End::bad("Not a search key here")),
        })
    }
}

fn text(octets: &[u8]) -> String {
    let mut text = String::new();
    TextDecoder::new(Some(b"utf-8")).decode(octets, true, &mut text);
    text
}
