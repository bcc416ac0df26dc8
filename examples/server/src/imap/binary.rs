//! BINARY: parts without their transfer encoding (RFC 3516).

use bytes::Bytes;
use imap_proto::{FetchAttribute, ResponseCode};
use mailstore::Row;
use mailstore::message::{Encoding, Kind, Structure, TransferDecoder};
use std::ops::Range;

use super::fetch::PIECE;
use super::{End, Session};

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
    let encoding = Encoding::known(name).ok_or(End::no(
        ResponseCode::UnknownCte,
        "A transfer encoding that is not known",
    ))?;
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
        let (mut at, end) = (decoded.range.start, decoded.range.end);
        let holds = end - at <= HELD.min(*room);
        let mut out = Vec::new();
        loop {
            out.clear();
            let last = at >= end;
            match last {
                true => decoder.finish(&mut out),
                false => {
                    let piece = self
                        .shared
                        .store
                        .read(&row.body, at..end.min(at + PIECE))
                        .await?;
                    if piece.is_empty() {
                        return Err(mailstore::Error::Damaged("a body that is too short").into());
                    }
                    at += piece.len() as u64;
                    decoder.decode(&piece, &mut out);
                }
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
        // How much was decoded before this piece.
        let (mut before, mut at) = (0, decoded.range.start);
        while before < end {
            let mut out = Vec::new();
            if at >= decoded.range.end {
                decoder.finish(&mut out);
            } else {
                let to = decoded.range.end.min(at + PIECE);
                match self.shared.store.read(&row.body, at..to).await {
                    Ok(piece) if !piece.is_empty() => {
                        at += piece.len() as u64;
                        decoder.decode(&piece, &mut out);
                    }
                    Ok(_) => {
                        let error = mailstore::Error::Damaged("a body that is too short");
                        return Err(self.cut_off(&error));
                    }
                    Err(error) => return Err(self.cut_off(&error)),
                }
            }
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
            if at >= decoded.range.end && before < end && length == 0 {
                let error = mailstore::Error::Damaged("a body that is not as it was");
                return Err(self.cut_off(&error));
            }
        }
        Ok(())
    }
}
