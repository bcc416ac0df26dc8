//! A [`Store`] for an [`Engine`] that blocks: its threads, and the staging of bodies.

use bytes::{Bytes, BytesMut};
use futures_channel::oneshot;
use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use crate::Staged;
use crate::backends::readers::{self, Pool};
use crate::backends::watchers::Watchers;
use crate::backends::writer::{self, Write};
use crate::contract::store::{
    Bodies, BoxFuture, Engine, HealthProbe, Read, Scope, Stage, Stager, Store, Visitor, Watch,
};
use crate::{
    Account, AccountId, BodyRef, Capabilities, Changes, Claim, Committed, Error, Health, Mailbox,
    MailboxId, Mailboxes, ModSeq, Page, QueueEntry, QueueId, QueueLength, Result, Row, Transaction,
    Want, Which,
};

/// How many rows a visitor sees before another one has the thread.
const VISITED: usize = 500;
/// And that few, when they take long.
const VISITED_LEAST: usize = 8;
/// How long a visitor has the thread: a row's body may be large.
const VISIT: Duration = Duration::from_millis(10);
/// Octets of a large body that are gathered before they are written.
const GATHER: usize = 256 * 1024;

/// A [`Store`] made of an [`Engine`]: one thread writes, and commits together whatever came while it
/// was busy; a few threads read. Dropping it ends what was begun, then stops the threads.
pub struct Blocking<E: Engine> {
    capabilities: Capabilities,
    health: HealthProbe,
    writer: Option<mpsc::Sender<Write>>,
    thread: Option<JoinHandle<()>>,
    readers: Pool<E::Reader>,
    stager: Arc<E::Stager>,
    watchers: Arc<Watchers>,
}

impl<E: Engine> std::fmt::Debug for Blocking<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}

impl<E: Engine> Blocking<E> {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the engine has no reader to give, or the system no thread.
    pub fn start(engine: E) -> Result<Self> {
        let readers: Result<Vec<_>> = (0..readers::THREADS).map(|_| engine.reader()).collect();
        let readers = Pool::start(readers?)?;
        let stager = Arc::new(engine.stager());
        let (capabilities, health) = (engine.capabilities(), engine.health());
        let watchers = Arc::new(Watchers::default());
        let (writer, work) = mpsc::channel();
        let of_writer = Arc::clone(&watchers);
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer::run(engine, &work, &of_writer))
            .map_err(Error::io("cannot start a thread"))?;
        Ok(Self {
            capabilities,
            health,
            writer: Some(writer),
            thread: Some(thread),
            readers,
            stager,
            watchers,
        })
    }

    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(oneshot::Sender<Result<T>>) -> Write,
    ) -> BoxFuture<'_, Result<T>> {
        let (answer, answered) = oneshot::channel();
        if let Some(writer) = &self.writer {
            // When the writer is gone `answered` is cancelled, which says so.
            let _ = writer.send(work(answer));
        }
        Box::pin(async move { answered.await.unwrap_or(Err(Error::Closed)) })
    }

    fn look<T: Send + 'static>(
        &self,
        account: Option<AccountId>,
        job: impl FnOnce(&mut E::Reader) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'static, Result<T>> {
        self.readers.run(account, job)
    }
}

impl<E: Engine> Drop for Blocking<E> {
    fn drop(&mut self) {
        self.writer = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<R: Read> Bodies for R {
    fn read(&mut self, body: &BodyRef, range: Range<u64>) -> Result<Bytes> {
        Read::read(self, body, range)
    }
}

impl<E: Engine> Store for Blocking<E> {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        let name = name.to_string();
        self.look(None, move |reader| reader.account(&name))
    }

    fn account_by_id(&self, id: AccountId) -> BoxFuture<'_, Result<Option<Account>>> {
        self.look(Some(id), move |reader| reader.account_by_id(id))
    }

