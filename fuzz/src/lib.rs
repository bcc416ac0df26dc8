//! Shared by all machine targets: feeds any octets to a server machine, in one piece and in many.

#![forbid(unsafe_code)]

use bytes::{Buf as _, BytesMut};
use hikyaku_wire::{Machine, Output, Step};

/// Feeds `data` in pieces of `size`; returns what the machine sent.
fn sent<M: Machine>(
    mut machine: M,
    data: &[u8],
    size: usize,
    answer: &impl Fn(&mut M, M::Event, &mut Output),
) -> Vec<u8> {
    let (mut input, mut output, mut sent) = (BytesMut::new(), Output::new(), Vec::new());
    for piece in data.chunks(size.max(1)) {
        input.extend_from_slice(piece);
        loop {
            let step = machine.poll(&mut input, &mut output);
            while output.has_remaining() {
                let chunk = output.chunk();
                sent.extend_from_slice(chunk);
                let length = chunk.len();
                output.advance(length);
            }
            match step {
                Ok(Step::Event(event)) => answer(&mut machine, event, &mut output),
                Ok(Step::NeedInput) => break,
                _ => return sent,
            }
        }
    }
    let _ = machine.end_of_input();
    sent
}

/// Checks that any chunking of the input gives the same output, and that nothing panics. The first octet
/// chooses the chunks, and whether `head` comes first, which leads into the state with the most commands.
pub fn run<M: Machine>(
    data: &[u8],
    head: &str,
    machine: impl Fn() -> M,
    answer: impl Fn(&mut M, M::Event, &mut Output),
) {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let head = if size < 64 { "" } else { head };
    let data = [head.as_bytes(), data].concat();
    let whole = sent(machine(), &data, data.len(), &answer);
    let pieces = sent(machine(), &data, usize::from(size % 32) + 1, &answer);
    assert_eq!(
        String::from_utf8_lossy(&whole),
        String::from_utf8_lossy(&pieces)
    );
}

/// Counts the lines, each ending in CRLF, without CR, LF or NUL elsewhere.
pub fn count_lines(octets: &[u8]) -> usize {
    let lines: Vec<&[u8]> = octets.split_inclusive(|octet| *octet == b'\n').collect();
    for line in &lines {
        let text = line.strip_suffix(b"\r\n");
        let text = text.unwrap_or_else(|| panic!("no CRLF: {}", octets.escape_ascii()));
        assert!(
            !text.iter().any(|octet| matches!(octet, b'\r' | 0)),
            "{}",
            octets.escape_ascii()
        );
    }
    lines.len()
}

/// Counts the commands or responses of IMAP: a line that ends in `{n}` continues after `n` octets, unless it
/// is a status response, which is text.
pub fn count_units(mut octets: &[u8]) -> usize {
    let whole = octets.escape_ascii().to_string();
    let (mut units, mut first) = (0, true);
    while !octets.is_empty() {
        let end = octets
            .iter()
            .position(|octet| matches!(octet, b'\r' | b'\n' | 0));
        let (line, rest) = octets.split_at(end.unwrap_or_else(|| panic!("no end: {whole}")));
        let rest = rest
            .strip_prefix(b"\r\n")
            .unwrap_or_else(|| panic!("no CRLF: {whole}"));
        let status = [&b"OK"[..], b"NO", b"BAD", b"BYE", b"PREAUTH"];
        let status = first
            && line
                .split(|octet| *octet == b' ')
                .nth(1)
                .is_some_and(|word| status.contains(&word));
        let inner = line.strip_suffix(b"}").filter(|_| !status);
        let open = inner.and_then(|inner| inner.iter().rposition(|octet| *octet == b'{'));
        let digits = inner
            .zip(open)
            .map(|(inner, open)| String::from_utf8_lossy(&inner[open + 1..]).into_owned());
        let literal = digits.and_then(|digits| digits.trim_end_matches('+').parse::<usize>().ok());
        (octets, first) = match literal {
            Some(literal) => (
                rest.get(literal..)
                    .unwrap_or_else(|| panic!("a cut literal: {whole}")),
                false,
            ),
            None => (rest, true),
        };
        units += usize::from(first);
    }
    assert!(first, "cut: {whole}");
    units
}
