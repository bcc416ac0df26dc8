//! Keys of zones, signatures over their records, and the digests in the zone above (RFC 4034).

use hickory_proto::dnssec::crypto::Ed25519SigningKey;
use hickory_proto::dnssec::rdata::{DNSKEY, DNSSECRData, DS, RRSIG};
use hickory_proto::dnssec::{DigestType, DnssecSigner, PublicKey as _, SigningKey as _};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};
use std::time::Duration;
use time::OffsetDateTime;

/// How long signatures hold, before and after they are made.
const HOURS: Duration = Duration::from_secs(24 * 60 * 60);
/// The flags of a key that signs a zone and that the zone above has a digest of (RFC 4034 §2.1.1).
const ZONE_AND_ENTRY: u16 = 257;

/// The one key of a zone.
pub(crate) struct Key {
    signer: DnssecSigner,
    origin: Name,
    /// Its signatures do not hold.
    is_bogus: bool,
}

impl Key {
    pub(crate) fn new(origin: Name, is_bogus: bool) -> Self {
        let pkcs8 = Ed25519SigningKey::generate_pkcs8().unwrap();
        let key = Ed25519SigningKey::from_pkcs8(&pkcs8).unwrap();
        let public = key.to_public_key().unwrap();
        let dnskey = DNSKEY::with_flags(ZONE_AND_ENTRY, public);
        let signer = DnssecSigner::new(dnskey, Box::new(key), origin.clone(), 2 * HOURS);
        Self {
            signer,
            origin,
            is_bogus,
        }
    }

    pub(crate) fn dnskey(&self) -> RData {
        RData::DNSSEC(DNSSECRData::DNSKEY(self.signer.to_dnskey()))
    }

    /// What the zone above has of it.
    pub(crate) fn ds(&self) -> RData {
        let key = self.signer.dnskey();
        let digest = key.to_digest(&self.origin, DigestType::SHA256).unwrap();
        let ds = DS::new(
            key.calculate_key_tag().unwrap(),
            key.public_key().algorithm(),
            DigestType::SHA256,
            digest.as_ref().to_vec(),
        );
        RData::DNSSEC(DNSSECRData::DS(ds))
    }

    /// The line of a file of trust anchors.
    pub(crate) fn anchor(&self) -> String {
        format!("{} 3600 IN DNSKEY {}", self.origin, self.signer.dnskey())
    }

    /// Signs one set of records.
    pub(crate) fn sign(&self, name: &Name, kind: RecordType, records: &[Record]) -> Record {
        let mut set = RecordSet::with_ttl(
            name.clone(),
            kind,
            records.first().map_or(0, |record| record.ttl),
        );
        set.set_records(records.to_vec());
        let since = OffsetDateTime::now_utc() - HOURS;
        let mut signature = RRSIG::from_rrset(&set, DNSClass::IN, since, &self.signer).unwrap();
        // The key itself is right, as it is where somebody else forges what it signs.
        if self.is_bogus && kind != RecordType::DNSKEY {
            let mut octets = signature.sig().to_vec();
            octets[0] ^= 1;
            signature = RRSIG::from_sig(signature.input().clone(), octets);
        }
        let rdata = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        Record::from_rdata(name.clone(), set.ttl(), rdata)
    }
}
