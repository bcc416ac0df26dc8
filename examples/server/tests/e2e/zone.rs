//! Zones in the form of files, as `mailserver setup` prints them, for the DNS server of the tests.

use hickory_resolver::proto::rr::rdata::{CAA, SRV};
use hickory_resolver::proto::rr::{Name, RData};
use hikyaku_test_dns::Zone;

/// Adds the records of a printed zone below `test.`, and counts those of each type. Ports of services may be others here.
pub(crate) fn loaded(
    mut zone: Zone,
    printed: &str,
    port: impl Fn(u16) -> u16,
    counts: &mut Vec<String>,
) -> Zone {
    for line in printed
        .lines()
        .filter(|line| !line.starts_with(';') && !line.is_empty())
    {
        let words: Vec<_> = line.split(' ').collect();
        assert_eq!(words[1], "IN", "{line}");
        let (name, kind, rest) = (words[0], words[2], &words[3..]);
        let within = |name: &'_ str| name.strip_suffix(".test.").expect(line).to_owned();
        let number = |nth: usize| -> u16 { rest[nth].parse().expect(line) };
        let name = &within(name);
        counts.push(kind.to_owned());
        zone = match kind {
            "A" | "AAAA" => zone.a(name, rest[0]),
            "MX" => zone.mx_of(name, number(0), &within(rest[1])),
            "CNAME" => zone.cname(name, &within(rest[0])),
            "TXT" => {
                let strings = line.split('"').skip(1).step_by(2);
                zone.txt(name, &strings.collect::<String>())
            }
            "SRV" => {
                let target = Name::from_ascii(rest[3]).unwrap();
                let srv = SRV::new(number(0), number(1), port(number(2)), target);
                zone.record(name, RData::SRV(srv))
            }
            "CAA" => {
                let issuer = Name::from_ascii(rest[2].trim_matches('"')).unwrap();
                zone.record(name, issue(issuer))
            }
            "TLSA" => {
                let name = match name.strip_prefix("_25.") {
                    Some(rest) => format!("_{}.{rest}", port(25)),
                    None => panic!("{line}"),
                };
                let octets = rest[3].as_bytes().chunks(2).map(|two| {
                    let two = std::str::from_utf8(two).unwrap();
                    u8::from_str_radix(two, 16).expect(line)
                });
                let octets: Vec<u8> = octets.collect();
                let [usage, selector, matching] = [0, 1, 2].map(|nth| rest[nth].parse().unwrap());
                zone.tlsa(&name, usage, selector, matching, &octets)
            }
            other => panic!("{other}: {line}"),
        };
    }
    zone
}

/// A CAA record that lets one issue.
pub(crate) fn issue(issuer: Name) -> RData {
    RData::CAA(CAA::new_issue(false, Some(issuer), Vec::new()))
}
