//! The checks as tables, forgeries of our own name, and other programs' signatures.

mod dmarc;
mod forged;
mod interop;
mod policies;
mod reports;
mod resolver;
mod signatures;
mod spf;
mod world;
