//! HTML as a balanced stream.
//!
//! The tokens are mended as a browser would (HTML §13.2.6), as far as it changes what is seen: blocks end a
//! paragraph, rows and cells belong to their table, what is bold and not closed goes on in the next paragraph.
//! What a browser would move out of a table becomes a cell of it, since moving is what costs.

use std::rc::Rc;
use std::time::Instant;

use super::css::{Declarations, hex_color};
use super::element::{Kind, TAGS, Tag};
use super::sheet::Sheet;
use super::tokens::{Attributes, Token, tokens};

/// The limits on reading the HTML of a message.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct Limits {
    /// The most octets; what follows is not read.
    pub octets: usize,
    /// The most elements within each other. Layout takes a browser, and a stack, more with each. Elements beyond
    /// are left out, their text is not.
    pub depth: usize,
    /// The most elements; what follows is not read.
    pub elements: usize,
    /// The time at which reading stops, wherever it is.
    pub until: Option<Instant>,
    /// Whether what is hidden here but shown by a rule for narrow screens is part of the stream, for a browser to
    /// decide.
    pub keep_revealed: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            octets: 1024 * 1024,
            depth: 200,
            elements: 50_000,
            until: None,
            keep_revealed: false,
        }
    }
}

/// Elements that were not closed, and go on in the next block, at most.
const PENDING: usize = 8;
/// Blocks that are closed and opened again around the end of what is in a line, at most.
const REOPENED: usize = 4;

/// An element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name and kind.
    pub tag: Tag,
    attributes: Attributes,
    /// The declarations of its `style` attribute and of attributes that set colours.
    pub style: Declarations,
    /// Those of its classes that the style sheets name, as [`Sheet::css`] writes them.
    pub classes: String,
    /// Its id, if the style sheets name it, as [`Sheet::css`] writes it.
    pub id: String,
}

impl Element {
    fn plain(tag: Tag) -> Self {
        Self {
            tag,
            attributes: Attributes::new(),
            style: Declarations::default(),
            classes: String::new(),
            id: String::new(),
        }
    }

    /// Returns the value of an attribute.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns its attributes except style, class and id.
    pub fn attributes(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = self.attributes.iter();
        all.map(|(name, value)| (*name, value.as_str()))
    }
}

/// A receiver of the stream. Every element that is opened is closed, in order; those without content are only
/// opened.
pub trait Sink {
    /// An element begins.
    fn open(&mut self, element: &Element);
    /// Text.
    fn text(&mut self, text: &str);
    /// An element ends.
    fn close(&mut self, tag: Tag);
}

/// The result of [`read`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Read {
    /// The style sheets.
    pub sheet: Sheet,
    /// Whether a limit left something out at the end.
    pub is_cut: bool,
}

/// Reads HTML into a sink.
pub fn read(html: &str, limits: &Limits, sink: &mut dyn Sink) -> Read {
    let whole = html.len();
    let html = super::beginning(html, limits.octets);
    let mut reader = Reader {
        limits,
        sink,
        sheet: sheet(html),
        stack: Vec::new(),
        open: [0; TAGS],
        beyond: [0; TAGS],
        is_beyond: false,
        pending: Vec::new(),
        elements: 0,
    };
    let mut is_cut = html.len() < whole;
    let mut skipped = Skipped::Nothing;
    for (number, token) in tokens(html).enumerate() {
        let late = || {
            let now = number % 256 == 0;
            now && limits.until.is_some_and(|until| Instant::now() > until)
        };
        if reader.elements >= limits.elements || late() {
            is_cut = true;
            break;
        }
        if skipped.holds(&token) {
            continue;
        }
        match token {
            Token::Start { name, attributes } => {
                if let Some(tag) = Tag::named(&name) {
                    reader.start(tag, attributes);
                }
            }
            Token::End { name } => {
                if let Some(tag) = Tag::named(&name) {
                    reader.end(tag);
                }
            }
            Token::Text(text) => reader.text(&text),
        }
    }
    reader.pop_to(0, None);
    Read {
        sheet: reader.sheet,
        is_cut,
    }
}

