//! What DNS answers, and how far that can be trusted (RFC 4035 §4.3, RFC 7672 §2.1).

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::Proof;
use hickory_resolver::proto::dnssec::rdata::{DNSSECRData, SigInput};
use hickory_resolver::proto::op::{DnsResponse, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

/// Records of a name, at the end of its aliases.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The records. Empty when the name has none of that kind.
    pub records: Vec<T>,
    /// The name that has them: the one that was asked for, or the last one that it is an alias of. In small letters,
    /// without the last dot.
    pub name: String,
    /// Whether the name was an alias.
    pub is_alias: bool,
    /// Whether there is such a name, with records of whatever kind.
    pub exists: bool,
    /// Whether DNSSEC vouches for all of it, each alias included (RFC 7672 §2.1.3). With [`Dnssec::TrustAd`] a denial is
    /// never secure.
    ///
    /// [`Dnssec::TrustAd`]: crate::Dnssec::TrustAd
    pub secure: bool,
}

impl<T> Answer<T> {
    /// The same answer, with its records read; those that cannot be are left out.
    pub(super) fn filter_map<U>(self, read: impl FnMut(T) -> Option<U>) -> Answer<U> {
        Answer {
            records: self.records.into_iter().filter_map(read).collect(),
            name: self.name,
            is_alias: self.is_alias,
            exists: self.exists,
            secure: self.secure,
        }
    }
}

/// Why a lookup has no answer. All but [`NotAName`](Self::NotAName) are temporary.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The answer is forged, or its signatures are broken.
    #[error("{name}: DNSSEC validation failed")]
    Bogus {
        /// The name that was asked for.
        name: String,
    },
    /// There was no answer in time.
    #[error("{name}: no answer from DNS in time")]
    Silent {
        /// The name that was asked for.
        name: String,
    },
    /// The aliases are too many, or lead in a circle.
    #[error("{name}: too many aliases")]
    Aliases {
        /// The name that was asked for.
        name: String,
    },
    /// The server refused to answer, failed to, or cannot be reached.
    #[error("{name}: {error}")]
    Failed {
        /// The name that was asked for.
        name: String,
        /// What happened.
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This cannot be a name in DNS.
    #[error("\"{name}\" is no domain name")]
    NotAName {
        /// What was to be asked for.
        name: String,
    },
}

impl LookupError {
    /// Returns the result type of a TLS report, where TLSA records were looked up (RFC 8460 §4.3.2.1).
    pub fn result_type(&self) -> &'static str {
        match self {
            Self::NotAName { .. } => "tlsa-invalid",
            _ => "dnssec-invalid",
        }
    }

    pub(super) fn bogus(name: &Name) -> Self {
        Self::Bogus { name: text(name) }
    }

    pub(super) fn silent(name: &Name) -> Self {
        Self::Silent { name: text(name) }
    }

    pub(super) fn aliases(name: &Name) -> Self {
        Self::Aliases { name: text(name) }
    }

    fn failed(name: &Name, error: NetError) -> Self {
        Self::Failed {
            name: text(name),
            error: error.into(),
        }
    }
}

/// A name as it is written in addresses: in small letters, without the last dot.
pub(super) fn text(name: &Name) -> String {
    let name = name.to_lowercase().to_ascii();
    name.strip_suffix('.').unwrap_or(&name).to_owned()
}

/// The answer to one question, before aliases are followed.
#[derive(Debug)]
pub(super) struct Reply {
    /// Each with the validator's verdict, see [`trust`].
    pub(super) answers: Vec<Record>,
    pub(super) exists: bool,
    /// Whether it is proven that there is no more than the answers.
    pub(super) denial_is_secure: bool,
}

impl Reply {
    /// Reads what was answered to a question.
    pub(super) fn read(
        query: &Query,
        answer: Result<Message, NetError>,
    ) -> Result<Self, LookupError> {
        match answer {
            Ok(message) => {
                let (name, kind) = (query.name(), query.query_type());
                if message.answers.iter().any(is_from_wildcard) {
                    // RFC 4035 §5.3.4: a proof beside it denies the name itself.
                    is_proven(name, &message.authorities)?;
                }
                let is_own = |record: &Record| {
                    record.name == *name
                        && (record.record_type() == kind
                            || record.record_type() == RecordType::CNAME)
                };
                Ok(Self {
                    exists: message.metadata.response_code != ResponseCode::NXDomain,
                    // Records of other names alone are a denial.
                    denial_is_secure: !message.answers.iter().any(is_own)
                        && denial(name, &message.authorities)?,
                    answers: message.answers,
                })
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
                let authorities = none.authorities.as_deref().unwrap_or_default();
                Ok(Self {
                    answers: Vec::new(),
                    exists: none.response_code != ResponseCode::NXDomain,
                    denial_is_secure: denial(query.name(), authorities)?,
                })
            }
            Err(NetError::Dns(DnsError::DnssecBogus | DnsError::Nsec { .. })) => {
                Err(LookupError::bogus(query.name()))
            }
            Err(NetError::Timeout) => Err(LookupError::silent(query.name())),
            Err(error) => Err(LookupError::failed(query.name(), error)),
        }
    }
}

