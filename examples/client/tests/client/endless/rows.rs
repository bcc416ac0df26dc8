//! The rows: servers that keep the protocol but for one answer.

/// What is sent instead of, or before, the usual answer.
#[derive(Clone, Copy)]
pub(super) enum Say {
    /// Lines without an end; the number counts them.
    Lines(fn(u64) -> String),
    /// That, and then the octet for ever.
    Fill(&'static str, u8),
    /// That, and then the usual answer.
    Before(fn() -> String),
    /// That in answer to whatever comes from then on.
    Ask(&'static str),
}
pub(super) use Say::{Ask, Before, Fill, Lines};

pub(super) struct Row {
    pub(super) name: &'static str,
    /// `imap`, `pop`, or `smtp`: then incoming mail is POP3, in order.
    pub(super) of: &'static str,
    /// What the command begins with; empty is the greeting. In the mailbox `Other` where a `/` stands before it.
    pub(super) on: &'static str,
    pub(super) say: Say,
    /// What the program says of it.
    pub(super) words: &'static str,
    /// What it says of the rest.
    pub(super) brought: &'static str,
    /// Mebibytes of memory.
    pub(super) most: u64,
}

const fn row(name: &'static str, of: &'static str, on: &'static str, say: Say) -> Row {
    Row {
        name,
        of,
        on,
        say,
        words: "",
        brought: "",
        most: 64,
    }
}

fn many(count: u64, each: impl Fn(u64) -> String) -> String {
    (0..count).map(each).collect()
}

pub(super) fn rows() -> Vec<Row> {
    let lines = "lines, and no end of them";
    let mib = "MiB, and no end of it";
    vec![
        Row {
            words: "a response that is too long",
            ..row("a greeting without an end", "imap", "", Fill("* OK ", b'x'))
        },
        Row {
            words: "32 MiB came that say nothing",
            ..row(
                "empty lines before the greeting",
                "imap",
                "",
                Lines(|_| "\r\n".into()),
            )
        },
        Row {
            words: lines,
            ..row(
                "a login that is not over",
                "imap",
                "AUTHENTICATE",
                Lines(|_| "* OK still here\r\n".into()),
            )
        },
        Row {
            words: "32 MiB came that say nothing",
            ..row(
                "capabilities without an end",
                "imap",
                "AUTHENTICATE",
                Lines(|n| {
                    format!(
                        "* CAPABILITY IMAP4rev1 {}\r\n",
                        many(500, |m| format!("X{n}-{m} "))
                    )
                }),
            )
        },
        Row {
            brought: "4 new",
            most: 128,
            ..row(
                "a million and a half of capabilities",
                "imap",
                "AUTHENTICATE",
                Before(|| {
                    format!(
                        "* CAPABILITY IMAP4rev1 {}\r\n",
                        many(1_500_000, |n| format!(" X{n}"))
                    )
                }),
            )
        },
        Row {
            words: "more than 100000 mailboxes in one list",
            brought: "3 new",
            ..row(
                "mailboxes without an end",
                "imap",
                "LIST",
                Lines(|n| format!("* LIST () \"/\" \"box {n}\"\r\n")),
            )
        },
        Row {
            words: "more than 100000 mailboxes in one list",
            brought: "3 new",
            ..row(
                "variant: the same mailbox for ever",
                "imap",
                "LIST",
                Lines(|_| "* LIST (\\HasNoChildren) \"/\" Other\r\n".into()),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: mailboxes with long names",
                "imap",
                "LIST",
                Lines(|n| format!("* LIST () \"/\" \"{n}{}\"\r\n", "x".repeat(9_000))),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: a mailbox with attributes without an end",
                "imap",
                "LIST",
                Lines(|n| {
                    format!(
                        "* LIST ({}) \"/\" a{n}\r\n",
                        many(4_000, |n| format!(" \\x{n}"))
                    )
                }),
            )
        },
        Row {
            words: "say nothing",
            ..row(
                "variant: a name of 4 GiB",
                "imap",
                "LIST",
                Fill("* LIST () \"/\" {4294967296}\r\n", b'x'),
            )
        },
        Row {
            words: "a response that is too long",
            ..row(
                "variant: one line",
                "imap",
                "LIST",
                Fill("* LIST () \"/\" ", b'x'),
            )
        },
        Row {
            words: "a response that is too long",
            ..row(
                "words without an end",
                "imap",
                "LIST",
                Fill("* OK [ALERT] ", b'x'),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "a mailbox that is never open",
                "imap",
                "/EXAMINE",
                Lines(|_| "* OK [UNSEEN 1] patience\r\n".into()),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "variant: it grows",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* {} EXISTS\r\n", n % 7)),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            ..row(
                "variant: flags without an end",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* FLAGS ({})\r\n", many(1000, |m| format!(" k{n}-{m}")))),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            most: 96,
            ..row(
                "variant: messages that vanished",
                "imap",
                "/EXAMINE",
                Lines(|n| format!("* VANISHED (EARLIER) {}:{}\r\n", 3 * n + 1, 3 * n + 2)),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "a search that finds for ever",
                "imap",
                "/UID SEARCH",
                Lines(|n| {
                    format!(
                        "* SEARCH {}\r\n",
                        many(20, |m| format!(" {}", 20 * n + m + 1))
                    )
                }),
            )
        },
        Row {
            words: "more UIDs than a mailbox can have",
            brought: "3 new",
            most: 192,
            ..row(
                "variant: a search that finds everything",
                "imap",
                "/UID SEARCH",
                Before(|| "* ESEARCH (TAG \"a\") UID ALL 1:4294967295\r\n".into()),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            most: 96,
            ..row(
                "rows without an end",
                "imap",
                "/UID FETCH",
                Lines(|n| format!("* {} FETCH (UID {} FLAGS (\\Seen))\r\n", n + 1, n + 1)),
            )
        },
        Row {
            words: mib,
            brought: "3 new",
            most: 160,
            ..row(
                "variant: rows with keywords",
                "imap",
                "/UID FETCH",
                Lines(|n| {
                    let words = many(20, |m| format!("k{} ", n * 20 + m));
                    format!("* {} FETCH (UID {} FLAGS ({words}x))\r\n", n + 1, n + 1)
                }),
            )
        },
        Row {
            words: lines,
            brought: "3 new",
            ..row(
                "untagged lines of another kind",
                "imap",
                "/UID FETCH",
                Lines(|n| format!("* STATUS \"box {n}\" (MESSAGES 1)\r\n")),
            )
        },
        Row {
            words: "sections of 1 messages, and no end of them",
            brought: "4 new",
            ..row(
                "header fields without an end",
                "imap",
                "/UID FETCH",
                Lines(|n| {
                    let fields = "Subject: x\r\n".repeat(5_000);
                    let uid = n + 1;
                    format!(
                        "* 1 FETCH (UID {uid} BODY[HEADER] {{{}}}\r\n{fields})\r\n",
                        fields.len()
                    )
                }),
            )
        },
        Row {
            brought: "4 new",
            ..row(
                "variant: header fields of 100 MiB",
                "imap",
                "/UID FETCH 1 (UID FLAGS",
                Before(|| {
                    let fields = "Subject: a very long one\r\n".repeat(4_000_000);
                    format!(
                        "* 1 FETCH (UID 1 BODY[HEADER] {{{}}}\r\n{fields})\r\n",
                        fields.len()
                    )
                }),
            )
        },
        Row {
            words: "a message of 4294967296 octets, and 16M are taken (largest_message)",
            brought: "4 new",
            ..row(
                "a message of 4 GiB",
                "imap",
                "/UID FETCH 1 (UID BODY",
                Fill("* 1 FETCH (UID 1 BODY[] {4294967296}\r\n", b'x'),
            )
        },
        Row {
            brought: "4 new",
            ..row(
                "variant: the same message for ever",
                "imap",
                "/UID FETCH 1 (UID BODY",
                Lines(|_| {
                    format!(
                        "* 1 FETCH (UID 1 BODY[] {{20000}}\r\n{})\r\n",
                        "x".repeat(20_000)
                    )
                }),
            )
        },
        Row {
            words: "asks again instead of ending the login",
            ..row(
                "challenges without an end",
                "imap",
                "AUTHENTICATE",
                Ask("+ \r\n"),
            )
        },
        // POP3
        Row {
            words: "line too long",
            ..row("a greeting without an end", "pop", "", Fill("+OK ", b'x'))
        },
        Row {
            words: "a listing of too many lines",
            ..row(
                "capabilities without an end",
                "pop",
                "CAPA",
                Lines(|n| first(n, format!("X{n}"))),
            )
        },
        Row {
            words: "asks again instead of ending the login",
            ..row("challenges without an end", "pop", "AUTH", Ask("+ \r\n"))
        },
        Row {
            words: "say nothing",
            ..row(
                "empty lines instead of an answer",
                "pop",
                "AUTH",
                Lines(|_| "\r\n".into()),
            )
        },
        Row {
            words: "a listing of too many lines",
            most: 96,
            ..row(
                "a list without an end",
                "pop",
                "LIST",
                Lines(|n| first(n, format!("{n} 100"))),
            )
        },
        Row {
            words: "a listing of too many lines",
            ..row(
                "variant: the same line for ever",
                "pop",
                "LIST",
                Lines(|n| first(n, "1 100".into())),
            )
        },
        Row {
            brought: "3 new",
            most: 96,
            ..row(
                "ids without an end",
                "pop",
                "UIDL",
                Lines(|n| first(n, format!("{n} {}", "i".repeat(400)))),
            )
        },
        Row {
            brought: "3 new",
            ..row("variant: one id", "pop", "UIDL", Fill("+OK\r\n1 ", b'i'))
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "a message without an end",
                "pop",
                "RETR 2",
                Lines(|n| first(n, "x".repeat(1_000))),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: in one line",
                "pop",
                "RETR 2",
                Fill("+OK\r\n", b'x'),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: in empty lines",
                "pop",
                "RETR 2",
                Lines(|n| first(n, String::new())),
            )
        },
        Row {
            words: "message 2 stays on the server: it has no end within 16M octets",
            brought: "2 new",
            ..row(
                "variant: header fields",
                "pop",
                "RETR 2",
                Lines(|n| first(n, format!("X-{n}: y"))),
            )
        },
        // SMTP
        Row {
            words: "line too long",
            ..row("a greeting without an end", "smtp", "", Fill("220 ", b'x'))
        },
        Row {
            words: "too many lines",
            ..row(
                "variant: in lines",
                "smtp",
                "",
                Lines(|_| "220-patience\r\n".into()),
            )
        },
        Row {
            words: "too many lines",
            ..row(
                "extensions without an end",
                "smtp",
                "EHLO",
                Lines(|n| format!("250-X{n}\r\n")),
            )
        },
        Row {
            words: "asks again instead of ending the login",
            ..row("challenges without an end", "smtp", "AUTH", Ask("334 \r\n"))
        },
        Row {
            words: "",
            ..row(
                "replies without an end",
                "smtp",
                "QUIT",
                Lines(|_| "250 and\r\n".into()),
            )
        },
    ]
}

/// Lines behind a positive response.
fn first(count: u64, line: String) -> String {
    match count {
        0 => "+OK\r\n".into(),
        _ => line + "\r\n",
    }
}
