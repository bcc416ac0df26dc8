//! An NTP server whose clock may be wrong.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// Seconds from 1900 to 1970.
const EPOCHS: i64 = 2_208_988_800;

pub(super) struct Clock {
    pub(super) address: SocketAddr,
    /// By how many seconds it is ahead.
    pub(super) ahead: Arc<AtomicI64>,
    is_over: Arc<AtomicBool>,
}

impl Clock {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let clock = Self {
            address: socket.local_addr().unwrap(),
            ahead: Arc::default(),
            is_over: Arc::default(),
        };
        let (ahead, is_over) = (Arc::clone(&clock.ahead), Arc::clone(&clock.is_over));
        std::thread::spawn(move || {
            let mut question = [0; 64];
            while !is_over.load(Ordering::Relaxed) {
                if let Ok((48, peer)) = socket.recv_from(&mut question) {
                    let answer = answer(&question[..48], ahead.load(Ordering::Relaxed));
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        clock
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

fn answer(question: &[u8], ahead: i64) -> Vec<u8> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap();
    let whole = i64::try_from(now.as_secs()).unwrap() + EPOCHS + ahead;
    let part = u32::try_from((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000).unwrap();
    let mut answer = vec![0; 48];
    (answer[0], answer[1]) = (0b00_100_100, 2);
    answer[24..32].copy_from_slice(&question[40..48]);
    for at in [32, 40] {
        answer[at..at + 4].copy_from_slice(&u32::try_from(whole).unwrap().to_be_bytes());
        answer[at + 4..at + 8].copy_from_slice(&part.to_be_bytes());
    }
    answer
}
