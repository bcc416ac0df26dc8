//! Converts IMAP's search keys to those of the store.

use encoding_rs::Encoding;
use hikyaku_imap_proto::server::View;
use hikyaku_imap_proto::{Flag, Numbers, ResponseCode, SearchKey, SequenceSet};
use hikyaku_mailstore::search::{Key, When};
use hikyaku_mailstore::{AccountId, EmailId, Flags, ModSeq, UidSet};
use std::cell::Cell;

use super::convert::{flags_kept, kept_uid, uid_set};
use super::end::End;
use super::filter::Filters;
use super::text::Text as T;

/// More than so many keys one search does not have, its filters taken apart.
const MOST: usize = 10_000;

/// What the keys of one search mean.
pub(super) struct Keys<'a> {
    /// The mailbox as the client knows it; none where it is not the one that is selected.
    pub(super) view: Option<&'a View>,
    pub(super) account: AccountId,
    pub(super) charset: &'static Encoding,
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) filters: &'a Filters,
    /// FUZZY means something; else it is passed over.
    pub(super) fuzzy: bool,
    pub(super) made: Cell<usize>,
}

/// The charset of that name. US-ASCII is a part of UTF-8.
pub(super) fn charset(name: Option<&[u8]>) -> Result<&'static Encoding, End> {
    let Some(name) = name.filter(|name| !name.eq_ignore_ascii_case(b"US-ASCII")) else {
        return Ok(encoding_rs::UTF_8);
    };
    let known = Encoding::for_label(name).filter(|known| *known != encoding_rs::REPLACEMENT);
    known.ok_or_else(|| {
        let names = [
            "US-ASCII",
            "UTF-8",
            "ISO-2022-JP",
            "Shift_JIS",
            "EUC-JP",
            "windows-1252",
        ];
        let code = ResponseCode::BadCharset(names.map(Into::into).into());
        End::no(code, T::NotACharsetThat)
    })
}

