//! Deletions that are not certain.

use super::Say::{Close, Cut, DoneAndClose, First, Text};
use super::{ONE_TWO, Row, SYNC, Sync, mail};

pub(super) const DELETIONS: &[Row] = &[
    Row {
        name: "QUIT is not answered, and all was deleted; the ids come again",
        known: "connections of phones",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("QUIT", DoneAndClose)],
                here: &["one", "two"],
                error: Some(""),
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
        name: "QUIT is not answered, and nothing was deleted",
        known: "connections of phones",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("QUIT", Close)],
                here: &["one", "two"],
                there: &["one", "two"],
                error: Some(""),
                ..SYNC
            },
            Sync {
                arrive: &[mail("c", "six")],
                here: &["one", "six", "two"],
                unsent: &["RETR 1"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "it closes at DELE",
        known: "Outlook.com over a message it does not like",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("DELE 2", Close)],
                here: &["one", "two"],
                there: &["one", "two"],
                error: Some(""),
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "an empty line before the answer to DELE",
        known: "Outlook.com",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("DELE", First(""))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "-ERR to DELE of one",
        known: "servers with locks on messages",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("DELE 1", Text("-ERR it is locked"))],
                here: &["one", "two"],
                there: &["one"],
                warns: &["it is locked"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "-ERR to QUIT",
        known: "Cyrus over quota, full disks",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("QUIT", Text("-ERR some were not removed"))],
                here: &["one", "two"],
                there: &["one", "two"],
                warns: &["not removed"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "QUIT is answered +OK and nothing is deleted",
        known: "maildrops that cannot be written, Gmail's recent mode",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("QUIT", Text("+OK bye"))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("QUIT", Text("+OK bye"))],
                here: &["one", "two"],
                there: &["one", "two"],
                warns: &[
                    "message 1: the server kept it",
                    "message 2: the server kept it",
                ],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                unsent: &["RETR 1"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "what was deleted here goes, and nothing that has its id now",
        known: "Cyrus once",
        rule: "when-deleted-here",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                trash: &["one"],
                other: &["one"],
                arrive: &[mail("a", "six")],
                here: &["six", "two"],
                there: &["two", "six"],
                unsent: &["DELE 2", "DELE 1"],
                ..SYNC
            },
            Sync {
                trash: &["two"],
                here: &["six"],
                there: &["six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "it says farewell unasked",
        known: "idle limits of a minute",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("DELE 1", Cut("-ERR [SYS/TEMP] idle\r\n"))],
                here: &["one", "two"],
                there: &["one", "two"],
                error: Some(""),
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
];
