//! What browsers send, on its way: a little of each request in memory, the rest in a file without a name, which is gone
//! with the request. So much of it for each person, or for each network of strangers, and no more in all.

use bytes::Bytes;
use futures_util::{Stream, stream};
use hikyaku_mailstore::AccountId;
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Octets of a request that stay in memory.
const HELD: usize = 16 * 1024;
/// Octets that are read at a time.
const PIECE: u64 = 64 * 1024;
/// Octets in files of one network whose people have not logged in.
const OF_STRANGERS: u64 = 16 * 1024 * 1024;
/// Octets in files of all strangers together.
const OF_ALL_STRANGERS: u64 = 256 * 1024 * 1024;

/// Whose a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Person(AccountId),
    /// Somebody in that network, if it is known.
    Stranger(Option<IpAddr>),
}

/// The files of all requests.
#[derive(Debug)]
pub(crate) struct Spools {
    folder: PathBuf,
    /// Octets for one person.
    of_one: u64,
    /// Octets for all people.
    of_all: u64,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    by_owner: HashMap<Owner, u64>,
    people: u64,
    strangers: u64,
}

impl Spools {
    /// Files in that folder, for messages of that size.
    pub(crate) fn new(folder: PathBuf, message: usize) -> Arc<Self> {
        let message = message as u64;
        Arc::new(Self {
            folder,
            of_one: message.saturating_mul(4),
            of_all: message.saturating_mul(16).max(1024 * 1024 * 1024),
            now: Mutex::default(),
        })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, owner: Owner, octets: u64) -> io::Result<()> {
        let mut now = self.now();
        let (all, of_all, of_one) = match owner {
            Owner::Person(_) => (now.people, self.of_all, self.of_one),
            Owner::Stranger(_) => (now.strangers, OF_ALL_STRANGERS, OF_STRANGERS),
        };
        let own = now.by_owner.get(&owner).copied().unwrap_or(0);
        if all + octets > of_all || own + octets > of_one {
            return Err(io::ErrorKind::StorageFull.into());
        }
        now.by_owner.insert(owner, own + octets);
        match owner {
            Owner::Person(_) => now.people += octets,
            Owner::Stranger(_) => now.strangers += octets,
        }
        Ok(())
    }

    fn give_back(&self, owner: Owner, octets: u64) {
        if octets == 0 {
            return;
        }
        let mut now = self.now();
        if let Some(own) = now.by_owner.get_mut(&owner) {
            *own -= octets;
            if *own == 0 {
                now.by_owner.remove(&owner);
            }
        }
        match owner {
            Owner::Person(_) => now.people -= octets,
            Owner::Stranger(_) => now.strangers -= octets,
        }
    }
}

/// The octets of one request, in the order in which they came.
#[derive(Debug)]
pub(crate) struct Spool {
    spools: Arc<Spools>,
    owner: Owner,
    /// Those that are not in the file yet.
    held: Vec<u8>,
    file: Option<Arc<File>>,
    written: u64,
    /// What the file may have grown to.
    taken: u64,
}

impl Spool {
    pub(crate) fn new(spools: &Arc<Spools>, owner: Owner) -> Self {
        Self {
            spools: Arc::clone(spools),
            owner,
            held: Vec::new(),
            file: None,
            written: 0,
            taken: 0,
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u64 {
        self.written + self.held.len() as u64
    }

    /// The owner is known by now.
    pub(crate) fn belongs_to(&mut self, owner: Owner) -> io::Result<()> {
        self.spools.take(owner, self.taken)?;
        self.spools.give_back(self.owner, self.taken);
        self.owner = owner;
        Ok(())
    }

    /// Adds some. An error is the disk's, or there is no room for more.
    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut octets = octets;
        while self.held.len() + octets.len() > HELD {
            let (first, rest) = octets.split_at((HELD - self.held.len()).min(octets.len()));
            self.hold(first);
            octets = rest;
            self.spill().await?;
        }
        self.hold(octets);
        Ok(())
    }

    /// Grows with what comes, and never beyond [`HELD`].
    fn hold(&mut self, octets: &[u8]) {
        let needed = self.held.len() + octets.len();
        if needed > self.held.capacity() {
            let capacity = needed.saturating_mul(2).min(HELD).max(needed);
            self.held.reserve_exact(capacity - self.held.len());
        }
        self.held.extend_from_slice(octets);
    }

    async fn spill(&mut self) -> io::Result<()> {
        let end = self.len();
        let more = end.saturating_sub(self.taken);
        self.spools.take(self.owner, more)?;
        self.taken += more;
        let (held, at) = (std::mem::take(&mut self.held), self.written);
        let (file, spools) = (self.file.clone(), Arc::clone(&self.spools));
        let written = tokio::task::spawn_blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(tempfile::tempfile_in(&spools.folder)?),
            };
            file.write_all_at(&held, at)?;
            Ok::<_, io::Error>((file, held))
        });
        let (file, mut held) = written.await.map_err(io::Error::other)??;
        held.clear();
        (self.file, self.held, self.written) = (Some(file), held, end);
        Ok(())
    }

    /// Takes off what came last.
    pub(crate) fn truncate(&mut self, len: u64) {
        match len.checked_sub(self.written) {
            Some(held) => self
                .held
                .truncate(usize::try_from(held).unwrap_or(usize::MAX)),
            None => {
                self.held.clear();
                self.written = len;
            }
        }
    }

    /// All of it, a piece at a time.
    pub(crate) fn stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        stream::try_unfold((Arc::new(self), 0), |(spool, at)| async move {
            let reading = Arc::clone(&spool);
            let piece = tokio::task::spawn_blocking(move || reading.piece(at));
            let piece = piece.await.map_err(io::Error::other)??;
            let next = at + piece.len() as u64;
            Ok((!piece.is_empty()).then_some((piece, (spool, next))))
        })
    }

    /// Some octets from there on; none at the end.
    fn piece(&self, at: u64) -> io::Result<Bytes> {
        if let (Some(file), Some(left)) = (&self.file, self.written.checked_sub(at))
            && left > 0
        {
            let length = usize::try_from(left.min(PIECE)).map_err(io::Error::other)?;
            let mut piece = vec![0; length];
            file.read_exact_at(&mut piece, at)?;
            return Ok(piece.into());
        }
        let from = usize::try_from(at - self.written).map_err(io::Error::other)?;
        Ok(Bytes::copy_from_slice(self.held.get(from..).unwrap_or(&[])))
    }

    /// All of it, in memory.
    pub(crate) async fn read(self) -> io::Result<Vec<u8>> {
        let Some(file) = self.file.clone() else {
            let mut this = self;
            return Ok(std::mem::take(&mut this.held));
        };
        tokio::task::spawn_blocking(move || {
            let written = usize::try_from(self.written).map_err(io::Error::other)?;
            let mut all = Vec::with_capacity(written + self.held.len());
            all.resize(written, 0);
            file.read_exact_at(&mut all, 0)?;
            all.extend_from_slice(&self.held);
            Ok(all)
        })
        .await
        .map_err(io::Error::other)?
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.spools.give_back(self.owner, self.taken);
    }
}

