//! mail-auth's checks, without questions of their own: what they ask for was looked up before.

use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{DnsError, Error, MessageAuthenticator, RecordSet, ResolverCache, Txt};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::Ipv4Addr;
use std::time::Instant;

use crate::dns::NoResolver;

/// Creates what has the checks as methods. It knows no DNS server.
pub(crate) fn deaf() -> Result<MessageAuthenticator, NoResolver> {
    let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
    MessageAuthenticator::new(nobody, ResolverOpts::default()).map_err(NoResolver::new)
}

/// The error that stands for a missing answer.
pub(crate) fn unanswered() -> Error {
    Error::Dns(DnsError::Resolver("no answer from DNS".to_owned()))
}

/// TXT records by their names, which end in a dot and are in small letters. Others have no answer.
#[derive(Default)]
pub(crate) struct Known(pub(crate) HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Known {
    fn get<Q>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let known = self.0.get(name).cloned();
        Some(known.unwrap_or_else(|| Txt::Error(unanswered())))
    }

    fn remove<Q>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

/// Every name exists, and has no address.
pub(crate) struct Existing;

impl ResolverCache<Box<str>, RecordSet<Ipv4Addr>> for Existing {
    fn get<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        Some(RecordSet {
            rrset: Vec::new().into(),
            dnssec_status: mail_auth::DnssecStatus::Indeterminate,
        })
    }

    fn remove<Q>(&self, _: &Q) -> Option<RecordSet<Ipv4Addr>>
    where
        Box<str>: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: RecordSet<Ipv4Addr>, _: Instant) {}
}
