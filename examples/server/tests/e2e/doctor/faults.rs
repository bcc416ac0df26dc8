//! What can be wrong with a domain: each is put in alone.

use super::front::Manner;
use super::papers::Flaw;
use crate::zone::issue;
use hickory_resolver::proto::rr::rdata::caa::KeyValue;
use hickory_resolver::proto::rr::rdata::{CAA, PTR, SRV};
use hickory_resolver::proto::rr::{Name, RData};
use hikyaku_test_dns::{Fault as Misbehaviour, RecordType, Zone};
use mailserver::Config;

/// How something is put in.
#[derive(Clone, Copy)]
pub(super) enum Change {
    /// In the zone `test`; the other argument is the beginning of all addresses of the world.
    Dns(fn(Zone, &str) -> Zone),
    /// In the zone of the reverse names.
    Reverse(fn(Zone) -> Zone),
    Port25(Manner),
    Certificate(Flaw),
    /// The clock of the others is ahead by so many seconds.
    Clock(i64),
    Config(fn(&mut Config)),
    Both(fn(Zone, &str) -> Zone, fn(&mut Config)),
    /// The configuration names the key of another certificate.
    Key,
}

/// Something that is wrong, or could be better, and what is to be reported of it.
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) change: Change,
    /// `{address}` is the server's, `{net}` its network; `{smtp}` and `{imaps}` are its ports.
    pub(super) expected: &'static [&'static str],
}

fn fault(name: &'static str, change: Change, expected: &'static [&'static str]) -> Fault {
    Fault {
        name,
        change,
        expected,
    }
}

fn dns(
    name: &'static str,
    change: fn(Zone, &str) -> Zone,
    expected: &'static [&'static str],
) -> Fault {
    fault(name, Change::Dns(change), expected)
}

