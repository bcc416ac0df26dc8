//! HTML mail, read in one pass that no input makes slow.
//!
//! Whoever sends a message chooses its HTML, so nothing here builds a tree of it. [`read`] takes the tokens in their
//! order, mends what is nested wrongly, and gives a [`Sink`] a balanced stream: never deeper than
//! [`Limits::depth`], never more than [`Limits::elements`], without what is hidden, with attributes and styles of a
//! few known kinds. Whatever works on that stream, [`to_text`] or a browser, has a bounded cost.

mod css;
mod element;
pub mod links;
mod reader;
mod sheet;
mod text;
mod tokens;

pub use css::{Declaration, Declarations, properties};
pub use element::{Kind, Tag};
pub use reader::{Element, Limits, Read, Sink, read};
pub use sheet::Sheet;
pub use text::to_text;

/// Returns the beginning of a text: at most `octets` octets, whole characters only.
#[must_use]
pub fn beginning(text: &str, octets: usize) -> &str {
    let mut end = octets.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}
