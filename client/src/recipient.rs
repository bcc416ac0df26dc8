//! Recipients as people type them: read from a line, and written so that they are read back.

use hikyaku_smtp_proto::Mailbox;

use crate::Error;

/// Text that should have been an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{text}” is not an e-mail address")]
#[allow(clippy::exhaustive_structs, reason = "programs write it out")]
pub struct NotAnAddress {
    /// The text as typed, without blanks around it.
    pub text: String,
}

impl From<NotAnAddress> for Error {
    fn from(error: NotAnAddress) -> Self {
        Self::Usage(error.to_string())
    }
}

/// Reads the recipients that somebody typed: `local@domain` or `Name <local@domain>`, with commas, semicolons
/// (those of Chinese and Japanese too) or line ends between them. Each is returned in the form of [`written`].
///
/// Separators within quotes, angle brackets and comments are text. `mailto:` and the name of a group are
/// dropped, and so are characters that nobody sees.
///
/// # Errors
/// [`NotAnAddress`] names the first that no server could be asked to deliver to. In particular a name without
/// an address is one: it is never taken for a part of the next recipient's name.
///
/// ```
/// use hikyaku_client::compose::recipients;
/// let typed = r#""Muster, Max" <max@remote.test>; eva@remote.test"#;
/// assert_eq!(recipients(typed).unwrap(), [r#""Muster, Max" <max@remote.test>"#, "eva@remote.test"]);
/// assert_eq!(recipients("max@remote.test, eva").unwrap_err().text, "eva");
/// ```
pub fn recipients(text: &str) -> Result<Vec<String>, NotAnAddress> {
    let mut all = Vec::new();
    for piece in pieces(text) {
        if let Some((name, address)) = recipient(&piece)? {
            all.push(written(name.as_deref(), &address));
        }
    }
    Ok(all)
}

/// Writes `Name <local@domain>`, with quotes around the name if [`recipients`] needs them to read it back;
/// the address alone where there is no name.
#[must_use]
pub fn written(name: Option<&str>, address: &str) -> String {
    let name = name.map(on_one_line).unwrap_or_default();
    if name.is_empty() || name == address {
        return address.to_owned();
    }
    let special = |c: char| is_separator(c) || "()<>[]:@\\\"".contains(c);
    if !name.contains(special) {
        return format!("{name} <{address}>");
    }
    let mut quoted = String::with_capacity(name.len() + 2);
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    format!("\"{quoted}\" <{address}>")
}

/// Returns the address in `Name <local@domain>`, or else the whole text.
#[must_use]
pub fn address_of(text: &str) -> &str {
    match angle(text) {
        Some((_, address, _)) => address.trim(),
        None => text.trim(),
    }
}

/// The name in `Name <local@domain>`, without its quotes.
pub(crate) fn name_of(text: &str) -> Option<String> {
    let (name, ..) = angle(text)?;
    Some(unquoted(name)).filter(|name| !name.is_empty())
}

fn is_separator(c: char) -> bool {
    matches!(c, ',' | ';' | '、' | '，' | '；' | '\n' | '\r')
}

/// What takes no room on the line, and moves what does.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Without control characters and what nobody sees, with single blanks.
fn on_one_line(text: &str) -> String {
    let blank = |c: char| if c.is_whitespace() { ' ' } else { c };
    let seen = text.chars().map(blank).filter(|c| !is_unseen(*c));
    let seen: String = seen.collect();
    let words: Vec<_> = seen.split(' ').filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// Where in a text a character stands.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    quoted: bool,
    escaped: bool,
    comment: usize,
}

impl Place {
    /// Steps over a character; whether it is text or a special outside of quotes and comments.
    fn step(&mut self, c: char) -> bool {
        if self.escaped {
            self.escaped = false;
            return false;
        }
        match c {
            '\\' if self.quoted || self.comment > 0 => self.escaped = true,
            '"' if self.comment == 0 => self.quoted = !self.quoted,
            '(' if !self.quoted => self.comment += 1,
            ')' if !self.quoted && self.comment > 0 => self.comment -= 1,
            _ => return !self.quoted && self.comment == 0,
        }
        false
    }
}

