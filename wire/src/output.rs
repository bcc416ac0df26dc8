//! The queue of octets that wait to be sent.

use alloc::collections::VecDeque;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::fmt;

/// Smaller pieces are copied together, larger ones are kept as they are.
const KEEP: usize = 1024;

/// Octets to send. Small writes gather in one buffer, large [`Bytes`] are queued without a copy.
///
/// It is a [`bytes::Buf`] that offers all its pieces to vectored writes, so any writer drains it.
/// The mark at which to stop polling and drain first is the caller's: that is the back-pressure.
///
/// ```
/// use bytes::Buf;
/// use hikyaku_wire::Output;
///
/// let mut output = Output::new();
/// output.write(b"250 ");
/// output.write(b"OK\r\n");
/// assert_eq!(output.chunk(), b"250 OK\r\n");
/// ```
#[derive(Default)]
pub struct Output {
    queue: VecDeque<Bytes>,
    tail: BytesMut,
    queued: usize,
    replaced: bool,
}

impl Output {
    /// Creates an empty queue, without allocating.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a copy of `octets`.
    pub fn write(&mut self, octets: &[u8]) {
        self.tail.put_slice(octets);
    }

    /// Appends a number in decimal digits.
    pub fn write_number(&mut self, number: u64) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = number;
        loop {
            at = at.saturating_sub(1);
            if let Some(place) = digits.get_mut(at) {
                *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            }
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.write(digits.get(at..).unwrap_or(&[]));
    }

    /// Appends a copy of `text` with `instead` in place of each octet that is not allowed there, so that no argument
    /// ends a line early. [`has_replaced`](Self::has_replaced) says whether there was one.
    ///
    /// ```
    /// use bytes::Buf;
    /// use hikyaku_wire::Output;
    ///
    /// let mut output = Output::new();
    /// output.write_only(b"one\r\nline", |octet| !octet.is_ascii_control(), b' ');
    /// assert_eq!(output.chunk(), b"one  line");
    /// assert!(output.has_replaced());
    /// ```
    pub fn write_only(&mut self, text: &[u8], is_allowed: impl Fn(u8) -> bool, instead: u8) {
        if text.iter().all(|&octet| is_allowed(octet)) {
            return self.write(text);
        }
        self.replaced = true;
        let clean = |&octet| if is_allowed(octet) { octet } else { instead };
        self.tail.extend(text.iter().map(clean));
    }

    /// Returns whether anything written was not allowed where it stands, and was replaced. Encode into an `Output` of
    /// its own and look here to refuse instead of sending what was replaced.
    #[must_use]
    pub fn has_replaced(&self) -> bool {
        self.replaced
    }

    /// Notes that what is written stands in place of something that cannot be.
    pub fn note_replaced(&mut self) {
        self.replaced = true;
    }

    /// Appends `octets`, without a copy when they are many.
    pub fn push(&mut self, octets: Bytes) {
        if octets.len() < KEEP {
            self.tail.put_slice(&octets);
            return;
        }
        self.close_tail();
        self.queued += octets.len();
        self.queue.push_back(octets);
    }

    /// Returns how many octets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queued + self.tail.len()
    }

    /// Returns whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the buffer back to the allocator when nothing waits: an idle connection keeps none.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let tail = self.tail.split().freeze();
            self.queued += tail.len();
            self.queue.push_back(tail);
        }
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.queue.front().map_or(&self.tail, |first| first)
    }

    fn advance(&mut self, mut count: usize) {
        count = count.min(self.len());
        while count > 0 {
            match self.queue.front_mut() {
                Some(first) if count >= first.len() => {
                    count -= first.len();
                    self.queued -= first.len();
                    self.queue.pop_front();
                }
                Some(first) => {
                    first.advance(count);
                    self.queued -= count;
                    count = 0;
                }
                None => {
                    self.tail.advance(count);
                    count = 0;
                }
            }
        }
    }

    /// Without a copy where small writes are all there is.
    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        if self.queue.is_empty() && count <= self.tail.len() {
            return self.tail.split_to(count).freeze();
        }
        let mut whole = BytesMut::with_capacity(count.min(self.len()));
        whole.put(Buf::take(self, count));
        whole.freeze()
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, slices: &mut [std::io::IoSlice<'a>]) -> usize {
        let tail: &[u8] = &self.tail;
        let pieces = self.queue.iter().map(|piece| &**piece);
        let mut filled = 0;
        for (slot, piece) in slices.iter_mut().zip(pieces.chain([tail])) {
            if !piece.is_empty() {
                *slot = std::io::IoSlice::new(piece);
                filled += 1;
            }
        }
        filled
    }
}

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Shows the length alone: what waits may be a secret or somebody's mail.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} octets)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    #[test]
    fn pieces_leave_in_the_order_they_came() {
        let mut output = Output::new();
        let mut expected = Vec::new();
        for size in [1, 2000, 3, 1024, 1023, 0, 5] {
            let piece = vec![u8::try_from(size % 251).unwrap(); size];
            expected.extend_from_slice(&piece);
            output.push(Bytes::from(piece));
        }
        assert_eq!(output.len(), expected.len());
        let mut sent = Vec::new();
        while output.has_remaining() {
            let some = output.chunk().len().min(700);
            sent.extend_from_slice(&output.chunk()[..some]);
            output.advance(some);
        }
        assert_eq!(sent, expected);
        assert!(output.is_empty());
    }

    #[test]
    fn what_is_taken_as_one_is_what_was_written() {
        for large in [false, true] {
            let mut output = Output::new();
            output.write(b"one ");
            if large {
                output.push(Bytes::from(vec![b'x'; 2000]));
            }
            output.write(b"two");
            let length = output.len();
            assert_eq!(output.copy_to_bytes(2), "on");
            let rest = output.copy_to_bytes(length - 2);
            assert_eq!(rest.len(), length - 2);
            assert!(rest.starts_with(b"e ") && rest.ends_with(b"two") && output.is_empty());
            output.write(b"more");
            assert_eq!(output.copy_to_bytes(4), "more");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        let mut output = Output::new();
        for number in [0, 7, 10, u64::MAX] {
            output.write_number(number);
            output.write(b" ");
        }
        assert_eq!(output.chunk(), b"0 7 10 18446744073709551615 ");
    }

    #[cfg(feature = "std")]
    #[test]
    fn every_piece_is_offered_to_a_vectored_write() {
        let mut output = Output::new();
        output.write(b"a");
        output.push(Bytes::from(vec![b'b'; 3000]));
        output.write(b"c");
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        assert_eq!(output.chunks_vectored(&mut slices), 3);
        assert_eq!(slices[1].len(), 3000);
    }
}
