//! Where policies come from, and how long they are kept (RFC 8461 §3.3, §5.1, §10.2).

use hikyaku_test_dns::{Fault, RecordType, Zone};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::exchanger::{Authority, Exchanger};
use crate::web::{Answer, answer, policy};
use crate::world::{DAY, Running, World, zone};

const WEEK: u32 = 7 * 86_400;

/// An exchanger whose certificate nobody vouches for: it gets mail where no policy holds.
async fn forged(world: &mut World) -> Exchanger {
    let tls = Authority::new().of("mx.there.test");
    world.exchanger("127.0.0.2", Some(&tls)).await
}

#[tokio::test]
async fn a_policy_that_was_seen_holds_when_its_host_and_its_record_are_gone() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], WEEK)).await;
    let tls = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    assert_eq!(world.hand_on(world.options(Some(home.path()))).await, None);
    drop(mx);
    // A man in the middle, who hides the policy as well.
    world.web.answers(answer("404 Not Found", "", ""));
    let _mx = forged(&mut world).await;
    for hidden in [
        zone(),
        zone().remove("_mta-sts", RecordType::TXT),
        zone().fault_of("_mta-sts", RecordType::TXT, Fault::ServFail),
        zone()
            .remove("_mta-sts", RecordType::TXT)
            .txt("_mta-sts", "v=STSv1; id=2"),
    ] {
        world.dns.change("there.test", |_| hidden.clone());
        world.passes(DAY);
        let left = world.hand_on(world.options(Some(home.path()))).await;
        assert!(
            left.is_some_and(|left| left.contains("4.7.5")),
            "{hidden:?}"
        );
    }
    // Who has not seen it, or not within its time, has none.
    world
        .dns
        .change("there.test", |_| zone().remove("_mta-sts", RecordType::TXT));
    assert_eq!(world.hand_on(world.options(None)).await, None);
    world.passes(4 * DAY);
    assert_eq!(world.hand_on(world.options(Some(home.path()))).await, None);
}

#[tokio::test]
async fn another_id_is_another_policy() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], WEEK)).await;
    let tls = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    let new = world.authority.of("mx2.there.test");
    let mx2 = world.exchanger("127.0.0.3", Some(&new)).await;
    let relay = Running::start(world.options(None));
    for _ in 0..3 {
        assert_eq!(relay.hand_on("b@there.test").await, None);
        world.passes(3600);
    }
    assert_eq!(
        world.web.requests().len(),
        1,
        "an id that is known needs no fetch"
    );
    world
        .web
        .answers(policy("enforce", &["mx2.there.test"], WEEK));
    let moved = zone()
        .remove("@", RecordType::MX)
        .remove("_mta-sts", RecordType::TXT)
        .mx(10, "mx2")
        .a("mx2", "127.0.0.3")
        .txt("_mta-sts", "v=STSv1; id=2");
    world.dns.change("there.test", |_| moved);
    assert_eq!(relay.hand_on("b@there.test").await, None);
    assert_eq!((world.web.requests().len(), mx2.connections()), (2, 1));
    // Again with the same one: nothing is fetched.
    world.passes(3600);
    assert_eq!(relay.hand_on("b@there.test").await, None);
    assert_eq!(world.web.requests().len(), 2);
    assert!(mx.connections() >= 1 && world.failed() == 0);
    relay.stop().await;
}

#[tokio::test]
async fn what_is_not_a_policy_from_its_host_is_none() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], WEEK)).await;
    let right = || world.authority.of("mta-sts.there.test");
    let body = "version: STSv1\nmode: enforce\nmx: mx.there.test\nmax_age: 604800\n";
    let text = "Content-Type: text/plain\r\n";
    let long = format!("{body}{}", "x: y\n".repeat(20_000));
    let port = world.web.address.port();
    let elsewhere = format!("Location: https://mta-sts.there.test:{port}/policy\r\n{text}");
    // Head without an end.
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(20_000));
    let cases = [
        // §3.3: "HTTP 3xx redirects MUST NOT be followed"
        ("moved", answer("301 Moved", &elsewhere, body), right()),
        ("found", answer("302 Found", &elsewhere, body), right()),
        (
            "kept",
            answer("307 Temporary Redirect", &elsewhere, body),
            right(),
        ),
        // "only valid if the HTTP response code is 200"
        ("accepted", answer("202 Accepted", text, body), right()),
        ("missing", answer("404 Not Found", text, body), right()),
        ("broken", answer("500 Error", text, body), right()),
        // §3.2: the media type.
        (
            "a page",
            answer("200 OK", "Content-Type: text/html\r\n", body),
            right(),
        ),
        ("no type", answer("200 OK", "", body), right()),
        ("no policy", answer("200 OK", text, "hello\n"), right()),
        ("too long", answer("200 OK", text, &long), right()),
        (
            "endless head",
            Answer::Octets(endless.into_bytes()),
            right(),
        ),
        ("no HTTP", Answer::Octets(b"220 smtp\r\n".to_vec()), right()),
        (
            "cut",
            Answer::Octets(
                format!("HTTP/1.1 200 OK\r\n{text}Content-Length: 999\r\n\r\n{body}").into_bytes(),
            ),
            right(),
        ),
        // The certificate: another name, another authority, another time.
        (
            "another's",
            policy("enforce", &["mx.there.test"], WEEK),
            world.authority.of("there.test"),
        ),
        (
            "forged",
            policy("enforce", &["mx.there.test"], WEEK),
            Authority::new().of("mta-sts.there.test"),
        ),
        (
            "old",
            policy("enforce", &["mx.there.test"], WEEK),
            world.authority.expired("mta-sts.there.test"),
        ),
    ];
    let mx = forged(&mut world).await;
    for (name, answer, tls) in cases {
        world.web.answers(answer);
        world.web.presents(tls);
        let before = world.web.requests().len();
        let relay = Running::start(world.options(None));
        // As though the domain had no policy (§3.3), and it is not asked again at once.
        for _ in 0..2 {
            assert_eq!(relay.hand_on("b@there.test").await, None, "{name}");
        }
        relay.stop().await;
        let asked = world.web.requests().len() - before;
        assert!(asked <= 1, "{name}: {asked} requests");
        mx.lines();
    }
    // The same, served as it should be.
    world
        .web
        .answers(policy("enforce", &["mx.there.test"], WEEK));
    world.web.presents(world.authority.of("mta-sts.there.test"));
    assert!(world.hand_on(world.options(None)).await.is_some());
}

