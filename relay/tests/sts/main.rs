//! MTA-STS and TLS reports: grammar, and mail that is handed on between real sockets (RFC 8461, RFC 8460).

mod enforce;
mod exchanger;
mod grammar;
mod policies;
mod reports;
mod web;
mod world;
