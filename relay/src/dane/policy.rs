//! What a host's TLSA records demand together (RFC 7672 §2.2, RFC 7671 §9).

use rustls_pki_types::{InvalidDnsNameError, ServerName};

use super::record::{Association, Matching, Tlsa, Unusable};

/// Records of one host that are read. A domain may publish thousands, and each is work in every handshake.
const RECORDS: usize = 64;

/// What a host's TLSA records demand: TLS at least. There is no policy for a host without secure records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    base_domain: String,
    names: Vec<String>,
    pub(super) usable: Vec<Association>,
    unusable: Vec<(Tlsa, Unusable)>,
    records: Vec<Tlsa>,
}

impl Policy {
    /// Reads the records of a TLSA base domain. `names` are the reference identifiers, of which a certificate must have
    /// one where names matter (RFC 7672 §3.2.2).
    ///
    /// The records must be secure.
    pub fn new(
        records: impl IntoIterator<Item = Tlsa>,
        base_domain: impl Into<String>,
        names: impl IntoIterator<Item = String>,
    ) -> Self {
        let (mut usable, mut unusable) = (Vec::<Association>::new(), Vec::new());
        let records: Vec<Tlsa> = records.into_iter().take(RECORDS).collect();
        for record in &records {
            match Association::read(record) {
                Ok(one) if usable.contains(&one) => {}
                Ok(one) => usable.push(one),
                Err(why) => unusable.push((record.clone(), why)),
            }
        }
        Self {
            base_domain: base_domain.into(),
            names: names.into_iter().collect(),
            usable: strongest(&usable),
            unusable,
            records,
        }
    }

    /// Returns the records as they were given, up to 64 of them.
    pub fn records(&self) -> impl Iterator<Item = &Tlsa> {
        self.records.iter()
    }

    /// Returns the TLSA base domain, which the server is asked for in SNI (RFC 7672 §8.1).
    pub fn base_domain(&self) -> &str {
        &self.base_domain
    }

    /// Returns the base domain as rustls takes it.
    ///
    /// # Errors
    /// It is no host's name.
    pub fn server_name(&self) -> Result<ServerName<'static>, InvalidDnsNameError> {
        ServerName::try_from(self.base_domain.clone())
    }

    /// Returns the names of which a certificate must have one, where names matter.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Returns whether the host must prove who it is. Otherwise no record can be used: TLS is mandatory with any
    /// certificate (RFC 7672 §2.2), and a report has `tlsa-invalid` (RFC 8460 §4.3.2.1).
    pub fn authenticates(&self) -> bool {
        !self.usable.is_empty()
    }

    /// Returns the records that cannot be used.
    pub fn unusable(&self) -> impl Iterator<Item = (&Tlsa, Unusable)> {
        self.unusable.iter().map(|(record, why)| (record, *why))
    }
}

/// Leaves out digests beside stronger ones of the same usage and selector: whoever can forge the weaker gains nothing
/// (RFC 7671 §9).
fn strongest(all: &[Association]) -> Vec<Association> {
    let is_outdone = |one: &Association| {
        let mut others = all.iter();
        one.matching == Matching::Sha256
            && others.any(|other| {
                (other.usage, other.selector) == (one.usage, one.selector)
                    && other.matching == Matching::Sha512
            })
    };
    all.iter().filter(|one| !is_outdone(one)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(records: &[(u8, u8, u8)]) -> Vec<String> {
        let records = records.iter().map(|&(usage, selector, matching)| {
            Tlsa::new(
                usage,
                selector,
                matching,
                vec![matching; [0, 32, 64][usize::from(matching)]],
            )
        });
        let policy = Policy::new(records, "mx.test", []);
        let shown = policy.usable.iter();
        shown
            .map(|one| format!("{:?}", (one.usage, one.selector, one.matching)))
            .collect()
    }

    #[test]
    fn weaker_digests_do_not_count_beside_stronger_ones() {
        assert_eq!(
            kept(&[(3, 1, 1), (3, 1, 2), (3, 1, 1)]),
            ["(EndEntity, Key, Sha512)"]
        );
        // Of another selector, or usage.
        assert_eq!(kept(&[(3, 1, 1), (3, 0, 2), (2, 1, 2)]).len(), 3);
        assert_eq!(kept(&[(3, 1, 1)]), ["(EndEntity, Key, Sha256)"]);
    }

    #[test]
    fn without_usable_records_there_is_tls_and_no_more() {
        let policy = Policy::new([Tlsa::new(0, 0, 1, [0; 32])], "mx.test", []);
        assert!(!policy.authenticates());
        let why: Vec<_> = policy.unusable().map(|(_, why)| why).collect();
        assert_eq!(why, [Unusable::Usage(0)]);
    }
}