#[tokio::test]
async fn a_fetch_that_failed_is_repeated_after_five_minutes() {
    let mut world = World::start(zone(), answer("500 Error", "", "")).await;
    let _mx = forged(&mut world).await;
    let relay = Running::start(world.options(None));
    for (seconds, requests) in [(0, 1), (60, 1), (238, 1), (2, 2), (299, 2), (1, 3)] {
        world.passes(seconds);
        assert_eq!(relay.hand_on("b@there.test").await, None);
        assert_eq!(world.web.requests().len(), requests, "{seconds}");
    }
    // Another id changes nothing of that.
    let other = zone().remove("_mta-sts", RecordType::TXT);
    world
        .dns
        .change("there.test", |_| other.txt("_mta-sts", "v=STSv1; id=2"));
    assert_eq!(relay.hand_on("b@there.test").await, None);
    assert_eq!(world.web.requests().len(), 3);
    relay.stop().await;
}

/// §10.2: not when somebody writes there, but before it is over.
#[tokio::test]
async fn a_policy_is_fetched_again_before_it_is_over() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], WEEK)).await;
    let tls = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    assert_eq!(world.hand_on(world.options(Some(home.path()))).await, None);
    drop(mx);
    // The record need not be there (§10.2).
    world
        .dns
        .change("there.test", |_| zone().remove("_mta-sts", RecordType::TXT));
    world.passes(6 * DAY);
    let relay = Running::start(world.options(Some(home.path())));
    let file = home.path().join("sts/there.test");
    let fetched = format!("fetched: {}\n", world.now.load(Ordering::SeqCst));
    let is_new = || std::fs::read_to_string(&file).unwrap().contains(&fetched);
    for _ in 0..500 {
        if is_new() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(is_new() && world.web.requests().len() == 2);
    relay.stop().await;
    // It holds for another week from there.
    world.passes(3 * DAY);
    let _mx = forged(&mut world).await;
    assert!(
        world
            .hand_on(world.options(Some(home.path())))
            .await
            .is_some()
    );
}

#[tokio::test]
async fn a_policy_host_that_says_nothing_holds_up_its_own_domain_alone() {
    let mut world = World::start(zone(), Answer::Nothing).await;
    let quick = Zone::new("quick.test").mx(10, "mx").a("mx", "127.0.0.2");
    world.dns.change("quick.test", |_| quick);
    let mx = forged(&mut world).await;
    let relay = Running::start(world.options(None));
    for n in 0..20 {
        relay.queue(&format!("b{n}@there.test")).await;
    }
    for n in 0..5 {
        relay.queue(&format!("b{n}@quick.test")).await;
    }
    let delivered = || async {
        let lines = relay.settled(Duration::from_millis(200)).await;
        !lines.iter().any(|entry| entry.next_hop == "quick.test")
    };
    let began = tokio::time::Instant::now();
    while !delivered().await {
        assert!(
            began.elapsed() < Duration::from_secs(25),
            "it waits for the other domain"
        );
    }
    let lines = mx.lines();
    assert!(
        !lines.iter().any(|line| line.contains("there.test")),
        "{lines:?}"
    );
    assert_eq!(
        world.web.requests().len(),
        1,
        "mail for one domain waits for one fetch"
    );
    relay.stop().await;
}

/// What DNS says of a policy host is a stranger's.
#[tokio::test]
async fn hosts_within_this_network_are_not_asked() {
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], WEEK)).await;
    let _mx = forged(&mut world).await;
    let mut options = world.options(None);
    options.mta_sts.as_mut().unwrap().may_ask_private = false;
    assert_eq!(world.hand_on(options).await, None);
    assert_eq!(world.web.requests().len(), 0);
}
