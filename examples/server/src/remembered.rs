//! Passwords that were found right lately, so that programs that log in all day cost no hashing.
//!
//! Only a keyed hash is kept, with a key that is made at the start and never leaves memory. It is of the account, of the
//! hash that the store has of its password, and of the password: another password, or an account that is gone, and it
//! is of no use. What is remembered ends some minutes after the password was hashed last, however often it is used.

use hikyaku_mailstore::AccountId;
use ring::hmac::{self, HMAC_SHA256, Key, Tag};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long, from when it was hashed.
const TIME: Duration = Duration::from_secs(10 * 60);
/// How many accounts, twice: what is older goes first.
const MOST: usize = 8192;

/// The passwords of some accounts.
pub(crate) struct Remembered {
    key: Key,
    /// The newer ones and the older ones.
    lately: Mutex<(HashMap<AccountId, Entry>, HashMap<AccountId, Entry>)>,
}

struct Entry {
    tag: Tag,
    since: Instant,
}

/// A password that somebody logs in with, as it is remembered.
pub(crate) struct Candidate {
    account: AccountId,
    message: Vec<u8>,
}

impl Candidate {
    /// `stored` is the store's hash of the account's password.
    pub(crate) fn new(account: AccountId, stored: &[u8], password: &str) -> Self {
        // Each with its length, so that no two of them read the same together.
        let mut message = account.0.to_be_bytes().to_vec();
        message.extend_from_slice(&(stored.len() as u64).to_be_bytes());
        message.extend_from_slice(stored);
        message.extend_from_slice(password.as_bytes());
        Self { account, message }
    }
}

impl Remembered {
    /// Nothing, and a new key.
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self {
            key: Key::new(HMAC_SHA256, key),
            lately: Mutex::default(),
        }
    }

    fn lately(&self) -> MutexGuard<'_, (HashMap<AccountId, Entry>, HashMap<AccountId, Entry>)> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether that password was hashed lately and found right.
    pub(crate) fn has(&self, candidate: &Candidate, now: Instant) -> bool {
        let tag = {
            let lately = self.lately();
            let of = |map: &HashMap<AccountId, Entry>| {
                let entry = map.get(&candidate.account)?;
                (now.duration_since(entry.since) < TIME).then_some(entry.tag)
            };
            of(&lately.0).or_else(|| of(&lately.1))
        };
        // In constant time. Where nothing is remembered it is compared as well, so that a wrong password takes as long.
        let (there, tag) = match tag {
            Some(tag) => (true, tag),
            None => (false, hmac::sign(&self.key, &[])),
        };
        hmac::verify(&self.key, &candidate.message, tag.as_ref()).is_ok() && there
    }

    /// That password was hashed now and is right.
    pub(crate) fn put(&self, candidate: &Candidate, now: Instant) {
        let entry = Entry {
            tag: hmac::sign(&self.key, &candidate.message),
            since: now,
        };
        let mut lately = self.lately();
        lately.1.remove(&candidate.account);
        if lately.0.len() >= MOST && !lately.0.contains_key(&candidate.account) {
            lately.1 = std::mem::take(&mut lately.0);
        }
        lately.0.insert(candidate.account, entry);
    }

    /// The account has another password, or is gone.
    pub(crate) fn forget(&self, account: AccountId) {
        let mut lately = self.lately();
        lately.0.remove(&account);
        lately.1.remove(&account);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> AccountId {
        AccountId(number)
    }

    #[test]
    fn only_the_same_password_of_the_same_account_and_hash_is_known() {
        let remembered = Remembered::new(&[1; 32]);
        let now = Instant::now();
        let right = Candidate::new(id(1), b"$hash", "secret");
        assert!(!remembered.has(&right, now));
        remembered.put(&right, now);
        assert!(remembered.has(&right, now));
        for other in [
            Candidate::new(id(2), b"$hash", "secret"),
            Candidate::new(id(1), b"$hash2", "secret"),
            Candidate::new(id(1), b"$hash", "secret2"),
            Candidate::new(id(1), b"$hash", ""),
            // The same octets, cut elsewhere.
            Candidate::new(id(1), b"$hashs", "ecret"),
            Candidate::new(id(1), b"$has", "hsecret"),
        ] {
            assert!(!remembered.has(&other, now));
        }
        // Another key: another server.
        let other = Remembered::new(&[2; 32]);
        other.lately().0.insert(
            id(1),
            Entry {
                tag: hmac::sign(&remembered.key, &right.message),
                since: now,
            },
        );
        assert!(!other.has(&right, now));
        remembered.forget(id(1));
        assert!(!remembered.has(&right, now));
    }

    #[test]
    fn it_ends_however_often_it_is_used_and_is_bounded() {
        let remembered = Remembered::new(&[1; 32]);
        let began = Instant::now();
        let right = Candidate::new(id(1), b"$hash", "secret");
        remembered.put(&right, began);
        for minute in 0..10 {
            assert!(remembered.has(&right, began + Duration::from_secs(60 * minute)));
        }
        assert!(!remembered.has(&right, began + TIME));
        for number in 0..5 * MOST as u64 {
            remembered.put(&Candidate::new(id(number), b"$hash", "secret"), began);
        }
        let lately = remembered.lately();
        assert!(lately.0.len() + lately.1.len() <= 2 * MOST);
    }
}
