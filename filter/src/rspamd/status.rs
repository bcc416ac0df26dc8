//! The fields that say what rspamd thought: `X-Spam-Score`, `X-Spam-Status`.

use std::fmt::Write as _;

/// The name of the field with the score alone.
pub(super) const SCORE: &str = "X-Spam-Score";
/// The name of the field with the rules.
pub(super) const STATUS: &str = "X-Spam-Status";

/// Rules that are named. rspamd has about a thousand; a message that matches many of them could be anything.
const SYMBOLS: usize = 200;
/// Octets of a rule's name.
const NAME: usize = 80;
/// Where a line is folded (RFC 5322 §2.1.1).
const LINE: usize = 78;
/// Scores beyond it say no more.
const MOST: f64 = 99_999.0;

/// The value of `X-Spam-Score`.
pub(super) fn score(score: f64) -> String {
    format!("{:.2}", score.clamp(-MOST, MOST))
}

/// The value of `X-Spam-Status`, as SpamAssassin writes it, folded: `Yes, score=9.10 required=15.00 tests=A(9.00), ..`.
pub(super) fn status(is_spam: bool, of: f64, required: f64, symbols: &[(String, f64)]) -> String {
    let word = if is_spam { "Yes" } else { "No" };
    let mut value = format!("{word}, score={} required={}", score(of), score(required));
    let begin = value.len();
    // The heaviest first.
    let mut symbols: Vec<_> = symbols.iter().collect();
    symbols.sort_by(|(_, one), (_, other)| other.abs().total_cmp(&one.abs()));
    let mut column = LINE;
    for (name, points) in symbols.into_iter().take(SYMBOLS) {
        let is_plain = |letter: &char| letter.is_ascii_alphanumeric() || "_-.".contains(*letter);
        let name: String = name.chars().filter(is_plain).take(NAME).collect();
        let mut item = String::new();
        let _ = write!(item, "{name}({})", score(*points));
        let is_first = value.len() == begin;
        if !is_first {
            value.push(',');
        }
        if column + item.len() + 2 > LINE {
            value += "\r\n\t";
            // A tab takes up to eight columns.
            column = 8;
        } else {
            value.push(' ');
            column += 2;
        }
        if is_first {
            value += "tests=";
            column += 6;
        }
        column += item.len();
        value += &item;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_named_heaviest_first_and_folded() {
        let symbols: Vec<_> = (0..12)
            .map(|nth| (format!("RULE_{nth}"), f64::from(nth) - 6.5))
            .collect();
        let value = status(true, 7.456, 15.0, &symbols);
        assert!(
            value.starts_with("Yes, score=7.46 required=15.00\r\n\ttests=RULE_0(-6.50), RULE_1"),
            "{value}"
        );
        assert!(
            value.lines().count() > 2 && value.lines().all(|line| line.len() <= LINE),
            "{value}"
        );
        assert_eq!(
            status(false, 0.0, 15.0, &[]),
            "No, score=0.00 required=15.00"
        );
    }

    #[test]
    fn names_and_numbers_are_bounded() {
        let hostile = [(format!("A\r\n\r\nX: {}", "y".repeat(500)), 1e300)];
        let value = status(false, -1e300, f64::MAX, &hostile);
        assert!(value.len() < 250, "{value}");
        assert!(
            value.contains("\r\n\ttests=AXyyy") && value.contains("(99999.00)"),
            "{value}"
        );
        let many: Vec<_> = (0..5000).map(|nth| (nth.to_string(), 1.0)).collect();
        assert_eq!(status(false, 1.0, 1.0, &many).matches('(').count(), SYMBOLS);
    }
}
