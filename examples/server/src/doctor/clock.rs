//! The clock, compared with what an NTP server says (RFC 4330): one question and its answer.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::finding::Finding;
use super::subject::{Subject, unanswered};

/// How long an answer may take, and how many addresses are asked.
const PATIENCE: Duration = Duration::from_secs(3);
const TRIES: usize = 3;
/// Seconds by which the clock may be off: more, and signatures and certificates seem not to be valid yet.
const OFF: f64 = 60.0;
/// Octets of a message without authentication (§4).
const MESSAGE: usize = 48;
/// Seconds from 1900 to 1970.
const EPOCHS: f64 = 2_208_988_800.0;

/// Compares the clock.
pub(super) async fn look(subject: &Subject<'_>) -> Option<Finding> {
    const ABOUT: &str = "clock";
    let server = subject.config.doctor.clock.as_str();
    if server.is_empty() {
        return None;
    }
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()?),
        _ => (server, 123),
    };
    let addresses = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => match subject.dns.host(host).await {
            Ok(found) => found.addresses,
            Err(error) => return Some(unanswered(ABOUT, &error)),
        },
    };
    for address in addresses.into_iter().take(TRIES) {
        let asked = timeout(PATIENCE, ask(SocketAddr::new(address, port))).await;
        if let Ok(Ok(Some(off))) = asked {
            return Some(judge(ABOUT, server, off));
        }
    }
    let finding = Finding::unknown(ABOUT, format!("{server} does not say what time it is"));
    Some(finding.setting("[doctor] clock = \"HOST\", another NTP server, or \"\" for none"))
}

fn judge(about: &str, server: &str, off: f64) -> Finding {
    let way = if off > 0.0 { "behind" } else { "ahead of" };
    let seconds = off.abs();
    if seconds < OFF {
        return Finding::well(about, format!("{seconds:.1} seconds {way} {server}"));
    }
    Finding::fault(about, format!("{seconds:.0} seconds {way} {server}"))
        .wanted("the right time: signatures, certificates and logins depend on it")
        .command("timedatectl set-ntp true")
}

/// Asks one server. Returns by how many seconds its clock is ahead of ours; `None` when it does not know the time.
async fn ask(at: SocketAddr) -> std::io::Result<Option<f64>> {
    let any: SocketAddr = match at {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(at).await?;
    // A number by chance in place of our time, which is nobody's business: the answer repeats it.
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|error| std::io::Error::other(error.to_string()))?;
    let mut question = [0; MESSAGE];
    question[0] = 0b00_100_011;
    question[40..].copy_from_slice(&nonce);
    let sent = SystemTime::now();
    socket.send(&question).await?;
    loop {
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).await?;
        let came = SystemTime::now();
        let message = answer.get(..length).unwrap_or_default();
        // What answers another question is somebody else's.
        if message.get(24..32) == Some(&nonce) {
            return Ok(offset(message, seconds(sent), seconds(came)));
        }
    }
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

/// §5: how far the clock of the server that answered is ahead.
fn offset(message: &[u8], sent: f64, came: f64) -> Option<f64> {
    let (first, stratum) = (*message.first()?, *message.get(1)?);
    let is_server = first & 7 == 4;
    let is_set = first >> 6 != 3;
    // Stratum 0 is a "kiss of death": a refusal.
    if !is_server || !is_set || !(1..16).contains(&stratum) {
        return None;
    }
    let (received, answered) = (timestamp(message, 32)?, timestamp(message, 40)?);
    Some(((received - sent) + (answered - came)) / 2.0)
}

/// A time in seconds since 1970.
fn timestamp(message: &[u8], at: usize) -> Option<f64> {
    let word = |at: usize| -> Option<u32> {
        let octets = message.get(at..at + 4)?;
        Some(u32::from_be_bytes(octets.try_into().ok()?))
    };
    let (whole, part) = (word(at)?, word(at + 4)?);
    // §3: without the first bit it is a time after 2036.
    let era = if whole >> 31 == 1 {
        0.0
    } else {
        4_294_967_296.0
    };
    Some(f64::from(whole) + era + f64::from(part) / 4_294_967_296.0 - EPOCHS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(first: u8, stratum: u8, whole: u32) -> Vec<u8> {
        let mut message = vec![0; MESSAGE];
        message[0] = first;
        message[1] = stratum;
        for at in [32, 40] {
            message[at..at + 4].copy_from_slice(&whole.to_be_bytes());
        }
        message
    }

    #[test]
    fn the_difference_is_that_of_both_ways() {
        // 2026-01-01 00:00:00, and the same in 2040.
        let message = answer(0b00_100_100, 2, 3_976_214_400);
        let at = 1_767_225_600.0;
        assert_eq!(offset(&message, at - 1.0, at + 1.0), Some(0.0));
        assert_eq!(offset(&message, at - 600.0, at - 600.0), Some(600.0));
        // A second after the first era of 2^32 seconds, in 2036.
        let later = answer(0b00_100_100, 2, 1);
        let at_later = 4_294_967_297.0 - EPOCHS;
        assert_eq!(offset(&later, at_later, at_later), Some(0.0));
        for (first, stratum) in [
            (0b00_100_011, 2),
            (0b11_100_100, 2),
            (0b00_100_100, 0),
            (0b00_100_100, 16),
        ] {
            assert_eq!(offset(&answer(first, stratum, 3_976_214_400), at, at), None);
        }
        assert_eq!(offset(&message[..44], at, at), None);
        assert_eq!(offset(&[], at, at), None);
    }
}
