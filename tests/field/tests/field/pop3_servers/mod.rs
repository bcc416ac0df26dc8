//! POP3 servers for the client, each answer scripted.
//!
//! A row is a maildrop over one, two or three syncs: what arrives, what the server answers otherwise than a good
//! one would, and what must be so afterwards. In every row and after every sync one thing holds besides: whatever
//! arrived lies on this disk, octet for octet, or is still on the server.

use bytes::Bytes;
use hikyaku_client::{
    Account, Dial, Error, Kind, Local, Password, Progress, Security, Server, Wire, sync,
};
use mailstore::{BoxFuture, Memory};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// A message: `#` in an id is its number in the session, `~` the session.
#[derive(Clone, Copy)]
struct Mail {
    id: &'static str,
    subject: &'static str,
    body: &'static str,
    /// Nothing in the header section is its own.
    bare: bool,
}

const fn mail(id: &'static str, subject: &'static str) -> Mail {
    Mail {
        id,
        subject,
        body: "A body.",
        bare: false,
    }
}

/// A message whose header section others may have too.
const fn bare(id: &'static str, subject: &'static str, body: &'static str) -> Mail {
    Mail {
        id,
        subject,
        body,
        bare: true,
    }
}

impl Mail {
    fn octets(&self) -> String {
        let of = match self.bare {
            true => String::new(),
            false => format!("Message-ID: <{}@x.test>\r\n", self.subject),
        };
        format!(
            "From: f@x.test\r\nSubject: {}\r\n{of}\r\n{}\r\n.dot\r\n",
            self.subject, self.body
        )
    }
}

/// What the server says instead of what a good one would.
#[derive(Clone, Copy, Debug)]
enum Say {
    /// These lines, and does nothing.
    Text(&'static str),
    /// These lines, then what a good one says.
    First(&'static str),
    /// These octets, and does nothing.
    Raw(&'static str),
    /// Nothing: it closes.
    Close,
    /// These octets, then it closes.
    Cut(&'static str),
    /// It does what it was asked to, and closes without a word.
    DoneAndClose,
}
use Say::{Close, Cut, DoneAndClose, First, Raw, Text};

/// One sync.
struct Sync {
    /// What arrives before it.
    arrive: &'static [Mail],
    /// What another client deletes before it, by subject.
    other: &'static [&'static str],
    /// What the person deletes here before it, by subject.
    trash: &'static [&'static str],
    /// By a command, or a whole line; `*` is input that came while a command was answered, `!` the greeting.
    say: &'static [(&'static str, Say)],
    /// Subjects on this disk after it, sorted.
    here: &'static [&'static str],
    /// Subjects on the server after it, in its order.
    there: &'static [&'static str],
    /// Words of warnings; none means that there is no warning.
    warns: &'static [&'static str],
    /// Words of the error.
    error: Option<&'static str>,
    /// Lines that were sent to it.
    sent: &'static [&'static str],
    /// Lines that were not.
    unsent: &'static [&'static str],
}

const SYNC: Sync = Sync {
    arrive: &[],
    other: &[],
    trash: &[],
    say: &[],
    here: &[],
    there: &[],
    warns: &[],
    error: None,
    sent: &[],
    unsent: &[],
};

struct Row {
    name: &'static str,
    /// Who is known to do so.
    known: &'static str,
    /// When the account deletes.
    rule: &'static str,
    syncs: &'static [Sync],
}

const ONE_TWO: &[Mail] = &[mail("a", "one"), mail("b", "two")];
const NUMBERED: &[Mail] = &[mail("#", "one"), mail("#", "two")];

