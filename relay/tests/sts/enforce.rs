//! Who gets mail for a domain that has a policy, and who does not (RFC 8461 §4, §5).

use hikyaku_relay::Dnssec;
use hikyaku_test_dns::Zone;
use ring::digest::{SHA256, digest};

use crate::exchanger::{Authority, Tls};
use crate::web::policy;
use crate::world::{World, zone};

/// Whether anything of the mail was said: an address, or an octet of the message.
fn is_said(lines: &[String]) -> bool {
    let mail = ["MAIL", "RCPT", "DATA", "BDAT", "there.test", "secret"];
    lines
        .iter()
        .any(|line| mail.iter().any(|word| line.contains(word)))
}

fn has_message(lines: &[String], how: &str) -> bool {
    lines.iter().any(|line| *line == format!("{how} secret"))
}

#[tokio::test]
async fn the_right_host_gets_the_mail_over_tls() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], 86_400)).await;
    let tls = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    assert_eq!(world.hand_on(world.options(None)).await, None);
    let lines = mx.lines();
    assert!(has_message(&lines, "tls"), "{lines:?}");
    assert_eq!((world.failed(), world.web.requests().len()), (0, 1));
    let (head, _) = &world.web.requests()[0];
    assert!(
        head.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"),
        "{head}"
    );
    let port = world.web.address.port();
    assert!(
        head.contains(&format!("host: mta-sts.there.test:{port}\r\n")),
        "{head}"
    );
}

/// What a man in the middle has in place of the exchanger's certificate.
fn forgeries(world: &World) -> Vec<(&'static str, Option<Tls>)> {
    let of = |name| Some(world.authority.of(name));
    vec![
        (
            "signed by nobody",
            Some(Authority::new().of("mx.there.test")),
        ),
        ("for another host", of("mx.evil.test")),
        ("for the domain alone", of("there.test")),
        ("expired", Some(world.authority.expired("mx.there.test"))),
        ("no STARTTLS", None),
    ]
}

#[tokio::test]
async fn a_man_in_the_middle_gets_not_one_octet_of_the_message() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], 86_400)).await;
    for (name, tls) in forgeries(&world) {
        let mx = world.exchanger("127.0.0.2", tls.as_ref()).await;
        let left = world.hand_on(world.options(None)).await;
        let left = left.unwrap_or_else(|| panic!("{name}: delivered"));
        let lines = mx.lines();
        assert!(
            mx.connections() > 0 && !is_said(&lines),
            "{name}: {lines:?}"
        );
        assert!(left.contains("451 4.7.5 mx.there.test"), "{name}: {left}");
        assert!(left.contains("MTA-STS policy demands"), "{name}: {left}");
        assert_eq!(world.failed(), 1, "{name}");
    }
    // Without the policy, each of them would have had it.
    for (name, tls) in forgeries(&world) {
        let mx = world.exchanger("127.0.0.2", tls.as_ref()).await;
        let mut options = world.options(None);
        options.mta_sts = None;
        assert_eq!(world.hand_on(options).await, None, "{name}");
        assert!(is_said(&mx.lines()), "{name}");
    }
}

#[tokio::test]
async fn a_host_that_the_policy_does_not_name_is_not_even_connected_to() {
    let evil = Zone::new("evil.test").a("mx", "127.0.0.3");
    let forged = zone().remove("@", hikyaku_test_dns::RecordType::MX);
    let forged = forged.mx(10, "mx.evil.test.");
    let answer = policy("enforce", &["mx.there.test", "*.mx.there.test"], 86_400);
    let mut world = World::start(forged.clone(), answer).await;
    world.dns.change("evil.test", |_| evil);
    let (right, wrong) = (
        world.authority.of("mx.there.test"),
        world.authority.of("mx.evil.test"),
    );
    let mx = world.exchanger("127.0.0.2", Some(&right)).await;
    let other = world.exchanger("127.0.0.3", Some(&wrong)).await;
    let left = world.hand_on(world.options(None)).await.unwrap();
    assert!(
        left.contains("451 4.7.5 mx.evil.test: the MTA-STS policy"),
        "{left}"
    );
    assert_eq!(
        (mx.connections(), other.connections(), world.failed()),
        (0, 0, 1)
    );
    // Another host of the domain may be allowed: it gets the mail, though its preference is worse.
    world.dns.change("there.test", |_| forged.mx(20, "mx"));
    assert_eq!(world.hand_on(world.options(None)).await, None);
    assert_eq!((mx.connections(), other.connections()), (1, 0));
    assert!(has_message(&mx.lines(), "tls"));
}

