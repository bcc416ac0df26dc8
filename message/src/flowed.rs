//! Text whose lines flow (`format=flowed`, RFC 3676).

use super::Content;
use alloc::string::String;

/// The line before a signature: its blank joins nothing (§4.3).
const SIGNATURE: &str = "-- ";

/// The text of such a part as it is read: what belongs together is one line, quotes stand behind one `>` for each time they
/// were quoted, and what was stuffed is taken out (§4.4). Other text stays as it is.
pub(super) fn unflowed(text: String, content: &Content) -> String {
    let says = |name: &str, value: &str| {
        let said = content.parameter_text(name);
        said.is_some_and(|said| said.trim().eq_ignore_ascii_case(value))
    };
    match content.is("text", "plain") && says("format", "flowed") {
        true => joined(&text, says("delsp", "yes")),
        false => text,
    }
}

fn joined(text: &str, deletes_space: bool) -> String {
    let mut all = String::with_capacity(text.len());
    // How often the line that is not ended is quoted.
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let ended = line.ends_with('\n');
        let line = line.trim_end_matches(['\n', '\r']);
        let unquoted = line.trim_start_matches('>');
        let depth = line.len() - unquoted.len();
        let content = unquoted.strip_prefix(' ').unwrap_or(unquoted);
        let is_signature = content == SIGNATURE;
        if open.is_some_and(|quoted| quoted != depth || is_signature) {
            all.push('\n');
            open = None;
        }
        if open.is_none() && depth > 0 {
            all.extend(core::iter::repeat_n('>', depth));
            if !content.is_empty() {
                all.push(' ');
            }
        }
        let flows = content.ends_with(' ') && !is_signature;
        let shown = match content.strip_suffix(' ') {
            Some(shown) if flows && deletes_space => shown,
            _ => content,
        };
        all.push_str(shown);
        open = (flows && ended).then_some(depth);
        if !flows && ended {
            all.push('\n');
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_flow_together() {
        for (text, delsp, read) in [
            (
                "The fox jumps \nover the dog.\nNew.\n",
                false,
                "The fox jumps over the dog.\nNew.\n",
            ),
            (
                "飛脚は手紙を \r\n運ぶ人である。\r\n",
                true,
                "飛脚は手紙を運ぶ人である。\n",
            ),
            ("two  \nand un \nbroken", true, "two and unbroken"),
            ("see \n-- \nBob\n", false, "see \n-- \nBob\n"),
            ("-- \nBob \nB.\n", true, "-- \nBobB.\n"),
            (" From\n  two\n", false, "From\n two\n"),
            (
                "> a \n> b\n>> c \nown \n> d\n",
                false,
                "> a b\n>> c \nown \n> d\n",
            ),
            (">\n> a\n", false, ">\n> a\n"),
            (">-- \n>Bob\n", false, "> -- \n> Bob\n"),
            ("> >a\n", false, "> >a\n"),
            ("last ", false, "last "),
            (" \n \n", true, "\n\n"),
            ("", false, ""),
        ] {
            assert_eq!(joined(text, delsp), read, "{text:?}");
        }
    }
}
