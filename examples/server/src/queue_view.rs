//! The queue on a terminal.

use std::fmt::Write as _;
use std::time::SystemTime;

use crate::printable::printable;
use crate::queue_request::{Done, Listed};
use crate::{Ordered, Size};

/// The head of the table.
#[must_use]
pub fn head() -> String {
    line(&[
        "ID",
        "AGE",
        "SIZE",
        "FROM",
        "TO",
        "NEXT HOP",
        "TRIES",
        "NEXT",
        "LAST REPLY",
    ])
}

/// A message, in one line.
#[must_use]
pub fn row(listed: &Listed) -> String {
    let now = now();
    let first = listed.recipients.first();
    let to = match (first, listed.recipients.len()) {
        (None, _) => String::new(),
        (Some(first), 1) => first.address.clone(),
        (Some(first), many) => format!("{} (+{})", first.address, many - 1),
    };
    let next = match listed.next_attempt {
        Some(at) => format!("in {}", span(at - now)),
        None => listed.status.clone(),
    };
    let last = first.map_or("", |first| &first.last_reply[..]);
    line(&[
        &listed.id,
        &span(now - listed.queued),
        &Size(listed.octets).to_string(),
        &listed.sender,
        &to,
        listed.route.as_ref().unwrap_or(&listed.next_hop),
        &listed.attempts.to_string(),
        &next,
        last,
    ])
}

/// The cells, in columns where they are as short as usual.
fn line(cells: &[&str; 9]) -> String {
    const WIDTHS: [usize; 9] = [18, 5, 9, 24, 24, 18, 5, 9, 0];
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        let _ = write!(line, "{:<width$}  ", printable(cell));
    }
    line.truncate(line.trim_end().len());
    line.push('\n');
    line
}

/// All that is known of a message, and the header section of it.
#[must_use]
pub fn whole(listed: &Listed, header: &[u8]) -> String {
    let now = now();
    let mut text = String::new();
    let mut say = |name: &str, value: &str| {
        let _ = writeln!(text, "{:<14}{}", format!("{name}:"), printable(value));
    };
    say("id", &listed.id);
    say("status", &listed.status);
    if let Some(at) = listed.next_attempt {
        say("next attempt", &format!("in {}", span(at - now)));
    }
    say("queued", &format!("{} ago", span(now - listed.queued)));
    say("attempts", &listed.attempts.to_string());
    say("next hop", &listed.next_hop);
    if let Some(route) = &listed.route {
        say("route", &format!("{route} (set by an operator)"));
    }
    say("size", &Size(listed.octets).to_string());
    say("envelope", &listed.mail);
    for recipient in &listed.recipients {
        say("recipient", &recipient.rcpt);
        if !recipient.last_reply.is_empty() {
            say("  last reply", &recipient.last_reply);
        }
        if recipient.delay_reported {
            say("  delay", "the sender was notified");
        }
    }
    text.push_str("header:\n");
    for line in String::from_utf8_lossy(header).lines() {
        // Tabs fold header fields.
        let line = line.replace('\t', "    ");
        let _ = writeln!(text, "  {}", printable(&line));
    }
    text
}

/// What an order came to.
///
/// # Errors
/// Nothing was changed: why.
pub fn done(done: &Done, order: &Ordered) -> Result<String, String> {
    let what = match order {
        Ordered::Retry => "tried now",
        Ordered::Hold => "held",
        Ordered::Release => "released",
        Ordered::Cancel { notify: true } => "cancelled, and the sender is notified",
        Ordered::Cancel { notify: false } => "cancelled",
        Ordered::Route(_) => "routed there, and tried now",
        Ordered::RouteByDefault => "routed as by default, and tried now",
    };
    let count = |count: u64| match count {
        1 => "1 message".to_owned(),
        many => format!("{many} messages"),
    };
    let mut text = String::new();
    if done.changed > 0 {
        let _ = writeln!(text, "{} {what}", count(done.changed));
    }
    if done.under_way > 0 {
        let _ = writeln!(text, "{} under way; try again", count(done.under_way));
    }
    if done.unchanged > 0 {
        let why = done.why.as_deref().unwrap_or("it has changed meanwhile");
        let _ = writeln!(text, "{} left: {why}", count(done.unchanged));
    }
    match (done.changed, text.is_empty()) {
        (0, true) => Err("no such message is in the queue".into()),
        (0, false) => Err(text.trim_end().replace('\n', ", ")),
        _ => Ok(text),
    }
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
}

/// Seconds, in the largest unit of which there are two.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= 2 * length {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ListedRecipient;

    fn listed() -> Listed {
        let recipient = |address: &str| ListedRecipient {
            address: address.into(),
            rcpt: format!("RCPT TO:<{address}> NOTIFY=NEVER"),
            last_reply: "450 \u{1b}[2J later".into(),
            delay_reported: true,
        };
        Listed {
            id: "5f.0".into(),
            entry: 7,
            status: "waiting".into(),
            next_attempt: Some(now() + 600),
            next_hop: "b.test".into(),
            route: None,
            octets: 2048,
            queued: now() - 7_300,
            attempts: 3,
            sender: "a@a.test".into(),
            mail: "MAIL FROM:<a@a.test> RET=HDRS".into(),
            recipients: vec![recipient("x@b.test"), recipient("y@b.test")],
        }
    }

    #[test]
    fn a_message_is_one_line_that_no_terminal_obeys() {
        let row = row(&listed());
        let words: Vec<_> = row.split_whitespace().collect();
        let expected = [
            "5f.0", "2h", "2.0", "KiB", "a@a.test", "x@b.test", "(+1)", "b.test", "3", "in", "10m",
            "450", "?[2J", "later",
        ];
        assert!(words == expected || words[10] == "9m", "{words:?}");
        assert!(row.ends_with('\n') && row.lines().count() == 1);
        assert_eq!(head().find("SIZE"), row.find("2.0 KiB"));
    }

    #[test]
    fn all_that_is_known_is_shown() {
        let text = whole(&listed(), b"Subject: x\r\nTo: y\r\n\tz\x1b[0m\r\n");
        for line in [
            "id:           5f.0",
            "envelope:     MAIL FROM:<a@a.test> RET=HDRS",
            "recipient:    RCPT TO:<x@b.test> NOTIFY=NEVER",
            "  last reply: 450 ?[2J later",
            "  delay:      the sender was notified",
            "  Subject: x",
            "      z?[0m",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in {text}"
            );
        }
    }

    #[test]
    fn times_are_short() {
        let all = [-5, 0, 59, 119, 120, 7_199, 7_200, 172_799, 172_800].map(span);
        let expected = ["0s", "0s", "59s", "119s", "2m", "119m", "2h", "47h", "2d"];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_order_that_changed_nothing_says_why() {
        let mut all = Done::default();
        let said = done(&all, &Ordered::Retry).unwrap_err();
        assert_eq!(said, "no such message is in the queue");
        all.under_way = 1;
        let said = done(&all, &Ordered::Retry).unwrap_err();
        assert_eq!(said, "1 message under way; try again");
        (all.changed, all.unchanged, all.why) = (2, 1, Some("held already".into()));
        let said = done(&all, &Ordered::Hold).unwrap();
        let expected =
            "2 messages held\n1 message under way; try again\n1 message left: held already\n";
        assert_eq!(said, expected);
    }
}
