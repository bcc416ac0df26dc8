//! The addresses that are in force, for everything that asks: right at once after a change.

use hikyaku_mailstore::{AccountId, Error, Operation, Store, Transaction};
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tracing::warn;

use super::book::Book;
use super::record::Record;

/// The addresses of this server: its domains, aliases, forwards and identities.
#[derive(Clone)]
pub struct AddressBook(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    book: RwLock<Arc<Book>>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl std::fmt::Debug for AddressBook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressBook").finish_non_exhaustive()
    }
}

impl AddressBook {
    /// Those of the configuration alone.
    #[must_use]
    pub fn configured(store: Arc<dyn Store>, domains: &[String], separators: &str) -> Self {
        Self(Arc::new(Inner {
            store,
            book: RwLock::new(Arc::new(Book::new(domains, separators))),
            changing: Mutex::default(),
        }))
    }

    /// Those of the configuration, and those that the store keeps. A record that cannot be read is passed over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        domains: &[String],
        separators: &str,
    ) -> Result<Self, Error> {
        let mut book = Book::new(domains, separators);
        let system = store.account_by_id(AccountId::SYSTEM).await?;
        let properties = system.map(|system| system.properties).unwrap_or_default();
        for (key, value) in properties.iter().filter(|(key, _)| Record::is_one(key)) {
            match Record::read(key, value) {
                Some(record) => book.put(record),
                None => warn!(key, "a record of an address cannot be read"),
            }
        }
        book.index();
        let addresses = Self::configured(store, domains, separators);
        addresses.replace(book);
        Ok(addresses)
    }

    /// The domains whose mail is delivered here.
    pub(crate) fn domains(&self) -> Vec<String> {
        self.book().domains().cloned().collect()
    }

    /// What is known now.
    pub(crate) fn book(&self) -> Arc<Book> {
        let book = self.0.book.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&book)
    }

    /// Returns whether mail to that domain is delivered here.
    #[must_use]
    pub fn is_local(&self, domain: &str) -> bool {
        self.book().domain(domain).is_some()
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    fn replace(&self, book: Book) {
        let mut known = self.0.book.write().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::new(book);
    }

    /// Keeps what nobody else changes meanwhile.
    pub(super) async fn changing(&self) -> impl Drop + '_ {
        self.0.changing.lock().await
    }

    /// Stores a record, and then puts it into force.
    pub(super) async fn keep(&self, record: Record) -> Result<(), Error> {
        let (key, value) = record.property();
        let set = Operation::SetProperty { key, value };
        let keep = Transaction::new(AccountId::SYSTEM).with(set);
        self.0.store.commit(keep).await?;
        let mut book = (*self.book()).clone();
        book.put(record);
        book.index();
        self.replace(book);
        Ok(())
    }
}
