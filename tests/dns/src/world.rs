//! All zones, and the answer to a question: as an authority makes it (RFC 1034 §4.3.2, RFC 4035 §3.1), with aliases
//! followed into other zones as a resolver does.

use hickory_proto::dnssec::rdata::{DNSSECRData, NSEC};
use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::rdata::{NS, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::signing::Key;
use crate::zone::{Fault, Signing, Zone, absolute};

/// Aliases that are followed for one answer.
const ALIASES: usize = 16;
/// Questions that are counted one by one. Further ones are counted together.
const COUNTED: usize = 10_000;

struct Held {
    zone: Zone,
    key: Option<Key>,
}

/// All zones.
pub(crate) struct World {
    zones: BTreeMap<Name, Held>,
    pub(crate) questions: usize,
    pub(crate) asked: HashMap<(Name, RecordType), usize>,
    /// It is a resolver that validates: it sets AD, and answers SERVFAIL for what is bogus.
    pub(crate) validates: bool,
}

/// What is sent for a question.
pub(crate) struct Reply {
    /// Nothing is, when there is none.
    pub(crate) message: Option<Message>,
    pub(crate) fault: Option<Fault>,
}

impl World {
    pub(crate) fn new(zones: impl IntoIterator<Item = Zone>) -> Self {
        let mut world = Self {
            zones: BTreeMap::new(),
            questions: 0,
            asked: HashMap::new(),
            validates: false,
        };
        world.put(Zone::new(".").signed());
        for zone in zones {
            world.put(zone);
        }
        world
    }

    /// Adds a zone, or replaces it. Its key stays, as long as it is signed as before.
    pub(crate) fn put(&mut self, zone: Zone) {
        let key = match (self.zones.remove(&zone.origin), zone.signing) {
            (Some(before), signing) if before.zone.signing == signing => before.key,
            (_, Signing::Unsigned) => None,
            (_, signing) => Some(Key::new(zone.origin.clone(), signing == Signing::Bogus)),
        };
        self.zones.insert(zone.origin.clone(), Held { zone, key });
    }

    pub(crate) fn take(&self, origin: &Name) -> Option<Zone> {
        self.zones.get(origin).map(|held| held.zone.clone())
    }

    pub(crate) fn trust_anchor(&self) -> String {
        let root = &self.zones[&Name::root()];
        root.key.as_ref().unwrap().anchor()
    }

    /// Answers a question, and counts it.
    pub(crate) fn answer(&mut self, request: &Message) -> Reply {
        let Some(query) = request.queries.first() else {
            return Reply {
                message: None,
                fault: None,
            };
        };
        let (name, kind) = (query.name().to_lowercase(), query.query_type());
        self.questions += 1;
        if self.asked.len() < COUNTED || self.asked.contains_key(&(name.clone(), kind)) {
            *self.asked.entry((name.clone(), kind)).or_default() += 1;
        }
        let fault = self.fault(&name, kind);
        let message = match &fault {
            Some(Fault::Silent) => None,
            Some(Fault::ServFail) => Some(failed(request, query, ResponseCode::ServFail)),
            Some(Fault::NxDomain) => Some(failed(request, query, ResponseCode::NXDomain)),
            Some(Fault::ForgedDenial(zone)) => {
                let mut message = failed(request, query, ResponseCode::NoError);
                let other = &self.zones[&absolute(zone)];
                message.add_authorities(self.set(other, &other.zone.origin, RecordType::SOA));
                Some(message)
            }
            Some(Fault::ForgedProof(zone)) => {
                let mut message = failed(request, query, ResponseCode::NXDomain);
                let other = &self.zones[&absolute(zone)];
                let owner = other.zone.name("a");
                let nsec = NSEC::new_cover_self(absolute("zzzz"), [RecordType::A]);
                let nsec = RData::DNSSEC(DNSSECRData::NSEC(nsec));
                let nsec = Record::from_rdata(owner.clone(), 0, nsec);
                let key = other.key.as_ref().unwrap();
                let signature = key.sign(&owner, RecordType::NSEC, std::slice::from_ref(&nsec));
                message.add_authorities([nsec, signature]);
                Some(message)
            }
            Some(Fault::Authentic) => {
                let mut message = self.resolve(request, query, name, kind);
                message.metadata.authentic_data = true;
                Some(message)
            }
            Some(Fault::Beside(other)) => {
                let mut message = self.resolve(request, query, name, kind);
                let other = absolute(other);
                let beside = self.set(self.zone_of(&other, kind), &other, kind);
                message.answers.splice(0..0, beside);
                Some(message)
            }
            _ => Some(self.resolve(request, query, name, kind)),
        };
        Reply { message, fault }
    }

    fn fault(&self, name: &Name, kind: RecordType) -> Option<Fault> {
        let mut faults = self.zones.values().filter_map(|held| {
            let (only, fault) = held.zone.faults.get(name)?;
            only.is_none_or(|only| only == kind).then(|| fault.clone())
        });
        faults.next()
    }

    fn resolve(
        &self,
        request: &Message,
        query: &Query,
        mut name: Name,
        kind: RecordType,
    ) -> Message {
        let mut message = failed(request, query, ResponseCode::NoError);
        let (mut is_authentic, mut is_bogus) = (true, false);
        let mut seen = BTreeSet::new();
        // A circle is answered once.
        while seen.len() < ALIASES && seen.insert(name.clone()) {
            let held = self.zone_of(&name, kind);
            is_authentic &= held.zone.signing == Signing::Signed && self.is_chained(held);
            is_bogus |= held.zone.signing == Signing::Bogus;
            let answers = self.set(held, &name, kind);
            if !answers.is_empty() {
                message.add_answers(answers);
                break;
            }
            let alias = held.zone.records.get(&(name.clone(), RecordType::CNAME));
            if let (Some([RData::CNAME(target)]), true) =
                (alias.map(Vec::as_slice), kind != RecordType::CNAME)
            {
                message.add_answers(self.set(held, &name, RecordType::CNAME));
                name = target.0.to_lowercase();
                continue;
            }
            self.deny(&mut message, held, &name);
            break;
        }
        let asks_dnssec = request
            .edns
            .as_ref()
            .is_some_and(|edns| edns.flags().dnssec_ok);
        if self.validates {
            if is_bogus {
                return failed(request, query, ResponseCode::ServFail);
            }
            let is_asked = asks_dnssec || request.metadata.authentic_data;
            message.metadata.authentic_data = is_authentic && is_asked;
        }
        message.maybe_strip_dnssec_records(asks_dnssec)
    }

    /// Whether the zones above are signed as well.
    fn is_chained(&self, held: &Held) -> bool {
        let above = self.zones.values();
        let mut above = above.filter(|other| other.zone.origin.zone_of(&held.zone.origin));
        above.all(|other| other.zone.signing == Signing::Signed)
    }

    /// The zone that a name lies in. Digests of a zone's keys lie in the one above.
    fn zone_of(&self, name: &Name, kind: RecordType) -> &Held {
        let zones = self.zones.values().filter(|held| {
            let origin = &held.zone.origin;
            origin.zone_of(name) && (kind != RecordType::DS || origin != name || origin.is_root())
        });
        zones
            .max_by_key(|held| held.zone.origin.num_labels())
            .unwrap()
    }

    /// The zones that are delegated by this one.
    fn delegated<'a>(&'a self, held: &'a Held) -> impl Iterator<Item = &'a Held> {
        let others = self.zones.values();
        others.filter(|other| {
            let origin = &other.zone.origin;
            !origin.is_root()
                && self.zone_of(origin, RecordType::DS).zone.origin == held.zone.origin
        })
    }

    /// Records of a name and kind, with their signature.
    fn set(&self, held: &Held, name: &Name, kind: RecordType) -> Vec<Record> {
        let (zone, is_apex) = (&held.zone, &held.zone.origin == name);
        let own = match kind {
            RecordType::SOA if is_apex => vec![soa(zone)],
            RecordType::NS if is_apex => vec![RData::NS(NS(absolute("ns.name-server.test.")))],
            RecordType::DNSKEY if is_apex => held.key.iter().map(Key::dnskey).collect(),
            // One that is not signed vouches for nothing.
            RecordType::DS if held.key.is_none() => Vec::new(),
            RecordType::DS => {
                let mut below = self.delegated(held);
                let child = below.find(|other| &other.zone.origin == name);
                let key = child.and_then(|child| child.key.as_ref());
                key.map(Key::ds).into_iter().collect()
            }
            RecordType::NSEC => self.nsec(held, name).into_iter().collect(),
            _ => {
                let own = zone.records.get(&(name.clone(), kind));
                own.cloned().unwrap_or_default()
            }
        };
        let own = own.into_iter();
        let mut all: Vec<Record> = own
            .map(|rdata| Record::from_rdata(name.clone(), zone.ttl, rdata))
            .collect();
        if let (Some(key), false) = (&held.key, all.is_empty()) {
            all.push(key.sign(name, kind, &all));
        }
        all
    }

    /// The names of a zone that have records, in the order of RFC 4034 §6.1, and their kinds.
    fn kinds(&self, held: &Held) -> BTreeMap<Name, BTreeSet<RecordType>> {
        let mut kinds = BTreeMap::<Name, BTreeSet<RecordType>>::new();
        for (name, kind) in held.zone.records.keys() {
            kinds.entry(name.clone()).or_default().insert(*kind);
        }
        let apex = kinds.entry(held.zone.origin.clone()).or_default();
        apex.extend([RecordType::SOA, RecordType::NS, RecordType::DNSKEY]);
        for other in self.delegated(held) {
            let cut = kinds.entry(other.zone.origin.clone()).or_default();
            cut.insert(RecordType::NS);
            if other.key.is_some() {
                cut.insert(RecordType::DS);
            }
        }
        kinds
    }

    fn nsec(&self, held: &Held, name: &Name) -> Option<RData> {
        held.key.as_ref()?;
        let kinds = self.kinds(held);
        let own = kinds.get(name)?;
        let after = kinds.range(name.clone()..).nth(1);
        let next = after.map_or(&held.zone.origin, |(next, _)| next);
        let nsec = NSEC::new_cover_self(next.clone(), own.iter().copied());
        Some(RData::DNSSEC(DNSSECRData::NSEC(nsec)))
    }

    /// Says that there are no such records, or no such name, and proves it (RFC 4035 §3.1.3).
    fn deny(&self, message: &mut Message, held: &Held, name: &Name) {
        let kinds = self.kinds(held);
        // A name that has only names below it is there as well.
        let is_there = kinds.keys().any(|other| name.zone_of(other));
        if !is_there {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        message.add_authorities(self.set(held, &held.zone.origin, RecordType::SOA));
        if held.key.is_none() {
            return;
        }
        let covering = |name: &Name| {
            let before = kinds.range(..=name.clone()).next_back();
            before.map_or(&held.zone.origin, |(name, _)| name).clone()
        };
        let mut proofs = BTreeSet::from([covering(name)]);
        if !is_there {
            let mut closest = name.base_name();
            while !kinds.keys().any(|other| closest.zone_of(other)) {
                closest = closest.base_name();
            }
            proofs.insert(covering(&closest.prepend_label("*").unwrap()));
        }
        for owner in proofs {
            message.add_authorities(self.set(held, &owner, RecordType::NSEC));
        }
    }
}

fn soa(zone: &Zone) -> RData {
    RData::SOA(SOA::new(
        absolute("ns.name-server.test."),
        absolute("postmaster.name-server.test."),
        1,
        3600,
        600,
        86_400,
        zone.ttl,
    ))
}

/// An answer without records.
pub(crate) fn failed(request: &Message, query: &Query, code: ResponseCode) -> Message {
    let mut message = Message::response(request.metadata.id, request.metadata.op_code);
    message.metadata.recursion_desired = request.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    message.add_query(query.clone());
    if let Some(asked) = &request.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        edns.set_dnssec_ok(asked.flags().dnssec_ok);
        message.set_edns(edns);
    }
    message
}
