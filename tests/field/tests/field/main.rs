//! Tables of what real mail and real servers do; the next report is one more row.

mod exchangers;
mod imap_servers;
mod messages;
mod peers;
mod pop3_servers;
mod smtp_clients;
