//! Whatever a destination does, the others get their mail.

use crate::dns::{Answer, MX, serve_with};
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{House, PASSWORD};
use crate::relay::base64;
use mailserver::Protocol;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long mail to a live domain may take, whatever goes on beside it.
const SOON: Duration = Duration::from_secs(1);

/// A DNS in which `silent-N.test`, `shared-N.test`, `live-N.test` and so on have exchangers at addresses of their kind,
/// and name servers of `mute-N.test` are silent.
async fn dns() -> SocketAddr {
    serve_with(|name, kind| {
        let labels: Vec<&str> = name.split('.').collect();
        let (is_host, domain) = match labels.as_slice() {
            ["mx", domain, "test"] => (true, *domain),
            [domain, "test"] => (false, *domain),
            _ => return Answer::NoName,
        };
        let Some((family, number)) = domain.split_once('-') else {
            return Answer::NoName;
        };
        let number: u8 = number.parse().unwrap();
        match (family, kind) {
            ("mute", _) => Answer::Silence,
            // The exchanger is known, and where it is nobody says.
            ("lost", 1) if is_host => Answer::Silence,
            (_, MX) if !is_host => Answer::Mx(vec![(10, format!("mx.{name}"))]),
            (_, 1) if is_host => Answer::A(vec![address(family, number)]),
            _ => Answer::Nothing,
        }
    })
    .await
}

fn address(family: &str, number: u8) -> Ipv4Addr {
    match family {
        "live" => Ipv4Addr::new(127, 0, 60, number),
        "silent" => Ipv4Addr::new(127, 0, 61, number),
        "tarpit" => Ipv4Addr::new(127, 0, 62, number),
        "slow" => Ipv4Addr::new(127, 0, 63, number),
        "shared" => Ipv4Addr::new(127, 0, 64, 1),
        other => panic!("{other}"),
    }
}

async fn house(dns: SocketAddr, port: u16, more: &str) -> House {
    House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[limits.account]\nmessages_per_hour = 0\nrecipients_per_hour = 0\n\
         sudden_recipients = 0\n[relay]\ndns = [\"{dns}\"]\nport = {port}\n{more}"
    ))
    .await
}

/// Submits a message for each domain, over one connection. The subjects are the domains'.
async fn submit(house: &House, domains: &[String]) {
    let mut talk = house.talk(Protocol::Submission).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!("EHLO a\r\nAUTH PLAIN {plain}\r\n"))
        .await;
    talk.until("235 ").await;
    for some in domains.chunks(20) {
        let mut text = String::new();
        for domain in some {
            text += &format!(
                "MAIL FROM:<alice@example.test>\r\nRCPT TO:<x@{domain}.test>\r\nDATA\r\nSubject: {domain}\r\n\r\nx\r\n.\r\n"
            );
        }
        talk.send(&text).await;
        for _ in some {
            let said = talk.until("250 2.0.0 Accepted").await;
            assert!(!said.contains("\n5") && !said.contains("\n4"), "{said}");
        }
    }
}

fn many(family: &str, numbers: std::ops::RangeInclusive<u8>, each: usize) -> Vec<String> {
    let all = numbers.flat_map(|number| vec![format!("{family}-{number}"); each]);
    all.collect()
}