/// All style sheets: one may stand behind what it is for.
fn sheet(html: &str) -> Sheet {
    let mut sheet = Sheet::default();
    let has = html
        .as_bytes()
        .windows(6)
        .any(|six| six.eq_ignore_ascii_case(b"<style"));
    if !has {
        return sheet;
    }
    let mut is_style = false;
    for token in tokens(html) {
        match token {
            Token::Start { name, .. } => is_style = name == "style",
            Token::Text(css) if is_style => sheet.add(&css),
            _ => is_style = false,
        }
    }
    sheet
}

/// Elements whose content is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Skipped {
    Nothing,
    /// Until the end tag of that name.
    Text(String),
    /// Until so many end tags of that name, or HTML that is none of theirs.
    Foreign(String, usize),
}

impl Skipped {
    /// Whether a token lies in such an element, which it may begin or end.
    fn holds(&mut self, token: &Token) -> bool {
        match (&mut *self, token) {
            (Self::Nothing, Token::Start { name, .. }) => match &name[..] {
                "script" | "style" | "title" | "iframe" | "noembed" | "noscript" | "select" => {
                    *self = Self::Text(name.clone());
                    true
                }
                "svg" | "math" | "template" => {
                    *self = Self::Foreign(name.clone(), 1);
                    true
                }
                _ => false,
            },
            (Self::Nothing, _) => false,
            (Self::Text(of), Token::End { name }) => {
                if name == of {
                    *self = Self::Nothing;
                }
                true
            }
            (Self::Foreign(of, levels), Token::Start { name, .. }) => {
                *levels += usize::from(name == of);
                // HTML §13.2.6.5: these end what is no HTML, wherever they stand.
                let breaks_out = of != "template" && Tag::named(name).is_some() && name != "a";
                if breaks_out {
                    *self = Self::Nothing;
                }
                !breaks_out
            }
            (Self::Foreign(of, levels), Token::End { name }) => {
                *levels -= usize::from(name == of);
                if *levels == 0 {
                    *self = Self::Nothing;
                }
                true
            }
            (Self::Text(_) | Self::Foreign(..), _) => true,
        }
    }
}

/// An element that is not closed yet.
struct Open {
    element: Rc<Element>,
    /// Whether it is not to be seen, with all in it.
    is_hidden: bool,
    /// Whether its text is too small to be read.
    is_tiny: bool,
    /// Whether a picture was behind it that is not shown.
    background_lost: bool,
    /// Whether it ends when what is open in it does.
    is_ending: bool,
    /// Of a cell: what was not closed around its table.
    pending: Vec<Rc<Element>>,
}

struct Reader<'a> {
    limits: &'a Limits,
    sink: &'a mut dyn Sink,
    sheet: Sheet,
    stack: Vec<Open>,
    /// How many of each element are open.
    open: [u32; TAGS],
    /// How many of each were left out, since they would be too deep.
    beyond: [u32; TAGS],
    is_beyond: bool,
    /// Formatting that ended with its block, and goes on.
    pending: Vec<Rc<Element>>,
    elements: usize,
}

