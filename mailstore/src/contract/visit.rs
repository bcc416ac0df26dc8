//! Visiting the rows of a mailbox in parts, several at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::questions::join;
use crate::{Bodies, MailboxId, Result, Row, Store, UidSet, Want, Which};

/// What is made of each of those rows, in their order: several at a time where there are many.
pub(crate) async fn visit_all<T, M>(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    want: Want,
    make: impl Fn() -> M,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    M: FnMut(&Row, &mut dyn Bodies) -> Result<Option<T>> + Send + 'static,
{
    let mut visits = Vec::new();
    let wanted = Arc::new(AtomicBool::new(true));
    let _unwanted = Unwanted(Arc::clone(&wanted));
    for uids in parts(store, mailbox, uids).await? {
        let made = Arc::new(Mutex::new(Vec::new()));
        let (into, wanted, mut make) = (Arc::clone(&made), Arc::clone(&wanted), make());
        let visitor = move |row: &Row, bodies: &mut dyn Bodies| {
            if let Some(one) = make(row, bodies)? {
                lock(&into).push(one);
            }
            Ok(wanted.load(Ordering::Relaxed))
        };
        let which = Which::Uids(uids);
        let visit = store.visit(mailbox, which, want, Box::new(visitor));
        visits.push(async move {
            visit.await?;
            Ok(std::mem::take(&mut *lock(&made)))
        });
    }
    Ok(in_one(join::all(visits).await?))
}

/// The parts behind each other.
pub(crate) fn in_one<T>(parts: Vec<Vec<T>>) -> Vec<T> {
    let mut parts = parts.into_iter();
    let mut whole = parts.next().unwrap_or_default();
    parts.for_each(|mut part| whole.append(&mut part));
    whole
}

/// Ends visits whose answer nobody waits for any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many UIDs are worth another thread.
const PART: u32 = 2000;

/// The UIDs in as many parts as are worth it: about as many messages each.
pub(crate) async fn parts(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
) -> Result<Vec<UidSet>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let most = u32::try_from(threads.min(3)).unwrap_or(1);
    let newest = Which::NewestBefore(None);
    let page = store.messages(mailbox, &newest, Want::ROW, 1).await?;
    let newest = page.rows.first().map_or(0, |row| row.uid.get());
    let uids = uids.intersection(&UidSet::from_ranges([(1, newest.max(1))]));
    let count = u32::try_from(uids.len()).unwrap_or(u32::MAX);
    let parts = (count / PART).clamp(1, most);
    let Some((&(low, _), &(_, high))) = uids.ranges().first().zip(uids.ranges().last()) else {
        return Ok(Vec::new());
    };
    let step = (high - low) / parts + 1;
    let part = |n: u32| {
        let from = low.saturating_add(n * step);
        uids.intersection(&UidSet::from_ranges([(
            from,
            from.saturating_add(step - 1),
        )]))
    };
    Ok((0..parts)
        .map(part)
        .filter(|part| !part.is_empty())
        .collect())
}
