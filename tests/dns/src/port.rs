//! Ports for servers that need theirs beforehand.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the ports begin. Outgoing connections and listeners without a port of their own get theirs from 32 768 on.
const FIRST: u16 = 10_000;
const COUNT: u32 = 20_000;

/// Returns a port of 127.0.0.1 that nobody has, and that nobody gets who does not ask for that very number. Tests that run at
/// the same time get different ones.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id()
            .wrapping_mul(97)
            .wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + u16::try_from(number % COUNT).unwrap_or_default();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
