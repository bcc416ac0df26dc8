//! A zone as a test sets it up: its records, how it is signed, and which of its names misbehave.

use hickory_proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, TLSA, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use hickory_proto::serialize::txt::Parser;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Signing {
    /// Not at all: its answers are provably insecure.
    #[default]
    Unsigned,
    /// Rightly: its answers are secure.
    Signed,
    /// With signatures that do not hold: its answers are bogus.
    Bogus,
}

/// How a name misbehaves.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Questions about it get no answer.
    Silent,
    /// They get SERVFAIL.
    ServFail,
    /// They get NXDOMAIN, without proof.
    NxDomain,
    /// They are answered over TCP alone; over UDP the answer is truncated.
    Truncated,
    /// They are answered after a while.
    Slow(Duration),
    /// They get "no such records" with the SOA of this other zone beside it, as an attacker would send it.
    ForgedDenial(String),
    /// They are answered with the AD bit, which says nothing.
    Authentic,
    /// They are answered, and records of the same kind of this other name, which is complete, lie beside.
    Beside(String),
    /// They get NXDOMAIN with a proof that this other zone signed, for all names after its own.
    ForgedProof(String),
}

/// A zone: its records, and how it is signed. See the crate's page for names.
#[derive(Debug, Clone)]
pub struct Zone {
    pub(crate) origin: Name,
    pub(crate) signing: Signing,
    pub(crate) ttl: u32,
    pub(crate) records: BTreeMap<(Name, RecordType), Vec<RData>>,
    pub(crate) faults: BTreeMap<Name, (Option<RecordType>, Fault)>,
}

