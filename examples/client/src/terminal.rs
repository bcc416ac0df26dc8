//! Measures text on a terminal and makes lines fit.

use std::io::IsTerminal as _;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

use hikyaku_client::visible;

/// Stands where a text was cut.
const CUT: &str = "…";

/// Returns the columns of the terminal that standard output is; `None` where it is a file or a pipe.
#[must_use]
pub fn columns() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let size = console::Term::stdout().size_checked();
    size.map(|(_, columns)| usize::from(columns))
        .filter(|&columns| columns > 0)
}

/// Returns the columns that a text takes: two for an ideograph or an emoji, none for a combining mark.
#[must_use]
pub fn width(text: &str) -> usize {
    text.width()
}

/// Returns as much of a text as fits in so many columns, made harmless. What was cut ends in `…`.
#[must_use]
pub fn fitted(text: &str, columns: usize) -> String {
    let text = visible::line(text);
    if text.len() <= columns || width(&text) <= columns {
        return text.into_owned();
    }
    let room = columns.saturating_sub(width(CUT));
    let (mut cut, mut taken) = (String::new(), 0);
    for cluster in text.graphemes(true) {
        let wide = width(cluster);
        if taken + wide > room {
            break;
        }
        taken += wide;
        cut.push_str(cluster);
    }
    if columns > 0 {
        cut.push_str(CUT);
    }
    cut
}

/// Returns a text in a column that is so wide: cut, or with blanks behind it.
#[must_use]
pub fn column(text: &str, columns: usize) -> String {
    let mut fitted = fitted(text, columns);
    let blanks = columns.saturating_sub(width(&fitted));
    fitted.extend(std::iter::repeat_n(' ', blanks));
    fitted
}

/// Returns a text whose lines are broken at blanks, to be no wider than the terminal. A word that is wider, such as a
/// link, stays whole, so that it can be copied. Quoted lines go on as quoted lines.
#[must_use]
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut all = String::with_capacity(text.len() + text.len() / 16);
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        if line.len() <= columns || width(line) <= columns {
            all.push_str(line);
        } else {
            wrap(line, columns, &mut all);
        }
        all.push_str(end);
    }
    all
}

fn wrap(line: &str, columns: usize, all: &mut String) {
    let quoted = line.find(|c| c != '>' && c != ' ').unwrap_or(line.len());
    let (quote, rest) = line.split_at(quoted);
    let quote = if width(quote) * 2 < columns {
        quote
    } else {
        ""
    };
    let mut taken = 0;
    for word in rest.split(' ') {
        let wide = width(word);
        if taken > 0 && taken + 1 + wide > columns {
            all.push('\n');
            taken = 0;
        }
        if taken == 0 {
            all.push_str(quote);
            taken = width(quote);
        } else {
            all.push(' ');
            taken += 1;
        }
        all.push_str(word);
        // A line that begins with an empty word has been begun all the same.
        taken = (taken + wide).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_wide_as_a_terminal_shows_it() {
        for (text, columns, shown) in [
            ("plain", 8, "plain   "),
            ("plain", 5, "plain"),
            ("plain", 4, "pla…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日… "),
            ("日本語", 7, "日本語 "),
            ("e\u{301}te\u{301}", 3, "e\u{301}te\u{301}"),
            ("👩\u{200d}👩\u{200d}👧x", 3, "👩\u{200d}👩\u{200d}👧x"),
            ("ｶﾀｶﾅ", 4, "ｶﾀｶﾅ"),
            ("a\u{202e}b\nc", 4, "ab c"),
            ("日", 1, "…"),
            ("日", 0, ""),
        ] {
            let column = column(text, columns);
            assert_eq!(column, shown);
            assert_eq!(width(&column), columns, "{text}");
        }
    }

    #[test]
    fn lines_are_broken_at_blanks() {
        let text = "one two three\n> four five six\nhttps://a.test/very/long/path x\n日本語 日本語 日本語\n";
        assert_eq!(
            wrapped(text, 10),
            "one two\nthree\n> four\n> five six\nhttps://a.test/very/long/path\nx\n日本語\n日本語\n日本語\n"
        );
        assert_eq!(wrapped("short", 10), "short");
        assert_eq!(wrapped(&"a ".repeat(500_000), 10).len(), 1_000_000);
    }
}
