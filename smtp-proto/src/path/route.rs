//! `Path = "<" [ A-d-l ":" ] Mailbox ">"`, at most 256 octets (RFC 5321 §4.1.2, §4.5.3.1.3).

use crate::error::{IResult, expected};
use crate::leniency::{Leniencies, Leniency};
use crate::path::domain::domain;
use crate::path::mailbox::{Mailbox, mailbox};

/// Takes a path. A source route is read and dropped (§F.2).
#[inline]
pub(crate) fn path(start: &[u8], leniencies: Leniencies) -> IResult<'_, Mailbox<&[u8]>> {
    let Some((b'<', mut i)) = start.split_first() else {
        return match mailbox(start, leniencies) {
            Ok((rest, mailbox))
                if leniencies.contains(Leniency::PathWithoutBrackets)
                    && matches!(rest.first(), None | Some(b' ')) =>
            {
                Ok((rest, mailbox))
            }
            _ => expected(start, "\"<\""),
        };
    };
    if i.first() == Some(&b'@') {
        i = source_route(i, leniencies)?.0;
    }
    let (i, mailbox) = mailbox(i, leniencies)?;
    match i.split_first() {
        Some((b'>', rest)) => Ok((rest, mailbox)),
        _ => expected(i, "\">\""),
    }
}

/// `A-d-l ":"`
fn source_route(mut i: &[u8], leniencies: Leniencies) -> IResult<'_, ()> {
    loop {
        let Some(at) = i.strip_prefix(b"@") else {
            return expected(i, "\"@\" of a source route");
        };
        if at.first() == Some(&b'[') {
            return expected(at, "a domain");
        }
        (i, _) = domain(at, leniencies)?;
        match i.split_first() {
            Some((b',', rest)) => i = rest,
            Some((b':', rest)) => return Ok((rest, ())),
            _ => return expected(i, "\",\" or \":\" in a source route"),
        }
    }
}