    fn accounts<'a>(&'a self, after: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<Account>>> {
        let after = after.to_string();
        self.look(None, move |reader| reader.accounts(&after, limit))
    }

    fn create_account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<AccountId>> {
        self.ask(|answer| Write::Create(name.to_string(), answer))
    }

    fn remove_account(&self, id: AccountId) -> BoxFuture<'_, Result<()>> {
        self.ask(|answer| Write::Remove(id, answer))
    }

    fn mailboxes(
        &self,
        account: AccountId,
        since: Option<ModSeq>,
    ) -> BoxFuture<'_, Result<Mailboxes>> {
        self.look(Some(account), move |reader| {
            reader.mailboxes(account, since)
        })
    }

    fn mailbox<'a>(
        &'a self,
        account: AccountId,
        name: &'a str,
    ) -> BoxFuture<'a, Result<Option<Mailbox>>> {
        let name = name.to_string();
        self.look(Some(account), move |reader| reader.mailbox(account, &name))
    }

    fn find<'a>(
        &'a self,
        account: &'a str,
        mailbox: &'a str,
    ) -> BoxFuture<'a, Result<Option<(Account, Mailbox)>>> {
        let (account, mailbox) = (account.to_string(), mailbox.to_string());
        self.look(None, move |reader| {
            let Some(found) = reader.account(&account)? else {
                return Ok(None);
            };
            match reader.mailbox(found.id, &mailbox) {
                // It was removed between the two.
                Err(Error::NoSuchAccount(_)) => Ok(None),
                mailbox => Ok(mailbox?.map(|mailbox| (found, mailbox))),
            }
        })
    }

    fn messages<'a>(
        &'a self,
        mailbox: MailboxId,
        which: &'a Which,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page<Row>>> {
        let which = which.clone();
        self.look(Some(mailbox.account), move |reader| {
            reader.messages(mailbox, &which, want, limit)
        })
    }

    fn changes(
        &self,
        mailbox: MailboxId,
        since: ModSeq,
        want: Want,
        limit: usize,
    ) -> BoxFuture<'_, Result<Changes>> {
        self.look(Some(mailbox.account), move |reader| {
            reader.changes(mailbox, since, want, limit)
        })
    }

    fn visit(
        &self,
        mailbox: MailboxId,
        mut which: Which,
        want: Want,
        mut visitor: Visitor,
    ) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let mut limit = VISITED;
            loop {
                // A slice is short: others wait for the threads, too.
                let slice = move |reader: &mut E::Reader| {
                    let page = reader.messages(mailbox, &which, want, limit)?;
                    let began = Instant::now();
                    let rows = page.rows.len();
                    for (row, visited) in page.rows.iter().zip(1..) {
                        if !visitor(row, reader)? {
                            return Ok(None);
                        }
                        let early = visited < rows && began.elapsed() >= VISIT;
                        if early || (visited == rows && page.more) {
                            // Rows for which no time would be left are not read.
                            let next = if early { visited } else { 2 * limit };
                            let limit = next.clamp(VISITED_LEAST, VISITED);
                            return Ok(Some((which.behind(row.uid), visitor, limit)));
                        }
                    }
                    Ok(None)
                };
                match self.readers.slice(mailbox.account, slice).await? {
                    Some(next) => (which, visitor, limit) = next,
                    None => return Ok(()),
                }
            }
        })
    }

    fn read<'a>(&'a self, body: &'a BodyRef, range: Range<u64>) -> BoxFuture<'a, Result<Bytes>> {
        let body = *body;
        self.look(None, move |reader| Read::read(reader, &body, range))
    }

    fn stage(&self) -> BoxFuture<'_, Result<Box<dyn Stage>>> {
        let stage: Box<dyn Stage> = Box::new(Staging::<E> {
            stager: Arc::clone(&self.stager),
            pool: self.readers.clone(),
            gathered: BytesMut::new(),
            part: None,
            lacks: false,
        });
        Box::pin(async move { Ok(stage) })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Committed>> {
        self.ask(|answer| Write::Commit(transaction, answer))
    }

    fn claim<'a>(&'a self, claim: &'a Claim) -> BoxFuture<'a, Result<Vec<QueueEntry>>> {
        self.ask(|answer| Write::Claim(claim.clone(), answer))
    }

    fn release_claims(&self, owner: u32, now: SystemTime) -> BoxFuture<'_, Result<u64>> {
        self.ask(|answer| Write::ReleaseClaims(owner, now, answer))
    }

    fn clamp_due(&self, latest: SystemTime) -> BoxFuture<'_, Result<u64>> {
        self.ask(|answer| Write::ClampDue(latest, answer))
    }

    fn queue(
        &self,
        after: Option<QueueId>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<QueueEntry>>> {
        self.look(None, move |reader| reader.queue(after, limit))
    }

    fn queue_length(&self, now: SystemTime) -> BoxFuture<'_, Result<QueueLength>> {
        self.look(None, move |reader| reader.queue_length(now))
    }

    fn watch(&self, scope: Scope) -> Box<dyn Watch> {
        Box::new(self.watchers.watch(scope))
    }

    fn health(&self) -> Health {
        (self.health)()
    }
}

