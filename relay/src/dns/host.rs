//! A host's addresses, of both families (RFC 7672 §2.2.2, RFC 8305 §4).

use hickory_resolver::proto::rr::{RData, RecordType};
use std::net::IpAddr;

use super::answer::{Answer, LookupError, text};
use super::resolver::{Dns, name};
use crate::options::Family;

/// A host, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// The name that it was looked up by, in small letters.
    pub name: String,
    /// The name at the end of its aliases, which is the same when it has none.
    pub expanded: String,
    /// The addresses in the order in which they are to be tried: one of each family in turn. Empty when it has none.
    pub addresses: Vec<IpAddr>,
    /// Whether there is such a name.
    pub exists: bool,
    /// Whether DNSSEC vouches for all addresses and aliases.
    pub secure: bool,
}

impl Host {
    /// A host that is known by its address.
    pub(super) fn at(name: &str, address: IpAddr) -> Self {
        Self {
            name: name.to_owned(),
            expanded: name.to_owned(),
            addresses: vec![address],
            exists: true,
            secure: false,
        }
    }
}

impl Dns {
    /// Looks up a host's addresses, of both families at once. A lookup that fails for one family matters only when the
    /// other family has no addresses.
    ///
    /// # Errors
    /// [`LookupError`]. A host without addresses is no error.
    pub async fn host(&self, host: &str) -> Result<Host, LookupError> {
        let asked = name(host)?;
        let (six, four) = tokio::join!(
            self.lookup(&asked, RecordType::AAAA),
            self.lookup(&asked, RecordType::A)
        );
        let read = |answer: Result<Answer<RData>, LookupError>| {
            answer.map(|answer| answer.filter_map(|rdata| rdata.ip_addr()))
        };
        let (six, four) = (read(six), read(four));
        let has_some = |answer: &Result<Answer<IpAddr>, LookupError>| {
            answer.as_ref().is_ok_and(|one| !one.records.is_empty())
        };
        let mut known: Vec<Answer<IpAddr>> = Vec::new();
        match (six, four) {
            (six, four) if has_some(&six) || has_some(&four) => {
                known.extend([six, four].into_iter().flatten());
                known.retain(|answer| !answer.records.is_empty());
            }
            (Ok(six), Ok(four)) => known.extend([six, four]),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        }
        let mut families = [Vec::new(), Vec::new()];
        let [first, second] = &mut families;
        for address in known.iter().flat_map(|answer| &answer.records) {
            match (address, self.first_family) {
                (IpAddr::V6(_), Family::V6) | (IpAddr::V4(_), Family::V4) => first.push(*address),
                _ => second.push(*address),
            }
        }
        let own = text(&asked);
        // They are at one name, unless it changed in between.
        let expanded = known.first().map(|answer| answer.name.clone());
        let expanded = expanded.unwrap_or_else(|| own.clone());
        let secure = known
            .iter()
            .all(|answer| answer.secure && answer.name == expanded);
        Ok(Host {
            name: own,
            expanded,
            addresses: alternating(first, second),
            exists: known.iter().any(|answer| answer.exists),
            secure,
        })
    }
}

/// One of each in turn, beginning with the first; what is left of one follows.
fn alternating(first: &[IpAddr], second: &[IpAddr]) -> Vec<IpAddr> {
    let longest = first.len().max(second.len());
    let pairs = (0..longest).flat_map(|nth| [first.get(nth), second.get(nth)]);
    pairs.flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let all = |texts: &[&str]| -> Vec<IpAddr> {
            texts.iter().map(|text| text.parse().unwrap()).collect()
        };
        for (first, second, expected) in [
            (
                vec!["::1", "::2"],
                vec!["192.0.2.1", "192.0.2.2"],
                vec!["::1", "192.0.2.1", "::2", "192.0.2.2"],
            ),
            (
                vec!["::1"],
                vec!["192.0.2.1", "192.0.2.2"],
                vec!["::1", "192.0.2.1", "192.0.2.2"],
            ),
            (vec![], vec!["192.0.2.1"], vec!["192.0.2.1"]),
            (vec![], vec![], vec![]),
        ] {
            assert_eq!(alternating(&all(&first), &all(&second)), all(&expected));
        }
    }
}
