//! POP3 servers for the client, each answer scripted.
