//! A TXT record in the form of zone files (RFC 1035 §3.3.14, §5.1).

/// Octets of one string of a record.
const STRING: usize = 255;

/// Returns the line; `None` for a text that is not visible ASCII, which nobody should type.
pub(super) fn line(owner: &str, text: &str) -> Option<String> {
    if !text.bytes().all(|octet| matches!(octet, 0x20..=0x7e)) {
        return None;
    }
    let strings = text.as_bytes().chunks(STRING).map(|one| {
        let one = String::from_utf8_lossy(one);
        format!("\"{}\"", one.replace('\\', "\\\\").replace('"', "\\\""))
    });
    let strings: Vec<_> = strings.collect();
    Some(match strings.as_slice() {
        [one] => format!("{owner}. IN TXT {one}"),
        several => format!("{owner}. IN TXT ( {} )", several.join(" ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_several_strings_and_strange_ones_are_none() {
        assert_eq!(line("a.test", "x y").unwrap(), "a.test. IN TXT \"x y\"");
        assert_eq!(line("a.test", "\"\\").unwrap(), r#"a.test. IN TXT "\"\\""#);
        let long = line("a.test", &"x".repeat(300)).unwrap();
        assert!(long.starts_with("a.test. IN TXT ( \"x") && long.ends_with("x\" )"));
        assert_eq!(long.matches('"').count(), 4);
        assert_eq!(line("a.test", "\u{1b}[2J"), None);
    }
}