/// Whether records are secure.
///
/// The validator leaves none without a verdict. Those that have none are from the hosts file, or were not validated at
/// all: insecure, and no failure.
pub(super) fn trust<'a>(
    name: &Name,
    records: impl IntoIterator<Item = &'a Record>,
) -> Result<bool, LookupError> {
    let mut is_secure = true;
    for record in records {
        match record.proof {
            Proof::Secure => {}
            Proof::Bogus => return Err(LookupError::bogus(name)),
            _ => is_secure = false,
        }
    }
    Ok(is_secure)
}

/// Whether a denial that the validator let pass is secure.
///
/// The validator lets a denial pass as insecure when all records in its authority section are insecure. An attacker can
/// take these from any unsigned zone, so they count for names below them only.
fn denial(name: &Name, authorities: &[Record]) -> Result<bool, LookupError> {
    if is_proven(name, authorities)? {
        return Ok(true);
    }
    let is_insecure = |record: &&Record| record.proof == Proof::Insecure;
    let mut insecure = authorities.iter().filter(is_insecure).peekable();
    match insecure.peek().is_some() && !insecure.any(|record| record.name.zone_of(name)) {
        true => Err(LookupError::bogus(name)),
        false => Ok(false),
    }
}

/// Whether NSEC or NSEC3 records prove something about a name.
///
/// The validator accepts an NSEC record as proof for every name between its two names, whichever zone it belongs to. The
/// second name is the zone's own choice: with an NSEC record from `a.attacker.test` to `zzz`, one signed zone would deny
/// names of all others. So the record must be signed by a zone that the name lies in.
fn is_proven(name: &Name, authorities: &[Record]) -> Result<bool, LookupError> {
    let proofs = authorities.iter().filter(|record| {
        matches!(record.record_type(), RecordType::NSEC | RecordType::NSEC3)
            && record.proof == Proof::Secure
    });
    let mut is_any = false;
    for proof in proofs {
        let is_signed_above = authorities.iter().any(|record| match signature(record) {
            Some(input) => {
                record.name == proof.name
                    && input.type_covered == proof.record_type()
                    && record.proof == Proof::Secure
                    && input.signer_name.zone_of(name)
            }
            None => false,
        });
        if !is_signed_above {
            return Err(LookupError::bogus(name));
        }
        is_any = true;
    }
    Ok(is_any)
}

/// Whether this is the signature of records that were made from a wildcard.
fn is_from_wildcard(record: &Record) -> bool {
    signature(record).is_some_and(|input| input.num_labels < record.name.num_labels())
}

fn signature(record: &Record) -> Option<&SigInput> {
    match &record.data {
        RData::DNSSEC(DNSSECRData::RRSIG(signature)) => Some(signature.input()),
        _ => None,
    }
}

