//! Senders take turns: who sends much waits behind who sends little.
//!
//! The queue is in the order of time. A sender's messages are put into it as if they had come earlier, the first of them by an
//! hour and each further one by a second less; so whoever has sent little passes by the many of another, and nobody is kept
//! waiting when nobody else is there.

use hikyaku_mailstore::{Operation, Staged};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::envelope::Entry;

/// How much earlier a sender's first message is put.
const AHEAD: Duration = Duration::from_secs(60 * 60);
/// How much less with each message for one next hop.
const COST: Duration = Duration::from_secs(1);
/// Senders that are remembered.
const SENDERS: usize = 4096;

/// Whose turn it is. Of one queue there is one.
///
/// ```
/// use hikyaku_mailstore::{Operation, Store};
/// use hikyaku_relay::{Entry, Turns};
/// # use hikyaku_mailstore::{Memory, block_on};
/// # use hikyaku_smtp_proto::{MailParameters, ReversePath, RcptParameters};
/// # block_on(async {
/// # let store = Memory::new();
/// # let body = store.stage().await?.finish().await?;
/// let turns = Turns::default();
/// let to = [("b@example.net".to_owned(), RcptParameters::default())];
/// let entry = Entry::asking("1", ReversePath(None), MailParameters::default(), to);
/// let operation = turns.enqueue(entry, "example.net", body);
/// # assert!(matches!(operation, Operation::Enqueue { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct Turns(Mutex<HashMap<String, SystemTime>>);

impl Turns {
    /// Returns the operation that puts an entry into a store's queue, in its sender's turn. One that has to wait, since
    /// HOLDFOR or HOLDUNTIL says so, has none.
    #[must_use]
    pub fn enqueue(&self, entry: Entry, next_hop: impl Into<String>, body: Staged) -> Operation {
        let sender = entry.sender().to_lowercase();
        let mut operation = entry.enqueue(next_hop, body);
        let now = SystemTime::now();
        if let Operation::Enqueue { due, .. } = &mut operation
            && *due <= now
        {
            *due = self.next(&sender, now);
        }
        operation
    }

    /// The time that a sender's next message is put at.
    fn next(&self, sender: &str, now: SystemTime) -> SystemTime {
        let first = now.checked_sub(AHEAD).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut senders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= SENDERS && !senders.contains_key(sender) {
            // Who has sent nothing for long is as one that nobody knows.
            senders.retain(|_, next| *next > first);
            if senders.len() >= SENDERS {
                senders.clear();
            }
        }
        let next = senders.entry(sender.to_owned()).or_insert(first);
        let turn = (*next).clamp(first, now);
        *next = turn + COST;
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_mailstore::{AccountId, Claim, Memory, Store as _, Transaction};
    use hikyaku_smtp_proto::{MailParameters, Mailbox, RcptParameters, ReversePath};

    fn entry(sender: &str, id: &str) -> Entry {
        let from = ReversePath(Mailbox::parse(sender.as_bytes()).ok());
        let to = [("x@there.test".to_owned(), RcptParameters::default())];
        Entry::asking(id, from, MailParameters::default(), to)
    }

    #[tokio::test]
    async fn one_message_is_not_behind_the_thousand_of_another_sender() {
        let (store, turns) = (Memory::new(), Turns::default());
        let mut all: Vec<Entry> = (0..1000).map(|_| entry("many@here.test", "many")).collect();
        all.push(entry("One@here.test", "one"));
        for entry in all {
            let body = store.stage().await.unwrap().finish().await.unwrap();
            let enqueue = turns.enqueue(entry, "there.test", body);
            let transaction = Transaction::new(AccountId::SYSTEM).with(enqueue);
            store.commit(transaction).await.unwrap();
        }
        let minute = Duration::from_secs(60);
        let claim = Claim::new(SystemTime::now(), 2, minute).per_next_hop(2);
        let claimed = store.claim(&claim).await.unwrap();
        let is_one = |envelope: &[u8]| String::from_utf8_lossy(envelope).contains("One@here.test");
        assert!(
            claimed.iter().any(|entry| is_one(&entry.envelope)),
            "{claimed:?}"
        );
    }

    #[test]
    fn nobody_is_put_off_and_who_pauses_is_ahead_again() {
        let (turns, now) = (Turns::default(), SystemTime::now());
        let first = now - AHEAD;
        assert_eq!(turns.next("a", now), first);
        assert_eq!(turns.next("a", now), first + COST);
        assert_eq!(turns.next("b", now), first);
        for _ in 0..10_000 {
            assert!(turns.next("a", now) <= now);
        }
        assert_eq!(turns.next("a", now), now);
        let later = now + 2 * AHEAD;
        assert_eq!(turns.next("a", later), later - AHEAD);
        // A clock that was ahead has put nobody off.
        assert!(turns.next("a", now) <= now);
    }

    #[test]
    fn senders_are_forgotten() {
        let (turns, now) = (Turns::default(), SystemTime::now());
        for number in 0..3 * SENDERS {
            turns.next(&number.to_string(), now);
        }
        assert!(turns.0.lock().unwrap().len() <= SENDERS);
    }
}
