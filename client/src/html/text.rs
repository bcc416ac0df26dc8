//! HTML as text, for a terminal and for quoting: in lines, with lists, tables, quotes, and the addresses of links.

use unicode_width::UnicodeWidthChar as _;

use super::element::{Kind, Tag};
use super::links::Target;
use super::reader::{Element, Limits, Sink, read};

/// Columns of a line.
const WIDTH: usize = 78;
/// The most levels of quotes and lists that are drawn.
const LEVELS: usize = 8;
/// The most octets of a link's text that are compared with its address.
const LINK: usize = 2048;

/// Returns HTML as text, without hidden content. What exceeds [`Limits`] is left out, and the last line says
/// so.
#[must_use]
pub fn to_text(html: &str) -> String {
    let mut lines = Lines::default();
    let read = read(html, &Limits::default(), &mut lines);
    let mut text = lines.finish();
    if read.is_cut {
        text += "\n[...]\n";
    }
    text
}

/// What stands before each line of an element's content.
#[derive(Debug)]
struct Level {
    /// Before its first line.
    first: String,
    /// Before the others.
    then: &'static str,
}

/// A link that is not closed.
#[derive(Debug)]
struct Link {
    address: String,
    text: String,
}

#[derive(Debug, Default)]
struct Lines {
    all: String,
    /// The line that is written, without what stands before it.
    line: String,
    width: usize,
    /// The word that is gathered, which goes to the next line as a whole.
    word: String,
    word_width: usize,
    /// Whether blanks stand between the line and the word.
    blank: bool,
    /// How many have to be before the next.
    wanted: usize,
    /// Of the levels those that the empty lines are in.
    wanted_in: usize,
    levels: Vec<Level>,
    /// Beyond those that are drawn.
    beyond: usize,
    /// Of lists: the number of the next item, when items have one.
    lists: Vec<Option<i64>>,
    links: Vec<Link>,
    /// How many `pre` are open.
    verbatim: usize,
    /// Whether a cell stands before on this line.
    cell: bool,
}

impl Lines {
    fn finish(mut self) -> String {
        self.end_line();
        self.all
    }

    fn room(&self) -> usize {
        let before: usize = self.levels.iter().map(|level| level.then.len()).sum();
        WIDTH.saturating_sub(before)
    }

    /// Puts the word into the line, or into the next.
    fn end_word(&mut self) {
        if self.word_width == 0 {
            self.word.clear();
            return;
        }
        let blank = usize::from(self.blank && !self.line.is_empty());
        if !self.line.is_empty() && self.width + blank + self.word_width > self.room() {
            self.write_line();
        } else if blank > 0 {
            self.line.push(' ');
            self.width += 1;
        }
        self.line += &self.word;
        self.width += self.word_width;
        self.word.clear();
        self.word_width = 0;
        self.blank = false;
    }

    fn write_line(&mut self) {
        if !self.all.is_empty() {
            for _ in 0..self.wanted {
                let levels = self.levels.iter().take(self.wanted_in);
                let quotes: String = levels.map(|level| level.then).collect();
                self.all += quotes.trim_end();
                self.all.push('\n');
            }
        }
        self.wanted = 0;
        for level in &mut self.levels {
            if level.first.is_empty() {
                self.all += level.then;
            } else {
                self.all += &std::mem::take(&mut level.first);
            }
        }
        self.all += self.line.trim_end();
        self.all.push('\n');
        self.line.clear();
        self.width = 0;
    }

    /// Ends the line, when there is something in it.
    fn end_line(&mut self) {
        self.end_word();
        self.blank = false;
        self.cell = false;
        if !self.line.is_empty() {
            self.write_line();
        }
    }

    /// Ends the line, and wants so many empty ones before the next.
    fn gap(&mut self, empty: usize) {
        self.end_line();
        if self.wanted == 0 {
            self.wanted_in = self.levels.len();
        }
        self.wanted = self.wanted.max(empty);
        self.wanted_in = self.wanted_in.min(self.levels.len());
    }

