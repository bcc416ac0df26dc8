//! Reverse-paths (RFC 5321 §4.1.2, §4.5.5).

use bytes::Bytes;
use core::fmt;

use crate::error::IResult;
use crate::leniency::Leniencies;
use crate::path::mailbox::Mailbox;
use crate::path::route::path;

/// Where a message comes from; `None` is the null reverse-path `<>` of notifications (§4.5.5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct ReversePath<T: AsRef<[u8]> = Bytes>(pub Option<Mailbox<T>>);

impl<T: AsRef<[u8]>> Default for ReversePath<T> {
    /// The null reverse-path.
    fn default() -> Self {
        Self(None)
    }
}

impl<T: AsRef<[u8]>> ReversePath<T> {
    /// Returns whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_international(&self) -> bool {
        self.0.as_ref().is_some_and(Mailbox::is_international)
    }
}

impl ReversePath<&[u8]> {
    pub(crate) fn within(self, line: &Bytes) -> ReversePath {
        ReversePath(self.0.map(|mailbox| mailbox.within(line)))
    }
}

impl<T: AsRef<[u8]>> fmt::Display for ReversePath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(mailbox) => write!(f, "<{mailbox}>"),
            None => f.write_str("<>"),
        }
    }
}

#[inline]
pub(crate) fn reverse_path(i: &[u8], leniencies: Leniencies) -> IResult<'_, ReversePath<&[u8]>> {
    if let Some(rest) = i.strip_prefix(b"<>") {
        return Ok((rest, ReversePath(None)));
    }
    let (i, mailbox) = path(i, leniencies)?;
    Ok((i, ReversePath(Some(mailbox))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString as _;

    #[test]
    fn an_empty_quoted_local_part_stands_behind_a_source_route() {
        let (rest, path) =
            reverse_path(br#"<@a.test:""@[127.0.0.1]> X"#, Leniencies::NONE).unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" X"[..], r#"<""@[127.0.0.1]>"#)
        );
        assert_eq!(path.0.unwrap().local_part(), "");
    }

    #[test]
    fn the_null_reverse_path_is_nobody() {
        let (rest, path) = reverse_path(b"<> SIZE=1", Leniencies::NONE).unwrap();
        assert_eq!((rest, path), (&b" SIZE=1"[..], ReversePath(None)));
        assert!(reverse_path(b"< >", Leniencies::ALL).is_err());
    }
}
