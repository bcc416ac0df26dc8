//! Line ends in a message (RFC 5321 §2.3.8): CR and LF stand side by side, or nowhere.

use bytes::{BufMut as _, Bytes, BytesMut};
use hikyaku_wire::{Irregular, is_regular};
use memchr::{memchr, memchr2};

/// What a server does with CR or LF alone in a message. Neither is ever passed on: other software takes them for line
/// ends, and finds another message behind them (SMTP smuggling).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BareNewlines {
    /// The message is refused with 554.
    #[default]
    Refuse,
    /// Each becomes CRLF. The message still ends at `CRLF . CRLF` alone.
    Convert,
}

/// Looks at the octets of a message as they pass.
#[derive(Debug, Clone, Default)]
pub(crate) struct Newlines {
    /// The last octet was CR, and has not been passed on.
    after_cr: bool,
    pub(crate) irregular: Irregular,
}

impl Newlines {
    /// Returns the next octets with each CR or LF alone as CRLF. A CR at the end waits for what follows.
    pub(crate) fn pass(&mut self, chunk: Bytes) -> Bytes {
        if !self.after_cr && is_regular(&chunk) {
            return chunk;
        }
        self.irregular.nul |= memchr(0, &chunk).is_some();
        let mut output = BytesMut::with_capacity(chunk.len() + 2);
        let mut rest = &chunk[..];
        while let Some(&first) = rest.first() {
            if core::mem::take(&mut self.after_cr) {
                output.put_slice(b"\r\n");
                if first == b'\n' {
                    rest = rest.get(1..).unwrap_or(&[]);
                } else {
                    self.irregular.bare_newline = true;
                }
                continue;
            }
            let length = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (text, newline) = rest.split_at(length);
            output.put_slice(text);
            match newline.split_first() {
                None => rest = newline,
                Some((b'\r', behind)) => {
                    self.after_cr = true;
                    rest = behind;
                }
                Some((_, behind)) => {
                    self.irregular.bare_newline = true;
                    output.put_slice(b"\r\n");
                    rest = behind;
                }
            }
        }
        output.freeze()
    }

    /// The message is whole: returns the line end that waited.
    pub(crate) fn end(&mut self) -> Option<Bytes> {
        core::mem::take(&mut self.after_cr).then(|| {
            self.irregular.bare_newline = true;
            Bytes::from_static(b"\r\n")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;

    proptest! {
        #[test]
        fn the_same_in_any_pieces(
            pieces in proptest::collection::vec(proptest::sample::select(&["a", "\r", "\n", "\r\n", "."][..]), 0..30),
            step in 1..5_usize,
        ) {
            let message: String = pieces.concat();
            let mut newlines = Newlines::default();
            let mut passed = std::vec::Vec::new();
            for piece in message.as_bytes().chunks(step) {
                passed.extend_from_slice(&newlines.pass(Bytes::copy_from_slice(piece)));
            }
            passed.extend_from_slice(&newlines.end().unwrap_or_default());
            let lines = message.replace("\r\n", "\n").replace('\r', "\n");
            let expected = lines.replace('\n', "\r\n");
            prop_assert_eq!(passed, expected.as_bytes());
            let bare = message.replace("\r\n", "").contains(['\r', '\n']);
            prop_assert_eq!(newlines.irregular.bare_newline, bare);
        }
    }

    #[test]
    fn what_is_regular_is_not_copied() {
        let chunk = Bytes::from_static(b"a\r\nb\r\n");
        let passed = Newlines::default().pass(chunk.clone());
        assert_eq!(passed.as_ptr(), chunk.as_ptr());
    }
}