/// What stands between separators.
fn pieces(text: &str) -> Vec<String> {
    let (mut all, mut one) = (Vec::new(), String::new());
    let (mut place, mut angle) = (Place::default(), false);
    for c in text.chars() {
        let special = place.step(c);
        match c {
            '<' if special => angle = true,
            '>' if special => angle = false,
            c if special && !angle && is_separator(c) => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            _ => {}
        }
        match c {
            c if is_unseen(c) && !c.is_whitespace() => {}
            c if c.is_whitespace() => one.push(' '),
            c => one.push(c),
        }
    }
    all.push(one);
    all
}

/// What stands before `<`, between it and `>`, and behind that, of the first such pair outside of quotes and
/// comments whose inside could be an address.
fn angle(text: &str) -> Option<(&str, &str, &str)> {
    let (mut place, mut open, mut close) = (Place::default(), None, None);
    for (at, c) in text.char_indices() {
        if !place.step(c) {
            continue;
        }
        match c {
            '<' if close.is_none() => open = Some(at),
            // One that nothing opened.
            '>' if open.is_none() => {}
            '>' if close.is_none() => close = Some(at),
            _ => {}
        }
    }
    let (before, inside) = text.split_at(open?);
    let close = close.map_or(text.len(), |close| close);
    let inside = inside.get(1..close.checked_sub(open?)?)?;
    let behind = text.get(close..).unwrap_or("");
    Some((before, inside, behind.strip_prefix('>').unwrap_or("")))
}

/// Without quotes, and what was escaped in them as it is.
fn unquoted(text: &str) -> String {
    let (mut plain, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        match c {
            _ if escaped => {
                plain.push(c);
                escaped = false;
            }
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c => plain.push(c),
        }
    }
    on_one_line(&plain)
}

/// Without comments; and the last of them.
fn without_comments(text: &str) -> (String, Option<String>) {
    let (mut plain, mut comment, mut last) = (String::new(), String::new(), None);
    let mut place = Place::default();
    for c in text.chars() {
        let depth = place.comment;
        place.step(c);
        match (depth, place.comment) {
            (0, 0) => plain.push(c),
            (0, _) => comment.clear(),
            (_, 0) => last = Some(on_one_line(&comment)),
            _ => comment.push(c),
        }
    }
    (plain, last.filter(|last| !last.is_empty()))
}

/// Behind the name of a group, or `mailto:`.
fn without_group(text: &str) -> &str {
    let (mut place, mut behind) = (Place::default(), 0);
    for (at, c) in text.char_indices() {
        if place.step(c) && c == ':' {
            behind = at + 1;
        }
        // The colons of an address literal.
        if c == '@' && !place.quoted {
            break;
        }
    }
    text.get(behind..).unwrap_or(text)
}

