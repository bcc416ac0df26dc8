#![no_main]
//! Lines and dot-stuffed blocks: any chunking gives the same result, and a block that is written can be read.

use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::{DotDecoder, DotEncoder, DotStep, LineFramer, Output};
use libfuzzer_sys::fuzz_target;

fn lines(data: &[u8], size: usize) -> Vec<Option<Vec<u8>>> {
    let (mut framer, mut input, mut lines) = (LineFramer::default(), BytesMut::new(), Vec::new());
    for piece in data.chunks(size) {
        input.extend_from_slice(piece);
        while let Some(line) = framer.next(&mut input, 40) {
            lines.push(line.ok().map(|line| line.to_vec()));
        }
    }
    lines
}

/// Returns the block, whether it ended, and what is left after it.
fn block(data: &[u8], size: usize) -> (Vec<u8>, bool, Vec<u8>) {
    let (mut decoder, mut input, mut block) = (DotDecoder::new(), BytesMut::new(), Vec::new());
    let mut ended = false;
    for piece in data.chunks(size) {
        input.extend_from_slice(piece);
        while !ended {
            match decoder.next(&mut input) {
                DotStep::Chunk(chunk) => block.extend_from_slice(&chunk),
                DotStep::End => ended = true,
                DotStep::NeedInput => break,
            }
        }
    }
    (block, ended, input.to_vec())
}

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let size = usize::from(size % 32) + 1;
    assert_eq!(lines(data, size), lines(data, data.len().max(1)));
    let (whole, pieces) = (block(data, data.len().max(1)), block(data, size));
    assert_eq!((&whole.1, &whole.2), (&pieces.1, &pieces.2));
    if whole.1 {
        assert_eq!(whole.0, pieces.0);
    }
    let (mut output, mut encoder) = (Output::new(), DotEncoder::new());
    for piece in data.chunks(size) {
        encoder.chunk(Bytes::copy_from_slice(piece), &mut output);
    }
    encoder.end(&mut output);
    let written = output.copy_to_bytes(output.remaining());
    let (_, ended, rest) = block(&written, size);
    assert!(ended && rest.is_empty());
});