impl Zone {
    /// Creates a zone without records and signatures. Its records may not be cached.
    ///
    /// # Panics
    /// `origin` is no domain name. The methods that follow panic in the same way.
    pub fn new(origin: &str) -> Self {
        Self {
            origin: absolute(origin),
            signing: Signing::Unsigned,
            ttl: 0,
            records: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Signs the zone.
    #[must_use]
    pub fn signed(mut self) -> Self {
        self.signing = Signing::Signed;
        self
    }

    /// Signs the zone with signatures that do not hold.
    #[must_use]
    pub fn bogus(mut self) -> Self {
        self.signing = Signing::Bogus;
        self
    }

    /// Sets how long records may be cached, in seconds.
    #[must_use]
    pub fn ttl(mut self, seconds: u32) -> Self {
        self.ttl = seconds;
        self
    }

    /// Adds a mail exchanger of the zone itself.
    #[must_use]
    pub fn mx(self, preference: u16, exchange: &str) -> Self {
        self.mx_of("@", preference, exchange)
    }

    /// Adds a mail exchanger of a name.
    #[must_use]
    pub fn mx_of(self, name: &str, preference: u16, exchange: &str) -> Self {
        let exchange = self.name(exchange);
        self.record(name, RData::MX(MX::new(preference, exchange)))
    }

    /// Adds an address, of either family.
    #[must_use]
    pub fn a(self, name: &str, address: &str) -> Self {
        let rdata = match address.parse().unwrap() {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        self.record(name, rdata)
    }

    /// Adds the name of an address: in the zone `in-addr.arpa`, `name` is the address backwards.
    #[must_use]
    pub fn ptr(self, name: &str, target: &str) -> Self {
        let target = self.name(target);
        self.record(name, RData::PTR(PTR(target)))
    }

    /// Adds an alias.
    #[must_use]
    pub fn cname(self, name: &str, target: &str) -> Self {
        let target = self.name(target);
        self.record(name, RData::CNAME(CNAME(target)))
    }

    /// Adds a text of one string for each 255 octets.
    #[must_use]
    pub fn txt(self, name: &str, text: &str) -> Self {
        let strings = text.as_bytes().chunks(255);
        let strings = strings.map(|one| String::from_utf8_lossy(one).into_owned());
        self.record(name, RData::TXT(TXT::new(strings.collect())))
    }

    /// Adds a TLSA record (RFC 6698 §2.1). `name` is complete, as in `_25._tcp.mx`.
    #[must_use]
    pub fn tlsa(self, name: &str, usage: u8, selector: u8, matching: u8, data: &[u8]) -> Self {
        let rdata = TLSA::new(
            CertUsage::from(usage),
            Selector::from(selector),
            Matching::from(matching),
            data.to_vec(),
        );
        self.record(name, RData::TLSA(rdata))
    }

    /// Adds any other record.
    #[must_use]
    pub fn record(mut self, name: &str, rdata: RData) -> Self {
        let key = (self.name(name), rdata.record_type());
        self.records.entry(key).or_default().push(rdata);
        self
    }

    /// Adds the records of a zone file (RFC 1035 §5), which lie in this zone.
    #[must_use]
    pub fn load(mut self, file: &str) -> Self {
        let text = format!("$TTL {}\n{}", self.ttl, one_line_each(file));
        let parser = Parser::new(text, None, Some(self.origin.clone()));
        let (_, sets) = parser.parse().unwrap();
        for record in sets.values().flat_map(|set| set.records_without_rrsigs()) {
            let name = record.name.to_lowercase();
            assert!(self.origin.zone_of(&name), "{name}");
            let key = (name, record.record_type());
            self.records
                .entry(key)
                .or_default()
                .push(record.data.clone());
        }
        self
    }

    /// Removes the records of a name that are of one kind.
    #[must_use]
    pub fn remove(mut self, name: &str, kind: RecordType) -> Self {
        self.records.remove(&(self.name(name), kind));
        self
    }

    /// Returns the first text of a name, its strings joined.
    pub fn text(&self, name: &str) -> Option<String> {
        let key = (self.name(name), RecordType::TXT);
        let first = self.records.get(&key)?.first()?;
        match first {
            RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
            _ => None,
        }
    }

    /// Returns the first name that has records of a kind, complete.
    pub fn name_of(&self, kind: RecordType) -> Option<String> {
        let mut all = self.records.keys();
        let (name, _) = all.find(|(_, other)| *other == kind)?;
        Some(name.to_ascii())
    }

    /// Makes a name misbehave, whatever it is asked.
    #[must_use]
    pub fn fault(mut self, name: &str, fault: Fault) -> Self {
        self.faults.insert(self.name(name), (None, fault));
        self
    }

    /// Makes a name misbehave when it is asked for one kind of records.
    #[must_use]
    pub fn fault_of(mut self, name: &str, kind: RecordType, fault: Fault) -> Self {
        self.faults.insert(self.name(name), (Some(kind), fault));
        self
    }

    /// Lets a name behave again.
    #[must_use]
    pub fn well(mut self, name: &str) -> Self {
        self.faults.remove(&self.name(name));
        self
    }

    /// The complete name.
    pub(crate) fn name(&self, relative: &str) -> Name {
        match relative {
            "@" => self.origin.clone(),
            name if name.ends_with('.') => absolute(name),
            name => {
                let name = Name::from_ascii(name).unwrap();
                name.append_domain(&self.origin).unwrap().to_lowercase()
            }
        }
    }
}

/// A zone file with each record on one line, without parentheses and comments: the parser knows no strings in parentheses.
fn one_line_each(file: &str) -> String {
    let (mut quoted, mut comment, mut depth) = (false, false, 0);
    let mut text = String::new();
    for letter in file.chars() {
        match letter {
            '\n' => {
                comment = false;
                text.push(if depth > 0 { ' ' } else { '\n' });
            }
            _ if comment => {}
            '"' => {
                quoted = !quoted;
                text.push('"');
            }
            ';' if !quoted => comment = true,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            letter => text.push(letter),
        }
    }
    text
}

/// The name, complete and in small letters.
pub(crate) fn absolute(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap().to_lowercase();
    name.set_fqdn(true);
    name
}
