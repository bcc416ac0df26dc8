//! Writes the story of messages from the log.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::log::folder;
use super::reader::{ago, read};
use super::record::{Record, What};
use crate::printable::printable;

/// Records of one message that are shown.
const RECORDS: usize = 10_000;

/// Which messages are meant.
#[derive(Debug, Clone)]
pub struct Query {
    /// A message's name; or, where it has an `@` or is `<>`, the address of a sender, a recipient or a login.
    pub what: String,
    /// How far back.
    pub since: Duration,
    /// How many messages at most: the last ones.
    pub limit: usize,
    /// Whether the records are shown as they are, one JSON object a line.
    pub json: bool,
}

/// The message that a notification is about, and all else that belongs to it, have one name.
fn base(id: &str) -> &str {
    let mut id = id;
    while let Some(rest) = id.strip_suffix("-dsn") {
        id = rest;
    }
    id
}

/// Writes what the log in that data folder knows.
///
/// # Errors
/// Those of reading it.
pub fn report(data: &Path, query: &Query) -> std::io::Result<String> {
    let (folder, since) = (folder(data), ago(query.since));
    let is_address = query.what.contains('@') || query.what == "<>";
    let mut meant: VecDeque<String> = VecDeque::new();
    let mut known = HashMap::new();
    if is_address {
        read(&folder, since, |record| {
            let id = base(&record.id);
            if record.names(&query.what) && known.insert(id.to_owned(), ()).is_none() {
                meant.push_back(id.to_owned());
                if meant.len() > query.limit
                    && let Some(first) = meant.pop_front()
                {
                    known.remove(&first);
                }
            }
        })?;
    } else {
        let id = base(&query.what).to_owned();
        known.insert(id.clone(), ());
        meant.push_back(id);
    }
    let mut stories: BTreeMap<usize, Vec<Record<'static>>> = BTreeMap::new();
    let numbers: HashMap<&str, usize> = meant.iter().map(|id| &id[..]).zip(0..).collect();
    let mut lost = 0;
    read(&folder, since, |record| {
        if let What::Lost { count } = record.what {
            lost += count;
        }
        if let Some(&nth) = numbers.get(base(&record.id)) {
            let story = stories.entry(nth).or_default();
            if story.len() < RECORDS {
                story.push(record);
            }
        }
    })?;
    let mut text = String::new();
    for story in stories.into_values() {
        match query.json {
            true => story
                .iter()
                .for_each(|record| text += &String::from_utf8_lossy(&record.line())),
            false => text += &written(&story),
        }
    }
    if lost > 0 && !query.json {
        let _ = writeln!(text, "The log misses {lost} records of this time.");
    }
    Ok(text)
}

