//! The metrics page, as Prometheus reads it.

use crate::dns::serve;
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{House, Talk};
use crate::queue::submit;
use mailserver::Protocol;
use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// A page: the type of each metric, and each sample by name and labels.
#[derive(Debug, Default)]
struct Page {
    types: HashMap<String, String>,
    samples: BTreeMap<(String, String), f64>,
}

fn is_name(name: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.starts_with("mailserver_") && name.chars().all(letter)
}

/// The metric that a sample is of.
fn family<'a>(types: &HashMap<String, String>, name: &'a str) -> Option<&'a str> {
    if types.contains_key(name) {
        return Some(name);
    }
    let base = ["_bucket", "_sum", "_count"].iter();
    let base = base.filter_map(|end| name.strip_suffix(end));
    base.into_iter()
        .find(|base| types.get(*base).is_some_and(|kind| kind == "histogram"))
}

/// Reads a page, strictly: HELP, TYPE, then the samples of one metric, each once.
fn parse(page: &str) -> Page {
    let mut parsed = Page::default();
    let (mut helped, mut current) = (None, None);
    assert!(page.ends_with('\n'));
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            assert!(
                is_name(name) && !help.is_empty() && !parsed.types.contains_key(name),
                "{line}"
            );
            helped = Some(name);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert!(helped == Some(name), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            let is_counter = kind == "counter";
            assert_eq!(name.ends_with("_total"), is_counter, "{line}");
            parsed.types.insert(name.into(), kind.into());
            current = Some(name);
        } else {
            let (what, value) = line.rsplit_once(' ').expect(line);
            let (name, labels) = what.split_once('{').unwrap_or((what, "}"));
            let labels = labels.strip_suffix('}').expect(line);
            for label in labels.split(',').filter(|label| !label.is_empty()) {
                let (key, value) = label.split_once('=').expect(line);
                let value = value
                    .strip_prefix('"')
                    .and_then(|value| value.strip_suffix('"'));
                assert!(key.chars().all(|c| c.is_ascii_lowercase()), "{line}");
                assert!(
                    value.is_some_and(|value| !value.contains(['"', '\\'])),
                    "{line}"
                );
            }
            assert!(
                is_name(name) && family(&parsed.types, name) == current,
                "{line}"
            );
            let value: f64 = value.parse().expect(line);
            assert!(value >= 0.0 && value.is_finite(), "{line}");
            let before = parsed.samples.insert((name.into(), labels.into()), value);
            assert!(before.is_none(), "{line} comes twice");
        }
    }
    parsed
}

impl Page {
    fn sample(&self, name: &str, labels: &str) -> f64 {
        let key = (format!("mailserver_{name}"), labels.to_owned());
        *self
            .samples
            .get(&key)
            .unwrap_or_else(|| panic!("{name}{{{labels}}} is not in {self:?}"))
    }

    /// Checks that the buckets of all histograms are cumulative and agree with their counts.
    fn check_histograms(&self) -> usize {
        let mut histograms: BTreeMap<(&str, String), Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &self.samples {
            let Some(base) = name.strip_suffix("_bucket") else {
                continue;
            };
            let (others, bound) = labels.split_once("le=").unwrap();
            let bound = bound.trim_matches('"').replace("+Inf", "inf");
            let others = others.trim_end_matches(',').to_owned();
            let buckets = histograms.entry((base, others)).or_default();
            buckets.push((bound.parse().unwrap(), *value));
        }
        for ((base, labels), buckets) in &mut histograms {
            assert!(base.ends_with("_seconds"), "{base}");
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(
                buckets.is_sorted_by(|one, other| one.1 <= other.1),
                "{base} {buckets:?}"
            );
            let (last, all) = buckets.last().unwrap();
            assert!(last.is_infinite(), "{base}");
            let key = |end: &str| (format!("{base}{end}"), labels.clone());
            assert_eq!(self.samples[&key("_count")], *all, "{base}");
            let sum = self.samples[&key("_sum")];
            assert!(
                (*all > 0.0 || sum == 0.0) && buckets.len() > 5,
                "{base} {sum}"
            );
        }
        histograms.len()
    }
}

async fn page(house: &House) -> Page {
    let mut talk = Talk::new(house.at(Protocol::Metrics)).await;
    talk.send("GET /metrics HTTP/1.1\r\n\r\n").await;
    let answer = talk.rest().await;
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains("Content-Type: text/plain; version=0.0.4"),
        "{head}"
    );
    parse(page)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_what_prometheus_reads_and_its_histograms_grow() {
    let (dns, port) = (serve("other.test").await, port());
    let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Defers).await;
    let house = House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1h\"]\n"
    ))
    .await;
    let before = page(&house).await;
    assert!(before.check_histograms() >= 18);
    assert_eq!(before.sample("queue_length", "state=\"waiting\""), 0.0);
    assert_eq!(before.sample("queue_oldest_age_seconds", ""), 0.0);
    house.deliver("Subject: here\n\nx").await;
    let at = house.at(Protocol::Submission);
    submit(at, "x@other.test", "waits").await;
    let began = Instant::now();
    let waiting = loop {
        let page = page(&house).await;
        page.check_histograms();
        if page.sample("queue_length", "state=\"waiting\"") == 1.0 {
            break page;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{page:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    for (name, labels, count) in [
        ("message_receive_duration_seconds_count", "", 2.0),
        ("message_commit_duration_seconds_count", "", 2.0),
        ("mailbox_delivery_duration_seconds_count", "", 1.0),
        ("relay_lookup_duration_seconds_count", "", 1.0),
        ("relay_connect_duration_seconds_count", "", 1.0),
        ("relay_conversation_duration_seconds_count", "", 1.0),
        ("queue_duration_seconds_count", "", 0.0),
        ("session_duration_seconds_count", "protocol=\"imap\"", 0.0),
        // The names of before.
        ("messages_received_total", "", 2.0),
        ("messages_deferred_total", "", 1.0),
    ] {
        assert_eq!(waiting.sample(name, labels), count, "{name}");
    }
    // While it waits it grows old.
    let began = Instant::now();
    while page(&house).await.sample("queue_oldest_age_seconds", "") < 1.0 {
        assert!(began.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    exchanger.becomes(Manner::Good);
    submit(at, "y@other.test", "goes").await;
    exchanger.takes("goes", Duration::from_secs(20)).await;
    let began = Instant::now();
    loop {
        let after = page(&house).await;
        after.check_histograms();
        let is_over = after.sample("queue_duration_seconds_count", "") == 1.0
            && after.sample("session_duration_seconds_count", "protocol=\"submission\"") == 2.0;
        if is_over {
            assert_eq!(
                after.sample("message_commit_duration_seconds_count", ""),
                3.0
            );
            assert!(after.sample("relay_conversation_duration_seconds_sum", "") > 0.0);
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{after:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    house.server.stop().await;
}
