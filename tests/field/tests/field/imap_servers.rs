//! IMAP servers for the client, each answer scripted.