/// The name and the address of one; `None` where nothing was typed, or a group without members.
fn recipient(piece: &str) -> Result<Option<(Option<String>, String)>, NotAnAddress> {
    let wrong = || NotAnAddress {
        text: on_one_line(piece),
    };
    let (name, address) = match angle(piece) {
        Some((_, _, behind)) if !without_comments(behind).0.trim().is_empty() => {
            return Err(wrong());
        }
        Some((name, address, _)) => (Some(unquoted(name)), without_comments(address).0),
        None => {
            let (plain, comment) = without_comments(piece);
            (comment, without_group(&plain).to_owned())
        }
    };
    let address = address.trim();
    let piece = piece.trim();
    if address.is_empty() && (piece.is_empty() || piece.ends_with(':')) {
        return Ok(None);
    }
    let mailbox = Mailbox::parse(address.as_bytes()).map_err(|_| wrong())?;
    let name = name.filter(|name| !name.is_empty());
    Ok(Some((name, mailbox.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_typed_is_read() {
        for (typed, read) in [
            ("", &[][..]),
            (" , ;\n", &[]),
            ("a@b.test", &["a@b.test"]),
            (
                "a@b.test,c@d.test ; e@f.test、g@h.test",
                &["a@b.test", "c@d.test", "e@f.test", "g@h.test"],
            ),
            ("a@b.test\r\nc@d.test", &["a@b.test", "c@d.test"]),
            ("<a@b.test>", &["a@b.test"]),
            ("a@b.test <a@b.test>", &["a@b.test"]),
            (
                "\"Muster, Max\" <max@remote.test>",
                &["\"Muster, Max\" <max@remote.test>"],
            ),
            (
                "\"Say \\\"hi\\\"; now\" <a@b.test>",
                &["\"Say \\\"hi\\\"; now\" <a@b.test>"],
            ),
            (
                "\"Max Muster\" <max@remote.test>",
                &["Max Muster <max@remote.test>"],
            ),
            (
                "HowlRound: A Center <w@remote.test>",
                &["\"HowlRound: A Center\" <w@remote.test>"],
            ),
            (
                "support@shop.test <other@shop.test>",
                &["\"support@shop.test\" <other@shop.test>"],
            ),
            ("John Q. Public <j@b.test>", &["John Q. Public <j@b.test>"]),
            ("\"飛脚、太郎\" <x@b.test>", &["\"飛脚、太郎\" <x@b.test>"]),
            ("max@b.test (Max)", &["Max <max@b.test>"]),
            ("Max <max@b.test> (work, old)", &["Max <max@b.test>"]),
            ("\"a,b\"@c.test", &["\"a,b\"@c.test"]),
            ("user@[192.0.2.1]", &["user@[192.0.2.1]"]),
            ("mailto:a@b.test", &["a@b.test"]),
            ("Team: a@b.test, c@d.test;", &["a@b.test", "c@d.test"]),
            ("undisclosed-recipients:;", &[]),
            ("\u{202a}a@b.test\u{202c}\u{200b}", &["a@b.test"]),
            ("用户@例.test", &["用户@例.test"]),
        ] {
            assert_eq!(recipients(typed).unwrap(), read, "{typed}");
        }
    }

    #[test]
    fn what_is_no_address_is_named() {
        for (typed, wrong) in [
            ("alice", "alice"),
            ("a@b.test, bob, c@d.test", "bob"),
            ("Muster, Max <max@remote.test>", "Muster"),
            ("飛脚、太郎 <x@b.test>", "飛脚"),
            ("a@", "a@"),
            ("@b.test", "@b.test"),
            ("a@b@c.test", "a@b@c.test"),
            ("Max <max>", "Max <max>"),
            ("Max <>", "Max <>"),
            ("a b@c.test", "a b@c.test"),
            ("a@b.test c@d.test", "a@b.test c@d.test"),
            (
                "Max <a@b.test> Eva <c@d.test",
                "Max <a@b.test> Eva <c@d.test",
            ),
            ("\"Max <a@b.test>, c@d.test", "\"Max <a@b.test>, c@d.test"),
            ("a..b@c .test", "a..b@c .test"),
            ("a@-.test", "a@-.test"),
        ] {
            let error = recipients(typed).map_err(|error| error.text);
            match error {
                Err(text) => assert_eq!(text, wrong),
                Ok(all) => panic!("{typed}: {all:?}"),
            }
        }
    }

    #[test]
    fn a_name_cannot_add_a_recipient_or_a_line() {
        for name in [
            "Eve\r\nBcc: x@y.test",
            "Eve, x@y.test",
            "Eve <x@y.test>",
            "Eve\", \"x@y.test",
            "\\",
        ] {
            let line = written(Some(name), "eve@remote.test");
            assert!(!line.contains(['\r', '\n']), "{line:?}");
            assert_eq!(address_of(&line), "eve@remote.test");
            assert_eq!(recipients(&line).unwrap(), std::slice::from_ref(&line));
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(name in "[a-c,;:<>()@\\\\\"、. あ\u{202e}\r\n]{0,20}") {
            let line = written(Some(&name), "a@b.test");
            let again = format!("{line}, {line}");
            prop_assert_eq!(recipients(&again).unwrap(), [line.clone(), line.clone()]);
            prop_assert_eq!(address_of(&line), "a@b.test");
        }

        #[test]
        fn anything_may_be_typed(text in "[ab,;:<>()@\\\\\" .]{0,40}") {
            if let Ok(all) = recipients(&text) {
                for one in all {
                    prop_assert_eq!(recipients(&one).unwrap(), [one.clone()]);
                }
            }
        }
    }
}
