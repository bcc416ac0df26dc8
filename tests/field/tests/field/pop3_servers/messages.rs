//! Messages that do not come, or not whole.

use super::Say::{Close, Cut, Raw, Text};
use super::{NUMBERED, ONE_TWO, Row, SYNC, Sync, mail};

pub(super) const MESSAGES: &[Row] = &[
    Row {
        name: "-ERR to RETR of one",
        known: "Exchange with a message it cannot convert",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[mail("a", "one"), mail("b", "two"), mail("c", "six")],
                say: &[("RETR 2", Text("-ERR [SYS/TEMP] cannot read"))],
                here: &["one", "six"],
                there: &["two"],
                warns: &["message 2: cannot read"],
                ..SYNC
            },
            Sync {
                here: &["one", "six", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "the connection ends over one message, always",
        known: "Dovecot with a damaged index, servers that crash",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[mail("a", "one"), mail("b", "two"), mail("c", "six")],
                say: &[("RETR 2", Cut("+OK\r\nSubject: two\r\n"))],
                here: &["one", "six"],
                there: &["two"],
                warns: &["message 2"],
                ..SYNC
            },
            Sync {
                say: &[("RETR 1", Close)],
                here: &["one", "six"],
                there: &["two"],
                warns: &["message 1"],
                ..SYNC
            },
            Sync {
                here: &["one", "six", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "a line with one dot is not doubled, so a message seems to end there",
        known: "servers that do not stuff",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[(
                "RETR 1",
                Raw("+OK\r\nSubject: half\r\n\r\nbegin\r\n.\r\nand the rest\r\n.\r\n"),
            )],
            here: &["half", "two"],
            there: &["one"],
            warns: &["message 1"],
            ..SYNC
        }],
    },
    Row {
        name: "the last message seems to end early",
        known: "servers that do not stuff",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[(
                    "RETR 2",
                    Raw("+OK\r\nSubject: half\r\n\r\nbegin\r\n.\r\nand the rest\r\n.\r\n"),
                )],
                here: &["half", "one"],
                there: &["two"],
                warns: &["message 2"],
                ..SYNC
            },
            Sync {
                here: &["half", "one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "a message of no octet",
        known: "Exchange, when the store is busy",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("RETR 1", Text("+OK\n."))],
                here: &["two"],
                there: &["one"],
                warns: &["message 1"],
                ..SYNC
            },
            Sync {
                here: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "LF alone within a message",
        known: "qmail-pop3d behind odd deliveries",
        rule: "at-once",
        syncs: &[Sync {
            arrive: &[mail("a", "one"), mail("b", "two")],
            say: &[
                (
                    "RETR 1",
                    Raw("+OK\r\nFrom: f@x.test\nSubject: bare\n\nbody\n.\nrest\r\n.\r\n"),
                ),
                ("DELE 1", Text("-ERR")),
            ],
            here: &["bare", "two"],
            there: &["one"],
            warns: &["message 1"],
            ..SYNC
        }],
    },
    Row {
        name: "Status fields are written into what was fetched",
        known: "qpopper, cucipop",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: &[mail("a", "one")],
                say: &[("QUIT", Close)],
                here: &["one"],
                there: &["one"],
                error: Some(""),
                ..SYNC
            },
            Sync {
                say: &[
                    ("TOP", Text("-ERR")),
                    (
                        "RETR 1",
                        Raw(
                            "+OK\r\nStatus: RO\r\nX-UIDL: 7\r\nFrom: f@x.test\r\nSubject: one\r\nMessage-ID: <one@x.test>\r\n\r\nA body.\r\n..dot\r\n.\r\n",
                        ),
                    ),
                ],
                here: &["one"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "PIPELINING is announced, and breaks",
        known: "poczta.o2.pl, antivirus proxies",
        rule: "at-once",
        syncs: &[Sync {
            arrive: &[mail("a", "one"), mail("b", "two"), mail("c", "six")],
            say: &[
                ("CAPA", Text("+OK\nUSER\nTOP\nUIDL\nPIPELINING\n.")),
                ("*", Close),
            ],
            here: &["one", "six", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "it closes at TOP",
        known: "servers whose TOP is broken, as maillennium's",
        rule: "never",
        syncs: &[
            Sync {
                arrive: NUMBERED,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("TOP", Close)],
                arrive: &[mail("#", "six")],
                here: &["one", "six", "two"],
                there: &["one", "two", "six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "TOP gives the whole message",
        known: "servers that read TOP's count wrong",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[mail("#", "one")],
                here: &["one"],
                there: &["one"],
                ..SYNC
            },
            Sync {
                say: &[(
                    "TOP",
                    Raw(
                        "+OK\r\nFrom: f@x.test\r\nSubject: one\r\nMessage-ID: <one@x.test>\r\n\r\nA body.\r\n..dot\r\n.\r\n",
                    ),
                )],
                here: &["one"],
                there: &["one"],
                unsent: &["RETR 1"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "TOP changes the header section",
        known: "filters that mark spam while it passes",
        rule: "never",
        syncs: &[
            Sync {
                arrive: &[mail("#", "one")],
                here: &["one"],
                there: &["one"],
                ..SYNC
            },
            Sync {
                say: &[("TOP", Text("+OK\nSubject: [SPAM] one\n\n."))],
                here: &["one"],
                there: &["one"],
                ..SYNC
            },
        ],
    },
];
