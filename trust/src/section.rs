//! A message's header section (RFC 5322 §2.2): its fields, and where each lies.

use std::ops::Range;

/// A field as it stands in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Without the spaces that some put around it.
    pub(crate) name: &'a [u8],
    /// With its folds, without the line's end.
    pub(crate) value: &'a [u8],
    /// Its octets in the message, the line's end included.
    pub(crate) place: Range<usize>,
}

impl Field<'_> {
    /// Whether this is its name, in any case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Returns the fields until the empty line. A line without a colon is a field without a value, also one of something
/// invisible: some readers read on behind it, and find who the message is from.
pub(crate) fn fields(message: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let begin = at;
        let first = line(message, begin)?;
        if matches!(first, b"\n" | b"\r\n") {
            return None;
        }
        at += first.len();
        while let Some(next) = line(message, at) {
            if !next.starts_with(b" ") && !next.starts_with(b"\t") {
                break;
            }
            at += next.len();
        }
        let whole = message.get(begin..at)?;
        let colon = whole.iter().position(|octet| *octet == b':');
        let (name, value) = whole.split_at(colon.unwrap_or(whole.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_suffix(b"\n").unwrap_or(value);
        let value = value.strip_suffix(b"\r").unwrap_or(value);
        Some(Field {
            name: name.trim_ascii(),
            value,
            place: begin..at,
        })
    })
}

/// Returns how many fields a header section has, and how many octets.
pub(crate) fn size(message: &[u8]) -> (usize, usize) {
    fields(message).fold((0, 0), |(count, _), field| (count + 1, field.place.end))
}

/// The line that begins here, with its end.
fn line(message: &[u8], begin: usize) -> Option<&[u8]> {
    let rest = message.get(begin..).filter(|rest| !rest.is_empty())?;
    let end = rest.iter().position(|octet| *octet == b'\n');
    rest.get(..end.map_or(rest.len(), |end| end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_at_the_empty_line() {
        let message = b"From : a\r\n b\r\nno colon\r\nTo:c\n\nBody: x\r\n";
        let fields: Vec<_> = fields(message).collect();
        let all: Vec<_> = fields.iter().map(|one| (one.name, one.value)).collect();
        let want: [(&[u8], &[u8]); 3] = [(b"From", b" a\r\n b"), (b"no colon", b""), (b"To", b"c")];
        assert_eq!(all, want);
        assert_eq!(fields[0].place, 0..14);
        assert!(fields[2].is("TO"));
    }

    #[test]
    fn the_size_counts_up_to_the_empty_line() {
        assert_eq!(size(b"A: 1\r\n 2\r\nB: 3\r\n\r\nC: 4\r\n"), (2, 16));
        assert_eq!(size(b"A: 1\n\x0c\nB: 3\n\nC: 4\n"), (3, 12));
        assert_eq!(size(b"A: 1"), (1, 4));
        assert_eq!(size(b"\r\nA: 1"), (0, 0));
    }

    #[test]
    fn a_message_may_be_nothing() {
        assert_eq!(fields(b"").count(), 0);
        assert_eq!(fields(b"\r\nFrom: a\r\n").count(), 0);
        assert_eq!(fields(b"From: a").count(), 1);
    }
}
