//! CRLF lines within a limit.

use bytes::BytesMut;
use memchr::memchr_iter;

/// Why a line was not given. The line's octets are skipped to its CRLF; what follows is good again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(clippy::exhaustive_enums, reason = "it says all there is")]
pub enum LineError {
    /// The line passed the limit.
    #[error("line too long")]
    TooLong,
    /// LF without CR, or CR without LF. Taking either for a line end is how commands are smuggled.
    #[error("bare CR or LF in a line")]
    BareNewline,
}

/// Cuts lines that end in CRLF, and looks at no octet twice.
///
/// An error is reported as soon as it is certain, once for each line; the rest of that line is skipped
/// as it comes and is never held in memory.
///
/// ```
/// use bytes::BytesMut;
/// use hikyaku_wire::LineFramer;
///
/// let mut framer = LineFramer::default();
/// let mut input = BytesMut::from("NOOP\r\nQU");
/// assert_eq!(framer.next(&mut input, 512).unwrap().unwrap(), "NOOP");
/// assert!(framer.next(&mut input, 512).is_none());
/// ```
#[derive(Debug, Default, Clone)]
pub struct LineFramer {
    /// Octets at the front of `input` that hold no LF.
    scanned: usize,
    skipping: bool,
}

impl LineFramer {
    /// Takes the next line from `input`, without its CRLF; `None` when `input` does not hold its end yet.
    ///
    /// `limit` counts the CRLF.
    ///
    /// # Errors
    /// See [`LineError`].
    pub fn next(
        &mut self,
        input: &mut BytesMut,
        limit: usize,
    ) -> Option<Result<BytesMut, LineError>> {
        if self.skipping && !self.skip(input) {
            return None;
        }
        let unseen = input.get(self.scanned..).unwrap_or(&[]);
        let Some(lf) = memchr::memchr(b'\n', unseen).map(|at| at + self.scanned) else {
            if input.len() >= limit {
                self.refuse(input);
                return Some(Err(LineError::TooLong));
            }
            self.scanned = input.len();
            return None;
        };
        self.scanned = 0;
        if lf >= limit {
            self.skipping = true;
            return Some(Err(LineError::TooLong));
        }
        if !ends_crlf(input, lf) {
            let _ = input.split_to(lf + 1);
            self.skipping = true;
            return Some(Err(LineError::BareNewline));
        }
        let mut line = input.split_to(lf + 1);
        line.truncate(lf - 1);
        if memchr::memchr(b'\r', &line).is_some() {
            return Some(Err(LineError::BareNewline));
        }
        Some(Ok(line))
    }

    /// Returns whether the rest of a refused line is still being skipped.
    #[must_use]
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// Begins to skip: keeps a last CR, whose LF may be next.
    fn refuse(&mut self, input: &mut BytesMut) {
        self.skipping = true;
        self.scanned = 0;
        drop_all_but_cr(input);
    }

    /// Drops up to the next CRLF; true when it was found.
    fn skip(&mut self, input: &mut BytesMut) -> bool {
        if let Some(lf) = memchr_iter(b'\n', input).find(|&lf| ends_crlf(input, lf)) {
            let _ = input.split_to(lf + 1);
            self.skipping = false;
            return true;
        }
        drop_all_but_cr(input);
        false
    }
}

fn ends_crlf(input: &[u8], lf: usize) -> bool {
    lf.checked_sub(1).and_then(|at| input.get(at)) == Some(&b'\r')
}

fn drop_all_but_cr(input: &mut BytesMut) {
    let keep = usize::from(input.last() == Some(&b'\r'));
    let _ = input.split_to(input.len() - keep);
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn all(chunks: &[&[u8]], limit: usize) -> Vec<Result<Vec<u8>, LineError>> {
        let mut framer = LineFramer::default();
        let mut input = BytesMut::new();
        let mut lines = Vec::new();
        for chunk in chunks {
            input.extend_from_slice(chunk);
            while let Some(line) = framer.next(&mut input, limit) {
                lines.push(line.map(|line| line.to_vec()));
            }
        }
        lines
    }

    #[test]
    fn a_line_ends_in_crlf_only() {
        assert_eq!(
            all(&[b"a\r", b"\nb\r\n"], 10),
            [Ok(b"a".to_vec()), Ok(b"b".to_vec())]
        );
        let bare = Err(LineError::BareNewline);
        assert_eq!(
            all(&[b"a\nQUIT\r\nb\r\n"], 10),
            [bare.clone(), Ok(b"b".to_vec())]
        );
        assert_eq!(all(&[b"a\rb\r\nc\r\n"], 10), [bare, Ok(b"c".to_vec())]);
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_costs_no_memory() {
        let long = [b'x'; 100];
        let mut framer = LineFramer::default();
        let mut input = BytesMut::from(&long[..]);
        assert_eq!(framer.next(&mut input, 20), Some(Err(LineError::TooLong)));
        for _ in 0..50 {
            input.extend_from_slice(&long);
            assert_eq!(framer.next(&mut input, 20), None);
            assert!(input.is_empty());
        }
        input.extend_from_slice(b"x\r\nok\r\n");
        assert_eq!(framer.next(&mut input, 20).unwrap().unwrap(), "ok");
    }

    #[test]
    fn the_limit_counts_the_crlf() {
        assert_eq!(all(&[b"12345678\r\n"], 10), [Ok(b"12345678".to_vec())]);
        assert_eq!(all(&[b"123456789\r\n"], 10), [Err(LineError::TooLong)]);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_lines(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60),
            cuts in proptest::collection::vec(1_usize..7, 1..60),
        ) {
            let mut chunks = Vec::new();
            let mut rest = &octets[..];
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                chunks.push(head);
                rest = tail;
            }
            chunks.push(rest);
            prop_assert_eq!(all(&[&octets], 8), all(&chunks, 8));
        }
    }
}
