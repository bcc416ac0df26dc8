//! A client that was away comes back with one SELECT, and knows what a fresh one knows (RFC 7162 §3.2.5).

use mailserver::Protocol;
use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{House, Talk};

/// The same numbers for the same seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % limit as u64).unwrap()
    }
}

/// What a client knows of a mailbox: flags and mod-sequence of each UID.
type Known = BTreeMap<u32, (BTreeSet<String>, u64)>;

#[derive(Debug, Default)]
struct Mirror {
    validity: u32,
    highest: u64,
    messages: Known,
}

fn number<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text[..end].parse().unwrap()
}

fn uids(set: &str) -> impl Iterator<Item = u32> + '_ {
    set.split(',').flat_map(|range| {
        let (low, high) = range.split_once(':').unwrap_or((range, range));
        number::<u32>(low)..=number::<u32>(high)
    })
}

impl Mirror {
    /// Takes what the server said.
    fn hear(&mut self, said: &str) {
        for line in said.lines() {
            if let Some(set) = line.strip_prefix("* VANISHED (EARLIER) ") {
                uids(set).for_each(|uid| drop(self.messages.remove(&uid)));
            } else if let Some((_, rest)) = line.split_once("UIDVALIDITY ") {
                self.validity = number(rest);
            } else if let Some((_, rest)) = line.split_once("HIGHESTMODSEQ ") {
                self.highest = number(rest);
            } else if line.starts_with("* ") && line.contains(" FETCH (") {
                let (_, uid) = line.split_once("UID ").unwrap();
                let (_, flags) = line.split_once("FLAGS (").unwrap();
                let (_, modseq) = line.split_once("MODSEQ (").unwrap();
                let flags = flags.split_once(')').unwrap().0.split(' ');
                // \Recent is of the session.
                let flags = flags.filter(|flag| !flag.is_empty() && *flag != "\\Recent");
                let flags = flags.map(str::to_owned).collect();
                self.messages.insert(number(uid), (flags, number(modseq)));
            }
        }
    }

    fn set(&self) -> String {
        let uids: Vec<String> = self.messages.keys().map(u32::to_string).collect();
        uids.join(",")
    }
}

async fn ok(talk: &mut Talk, command: &str) -> String {
    let said = talk.imap(command).await;
    assert!(
        said.contains("\nx OK") || said.starts_with("x OK"),
        "{command}: {said}"
    );
    said
}

/// What others do meanwhile, until so many messages were touched.
async fn others(talk: &mut Talk, dice: &mut Dice, mut touched: usize) {
    ok(talk, "SELECT INBOX").await;
    let mut next = 0;
    while touched > 0 {
        let said = ok(talk, "UID SEARCH ALL").await;
        let (_, there) = said.split_once("* SEARCH").unwrap();
        let there: Vec<u32> = there
            .lines()
            .next()
            .unwrap()
            .split_whitespace()
            .map(number)
            .collect();
        let some = |dice: &mut Dice| {
            let mut some: Vec<u32> = Vec::new();
            for _ in 0..=dice.below(12) {
                some.push(there[dice.below(there.len())]);
            }
            (
                some.len(),
                some.iter()
                    .map(u32::to_string)
                    .collect::<Vec<_>>()
                    .join(","),
            )
        };
        let what = if there.len() < 20 { 0 } else { dice.below(8) };
        let flag = ["\\Seen", "\\Flagged", "\\Answered", "$Work", "\\Draft"][dice.below(5)];
        let count = match what {
            0..=2 => {
                let count = 1 + dice.below(15);
                let mut command = "APPEND INBOX".to_owned();
                for _ in 0..count {
                    next += 1;
                    let message = format!("Subject: {next}\r\n\r\n");
                    command += &format!(" ({flag}) {{{}+}}\r\n{message}", message.len());
                }
                ok(talk, &command).await;
                count
            }
            3 | 4 => {
                let (count, set) = some(dice);
                let action = ["FLAGS", "+FLAGS", "-FLAGS", "+FLAGS.SILENT"][dice.below(4)];
                ok(talk, &format!("UID STORE {set} {action} ({flag})")).await;
                count
            }
            5 => {
                let (count, set) = some(dice);
                ok(talk, &format!("UID MOVE {set} Archive")).await;
                count
            }
            6 => {
                let (count, set) = some(dice);
                ok(talk, &format!("UID COPY {set} INBOX")).await;
                count
            }
            _ => {
                let (count, set) = some(dice);
                ok(talk, &format!("UID STORE {set} +FLAGS.SILENT (\\Deleted)")).await;
                ok(talk, &format!("UID EXPUNGE {set}")).await;
                count
            }
        };
        touched = touched.saturating_sub(count);
    }
    ok(talk, "UNSELECT").await;
}

async fn history(store: &str, seed: u64, rounds: usize, touched: usize) {
    let more = format!("[auth]\nplaintext = \"always\"\n[store]\nkind = \"{store}\"\n");
    let house = House::with(&more).await;
    let mut dice = Dice(seed);
    let mut other = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    let (mut mirror, mut unknown) = (Mirror::default(), Mirror::default());
    for round in 0..rounds {
        others(&mut other, &mut dice, touched).await;
        let mut client = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
        ok(&mut client, "ENABLE QRESYNC").await;
        for (how, mirror) in [&mut mirror, &mut unknown].into_iter().enumerate() {
            let known = match (mirror.validity, how) {
                // The first time: from before all that the store remembers.
                (0, _) => {
                    let said = ok(&mut client, "SELECT INBOX").await;
                    mirror.hear(&said);
                    mirror.highest = 1;
                    String::new()
                }
                (_, 0) if !mirror.messages.is_empty() => format!(" {}", mirror.set()),
                _ => String::new(),
            };
            // With sequence numbers that were right, now and then.
            let mut pairs = String::new();
            if !known.is_empty() && dice.below(2) == 0 {
                let all: Vec<u32> = mirror.messages.keys().copied().collect();
                let at: Vec<usize> = (0..all.len()).step_by(1 + dice.below(40)).collect();
                let list = |one: &dyn Fn(usize) -> String| {
                    at.iter().map(|&at| one(at)).collect::<Vec<_>>().join(",")
                };
                let sequences = list(&|at| (at + 1).to_string());
                pairs = format!(" ({sequences} {})", list(&|at| all[at].to_string()));
            }
            let Mirror {
                validity, highest, ..
            } = mirror;
            let command = format!("SELECT INBOX (QRESYNC ({validity} {highest}{known}{pairs}))");
            let said = ok(&mut client, &command).await;
            let before = mirror.messages.clone();
            mirror.hear(&said);
            if how == 0 && !known.is_empty() {
                // What it did not say that it has is sent as it is when it asks for it.
                let last = before.keys().last().copied().unwrap_or(0);
                let said = ok(
                    &mut client,
                    &format!("UID FETCH {}:* (FLAGS MODSEQ)", last + 1),
                )
                .await;
                mirror.hear(&said);
            }
            let mut fresh = Mirror::default();
            let said = ok(&mut client, "UID FETCH 1:* (FLAGS MODSEQ)").await;
            fresh.hear(&said);
            assert_eq!(
                mirror.messages, fresh.messages,
                "seed {seed}, round {round}, how {how}: {command}"
            );
            assert!(!fresh.messages.is_empty());
        }
        client.imap("LOGOUT").await;
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_comes_back_with_one_select_on_disk() {
    for seed in 0..3 {
        history("disk", seed, 3, 1000).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_comes_back_with_one_select_in_memory() {
    for seed in 100..112 {
        history("memory", seed, 3, 1000).await;
    }
}
