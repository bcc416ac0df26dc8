//! Accounts: who may log in, with what password, and what they own.

use argon2::Argon2;
use argon2::password_hash::rand_core::{CryptoRng, Error as RandError, RngCore};
use argon2::password_hash::{PasswordHash, PasswordHasher, SaltString};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hikyaku_mailstore::{Account, AccountId, Error, Operation, Store, Transaction};
use hikyaku_service::ScramKeys;
use rsasl::mechanisms::scram;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::addresses::{AddressBook, AddressError};
use crate::remembered::{Candidate, Remembered};

/// The property that holds the argon2 hash, in PHC form.
const PASSWORD: &str = "password";
/// The property that holds the SCRAM-SHA-256 keys: `iterations$salt$stored$server`, base64.
const SCRAM: &str = "scram-sha-256";
/// The property of the store's own account that holds what salts are made of for names that nobody has.
const NOBODY: &str = "nobody";
/// The property that holds to how many recipients a day an account may send, 0 for no limit; without it the configuration
/// says so.
const SENDING: &str = "sending";
/// RFC 7677 §4: at least 4096.
const ITERATIONS: u32 = 10_000;
/// Octets of a salt.
const SALT: usize = 16;

/// Passwords that are hashed at a time: each takes 19 MiB and a core.
const HASHING: usize = 2;

/// Why an operation on an account failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// Not an address of a domain of this server.
    #[error("{0} is not an address of this server: its domains are {1}")]
    NotHere(String, String),
    /// The account does not exist.
    #[error("there is no account {0}")]
    Unknown(String),
    /// The account already exists.
    #[error("the account {0} already exists")]
    Exists(String),
    /// The name is an alias.
    #[error("{0} is an alias: `mailserver alias remove` frees the name")]
    Alias(String),
    /// An empty password, or one of several lines.
    #[error("a password must be one line and not empty")]
    Password,
    /// Its addresses.
    #[error(transparent)]
    Address(AddressError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
}

/// All accounts of a store.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    addresses: AddressBook,
    quota: u64,
    hashing: Arc<Semaphore>,
    memory: Arc<Memory>,
    remembered: Arc<Remembered>,
    /// What a password is checked against where nobody has the name, so that it takes as long.
    nobody: Arc<str>,
    /// What salts are made of for names that nobody has.
    nobodys_secret: [u8; 32],
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

/// The system's random numbers, for the salt.
struct System;

impl RngCore for System {
    fn next_u32(&mut self) -> u32 {
        let mut octets = [0; 4];
        self.fill_bytes(&mut octets);
        u32::from_ne_bytes(octets)
    }
    fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }
    fn fill_bytes(&mut self, octets: &mut [u8]) {
        // Without random numbers no password may be made: better to stop.
        getrandom::fill(octets).expect("the system's random numbers");
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), RandError> {
        self.fill_bytes(octets);
        Ok(())
    }
}

impl CryptoRng for System {}

/// Generates a password that nobody guesses: four groups of four letters and digits.
#[must_use]
pub fn generated_password() -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut octets = [0; 16];
    System.fill_bytes(&mut octets);
    let mut password = String::new();
    for (index, octet) in octets.iter().enumerate() {
        if index > 0 && index % 4 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(octet % 32)]));
    }
    password
}

/// Memory for hashing, used again and again: given back and taken anew each time it would grow the heap
/// of every thread that ever hashed.
#[derive(Default)]
struct Memory(std::sync::Mutex<Vec<Vec<argon2::Block>>>);

impl Memory {
    /// Whether `hash` (in PHC form) is the password's.
    fn verify(&self, password: &str, hash: &str) -> bool {
        let free = || {
            self.0
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        };
        let mut blocks = free().pop().unwrap_or_default();
        let verified = Self::verify_with(password, hash, &mut blocks);
        free().push(blocks);
        verified.unwrap_or(false)
    }

