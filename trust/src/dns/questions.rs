//! The questions that one message may cause.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::answer::{Answer, Ask, Family, Unanswered};
use crate::domain::is_askable;

/// A resolver that answers so many questions and no more.
pub(crate) struct Questions<'a> {
    dns: &'a dyn Ask,
    left: AtomicUsize,
}

impl<'a> Questions<'a> {
    pub(crate) fn new(dns: &'a dyn Ask, most: usize) -> Self {
        let left = AtomicUsize::new(most);
        Self { dns, left }
    }

    pub(crate) async fn txt(&self, name: &str) -> Result<Answer<Vec<u8>>, Unanswered> {
        match self.admits(name)? {
            true => self.dns.txt(name).await,
            false => Ok(Answer::nothing()),
        }
    }

    pub(crate) async fn addresses(
        &self,
        name: &str,
        family: Family,
    ) -> Result<Answer<IpAddr>, Unanswered> {
        match self.admits(name)? {
            true => self.dns.addresses(name, family).await,
            false => Ok(Answer::nothing()),
        }
    }

    pub(crate) async fn exchanges(&self, name: &str) -> Result<Answer<String>, Unanswered> {
        match self.admits(name)? {
            true => self.dns.exchanges(name).await,
            false => Ok(Answer::nothing()),
        }
    }

    pub(crate) async fn names(&self, address: IpAddr) -> Result<Answer<String>, Unanswered> {
        self.count(&address.to_string())?;
        self.dns.names(address).await
    }

    /// Whether a name may be asked for. One that cannot be in DNS is not there.
    fn admits(&self, name: &str) -> Result<bool, Unanswered> {
        if !is_askable(name) {
            return Ok(false);
        }
        self.count(name).map(|()| true)
    }

    fn count(&self, name: &str) -> Result<(), Unanswered> {
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        match self.left.fetch_update(order, order, less) {
            Ok(_) => Ok(()),
            Err(_) => Err(Unanswered::new(name)),
        }
    }
}