/// One message.
fn written(story: &[Record<'_>]) -> String {
    let mut text = String::new();
    let Some(first) = story.first() else {
        return text;
    };
    let id = base(&first.id);
    let _ = writeln!(text, "{}", printable(id));
    for record in story {
        let about = match record.id == id {
            true => "",
            false => "the notification: ",
        };
        for words in words(&record.what) {
            let at = clock(record.at);
            let _ = writeln!(text, "  {at}  {about}{}", printable(&words));
        }
    }
    text
}

fn clock(at: i64) -> String {
    let (seconds, millis) = (at.div_euclid(1000), at.rem_euclid(1000));
    let time = time::OffsetDateTime::from_unix_timestamp(seconds);
    let time = time.unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = time.to_hms();
    format!(
        "{:04}-{:02}-{:02} {hour:02}:{minute:02}:{second:02}.{millis:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day()
    )
}

/// What happened, in one line or more.
fn words(what: &What<'_>) -> Vec<String> {
    let tls = |tls: &Option<Cow<'_, str>>| tls.as_deref().unwrap_or("no TLS").to_owned();
    vec![match what {
        What::Mail {
            by,
            address,
            tls: cipher,
            hello,
            login,
            from,
            refusal,
        } => {
            let mut client = by.clone().into_owned();
            if let Some(address) = address {
                let _ = write!(client, " from {address}, {}, HELO {hello}", tls(cipher));
            }
            let login = login.as_ref().map(|login| format!("login {login}"));
            let login = login.unwrap_or("no login".into());
            let outcome = outcome(refusal.as_deref());
            return vec![
                format!("{client}, {login}"),
                format!("sender {from} {outcome}"),
            ];
        }
        What::Recipient { to, refusal } => {
            format!("recipient {to} {}", outcome(refusal.as_deref()))
        }
        What::Noted { note } => note.clone().into_owned(),
        What::Mailbox { to } => format!("delivered to the mailbox of {to}"),
        What::Queued {
            next_hop,
            recipients,
        } => {
            let next_hop = next_hop.as_deref().unwrap_or("mailboxes here");
            let recipients = match recipients {
                1 => "1 recipient".to_owned(),
                many => format!("{many} recipients"),
            };
            format!("queued for {next_hop}, {recipients}")
        }
        What::Answered { octets, reply } => format!("{octets} octets, answered: {reply}"),
        What::TooLarge => "refused: larger than is taken".into(),
        What::Asked {
            next_hop,
            attempt,
            host,
            peer,
            tls: cipher,
            replies,
            error,
        } => {
            let cipher = tls(cipher);
            let mut all = vec![format!(
                "attempt {attempt} for {next_hop}: {host} [{peer}], {cipher}"
            )];
            let replies = replies.iter();
            all.extend(replies.map(|(to, reply)| format!("  {host} said of {to}: {reply}")));
            all.extend(error.iter().map(|error| format!("  {host}: {error}")));
            return all;
        }
        What::Delivered { to, host, reply } => match host {
            Some(host) => format!("delivered {to} to {host}: {reply}"),
            None => format!("delivered to the mailbox of {to}"),
        },
        What::Deferred { to, why, next } => {
            format!("deferred {to}: {why}; next attempt {}", clock(*next))
        }
        What::Failed { to, why } => format!("gave up {to}: {why}"),
        What::Notified { to, how } => format!("notified {to}: {how}"),
        What::Operator { order, next_hop } => format!("operator, for {next_hop}: {order}"),
        What::Lost { count } => format!("{count} records are missing"),
    }]
}

fn outcome(refusal: Option<&str>) -> String {
    refusal.map_or("accepted".into(), |reply| format!("refused: {reply}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, records: &[(i64, &str, What<'_>)]) {
        let folder = super::folder(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let records = records.iter().map(|(at, id, what)| Record {
            at: ago(Duration::from_secs(3600)) + at,
            id: (*id).into(),
            what: what.clone(),
        });
        let octets: Vec<u8> = records.flat_map(|record| record.line()).collect();
        std::fs::write(folder.join("2000-01-01-00000.jsonl"), octets).unwrap();
    }

    fn to<'a>(address: &'a str, refusal: Option<&'a str>) -> What<'a> {
        What::Recipient {
            to: address.into(),
            refusal: refusal.map(Into::into),
        }
    }

    #[test]
    fn a_story_is_found_by_its_name_and_by_address_and_nothing_escapes_from_it() {
        let data = tempfile::tempdir().unwrap();
        let failed = What::Failed {
            to: "b@b.test".into(),
            why: "550 \u{1b}[2J no".into(),
        };
        let queued = What::Queued {
            next_hop: Some("a.test".into()),
            recipients: 1,
        };
        write(
            data.path(),
            &[
                (1, "1.0", to("b@b.test", None)),
                (2, "2.0", to("c@b.test", Some("550 5.1.1 no"))),
                (3, "1.0", failed),
                (4, "1.0-dsn", queued),
                (5, "", What::Lost { count: 7 }),
            ],
        );
        let mut query = Query {
            what: "1.0".into(),
            since: Duration::from_secs(86_400),
            limit: 10,
            json: false,
        };
        let by_id = report(data.path(), &query).unwrap();
        query.what = "1.0-dsn".into();
        assert_eq!(report(data.path(), &query).unwrap(), by_id);
        query.what = "B@b.test".into();
        assert_eq!(report(data.path(), &query).unwrap(), by_id);
        let lines: Vec<_> = by_id.lines().collect();
        assert_eq!(lines[0], "1.0");
        assert!(
            lines[1].ends_with("Z  recipient b@b.test accepted"),
            "{by_id}"
        );
        assert!(
            lines[2].ends_with("Z  gave up b@b.test: 550 ?[2J no"),
            "{by_id}"
        );
        assert!(
            lines[3].ends_with("Z  the notification: queued for a.test, 1 recipient"),
            "{by_id}"
        );
        assert_eq!(lines[4], "The log misses 7 records of this time.");
        query.what = "c@b.test".into();
        let refused = report(data.path(), &query).unwrap();
        assert!(
            refused.contains("recipient c@b.test refused: 550 5.1.1 no"),
            "{refused}"
        );
        query.json = true;
        let line = report(data.path(), &query).unwrap();
        assert!(line.contains("\"event\":\"recipient\"") && line.lines().count() == 1);
        query.since = Duration::from_secs(60);
        assert_eq!(report(data.path(), &query).unwrap(), "");
    }

    #[test]
    fn of_many_messages_the_last_ones_are_told() {
        let data = tempfile::tempdir().unwrap();
        let ids: Vec<String> = (0..100).map(|n| format!("{n}.0")).collect();
        let all: Vec<_> = ids
            .iter()
            .map(|id| (0, &id[..], to("b@b.test", None)))
            .collect();
        write(data.path(), &all);
        let query = Query {
            what: "b@b.test".into(),
            since: Duration::from_secs(86_400),
            limit: 3,
            json: false,
        };
        let text = report(data.path(), &query).unwrap();
        let heads: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
        assert_eq!(heads, ["97.0", "98.0", "99.0"]);
    }
}