#[cfg(test)]
impl Spools {
    /// Octets in files of somebody.
    pub(crate) fn taken(&self, owner: Owner) -> u64 {
        self.now().by_owner.get(&owner).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Owner = Owner::Person(AccountId(1));
    const STRANGER: Owner = Owner::Stranger(None);

    fn spools() -> (tempfile::TempDir, Arc<Spools>) {
        let folder = tempfile::tempdir().unwrap();
        let spools = Spools::new(folder.path().to_owned(), 100_000);
        (folder, spools)
    }

    #[tokio::test]
    async fn what_is_read_is_what_was_written() {
        let (folder, spools) = spools();
        let octets: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for piece in [1000, 16 * 1024, 50_000, 100_000] {
            for end in [0, 10, 16 * 1024, 40_000, 100_000] {
                let mut spool = Spool::new(&spools, ONE);
                for piece in octets[..end].chunks(piece) {
                    spool.write(piece).await.unwrap();
                    assert!(spool.held.capacity() <= HELD, "{}", spool.held.capacity());
                }
                // What is taken off is written over.
                spool.write(&[7; 20_000]).await.unwrap();
                spool.truncate(end as u64);
                spool.write(b"end").await.unwrap();
                assert_eq!(spool.len(), end as u64 + 3);
                let read = spool.read().await.unwrap();
                assert!(read == [&octets[..end], b"end"].concat(), "{piece} {end}");
            }
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 0, "files have no names");
        assert!(spools.now().by_owner.is_empty() && spools.now().people == 0);
    }

    #[tokio::test]
    async fn nobody_has_more_than_their_share() {
        let (_folder, spools) = spools();
        let mut all = Vec::new();
        // Four messages of one person.
        for n in 0..5 {
            let mut spool = Spool::new(&spools, ONE);
            let written = spool.write(&vec![0; 96 * 1024]).await;
            assert_eq!(written.is_ok(), n < 4, "{n}");
            all.push(spool);
        }
        let mut other = Spool::new(&spools, Owner::Person(AccountId(2)));
        other.write(&vec![0; 96 * 1024]).await.unwrap();
        // What a stranger sent becomes a person's where there is room.
        let mut stranger = Spool::new(&spools, STRANGER);
        stranger.write(&vec![0; 40_000]).await.unwrap();
        assert!(stranger.belongs_to(ONE).is_err());
        stranger.belongs_to(Owner::Person(AccountId(3))).unwrap();
        assert_eq!(spools.now().strangers, 0);
        // Small ones need no room at all.
        Spool::new(&spools, ONE).write(&[0; HELD]).await.unwrap();
        drop((all, other, stranger));
        assert!(spools.now().by_owner.is_empty() && spools.now().people == 0);
    }

    #[tokio::test]
    async fn strangers_share_little() {
        let (_folder, spools) = spools();
        let mut spool = Spool::new(&spools, STRANGER);
        let mut written = 0;
        while spool.write(&[0; HELD]).await.is_ok() {
            written += HELD as u64;
        }
        assert!(written <= OF_STRANGERS + HELD as u64, "{written}");
        let elsewhere = Owner::Stranger(Some([192, 0, 2, 1].into()));
        let mut other = Spool::new(&spools, elsewhere);
        other.write(&[0; 2 * HELD]).await.unwrap();
    }
}
