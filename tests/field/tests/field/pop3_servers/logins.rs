//! Logins that are refused, and what a server asks for.

use super::Say::{Close, Cut, Text};
use super::{ONE_TWO, Row, SYNC, Say, Sync};

const PLAIN: Say = Text("+OK\nUSER\nTOP\nUIDL\nSASL PLAIN\n.");

pub(super) const LOGINS: &[Row] = &[
    Row {
        name: "another session holds the maildrop",
        known: "Dovecot, Courier, qpopper",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("PASS", Text("-ERR [IN-USE] locked"))],
                there: &["one", "two"],
                error: Some("another session holds the mailbox"),
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "another session holds the maildrop, in words alone",
        known: "popa3d, older qpopper",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("PASS", Text("-ERR Maildrop already locked"))],
            there: &["one", "two"],
            error: Some("try again later"),
            ..SYNC
        }],
    },
    Row {
        name: "too soon after the last login",
        known: "GMX, mail.ru",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("PASS", Text("-ERR [LOGIN-DELAY] 900"))],
            there: &["one", "two"],
            error: Some("more time between logins"),
            ..SYNC
        }],
    },
    Row {
        name: "the greeting refuses for now",
        known: "Dovecot with too many connections",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("!", Cut("-ERR [SYS/TEMP] busy\r\n"))],
            there: &["one", "two"],
            error: Some("the server has trouble, try again later"),
            ..SYNC
        }],
    },
    Row {
        name: "AUTH PLAIN is announced and refused",
        known: "Exchange, proxies that pass CAPA on",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[
                ("CAPA", PLAIN),
                ("AUTH", Text("-ERR unrecognized mechanism")),
            ],
            here: &["one", "two"],
            sent: &["USER me@x.test"],
            ..SYNC
        }],
    },
    Row {
        name: "a wrong password is not tried twice",
        known: "servers that lock accounts",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("CAPA", PLAIN), ("AUTH", Text("-ERR [AUTH] no"))],
            there: &["one", "two"],
            error: Some("refused the login"),
            unsent: &["USER me@x.test"],
            ..SYNC
        }],
    },
    Row {
        name: "a challenge although the response came with AUTH",
        known: "servers older than RFC 5034",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("CAPA", PLAIN), ("AUTH", Text("+ "))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "it closes at CAPA",
        known: "servers older than RFC 2449 behind strict proxies",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("CAPA", Close)],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "+ok in small letters, and nothing after it",
        known: "home-made servers",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[
                ("!", Text("+ok")),
                ("USER", Text("+ok")),
                ("NOOP", Text("+Ok")),
            ],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "NOOP is not known",
        known: "home-made servers",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("NOOP", Text("-ERR what?"))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
];
