//! Texts of others on a terminal.

/// The text without what a terminal would obey: peers say what they like.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| match c.is_control() {
        true => '?',
        false => c,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(printable("a\u{1b}[2J\r\n\u{9b}é\t"), "a?[2J???é?");
    }
}
