//! The resolver, with a DNS server of the house: answers of all kinds, aliases, silence, and records for a check.

use crate::world::check;
use hikyaku_test_dns::{DnsServer, Fault, Zone};
use hikyaku_trust::dns::{Ask as _, Family, Resolver};
use hikyaku_trust::{Arrival, Checker, Outcome};
use std::sync::Arc;
use std::time::Duration;

fn server() -> DnsServer {
    DnsServer::start([Zone::new("one.test")
        .txt("@", "v=spf1 mx -all")
        .txt("long", &"x".repeat(600))
        .cname("alias", "long")
        .mx(20, "second")
        .mx(10, "first")
        .a("first", "192.0.2.1")
        .a("second", "2001:db8::2")
        .txt("_dmarc", "v=DMARC1; p=reject")
        .txt("silent", "v=spf1 -all")
        .fault("silent", Fault::Silent)
        .txt("broken", "v=spf1 -all")
        .fault("broken", Fault::ServFail)])
}

#[tokio::test]
async fn answers_are_read() {
    let server = server();
    let dns = Resolver::new(&[server.address()], Duration::from_secs(4)).unwrap();
    let text = |text: &str| text.as_bytes().to_vec();
    assert_eq!(
        dns.txt("one.test").await.unwrap().records,
        [text("v=spf1 mx -all")]
    );
    assert_eq!(
        dns.txt("ALIAS.one.test").await.unwrap().records,
        [text(&"x".repeat(600))]
    );
    assert_eq!(
        dns.exchanges("one.test").await.unwrap().records,
        ["first.one.test", "second.one.test"]
    );
    let found = dns.addresses("first.one.test", Family::V4).await.unwrap();
    assert_eq!(
        found.records,
        ["192.0.2.1".parse::<std::net::IpAddr>().unwrap()]
    );
    let none = dns.addresses("first.one.test", Family::V6).await.unwrap();
    assert_eq!((none.records.len(), none.exists), (0, true));
    let none = dns.txt("absent.one.test").await.unwrap();
    assert_eq!((none.records.len(), none.exists), (0, false));
    assert!(dns.txt("broken.one.test").await.is_err());
}

#[test]
fn a_check_asks_it() {
    let server = server();
    let dns = Resolver::new(&[server.address()], Duration::from_millis(500)).unwrap();
    let checker = Checker::new("mx.our.test", ["our.test"], Arc::new(dns)).unwrap();
    for (mail_from, want) in [
        ("a@one.test", Outcome::Pass),
        ("a@silent.one.test", Outcome::TempError),
    ] {
        let arrival = Arrival {
            address: [192, 0, 2, 1].into(),
            helo: "first.one.test",
            mail_from,
            message: b"From: a@one.test\r\n\r\n",
        };
        let verdicts = check(&checker, arrival).verdicts;
        assert_eq!(verdicts.spf.unwrap().outcome, want, "{mail_from}");
    }
}
