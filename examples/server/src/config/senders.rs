//! `[addresses]` and `[senders]`: how addresses are read, and who writes as whom.

use serde::Deserialize;
use std::collections::BTreeMap;

use super::error::{Wrong, is_address};
use crate::network::Networks;

/// `[addresses]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Reading {
    /// The characters that begin a detail, which does not count: `alice+news` is `alice`. None if empty.
    pub separators: String,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            separators: "+".into(),
        }
    }
}

/// `[senders]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Senders {
    /// Whether users write under their own addresses only: in MAIL FROM, From and Sender.
    pub own_only: bool,
    /// Whether only users who have logged in write as one of [`Config::domains`](crate::Config::domains).
    pub protect: bool,
    /// Networks that `protect` does not apply to.
    pub exempt: Networks,
    /// Further addresses that an account may write as, by account: an address, or `@` and a domain.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Whether users may write as the aliases that stand for them, too.
    pub as_member: bool,
    /// Whether what users send to other servers is encoded in 7 bits before it is signed (RFC 6376 §5.3).
    pub seven_bit: bool,
}

impl Default for Senders {
    fn default() -> Self {
        Self {
            own_only: true,
            protect: true,
            exempt: Networks::default(),
            aliases: BTreeMap::new(),
            as_member: true,
            seven_bit: true,
        }
    }
}

impl Reading {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        let separators = &self.separators;
        let is_separator = |c: char| c.is_ascii_punctuation() && !"@.\"\\".contains(c);
        if separators.len() > 8 || !separators.chars().all(is_separator) {
            return Err((
                "separators",
                format!("\"{separators}\" are no separators: write, for example, \"+\" or \"+-\""),
            ));
        }
        Ok(())
    }
}

impl Senders {
    pub(super) fn check(&self) -> Result<(), Wrong> {
        const KEY: &str = "[senders.aliases]";
        if let Some(bad) = self.aliases.keys().find(|name| !is_address(name)) {
            let what = format!("\"{bad}\" is not an account: write its whole address");
            return Err((KEY, what));
        }
        for alias in self.aliases.values().flatten() {
            let whole = match alias.strip_prefix('@') {
                Some(domain) => format!("a@{domain}"),
                None => alias.clone(),
            };
            if !is_address(&whole) {
                let what = format!("\"{alias}\" is neither an address nor \"@\" and a domain");
                return Err((KEY, what));
            }
        }
        Ok(())
    }
}