    fn verify_with(password: &str, hash: &str, blocks: &mut Vec<argon2::Block>) -> Option<bool> {
        let hash = PasswordHash::new(hash).ok()?;
        let algorithm = argon2::Algorithm::try_from(hash.algorithm).ok()?;
        let version = argon2::Version::try_from(hash.version?).ok()?;
        let params = argon2::Params::try_from(&hash).ok()?;
        let expected = hash.hash?;
        let mut salt = [0; 64];
        let salt = hash.salt?.decode_b64(&mut salt).ok()?;
        blocks.resize(
            params.block_count().max(blocks.len()),
            argon2::Block::default(),
        );
        let mut made = vec![0; expected.len()];
        Argon2::new(algorithm, version, params)
            .hash_password_into_with_memory(password.as_bytes(), salt, &mut made, &mut *blocks)
            .ok()?;
        // Compared in constant time.
        Some(argon2::password_hash::Output::new(&made).ok()? == expected)
    }
}

fn hash(password: &str) -> String {
    let salt = SaltString::generate(&mut System);
    let hashed = Argon2::default().hash_password(password.as_bytes(), &salt);
    hashed.map(|hash| hash.to_string()).unwrap_or_default()
}

fn scram_keys(password: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let mut salt = [0; SALT];
    System.fill_bytes(&mut salt);
    let mut salted = Default::default();
    scram::tools::hash_password::<Sha256>(password.as_bytes(), ITERATIONS, &salt, &mut salted);
    let (client_key, server_key) = scram::tools::derive_keys::<Sha256>(salted.as_slice());
    let stored = Sha256::digest(client_key);
    let text = |octets: &[u8]| STANDARD.encode(octets);
    format!(
        "{ITERATIONS}${}${}${}",
        text(&salt),
        text(&stored),
        text(&server_key)
    )
}

impl Accounts {
    /// Opens the accounts of `store` in those domains; new ones may hold `quota` octets. AddressBook are those alone, until
    /// there are [others](Self::at).
    #[must_use]
    pub fn new(store: Arc<dyn Store>, domains: &[String], quota: u64) -> Self {
        Self {
            addresses: AddressBook::configured(Arc::clone(&store), domains, "+"),
            store,
            quota,
            hashing: Arc::new(Semaphore::new(HASHING)),
            memory: Arc::default(),
            remembered: {
                let mut key = [0; 32];
                System.fill_bytes(&mut key);
                Arc::new(Remembered::new(&key))
            },
            nobody: hash("nobody").into(),
            nobodys_secret: {
                let mut secret = [0; 32];
                System.fill_bytes(&mut secret);
                secret
            },
        }
    }

    /// Gives them these addresses.
    #[must_use]
    pub fn at(self, addresses: AddressBook) -> Self {
        Self { addresses, ..self }
    }

    /// Returns the addresses: domains, aliases, forwards and identities.
    #[must_use]
    pub fn addresses(&self) -> &AddressBook {
        &self.addresses
    }

    /// Keeps in the store what salts are made of for names that nobody has: they are the same after a restart, as those
    /// of accounts are.
    pub(crate) async fn with_kept_salts(mut self) -> Self {
        if let Err(error) = self.keep_salts().await {
            warn!(%error, "the salt for unknown names could not be stored: it changes at the next start");
        }
        self
    }

    async fn keep_salts(&mut self) -> Result<(), Error> {
        let system = self.store.account_by_id(AccountId::SYSTEM).await?;
        let kept = system.as_ref().and_then(|own| own.properties.get(NOBODY));
        if let Some(kept) = kept.and_then(|kept| <[u8; 32]>::try_from(&kept[..]).ok()) {
            self.nobodys_secret = kept;
            return Ok(());
        }
        let set = Operation::SetProperty {
            key: NOBODY.into(),
            value: Some(Bytes::copy_from_slice(&self.nobodys_secret)),
        };
        let keep = Transaction::new(AccountId::SYSTEM).with(set);
        self.store.commit(keep).await.map(drop)
    }

    /// Finds the account of a login name: an address, or a local part of the first domain.
    pub async fn find(&self, name: &str) -> Result<Option<Account>, Error> {
        self.store.account(&self.login_name(name)).await
    }

    /// The one spelling of a login name, whether there is such an account or not.
    #[must_use]
    pub(crate) fn login_name(&self, name: &str) -> String {
        match name.contains('@') {
            true => name.to_lowercase(),
            false => format!("{name}@{}", self.addresses.book().first()).to_lowercase(),
        }
    }

