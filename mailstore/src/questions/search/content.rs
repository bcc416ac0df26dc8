//! What a message's header section and body hold.

use std::ops::Range;

use super::finder::Finder;
use super::known::Known;
use super::plan::Plan;
use crate::caches::text_index::Collector;
use crate::contract::pieces::VisitedPieces;
use crate::{Bodies, Result, Row};
use hikyaku_message::{Kind, Part, TextDecoder, TransferDecoder, decode_header, fields};

pub(super) fn read(bodies: &mut dyn Bodies, row: &Row, range: Range<u64>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    // A header section of more than this is cut: it is no header.
    let end = range.end.min(range.start + 4 * 1024 * 1024);
    let mut pieces = VisitedPieces::of(bodies, &row.body, range.start..end);
    while let Some(piece) = pieces.next()? {
        octets.extend_from_slice(&piece);
    }
    Ok(octets)
}

/// Which terms the message's content has.
pub(super) fn content(
    bodies: &mut dyn Bodies,
    plan: &Plan,
    known: &Known<'_>,
) -> Result<Vec<bool>> {
    let learner = plan.learner.as_ref();
    let learner = learner.filter(|learner| learner.wants(known.row.uid));
    let mut finder = Finder {
        plan,
        found: vec![false; plan.terms.len()],
        window: String::new(),
        looked: 0,
        in_header: true,
        longest: plan
            .terms
            .iter()
            .map(|term| term.needle.len())
            .max()
            .unwrap_or(0),
        collector: learner.map(|_| Collector::default()),
        collected: 0,
    };
    if let Some(header) = &known.header {
        header_text(header, |field| finder.feed(field, true));
        finder.cut();
    }
    let Some(structure) = known.structure else {
        return Ok(finder.found);
    };
    for (index, part) in structure.parts().iter().enumerate() {
        if finder.is_done() {
            break;
        }
        // The header section of a part, or of a message within, is in the body of the whole.
        if index > 0 && part.header.end > part.header.start {
            let header = read(bodies, known.row, part.header.clone())?;
            header_text(&header, |field| finder.feed(field, false));
            finder.cut();
        }
        // What it is called, however that was encoded: the field's text has it as it was sent.
        if let Some(name) = part.content.file_name() {
            finder.feed(&name, index == 0);
            finder.cut();
        }
        // A multipart in which no part begins is text.
        let is_whole =
            part.kind == Kind::Leaf || part.kind == Kind::Multipart && part.end == index + 1;
        if is_whole && is_text(part) {
            part_text(bodies, known.row, part, &mut finder)?;
            finder.cut();
        }
    }
    if let Some((learner, collector)) = learner.zip(finder.collector.as_ref()) {
        learner.learn(known.row, collector);
    }
    Ok(finder.found)
}

fn is_text(part: &Part) -> bool {
    ["text", "message", "multipart"]
        .iter()
        .any(|kind| part.content.is(kind, "*"))
}

fn header_text(header: &[u8], mut feed: impl FnMut(&str)) {
    for (name, value, _) in fields(header) {
        let name = String::from_utf8_lossy(name);
        feed(&format!("{name}: {}\n", decode_header(value)));
    }
}

fn part_text(
    bodies: &mut dyn Bodies,
    row: &Row,
    part: &Part,
    finder: &mut Finder<'_>,
) -> Result<()> {
    let mut transfer = TransferDecoder::new(part.transfer_encoding());
    let mut charset = TextDecoder::of(&part.content);
    let (mut octets, mut text) = (Vec::new(), String::new());
    let mut pieces = VisitedPieces::of(bodies, &row.body, part.body.clone());
    while !finder.is_done()
        && let Some(piece) = pieces.next()?
    {
        octets.clear();
        text.clear();
        transfer.decode(&piece, &mut octets);
        charset.decode(&octets, false, &mut text);
        finder.feed(&text, false);
    }
    octets.clear();
    text.clear();
    transfer.finish(&mut octets);
    charset.decode(&octets, true, &mut text);
    finder.feed(&text, false);
    Ok(())
}
