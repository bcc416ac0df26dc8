//! A stream that counts, and how long the server at its other end may take.
//!
//! A machine bounds what it holds, and how long its peer is silent. Neither ends a server that sends an octet a
//! minute, or octets that say nothing, for ever: that is done here, for all three protocols alike.

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout};

use crate::unsaid::{UNSAID, Unsaid};
use crate::{Dial, Error, Limits, Result, Server, Wire};

#[derive(Debug, Default)]
struct Count {
    read: AtomicU64,
    written: AtomicU64,
    /// No more is read before something is said.
    most: AtomicU64,
}

/// A stream that counts its octets.
pub(crate) struct Counted {
    stream: Box<dyn Wire>,
    count: Arc<Count>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = &self.count;
        if count.read.load(Ordering::Relaxed) >= count.most.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other(Unsaid)));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let came = buffer.filled().len() - before;
        self.count.read.fetch_add(came as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.stream).poll_write(context, octets))?;
        self.count.written.fetch_add(sent as u64, Ordering::Relaxed);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// What the server has taken of what it may take, since the last command ended.
#[derive(Debug)]
pub(crate) struct Pace {
    limits: Limits,
    count: Arc<Count>,
    /// Time that was waited for it.
    waited: Duration,
    /// Octets either way, and those that came, when it began.
    moved: u64,
    read: u64,
}

impl Pace {
    pub(crate) fn over(stream: Box<dyn Wire>, limits: Limits) -> (Counted, Self) {
        let count = Arc::new(Count::default());
        count.most.store(UNSAID, Ordering::Relaxed);
        let pace = Self {
            limits,
            count: Arc::clone(&count),
            waited: Duration::ZERO,
            moved: 0,
            read: 0,
        };
        (Counted { stream, count }, pace)
    }

    /// TLS over a stream; what is counted begins anew.
    pub(crate) async fn encrypt(
        &mut self,
        stream: Counted,
        dial: &dyn Dial,
        server: &Server,
    ) -> Result<Counted> {
        let stream = dial.encrypt(stream.stream, server).await?;
        let (stream, pace) = Self::over(stream, dial.limits());
        *self = pace;
        Ok(stream)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Octets that came since the last command ended.
    pub(crate) fn came(&self) -> u64 {
        self.count.read.load(Ordering::Relaxed) - self.read
    }

    fn moved_in_all(&self) -> u64 {
        self.count.read.load(Ordering::Relaxed) + self.count.written.load(Ordering::Relaxed)
    }

    /// A command has ended: what is counted begins anew.
    pub(crate) fn begin(&mut self) {
        self.waited = Duration::ZERO;
        self.moved = self.moved_in_all();
        self.read = self.count.read.load(Ordering::Relaxed);
    }

    /// Waits for what comes next, for as long as the server gets on.
    ///
    /// # Errors
    /// [`Error::Network`], when it does not.
    pub(crate) async fn wait<T>(&mut self, next: impl Future<Output = T>) -> Result<T> {
        let read = self.count.read.load(Ordering::Relaxed);
        self.count.most.store(read + UNSAID, Ordering::Relaxed);
        let mut next = pin!(next);
        loop {
            let moved = self.moved_in_all() - self.moved;
            let allowed = Duration::from_secs(moved / self.limits.rate.max(1));
            let allowed = self.limits.patience.saturating_add(allowed);
            let Some(left) = allowed.checked_sub(self.waited).filter(|d| !d.is_zero()) else {
                return Err(Error::Network(format!(
                    "the server gets nowhere: {moved} octets in {} seconds, and no end",
                    self.waited.as_secs()
                )));
            };
            let since = Instant::now();
            let done = timeout(left, &mut next).await;
            self.waited += since.elapsed();
            if let Ok(done) = done {
                return Ok(done);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn limits() -> Limits {
        Limits {
            patience: Duration::from_secs(60),
            rate: 10,
            ..Limits::default()
        }
    }

    /// Octets that come each second, for how many seconds the whole may take.
    async fn lasts(each: usize, seconds: u64) -> Result<()> {
        let (here, mut there) = tokio::io::duplex(4096);
        let (mut stream, mut pace) = Pace::over(Box::new(here), limits());
        let server = tokio::spawn(async move {
            for _ in 0..seconds {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if there.write_all(&vec![b'x'; each]).await.is_err() {
                    break;
                }
            }
        });
        let all = pace.wait(async {
            let mut octets = Vec::new();
            stream.read_to_end(&mut octets).await
        });
        let done = all.await.map(drop);
        drop(stream);
        let _ = server.await;
        done
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_may_take_as_long_as_it_gets_on() {
        for (each, seconds, holds) in [
            (0, 59, true),
            (0, 70, false),
            (1, 60, true),
            (1, 100, false),
            (9, 500, true),
            (9, 700, false),
            (20, 5_000, true),
        ] {
            let done = lasts(each, seconds).await;
            assert_eq!(done.is_ok(), holds, "{each} octets, {seconds} s: {done:?}");
        }
        let why = lasts(1, 1_000).await.unwrap_err().to_string();
        assert!(why.contains("gets nowhere: 6"), "{why}");
    }

    #[tokio::test(start_paused = true)]
    async fn our_own_time_is_not_the_servers() {
        let (here, mut there) = tokio::io::duplex(64);
        let (mut stream, mut pace) = Pace::over(Box::new(here), limits());
        for _ in 0..10 {
            there.write_all(b"x").await.unwrap();
            let read = pace.wait(stream.read_u8()).await.unwrap();
            assert_eq!(read.unwrap(), b'x');
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
    }

    #[tokio::test]
    async fn octets_that_say_nothing_come_to_an_end() {
        let (here, mut there) = tokio::io::duplex(1 << 20);
        let (mut stream, mut pace) = Pace::over(Box::new(here), Limits::default());
        tokio::spawn(async move { while there.write_all(&[0; 65_536]).await.is_ok() {} });
        let mut buffer = vec![0; 1 << 20];
        let read = pace.wait(async {
            loop {
                if let Err(error) = stream.read(&mut buffer).await {
                    return error;
                }
            }
        });
        let why = read.await.unwrap().to_string();
        assert!(why.contains("say nothing"), "{why}");
    }
}