/// A body on its way in: small ones stay in memory, large ones are written by the pool.
struct Staging<E: Engine> {
    stager: Arc<E::Stager>,
    pool: Pool<E::Reader>,
    gathered: BytesMut,
    part: Option<<E::Stager as Stager>::Part>,
    /// Something of it was not written: a write failed, or was given up by its caller.
    lacks: bool,
}

const LACKS: Error = Error::Conflict("an earlier part of the body was not written");

impl<E: Engine> Staging<E> {
    /// Writes what has gathered.
    fn spill(&mut self) -> BoxFuture<'static, Result<<E::Stager as Stager>::Part>> {
        let (stager, part, octets) = (
            Arc::clone(&self.stager),
            self.part.take(),
            self.gathered.split(),
        );
        self.pool.run(None, move |_| {
            let mut part = match part {
                Some(part) => part,
                None => stager.begin()?,
            };
            stager.write(&mut part, &octets)?;
            Ok(part)
        })
    }
}

impl<E: Engine> Stage for Staging<E> {
    fn write(&mut self, octets: Bytes) -> BoxFuture<'_, Result<()>> {
        self.gathered.extend_from_slice(&octets);
        let limit = self.stager.small_limit();
        let full = self.gathered.len() > limit && self.gathered.len() >= GATHER.min(limit);
        if !full && (self.part.is_none() || self.gathered.len() < GATHER) {
            return Box::pin(async { Ok(()) });
        }
        Box::pin(async move {
            if std::mem::replace(&mut self.lacks, true) {
                return Err(LACKS);
            }
            self.part = Some(self.spill().await?);
            self.lacks = false;
            Ok(())
        })
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<Staged>> {
        if self.lacks {
            return Box::pin(async { Err(LACKS) });
        }
        if self.part.is_none() && self.gathered.len() <= self.stager.small_limit() {
            let staged = self.stager.small(self.gathered.split().freeze());
            return Box::pin(async move { Ok(staged) });
        }
        Box::pin(async move {
            let part = self.spill().await?;
            let stager = Arc::clone(&self.stager);
            self.pool.run(None, move |_| stager.finish(part)).await
        })
    }
}

/// Runs a future on this thread, for programs without a runtime.
///
/// ```
/// use hikyaku_mailstore::{Memory, Store, block_on};
/// let store = Memory::new();
/// let account = block_on(store.create_account("alice@example.test"))?;
/// let mailboxes = block_on(store.mailboxes(account, None))?;
/// assert_eq!(mailboxes.mailboxes[0].name, "INBOX");
/// # Ok::<(), hikyaku_mailstore::Error>(())
/// ```
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        thread::park();
    }
}
