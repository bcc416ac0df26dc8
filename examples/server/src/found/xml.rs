//! Texts within XML.

/// Writes a text so that it is one within XML, in elements and in attributes. What XML 1.0 has no place for is left out.
pub(crate) fn escaped(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => all.push_str("&amp;"),
            '<' => all.push_str("&lt;"),
            '>' => all.push_str("&gt;"),
            '"' => all.push_str("&quot;"),
            '\'' => all.push_str("&apos;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => all.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_in_a_text_is_text() {
        let text = "<a b=\"c\">&'d'\u{0}\u{1b}\u{ffff}é</a>";
        let document = format!("<x y=\"{0}\">{0}</x>", escaped(text));
        let document = roxmltree::Document::parse(&document).unwrap();
        let expected = "<a b=\"c\">&'d'é</a>";
        assert_eq!(document.root_element().text(), Some(expected));
        assert_eq!(document.root_element().attribute("y"), Some(expected));
    }
}