impl Keys<'_> {
    fn text(&self, octets: &[u8]) -> String {
        let (text, _) = self.charset.decode_without_bom_handling(octets);
        text.into_owned()
    }

    fn recent(&self) -> Key {
        let uids = self.view.map_or(&[][..], |view| view.recent());
        Key::Uids(uids.iter().copied().map(kept_uid).collect())
    }

    /// A number that there is not matches nothing.
    fn numbered(&self, set: &SequenceSet, numbers: Numbers) -> Result<Key, End> {
        if let Some(view) = self.view {
            return Ok(Key::Uids(uid_set(&view.matching(set, numbers))));
        }
        match numbers.is_uid() && !set.is_saved() {
            true => Ok(Key::Uids(UidSet::from_ranges(set.ranges(u32::MAX)))),
            false => Err(End::bad(T::SequenceNumbersAreOf)),
        }
    }

    /// The text as a whole, or, not exactly, all of its words.
    fn words(&self, octets: &[u8], fuzzy: bool, key: impl Fn(String) -> Key) -> Key {
        let text = self.text(octets);
        if !fuzzy || !text.contains(char::is_whitespace) {
            return key(text);
        }
        Key::And(
            text.split_whitespace()
                .map(|word| key(word.into()))
                .collect(),
        )
    }

    /// As deep as the machine lets a key be, 64, in each filter.
    pub(super) fn key(&self, key: &SearchKey) -> Result<Key, End> {
        self.within(key, false, 0)
    }

    fn within(&self, key: &SearchKey, fuzzy: bool, filters: usize) -> Result<Key, End> {
        use SearchKey as K;
        self.made.set(self.made.get() + 1);
        if self.made.get() > MOST {
            return Err(End::no(ResponseCode::Limit, T::TooManySearchKeys));
        }
        let inner = |key: &SearchKey| self.within(key, fuzzy, filters);
        let day = |date: &hikyaku_imap_proto::Date| date.days();
        let nothing = || Key::Uids(UidSet::new());
        Ok(match key {
            K::All | K::SaveDateSupported => Key::All,
            K::Flag(Flag::Recent, true) => self.recent(),
            K::Flag(Flag::Recent, false) => Key::Not(Box::new(self.recent())),
            K::New => Key::And(vec![self.recent(), Key::Flags(Flags::SEEN, false)]),
            K::Flag(flag, set) => match flags_kept(std::slice::from_ref(flag)) {
                Some(flags) => Key::Flags(flags, *set),
                None => Key::Flags(Flags::NONE, !*set),
            },
            K::Header(name, value) => self.words(value, fuzzy, |word| {
                Key::Header(String::from_utf8_lossy(name).into_owned(), word)
            }),
            K::Body(value) => self.words(value, fuzzy, Key::Body),
            K::Text(value) => self.words(value, fuzzy, Key::Text),
            K::Before(date) => Key::Received(When::Before, day(date)),
            K::On(date) => Key::Received(When::On, day(date)),
            K::Since(date) => Key::Received(When::Since, day(date)),
            K::SentBefore(date) => Key::Sent(When::Before, day(date)),
            K::SentOn(date) => Key::Sent(When::On, day(date)),
            K::SentSince(date) => Key::Sent(When::Since, day(date)),
            K::SavedBefore(date) => Key::Saved(When::Before, day(date)),
            K::SavedOn(date) => Key::Saved(When::On, day(date)),
            K::SavedSince(date) => Key::Saved(When::Since, day(date)),
            K::Older(seconds) => Key::ReceivedUntil(self.now - i64::from(*seconds)),
            K::Younger(seconds) => {
                let until = Key::ReceivedUntil(self.now - i64::from(*seconds) - 1);
                Key::Not(Box::new(until))
            }
            K::Larger(octets) => Key::Larger(*octets),
            K::Smaller(octets) => Key::Smaller(*octets),
            K::Sequence(set) => self.numbered(set, Numbers::Sequence)?,
            K::Uid(set) => self.numbered(set, Numbers::Uid)?,
            // RFC 9738 §3.2
            K::UidAfter(uid) => Key::Uids(match uid.checked_add(1) {
                Some(first) => uid_set(&[(first, u32::MAX)]),
                None => UidSet::new(),
            }),
            K::UidBefore(uid) => Key::Uids(match uid - 1 {
                0 => UidSet::new(),
                last => uid_set(&[(1, last)]),
            }),
            K::ModSeq(since) => Key::Modified(ModSeq(*since)),
            // RFC 7162 §3.1.5: what has one mod-sequence for all of its items passes over which is meant.
            K::ModSeqOf(of) => Key::Modified(ModSeq(of.2)),
            K::EmailId(id) => self.email(id).map_or_else(nothing, Key::Email),
            // THREADID is NIL here.
            K::ThreadId(_) => nothing(),
            K::Filter(name) => {
                let filter = self.filters.get(name, filters);
                let filter = filter.ok_or_else(|| Filters::undefined(name))?;
                self.within(filter, fuzzy, filters + 1)?
            }
            K::Fuzzy(key) => self.within(key, self.fuzzy, filters)?,
            K::Not(key) => Key::Not(Box::new(inner(key)?)),
            K::Or(keys) => Key::Or(vec![inner(&keys.0)?, inner(&keys.1)?]),
            K::And(keys) => {
                let keys: Result<Vec<Key>, End> = keys.iter().map(inner).collect();
                Key::And(keys?)
            }
            _ => return Err(End::bad(T::NotASearchKey)),
        })
    }

    /// As `convert::email_id` makes them.
    fn email(&self, id: &[u8]) -> Option<EmailId> {
        let id = std::str::from_utf8(id).ok()?.strip_prefix('e')?;
        let (account, email) = id.split_once('-')?;
        let own = account.parse() == Ok(self.account.0);
        own.then_some(EmailId(email.parse().ok()?))
    }
}
