//! A message that a filter changes.

use bytes::{Bytes, BytesMut};
use hikyaku_service::Remarks;

/// Fields of a header section that are distinguished. Each costs a filter an answer and us some memory; what follows goes to
/// the filter with the body.
const FIELDS: usize = 10_000;

/// A message taken apart, so that a filter can change it: its fields, and what follows them.
///
/// The header section ends at the empty line, or at a line that is no field: from there on a filter gets the octets as
/// the body, so that nothing is hidden from it.
#[derive(Debug)]
pub(crate) struct Edited {
    fields: Vec<Field>,
    /// How many fields the message came with.
    came: usize,
    /// The empty line, where there is one, and the body.
    tail: Bytes,
    replaced: bool,
}

#[derive(Debug)]
struct Field {
    octets: Bytes,
    is_new: bool,
}

impl Field {
    fn split(&self) -> (&[u8], &[u8]) {
        let colon = memchr::memchr(b':', &self.octets).unwrap_or(self.octets.len());
        let (name, value) = self.octets.split_at(colon);
        (name.trim_ascii_end(), value.get(1..).unwrap_or(&[]))
    }

    fn is(&self, name: &[u8]) -> bool {
        self.split().0.eq_ignore_ascii_case(name)
    }
}

impl Edited {
    pub(crate) fn of(message: &Bytes) -> Self {
        let mut fields = Vec::new();
        let mut rest = message.clone();
        while fields.len() < FIELDS
            && let Some(end) = field_end(&rest)
        {
            let octets = rest.split_to(end);
            let is_new = false;
            fields.push(Field { octets, is_new });
        }
        Self {
            came: fields.len(),
            fields,
            tail: rest,
            replaced: false,
        }
    }

    /// Lists names and values, the blank behind the colon and the last line's end included.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(Field::split)
    }

    /// What follows the empty line.
    pub(crate) fn body(&self) -> Bytes {
        let blank = match &*self.tail {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => 0,
        };
        self.tail.slice(blank..)
    }

    /// Puts a field before the one at that place, counted from 0; behind all where there are fewer.
    pub(crate) fn insert(&mut self, at: usize, octets: Bytes) {
        let is_new = true;
        let at = at.min(self.fields.len());
        self.fields.insert(at, Field { octets, is_new });
    }

    /// Puts a field behind all others.
    pub(crate) fn append(&mut self, octets: Bytes) {
        self.insert(usize::MAX, octets);
    }

    /// How many fields have that name.
    pub(crate) fn count(&self, name: &[u8]) -> usize {
        self.fields.iter().filter(|field| field.is(name)).count()
    }

    /// Puts a field in the place of the nth of that name, counted from 1; behind all where there are fewer. With
    /// nothing to put there, the nth is removed.
    pub(crate) fn change(&mut self, name: &[u8], nth: usize, octets: Option<Bytes>) {
        let mut of_name = (0..).zip(&self.fields).filter(|(_, field)| field.is(name));
        let found = of_name.nth(nth.saturating_sub(1)).map(|(at, _)| at);
        if let Some(at) = found {
            self.fields.remove(at);
        }
        if let Some(octets) = octets {
            self.insert(found.unwrap_or(usize::MAX), octets);
        }
    }

    /// Removes all fields of that name.
    pub(crate) fn remove_all(&mut self, name: &[u8]) {
        self.fields.retain(|field| !field.is(name));
    }

    /// Puts another body in the place of the message's. What ends a line is CRLF in it afterwards.
    pub(crate) fn replace_body(&mut self, body: &[u8]) {
        let mut tail = Vec::with_capacity(body.len() + 4);
        tail.extend_from_slice(b"\r\n");
        let mut rest = body;
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            let (line, behind) = rest.split_at(end);
            tail.extend_from_slice(line);
            tail.extend_from_slice(b"\r\n");
            rest = match behind {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => behind,
            };
        }
        tail.extend_from_slice(rest);
        self.tail = tail.into();
        self.replaced = true;
    }

    /// What is to be done to the message. It is copied only where more changed than what stands before it.
    pub(crate) fn into_remarks(self) -> Remarks {
        let new = self.fields.iter().take_while(|field| field.is_new).count();
        let (above, rest) = self.fields.split_at_checked(new).unwrap_or_default();
        let same = rest.len() == self.came && rest.iter().all(|field| !field.is_new);
        let mut remarks = Remarks::default();
        remarks.fields = written(above, &[]);
        if !same || self.replaced {
            remarks.message = Some(written(rest, &self.tail));
        }
        remarks
    }
}

