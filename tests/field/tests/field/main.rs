//! Tables of what real mail and real servers do; the next report is one more row.

#[path = "../../../../examples/server/tests/e2e/dns.rs"]
mod dns;
mod exchangers;
mod imap_servers;
mod messages;
mod peers;
mod pop3_servers;
mod routes;
mod smtp_clients;