/// Puts a text in the place of those of a name.
fn text(zone: Zone, name: &str, text: &str) -> Zone {
    zone.remove(name, RecordType::TXT).txt(name, text)
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn srv(port: u16, target: &str) -> RData {
    RData::SRV(SRV::new(0, 1, port, name(target)))
}

const RSA: &str = "r1._domainkey.one";
const MX: &str = "zone: one.test. IN MX 10 mail.one.test.";
const SPF: &str = "zone: one.test. IN TXT \"v=spf1 mx -all\"";
const DKIM: &str = "zone: r1._domainkey.one.test. IN TXT ( \"v=DKIM1; k=rsa; p=";
const DMARC: &str =
    "zone: _dmarc.one.test. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:postmaster@one.test\"";
const STS: &str = "zone: _mta-sts.one.test. IN TXT \"v=STSv1; id=1\"";
const REPORTS: &str =
    "zone: _smtp._tls.one.test. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@one.test\"";
const ADDRESS: &str = "zone: mail.one.test. IN A {address}";
const IMAPS: &str = "zone: _imaps._tcp.one.test. IN SRV 0 1 {imaps} mail.one.test.";

/// What is in the zone.
pub(super) fn in_dns() -> Vec<Fault> {
    let mut all = hosts();
    all.extend(mail());
    all.extend(policies());
    all.extend(programs());
    all
}

fn hosts() -> Vec<Fault> {
    vec![
        dns(
            "no MX",
            |zone, _| zone.remove("one", RecordType::MX),
            &["MX of one.test: none", MX],
        ),
        dns(
            "MX to another host",
            |zone, _| {
                zone.remove("one", RecordType::MX)
                    .mx_of("one", 10, "mx.other")
            },
            &["MX of one.test: mx.other.test", MX],
        ),
        dns(
            "MX to an alias",
            |zone, _| {
                let zone = zone.remove("one", RecordType::MX);
                zone.mx_of("one", 10, "alias").cname("alias", "mail.one")
            },
            &["an alias of mail.one.test", MX],
        ),
        dns(
            "MX to an address",
            |zone, net| {
                let zone = zone.remove("one", RecordType::MX);
                zone.mx_of("one", 10, &format!("{net}.1."))
            },
            &["an address where a name has to be", MX],
        ),
        dns(
            "null MX",
            |zone, _| zone.remove("one", RecordType::MX).mx_of("one", 0, "."),
            &["takes no mail", MX],
        ),
        dns(
            "no address",
            |zone, _| zone.remove("mail.one", RecordType::A),
            &["address of mail.one.test: none", ADDRESS],
        ),
        dns(
            "another address",
            |zone, net| {
                let zone = zone.remove("mail.one", RecordType::A);
                zone.a("mail.one", &format!("{net}.9"))
            },
            &[
                "address of mail.one.test: {net}.9",
                ADDRESS,
                "take {net}.9 out",
            ],
        ),
        dns(
            "one address too many",
            |zone, _| zone.a("mail.one", "2001:db8::9"),
            &["wanted: {address}", "take 2001:db8::9 out"],
        ),
        fault(
            "no reverse name",
            Change::Reverse(|zone| zone.remove("1", RecordType::PTR)),
            &[
                "reverse name of {address}: none",
                "in-addr.arpa. IN PTR mail.one.test.",
                "ask whoever gives you {address}",
            ],
        ),
        fault(
            "a reverse name that leads elsewhere",
            Change::Reverse(|zone| {
                let zone = zone.remove("1", RecordType::PTR);
                zone.record("1", RData::PTR(PTR(name("mx.other.test."))))
            }),
            &[
                "mx.other.test, which does not lead back",
                "IN PTR mail.one.test.",
            ],
        ),
    ]
}

fn mail() -> Vec<Fault> {
    vec![
        dns(
            "no SPF",
            |zone, _| zone.remove("one", RecordType::TXT),
            &["SPF of one.test: none", SPF],
        ),
        dns(
            "two SPF records",
            |zone, _| zone.txt("one", "v=spf1 -all"),
            &["SPF of one.test", "several records", SPF],
        ),
        dns(
            "SPF of others alone",
            |zone, _| text(zone, "one", "v=spf1 ip4:192.0.2.1 -all"),
            &[
                "fail for {address}, by \"-all\"",
                "zone: one.test. IN TXT \"v=spf1 mx ip4:192.0.2.1 -all\"",
            ],
        ),
        dns(
            "SPF that lets nobody pass",
            |zone, _| text(zone, "one", "v=spf1 a:mx.other.test ~all"),
            &[
                "softfail for {address}",
                "zone: one.test. IN TXT \"v=spf1 mx a:mx.other.test ~all\"",
            ],
        ),
        dns(
            "SPF for everybody",
            |zone, _| text(zone, "one", "v=spf1 mx +all"),
            &["anyone may send in your name", SPF],
        ),
        dns(
            "SPF for everybody with IPv6",
            |zone, _| text(zone, "one", "v=spf1 mx ip6:::/0 -all"),
            &["anyone may send in your name", SPF],
        ),
        fault(
            "a smarthost that SPF does not let pass",
            Change::Both(|zone, _| zone.a("smart", "192.0.43.8"), smarthost),
            &[
                "SPF of one.test: fail for 192.0.43.8, by \"-all\"",
                "wanted: pass for smart.test, through which mail leaves",
                "do: put what whoever runs smart.test says",
            ],
        ),
        fault(
            "no SPF with a smarthost of a private network",
            Change::Both(
                |zone, net| {
                    let zone = zone.a("smart", &format!("{net}.3"));
                    zone.remove("one", RecordType::TXT)
                },
                smarthost,
            ),
            &[
                "SPF of one.test: none",
                "do: put what whoever runs smart.test says",
            ],
        ),
        dns(
            "SPF that is none",
            |zone, _| text(zone, "one", "v=spf1 mx al"),
            &["it cannot be used", SPF],
        ),
        dns(
            "SPF of the server that fails",
            |zone, _| text(zone, "mail.one", "v=spf1 -all"),
            &[
                "SPF of mail.one.test: fail",
                "zone: mail.one.test. IN TXT \"v=spf1 a -all\"",
            ],
        ),
        dns(
            "no DKIM record",
            |zone, _| zone.remove(RSA, RecordType::TXT),
            &["DKIM key r1 of one.test: no record", DKIM],
        ),
        dns(
            "DKIM record of another key",
            |zone, _| {
                let other = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
                text(zone, "e1._domainkey.one", other)
            },
            &[
                "DKIM key e1 of one.test: another key",
                "zone: e1._domainkey.one.test. IN TXT",
            ],
        ),
        dns(
            "DKIM key revoked",
            |zone, _| text(zone, RSA, "v=DKIM1; k=rsa; p="),
            &["revoked", DKIM],
        ),
        dns(
            "DKIM record cut off",
            |zone, _| cut(zone, |text| vec![text[..255].to_owned()]),
            &["cut off", DKIM],
        ),
        dns(
            "DKIM record in two",
            |zone, _| {
                cut(zone, |text| {
                    vec![text[..200].to_owned(), text[200..].to_owned()]
                })
            },
            &["2 records", DKIM],
        ),
        dns(
            "DKIM record with quotation marks",
            |zone, _| {
                cut(zone, |text| {
                    vec![format!("{}\" \"{}", &text[..200], &text[200..])]
                })
            },
            &["quotation marks", DKIM],
        ),
        dns(
            "no DMARC",
            |zone, _| zone.remove("_dmarc.one", RecordType::TXT),
            &["DMARC of one.test: none", DMARC],
        ),
        dns(
            "DMARC without a policy",
            |zone, _| {
                text(
                    zone,
                    "_dmarc.one",
                    "v=DMARC1; rua=mailto:postmaster@one.test",
                )
            },
            &["without p=", DMARC],
        ),
        dns(
            "DMARC with a policy that is none",
            |zone, _| text(zone, "_dmarc.one", "v=DMARC1; p=refuse; adkim=s"),
            &[
                "p= is none, quarantine or reject",
                "zone: _dmarc.one.test. IN TXT \"v=DMARC1; p=quarantine; adkim=s\"",
            ],
        ),
        dns(
            "DMARC of another version",
            |zone, _| text(zone, "_dmarc.one", "v=dmarc; p=reject"),
            &[
                "DMARC of one.test: v=dmarc; p=reject",
                "zone: _dmarc.one.test. IN TXT \"v=DMARC1; p=reject\"",
            ],
        ),
        dns(
            "two DMARC records",
            |zone, _| zone.txt("_dmarc.one", "v=DMARC1; p=reject"),
            &["2 records, which are none", "do: keep one of them"],
        ),
    ]
}

/// The DKIM record of the RSA key, as a form of a provider may spoil it.
fn cut(zone: Zone, spoil: fn(&str) -> Vec<String>) -> Zone {
    let text = zone.text(RSA).unwrap();
    let zone = zone.remove(RSA, RecordType::TXT);
    spoil(&text)
        .iter()
        .fold(zone, |zone, text| zone.txt(RSA, text))
}

fn policies() -> Vec<Fault> {
    vec![
        dns(
            "two MTA-STS records",
            |zone, _| zone.txt("_mta-sts.one", "v=STSv1; id=2"),
            &["MTA-STS of one.test", STS],
        ),
        dns(
            "an MTA-STS record that is none",
            |zone, _| text(zone, "_mta-sts.one", "v=STSv1; id=1-1"),
            &["it is not one", STS],
        ),
        dns(
            "an MTA-STS record without a policy host",
            |zone, _| zone.remove("mta-sts.one", RecordType::CNAME),
            &[
                "its policy is not",
                "zone: mta-sts.one.test. IN CNAME mail.one.test.",
            ],
        ),
        dns(
            "a policy host whose aliases lead in a circle",
            |zone, _| {
                let zone = zone.remove("mta-sts.one", RecordType::CNAME);
                zone.cname("mta-sts.one", "circle")
                    .cname("circle", "mta-sts.one")
            },
            &[
                "too many aliases",
                "look where the CNAME record of mta-sts.one.test leads",
            ],
        ),
        dns(
            "a policy host that nobody answers at",
            |zone, net| {
                let zone = zone.remove("mta-sts.one", RecordType::CNAME);
                zone.a("mta-sts.one", &format!("{net}.9"))
            },
            &[
                "its policy is not",
                "https://mta-sts.one.test/.well-known/mta-sts.txt",
            ],
        ),
        dns(
            "a policy that names another exchanger",
            |zone, net| {
                let zone = zone.remove("mta-sts.one", RecordType::CNAME);
                zone.a("mta-sts.one", &format!("{net}.4"))
            },
            &[
                "mx: mx.elsewhere.test",
                "[mta_sts] mx = [\"mail.one.test\"]",
            ],
        ),
        dns(
            "an exchanger that the policy does not name",
            |zone, _| zone.mx_of("one", 20, "mx.other"),
            &[
                "wanted: mx: mx.other.test;",
                "[mta_sts] mx = [\"mail.one.test\", \"mx.other.test\"]",
            ],
        ),
        dns(
            "TLS reports to nobody",
            |zone, _| {
                text(
                    zone,
                    "_smtp._tls.one",
                    "v=TLSRPTv1; rua=postmaster@one.test",
                )
            },
            &["nobody can report by it", REPORTS],
        ),
        dns(
            "TLS reports without rua",
            |zone, _| text(zone, "_smtp._tls.one", "v=TLSRPTv1"),
            &["nobody can report by it", REPORTS],
        ),
        dns(
            "TLSA of another key",
            |zone, _| {
                let name = zone.name_of(RecordType::TLSA).unwrap();
                zone.remove(&name, RecordType::TLSA)
                    .tlsa(&name, 3, 1, 1, &[7; 32])
            },
            &[
                "TLSA of mail.one.test",
                "zone: _{smtp}._tcp.mail.one.test. IN TLSA 3 1 1 ",
            ],
        ),
        fault(
            "CAA for another authority",
            Change::Both(
                |zone, _| {
                    let zone = zone.remove("one", RecordType::CAA);
                    zone.record("one", issue(name("ca.example.")))
                },
                acme,
            ),
            &[
                "CAA for mail.one.test",
                "zone: one.test. IN CAA 0 issue \"letsencrypt.org\"",
                "do: add it: the CAA records that are there may stay",
            ],
        ),
        fault(
            "CAA at the end of aliases",
            Change::Both(
                |zone, _| zone.record("mail.one", issue(name("ca.example."))),
                |config| {
                    acme(config);
                    let more = ["autoconfig.one.test", "mta-sts.one.test"];
                    config.acme.names.extend(more.map(str::to_owned));
                },
            ),
            &[
                "CAA for mail.one.test and 2 more: mail.one.test has issue \"ca.example",
                "zone: mail.one.test. IN CAA 0 issue \"letsencrypt.org\"",
            ],
        ),
        fault(
            "CAA for another method",
            Change::Both(
                |zone, _| {
                    let zone = zone.remove("one", RecordType::CAA);
                    zone.record("one", issue_with("validationmethods", "dns-01"))
                },
                acme,
            ),
            &[
                "letsencrypt.org may issue by tls-alpn-01",
                "zone: one.test. IN CAA 0 issue \"letsencrypt.org; validationmethods=tls-alpn-01\"",
            ],
        ),
        fault(
            "CAA with something critical that nobody knows",
            Change::Both(
                |zone, _| {
                    let mut caa = CAA::new_issue(true, None, Vec::new());
                    caa.tag = "riddle".into();
                    zone.record("one", RData::CAA(caa))
                },
                acme,
            ),
            &["riddle"],
        ),
    ]
}

/// A record for the authority, with a parameter.
fn issue_with(tag: &str, value: &str) -> RData {
    let parameter = KeyValue::new(tag, value);
    RData::CAA(CAA::new_issue(
        false,
        Some(name("letsencrypt.org")),
        vec![parameter],
    ))
}

fn smarthost(config: &mut Config) {
    config.relay.smarthost = Some("smart.test".into());
}

fn acme(config: &mut Config) {
    config.acme.directory = Some("https://acme-v02.api.letsencrypt.org/directory".into());
    config.acme.names = vec!["mail.one.test".into()];
}

fn programs() -> Vec<Fault> {
    vec![
        dns(
            "SRV to a port that is closed",
            |zone, _| {
                let name = "_imaps._tcp.one";
                zone.remove(name, RecordType::SRV)
                    .record(name, srv(1, "mail.one.test."))
            },
            &[
                "SRV _imaps._tcp.one.test: mail.one.test:1",
                "IMAP with TLS at once",
                IMAPS,
            ],
        ),
        dns(
            "SRV to a host without an address",
            |zone, _| {
                let name = "_imaps._tcp.one";
                zone.remove(name, RecordType::SRV)
                    .record(name, srv(993, "imap.one.test."))
            },
            &["imap.one.test, which has no address", IMAPS],
        ),
        dns(
            "SRV for what the server does not have",
            |zone, _| zone.record("_pop3._tcp.one", srv(1, "mail.one.test.")),
            &["SRV _pop3._tcp.one.test", "take the record out of the zone"],
        ),
        dns(
            "autoconfig that leads elsewhere",
            |zone, net| {
                let zone = zone.remove("autoconfig.one", RecordType::CNAME);
                zone.a("autoconfig.one", &format!("{net}.9"))
            },
            &[
                "autoconfig.one.test: no connection",
                "have autoconfig.one.test lead to mail.one.test",
            ],
        ),
        dns(
            "port 25 closed outward",
            |zone, net| {
                let zone = zone.remove("mx.other", RecordType::A);
                zone.a("mx.other", &format!("{net}.9"))
            },
            &[
                "port {smtp} outward: mx.other.test ({net}.9)",
                "have TCP port {smtp} opened outward",
                "smarthost",
            ],
        ),
        dns(
            "an address in a blocklist",
            |zone, net| {
                let mut parts: Vec<&str> = net.split('.').collect();
                parts.reverse();
                let listed = format!("1.{}.list", parts.join("."));
                zone.a(&listed, "127.0.0.4")
                    .txt(&listed, "it sent spam\u{7}")
            },
            &[
                "blocklists of {address}: listed in list.test: it sent spam",
                "ask the list to remove it",
            ],
        ),
        dns(
            "a domain in a blocklist",
            |zone, _| zone.a("one.test.dlist", "127.0.1.2"),
            &["blocklists of one.test: listed in dlist.test"],
        ),
    ]
}

/// What is not in the zone.
pub(super) fn elsewhere() -> Vec<Fault> {
    vec![
        fault(
            "port 25 closed",
            Change::Port25(Manner::Closed),
            &[
                "port {smtp} of {address}: ",
                "open TCP port {smtp} in the firewall",
                "mailserver --config mailserver.toml check",
            ],
        ),
        fault(
            "port 25 closes at once",
            Change::Port25(Manner::Drops),
            &["port {smtp} of {address}: the connection is accepted, and then"],
        ),
        fault(
            "another server greets",
            Change::Port25(Manner::Greets("mx.elsewhere.test")),
            &[
                "it greets as \"mx.elsewhere.test\"",
                "wanted: mail.one.test",
            ],
        ),
        fault(
            "a firewall takes STARTTLS out",
            Change::Port25(Manner::WithoutTls),
            &["no STARTTLS", "a firewall that looks into it"],
        ),
        fault(
            "a certificate that has expired",
            Change::Certificate(Flaw::Expired),
            &["has expired: it was good until 2021-01-01", "renew it"],
        ),
        fault(
            "a certificate for one name",
            Change::Certificate(Flaw::OneName),
            &["it is not for mta-sts.one.test, autoconfig.one.test, autodiscover.one.test"],
        ),
        fault(
            "a certificate signed by itself",
            Change::Certificate(Flaw::SelfSigned),
            &["it is signed by itself"],
        ),
        fault(
            "an incomplete chain",
            Change::Certificate(Flaw::Incomplete),
            &[
                "its chain is incomplete: \"CN=Between\"",
                "behind the server's own",
            ],
        ),
        fault(
            "the key of another certificate",
            Change::Key,
            &["certificate of the configuration", "its key?"],
        ),
        fault(
            "a clock that is behind",
            Change::Clock(600),
            &[
                "clock: 600 seconds behind",
                "type: timedatectl set-ntp true",
            ],
        ),
        fault(
            "a clock that is ahead",
            Change::Clock(-600),
            &["clock: 600 seconds ahead of"],
        ),
        fault(
            "an address of a private network, and nobody said that it is right",
            Change::Config(|config| config.doctor.addresses.clear()),
            &[
                "address of mail.one.test: {address}",
                "addresses that the whole world can reach",
            ],
        ),
        fault(
            "a DKIM key that is not there",
            Change::Config(|config| config.dkim[0].key = "dkim/nowhere.pem".into()),
            &["DKIM key r1 of one.test", "make one with mailserver dkim"],
        ),
    ]
}

/// What could be better.
pub(super) fn advised() -> Vec<Fault> {
    vec![
        dns(
            "no TLS reports",
            |zone, _| zone.remove("_smtp._tls.one", RecordType::TXT),
            &["TLS reports of one.test: no record", REPORTS],
        ),
        dns(
            "no MTA-STS",
            |zone, _| zone.remove("_mta-sts.one", RecordType::TXT),
            &["MTA-STS of one.test: no record", STS],
        ),
        dns(
            "DMARC that wants nothing",
            |zone, _| {
                text(
                    zone,
                    "_dmarc.one",
                    "v=DMARC1; p=none; rua=mailto:r@two.test",
                )
            },
            &[
                "p=none",
                "zone: _dmarc.one.test. IN TXT \"v=DMARC1; p=quarantine; rua=mailto:r@two.test\"",
            ],
        ),
        dns(
            "no SPF of the server",
            |zone, _| zone.remove("mail.one", RecordType::TXT),
            &[
                "SPF of mail.one.test: none",
                "zone: mail.one.test. IN TXT \"v=spf1 a -all\"",
            ],
        ),
        dns(
            // The policy would have to name it.
            "another exchanger beside, without a policy",
            |zone, _| {
                let zone = zone.remove("_mta-sts.one", RecordType::TXT);
                zone.mx_of("one", 20, "mx.other")
            },
            &["mail.one.test, and mx.other.test"],
        ),
        dns(
            "no SRV",
            |zone, _| zone.remove("_imaps._tcp.one", RecordType::SRV),
            &["SRV _imaps._tcp.one.test: none", IMAPS],
        ),
        dns(
            "no autoconfig",
            |zone, _| zone.remove("autoconfig.one", RecordType::CNAME),
            &["zone: autoconfig.one.test. IN CNAME mail.one.test."],
        ),
        fault(
            "a reverse name of the provider",
            Change::Reverse(|zone| {
                let zone = zone.remove("1", RecordType::PTR);
                zone.record("1", RData::PTR(PTR(name("generic.test."))))
            }),
            &[
                "reverse name of {address}: generic.test",
                "IN PTR mail.one.test.",
            ],
        ),
        fault(
            "a second reverse name that cannot be looked up",
            Change::Reverse(|zone| zone.record("1", RData::PTR(PTR(name("broken.test."))))),
            &[],
        ),
        fault(
            "a smarthost that SPF lets pass",
            Change::Both(
                |zone, _| {
                    text(
                        zone.a("smart", "192.0.43.8"),
                        "one",
                        "v=spf1 ip4:192.0.43.8 -all",
                    )
                },
                smarthost,
            ),
            &[],
        ),
        fault(
            "a smarthost and others in SPF",
            Change::Both(
                |zone, _| {
                    let zone = zone.a("smart", "192.0.43.8");
                    text(zone, "one", "v=spf1 a:mx.other.test -all")
                },
                smarthost,
            ),
            &[
                "SPF of one.test: whether smart.test may send is not seen from here",
                "do: put what whoever runs smart.test says",
            ],
        ),
        fault(
            "CAA for one account",
            Change::Both(
                |zone, _| {
                    let zone = zone.remove("one", RecordType::CAA);
                    zone.record("one", issue_with("accounturi", "https://ca.test/1"))
                },
                acme,
            ),
            &["one.test lets one account alone issue: https://ca.test/1"],
        ),
        fault(
            "no CAA",
            Change::Both(|zone, _| zone.remove("one", RecordType::CAA), acme),
            &[
                "anyone may issue",
                "zone: one.test. IN CAA 0 issue \"letsencrypt.org\"",
            ],
        ),
        fault(
            "TLSA of a key that is not kept",
            Change::Config(|config| {
                acme(config);
                config.tls = mailserver::Tls::default();
            }),
            &["has another key", "take it out of the zone"],
        ),
        fault(
            "a certificate that expires soon",
            Change::Certificate(Flaw::Soon),
            &["the certificate expires within ", "renew it"],
        ),
        fault(
            "an Ed25519 key alone",
            Change::Config(|config| config.dkim.retain(|key| key.selector == "e1")),
            &["no RSA key", "dkim one.test r1 --rsa"],
        ),
        dns(
            "a DKIM key that is tried out",
            |zone, _| {
                cut(zone, |text| {
                    vec![format!("t=y; {text}").replace("t=y; v=DKIM1;", "v=DKIM1; t=y;")]
                })
            },
            &["a key that is only being tried out", DKIM],
        ),
        fault(
            "no key that signs",
            Change::Config(|config| config.dkim.clear()),
            &[
                "is not signed",
                "mailserver --config mailserver.toml dkim one.test r1 --rsa",
            ],
        ),
    ]
}

/// What cannot be looked at.
pub(super) fn unknown() -> Vec<Fault> {
    vec![
        dns(
            "a blocklist that does not answer this resolver",
            |zone, _| {
                let zone = zone.remove("2.0.0.127.list", RecordType::A);
                zone.a("2.0.0.127.list", "127.255.255.254")
            },
            &["it does not answer this DNS resolver (127.255.255.254)"],
        ),
        dns(
            "a blocklist that lists everything",
            |zone, net| {
                let mut parts: Vec<&str> = net.split('.').collect();
                parts.reverse();
                let listed = format!("1.{}.list", parts.join("."));
                zone.a(&listed, "127.0.0.2")
                    .a("1.0.0.127.list", "127.0.0.2")
            },
            &["it lists everything"],
        ),
        dns(
            "a blocklist that is no more",
            |zone, _| zone.remove("test.dlist", RecordType::A),
            &["it does not even list its test entry"],
        ),
        dns(
            "records that DNS does not answer for",
            |zone, _| zone.fault("_dmarc.one", Misbehaviour::ServFail),
            &["DMARC of one.test", "--dns ADDRESS:53"],
        ),
        fault(
            "no NTP server",
            Change::Config(|config| config.doctor.clock = "127.0.0.1:1".into()),
            &["clock", "[doctor] clock = "],
        ),
        fault(
            "no other exchanger",
            Change::Config(|config| config.doctor.exchanger = "nobody.test".into()),
            &["nobody.test has no mail exchanger"],
        ),
    ]
}