const IDS: &[Row] = &[
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

const LISTINGS: &[Row] = &[
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

const MESSAGES: &[Row] = &[
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

const DELETIONS: &[Row] = &[
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

const PLAIN: Say = Text("+OK\nUSER\nTOP\nUIDL\nSASL PLAIN\n.");

const LOGINS: &[Row] = &[
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

/// A message in the maildrop, and which one of all it is.
#[derive(Clone, Copy)]
struct Kept {
    mail: Mail,
    nth: usize,
}

#[derive(Default)]
struct State {
    maildrop: Vec<Kept>,
    arrived: usize,
    sessions: usize,
    say: &'static [(&'static str, Say)],
    log: Vec<String>,
}

/// A server that answers well, but for what its row says.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<State>>);

impl Dial for Scripted {
    fn dial<'a>(&'a self, _: &'a Server) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        tokio::spawn(self.clone().serve(theirs));
        Box::pin(async { Ok(Box::new(ours) as Box<dyn Wire>) })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        _: &'a Server,
    ) -> BoxFuture<'a, hikyaku_client::Result<Box<dyn Wire>>> {
        Box::pin(async { Ok(stream) })
    }
}

/// Lines with CRLF.
fn lines(text: &str) -> String {
    format!("{}\r\n", text.replace('\n', "\r\n"))
}

impl Scripted {
    fn said(&self, line: &str) -> Option<Say> {
        let state = self.0.lock().unwrap();
        let verb = line.split(' ').next().unwrap_or("");
        let find = |key: &str| state.say.iter().find(|(of, _)| *of == key);
        find(line).or_else(|| find(verb)).map(|(_, say)| *say)
    }

    async fn serve(self, stream: DuplexStream) {
        let mut stream = BufReader::new(stream);
        let (session, maildrop) = {
            let mut state = self.0.lock().unwrap();
            state.sessions += 1;
            (state.sessions, state.maildrop.clone())
        };
        let mut deleted: Vec<usize> = Vec::new();
        let mut line = String::from("!");
        loop {
            let say = self.said(&line);
            let does = matches!(say, None | Some(First(_) | DoneAndClose));
            let good = match line.as_str() {
                "!" => "+OK ready\r\n".to_owned(),
                _ if does => self.answer(&line, session, &maildrop, &mut deleted),
                _ => String::new(),
            };
            let (answer, closes) = match say {
                None if line == "QUIT" => {
                    self.update(&maildrop, &deleted);
                    (good, true)
                }
                None => (good, false),
                Some(Text(text)) => (lines(text), line == "QUIT"),
                Some(First(text)) => (lines(text) + &good, false),
                Some(Raw(text)) => (text.to_owned(), false),
                Some(Cut(text)) => (text.to_owned(), true),
                Some(Close) => (String::new(), true),
                Some(DoneAndClose) => {
                    self.update(&maildrop, &deleted);
                    (String::new(), true)
                }
            };
            if stream.get_mut().write_all(answer.as_bytes()).await.is_err() || closes {
                return;
            }
            if !stream.buffer().is_empty() && self.said("*").is_some() {
                return;
            }
            line.clear();
            match stream.read_line(&mut line).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
            line.truncate(line.trim_end().len());
            self.0.lock().unwrap().log.push(line.clone());
        }
    }

    /// RFC 1939 §6
    fn update(&self, maildrop: &[Kept], deleted: &[usize]) {
        let gone: Vec<usize> = deleted.iter().map(|&at| maildrop[at].nth).collect();
        self.0
            .lock()
            .unwrap()
            .maildrop
            .retain(|kept| !gone.contains(&kept.nth));
    }

    fn answer(
        &self,
        line: &str,
        session: usize,
        maildrop: &[Kept],
        deleted: &mut Vec<usize>,
    ) -> String {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or("").to_ascii_uppercase();
        let numbers: Vec<usize> = words.filter_map(|word| word.parse().ok()).collect();
        let at = numbers.first().and_then(|number| number.checked_sub(1));
        let one = at.filter(|at| *at < maildrop.len() && !deleted.contains(at));
        let live: Vec<usize> = (0..maildrop.len())
            .filter(|at| !deleted.contains(at))
            .collect();
        let id = |at: usize| {
            let id = maildrop[at].mail.id.replace('#', &(at + 1).to_string());
            id.replace('~', &session.to_string())
        };
        let body = |at: usize| maildrop[at].mail.octets().replace("\r\n.", "\r\n..");
        let listing = |of: &dyn Fn(usize) -> String| {
            let all = live.iter().map(|&at| format!("{} {}\r\n", at + 1, of(at)));
            format!("+OK\r\n{}.\r\n", all.collect::<String>())
        };
        let none = || "-ERR no such message\r\n".to_owned();
        match verb.as_str() {
            "CAPA" => lines("+OK\nUSER\nTOP\nUIDL\n."),
            "STAT" => format!("+OK {} {}\r\n", live.len(), 1),
            "LIST" => listing(&|at| maildrop[at].mail.octets().len().to_string()),
            "UIDL" => listing(&id),
            "RETR" => one.map_or_else(none, |at| format!("+OK\r\n{}.\r\n", body(at))),
            "TOP" => one.map_or_else(none, |at| {
                let all = body(at);
                let end = all.find("\r\n\r\n").map_or(all.len(), |end| end + 4);
                format!("+OK\r\n{}.\r\n", &all[..end])
            }),
            "DELE" => one.map_or_else(none, |at| {
                deleted.push(at);
                "+OK\r\n".into()
            }),
            "USER" | "PASS" | "NOOP" | "QUIT" | "RSET" | "AUTH" => "+OK\r\n".into(),
            // A response to a challenge.
            _ if line.len() > 8 && !line.contains(' ') => "+OK\r\n".into(),
            _ => "-ERR unknown command\r\n".into(),
        }
    }
}

fn account(rule: &str) -> Account {
    let server = || Server {
        host: "pop.x.test".into(),
        port: 110,
        security: Security::None,
    };
    let password = Password::InClear("secret".into());
    Account {
        delete: rule.parse().unwrap(),
        ..Account::new("me@x.test", Kind::Pop, server(), server(), password)
    }
}

/// Subject and octets of all that is here, in INBOX or in the trash.
async fn on_this_disk(local: &Local, folder: &str) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    for message in local.list(folder, 1000).await.unwrap() {
        all.push((
            message.subject(),
            local.whole(&message).await.unwrap().unwrap(),
        ));
    }
    all.sort();
    all
}