    fn add(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '\n' if self.verbatim > 0 => {
                    self.end_word();
                    self.write_line();
                }
                // Fillers behind preview lines, and marks of where a word may be parted.
                '\u{ad}' | '\u{34f}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
                '\u{a0}' | '\u{2007}' | '\u{202f}' if self.verbatim > 0 => self.add_char(' ', 1),
                ' ' if self.verbatim > 0 => self.add_char(' ', 1),
                '\t' if self.verbatim > 0 => (0..4).for_each(|_| self.add_char(' ', 1)),
                c if c.is_whitespace() => {
                    self.end_word();
                    self.blank = true;
                }
                c if c.is_control() => {}
                c => {
                    let width = c.width().unwrap_or(0);
                    // Between wide characters a line may end, though not before what closes.
                    let may_part = width == 2 && !is_closing(c);
                    if may_part && self.verbatim == 0 {
                        self.end_word();
                    }
                    self.add_char(c, width);
                }
            }
        }
    }

    fn add_char(&mut self, c: char, width: usize) {
        self.word.push(c);
        self.word_width += width;
    }

    fn enter(&mut self, first: &str, then: &'static str) {
        if self.levels.len() < LEVELS {
            let first = first.to_owned();
            self.levels.push(Level { first, then });
        } else {
            self.beyond += 1;
        }
    }

    fn leave(&mut self) {
        if self.beyond > 0 {
            self.beyond -= 1;
        } else {
            self.levels.pop();
        }
    }

    fn close_link(&mut self) {
        let Some(Link { address, text }) = self.links.pop() else {
            return;
        };
        let text = text.trim();
        let bare = |address: &str| {
            let address = address.trim().trim_end_matches('/');
            let plain = ["mailto:", "https://", "http://"]
                .into_iter()
                .find_map(|scheme| address.strip_prefix(scheme));
            plain.unwrap_or(address).to_lowercase()
        };
        if text.is_empty() || address.is_empty() || bare(text) == bare(&address) {
            return;
        }
        let target = Target::of(&address);
        let misleads = target.is_some_and(|target| target.contradicts(text).is_some());
        self.end_word();
        self.blank = true;
        if misleads {
            "[!]".chars().for_each(|c| self.add_char(c, 1));
            self.end_word();
            self.blank = true;
        }
        let shown = address.strip_prefix("mailto:").unwrap_or(&address);
        for c in "<".chars().chain(shown.chars()).chain(">".chars()) {
            self.add_char(c, c.width().unwrap_or(0));
        }
    }
}

/// Marks that stand at no line's beginning.
fn is_closing(c: char) -> bool {
    matches!(
        c,
        '、' | '。'
            | '，'
            | '．'
            | '」'
            | '』'
            | '）'
            | '】'
            | '！'
            | '？'
            | '：'
            | '；'
            | 'ー'
            | '々'
            | '〉'
            | '》'
            | 'っ'
            | 'ゃ'
            | 'ゅ'
            | 'ょ'
    )
}

/// An address that something can be done with, on one line.
fn address(href: &str) -> Option<String> {
    let href: String = href.trim().chars().filter(|c| !c.is_control()).collect();
    let scheme = href.split_once(':')?.0.to_ascii_lowercase();
    matches!(&scheme[..], "http" | "https" | "mailto").then(|| href.replace(' ', "%20"))
}