/// Submits a message to a live domain. How long it takes from the 250 until it is there.
async fn live(house: &House, exchanger: &Exchanger, domain: &str) -> Duration {
    submit(house, &[domain.to_owned()]).await;
    exchanger.takes(domain, Duration::from_secs(30)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_messages_to_a_silent_domain_hold_up_nobody() {
    let port = port();
    let silent = Exchanger::at(address("silent", 1), port, Manner::Silent).await;
    let shared = Exchanger::at(address("shared", 1), port, Manner::Silent).await;
    let one = Exchanger::at(address("live", 1), port, Manner::Good).await;
    let two = Exchanger::at(address("live", 2), port, Manner::Good).await;
    let house = house(dns().await, port, "").await;
    submit(&house, &many("silent", 1..=1, 60)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let took = live(&house, &one, "live-1").await;
    assert!(took < SOON, "{took:?}");
    // Sixty domains that have one exchanger are one destination.
    submit(&house, &many("shared", 1..=60, 1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let took = live(&house, &two, "live-2").await;
    assert!(took < SOON, "{took:?}");
    for (exchanger, most) in [(&silent, 2), (&shared, 5)] {
        let seen = exchanger.seen.lock().unwrap();
        assert!((1..=most).contains(&seen.most), "{seen:?}");
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tarpits_and_silent_name_servers_among_a_hundred_domains_hold_up_nobody() {
    let port = port();
    for number in 1..=10 {
        Exchanger::at(address("tarpit", number), port, Manner::Tarpit).await;
        Exchanger::at(address("silent", number), port, Manner::Silent).await;
    }
    let mut all = Vec::new();
    for number in 1..=60 {
        all.push(Exchanger::at(address("live", number), port, Manner::Good).await);
    }
    let house = house(dns().await, port, "").await;
    let bad = ["tarpit", "silent", "mute", "lost"];
    let bad: Vec<String> = bad
        .iter()
        .flat_map(|family| many(family, 1..=10, 5))
        .collect();
    submit(&house, &bad).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    submit(&house, &many("live", 1..=60, 1)).await;
    for (nth, exchanger) in all.iter().enumerate() {
        let domain = format!("live-{}", nth + 1);
        exchanger.takes(&domain, Duration::from_secs(30)).await;
    }
    let took = began.elapsed();
    assert!(took < SOON * 5, "sixty took {took:?}");
    let took = live(&house, &all[0], "live-1").await;
    assert!(took < SOON, "{took:?}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_makes_room_when_all_places_are_taken() {
    let port = port();
    for number in 1..=30 {
        Exchanger::at(address("silent", number), port, Manner::Silent).await;
    }
    let exchanger = Exchanger::at(address("live", 1), port, Manner::Good).await;
    let house = house(dns().await, port, "connections = 10\n").await;
    submit(&house, &many("silent", 1..=30, 1)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let took = live(&house, &exchanger, "live-1").await;
    assert!(took < Duration::from_secs(15), "{took:?}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_destination_is_tried_by_few_and_gets_all_when_it_is_back() {
    let port = port();
    let exchanger = Exchanger::at(address("live", 1), port, Manner::Closes).await;
    let more = "retry = [\"2s\"]\nconnections_per_destination = 5\n";
    let house = house(dns().await, port, more).await;
    submit(&house, &many("live", 1..=1, 40)).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let tried = exchanger.seen.lock().unwrap().connections;
    assert!((1..=4).contains(&tried), "{tried} connections");
    exchanger.becomes(Manner::Good);
    let began = Instant::now();
    while exchanger.count("live-1") < 40 {
        let took = began.elapsed();
        let count = exchanger.count("live-1");
        assert!(took < Duration::from_secs(20), "{count} after {took:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seen = exchanger.seen.lock().unwrap().most;
    assert!(seen <= 5, "{seen} at a time");
    assert_eq!(exchanger.count("live-1"), 40);
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_host_gets_its_mail() {
    let port = port();
    let slow = Manner::Slow(Duration::from_millis(1200));
    let exchanger = Exchanger::at(address("slow", 1), port, slow).await;
    let more = "retry = [\"200ms\"]\npatience = \"400ms\"\n";
    let house = house(dns().await, port, more).await;
    submit(&house, &many("slow", 1..=1, 6)).await;
    exchanger.takes("slow-1", Duration::from_secs(20)).await;
    let began = Instant::now();
    while exchanger.count("slow-1") < 6 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // It was not waited for at first.
    let tried = exchanger.seen.lock().unwrap().connections;
    assert!(tried > 6, "{tried} connections");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_messages_to_a_dead_domain_hide_none_to_a_live_one() {
    let port = port();
    Exchanger::at(address("silent", 1), port, Manner::Silent).await;
    let exchanger = Exchanger::at(address("live", 1), port, Manner::Good).await;
    let house = house(dns().await, port, "").await;
    submit(&house, &many("silent", 1..=1, 2000)).await;
    let took = live(&house, &exchanger, "live-1").await;
    assert!(took < SOON, "{took:?}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exchangers_of_equal_preference_share_the_load() {
    let port = port();
    let hosts = [
        Exchanger::at(address("live", 1), port, Manner::Good).await,
        Exchanger::at(address("live", 2), port, Manner::Good).await,
    ];
    let dns = serve_with(|name, kind| match (name, kind) {
        ("live-9.test", MX) => {
            let host = |n| (10, format!("mx{n}.live-9.test"));
            Answer::Mx(vec![host(1), host(2), (20, "backup.live-9.test".into())])
        }
        ("mx1.live-9.test", 1) => Answer::A(vec![address("live", 1)]),
        ("mx2.live-9.test", 1) => Answer::A(vec![address("live", 2)]),
        _ => Answer::NoName,
    })
    .await;
    let house = house(dns, port, "").await;
    submit(&house, &many("live", 9..=9, 40)).await;
    let began = Instant::now();
    let counts = || hosts.each_ref().map(|host| host.count("live-9"));
    while counts().iter().sum::<usize>() < 40 {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", counts());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(counts().iter().all(|count| *count >= 5), "{:?}", counts());
    house.server.stop().await;
}
