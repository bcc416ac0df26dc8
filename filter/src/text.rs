//! What a filter wants to be said to a client.

use hikyaku_smtp_proto::Reply;

/// Octets of a reply's line that are taken from a filter: with code and enhanced code well below the 512 of RFC 5321
/// §4.5.3.1.5.
const LINE: usize = 400;
/// Lines of a reply that are taken from a filter.
const LINES: usize = 20;

/// A reply with a text of a filter on one line, or with another where it has none.
pub(crate) fn reply(code: u16, enhanced: &str, text: Option<&str>, otherwise: &str) -> Reply {
    let text = text.map(|text| line(text.as_bytes())).unwrap_or_default();
    let text = match text.is_empty() {
        true => otherwise.to_owned(),
        false => text,
    };
    Reply::new(code, enhanced, text)
}

/// Reads a whole reply of a filter, `550 5.7.1 text`, of one line or several. `None` where it is none that refuses.
pub(crate) fn refusal(octets: &[u8]) -> Option<Reply> {
    let unit = [octets.trim_ascii_end(), b"\r\n"].concat();
    let reply = Reply::parse(&unit.into()).ok()?;
    let (code, class) = match reply.code() {
        // The connection goes on, which 421 denies (RFC 5321 §3.8).
        421 => (451, 4),
        code @ 400..500 => (code, 4),
        code @ 500..600 => (code, 5),
        _ => return None,
    };
    let enhanced = match reply.enhanced() {
        Some(enhanced) => enhanced.to_string(),
        None => format!("{class}.7.1"),
    };
    let lines = reply.lines().iter().take(LINES);
    let lines: Vec<_> = lines.map(|octets| line(octets).into()).collect();
    Some(Reply::of_lines(code, &enhanced, lines))
}

/// One line of ASCII, cut where it is too long.
fn line(octets: &[u8]) -> String {
    let printable = |octet: &u8| match octet {
        b' '..=b'~' => char::from(*octet),
        _ => ' ',
    };
    let text: String = octets
        .trim_ascii()
        .iter()
        .take(LINE)
        .map(printable)
        .collect();
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_bounded_line_of_ascii() {
        let said = |text: &str| reply(550, "5.7.1", Some(text), "No").to_string();
        assert_eq!(said(" spam \r\n250 ok\r\n"), "550 5.7.1 spam   250 ok");
        assert_eq!(said("\u{e9}\0"), "550 5.7.1 No");
        assert_eq!(said(&"x".repeat(5000)).len(), "550 5.7.1 ".len() + LINE);
        assert_eq!(
            reply(451, "4.7.1", None, "Later").to_string(),
            "451 4.7.1 Later"
        );
    }

    #[test]
    fn a_filters_reply_refuses_or_is_none() {
        let said = |text: &str| refusal(text.as_bytes()).map(|reply| reply.to_string());
        assert_eq!(said("554 5.7.0 Bad").as_deref(), Some("554 5.7.0 Bad"));
        assert_eq!(said("550 Bad").as_deref(), Some("550 5.7.1 Bad"));
        assert_eq!(said("421 4.3.2 Going").as_deref(), Some("451 4.3.2 Going"));
        assert_eq!(
            said("550-5.7.1 a\r\n550 5.7.1 b").as_deref(),
            Some("550 5.7.1 a b")
        );
        for none in ["", "250 2.0.0 fine", "354 x", "550-a\r\n551 b", "what", "5"] {
            assert_eq!(said(none), None, "{none}");
        }
        let many = "550-x\r\n".repeat(1000) + "550 y";
        assert_eq!(refusal(many.as_bytes()).unwrap().lines().len(), LINES);
    }
}
