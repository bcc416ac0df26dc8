//! Compares the crates that read IMAP, side by side in one run: their results from the same octets, and their
//! time.
//!
//! `cargo bench -p hikyaku-benches --bench imap_peers`; an argument selects works by a word.

#[allow(dead_code, reason = "shared with imap_memory")]
mod peers;

use peers::{READERS, Work, works};
use std::time::{Duration, Instant};

/// The number of rounds; all crates read in each, one after the other.
const ROUNDS: usize = 9;

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn measured(work: &Work) -> Vec<Option<Duration>> {
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); READERS.len()];
    for round in 0..=ROUNDS {
        for (at, (name, read)) in READERS.iter().enumerate() {
            // Who is hopeless is not waited for so often.
            let slow = times[at].iter().any(|time| *time > Duration::from_secs(1));
            if slow && times[at].len() > 1 {
                continue;
            }
            let begun = Instant::now();
            let items = read(work);
            let took = begun.elapsed();
            if items == 0 {
                continue;
            }
            let scans = *name == "a bare token scan";
            assert!(
                scans || items == work.items,
                "{name}: {items} of {}",
                work.items
            );
            if round > 0 || took > Duration::from_secs(1) {
                times[at].push(took);
            }
        }
    }
    let median = |times: &mut Vec<Duration>| (!times.is_empty()).then(|| median(times));
    times.iter_mut().map(median).collect()
}

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with("--"))
        .collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| name.contains(one));
    println!(
        "| work | {} | ours : fastest peer |",
        READERS.map(|(name, _)| name).join(" | ")
    );
    println!("|{}", "---|".repeat(READERS.len() + 2));
    for work in works(1).iter().filter(|work| is_chosen(work.name)) {
        let times = measured(work);
        let shown = |time: &Option<Duration>| match time {
            Some(time) => format!("{:.3} ms", time.as_secs_f64() * 1e3),
            None => "cannot".into(),
        };
        let cells: Vec<String> = times.iter().map(shown).collect();
        let seconds = |at: usize| times[at].map(|time| time.as_secs_f64());
        let fastest = (1..4).filter_map(seconds).fold(f64::INFINITY, f64::min);
        let ours = seconds(0).unwrap_or(f64::INFINITY);
        println!(
            "| {} | {} | {:.2} times as fast, {:.2} GB/s |",
            work.name,
            cells.join(" | "),
            fastest / ours,
            work.input.len() as f64 / ours / 1e9
        );
    }
    println!("\ngrowth: twice the input takes so many times as long (exponent)");
    for (once, twice) in works(1)
        .iter()
        .zip(works(2))
        .filter(|(work, _)| is_chosen(work.name))
    {
        let mut ratios: Vec<f64> = (0..7)
            .map(|_| {
                let time = |work: &Work| {
                    let begun = Instant::now();
                    (READERS[0].1)(work);
                    begun.elapsed().as_secs_f64()
                };
                time(&twice) / time(once)
            })
            .collect();
        ratios.sort_by(f64::total_cmp);
        let ratio = ratios[ratios.len() / 2];
        println!("  {}: {ratio:.2} ({:.2})", once.name, ratio.log2());
    }
    if chosen.is_empty() || is_chosen("nesting") {
        nesting();
    }
}

/// Checks that nesting beyond the limit costs no stack and little time.
fn nesting() {
    use hikyaku_imap_proto::{Limits, Received, Tagged};
    const DEPTH: usize = 100_000;
    let mut limits = Limits::default();
    limits.response = 1 << 30;
    let leaf = "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)";
    let inside = " \"MIXED\")".repeat(DEPTH);
    let body = format!("* 1 FETCH (BODY {}{leaf}{inside})", "(".repeat(DEPTH));
    let search = format!("a SEARCH {}ALL{}", "(".repeat(DEPTH), ")".repeat(DEPTH));
    let (body, search) = (bytes::Bytes::from(body), bytes::Bytes::from(search));
    let time = |read: &dyn Fn()| {
        let mut times: Vec<Duration> = (0..ROUNDS)
            .map(|_| {
                let begun = Instant::now();
                read();
                begun.elapsed()
            })
            .collect();
        median(&mut times).as_secs_f64() * 1e3
    };
    println!("\n{DEPTH} levels");
    let multiparts = time(&|| drop(std::hint::black_box(Received::parse(&body, &limits))));
    println!("  of multipart: {multiparts:.2} ms");
    let keys = time(&|| drop(std::hint::black_box(Tagged::parse(&search, &limits))));
    println!("  of search keys: {keys:.2} ms");
}
