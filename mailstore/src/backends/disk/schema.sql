-- Everything of an account is found by its number first. A body that is shared by several rows
-- counts them in `refs`; its octets lie in `body_data`, or in a file when there are none there.
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    last_mailbox INTEGER NOT NULL,
    last_uid_validity INTEGER NOT NULL,
    last_email INTEGER NOT NULL,
    quota_octets INTEGER,
    quota_messages INTEGER,
    used_octets INTEGER NOT NULL,
    used_messages INTEGER NOT NULL
) STRICT;
CREATE TABLE property (
    account INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (account, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE subscription (
    account INTEGER NOT NULL, name TEXT NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE mailbox (
    account INTEGER NOT NULL, number INTEGER NOT NULL,
    name TEXT NOT NULL, uid_validity INTEGER NOT NULL, uid_next INTEGER NOT NULL,
    highest INTEGER NOT NULL, horizon INTEGER NOT NULL,
    messages INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL,
    octets INTEGER NOT NULL, special_use TEXT,
    PRIMARY KEY (account, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE mailbox_property (
    account INTEGER NOT NULL, mailbox INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (account, mailbox, key)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, name);
CREATE TABLE message (
    account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL,
    modified INTEGER NOT NULL, flags INTEGER NOT NULL, keywords TEXT,
    received INTEGER NOT NULL, zone INTEGER NOT NULL,
    email INTEGER NOT NULL, thread INTEGER NOT NULL,
    body INTEGER NOT NULL, octets INTEGER NOT NULL, saved INTEGER,
    PRIMARY KEY (account, mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_modified ON message (account, mailbox, modified);
CREATE TABLE gone (
    account INTEGER NOT NULL, mailbox INTEGER NOT NULL, uid INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) STRICT, WITHOUT ROWID;
CREATE INDEX gone_at ON gone (account, mailbox, at);
CREATE TABLE origin (
    account INTEGER NOT NULL, mailbox INTEGER NOT NULL, origin BLOB NOT NULL, uid INTEGER NOT NULL,
    PRIMARY KEY (account, mailbox, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE body (
    id INTEGER PRIMARY KEY, octets INTEGER NOT NULL, refs INTEGER NOT NULL, file INTEGER NOT NULL,
    sums BLOB -- checksums of its blocks of 64 KiB
) STRICT;
CREATE INDEX body_free ON body (id) WHERE refs = 0;
CREATE TABLE body_data (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE summary (id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL, next_hop TEXT NOT NULL, body INTEGER NOT NULL, octets INTEGER NOT NULL,
    envelope BLOB NOT NULL, due INTEGER NOT NULL, token INTEGER NOT NULL
) STRICT;
CREATE INDEX queue_due ON queue (due);
CREATE INDEX queue_next_hop ON queue (next_hop, due);
