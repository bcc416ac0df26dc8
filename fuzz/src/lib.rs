//! What all machine targets share: a server machine that is fed any octets, in one piece and in many.

#![forbid(unsafe_code)]

use bytes::{Buf as _, BytesMut};
use hikyaku_wire::{Machine, Output, Step};

/// Feeds `data` in pieces of `size`; what was sent.
fn sent<M: Machine>(mut machine: M, data: &[u8], size: usize, answer: &impl Fn(&mut M, M::Event, &mut Output)) -> Vec<u8> {
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

/// Any chunking of the input gives the same output, and nothing panics. The first octet chooses the chunks,
/// and whether `head` comes first, which leads into the state where there is most to say.
pub fn run<M: Machine>(data: &[u8], head: &str, machine: impl Fn() -> M, answer: impl Fn(&mut M, M::Event, &mut Output)) {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let head = if size < 64 { "" } else { head };
    let data = [head.as_bytes(), data].concat();
    let whole = sent(machine(), &data, data.len(), &answer);
    let pieces = sent(machine(), &data, usize::from(size % 32) + 1, &answer);
    assert_eq!(String::from_utf8_lossy(&whole), String::from_utf8_lossy(&pieces));
}
