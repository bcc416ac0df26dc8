//! Listings that are wrong: of numbers, sizes and ids.

use super::Say::{Close, Text};
use super::{ONE_TWO, Row, SYNC, Sync, mail};

pub(super) const LISTINGS: &[Row] = &[
    Row {
        name: "no UIDL",
        known: "AOL's and Verizon's JPOP server",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("UIDL", Text("-ERR no"))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("UIDL", Text("-ERR no"))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "neither UIDL nor TOP",
        known: "old POP3 in appliances",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[
                    ("CAPA", Text("-ERR")),
                    ("UIDL", Text("-ERR")),
                    ("TOP", Text("-ERR")),
                ],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("c", "six")],
                say: &[
                    ("CAPA", Text("-ERR")),
                    ("UIDL", Text("-ERR")),
                    ("TOP", Text("-ERR")),
                ],
                here: &["one", "six", "two"],
                there: &["one", "two", "six"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "neither UIDL nor TOP, and all is deleted",
        known: "old POP3 in appliances",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[
                ("CAPA", Text("-ERR")),
                ("UIDL", Text("-ERR")),
                ("TOP", Text("-ERR")),
            ],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "UIDL leaves one out",
        known: "Exchange with a message it cannot convert",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("UIDL", Text("+OK\n1 a\n."))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "UIDL leaves one out, which stays",
        known: "Exchange with a message it cannot convert",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("UIDL", Text("+OK\n1 a\n."))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("UIDL", Text("+OK\n1 a\n2 \n."))],
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
        name: "LIST leaves one out",
        known: "caches of sizes that are behind",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("LIST", Text("+OK\n1 90\n."))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "LIST is refused",
        known: "a message whose size the server cannot find",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("LIST", Text("-ERR [SYS/TEMP] size"))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "LIST and UIDL are refused",
        known: "one damaged message in an mbox",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("LIST", Text("-ERR")), ("UIDL", Text("-ERR"))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "LIST and UIDL list more than there is",
        known: "Domino while another session deletes",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("UIDL", Text("+OK\n1 a\n2 b\n3 c\n."))],
            here: &["one", "two"],
            warns: &["message 3"],
            ..SYNC
        }],
    },
    Row {
        name: "a number stands twice in UIDL",
        known: "a proxy that joins two answers",
        rule: "at-once",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("UIDL", Text("+OK\n1 a\n1 b\n2 b\n."))],
                here: &["one", "two"],
                ..SYNC
            },
            Sync {
                arrive: &[mail("b", "six")],
                here: &["one", "six", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "three blanks before the id",
        known: "a server that K-9 Mail was adapted to",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("UIDL", Text("+OK\n1   a\n2   b\n."))],
                here: &["one", "two"],
                there: &["one", "two"],
                unsent: &["RETR 1"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "all sizes are 0",
        known: "maillennium",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("LIST", Text("+OK\n1 0\n2 0\n."))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "sizes are far too large, and others in each session",
        known: "Exchange 2003",
        rule: "never",
        syncs: &[
            Sync {
                arrive: ONE_TWO,
                say: &[("LIST", Text("+OK\n1 99999\n2 99999\n."))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
            Sync {
                say: &[("LIST", Text("+OK\n1 55555\n2 66666\n."))],
                here: &["one", "two"],
                there: &["one", "two"],
                ..SYNC
            },
        ],
    },
    Row {
        name: "lines of a listing that are none",
        known: "antivirus proxies that write their name into it",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("LIST", Text("+OK\nscanned by X\n1 90\n2 90\n-1 9\n."))],
            here: &["one", "two"],
            ..SYNC
        }],
    },
    Row {
        name: "it closes at UIDL",
        known: "servers that count unknown commands",
        rule: "at-once",
        syncs: &[Sync {
            arrive: ONE_TWO,
            say: &[("UIDL", Close)],
            here: &["one", "two"],
            ..SYNC
        }],
    },
];