    /// Finds the account if the password is right. A wrong one takes its time, even without an account; a
    /// right one does so once in some minutes.
    pub async fn verify(&self, name: &str, password: &str) -> Result<Option<Account>, Error> {
        let account = self.find(name).await?;
        let hash = account
            .as_ref()
            .and_then(|account| account.properties.get(PASSWORD));
        let hash = hash.map_or_else(
            || self.nobody.to_string(),
            |hash| String::from_utf8_lossy(hash).into_owned(),
        );
        let id = account
            .as_ref()
            .map_or(AccountId::SYSTEM, |account| account.id);
        let candidate = Candidate::new(id, hash.as_bytes(), password);
        if self.remembered.has(&candidate, Instant::now()) && account.is_some() {
            return Ok(account);
        }
        let password = password.to_owned();
        let permit = Arc::clone(&self.hashing).acquire_owned().await;
        let memory = Arc::clone(&self.memory);
        let hashed = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            memory.verify(&password, &hash)
        });
        let verified = hashed.await.unwrap_or(false);
        let account = account.filter(|_| verified);
        if account.is_some() {
            self.remembered.put(&candidate, Instant::now());
        }
        Ok(account)
    }

    /// Returns the keys for SCRAM-SHA-256.
    #[must_use]
    pub fn scram_keys(account: &Account) -> Option<ScramKeys> {
        let text = std::str::from_utf8(account.properties.get(SCRAM)?).ok()?;
        let mut words = text.split('$');
        let iterations = words.next()?.parse().ok()?;
        let mut octets = || STANDARD.decode(words.next()?).ok();
        Some(ScramKeys {
            iterations,
            salt: octets()?,
            stored: octets()?,
            server: octets()?,
        })
    }

    /// Keys for a name that nobody has: the same salt for each of its spellings, as an account has one. Nothing proves
    /// them.
    pub(crate) fn nobodys_keys(&self, name: &str) -> ScramKeys {
        use sha2::{Digest as _, Sha256};
        let name = self.login_name(name);
        let made = |what: &[u8]| {
            let mut digest = Sha256::new();
            digest.update(self.nobodys_secret);
            digest.update(what);
            digest.update(&name);
            digest.finalize().to_vec()
        };
        let mut salt = made(b"salt");
        salt.truncate(SALT);
        ScramKeys {
            iterations: ITERATIONS,
            salt,
            stored: made(b"stored"),
            server: made(b"server"),
        }
    }

    /// Creates an account with the usual mailboxes.
    pub async fn add(&self, address: &str, password: &str) -> Result<AccountId, AccountError> {
        let name = self.checked(address)?;
        if self.addresses.book().is_alias(&name) {
            return Err(AccountError::Alias(name));
        }
        let secrets = Self::secrets(password).await?;
        let id = match self.store.create_account(&name).await {
            Err(Error::AlreadyExists(_)) => return Err(AccountError::Exists(name)),
            created => created?,
        };
        let mut transaction = Transaction::new(id).with(Operation::SetQuota {
            octets: Some(self.quota),
            messages: None,
        });
        for operation in secrets {
            transaction = transaction.with(operation);
        }
        for (name, special_use) in [
            ("Drafts", "\\Drafts"),
            ("Sent", "\\Sent"),
            ("Junk", "\\Junk"),
            ("Trash", "\\Trash"),
            ("Archive", "\\Archive"),
        ] {
            transaction = transaction
                .with(Operation::Create {
                    name: name.into(),
                    special_use: Some(special_use.into()),
                    uid_validity: None,
                })
                .with(Operation::Subscribe {
                    name: name.into(),
                    subscribed: true,
                });
        }
        let inbox = Operation::Subscribe {
            name: "INBOX".into(),
            subscribed: true,
        };
        self.store.commit(transaction.with(inbox)).await?;
        Ok(id)
    }

    fn checked(&self, address: &str) -> Result<String, AccountError> {
        let book = self.addresses.book();
        let mailbox = hikyaku_smtp_proto::Mailbox::parse(address.as_bytes()).ok();
        let name = mailbox.and_then(|mailbox| {
            let mut domains = book.real_domains();
            let is_here = domains.any(|one| one.eq_ignore_ascii_case(mailbox.domain()));
            is_here.then(|| book.account_name(&mailbox)).flatten()
        });
        let domains: Vec<_> = book.real_domains().cloned().collect();
        name.ok_or_else(|| AccountError::NotHere(address.into(), domains.join(", ")))
    }

    async fn secrets(password: &str) -> Result<[Operation; 2], AccountError> {
        if password.is_empty() || password.contains(['\r', '\n', '\0']) {
            return Err(AccountError::Password);
        }
        let password = password.to_owned();
        let hashed = tokio::task::spawn_blocking(move || {
            [(PASSWORD, hash(&password)), (SCRAM, scram_keys(&password))]
        });
        let hashed = hashed.await.map_err(|_| AccountError::Password)?;
        Ok(hashed.map(|(key, value)| Operation::SetProperty {
            key: key.into(),
            value: Some(Bytes::from(value)),
        }))
    }

    pub(crate) async fn known(&self, address: &str) -> Result<Account, AccountError> {
        let found = self.find(address).await?;
        found.ok_or_else(|| AccountError::Unknown(address.into()))
    }

    /// What is another one with each password that is set: a hash of the salted hash.
    #[must_use]
    pub(crate) fn stamp(account: &Account) -> String {
        use sha2::{Digest as _, Sha256};
        let kept = account.properties.get(PASSWORD);
        STANDARD.encode(Sha256::digest(kept.map_or(&b""[..], |kept| kept)))
    }

    /// Changes the password of an account.
    pub async fn set_password(&self, address: &str, password: &str) -> Result<(), AccountError> {
        let id = self.known(address).await?.id;
        let mut transaction = Transaction::new(id);
        for operation in Self::secrets(password).await? {
            transaction = transaction.with(operation);
        }
        self.store.commit(transaction).await?;
        self.remembered.forget(id);
        Ok(())
    }

    /// Removes an account and all its mail.
    pub async fn remove(&self, address: &str) -> Result<(), AccountError> {
        let account = self.known(address).await?;
        self.store.remove_account(account.id).await?;
        self.remembered.forget(account.id);
        let forgotten = self.addresses.forget(&account.name).await;
        forgotten.map_err(|error| match error {
            AddressError::Store(error) => error.into(),
            other => AccountError::Address(other),
        })
    }

    /// Sets the quota of an account.
    pub async fn set_quota(&self, address: &str, octets: u64) -> Result<(), AccountError> {
        let set = Operation::SetQuota {
            octets: Some(octets),
            messages: None,
        };
        let account = self.known(address).await?;
        self.store
            .commit(Transaction::new(account.id).with(set))
            .await?;
        Ok(())
    }

    /// Sets to how many recipients a day an account may send, 0 for no limit; with `None` the configuration says so.
    pub async fn set_sending(
        &self,
        address: &str,
        recipients: Option<u32>,
    ) -> Result<(), AccountError> {
        let set = Operation::SetProperty {
            key: SENDING.into(),
            value: recipients.map(|many| many.to_string().into()),
        };
        let account = self.known(address).await?;
        self.store
            .commit(Transaction::new(account.id).with(set))
            .await?;
        Ok(())
    }

    /// To how many recipients a day an account may send, where that was set for it.
    pub(crate) fn sending(account: &Account) -> Option<u32> {
        let set = account.properties.get(SENDING)?;
        std::str::from_utf8(set).ok()?.parse().ok()
    }

    /// Lists all accounts by name.
    pub async fn list(&self) -> Result<Vec<Account>, AccountError> {
        let mut all: Vec<Account> = Vec::new();
        loop {
            let after = all.last().map_or("", |account| &account.name).to_owned();
            let some = self.store.accounts(&after, 500).await?;
            if some.is_empty() {
                return Ok(all);
            }
            all.extend(some);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords_are_checked_and_changed() {
        let accounts = Accounts::new(
            Arc::new(hikyaku_mailstore::Memory::new()),
            &["a.test".into()],
            1000,
        );
        accounts.add("Joe@A.test", "secret").await.unwrap();
        let ok = |name: &'static str, password: &'static str| {
            let accounts = accounts.clone();
            async move { accounts.verify(name, password).await.unwrap().is_some() }
        };
        assert!(ok("joe@a.test", "secret").await && ok("joe", "secret").await);
        assert!(!ok("joe", "wrong").await && !ok("nobody", "nobody").await);
        accounts.set_password("joe@a.test", "other").await.unwrap();
        assert!(!ok("joe", "secret").await && ok("joe", "other").await);
        let exists = accounts.add("joe@a.test", "x").await;
        assert!(matches!(exists, Err(AccountError::Exists(_))));
        assert!(matches!(
            accounts.add("joe@b.test", "x").await,
            Err(AccountError::NotHere(..))
        ));
        assert!(matches!(
            accounts.add("x@a.test", "").await,
            Err(AccountError::Password)
        ));
        let account = accounts.find("joe").await.unwrap().unwrap();
        assert_eq!(account.quota.octets, Some(1000));
        assert!(Accounts::scram_keys(&account).is_some());
        accounts.remove("joe@a.test").await.unwrap();
        assert!(accounts.list().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_looks_as_an_account_to_scram() {
        let store = Arc::new(hikyaku_mailstore::Memory::new());
        let accounts = Accounts::new(store, &["a.test".into()], 1000);
        accounts.add("joe@a.test", "secret").await.unwrap();
        let mut salts = Vec::new();
        for spelled in ["%", "%@a.test", "%@A.TEST"] {
            for name in ["joe", "JOE", "ghost", "GHOST"] {
                let spelled = spelled.replace('%', name);
                let account = accounts.find(&spelled).await.unwrap();
                let keys = account.as_ref().and_then(Accounts::scram_keys);
                let keys = keys.unwrap_or_else(|| accounts.nobodys_keys(&spelled));
                assert_eq!((keys.iterations, keys.salt.len()), (ITERATIONS, SALT));
                salts.push((name.to_lowercase(), keys.salt));
            }
        }
        salts.sort();
        salts.dedup();
        assert_eq!(salts.len(), 2, "each name has one: {salts:?}");
    }

    #[tokio::test]
    async fn a_name_that_nobody_has_keeps_its_salt_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut salts = Vec::new();
        for _ in 0..2 {
            let store = Arc::new(hikyaku_mailstore::Disk::open(folder.path()).unwrap());
            let accounts = Accounts::new(store, &["a.test".into()], 1000);
            let accounts = accounts.with_kept_salts().await;
            salts.push(accounts.nobodys_keys("ghost").salt);
            assert!(accounts.list().await.unwrap().is_empty());
        }
        assert_eq!(salts[0], salts[1]);
    }

    #[tokio::test]
    async fn a_right_password_is_hashed_once_and_a_wrong_one_each_time() {
        let store: Arc<dyn Store> = Arc::new(hikyaku_mailstore::Memory::new());
        let accounts = Accounts::new(Arc::clone(&store), &["a.test".into()], 1000);
        accounts.add("joe@a.test", "secret").await.unwrap();
        let nobody_hashes = Arc::clone(&accounts.hashing).acquire_many_owned(2).await;
        // While nothing can be hashed, whether an answer comes says whether it needed that.
        let quick = |name: &'static str, password: &'static str| {
            let accounts = accounts.clone();
            async move {
                let verified = accounts.verify(name, password);
                let wait = std::time::Duration::from_millis(50);
                let verified = tokio::time::timeout(wait, verified).await;
                verified.ok().map(|account| account.unwrap().is_some())
            }
        };
        assert_eq!(quick("joe", "secret").await, None);
        drop(nobody_hashes);
        assert!(accounts.verify("joe", "secret").await.unwrap().is_some());
        let nobody_hashes = Arc::clone(&accounts.hashing).acquire_many_owned(2).await;
        assert_eq!(quick("JOE@a.test", "secret").await, Some(true));
        for (name, password) in [
            ("joe", "wrong"),
            ("joe", ""),
            ("joe", "secret "),
            ("nobody", "secret"),
        ] {
            assert_eq!(quick(name, password).await, None, "{name} {password}");
        }
        drop(nobody_hashes);
        // Another program's change of the password is seen, too.
        let id = accounts.find("joe").await.unwrap().unwrap().id;
        let change = Operation::SetProperty {
            key: PASSWORD.into(),
            value: Some(hash("other").into()),
        };
        store
            .commit(Transaction::new(id).with(change))
            .await
            .unwrap();
        assert!(accounts.verify("joe", "secret").await.unwrap().is_none());
        assert!(accounts.verify("joe", "other").await.unwrap().is_some());
        accounts.set_password("joe", "third").await.unwrap();
        assert!(accounts.verify("joe", "other").await.unwrap().is_none());
        accounts.remove("joe").await.unwrap();
        assert!(accounts.verify("joe", "third").await.unwrap().is_none());
        accounts.add("joe@a.test", "fourth").await.unwrap();
        assert!(accounts.verify("joe", "third").await.unwrap().is_none());
    }
}