impl Sink for Lines {
    fn open(&mut self, element: &Element) {
        let name = element.tag.name;
        match element.tag.kind {
            Kind::Paragraph | Kind::Heading => self.gap(1),
            Kind::List => {
                self.gap(usize::from(self.lists.is_empty()));
                let start = element
                    .get("start")
                    .and_then(|start| start.trim().parse().ok());
                self.lists
                    .push((name == "ol").then_some(start.unwrap_or(1)));
            }
            Kind::Item => {
                self.end_line();
                let mark = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let mark = format!("{number}. ");
                        *number = number.saturating_add(1);
                        mark
                    }
                    _ => "* ".to_owned(),
                };
                let then = match mark.len() {
                    0..=2 => "  ",
                    3 => "   ",
                    _ => "    ",
                };
                self.enter(&mark, then);
            }
            Kind::Term => {
                self.end_line();
                if name == "dd" {
                    self.enter("", "    ");
                }
            }
            Kind::Cell => {
                self.end_word();
                if self.cell && !self.line.is_empty() {
                    self.line += " |";
                    self.width += 2;
                    self.blank = true;
                }
                self.cell = false;
            }
            Kind::Rule => {
                self.gap(1);
                self.line = "-".repeat(self.room().min(40));
                self.write_line();
                self.gap(1);
            }
            Kind::Void => match name {
                "br" => {
                    self.end_word();
                    self.blank = false;
                    if self.line.is_empty() {
                        self.gap((self.wanted + 1).min(2));
                    } else {
                        self.write_line();
                    }
                }
                "img" => {
                    let alt = element.get("alt").unwrap_or("").trim();
                    if !alt.is_empty() {
                        self.text(&format!("[{alt}]"));
                    }
                }
                _ => {}
            },
            Kind::Formatting if name == "a" => {
                let address = element.get("href").and_then(address).unwrap_or_default();
                let text = String::new();
                self.links.push(Link { address, text });
            }
            Kind::Inline | Kind::Formatting => {}
            _ if name == "blockquote" => {
                self.gap(1);
                self.enter("", "> ");
            }
            _ => {
                if name == "pre" {
                    self.gap(1);
                    self.verbatim += 1;
                } else if !is_in_cell(self) {
                    self.end_line();
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        for link in &mut self.links {
            if link.text.len() < LINK {
                link.text += super::beginning(text, LINK);
            }
        }
        self.add(text);
    }

    fn close(&mut self, tag: Tag) {
        match tag.kind {
            Kind::Paragraph | Kind::Heading => self.gap(1),
            Kind::List => {
                self.lists.pop();
                self.gap(usize::from(self.lists.is_empty()));
            }
            Kind::Item => {
                self.end_line();
                self.leave();
            }
            Kind::Term => {
                self.end_line();
                if tag.name == "dd" {
                    self.leave();
                }
            }
            Kind::Cell => {
                self.end_word();
                self.cell = !self.line.is_empty();
            }
            Kind::Formatting if tag.name == "a" => self.close_link(),
            Kind::Inline | Kind::Formatting | Kind::Void => {}
            _ if tag.name == "blockquote" => {
                self.end_line();
                self.leave();
                self.gap(1);
            }
            _ if tag.name == "pre" => {
                self.gap(1);
                self.verbatim -= 1;
            }
            _ => self.end_line(),
        }
    }
}

/// Whether a row of cells is being written, which the blocks in them do not part.
fn is_in_cell(lines: &Lines) -> bool {
    lines.line.ends_with(" |") && lines.word.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn html_becomes_lines() {
        for (html, expected) in [
            ("<p>a  b\n c</p><p>d</p>", "a b c\n\nd\n"),
            ("a<br>b<br><br>c", "a\nb\n\nc\n"),
            ("<div>a<div>b</div></div>c", "a\nb\nc\n"),
            (
                "<ul><li>a<li>b<ul><li>c</ul></ul>d",
                "* a\n* b\n  * c\n\nd\n",
            ),
            ("<ol start=9><li>a<li>b<br>c</ol>", "9. a\n10. b\n    c\n"),
            ("<ul><li></li><li>a</ul>", "* a\n"),
            (
                "<blockquote>a<blockquote>b</blockquote></blockquote>c",
                "> a\n>\n> > b\n\nc\n",
            ),
            (
                "<table><tr><th>a<th>b<tr><td>1<td>2</table>",
                "a | b\n1 | 2\n",
            ),
            ("<table><tr><td><p>a</p><td></table>b", "a\n\nb\n"),
            (
                "<a href=https://a.test/x>here</a>, <a href='https://b.test/'>b.test</a>",
                "here <https://a.test/x>, b.test\n",
            ),
            (
                "<a href='https://evil.test/login'>https://bank.test/login</a>",
                "https://bank.test/login [!] <https://evil.test/login>\n",
            ),
            (
                "<a href='https://bank.test@evil.test/'>bank.test</a> <a href='https://www.a.test/x'>a.test</a>",
                "bank.test [!] <https://bank.test@evil.test/> a.test <https://www.a.test/x>\n",
            ),
            (
                "<a href='mailto:evil@x.test'>me@b.test</a> <a href='http://%65vil.test'>ｂａｎｋ．test</a>",
                "me@b.test [!] <evil@x.test> ｂａｎｋ．test [!] <http://%65vil.test>\n",
            ),
            (
                "<a href=mailto:a@b.test>a@b.test</a> <a href=mailto:a@b.test>me</a>",
                "a@b.test me <a@b.test>\n",
            ),
            (
                "<a href=javascript:x>a</a><a href=https://x.test></a>",
                "a\n",
            ),
            (
                "<a href='https://x.test'><img alt=Logo src=x></a>",
                "[Logo] <https://x.test>\n",
            ),
            ("<pre>a\n  b\n\nc</pre>d", "a\n  b\n\nc\n\nd\n"),
            (
                "a<hr>b",
                "a\n\n----------------------------------------\n\nb\n",
            ),
            ("<h1>a</h1>b", "a\n\nb\n"),
            ("<dl><dt>a<dd>b<dt>c</dl>", "a\n    b\nc\n"),
            ("a&nbsp;b&zwnj;&nbsp;&#847; &#8203; c", "a b\u{200c} c\n"),
            (
                "<p style=display:none>x</p><div style='font-size:0;max-height:0'>y</div>a",
                "a\n",
            ),
            ("a\u{1b}[31mb", "a[31mb\n"),
        ] {
            assert_eq!(to_text(html), expected, "{html}");
        }
    }

    #[test]
    fn lines_are_as_wide_as_a_terminal_shows_them() {
        for html in [
            "word ".repeat(100),
            "電子書簡、".repeat(100),
            "<blockquote><ul><li>".to_owned() + &"電 a b ".repeat(100),
        ] {
            let text = to_text(&html);
            assert!(text.lines().all(|line| line.width() <= WIDTH), "{text}");
            let full = text.lines().filter(|line| line.width() > WIDTH - 12);
            assert!(full.count() + 2 > text.lines().count(), "{text}");
        }
        let address = format!("https://a.test/{}", "x".repeat(200));
        assert!(to_text(&format!("<a href={address}>a b</a>")).contains(&format!("<{address}>")));
    }

    #[test]
    fn what_nests_deeply_stays_short() {
        let text = to_text(&"<ul><li>a".repeat(10_000));
        assert_eq!(text.matches('a').count(), 10_000);
        assert!(text.len() < 400_000, "{}", text.len());
        let text = to_text(&"<a href=https://x.test/>a<b>".repeat(10_000));
        assert!(text.len() < 400_000, "{}", text.len());
    }
}
