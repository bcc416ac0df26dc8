//! SEARCH and its results (RFC 9051 §6.4.4, §7.3.4; ESEARCH RFC 4731, SAVE RFC 5182, CONTEXT RFC 5267,
//! PARTIAL RFC 9394, MODSEQ RFC 7162, WITHIN RFC 5032, FILTERS RFC 5466, FUZZY RFC 6203, OBJECTID RFC 8474,
//! SAVEDATE RFC 8514, several mailboxes RFC 7377).

mod esearch;
mod key;
mod parse_key;
mod returns;

pub use esearch::ESearch;
pub(crate) use esearch::{esearch, numbers};
pub use key::SearchKey;
pub(crate) use parse_key::keys;
pub use returns::Return;
pub(crate) use returns::{returns, write_returns};

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_astring;

/// The SEARCH command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Search {
    /// RETURN (..): send the result as ESEARCH; `ALL` when nothing was named.
    pub returns: Option<Vec<Return>>,
    /// CHARSET of the strings.
    pub charset: Option<Bytes>,
    /// What to look for.
    pub key: SearchKey,
}

impl Search {
    /// Looks for that, and reports the result in the old form.
    #[must_use]
    pub fn new(key: SearchKey) -> Self {
        Self {
            returns: None,
            charset: None,
            key,
        }
    }

    /// Appends what follows `SEARCH `.
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(returns) = &self.returns {
            write_returns(returns, output);
        }
        if let Some(charset) = &self.charset {
            output.write(b"CHARSET ");
            write_astring(charset, output);
            output.write(b" ");
        }
        self.key.encode(output);
    }
}

/// Behind `SEARCH `.
pub(crate) fn search(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Search> {
    let returns = returns(cursor)?;
    let mut charset = None;
    if cursor.eat_word("CHARSET") {
        cursor.sp()?;
        charset = Some(cursor.astring()?);
        cursor.sp()?;
    }
    let key = keys(cursor, nesting)?;
    Ok(Search {
        returns,
        charset,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Search> {
        let unit = Bytes::copy_from_slice(text.as_bytes());
        let mut cursor = Cursor::new(&unit);
        let search = search(&mut cursor, 64)?;
        cursor.end()?;
        Ok(search)
    }

    #[test]
    fn keys_bind_as_written() {
        let key = parse("OR NOT SEEN (FLAGGED 1:2) FROM \"x\"").unwrap().key;
        let SearchKey::And(all) = key else { panic!() };
        assert!(matches!(&all[0], SearchKey::Or(pair) if matches!(pair.0, SearchKey::Not(_))));
        assert_eq!(all.len(), 2);
        assert!(
            parse("CHARSET UTF-8 TEXT {3+}\r\nabc")
                .unwrap()
                .charset
                .is_some()
        );
        for bad in [
            "",
            "()",
            "(SEEN",
            "OR SEEN",
            "NOT",
            "SEEN)",
            "KEYWORD \\Seen",
            "XSEEN",
            "SEEN  SEEN",
            "BODYX a",
            "LARGER 99999999999999999999",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        for open in ["(", "NOT ", "OR ALL ", "OR (", "NOT ("] {
            assert!(parse(&open.repeat(100_000)).is_err());
            let some = std::format!("{}ALL", "NOT ".repeat(60));
            assert!(parse(&some).is_ok());
        }
    }
}