impl Reader<'_> {
    fn kind(&self) -> Option<Kind> {
        self.stack.last().map(|open| open.element.tag.kind)
    }

    fn is_open(&self, tag: Tag) -> bool {
        self.open.get(tag.index).is_some_and(|count| *count > 0)
    }

    fn is_hidden(&self) -> bool {
        self.stack.last().is_some_and(|open| open.is_hidden)
    }

    /// Puts an element on the stack.
    fn push(
        &mut self,
        element: Rc<Element>,
        is_hidden: bool,
        is_tiny: bool,
        background_lost: bool,
    ) {
        let tag = element.tag;
        if let Some(count) = self.open.get_mut(tag.index) {
            *count += 1;
        }
        self.elements += 1;
        if !is_hidden {
            self.sink.open(&element);
        }
        let pending = match tag.kind {
            Kind::Cell | Kind::Caption => std::mem::take(&mut self.pending),
            _ => Vec::new(),
        };
        self.stack.push(Open {
            element,
            is_hidden,
            is_tiny,
            background_lost,
            is_ending: false,
            pending,
        });
    }

    /// Opens an element that stands nowhere in the message.
    fn imply(&mut self, name: &str) {
        if let Some(tag) = Tag::named(name) {
            self.push_as_parent(Rc::new(Element::plain(tag)));
        }
    }

    /// As the one around it.
    fn push_as_parent(&mut self, element: Rc<Element>) {
        let parent = self.stack.last();
        let (is_hidden, is_tiny, lost) = parent.map_or((false, false, false), |open| {
            (open.is_hidden, open.is_tiny, open.background_lost)
        });
        self.push(element, is_hidden, is_tiny, lost);
    }

    /// Closes all down to that place. Formatting goes on behind, but for the element at `ended`.
    fn pop_to(&mut self, place: usize, ended: Option<usize>) {
        let mut goes_on = Vec::new();
        while self.stack.len() > place {
            let at = self.stack.len() - 1;
            let Some(open) = self.stack.pop() else { break };
            let tag = open.element.tag;
            if let Some(count) = self.open.get_mut(tag.index) {
                *count -= 1;
            }
            if !open.is_hidden {
                self.sink.close(tag);
            }
            match tag.kind {
                Kind::Cell | Kind::Caption => {
                    goes_on.clear();
                    self.pending = open.pending;
                }
                Kind::Formatting if !open.is_hidden && !open.is_ending && Some(at) != ended => {
                    goes_on.push(open.element);
                }
                _ => {}
            }
        }
        self.pending.extend(goes_on.into_iter().rev());
        let many = self.pending.len().saturating_sub(PENDING);
        self.pending.drain(..many);
        if self.is_beyond && self.stack.len() < self.limits.depth.saturating_sub(4) {
            self.beyond = [0; TAGS];
            self.is_beyond = false;
        }
        if self.stack.last().is_some_and(|open| open.is_ending) {
            let last = self.stack.len() - 1;
            self.pop_to(last, None);
        }
    }

    /// The place of the innermost element for which `is` says so, looking no further than to one for which `ends`
    /// says so.
    fn find(&self, is: impl Fn(Tag) -> bool, ends: impl Fn(Kind) -> bool) -> Option<usize> {
        for (place, open) in self.stack.iter().enumerate().rev() {
            let tag = open.element.tag;
            if is(tag) {
                return Some(place);
            }
            if ends(tag.kind) {
                return None;
            }
        }
        None
    }

    /// Begins again what was not closed before.
    fn go_on(&mut self) {
        for element in std::mem::take(&mut self.pending) {
            if self.stack.len() < self.limits.depth {
                self.push_as_parent(element);
            }
        }
    }

    /// Makes a cell around what stands in a table and in none of its cells.
    fn make_cell(&mut self) {
        if self.kind() == Some(Kind::Columns) {
            self.pop_to(self.stack.len() - 1, None);
        }
        if self.kind() == Some(Kind::Table) {
            self.imply("tbody");
        }
        if self.kind() == Some(Kind::Section) {
            self.imply("tr");
        }
        if self.kind() == Some(Kind::Row) {
            self.imply("td");
        }
    }

    fn start(&mut self, tag: Tag, attributes: Attributes) {
        let in_table = matches!(
            tag.kind,
            Kind::Caption | Kind::Columns | Kind::Column | Kind::Section | Kind::Row | Kind::Cell
        );
        if in_table && !self.make_room(tag) {
            return;
        }
        if !in_table {
            if tag.kind == Kind::Body && !self.stack.is_empty() {
                return;
            }
            if tag.kind == Kind::Table && self.kind() == Some(Kind::Table) {
                self.pop_to(self.stack.len() - 1, None);
            }
            self.make_cell();
            self.close_before(tag);
        }
        // A table needs three more for the first of its cells.
        let needed = if tag.kind == Kind::Table { 4 } else { 1 };
        if self.stack.len() + needed > self.limits.depth {
            self.leave_out(tag);
            return;
        }
        if matches!(tag.kind, Kind::Inline | Kind::Formatting | Kind::Void) {
            self.go_on();
        }
        self.enter(tag, attributes);
    }

    /// Ends what cannot go on around an element.
    fn close_before(&mut self, tag: Tag) {
        let scope = |kind| matches!(kind, Kind::Cell | Kind::Caption | Kind::Table);
        if tag.is_block()
            && let Some(paragraph) = self.find(|tag| tag.kind == Kind::Paragraph, scope)
        {
            self.pop_to(paragraph, None);
        }
        let before = match tag.kind {
            Kind::Item => self.find(
                |tag| tag.kind == Kind::Item,
                |kind| scope(kind) || kind == Kind::List,
            ),
            Kind::Term => self.find(
                |tag| tag.kind == Kind::Term,
                |kind| scope(kind) || kind == Kind::List,
            ),
            Kind::Heading if self.kind() == Some(Kind::Heading) => Some(self.stack.len() - 1),
            Kind::Formatting if tag.name == "a" && self.is_open(tag) => {
                self.find(|one| one == tag, scope)
            }
            _ => None,
        };
        if let Some(place) = before {
            let ended = (tag.kind == Kind::Formatting).then_some(place);
            self.pop_to(place, ended);
        }
        if tag.name == "a" {
            self.pending.retain(|element| element.tag != tag);
        }
    }

    /// Ends and begins what has to be around a part of a table; whether there is a table for it.
    fn make_room(&mut self, tag: Tag) -> bool {
        let table = Tag::named("table").map_or(0, |table| table.index);
        if self.beyond.get(table).is_some_and(|count| *count > 0) {
            self.leave_out(tag);
            return false;
        }
        let Some(table) = self.find(|tag| tag.kind == Kind::Table, |_| false) else {
            return false;
        };
        let within = |kinds: &[Kind]| {
            let inner = self.stack.iter().enumerate().skip(table + 1);
            let mut places = inner.take_while(|(_, open)| kinds.contains(&open.element.tag.kind));
            places.by_ref().last().map_or(table, |(place, _)| place)
        };
        let place = match tag.kind {
            Kind::Cell => within(&[Kind::Section, Kind::Row]),
            Kind::Row => within(&[Kind::Section]),
            Kind::Column => within(&[Kind::Columns]),
            _ => table,
        };
        self.pop_to(place + 1, None);
        if matches!(tag.kind, Kind::Cell | Kind::Row) && self.kind() == Some(Kind::Table) {
            self.imply("tbody");
        }
        if tag.kind == Kind::Cell && self.kind() == Some(Kind::Section) {
            self.imply("tr");
        }
        if tag.kind == Kind::Column && self.kind() == Some(Kind::Table) {
            self.imply("colgroup");
        }
        true
    }

    /// Leaves out an element that is too deep; a line still ends where a block began.
    fn leave_out(&mut self, tag: Tag) {
        if !tag.is_empty() {
            self.is_beyond = true;
            if let Some(count) = self.beyond.get_mut(tag.index) {
                *count += 1;
            }
        }
        if tag.is_block()
            && !self.is_hidden()
            && let Some(line) = Tag::named("br")
        {
            self.elements += 1;
            self.sink.open(&Element::plain(line));
        }
    }

    /// Opens an element where it may stand.
    fn enter(&mut self, tag: Tag, mut attributes: Attributes) {
        let mut take = |name: &str| {
            let place = attributes.iter().position(|(known, _)| *known == name)?;
            Some(attributes.swap_remove(place).1)
        };
        let classes = take("class").unwrap_or_default();
        let id = take("id").unwrap_or_default();
        let mut style =
            take("style").map_or_else(Declarations::default, |css| Declarations::parse(&css));
        let picture = take("background").is_some_and(|picture| !picture.trim().is_empty());
        if let Some(color) = take("bgcolor").as_deref().and_then(hex_color)
            && style.get("background-color").is_none()
        {
            style.add("background-color", color);
        }
        let text = take("text").or_else(|| take("color"));
        if let Some(color) = text.as_deref().and_then(hex_color)
            && style.get("color").is_none()
        {
            style.add("color", color);
        }
        let is_marked_hidden = take("hidden").is_some();
        let hint = self.sheet.hint(tag, &classes, &id);
        let parent = self.stack.last();
        let hides = (hint.hides(style.hides()) || is_marked_hidden)
            && !(self.limits.keep_revealed && hint.revealed);
        let is_hidden = parent.is_some_and(|parent| parent.is_hidden) || hides;
        let is_tiny = hint
            .is_tiny(style.is_tiny())
            .unwrap_or_else(|| parent.is_some_and(|parent| parent.is_tiny));
        let mut lost = parent.is_some_and(|parent| parent.background_lost);
        if picture || style.background_lost || hint.background_lost {
            lost = true;
        }
        if style
            .get("background-color")
            .is_some_and(|color| color != "transparent")
        {
            lost = false;
        }
        if lost {
            style.without_color();
        }
        let element = Rc::new(Element {
            tag,
            attributes,
            style,
            classes: self.sheet.classes(&classes),
            id: match self.sheet.classes(&id) {
                id if id.contains(' ') => String::new(),
                id => id,
            },
        });
        if tag.is_empty() {
            self.elements += 1;
            if !is_hidden {
                self.sink.open(&element);
            }
        } else {
            self.push(element, is_hidden, is_tiny, lost);
        }
    }

    fn end(&mut self, tag: Tag) {
        if tag.name == "br" {
            return self.start(tag, Attributes::new());
        }
        if let Some(count) = self.beyond.get_mut(tag.index).filter(|count| **count > 0) {
            *count -= 1;
            return;
        }
        if tag.kind == Kind::Body {
            return;
        }
        if tag.kind == Kind::Formatting {
            let pending = self.pending.iter().rposition(|element| element.tag == tag);
            if let Some(place) = pending {
                self.pending.remove(place);
                return;
            }
        }
        if tag.kind != Kind::Heading && !self.is_open(tag) {
            return;
        }
        let found = match tag.kind {
            Kind::Table => self.find(|one| one == tag, |_| false),
            Kind::Cell | Kind::Caption | Kind::Row | Kind::Section | Kind::Columns => {
                self.find(|one| one == tag, |kind| kind == Kind::Table)
            }
            Kind::Heading => self.find(
                |one| one.kind == Kind::Heading,
                |kind| matches!(kind, Kind::Cell | Kind::Caption | Kind::Table),
            ),
            _ => self.find(
                |one| one == tag,
                |kind| matches!(kind, Kind::Cell | Kind::Caption | Kind::Table),
            ),
        };
        let Some(place) = found else { return };
        if matches!(tag.kind, Kind::Formatting | Kind::Inline) {
            self.end_in_line(place);
        } else {
            self.pop_to(place, None);
        }
    }

    /// Ends what is in a line, where blocks may have begun in it that go on.
    fn end_in_line(&mut self, place: usize) {
        let blocks: Vec<_> = self
            .stack
            .iter()
            .skip(place + 1)
            .filter(|open| open.element.tag.is_block())
            .collect();
        if blocks.is_empty() {
            self.pop_to(place, Some(place));
            return;
        }
        let is_simple = |open: &&Open| {
            matches!(
                open.element.tag.kind,
                Kind::Block | Kind::Paragraph | Kind::Heading
            )
        };
        if blocks.len() <= REOPENED && blocks.iter().all(is_simple) {
            let again: Vec<_> = blocks
                .into_iter()
                .map(|open| Rc::clone(&open.element))
                .collect();
            self.pop_to(place, Some(place));
            for element in again {
                self.push_as_parent(element);
            }
        } else if let Some(open) = self.stack.get_mut(place) {
            open.is_ending = true;
        }
    }

    fn text(&mut self, text: &str) {
        let is_blank = text.bytes().all(|octet| octet.is_ascii_whitespace());
        let in_cell = !matches!(
            self.kind(),
            Some(Kind::Table | Kind::Section | Kind::Row | Kind::Columns)
        );
        if is_blank && !in_cell {
            return;
        }
        if !is_blank {
            self.make_cell();
            self.go_on();
        }
        let is_seen = self
            .stack
            .last()
            .is_none_or(|open| !open.is_hidden && !open.is_tiny);
        if is_seen {
            self.sink.text(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    /// Writes the stream as HTML, and measures it.
    #[derive(Default)]
    struct Plain {
        html: String,
        depth: usize,
        deepest: usize,
    }

    impl Sink for Plain {
        fn open(&mut self, element: &Element) {
            let _ = write!(self.html, "<{}", element.tag.name);
            for (name, value) in element.attributes() {
                let _ = write!(self.html, " {name}={value}");
            }
            if !element.style.is_empty() {
                let _ = write!(self.html, " style={}", element.style.css());
            }
            self.html.push('>');
            if !element.tag.is_empty() {
                self.depth += 1;
                self.deepest = self.deepest.max(self.depth);
            }
        }

        fn text(&mut self, text: &str) {
            self.html += text;
        }

        fn close(&mut self, tag: Tag) {
            let _ = write!(self.html, "</{}>", tag.name);
            self.depth -= 1;
        }
    }

    fn plain(html: &str) -> String {
        let mut plain = Plain::default();
        read(html, &Limits::default(), &mut plain);
        assert_eq!(plain.depth, 0, "{html}");
        plain.html
    }

    #[test]
    fn the_stream_is_balanced_as_a_browser_would_have_it() {
        for (html, expected) in [
            ("<p>a<p>b", "<p>a</p><p>b</p>"),
            ("<p>a<div>b</div>c</p>", "<p>a</p><div>b</div>c"),
            (
                "<ul><li>a<li>b<ul><li>c</ul><li>d</ul>",
                "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>",
            ),
            ("<b>a<i>b</b>c</i>d", "<b>a<i>b</i></b><i>c</i>d"),
            ("<b><p>a</b>b</p>c", "<b><p>a</p></b><p>b</p>c"),
            ("<p><b>a<p>b</b>c", "<p><b>a</b></p><p><b>b</b>c</p>"),
            ("<b><ul><li>a</b>b</ul>c", "<b><ul><li>ab</li></ul></b>c"),
            ("<a href=x>a<a href=y>b", "<a href=x>a</a><a href=y>b</a>"),
            ("<td>a</td>", "a"),
            (
                "<table><td>a<td>b<tr><th>c</table>d",
                "<table><tbody><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></tbody></table>d",
            ),
            (
                "<table> <tr> <td>a</td> </tr> x<b>y</table>",
                "<table><tbody><tr><td>a</td></tr><tr><td> x<b>y</b></td></tr></tbody></table>",
            ),
            (
                "<table><tr><td><b>a</td><td>b</table>c",
                "<table><tbody><tr><td><b>a</b></td><td>b</td></tr></tbody></table>c",
            ),
            (
                "<table><tr><td><table><td>a</table></div></td><td>b",
                "<table><tbody><tr><td><table><tbody><tr><td>a</td></tr></tbody></table></td><td>b</td></tr></tbody></table>",
            ),
            (
                "<table><table><td>a",
                "<table></table><table><tbody><tr><td>a</td></tr></tbody></table>",
            ),
            (
                "<table><col><tr><td>a",
                "<table><colgroup><col></colgroup><tbody><tr><td>a</td></tr></tbody></table>",
            ),
            ("a</br>b</p>c</x>", "a<br>bc"),
            ("<h1>a<h2>b</h1>c", "<h1>a</h1><h2>b</h2>c"),
            ("<script>x</script><style>y</style>a<title>z</title>", "a"),
            ("<svg><text>x</text></svg>a<svg>y<p>b", "a<p>b</p>"),
            ("<template>x<p>y</template>a", "a"),
            ("<svg><title>x</title><style><p>y</style></svg>a", "a"),
            (
                "<!-- x --><![if !mso]>a<![endif]><!--[if mso]>x<![endif]-->",
                "a",
            ),
            ("<o:p>a</o:p><blink>b</blink>", "ab"),
            (
                "<body bgcolor=000 text=#ffffff onload=x>a",
                "<body style=background-color:#000;color:#ffffff>a</body>",
            ),
        ] {
            assert_eq!(plain(html), expected, "{html}");
        }
    }

    #[test]
    fn what_is_hidden_is_left_out() {
        for (html, expected) in [
            ("<div style='display:none'>x<p>y</div>a", "a"),
            (
                "<div style='DISPLAY: none !important'>x<div>y</div></div>a",
                "a",
            ),
            (
                "<span style='font-size:0'>x<b>y</b><i style='font-size:12px'>a</i></span>",
                "<span style=font-size:0><b></b><i style=font-size:12px>a</i></span>",
            ),
            ("<style>.p{display:none}</style><p class=p>x</p>a", "a"),
            ("<p class=p>x</p>a<style>p.p{max-height:0}</style>", "a"),
            ("<p hidden>x</p>a", "a"),
            (
                "<div style='max-height:0;overflow:hidden'>x</div><div style='opacity:0'>x</div>a",
                "a",
            ),
            (
                "<table><tr style='display:none'><td>x</td></tr><tr><td>a</td></tr></table>",
                "<table><tbody><tr><td>a</td></tr></tbody></table>",
            ),
            ("<a style='mso-hide:all'>a</a>", "<a>a</a>"),
            // A picture that is not shown takes the colour that was chosen for it along.
            ("<td background=x>a", "a"),
            (
                "<div style='background:url(x)'><b style='color:#fff'>a</b><p style='background:#000;color:#fff'>b",
                "<div><b>a</b><p style=background-color:#000;color:#fff>b</p></div>",
            ),
            (
                "<table><td background=x bgcolor=#123456 style=color:#fff>a",
                "<table><tbody><tr><td style=color:#fff;background-color:#123456>a</td></tr></tbody></table>",
            ),
        ] {
            assert_eq!(plain(html), expected, "{html}");
        }
        let phone = "<style>@media (max-width:9px){.p{display:block!important}}</style><p class=p style=display:none>a</p>";
        assert_eq!(plain(phone), "");
        let mut kept = Plain::default();
        let limits = Limits {
            keep_revealed: true,
            ..Limits::default()
        };
        read(phone, &limits, &mut kept);
        assert_eq!(kept.html, "<p style=display:none>a</p>");
    }

    /// What is repeated, in HTML that wants to be slow.
    const NASTY: [&str; 24] = [
        "<ul><li>a",
        "<div>a",
        "<table><tr><td>a",
        "<table>a",
        "<table><b>a",
        "<table><tr>a<td>",
        "<b>a",
        "<font size=#>a",
        "<p><font size=# color=red>a",
        "<a href=#>a<b>",
        "<b><i></b>a</i>",
        "<b><p>a</b>",
        "<b><ul><li>a</b>",
        "<blockquote><p>a</blockquote>",
        "</b></p></td></table>a",
        "<span a#=1 b#=2>a",
        "<p style='color:red;x#:y'>a",
        "<p class='c# d#'>a",
        "<svg><p>a",
        "<math><mi>a</mi></math><template>",
        "<style>.c#{color:red}</style><p class=c#>a",
        "<!-- # --><![CDATA[a]]>",
        "&lt;&#12;&notanentity;&amp",
        "<dl><dt>a<dd>b<select><option>c</select>",
    ];

    #[test]
    fn depth_and_size_are_bounded_whatever_comes() {
        for nasty in NASTY {
            let mut html = String::new();
            let mut number = 0;
            while html.len() < 100_000 {
                html += &nasty.replace('#', &number.to_string());
                number += 1;
            }
            let limits = Limits {
                elements: 5000,
                depth: 100,
                ..Limits::default()
            };
            let mut plain = Plain::default();
            read(&html, &limits, &mut plain);
            assert_eq!(plain.depth, 0, "{nasty}");
            assert!(plain.deepest <= limits.depth, "{nasty}: {}", plain.deepest);
            assert!(plain.html.len() <= 500_000, "{nasty}: {}", plain.html.len());
            // Read once more, nothing in it has to be mended.
            let mut again = Plain::default();
            let more = Limits {
                elements: 10_000,
                ..limits
            };
            read(&plain.html, &more, &mut again);
            assert!(again.html.len() <= plain.html.len(), "{nasty}");
        }
    }

    #[test]
    fn what_is_too_deep_keeps_its_text_and_its_lines() {
        let html = "<div>".repeat(300) + "a<div>b</div>c" + &"</div>".repeat(300) + "d";
        let html = plain(&html);
        assert!(
            html.contains("a<br>b") && html.ends_with("</div>d"),
            "{html}"
        );
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let limits = Limits {
            octets: 10,
            ..Limits::default()
        };
        let mut cut = Plain::default();
        assert!(read("<p>abcdefghij</p>", &limits, &mut cut).is_cut);
        assert_eq!(cut.html, "<p>abcdefg</p>");
        let mut whole = Plain::default();
        assert!(!read("<p>abc", &limits, &mut whole).is_cut);
        let limits = Limits {
            until: Some(Instant::now()),
            ..Limits::default()
        };
        assert!(read("<p>abc", &limits, &mut whole).is_cut);
    }
}