fn written(fields: &[Field], tail: &[u8]) -> Bytes {
    let octets: usize = fields.iter().map(|field| field.octets.len() + 2).sum();
    let mut written = BytesMut::with_capacity(octets + tail.len());
    for field in fields {
        // What came by BDAT may end without a line's end, and something follows it now.
        if !written.is_empty() && !written.ends_with(b"\n") {
            written.extend_from_slice(b"\r\n");
        }
        written.extend_from_slice(&field.octets);
    }
    if !tail.is_empty() && !written.is_empty() && !written.ends_with(b"\n") {
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(tail);
    written.freeze()
}

/// Where the first field ends; `None` where there is none.
fn field_end(rest: &[u8]) -> Option<usize> {
    let line = memchr::memchr(b'\n', rest).map_or(rest, |lf| rest.split_at(lf).0);
    let colon = memchr::memchr(b':', line)?;
    let name = line.split_at(colon).0.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let next = memchr::memchr_iter(b'\n', rest)
        .map(|lf| lf + 1)
        .find(|&next| !matches!(rest.get(next), Some(b' ' | b'\t')));
    Some(next.unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(message: &'static str) -> Edited {
        Edited::of(&Bytes::from(message))
    }

    fn text(edited: Edited) -> (String, Option<String>) {
        let remarks = edited.into_remarks();
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        (text(&remarks.fields), remarks.message.as_deref().map(text))
    }

    const MESSAGE: &str = "A: 1\r\nB: 2\r\n 3\r\na : 4\r\n\r\nbody\r\n";

    #[test]
    fn fields_end_at_the_empty_line_or_where_none_is() {
        for (message, names, body) in [
            (MESSAGE, "A,B,a", "body\r\n"),
            ("A: 1\r\nno field\r\n\r\nx", "A", "no field\r\n\r\nx"),
            ("\r\nA: 1\r\n", "", "A: 1\r\n"),
            (" A: 1\r\n", "", " A: 1\r\n"),
            ("A: 1", "A", ""),
            ("A: 1\n\nx", "A", "x"),
            ("", "", ""),
        ] {
            let edited = edited(message);
            let names_found: Vec<_> = edited.fields().map(|(name, _)| name).collect();
            let joined = names_found.join(&b","[..]);
            assert_eq!(String::from_utf8_lossy(&joined), names, "{message}");
            assert_eq!(edited.body(), body, "{message}");
            assert_eq!(text(edited), (String::new(), None), "{message}");
        }
        let many = Bytes::from("a:\r\n".repeat(FIELDS + 5));
        let edited = Edited::of(&many);
        assert_eq!((edited.fields().count(), edited.body().len()), (FIELDS, 20));
    }

    #[test]
    fn what_stands_before_all_costs_no_copy() {
        let mut one = edited(MESSAGE);
        one.insert(0, "X: 1\r\n".into());
        one.insert(1, "X: 2\r\n".into());
        assert_eq!(text(one), ("X: 1\r\nX: 2\r\n".into(), None));
    }

    #[test]
    fn fields_are_changed_added_and_removed() {
        let mut one = edited(MESSAGE);
        one.change(b"A", 2, Some("A: new\r\n".into()));
        one.change(b"b", 1, None);
        one.change(b"C", 7, Some("C: 5\r\n".into()));
        one.change(b"D", 1, None);
        one.append("E: 6\r\n".into());
        one.insert(1, "F: 7\r\n".into());
        let expected = "A: 1\r\nF: 7\r\nA: new\r\nC: 5\r\nE: 6\r\n\r\nbody\r\n";
        assert_eq!(one.count(b"a"), 2);
        assert_eq!(text(one), (String::new(), Some(expected.into())));
        let mut one = edited(MESSAGE);
        one.remove_all(b"A");
        let expected = "B: 2\r\n 3\r\n\r\nbody\r\n";
        assert_eq!(text(one), (String::new(), Some(expected.into())));
        let mut one = edited("A: 1");
        one.append("B: 2\r\n".into());
        assert_eq!(text(one).1.as_deref(), Some("A: 1\r\nB: 2\r\n"));
    }

    #[test]
    fn a_new_body_has_crlf_alone() {
        let mut one = edited(MESSAGE);
        one.replace_body(b"a\nb\r\nc\rd\r");
        let message = text(one).1.unwrap();
        assert!(
            message.ends_with("a : 4\r\n\r\na\r\nb\r\nc\r\nd\r\n"),
            "{message:?}"
        );
    }
}
