//! What the text of a positive response and the lines of a listing say (RFC 1939 §5, §7).

use bytes::Bytes;

use super::Event;
use crate::command::number;

/// Whether what follows a `+` makes it `+OK`.
pub(super) fn is_ok(rest: &[u8]) -> bool {
    rest.get(..2)
        .is_some_and(|ok| ok.eq_ignore_ascii_case(b"OK"))
        && rest.get(2).is_none_or(|&o| o == b' ')
}

/// `<..@..>` in a greeting.
pub(super) fn timestamp(text: &Bytes) -> Option<Bytes> {
    let begin = memchr::memchr(b'<', text)?;
    let rest = text.get(begin..)?;
    let end = memchr::memchr(b'>', rest)?;
    let all = rest.get(..=end)?;
    memchr::memchr(b'@', all)?;
    Some(text.slice_ref(all))
}

pub(super) fn leading_number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|o| !o.is_ascii_digit());
    let digits = text.get(..end.unwrap_or(text.len()))?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// A number, and what follows the blanks behind it.
fn pair(text: &[u8]) -> Option<(u32, &[u8])> {
    let text = text.trim_ascii();
    let end = memchr::memchr(b' ', text)?;
    let (first, rest) = text.split_at(end);
    Some((number(first)?, rest.trim_ascii_start()))
}

pub(super) fn maildrop(text: &[u8]) -> Option<Event> {
    let (messages, rest) = pair(text)?;
    let octets = leading_number(rest)?;
    Some(Event::Maildrop { messages, octets })
}

pub(super) fn size(text: &[u8]) -> Option<Event> {
    let (number, rest) = pair(text).filter(|(number, _)| *number > 0)?;
    let octets = leading_number(rest)?;
    Some(Event::Size { number, octets })
}

pub(super) fn unique_id(text: &Bytes) -> Option<Event> {
    // Ids with a blank are in the world: cut at it, two would be one.
    let (number, rest) = pair(text).filter(|(number, _)| *number > 0)?;
    let unique_id = text.slice_ref(rest);
    Some(Event::UniqueId { number, unique_id })
}
