//! BINARY: parts without their transfer encoding (RFC 3516).

use bytes::Bytes;
use hikyaku_imap_proto::{FetchAttribute, ResponseCode};
use hikyaku_mailstore::{Pieces, Row};
use hikyaku_message::{Encoding, Kind, Structure, TransferDecoder};
use std::ops::Range;

use super::end::End;
use super::session::Session;
use super::text::Text as T;

/// Up to so many octets are held decoded; longer parts are decoded twice: to know their size, and to send them.
const HELD: u64 = 256 * 1024;

/// A part, as it will be sent.
#[derive(Debug)]
pub(super) struct Decoded {
    range: Range<u64>,
    encoding: Encoding,
    /// Its size.
    pub(super) octets: u64,
    has_nul: bool,
    /// All of it, when it is short.
    held: Option<Bytes>,
}

/// Where a part's octets are, and how they are encoded; `None` when there is no such part. Fails where
/// the encoding is not known.
fn part(
    row: &Row,
    structure: &Structure,
    number: &[u32],
) -> Result<Option<(Range<u64>, Encoding)>, End> {
    if number.is_empty() {
        return Ok(Some((0..row.body.octets, Encoding::Identity)));
    }
    let part = structure
        .find(number)
        .and_then(|index| structure.get(index));
    let Some(part) = part else { return Ok(None) };
    if part.kind != Kind::Leaf {
        return Ok(Some((part.body.clone(), Encoding::Identity)));
    }
    let name = part.content.encoding.as_deref().unwrap_or(b"7bit");
    let encoding =
        Encoding::known(name).ok_or(End::no(ResponseCode::UnknownCte, T::ATransferEncodingThat))?;
    Ok(Some((part.body.clone(), encoding)))
}

impl Session<'_> {
    /// Reads a part as far as it must be known before it is sent. `room` is for how many octets more there may be held.
    pub(super) async fn decoded(
        &self,
        row: &Row,
        structure: &Structure,
        number: &[u32],
        room: &mut u64,
    ) -> Result<Option<Decoded>, End> {
        let Some((range, encoding)) = part(row, structure, number)? else {
            return Ok(None);
        };
        let mut decoded = Decoded {
            octets: 0,
            has_nul: false,
            held: None,
            encoding,
            range,
        };
        let mut held = Vec::new();
        let mut decoder = TransferDecoder::new(encoding);
        let range = decoded.range.clone();
        let holds = range.end - range.start <= HELD.min(*room);
        let mut pieces = Pieces::of(&*self.service.store, &row.body, range);
        let mut out = Vec::new();
        loop {
            out.clear();
            let piece = pieces.next().await?;
            let last = piece.is_none();
            match piece {
                Some(piece) => decoder.decode(&piece, &mut out),
                None => decoder.finish(&mut out),
            }
            decoded.octets += out.len() as u64;
            decoded.has_nul |= memchr::memchr(0, &out).is_some();
            if holds {
                held.extend_from_slice(&out);
            }
            if last {
                break;
            }
        }
        if holds {
            *room = room.saturating_sub(held.len() as u64);
            decoded.held = Some(held.into());
        }
        Ok(Some(decoded))
    }

    /// Sends a part, or some of it.
    pub(super) async fn send_decoded(
        &mut self,
        row: &Row,
        attribute: &FetchAttribute,
        partial: Option<(u32, u32)>,
        decoded: Option<&Decoded>,
    ) -> Result<(), End> {
        let Some(decoded) = decoded else {
            let (machine, output) = self.driver.split();
            let _ = machine.begin_section(attribute, None, output);
            return Ok(());
        };
        let (start, end) = match partial {
            None => (0, decoded.octets),
            Some((origin, most)) => {
                let start = u64::from(origin).min(decoded.octets);
                (start, (start + u64::from(most)).min(decoded.octets))
            }
        };
        let (machine, output) = self.driver.split();
        let _ = match decoded.has_nul {
            true => machine.begin_section8(attribute, end - start, output),
            false => machine.begin_section(attribute, Some(end - start), output),
        };
        if let Some(held) = &decoded.held {
            let at = |offset: u64| {
                usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(held.len())
            };
            let _ = machine.section_chunk(held.slice(at(start)..at(end)), output);
            return Ok(());
        }
        let mut decoder = TransferDecoder::new(decoded.encoding);
        let mut pieces = Pieces::of(&*self.service.store, &row.body, decoded.range.clone());
        // How much was decoded before this piece.
        let mut before = 0;
        while before < end {
            let mut out = Vec::new();
            let is_last = match pieces.next().await {
                Ok(Some(piece)) => {
                    decoder.decode(&piece, &mut out);
                    false
                }
                Ok(None) => {
                    decoder.finish(&mut out);
                    true
                }
                Err(error) => return Err(self.cut_off(&error)),
            };
            let length = out.len() as u64;
            let within = |offset: u64| offset.saturating_sub(before).min(length);
            let index = |offset: u64| usize::try_from(within(offset)).unwrap_or(0);
            let chunk = Bytes::from(out).slice(index(start)..index(end));
            if !chunk.is_empty() {
                let (machine, output) = self.driver.split();
                let _ = machine.section_chunk(chunk, output);
            }
            before += length;
            self.flush_inside().await?;
            if is_last && before < end {
                let error = hikyaku_mailstore::Error::Damaged(
                    "a body that is not as it was",
                    row.body.id.into(),
                );
                return Err(self.cut_off(&error));
            }
        }
        Ok(())
    }
}
