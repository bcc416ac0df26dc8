//! A stream compressed both ways with raw DEFLATE (RFC 1951, as RFC 4978 has it).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// So many compressed octets are held, each way.
const HELD: usize = 8 * 1024;

/// A stream whose octets are compressed.
#[derive(Debug)]
pub(crate) struct Deflated<S> {
    inner: S,
    inflate: Decompress,
    deflate: Compress,
    /// Compressed octets that were read and not used.
    unread: Box<[u8]>,
    unread_from: usize,
    unread_to: usize,
    /// Compressed octets that were not sent.
    unsent: Vec<u8>,
    unsent_from: usize,
    /// Octets went in since the last flush.
    unflushed: bool,
    /// More may come out without more going in.
    inflating: bool,
}

impl<S> Deflated<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self {
            inner,
            inflate: Decompress::new(false),
            deflate: Compress::new(Compression::fast(), false),
            unread: vec![0; HELD].into(),
            unread_from: 0,
            unread_to: 0,
            unsent: Vec::with_capacity(HELD),
            unsent_from: 0,
            unflushed: false,
            inflating: false,
        }
    }

    /// Compresses into what is unsent; how many octets went in.
    fn deflate(&mut self, octets: &[u8], flush: FlushCompress) -> io::Result<usize> {
        let before = self.deflate.total_in();
        let done = self.deflate.compress_vec(octets, &mut self.unsent, flush);
        done.map_err(io::Error::other)?;
        Ok(usize::try_from(self.deflate.total_in() - before).unwrap_or(0))
    }
}

impl<S: AsyncWrite + Unpin> Deflated<S> {
    /// Sends what is compressed.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .unsent
            .get(self.unsent_from..)
            .filter(|rest| !rest.is_empty())
        {
            let sent = ready!(Pin::new(&mut self.inner).poll_write(cx, rest))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent_from += sent;
        }
        self.unsent.clear();
        self.unsent_from = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deflated<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.inflating || this.unread_from < this.unread_to {
                let (read, written) = (this.inflate.total_in(), this.inflate.total_out());
                let unread = this
                    .unread
                    .get(this.unread_from..this.unread_to)
                    .unwrap_or(&[]);
                let room = buf.initialize_unfilled();
                let space = room.len();
                let status = this.inflate.decompress(unread, room, FlushDecompress::None);
                let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
                this.unread_from += count(this.inflate.total_in(), read);
                let came = count(this.inflate.total_out(), written);
                buf.advance(came);
                this.inflating = came == space;
                match status {
                    Err(error) => return Poll::Ready(Err(io::Error::other(error))),
                    // The peer has ended its stream: what is left is the end.
                    Ok(Status::StreamEnd) => return Poll::Ready(Ok(())),
                    Ok(_) if came > 0 || space == 0 => return Poll::Ready(Ok(())),
                    Ok(Status::BufError) if this.unread_from < this.unread_to => {
                        return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                    }
                    Ok(_) => {}
                }
                if this.unread_from < this.unread_to {
                    continue;
                }
            }
            let mut read = ReadBuf::new(&mut this.unread);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut read))?;
            (this.unread_from, this.unread_to) = (0, read.filled().len());
            if this.unread_to == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deflated<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if this.unsent.len() == this.unsent.capacity() {
                ready!(this.send(cx))?;
            }
            let went = this.deflate(octets, FlushCompress::None)?;
            if went > 0 || octets.is_empty() {
                this.unflushed |= went > 0;
                return Poll::Ready(Ok(went));
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.unflushed {
            if this.unsent.len() == this.unsent.capacity() {
                ready!(this.send(cx))?;
            }
            this.deflate(&[], FlushCompress::Sync)?;
            // It is out when there was room left.
            this.unflushed = this.unsent.len() == this.unsent.capacity();
        }
        ready!(this.send(cx))?;
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn what_goes_in_comes_out_at_each_flush() {
        let (one, other) = tokio::io::duplex(100);
        let (mut one, mut other) = (Deflated::new(one), Deflated::new(other));
        let large: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
            .collect();
        let all = [&b"* OK\r\n"[..], b"", &large, &[0; 100_000]];
        let send = async {
            for piece in all {
                one.write_all(piece).await.unwrap();
                one.flush().await.unwrap();
                one.flush().await.unwrap();
            }
            one
        };
        let receive = async {
            for piece in all {
                let mut got = vec![0; piece.len()];
                other.read_exact(&mut got).await.unwrap();
                assert!(got == piece);
            }
        };
        let (one, ()) = tokio::join!(send, receive);
        drop(one);
        assert_eq!(other.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn what_is_no_deflate_is_an_error() {
        let (mut one, other) = tokio::io::duplex(100);
        one.write_all(b"\xff\xff\xff\xff").await.unwrap();
        let mut other = Deflated::new(other);
        assert!(other.read(&mut [0; 10]).await.is_err());
    }
}
