//! Octets as base64 (RFC 2045 §6.8), written as they come.

use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::quoted_printable::LINE;

/// Octets that make a whole line.
const OCTETS: usize = LINE / 4 * 3;

/// Writes lines of 76 octets. The last one has no end of its own.
#[derive(Debug, Clone)]
pub(super) struct Base64Lines {
    /// What makes no whole line yet.
    held: Vec<u8>,
    has_begun: bool,
}

impl Base64Lines {
    pub(super) fn new() -> Self {
        Self {
            held: Vec::with_capacity(OCTETS),
            has_begun: false,
        }
    }

    pub(super) fn push(&mut self, mut octets: &[u8], output: &mut Vec<u8>) {
        if !self.held.is_empty() {
            let missing = (OCTETS - self.held.len()).min(octets.len());
            let (some, rest) = octets.split_at(missing);
            self.held.extend_from_slice(some);
            octets = rest;
            if self.held.len() < OCTETS {
                return;
            }
            self.held_line(output);
        }
        let mut lines = octets.chunks_exact(OCTETS);
        for line in lines.by_ref() {
            self.line(line, output);
        }
        self.held.extend_from_slice(lines.remainder());
    }

    pub(super) fn finish(&mut self, output: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.held_line(output);
        }
    }

    fn held_line(&mut self, output: &mut Vec<u8>) {
        let mut held = core::mem::take(&mut self.held);
        self.line(&held, output);
        held.clear();
        self.held = held;
    }

    fn line(&mut self, octets: &[u8], output: &mut Vec<u8>) {
        if core::mem::replace(&mut self.has_begun, true) {
            output.extend_from_slice(b"\r\n");
        }
        let begin = output.len();
        output.resize(begin + LINE, 0);
        let room = output.get_mut(begin..).unwrap_or_default();
        // There is room for a line, and no more is one.
        let written = STANDARD.encode_slice(octets, room).unwrap_or(0);
        output.truncate(begin + written);
    }
}
