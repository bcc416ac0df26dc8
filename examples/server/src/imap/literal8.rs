//! Messages with NUL in them, which came as a literal8: kept with those parts in base64, so that every
//! client can fetch them (RFC 3516 §4.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use imap_proto::ResponseCode;
use mailstore::message::{Encoding, Kind, Part, Scanner, Structure, fields};
use mailstore::{Stage, Staged};
use std::ops::Range;

use super::fetch::PIECE;
use super::{End, Session};

/// So many octets are one line of 76 letters.
const LINE: usize = 57;

/// The new message on its way into the store.
struct Rewriting {
    stage: Box<dyn Stage>,
    scanner: Scanner,
}

impl Rewriting {
    async fn write(&mut self, octets: Bytes) -> Result<(), End> {
        self.scanner.feed(&octets);
        Ok(self.stage.write(octets).await?)
    }
}

/// The header section, saying base64.
fn in_base64(header: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    for (name, _, whole) in fields(header) {
        if !name.eq_ignore_ascii_case(b"Content-Transfer-Encoding") {
            made.extend_from_slice(whole);
        }
    }
    made.extend_from_slice(b"Content-Transfer-Encoding: base64\r\n\r\n");
    made
}

impl Session<'_> {
    async fn staged(&self, staged: &Staged, range: Range<u64>) -> Result<Bytes, End> {
        let Some(held) = staged.octets() else {
            let end = range.end.min(range.start + PIECE);
            let read = self
                .shared
                .store
                .read(&staged.body(), range.start..end)
                .await?;
            return match read.is_empty() {
                true => Err(mailstore::Error::Damaged("a body that is too short").into()),
                false => Ok(read),
            };
        };
        let at = |offset: u64| {
            usize::try_from(offset)
                .unwrap_or(usize::MAX)
                .min(held.len())
        };
        Ok(held.slice(at(range.start)..at(range.end)))
    }

    async fn has_nul(&self, staged: &Staged, range: Range<u64>) -> Result<bool, End> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.staged(staged, at..range.end).await?;
            if memchr::memchr(0, &piece).is_some() {
                return Ok(true);
            }
            at += piece.len() as u64;
        }
        Ok(false)
    }

    async fn copied(
        &self,
        staged: &Staged,
        range: Range<u64>,
        new: &mut Rewriting,
    ) -> Result<(), End> {
        let mut at = range.start;
        while at < range.end {
            let piece = self.staged(staged, at..range.end).await?;
            at += piece.len() as u64;
            new.write(piece).await?;
        }
        Ok(())
    }

    async fn encoded(&self, staged: &Staged, part: &Part, new: &mut Rewriting) -> Result<(), End> {
        let (mut held, mut at) = (Vec::new(), part.body.start);
        while at < part.body.end {
            let piece = self.staged(staged, at..part.body.end).await?;
            at += piece.len() as u64;
            held.extend_from_slice(&piece);
            let whole = match at < part.body.end {
                true => held.len() - held.len() % LINE,
                false => held.len(),
            };
            let mut text = String::new();
            for line in held.drain(..whole).collect::<Vec<u8>>().chunks(LINE) {
                STANDARD.encode_string(line, &mut text);
                text.push_str("\r\n");
            }
            new.write(text.into()).await?;
        }
        Ok(())
    }

    /// The same message without NUL, and its structure; fails where NUL stands in what is no body.
    pub(super) async fn without_nul(
        &self,
        staged: &Staged,
        structure: &Structure,
    ) -> Result<(Staged, Structure), End> {
        let mut new = Rewriting {
            stage: self.shared.store.stage().await?,
            scanner: Scanner::default(),
        };
        let cannot = || {
            End::no(
                ResponseCode::UnknownCte,
                "NUL stands where no transfer encoding can hide it",
            )
        };
        let mut done = 0;
        for part in structure.parts() {
            let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
            let plain = Encoding::named(encoding) == Encoding::Identity;
            let leaf = part.kind == Kind::Leaf && plain;
            if !leaf || !self.has_nul(staged, part.body.clone()).await? {
                continue;
            }
            if self.has_nul(staged, done..part.body.start).await? {
                return Err(cannot());
            }
            self.copied(staged, done..part.header.start, &mut new)
                .await?;
            let (mut header, mut at) = (Vec::new(), part.header.start);
            while at < part.header.end {
                let piece = self.staged(staged, at..part.header.end).await?;
                at += piece.len() as u64;
                header.extend_from_slice(&piece);
            }
            new.write(in_base64(&header).into()).await?;
            self.encoded(staged, part, &mut new).await?;
            done = part.body.end;
        }
        let end = staged.body().octets;
        if self.has_nul(staged, done..end).await? {
            return Err(cannot());
        }
        self.copied(staged, done..end, &mut new).await?;
        Ok((new.stage.finish().await?, new.scanner.finish()))
    }
}
