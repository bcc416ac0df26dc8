//! `mailserver doctor`: a domain that is well, and faults put into it one after the other.

mod clock;
mod faults;
mod front;
mod papers;
mod world;

use mailserver::Verdict;
use world::World;

/// What is reported about one thing, all of its lines.
pub(crate) fn blocks(text: &str, grade: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    let mut is_one = false;
    for line in text.lines() {
        match (line.starts_with(grade), line.starts_with(' ')) {
            (true, _) => {
                blocks.push(line.to_owned());
                is_one = true;
            }
            (false, true) if is_one => {
                let last = blocks.last_mut().unwrap();
                *last += "\n";
                *last += line;
            }
            _ => is_one = false,
        }
    }
    blocks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_was_set_up_is_well() {
    let world = World::new(1).await;
    let (text, verdict) = world.looked_at(&world.config).await;
    assert_eq!(verdict, Verdict::Well, "{text}");
    // A zone that is not signed is all that could be better.
    let advice = blocks(&text, "advice");
    assert!(
        advice.len() == 1 && advice[0].contains("DNSSEC does not vouch for it"),
        "{text}"
    );
    for about in [
        "address of mail.one.test",
        "reverse name of 127.25.1.1",
        "MX of one.test",
        "SPF of one.test",
        "SPF of mail.one.test",
        "DKIM key r1 of one.test",
        "DKIM key e1 of one.test",
        "DMARC of one.test",
        "MTA-STS of one.test",
        "TLS reports of one.test",
        "SRV _submissions._tcp.one.test",
        "SRV _submission._tcp.one.test",
        "SRV _imaps._tcp.one.test",
        "SRV _imap._tcp.one.test",
        "SRV _pop3s._tcp.one.test",
        "autoconfig.one.test",
        "autodiscover.one.test",
        "certificate at",
        "clock",
        "outward",
        "blocklists of 127.25.1.1",
        "blocklists of one.test",
    ] {
        let is_well = text
            .lines()
            .any(|line| line.starts_with("well") && line.contains(about));
        assert!(is_well, "{about}: {text}");
    }
    // Where it is signed, TLSA records count.
    world.dns.validates(true);
    world.dns.change("test", hikyaku_test_dns::Zone::signed);
    let mut config = world.config.clone();
    config.relay.dnssec = mailserver::DnssecMode::TrustAd;
    let (text, verdict) = world.looked_at(&config).await;
    assert_eq!(verdict, Verdict::Well, "{text}");
    assert!(blocks(&text, "advice").is_empty(), "{text}");
    world.stop().await;
}

/// Puts each of these in alone; what was reported otherwise than expected.
async fn each(
    world: &mut World,
    all: Vec<faults::Fault>,
    verdict: Verdict,
    grade: &str,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in all {
        let config = world.put_in(&one).await;
        let (text, found) = world.looked_at(&config).await;
        let reported = blocks(&text, grade);
        let expected = one.expected.iter().map(|words| world.words(words));
        let missing = expected.filter(|words| !reported.join("\n").contains(words));
        let missing: Vec<_> = missing.collect();
        let too_many = blocks(&text, "FAULT").len() > 1;
        if found != verdict || !missing.is_empty() || too_many {
            wrong.push(format!("{}: no {missing:?} in {text}", one.name));
        }
        world.take_out(&one).await;
    }
    // All of it was taken out again.
    let (text, found) = world.looked_at(&world.config).await;
    assert_eq!(found, Verdict::Well, "{text}");
    wrong
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_is_found_with_its_remedy_and_no_other() {
    let mut world = World::new(2).await;
    let mut all = faults::in_dns();
    all.extend(faults::elsewhere());
    assert!(all.len() >= 50, "{}", all.len());
    let wrong = each(&mut world, all, Verdict::Faults, "FAULT").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_better_is_no_fault() {
    let mut world = World::new(3).await;
    let wrong = each(&mut world, faults::advised(), Verdict::Well, "advice").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_looked_at_is_no_fault_and_not_well() {
    let mut world = World::new(4).await;
    let wrong = each(&mut world, faults::unknown(), Verdict::Unknown, "unknown").await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_says_by_its_code_how_all_is() {
    let world = World::new(5).await;
    let (code, said) = world.command(&["doctor"]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("No faults, 1 piece of advice."), "{said}");
    let remove =
        |zone: hikyaku_test_dns::Zone| zone.remove("_dmarc.one", hikyaku_test_dns::RecordType::TXT);
    world.dns.change("test", remove);
    let (code, said) = world.command(&["doctor", "one.test"]).await;
    assert!(code == 1 && said.contains("1 fault,"), "{said}");
    // Nobody answers there.
    world.is_impatient();
    let (code, said) = world
        .command(&["doctor", "--dns", "127.25.5.9:53", "one.test"])
        .await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("name a DNS server that answers"), "{said}");
    for words in [&["doctor", "one"][..], &["doctor", "--dns", "nowhere"]] {
        let (code, said) = world.command(words).await;
        assert_eq!(code, 2, "{said}");
    }
    world.stop().await;
}
