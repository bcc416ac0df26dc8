//! The addresses of this server: domains, aliases, forwards and identities, which change while it runs.

mod book;
mod change;
mod error;
mod known;
mod lists;
mod record;

pub(crate) use book::Book;
pub use error::AddressError;
pub use known::AddressBook;
