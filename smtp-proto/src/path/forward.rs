//! Forward-paths (RFC 5321 §4.1.1.3, §4.1.2).

use bytes::Bytes;
use core::fmt;

use crate::error::IResult;
use crate::leniency::Leniencies;
use crate::path::mailbox::Mailbox;
use crate::path::route::path;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardPath<T: AsRef<[u8]> = Bytes> {
    /// `<Postmaster>` without a domain (§4.1.1.3), the receiving host's.
    Postmaster,
    /// A mailbox. A source route before it is dropped (§F.2).
    Mailbox(Mailbox<T>),
}

impl<T: AsRef<[u8]>> ForwardPath<T> {
    /// Returns the mailbox; `None` when the path has no domain (`postmaster`).
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox<T>> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Returns whether it needs SMTPUTF8 (RFC 6531).
    #[must_use]
    pub fn is_international(&self) -> bool {
        self.mailbox().is_some_and(Mailbox::is_international)
    }
}

impl ForwardPath<&[u8]> {
    pub(crate) fn within(self, line: &Bytes) -> ForwardPath {
        match self {
            Self::Postmaster => ForwardPath::Postmaster,
            Self::Mailbox(mailbox) => ForwardPath::Mailbox(mailbox.within(line)),
        }
    }
}

impl<T: AsRef<[u8]>> fmt::Display for ForwardPath<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<Postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[inline]
pub(crate) fn forward_path(i: &[u8], leniencies: Leniencies) -> IResult<'_, ForwardPath<&[u8]>> {
    match path(i, leniencies) {
        Ok((i, mailbox)) => Ok((i, ForwardPath::Mailbox(mailbox))),
        Err(error) => match i.split_at_checked("<postmaster>".len()) {
            Some((path, rest)) if path.eq_ignore_ascii_case(b"<postmaster>") => {
                Ok((rest, ForwardPath::Postmaster))
            }
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leniency::Leniency;
    use std::string::ToString as _;

    #[test]
    fn a_path_may_lack_its_brackets() {
        let (rest, path) = forward_path(b"u@c.test SIZE=1", Leniencies::ALL).unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" SIZE=1"[..], "<u@c.test>")
        );
        let strict = Leniencies::ALL.without(Leniency::PathWithoutBrackets);
        assert!(forward_path(b"u@c.test", strict).is_err());
        for bad in [
            &b"u@c.test>"[..],
            b"<u@c.test",
            b"u",
            b"u@",
            b"@a:u@c.test",
            b"",
        ] {
            assert!(forward_path(bad, Leniencies::ALL).is_err());
        }
    }

    /// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`: it may be empty.
    #[test]
    fn an_empty_quoted_local_part_is_in_the_grammar() {
        let (rest, path) = forward_path(br#"<""@c.test> X"#, Leniencies::NONE).unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" X"[..], r#"<""@c.test>"#)
        );
        assert_eq!(path.mailbox().unwrap().local_part(), "");
        for bad in [
            &br#"<"@c.test>"#[..],
            br#"<"">"#,
            br#"<""@>"#,
            br#"<"""@c.test>"#,
            br#"<""a@c.test>"#,
            b"<@c.test>",
            br#"<"\"@c.test>"#,
        ] {
            assert!(
                forward_path(bad, Leniencies::ALL).is_err(),
                "{}",
                bad.escape_ascii()
            );
        }
    }

    #[test]
    fn source_routes_are_dropped() {
        let (rest, path) = forward_path(b"<@a.test,@b.test:u@c.test> X", Leniencies::NONE).unwrap();
        assert_eq!(
            (rest, path.to_string().as_str()),
            (&b" X"[..], "<u@c.test>")
        );
    }

    #[test]
    fn postmaster_has_no_domain_and_any_case() {
        for path in ["<postmaster>", "<Postmaster>", "<POSTMASTER>"] {
            let read = forward_path(path.as_bytes(), Leniencies::NONE).unwrap();
            assert_eq!(read, (&b""[..], ForwardPath::Postmaster));
        }
        assert!(forward_path(b"<postmasters>", Leniencies::ALL).is_err());
        assert!(forward_path(b"postmaster", Leniencies::ALL).is_err());
    }
}
