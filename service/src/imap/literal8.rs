//! Messages with NUL in them, which came as a literal8: kept with those parts in base64, so that every
//! client can fetch them (RFC 3516 §4.4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hikyaku_imap_proto::ResponseCode;
use hikyaku_mailstore::{Pieces, Stage, Staged};
use hikyaku_message::{Encoding, Kind, Part, Scanner, Structure, fields};
use std::ops::Range;

use super::end::End;
use super::session::Session;
use super::text::Text as T;

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

/// Octets that are staged, piece by piece: from memory, or from where they lie.
enum StagedPieces<'a> {
    Held(Option<Bytes>),
    Lie(Pieces<'a>),
}

impl<'a> StagedPieces<'a> {
    fn of(session: &'a Session<'_>, staged: &Staged, range: Range<u64>) -> Self {
        let Some(held) = staged.octets() else {
            return Self::Lie(Pieces::of(&*session.service.store, &staged.body(), range));
        };
        let at = |offset: u64| usize::try_from(offset).map_or(held.len(), |at| at.min(held.len()));
        let part = held.slice(at(range.start)..at(range.end));
        Self::Held(Some(part).filter(|part| !part.is_empty()))
    }

    async fn next(&mut self) -> Result<Option<Bytes>, End> {
        match self {
            Self::Held(rest) => Ok(rest.take()),
            Self::Lie(pieces) => Ok(pieces.next().await?),
        }
    }
}

impl Session<'_> {
    async fn has_nul(&self, staged: &Staged, range: Range<u64>) -> Result<bool, End> {
        let mut pieces = StagedPieces::of(self, staged, range);
        while let Some(piece) = pieces.next().await? {
            if memchr::memchr(0, &piece).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn copied(
        &self,
        staged: &Staged,
        range: Range<u64>,
        new: &mut Rewriting,
    ) -> Result<(), End> {
        let mut pieces = StagedPieces::of(self, staged, range);
        while let Some(piece) = pieces.next().await? {
            new.write(piece).await?;
        }
        Ok(())
    }

    async fn encoded(&self, staged: &Staged, part: &Part, new: &mut Rewriting) -> Result<(), End> {
        let mut pieces = StagedPieces::of(self, staged, part.body.clone());
        let mut held = Vec::new();
        loop {
            let piece = pieces.next().await?;
            held.extend_from_slice(piece.as_deref().unwrap_or(&[]));
            let whole = match &piece {
                Some(_) => held.len() - held.len() % LINE,
                None => held.len(),
            };
            let mut text = String::new();
            for line in held.drain(..whole).collect::<Vec<u8>>().chunks(LINE) {
                STANDARD.encode_string(line, &mut text);
                text.push_str("\r\n");
            }
            new.write(text.into()).await?;
            if piece.is_none() {
                return Ok(());
            }
        }
    }

    /// The same message without NUL, and its structure; fails where NUL stands in what is no body.
    pub(super) async fn without_nul(
        &self,
        staged: &Staged,
        structure: &Structure,
    ) -> Result<(Staged, Structure), End> {
        let mut new = Rewriting {
            stage: self.service.store.stage().await?,
            scanner: Scanner::default(),
        };
        let cannot = || End::no(ResponseCode::UnknownCte, T::NulStandsWhereNo);
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
            let mut header = Vec::new();
            let mut pieces = StagedPieces::of(self, staged, part.header.clone());
            while let Some(piece) = pieces.next().await? {
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
