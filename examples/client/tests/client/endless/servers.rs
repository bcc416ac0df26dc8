//! Servers that answer as servers do: an IMAP server, a POP3 server and a submission server.

fn message(uid: u32) -> String {
    format!("From: a@b.test\r\nSubject: {uid}\r\nMessage-ID: <{uid}@b.test>\r\n\r\nbody {uid}\r\n")
}

/// UIDs of a set, of those up to `last`.
fn uids(set: &str, last: u32) -> Vec<u32> {
    let number = |text: &str| text.parse().unwrap_or(last);
    let mut all = Vec::new();
    for range in set.split(',') {
        let (low, high) = range.split_once(':').unwrap_or((range, range));
        let (low, high) = (number(low), number(high));
        all.extend((low.min(high)..=low.max(high)).filter(|uid| *uid <= last));
    }
    all
}

/// An IMAP server with three messages in INBOX and one in `Other`.
pub(super) fn imap(line: &str, last: &mut u32) -> String {
    let mut words = line.split(' ');
    let tag = words.next().unwrap_or("");
    let rest: Vec<&str> = words.collect();
    let untagged = match rest.as_slice() {
        ["CAPABILITY"] => "* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\n".into(),
        ["LIST", ..] => "* LIST () \"/\" INBOX\r\n* LIST () \"/\" Other\r\n".into(),
        ["EXAMINE" | "SELECT", name, ..] => {
            *last = if name.contains("Other") { 1 } else { 3 };
            format!(
                "* {last} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT {}] x\r\n",
                *last + 1
            )
        }
        ["UID", "SEARCH", ..] => {
            format!(
                "* SEARCH{}\r\n",
                (1..=*last).map(|uid| format!(" {uid}")).collect::<String>()
            )
        }
        ["UID", "FETCH", set, what @ ..] => uids(set, *last)
            .into_iter()
            .map(|uid| {
                let octets = message(uid);
                let what = what.join(" ");
                let section = match &what {
                    what if what.contains("HEADER") => {
                        let end = octets.find("\r\n\r\n").unwrap_or(0) + 4;
                        format!(" BODY[HEADER] {{{end}}}\r\n{}", &octets[..end])
                    }
                    what if what.contains("BODY") => {
                        format!(" BODY[] {{{}}}\r\n{octets}", octets.len())
                    }
                    _ => String::new(),
                };
                let size = octets.len();
                format!("* {uid} FETCH (UID {uid} FLAGS () RFC822.SIZE {size}{section})\r\n")
            })
            .collect(),
        _ => String::new(),
    };
    format!("{untagged}{tag} OK done\r\n")
}

/// A POP3 server with three messages.
pub(super) fn pop(line: &str) -> String {
    let of = |number: &str| message(number.parse().unwrap_or(1));
    let listed = |what: fn(u32) -> String| (1..4).map(what).collect::<String>() + ".\r\n";
    let more = match line.split(' ').collect::<Vec<_>>().as_slice() {
        ["CAPA"] => "USER\r\nUIDL\r\nSASL PLAIN\r\n.\r\n".into(),
        ["LIST"] => listed(|n| format!("{n} {}\r\n", message(n).len())),
        ["UIDL"] => listed(|n| format!("{n} id-{}\r\n", n * 77)),
        ["RETR", number] => format!("{}.\r\n", of(number)),
        ["STAT"] => return "+OK 3 300\r\n".into(),
        _ => String::new(),
    };
    format!("+OK\r\n{more}")
}

pub(super) fn smtp(line: &str) -> &'static str {
    match line.get(..4) {
        Some("EHLO") => "250-mx\r\n250 AUTH PLAIN\r\n",
        Some("AUTH") => "235 welcome\r\n",
        _ => "250 ok\r\n",
    }
}
