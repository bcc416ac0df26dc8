//! The elements that a message may have, and where each may stand.

/// The kind of an element: where it may stand, and what ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "programs write it out")]
pub enum Kind {
    /// In a line.
    Inline,
    /// In a line; continues in the next block when it was not closed (HTML §13.2.4.3).
    Formatting,
    /// A block.
    Block,
    /// `p`, which every block ends.
    Paragraph,
    /// `h1` to `h6`.
    Heading,
    /// `ul`, `ol`.
    List,
    /// `li`.
    Item,
    /// `dt`, `dd`.
    Term,
    /// `table`.
    Table,
    /// `caption`.
    Caption,
    /// `colgroup`.
    Columns,
    /// `col`.
    Column,
    /// `thead`, `tbody`, `tfoot`.
    Section,
    /// `tr`.
    Row,
    /// `td`, `th`.
    Cell,
    /// In a line, without content: `br`, `img`.
    Void,
    /// A block without content: `hr`.
    Rule,
    /// `body`: once, around all.
    Body,
}

/// An element's name and kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub kind: Kind,
    /// Its place in the table.
    pub(super) index: usize,
}

/// How many elements are known.
pub(super) const TAGS: usize = TABLE.len();

use Kind::{
    Block, Body, Caption, Cell, Column, Columns, Formatting, Heading, Inline, Item, List,
    Paragraph, Row, Rule, Section, Table, Term, Void,
};

/// In the order of their names.
const TABLE: [(&str, Kind); 75] = [
    ("a", Formatting),
    ("abbr", Inline),
    ("acronym", Inline),
    ("article", Block),
    ("aside", Block),
    ("b", Formatting),
    ("bdi", Inline),
    ("big", Formatting),
    ("blockquote", Block),
    ("body", Body),
    ("br", Void),
    ("caption", Caption),
    ("center", Block),
    ("cite", Inline),
    ("code", Formatting),
    ("col", Column),
    ("colgroup", Columns),
    ("data", Inline),
    ("dd", Term),
    ("del", Inline),
    ("details", Block),
    ("dfn", Inline),
    ("div", Block),
    ("dl", Block),
    ("dt", Term),
    ("em", Formatting),
    ("figcaption", Block),
    ("figure", Block),
    ("font", Formatting),
    ("footer", Block),
    ("h1", Heading),
    ("h2", Heading),
    ("h3", Heading),
    ("h4", Heading),
    ("h5", Heading),
    ("h6", Heading),
    ("header", Block),
    ("hgroup", Block),
    ("hr", Rule),
    ("i", Formatting),
    ("img", Void),
    ("ins", Inline),
    ("kbd", Inline),
    ("li", Item),
    ("mark", Inline),
    ("nav", Block),
    ("ol", List),
    ("p", Paragraph),
    ("pre", Block),
    ("q", Inline),
    ("rp", Inline),
    ("rt", Inline),
    ("ruby", Inline),
    ("s", Formatting),
    ("samp", Inline),
    ("small", Formatting),
    ("span", Inline),
    ("strike", Formatting),
    ("strong", Formatting),
    ("sub", Inline),
    ("summary", Block),
    ("sup", Inline),
    ("table", Table),
    ("tbody", Section),
    ("td", Cell),
    ("tfoot", Section),
    ("th", Cell),
    ("thead", Section),
    ("time", Inline),
    ("tr", Row),
    ("tt", Formatting),
    ("u", Formatting),
    ("ul", List),
    ("var", Inline),
    ("wbr", Void),
];

/// Elements that are shown as others, whose place they take.
const ALIASES: [(&str, &str); 15] = [
    ("address", "div"),
    // What overrides the order of letters makes of one name another.
    ("bdo", "bdi"),
    ("dir", "ul"),
    ("fieldset", "div"),
    ("form", "div"),
    ("image", "img"),
    ("legend", "div"),
    ("listing", "pre"),
    ("main", "div"),
    ("menu", "ul"),
    ("option", "div"),
    ("plaintext", "pre"),
    ("search", "div"),
    ("section", "div"),
    ("xmp", "pre"),
];

impl Tag {
    /// Returns the element with that name, in lower case; `None` if only its content is shown.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = match ALIASES.binary_search_by(|(alias, _)| (*alias).cmp(name)) {
            Ok(found) => ALIASES.get(found)?.1,
            Err(_) => name,
        };
        let index = TABLE
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        let (name, kind) = *TABLE.get(index)?;
        Some(Self { name, kind, index })
    }

    /// Returns whether the element has no content and no end tag.
    #[must_use]
    pub fn is_empty(self) -> bool {
        matches!(self.kind, Kind::Void | Kind::Rule | Kind::Column)
    }

    /// Returns whether a line ends before and after the element.
    #[must_use]
    pub fn is_block(self) -> bool {
        !matches!(self.kind, Kind::Inline | Kind::Formatting | Kind::Void)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_in_order_and_every_alias_leads_somewhere() {
        assert!(TABLE.is_sorted_by_key(|(name, _)| *name) && ALIASES.is_sorted());
        for (name, kind) in TABLE {
            assert_eq!(Tag::named(name).map(|tag| tag.kind), Some(kind), "{name}");
        }
        for (alias, name) in ALIASES {
            assert_eq!(Tag::named(alias).map(|tag| tag.name), Some(name));
        }
        assert_eq!(Tag::named("script"), None);
    }
}
