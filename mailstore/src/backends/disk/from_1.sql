-- What version 2 has besides: when a message was put into its mailbox, and properties of mailboxes.
BEGIN IMMEDIATE;
ALTER TABLE message ADD COLUMN saved INTEGER;
CREATE TABLE mailbox_property (
    account INTEGER NOT NULL, mailbox INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (account, mailbox, key)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 2;
COMMIT;
