//! Charsets of the web, by encoding_rs.

use alloc::string::String;
use encoding_rs::{CoderResult, Decoder};

/// Appends what octets decode to, in as much room as they need.
pub(super) fn decode_web(decoder: &mut Decoder, mut octets: &[u8], last: bool, text: &mut String) {
    loop {
        let room = decoder.max_utf8_buffer_length(octets.len());
        text.reserve(room.unwrap_or(octets.len() * 3) + 4);
        let (result, read, _) = decoder.decode_to_string(octets, text, last);
        octets = octets.get(read..).unwrap_or(&[]);
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}
