//! Ids that mean little: none, again and again the same, other ones each time.

use super::Say::Text;
use super::{NUMBERED, ONE_TWO, Row, SYNC, Sync, bare, mail};

pub(super) const IDS: &[Row] = &[
    Row {
        name: "ids are used again after QUIT was answered +OK",
        known: "D1; Cyrus once",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                here: &["one", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("a", "six"), mail("b", "ten")],
                here: &["one", "six", "ten", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("b", "own")],
                here: &["one", "own", "six", "ten", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "ids are message numbers",
        known: "D1; small servers in routers and tests",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: NUMBERED,
                here: &["one", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("#", "six")],
                here: &["one", "six", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("#", "ten")],
                here: &["one", "six", "ten", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "two messages have one id",
        known: "D1; copies of one file in a maildir",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[mail("a", "one"), mail("a", "two")],
                here: &["one", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("a", "six")],
                here: &["one", "six", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: numbers for ids, everything kept, another client deletes the first",
        known: "TA-dmarc's report on renumbering",
        rule: "never",
        syncs: &[
            Sync {
                arrive: NUMBERED,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                other: &["one"],
                arrive: &[mail("#", "six")],
                here: &["one", "six", "two"],
                there: &["two", "six"],
                ..SYNC
            },
            Sync {
                here: &["one", "six", "two"],
                there: &["two", "six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: numbers for ids, alike header sections, everything kept",
        known: "scripts that write mail without a Message-ID",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[bare("#", "log", "aaa"), bare("#", "log", "bbb")],
                here: &["log", "log"],
                there: &["log", "log"],
                ..SYNC
            },
            Sync {
                other: &["log"],
                arrive: &[bare("#", "log", "ccc")],
                here: &["log", "log", "log"],
                there: &["log", "log"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: an id comes again with the same header section and size, and another body",
        known: "reports of one script, hour by hour",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[bare("a", "log", "aaa")],
                here: &["log"],
                ..SYNC
            },
            Sync {
                arrive: &[bare("a", "log", "bbb")],
                here: &["log", "log"],
                ..SYNC
            },
            Sync {
                arrive: &[bare("a", "log", "ccc")],
                here: &["log", "log", "log"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: another client deletes, and the id comes again with the same size",
        known: "Cyrus once",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[mail("x", "one")],
                here: &["one"],
                there: &["one"],
                ..SYNC
            },
            Sync {
                other: &["one"],
                arrive: &[mail("x", "two")],
                here: &["one", "two"],
                there: &["two"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                there: &["two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: two messages have one id, and stay",
        known: "Thunderbird's reports of doubles with leave on server",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[mail("a", "one"), mail("a", "two"), bare("a", "log", "aaa")],
                here: &["log", "one", "two"],
                there: &["one", "two", "log"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("a", "six")],
                here: &["log", "one", "six", "two"],
                there: &["one", "two", "log", "six"],
                ..SYNC
            },
            Sync {
                here: &["log", "one", "six", "two"],
                there: &["one", "two", "log", "six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: the same octets twice, under two ids",
        known: "a list and its digest of aliases",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[bare("a", "log", "aaa"), bare("b", "log", "aaa")],
                here: &["log", "log"],
                ..SYNC
            },
            Sync {
                here: &["log", "log"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "variant: a message that was to go in some days, its id now another's",
        known: "Cyrus once",
        rule: "after-0-days",
        syncs: &[
            Sync {
                arrive: &[mail("x", "one")],
                say: &[("DELE", Text("-ERR locked"))],
                here: &["one"],
                there: &["one"],
                warns: &["locked"],
                ..SYNC
            },
            Sync {
                other: &["one"],
                arrive: &[mail("x", "two")],
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "ids are others in each session",
        known: "Outlook.com for a time; gateways of web mail",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[mail("a~", "one"), bare("b~", "log", "aaa")],
                here: &["log", "one"],
                there: &["one", "log"],
                ..SYNC
            },
            Sync {
                here: &["log", "one"],
                there: &["one", "log"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("c~", "two")],
                here: &["log", "one", "two"],
                there: &["one", "log", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "ids have odd characters",
        known: "file names of maildirs, IMAP names, Domino",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[
                    mail("a b", "one"),
                    mail("a c", "two"),
                    mail("\u{e9}\"\\<>:;,", "six"),
                ],
                here: &["one", "six", "two"],
                there: &["one", "two", "six"],
                ..SYNC
            },
            Sync {
                here: &["one", "six", "two"],
                there: &["one", "two", "six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "ids are longer than 70 octets and differ at their end",
        known: "Exchange, servers with maildir names",
        rule: "at-once",
        syncs: &[Sync {
            arrive: &[
                mail(
                    "1234567890123456789012345678901234567890123456789012345678901234567890a",
                    "one",
                ),
                mail(
                    "1234567890123456789012345678901234567890123456789012345678901234567890b",
                    "two",
                ),
            ],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "an id comes back after it was not listed once",
        known: "servers that list a part while they index",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[
                    ("LIST", Text("+OK\n1 91\n.")),
                    ("UIDL", Text("+OK\n1 a\n.")),
                ],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "an empty maildrop for one session",
        known: "servers whose store is not mounted",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("LIST", Text("+OK 0\n.")), ("UIDL", Text("+OK\n."))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
        ],
    },
];
