//! Packets: four octets of length, a command or an answer of one octet, its arguments.

use bytes::{Buf as _, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::command::Command;
use crate::endpoint::Stream;
use crate::fault::Fault;

/// Octets of arguments that a milter takes: `MILTER_CHUNK_SIZE`, `MILTER_MAX_DATA_SIZE`.
pub(super) const ARGUMENTS: usize = 65_535;
/// Octets of an answer. libmilter sends at most 65 536, others send long fields whole.
const ANSWER: usize = 256 << 10;
/// What is held back until an answer is waited for.
const OUTPUT: usize = 64 << 10;

pub(super) struct Packets {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    within: Duration,
}

impl Packets {
    /// `within` is for each answer, and for each time that the milter has to take something.
    pub(super) fn new(stream: Box<dyn Stream>, within: Duration) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            within,
        }
    }

    /// Sends a command, soon or with the next. What is too long for a packet is cut before its last octet, the NUL: a
    /// milter hangs up on it, and then a message with one endless field would be examined by nobody.
    pub(super) async fn send(&mut self, command: Command, parts: &[&[u8]]) -> Result<(), Fault> {
        let octets: usize = parts.iter().map(|part| part.len()).sum();
        let octets = octets.min(ARGUMENTS);
        // An octet more for the command. It fits: 65 536 at most.
        let length = u32::try_from(octets + 1).unwrap_or(u32::MAX);
        self.output.extend_from_slice(&length.to_be_bytes());
        self.output.extend_from_slice(&[command.octet()]);
        let last = parts.iter().rev().find_map(|part| part.last());
        let mut room = octets.saturating_sub(1);
        for part in parts {
            let (part, _) = part.split_at(part.len().min(room));
            self.output.extend_from_slice(part);
            room -= part.len();
        }
        self.output.extend(last);
        if self.output.len() >= OUTPUT {
            self.flush().await?;
        }
        Ok(())
    }

    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        let writing = async {
            self.stream.write_all_buf(&mut self.output).await?;
            self.stream.flush().await
        };
        let written = timeout(self.within, writing).await;
        written
            .map_err(|_| Fault::Silent(self.within))?
            .map_err(Fault::Broke)
    }

    /// Returns the next answer and its arguments.
    pub(super) async fn answer(&mut self) -> Result<(u8, Bytes), Fault> {
        self.flush().await?;
        let within = self.within;
        let answer = timeout(within, self.read()).await;
        answer.map_err(|_| Fault::Silent(within))?
    }

    async fn read(&mut self) -> Result<(u8, Bytes), Fault> {
        loop {
            if let Some((length, _)) = self.input.split_first_chunk::<4>() {
                let length = u32::from_be_bytes(*length);
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                if length > ANSWER {
                    return Err(Fault::TooLong(ANSWER));
                }
                if self.input.len() >= 4 + length {
                    self.input.advance(4);
                    let mut packet = self.input.split_to(length).freeze();
                    let code = *packet.first().ok_or(Fault::Lacks("a code"))?;
                    packet.advance(1);
                    return Ok((code, packet));
                }
            }
            // It grows by what comes, not by what a length promises.
            let read = self.stream.read_buf(&mut self.input).await;
            if read.map_err(Fault::Broke)? == 0 {
                return Err(Fault::Broke(std::io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Packets, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(1 << 20);
        (Packets::new(Box::new(here), Duration::from_secs(20)), there)
    }

    #[tokio::test]
    async fn answers_come_in_any_pieces() {
        let (mut packets, mut milter) = pair();
        let task = tokio::spawn(async move {
            for octet in b"\0\0\0\x01c\0\0\0\x03hA\0" {
                milter.write_all(&[*octet]).await.unwrap();
                milter.flush().await.unwrap();
                tokio::task::yield_now().await;
            }
            milter
        });
        assert_eq!(packets.answer().await.unwrap(), (b'c', Bytes::new()));
        assert_eq!(packets.answer().await.unwrap(), (b'h', "A\0".into()));
        drop(task.await.unwrap());
        assert!(matches!(packets.answer().await, Err(Fault::Broke(_))));
    }

    #[tokio::test]
    async fn lengths_that_no_answer_has_are_faults() {
        for length in [0_u32, 1 << 20, u32::MAX] {
            let (mut packets, mut milter) = pair();
            milter.write_all(&length.to_be_bytes()).await.unwrap();
            milter.write_all(b"cccc").await.unwrap();
            let answer = packets.answer().await;
            assert!(
                matches!(answer, Err(Fault::TooLong(_) | Fault::Lacks(_))),
                "{length}"
            );
        }
    }

    #[tokio::test]
    async fn arguments_are_cut_to_a_packet() {
        let (mut packets, mut milter) = pair();
        let value = vec![b'x'; 100_000];
        packets
            .send(Command::Header, &[b"A\0", &value, b"\0"])
            .await
            .unwrap();
        packets.flush().await.unwrap();
        drop(packets);
        let mut sent = Vec::new();
        milter.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent[..7], *b"\0\x01\0\0LA\0");
        assert_eq!(sent.len(), 4 + 1 + ARGUMENTS);
        assert!(sent.ends_with(b"xx\0"));
    }
}
