//! RETURN (..): what of a result to send (RFC 4731 §3.1 and the extensions).

use alloc::vec::Vec;
use hikyaku_wire::Output;

use crate::command::fetch::attribute;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::write_list;
use crate::value::partial::partial_range;
use crate::{FetchAttribute, PartialRange};

/// What of the result to send, or to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Return {
    /// The lowest.
    Min,
    /// The highest.
    Max,
    /// All of them.
    All,
    /// How many there are.
    Count,
    /// Keep it as `$` (RFC 5182).
    Save,
    /// Some of it (RFC 9394, RFC 5267).
    Partial(PartialRange),
    /// More is going to be asked of this search (RFC 5267).
    Context,
    /// Report what changes, and of what is new in the selected mailbox this (RFC 5267, RFC 5465 §5.1).
    Update(Vec<FetchAttribute>),
    /// How well each fits (RFC 6203).
    Relevancy,
}

impl Return {
    /// Those of one word.
    const ALONE: [Self; 7] = [
        Self::Min,
        Self::Max,
        Self::All,
        Self::Count,
        Self::Save,
        Self::Context,
        Self::Relevancy,
    ];

    fn name(&self) -> &'static str {
        match self {
            Self::Min => "MIN",
            Self::Max => "MAX",
            Self::All => "ALL",
            Self::Count => "COUNT",
            Self::Save => "SAVE",
            Self::Partial(_) => "PARTIAL",
            Self::Context => "CONTEXT",
            Self::Update(_) => "UPDATE",
            Self::Relevancy => "RELEVANCY",
        }
    }

    fn encode(&self, output: &mut Output) {
        output.write(self.name().as_bytes());
        match self {
            Self::Partial(range) => {
                output.write(b" ");
                range.encode(output);
            }
            Self::Update(attributes) if !attributes.is_empty() => {
                output.write(b" ");
                write_list(attributes, output, FetchAttribute::encode);
            }
            _ => {}
        }
    }
}

/// `RETURN (..) `
pub(crate) fn write_returns(returns: &[Return], output: &mut Output) {
    output.write(b"RETURN ");
    write_list(returns, output, Return::encode);
    output.write(b" ");
}

/// `RETURN (..) `, when it is there.
pub(crate) fn returns(cursor: &mut Cursor<'_>) -> Result<Option<Vec<Return>>> {
    if !cursor.eat_word("RETURN") {
        return Ok(None);
    }
    cursor.sp()?;
    let mut all = cursor.list(true, |cursor| {
        for option in Return::ALONE {
            if cursor.eat_word(option.name()) {
                return Ok(option);
            }
        }
        if cursor.eat_word("PARTIAL") {
            cursor.sp()?;
            return partial_range(cursor).map(Return::Partial);
        }
        if cursor.eat_word("UPDATE") {
            let mut attributes = Vec::new();
            if cursor.rest().starts_with(b" (") {
                cursor.sp()?;
                attributes = cursor.list(false, attribute)?;
            }
            return Ok(Return::Update(attributes));
        }
        cursor.fail("a SEARCH return option")
    })?;
    if all.is_empty() {
        all.push(Return::All);
    }
    let partial = |option: &&Return| matches!(option, Return::Partial(_));
    let partials = all.iter().filter(partial).count();
    if partials > 1 || (partials == 1 && all.contains(&Return::All)) {
        // RFC 9394 §3.1, RFC 5267 §4.4.
        return cursor.fail("one PARTIAL, and no ALL beside it");
    }
    cursor.sp()?;
    Ok(Some(all))
}