#[tokio::test]
async fn in_testing_mode_all_is_delivered_and_counted() {
    let mut world = World::start(zone(), policy("testing", &["mx.there.test"], 86_400)).await;
    for (name, tls) in forgeries(&world) {
        let mx = world.exchanger("127.0.0.2", tls.as_ref()).await;
        assert_eq!(world.hand_on(world.options(None)).await, None, "{name}");
        let how = if tls.is_some() { "tls" } else { "clear" };
        let lines = mx.lines();
        assert!(has_message(&lines, how), "{name}: {lines:?}");
        assert_eq!(world.failed(), 1, "{name}");
    }
    let right = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&right)).await;
    assert_eq!(world.hand_on(world.options(None)).await, None);
    assert!(has_message(&mx.lines(), "tls") && world.failed() == 0);
    // A host that is not named.
    world
        .web
        .answers(policy("testing", &["mx2.there.test"], 86_400));
    assert_eq!(world.hand_on(world.options(None)).await, None);
    assert!(has_message(&mx.lines(), "tls") && world.failed() == 1);
    // "none" is no policy.
    drop(mx);
    world.web.answers(policy("none", &[], 86_400));
    let mx = world.exchanger("127.0.0.2", None).await;
    assert_eq!(world.hand_on(world.options(None)).await, None);
    assert!(has_message(&mx.lines(), "clear") && world.failed() == 0);
}

/// RFC 8461 §2: what DANE says is not outdone, in either direction.
#[tokio::test]
async fn dane_takes_precedence() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], 86_400)).await;
    let trusted = world.authority.of("mx.there.test");
    let own = Authority::new().of("mx.there.test");
    for (tls, (_, of), allowed, has_it) in [
        // No authority has signed it, and the policy does not name it.
        (&own, &own, "mx9.there.test", true),
        (&own, &own, "mx.there.test", true),
        // The policy would have it, and TLSA does not.
        (&trusted, &own, "mx.there.test", false),
    ] {
        world.web.answers(policy("enforce", &[allowed], 86_400));
        let key = webpki::EndEntityCert::try_from(of).unwrap();
        let key = digest(&SHA256, &key.subject_public_key_info());
        let mx = world.exchanger("127.0.0.2", Some(tls)).await;
        let name = format!("_{}._tcp.mx", mx.port);
        let signed = zone().signed().tlsa(&name, 3, 1, 1, key.as_ref());
        world.dns.change("there.test", |_| signed);
        let mut options = world.options(None);
        options.dnssec = Dnssec::Validate {
            anchors: Some(world.dns.trust_anchor()),
        };
        let left = world.hand_on(options).await;
        let lines = mx.lines();
        assert_eq!(left.is_none(), has_it, "{allowed}: {left:?} {lines:?}");
        assert_eq!(is_said(&lines), has_it, "{allowed}: {lines:?}");
        assert_eq!(world.failed(), usize::from(!has_it));
    }
    // Records that cannot be used demand TLS and no more (RFC 7672 §2.2): who the host is, the policy says.
    for (tls, has_it) in [(&trusted, true), (&own, false)] {
        let mx = world.exchanger("127.0.0.2", Some(tls)).await;
        let name = format!("_{}._tcp.mx", mx.port);
        let signed = zone().signed().tlsa(&name, 0, 0, 1, &[0; 32]);
        world.dns.change("there.test", |_| signed);
        let mut options = world.options(None);
        options.dnssec = Dnssec::Validate {
            anchors: Some(world.dns.trust_anchor()),
        };
        let left = world.hand_on(options).await;
        assert_eq!(
            (left.is_none(), is_said(&mx.lines())),
            (has_it, has_it),
            "{left:?}"
        );
    }
}

/// Mail that may go to any host does not lend its connection to mail that may not, and the other way round.
#[tokio::test]
async fn a_connection_is_not_kept_for_mail_that_demands_more() {
    use crate::world::Running;
    let mut world = World::start(zone(), policy("testing", &["mx.there.test"], 86_400)).await;
    let other = Zone::new("plain.test").mx(10, "mx.there.test.");
    world.dns.change("plain.test", |_| other);
    let tls = Authority::new().of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    world
        .web
        .answers(policy("enforce", &["mx.there.test"], 86_400));
    let relay = Running::start(world.options(None));
    // A host that nobody has checked.
    assert_eq!(relay.hand_on("b@plain.test").await, None);
    assert!(is_said(&mx.lines()));
    let left = relay.hand_on("b@there.test").await;
    assert!(left.is_some(), "over the connection of the other");
    assert_eq!(mx.connections(), 2);
    let lines = mx.lines();
    assert!(
        !lines.iter().any(|line| line.contains("there.test>")),
        "{lines:?}"
    );
    relay.stop().await;
}