/// Returns what can be used of a response whose denial the validator refused; `None` when nothing can.
///
/// * An alias with a denial of its target, as resolvers send it: the validator takes the denial for one of the alias. The
///   alias itself is validated, and its target is asked for again. An alias from a wildcard depends on the denial, and is
///   refused.
/// * NSEC3 with more iterations than the validator computes: insecure (RFC 9276 §3.2), if the zone encloses the name.
pub(super) fn salvage(query: &Query, response: DnsResponse, proof: Proof) -> Option<Message> {
    let name = query.name();
    let mut message = response.into_message();
    if proof == Proof::Insecure {
        // Those of a zone lie at its names' digests, one label below it (RFC 5155 §3).
        let is_nsec3 = |record: &&Record| {
            record.record_type() == RecordType::NSEC3 && record.proof == Proof::Secure
        };
        let mut nsec3 = message.authorities.iter().filter(is_nsec3).peekable();
        let is_any = nsec3.peek().is_some();
        let is_above = nsec3.all(|record| record.name.base_name().zone_of(name));
        if !(is_above && is_any && message.answers.is_empty()) {
            return None;
        }
        for record in &mut message.authorities {
            record.proof = Proof::Indeterminate;
        }
        return Some(message);
    }
    if query.query_type() == RecordType::CNAME {
        return None;
    }
    let is_whole = message
        .answers
        .iter()
        .any(|record| match signature(record) {
            Some(input) => {
                record.name == *name
                    && input.type_covered == RecordType::CNAME
                    && input.num_labels == name.num_labels()
                    && record.proof == Proof::Secure
            }
            None => false,
        });
    let kept = message.answers.into_iter().filter(|record| {
        record.name == *name
            && record.record_type() == RecordType::CNAME
            && (record.proof == Proof::Insecure || record.proof == Proof::Secure && is_whole)
    });
    message.answers = kept.collect();
    message.authorities = Vec::new();
    message.metadata.response_code = ResponseCode::NoError;
    (!message.answers.is_empty()).then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_resolver::proto::dnssec::rdata::{NSEC, NSEC3, RRSIG};
    use hickory_resolver::proto::dnssec::{Algorithm, Nsec3HashAlgorithm};
    use hickory_resolver::proto::rr::SerialNumber;
    use hickory_resolver::proto::rr::rdata::TLSA;

    /// A validator's response with NSEC3 of this owner, which have too many iterations.
    fn salvaged(owner: &str, proof: Proof, answers: Vec<Record>) -> Option<Message> {
        let query = Query::query(
            Name::from_ascii("_25._tcp.mx.signed.test.").unwrap(),
            RecordType::TLSA,
        );
        let nsec3 = NSEC3::new(
            Nsec3HashAlgorithm::SHA1,
            false,
            200,
            vec![],
            vec![0; 20],
            [],
        );
        let rdata = RData::DNSSEC(DNSSECRData::NSEC3(nsec3));
        let mut message = Message::query();
        message.add_query(query.clone());
        message.add_answers(answers);
        message.add_authority(record(owner, rdata, proof));
        let response = DnsResponse::from_message(message.into_response()).unwrap();
        salvage(&query, response, Proof::Insecure)
    }

    fn record(owner: &str, rdata: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(Name::from_ascii(owner).unwrap(), 0, rdata);
        record.proof = proof;
        record
    }

    fn nsec(owner: &str) -> RData {
        let next = Name::from_ascii(owner).unwrap();
        RData::DNSSEC(DNSSECRData::NSEC(NSEC::new(next, [])))
    }

    /// The signature of a zone for records that have as many labels as the signature says.
    fn signed(zone: &str, kind: RecordType, labels: u8) -> RData {
        let input = SigInput {
            type_covered: kind,
            algorithm: Algorithm::ED25519,
            num_labels: labels,
            original_ttl: 0,
            sig_expiration: SerialNumber::new(0),
            sig_inception: SerialNumber::new(0),
            key_tag: 0,
            signer_name: Name::from_ascii(zone).unwrap(),
        };
        RData::DNSSEC(DNSSECRData::RRSIG(RRSIG::from_sig(input, vec![])))
    }

    fn read(answers: Vec<Record>, authorities: Vec<Record>) -> Result<Reply, LookupError> {
        let name = Name::from_ascii("_25._tcp.mx.signed.test.").unwrap();
        let mut message = Message::query();
        message.add_answers(answers);
        message.add_authorities(authorities);
        Reply::read(&Query::query(name, RecordType::TLSA), Ok(message))
    }

    #[test]
    fn what_answers_something_else_is_no_denial() {
        let address = || RData::A(std::net::Ipv4Addr::LOCALHOST.into());
        let other = |zone| record(zone, address(), Proof::Secure);
        let insecure = |zone| vec![record(zone, address(), Proof::Insecure)];
        for (beside, is_believed) in [
            ("plain.test.", false),
            ("x.signed.test.", false),
            ("test.", true),
        ] {
            let reply = read(vec![other("attacker.test.")], insecure(beside));
            assert_eq!(reply.is_ok(), is_believed, "{beside}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_names_that_its_own_zone_denies() {
        let own = "_25._tcp.mx.signed.test.";
        let tlsa = TLSA::new(3.into(), 1.into(), 1.into(), vec![0; 32]);
        for (labels, denied_by, is_believed) in [
            (5, "attacker.test.", true),
            (2, "signed.test.", true),
            (2, "test.", true),
            (2, "attacker.test.", false),
        ] {
            let answers = vec![
                record(own, RData::TLSA(tlsa.clone()), Proof::Secure),
                record(
                    own,
                    signed("signed.test.", RecordType::TLSA, labels),
                    Proof::Secure,
                ),
            ];
            let signature = signed(denied_by, RecordType::NSEC, 3);
            let authorities = vec![
                record(denied_by, nsec("zzz."), Proof::Secure),
                record(denied_by, signature, Proof::Secure),
            ];
            let reply = read(answers, authorities);
            assert_eq!(reply.is_ok(), is_believed, "{labels} {denied_by}");
        }
    }

    #[test]
    fn too_many_iterations_are_insecure_in_the_zone_itself() {
        assert!(salvaged("abc.signed.test.", Proof::Secure, vec![]).is_some());
        assert!(salvaged("abc.test.", Proof::Secure, vec![]).is_some());
        for (owner, proof) in [
            ("abc.attacker.test.", Proof::Secure),
            ("abc.signed.test.", Proof::Bogus),
            ("abc.signed.test.", Proof::Indeterminate),
        ] {
            assert!(salvaged(owner, proof, vec![]).is_none(), "{owner} {proof}");
        }
        let answer = RData::A(std::net::Ipv4Addr::LOCALHOST.into());
        let answer = Record::from_rdata(Name::from_ascii("x.test.").unwrap(), 0, answer);
        assert!(salvaged("abc.signed.test.", Proof::Secure, vec![answer]).is_none());
    }
}
