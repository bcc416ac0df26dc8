//! What DNS says, and how far it is believed (RFC 7672 §2): a real server, with signed, unsigned and forged zones.

use hickory_resolver::proto::rr::rdata::{CAA, PTR, SRV};
use hickory_resolver::proto::rr::{Name, RData};
use hikyaku_relay::dns::{Dns, LookupError, NoRoute};
use hikyaku_relay::{Dnssec, Family, Options};
use hikyaku_test_dns::{DnsServer, Fault, RecordType, Zone};
use std::net::IpAddr;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(2);

fn options(server: &DnsServer, dnssec: Dnssec) -> Options {
    let mut options = Options::new("mail.here.test");
    options.dns = vec![server.address().to_string()];
    options.dns_timeout = PATIENCE;
    options.dnssec = dnssec;
    options
}

fn validating(server: &DnsServer) -> Dns {
    let anchors = Some(server.trust_anchor());
    Dns::new(&options(server, Dnssec::Validate { anchors })).unwrap()
}

fn trusting(server: &DnsServer) -> Dns {
    server.validates(true);
    Dns::new(&options(server, Dnssec::TrustAd)).unwrap()
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// The same records in three zones.
fn zones() -> [Zone; 3] {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let srv = SRV::new(0, 1, 993, name("MX.signed.test."));
    let caa = CAA::new_issue(false, Some(name("ca.test")), Vec::new());
    let fill = |zone: Zone| {
        zone.mx(10, "mx")
            .record("_imaps._tcp", RData::SRV(srv.clone()))
            .record("mx", RData::CAA(caa.clone()))
            .a("mx", "192.0.2.1")
            .a("mx", "2001:db8::1")
            .tlsa("_25._tcp.mx", 3, 1, 1, &[7; 32])
            .txt("note", "hello")
            .cname("alias", "mx")
    };
    [
        fill(Zone::new("signed.test").signed()),
        fill(Zone::new("plain.test")),
        fill(Zone::new("bogus.test").bogus()),
    ]
}

/// Every kind of answer, and whether it is secure; what failed, otherwise.
async fn all_of(dns: &Dns, zone: &str) -> Vec<(&'static str, Result<bool, LookupError>)> {
    let of = |name: &str| format!("{name}.{zone}");
    vec![
        (
            "MX",
            dns.mx(zone).await.map(|one| {
                assert_eq!((one.records.len(), one.name), (1, zone.to_owned()));
                one.secure
            }),
        ),
        (
            "A",
            dns.host(&of("mx")).await.map(|one| {
                assert_eq!(one.addresses, addresses(&["2001:db8::1", "192.0.2.1"]));
                one.secure
            }),
        ),
        (
            "CNAME",
            dns.cname(&of("alias")).await.map(|one| {
                assert_eq!((one.records, one.is_alias), (vec![of("mx")], false));
                one.secure
            }),
        ),
        (
            "TXT",
            dns.txt(&of("note")).await.map(|one| {
                assert_eq!(one.records, [b"hello"]);
                one.secure
            }),
        ),
        (
            "TLSA",
            dns.tlsa_at(&of("mx"), 25).await.map(|one| {
                assert_eq!(
                    one.records[0].to_string(),
                    format!("3 1 1 {}", "07".repeat(32))
                );
                one.secure
            }),
        ),
        (
            "SRV",
            dns.srv(&of("_imaps._tcp")).await.map(|one| {
                let srv = &one.records[0];
                assert_eq!((srv.port, &*srv.target), (993, "mx.signed.test"));
                one.secure
            }),
        ),
        (
            "CAA",
            dns.caa(&of("mx")).await.map(|one| {
                let caa = &one.records[0];
                assert_eq!((&*caa.tag, &*caa.value), ("issue", &b"ca.test"[..]));
                one.secure
            }),
        ),
        (
            "alias",
            dns.host(&of("alias")).await.map(|one| {
                assert_eq!((one.name, one.expanded), (of("alias"), of("mx")));
                one.secure
            }),
        ),
    ]
}

#[tokio::test]
async fn the_resolver_tells_secure_from_insecure_from_bogus() {
    let server = DnsServer::start(zones());
    let dns = validating(&server);
    for (kind, secure) in all_of(&dns, "signed.test").await {
        assert!(secure.unwrap(), "{kind}");
    }
    for (kind, secure) in all_of(&dns, "plain.test").await {
        assert!(!secure.unwrap(), "{kind}");
    }
    for (kind, secure) in all_of(&dns, "bogus.test").await {
        assert!(
            matches!(secure, Err(LookupError::Bogus { .. })),
            "{kind}: {secure:?}"
        );
    }
}

#[tokio::test]
async fn addresses_have_names() {
    let name = Name::from_ascii("Mail.one.test.").unwrap();
    let zone = Zone::new("2.0.192.in-addr.arpa").record("1", RData::PTR(PTR(name)));
    let server = DnsServer::start([zone]);
    let dns = Dns::new(&options(&server, Dnssec::Off)).unwrap();
    let found = dns.names("192.0.2.1".parse().unwrap()).await.unwrap();
    assert_eq!(found.records, ["mail.one.test"]);
    let none = dns.names("192.0.2.2".parse().unwrap()).await.unwrap();
    assert!(none.records.is_empty() && !none.exists);
}

#[tokio::test]
async fn a_resolver_nearby_may_tell_them_apart() {
    let server = DnsServer::start(zones());
    let dns = trusting(&server);
    for (kind, secure) in all_of(&dns, "signed.test").await {
        assert!(secure.unwrap(), "{kind}");
    }
    for (kind, secure) in all_of(&dns, "plain.test").await {
        assert!(!secure.unwrap(), "{kind}");
    }
    // It answers SERVFAIL.
    for (kind, secure) in all_of(&dns, "bogus.test").await {
        assert!(
            matches!(secure, Err(LookupError::Failed { .. })),
            "{kind}: {secure:?}"
        );
    }
    // One that is not named could be anybody's.
    let mut unnamed = options(&server, Dnssec::TrustAd);
    unnamed.dns.clear();
    assert!(Dns::new(&unnamed).is_err());
}

#[tokio::test]
async fn nothing_is_secure_when_nobody_validates() {
    let server = DnsServer::start(zones());
    server.validates(true);
    let dns = Dns::new(&options(&server, Dnssec::Off)).unwrap();
    for (kind, secure) in all_of(&dns, "signed.test").await {
        assert!(!secure.unwrap(), "{kind}");
    }
    let host = dns.host("mx.signed.test").await.unwrap();
    assert_eq!(dns.tlsa(&host, 25).await.unwrap(), None);
    assert_eq!(server.asked("_25._tcp.mx.signed.test", RecordType::TLSA), 1);
}

#[tokio::test]
async fn the_ad_bit_is_for_those_who_trust_it() {
    let server = DnsServer::start([Zone::new("plain.test")
        .txt("note", "x")
        .fault("note", Fault::Authentic)]);
    let off = Dns::new(&options(&server, Dnssec::Off)).unwrap();
    for (dns, believes) in [
        (off, false),
        (validating(&server), false),
        (trusting(&server), true),
    ] {
        let answer = dns.txt("note.plain.test").await.unwrap();
        assert_eq!(answer.secure, believes, "{dns:?}");
    }
}

#[tokio::test]
async fn a_zone_is_as_secure_as_those_above_it() {
    let fill = |zone: Zone| {
        zone.a("mx", "192.0.2.1")
            .tlsa("_25._tcp.mx", 3, 1, 1, &[7; 32])
    };
    let server = DnsServer::start([
        Zone::new("top").signed().txt("@", "top"),
        fill(Zone::new("signed.top").signed()),
        fill(Zone::new("deep.signed.top").signed()),
        fill(Zone::new("plain.signed.top")),
        Zone::new("unsigned").txt("@", "unsigned"),
        fill(Zone::new("island.unsigned").signed()),
        Zone::new("broken").bogus(),
        fill(Zone::new("signed.broken").signed()),
    ]);
    for set_up in [validating, trusting] {
        let dns = set_up(&server);
        for (zone, secure) in [
            ("signed.top", true),
            ("deep.signed.top", true),
            ("plain.signed.top", false),
            ("island.unsigned", false),
        ] {
            let host = dns.host(&format!("mx.{zone}")).await.unwrap();
            assert_eq!(host.secure, secure, "{zone}");
            let found = dns.tlsa(&host, 25).await.unwrap();
            assert_eq!(found.is_some(), secure, "{zone}");
            let none = dns.txt(&format!("none.{zone}")).await.unwrap();
            assert!(none.records.is_empty() && !none.exists, "{zone}");
        }
    }
    let dns = validating(&server);
    let broken = dns.host("mx.signed.broken").await;
    assert!(
        matches!(broken, Err(LookupError::Bogus { .. })),
        "{broken:?}"
    );
}

#[tokio::test]
async fn a_signed_zone_under_another_key_is_bogus() {
    let server = DnsServer::start(zones());
    let other = DnsServer::start([]);
    let anchors = Some(other.trust_anchor());
    let dns = Dns::new(&options(&server, Dnssec::Validate { anchors })).unwrap();
    // The root's own keys are others as well.
    let world = Dns::new(&options(&server, Dnssec::Validate { anchors: None })).unwrap();
    for dns in [dns, world] {
        let answer = dns.mx("signed.test").await;
        assert!(
            matches!(answer, Err(LookupError::Bogus { .. })),
            "{answer:?}"
        );
    }
    for unreadable in ["", "\n", ". IN DNSKEY 257 3"] {
        let anchors = Some(unreadable.to_owned());
        let options = options(&server, Dnssec::Validate { anchors });
        assert!(Dns::new(&options).is_err(), "{unreadable:?}");
    }
}

#[tokio::test]
async fn a_denial_is_believed_when_it_is_proven() {
    let server = DnsServer::start(zones());
    let dns = validating(&server);
    for (zone, secure) in [("signed.test", true), ("plain.test", false)] {
        // There is the name, and not the kind; a name between others; no name.
        for (name, exists) in [("mx", true), ("_tcp.mx", true), ("none", false)] {
            let answer = dns.txt(&format!("{name}.{zone}")).await.unwrap();
            assert!(answer.records.is_empty());
            assert_eq!(
                (answer.exists, answer.secure),
                (exists, secure),
                "{name}.{zone}"
            );
        }
    }
    let answer = dns.txt("none.bogus.test").await;
    assert!(
        matches!(answer, Err(LookupError::Bogus { .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_denial_without_proof_is_bogus_and_never_no_record() {
    let owner = "_25._tcp.mx.signed.test";
    for fault in [
        Fault::NxDomain,
        // The proof of another zone, which is insecure, proves nothing of this one.
        Fault::ForgedDenial("plain.test".into()),
        Fault::ForgedDenial("bogus.test".into()),
        // The proof of another zone, which is secure, says whatever that zone's owner likes.
        Fault::ForgedProof("attacker.test".into()),
    ] {
        let attacker = Zone::new("attacker.test").signed();
        let server = DnsServer::start(zones().into_iter().chain([attacker]));
        let dns = validating(&server);
        let host = dns.host("mx.signed.test").await.unwrap();
        server.change("signed.test", |zone| {
            zone.fault(&format!("{owner}."), fault.clone())
        });
        let answer = dns.tlsa(&host, 25).await;
        assert!(
            matches!(answer, Err(LookupError::Bogus { .. })),
            "{fault:?}: {answer:?}"
        );
        server.change("signed.test", |zone| zone.well(&format!("{owner}.")));
        assert!(dns.tlsa(&host, 25).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_lies_beside_an_answer_is_none() {
    let attacker = Zone::new("attacker.test")
        .signed()
        .tlsa("other", 3, 1, 1, &[66; 32])
        .mx_of("other", 1, "mx")
        .txt("other", "not this");
    let server = DnsServer::start(zones().into_iter().chain([attacker]));
    let dns = validating(&server);
    server.change("signed.test", |zone| {
        let beside = || Fault::Beside("other.attacker.test".into());
        let zone = zone.fault("_25._tcp.mx", beside());
        zone.fault("@", beside()).fault("note", beside())
    });
    for (kind, secure) in all_of(&dns, "signed.test").await {
        assert!(secure.unwrap(), "{kind}");
    }
}

#[tokio::test]
async fn what_is_silent_or_fails_is_a_failure_for_now() {
    let server = DnsServer::start(zones());
    let dns = validating(&server);
    server.change("signed.test", |zone| {
        zone.txt("slow", "late")
            .fault("slow", Fault::Slow(Duration::from_millis(300)))
            .txt("large", &"x".repeat(4000))
            .txt("cut", "whole")
            .fault("cut", Fault::Truncated)
            .fault("silent", Fault::Silent)
            .fault("fails", Fault::ServFail)
    });
    let began = Instant::now();
    let silent = dns.txt("silent.signed.test").await;
    assert!(
        matches!(silent, Err(LookupError::Silent { .. })),
        "{silent:?}"
    );
    assert!(began.elapsed() < 2 * PATIENCE);
    let fails = dns.txt("fails.signed.test").await;
    assert!(
        matches!(fails, Err(LookupError::Failed { .. })),
        "{fails:?}"
    );
    assert_eq!(
        dns.txt("slow.signed.test").await.unwrap().records,
        [b"late"]
    );
    // Over TCP.
    assert_eq!(
        dns.txt("cut.signed.test").await.unwrap().records,
        [b"whole"]
    );
    assert_eq!(
        dns.txt("large.signed.test").await.unwrap().records[0].len(),
        4000
    );
}

#[tokio::test]
async fn answers_are_kept_as_long_as_they_may_be() {
    let kept = Zone::new("kept.test").signed().ttl(300).txt("@", "1");
    let server = DnsServer::start([kept, Zone::new("fresh.test").txt("@", "1")]);
    let dns = validating(&server);
    for zone in ["kept.test", "fresh.test"] {
        assert_eq!(dns.txt(zone).await.unwrap().records, [b"1"]);
        server.change(zone, |one| one.remove("@", RecordType::TXT).txt("@", "2"));
    }
    let again = dns.txt("kept.test").await.unwrap();
    assert_eq!((again.records, again.secure), (vec![b"1".to_vec()], true));
    assert_eq!(server.asked("kept.test", RecordType::TXT), 1);
    assert_eq!(dns.txt("fresh.test").await.unwrap().records, [b"2"]);
    assert_eq!(server.asked("fresh.test", RecordType::TXT), 2);
}

/// Aliases from each kind of zone into each other one.
fn aliases() -> DnsServer {
    DnsServer::start([
        Zone::new("signed.test")
            .signed()
            .a("host", "192.0.2.1")
            .cname("own", "host")
            .cname("out", "host.plain.test.")
            .cname("forged", "host.bogus.test.")
            .cname("nowhere", "none.other.test.")
            .cname("round", "about")
            .cname("about", "round"),
        Zone::new("plain.test")
            .a("host", "192.0.2.2")
            .cname("in", "host.signed.test."),
        Zone::new("bogus.test").bogus().a("host", "192.0.2.3"),
        Zone::new("other.test").signed().a("host", "192.0.2.4"),
    ])
}

#[tokio::test]
async fn one_insecure_alias_makes_all_of_it_insecure() {
    let server = aliases();
    for set_up in [validating, trusting] {
        let dns = set_up(&server);
        for (name, expanded, secure) in [
            ("own.signed.test", "host.signed.test", true),
            ("out.signed.test", "host.plain.test", false),
            ("in.plain.test", "host.signed.test", false),
        ] {
            let host = dns.host(name).await.unwrap();
            assert_eq!(
                (host.expanded.as_str(), host.secure),
                (expanded, secure),
                "{name}"
            );
        }
        assert!(dns.host("forged.signed.test").await.is_err());
        let round = dns.host("round.signed.test").await;
        assert!(
            matches!(round, Err(LookupError::Aliases { .. })),
            "{round:?}"
        );
        // The alias is there, and what it leads to is not.
        let nowhere = dns.txt("nowhere.signed.test").await.unwrap();
        assert_eq!(
            (nowhere.name.as_str(), nowhere.exists),
            ("none.other.test", false)
        );
    }
}

#[tokio::test]
async fn the_base_domain_is_the_expanded_name_and_else_the_original() {
    // RFC 7672 §3.2.2 has these names.
    let server = DnsServer::start([
        Zone::new("example.com")
            .signed()
            .a("mx10", "192.0.2.10")
            .tlsa("_25._tcp.mx10", 3, 1, 1, &[10; 32])
            .cname("mx15", "mxbackup")
            .a("mxbackup", "192.0.2.15")
            .tlsa("_25._tcp.mx15", 3, 1, 1, &[15; 32])
            .cname("mx20", "mxbackup.example.net.")
            .tlsa("_25._tcp.mx20", 3, 1, 1, &[21; 32])
            .cname("mx30", "host.plain.test.")
            .tlsa("_25._tcp.mx30", 3, 1, 1, &[30; 32])
            .cname("mx40", "host.plain.test.")
            .a("mx50", "192.0.2.50")
            .cname("_25._tcp.mx50", "shared._dane")
            .tlsa("shared._dane", 2, 0, 1, &[50; 32])
            .a("mx60", "192.0.2.60")
            .cname("_25._tcp.mx60", "tlsa.plain.test.")
            .a("bare", "192.0.2.70"),
        Zone::new("example.net")
            .signed()
            .a("mxbackup", "198.51.100.20")
            .tlsa("_25._tcp.mxbackup", 3, 1, 1, &[20; 32]),
        Zone::new("plain.test")
            .a("host", "192.0.2.30")
            .tlsa("_25._tcp.host", 3, 1, 1, &[99; 32])
            .tlsa("tlsa", 3, 1, 1, &[99; 32])
            .cname("mx", "mx10.example.com."),
    ]);
    for set_up in [validating, trusting] {
        let dns = set_up(&server);
        for (name, expected) in [
            ("mx10.example.com", Some(("mx10.example.com", 10))),
            // Nothing at the expanded name.
            ("mx15.example.com", Some(("mx15.example.com", 15))),
            ("mx20.example.com", Some(("mxbackup.example.net", 20))),
            // The host is insecure, and its alias is not.
            ("mx30.example.com", Some(("mx30.example.com", 30))),
            ("mx40.example.com", None),
            // Aliases of the records do not change the base domain.
            ("mx50.example.com", Some(("mx50.example.com", 50))),
            ("mx60.example.com", None),
            ("bare.example.com", None),
            ("host.plain.test", None),
            ("mx.plain.test", None),
        ] {
            let host = dns.host(name).await.unwrap();
            let found = dns.tlsa(&host, 25).await.unwrap();
            let found = found.map(|(base, records)| (base, records[0].data[0]));
            let expected = expected.map(|(base, mark)| (base.to_owned(), mark));
            assert_eq!(found, expected, "{name}");
        }
        // Insecure zones' servers are not asked for TLSA: some fail for it.
        for owner in ["_25._tcp.host.plain.test", "_25._tcp.mx.plain.test"] {
            assert_eq!(server.asked(owner, RecordType::TLSA), 0, "{owner}");
        }
    }
}

#[tokio::test]
async fn a_host_whose_tlsa_lookup_fails_is_not_to_be_used() {
    let server = DnsServer::start(zones());
    let dns = validating(&server);
    let host = dns.host("mx.signed.test").await.unwrap();
    for fault in [Fault::ServFail, Fault::Silent] {
        server.change("signed.test", |zone| {
            zone.fault("_25._tcp.mx", fault.clone())
        });
        assert!(dns.tlsa(&host, 25).await.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn dane_needs_secure_mx_records() {
    let server = DnsServer::start([
        Zone::new("signed.test")
            .signed()
            .mx(10, "mx")
            .a("mx", "192.0.2.1")
            .tlsa("_25._tcp.mx", 3, 1, 1, &[1; 32])
            .a("bare", "192.0.2.1")
            .tlsa("_25._tcp.bare", 3, 1, 1, &[1; 32])
            .mx_of("plain", 10, "mx.plain.test."),
        Zone::new("plain.test")
            .mx(10, "mx.signed.test.")
            .a("mx", "192.0.2.1"),
        Zone::new("alias.test")
            .signed()
            .cname("mail", "signed.test."),
        Zone::new("bogus.test").bogus().mx(10, "mx.signed.test."),
    ]);
    let dns = validating(&server);
    for (domain, is_secure, names) in [
        (
            "signed.test",
            true,
            Some(vec!["mx.signed.test", "signed.test"]),
        ),
        // The domain's alias is followed, and both of its names are good.
        (
            "mail.alias.test",
            true,
            Some(vec!["mx.signed.test", "mail.alias.test", "signed.test"]),
        ),
        // Without MX records, the domain is the host.
        ("bare.signed.test", true, Some(vec!["bare.signed.test"])),
        ("plain.test", false, None),
        ("plain.signed.test", true, None),
    ] {
        let destination = dns.destination(domain).await.unwrap();
        assert_eq!(destination.secure, is_secure, "{domain}");
        let host = destination.hosts[0].host.as_ref().unwrap();
        let policy = dns.dane(&destination, host).await.unwrap();
        let found = policy
            .as_ref()
            .map(|policy| policy.names().collect::<Vec<_>>());
        assert_eq!(found, names, "{domain}");
    }
    let bogus = dns.destination("bogus.test").await;
    assert!(matches!(bogus, Err(NoRoute::Temporary(_))), "{bogus:?}");
    // Of a destination that was found insecurely, only the host is known.
    let destination = dns.destination("plain.test").await.unwrap();
    let host = destination.hosts[0].host.as_ref().unwrap();
    let names = destination.reference_identifiers(host, "mx.signed.test");
    assert_eq!(names, ["mx.signed.test"]);
}

#[tokio::test]
async fn mx_records_lead_to_hosts_and_addresses_do_not() {
    let server = DnsServer::start([Zone::new("plain.test")
        .mx(10, "192.0.2.9.")
        .mx(20, "mx")
        .mx(30, "gone")
        .mx(40, "mute")
        .mx(50, "localhost.")
        .a("mx", "192.0.2.1")
        .a("mx", "192.0.2.2")
        .a("mx", "2001:db8::1")
        .a("mx", "2001:db8::2")
        .a("mx", "2001:db8::3")
        .fault("mute", Fault::Silent)
        .mx_of("literal", 10, "192.0.2.9.")
        .mx_of("null", 0, ".")
        .cname("alias", "plain.test.")
        .cname("hop", "mx")]);
    let mut options = options(&server, Dnssec::Off);
    for (family, expected) in [
        (
            Family::V6,
            [
                "2001:db8::1",
                "192.0.2.1",
                "2001:db8::2",
                "192.0.2.2",
                "2001:db8::3",
            ],
        ),
        (
            Family::V4,
            [
                "192.0.2.1",
                "2001:db8::1",
                "192.0.2.2",
                "2001:db8::2",
                "2001:db8::3",
            ],
        ),
    ] {
        options.first_family = family;
        let dns = Dns::new(&options).unwrap();
        let destination = dns.destination("plain.test").await.unwrap();
        let hosts = destination.hosts.iter();
        let preferences: Vec<u16> = hosts.map(|one| one.preference).collect();
        assert_eq!(preferences, [20, 30, 40, 50], "addresses are no hosts");
        let [mx, gone, mute, local] = destination.hosts.as_slice() else {
            panic!("{destination:?}");
        };
        assert_eq!(mx.host.as_ref().unwrap().addresses, addresses(&expected));
        assert!(matches!(&gone.host, Err(NoRoute::Permanent(why)) if why.starts_with("550 5.1.2")));
        assert!(matches!(&mute.host, Err(NoRoute::Temporary(_))));
        // What this server itself means is the caller's to say.
        assert_eq!(local.host.as_ref().unwrap().name, "localhost");
    }
    let dns = Dns::new(&options).unwrap();
    for (domain, expected) in [
        ("literal.plain.test", "550 5.4.4"),
        ("null.plain.test", "556 5.1.10"),
        ("none.plain.test", "550 5.1.2"),
        ("[no.address]", "550 5.1.2"),
    ] {
        let refused = dns.destination(domain).await;
        let is_expected =
            matches!(&refused, Err(NoRoute::Permanent(why)) if why.starts_with(expected));
        assert!(is_expected, "{domain}: {refused:?}");
    }
    let alias = dns.destination("alias.plain.test").await.unwrap();
    assert_eq!(
        (alias.has_mx, alias.expanded.as_str()),
        (true, "plain.test")
    );
    let hop = dns.destination("hop.plain.test").await.unwrap();
    let host = hop.hosts[0].host.as_ref().unwrap();
    assert_eq!((hop.has_mx, host.name.as_str()), (false, "hop.plain.test"));
    assert_eq!(host.expanded, "mx.plain.test");
    let literal = dns.destination("[192.0.2.5]").await.unwrap();
    let host = literal.hosts[0].host.as_ref().unwrap();
    assert_eq!(host.addresses, addresses(&["192.0.2.5"]));
    assert_eq!(dns.dane(&literal, host).await.unwrap(), None);
}

#[tokio::test]
async fn one_family_is_enough() {
    let server = DnsServer::start([Zone::new("plain.test")
        .a("four", "192.0.2.1")
        .fault_of("four", RecordType::AAAA, Fault::ServFail)
        .a("none", "192.0.2.1")
        .remove("none", RecordType::A)
        .txt("none", "x")
        .fault_of("none", RecordType::AAAA, Fault::ServFail)]);
    let dns = Dns::new(&options(&server, Dnssec::Off)).unwrap();
    let four = dns.host("four.plain.test").await.unwrap();
    assert_eq!(four.addresses, addresses(&["192.0.2.1"]));
    // It may have an address of the family that nobody knows.
    assert!(dns.host("none.plain.test").await.is_err());
}
