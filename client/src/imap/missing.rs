//! What the server has and did not give: remembered, asked for again with each sync, and named in the report.

use bytes::Bytes;
use hikyaku_mailstore::{Operation, Uid, UidSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::Report;

/// How many messages of a mailbox are named one by one.
const NAMED: usize = 10;

/// UIDs below a mirror's `uid_next` that are not in it yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Missing {
    /// Of that UIDVALIDITY: with another one they mean nothing.
    uid_validity: u32,
    ranges: Vec<(u32, u32)>,
}

impl Missing {
    pub(super) fn new(uid_validity: u32, uids: impl IntoIterator<Item = u32>) -> Self {
        let ranges = UidSet::from_ranges(uids.into_iter().map(|uid| (uid, uid)));
        Self {
            uid_validity,
            ranges: ranges.ranges().to_vec(),
        }
    }

    fn key(mailbox: &str) -> String {
        format!("missing/{mailbox}")
    }

    /// What is missing, out of the account's properties.
    pub(super) fn of(
        properties: &BTreeMap<String, Bytes>,
        mailbox: &str,
        uid_validity: u32,
    ) -> UidSet {
        let value = properties.get(&Self::key(mailbox));
        let missing: Option<Self> = value.and_then(|value| postcard::from_bytes(value).ok());
        missing
            .filter(|missing| missing.uid_validity == uid_validity)
            .map(|missing| UidSet::from_ranges(missing.ranges))
            .unwrap_or_default()
    }

    /// The change that keeps it, or forgets it where nothing is missing.
    pub(super) fn keep(&self, mailbox: &str) -> Operation {
        let value = postcard::to_allocvec(self).ok().map(Bytes::from);
        Operation::SetProperty {
            key: Self::key(mailbox),
            value: value.filter(|_| !self.ranges.is_empty()),
        }
    }
}

/// UIDs that one sync missed although they were counted: the next one believes it when it hears the same.
#[derive(Debug, Default)]
pub(super) struct Doubt;

impl Doubt {
    fn key(mailbox: &str) -> String {
        format!("doubt/{mailbox}")
    }

    pub(super) fn of(properties: &BTreeMap<String, Bytes>, mailbox: &str) -> UidSet {
        let value = properties.get(&Self::key(mailbox));
        let ranges: Option<Vec<(u32, u32)>> =
            value.and_then(|value| postcard::from_bytes(value).ok());
        UidSet::from_ranges(ranges.unwrap_or_default())
    }

    pub(super) fn keep(mailbox: &str, uids: &UidSet) -> Operation {
        let value = postcard::to_allocvec(&uids.ranges()).ok().map(Bytes::from);
        Operation::SetProperty {
            key: Self::key(mailbox),
            value: value.filter(|_| !uids.is_empty()),
        }
    }
}

/// UIDs as a set; 0 is none.
pub(super) fn set_of<'a>(uids: impl IntoIterator<Item = &'a u32>) -> UidSet {
    uids.into_iter().filter_map(|&uid| Uid::new(uid)).collect()
}

/// Names in the report what a mailbox lacks.
pub(super) fn name(
    report: &mut Report,
    mailbox: &str,
    what: &str,
    lacking: &BTreeMap<u32, String>,
) {
    for (uid, why) in lacking.iter().take(NAMED) {
        let warning =
            format!("{mailbox}/{uid}: {what} did not come ({why}); the next sync asks again");
        report.warnings.push(warning);
    }
    let more = lacking.len().saturating_sub(NAMED);
    if more > 0 {
        report.warnings.push(format!(
            "{mailbox}: {what} of {more} more messages did not come"
        ));
    }
}