async fn run(row: &Row) -> Result<(), String> {
    let server = Scripted::default();
    let account = account(row.rule);
    let local = Local::of(Arc::new(Memory::new()), &account).await.unwrap();
    let mut ever: Vec<Mail> = Vec::new();
    for (nth, step) in row.syncs.iter().enumerate() {
        for subject in step.trash {
            let all = local.list("INBOX", 1000).await.unwrap();
            let message = all.iter().find(|one| one.subject() == *subject).unwrap();
            local.delete(message, false).await.unwrap();
        }
        {
            let mut state = server.0.lock().unwrap();
            for subject in step.other {
                let at = state
                    .maildrop
                    .iter()
                    .position(|kept| kept.mail.subject == *subject)
                    .unwrap();
                state.maildrop.remove(at);
            }
            for &mail in step.arrive {
                state.arrived += 1;
                let nth = state.arrived;
                state.maildrop.push(Kept { mail, nth });
                ever.push(mail);
            }
            state.say = step.say;
            state.log.clear();
        }
        let outcome = sync(&server, &local, &account, &Progress::hidden()).await;
        let here = on_this_disk(&local, "INBOX").await;
        let trash = on_this_disk(&local, "Trash").await;
        let state = server.0.lock().unwrap();
        let there: Vec<&str> = state
            .maildrop
            .iter()
            .map(|kept| kept.mail.subject)
            .collect();
        let wrong = |what: String| Err(format!("sync {}: {what}\n  {:?}", nth + 1, state.log));
        let subjects: Vec<&str> = here.iter().map(|(subject, _)| subject.as_str()).collect();
        if subjects != step.here || there != step.there {
            return wrong(format!("here {subjects:?}, there {there:?}, {outcome:?}"));
        }
        // Nothing is lost.
        for mail in &ever {
            let octets = mail.octets();
            let is_here = here
                .iter()
                .chain(&trash)
                .any(|(_, of)| of == octets.as_bytes());
            let is_there = state
                .maildrop
                .iter()
                .any(|kept| kept.mail.octets() == octets);
            if !is_here && !is_there {
                return wrong(format!("{:?} is lost", mail.subject));
            }
        }
        match (&outcome, step.error) {
            (Ok(report), None) => {
                let has = |words: &&&str| report.warnings.iter().any(|one| one.contains(**words));
                if report.warnings.len() != step.warns.len() || !step.warns.iter().all(|w| has(&w))
                {
                    return wrong(format!("warnings {:?}", report.warnings));
                }
            }
            (Err(error), Some(words)) if error.to_string().contains(words) => {
                let may = matches!(
                    error,
                    Error::Network(_) | Error::Protocol(_) | Error::Login(_)
                );
                if !may {
                    return wrong(format!("{error:?}"));
                }
            }
            _ => return wrong(format!("{outcome:?}, not {:?}", step.error)),
        }
        let sent = |line: &&&str| state.log.iter().any(|one| one == **line);
        if !step.sent.iter().all(|line| sent(&line)) || step.unsent.iter().any(|line| sent(&line)) {
            return wrong("what was sent".into());
        }
    }
    Ok(())
}

async fn all(rows: &[Row]) {
    let mut failed = Vec::new();
    for row in rows {
        if let Err(why) = run(row).await {
            failed.push(format!("{} ({}), {}: {why}", row.name, row.known, row.rule));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        rows.len(),
        failed.join("\n")
    );
}

#[tokio::test]
async fn ids_that_mean_little() {
    all(IDS).await;
}

#[tokio::test]
async fn listings_that_are_wrong() {
    all(LISTINGS).await;
}

#[tokio::test]
async fn messages_that_do_not_come() {
    all(MESSAGES).await;
}

#[tokio::test]
async fn deletions_that_are_not_certain() {
    all(DELETIONS).await;
}

#[tokio::test]
async fn logins_that_are_refused() {
    all(LOGINS).await;
}
