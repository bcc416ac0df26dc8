//! Words and values that are written as they are, without quotes: whatever an application passes, they end neither the
//! line nor the list they stand in.

use bytes::Bytes;
use hikyaku_wire::Output;

use crate::plumbing::cursor::Cursor;
use crate::plumbing::text::is_atom_char;
use crate::plumbing::text::is_tag_char;

/// Appends an atom.
pub(crate) fn write_atom(atom: &[u8], output: &mut Output) {
    write(atom, is_atom_char, output);
}

/// Appends a tag.
pub(crate) fn write_tag(tag: &[u8], output: &mut Output) {
    write(tag, is_tag_char, output);
}

/// Appends a flag or an attribute of LIST: an atom, perhaps with `\` before it.
pub(crate) fn write_flag(flag: &[u8], output: &mut Output) {
    match flag.strip_prefix(b"\\") {
        Some(b"*") => output.write(flag),
        Some(name) => {
            output.write(b"\\");
            write_atom(name, output);
        }
        None => write_atom(flag, output),
    }
}

/// Appends a word of a response: what servers send in place of atoms is wider than the grammar.
pub(crate) fn write_word(word: &[u8], output: &mut Output) {
    write(word, is_word_char, output);
}

/// Appends a word between the brackets of a response code.
pub(crate) fn write_code_word(word: &[u8], output: &mut Output) {
    write(word, |octet| is_word_char(octet) && octet != b']', output);
}

/// Appends a string between the brackets of a response code, which is text: no literal may stand there.
pub(crate) fn write_code_string(text: &[u8], output: &mut Output) {
    output.write(b"\"");
    for piece in text.split_inclusive(|octet| matches!(octet, b'"' | b'\\')) {
        let (plain, escaped) = match piece.split_last() {
            Some((last @ (b'"' | b'\\'), plain)) => (plain, Some(*last)),
            _ => (piece, None),
        };
        output.write_only(plain, |octet| !octet.is_ascii_control(), b'?');
        if let Some(octet) = escaped {
            output.write(&[b'\\', octet]);
        }
    }
    output.write(b"\"");
}

/// Appends one value as it was sent: an atom, a string, or a list of values. What is none of these is written as NIL.
pub(crate) fn write_value(value: &Bytes, output: &mut Output) {
    write_values(value, 1, output);
}

/// Appends values as they were sent, with a blank between them.
pub(crate) fn write_values(values: &Bytes, most: usize, output: &mut Output) {
    if are_values(values, most) {
        return output.write(values);
    }
    output.note_replaced();
    output.write(b"NIL");
}

fn are_values(values: &Bytes, most: usize) -> bool {
    // `{n+}` is for commands; NUL is for literal8 alone, which the application has types for.
    let smuggles = memchr::memmem::find(values, b"+}\r\n").is_some();
    if smuggles || memchr::memchr(0, values).is_some() {
        return false;
    }
    let mut cursor = Cursor::new(values);
    for _ in 0..most {
        if cursor.value().is_err() {
            return false;
        }
        if cursor.is_at_end() {
            return true;
        }
        if !cursor.eat(b' ') {
            return false;
        }
    }
    false
}

/// Appends the rest of a response as it was sent, literals inside. What would be more than one response, or less, loses
/// its line ends.
pub(crate) fn write_rest(rest: &[u8], output: &mut Output) {
    if is_whole(rest) {
        return output.write(rest);
    }
    output.note_replaced();
    output.write_only(rest, |octet| !octet.is_ascii_control(), b' ');
    if announced(rest).is_some() {
        output.write(b".");
    }
}

/// Whether lines end behind the announcement of a literal only, and the last line announces none.
fn is_whole(mut rest: &[u8]) -> bool {
    loop {
        let end = memchr::memchr3(b'\r', b'\n', 0, rest).unwrap_or(rest.len());
        let (line, tail) = rest.split_at(end);
        match (announced(line), tail.strip_prefix(b"\r\n")) {
            (None, _) if tail.is_empty() => return true,
            (Some(octets), Some(tail)) => match tail.get(octets..) {
                Some(behind) => rest = behind,
                None => return false,
            },
            _ => return false,
        }
    }
}

/// Octets of the literal that a line announces.
fn announced(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    // A reader that takes `{n+}` for one is fooled by none.
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let digits = inner.iter().rev().take_while(|o| o.is_ascii_digit());
    let (head, digits) = inner.split_at(inner.len() - digits.count());
    head.strip_suffix(b"{").filter(|_| !digits.is_empty())?;
    let digits = core::str::from_utf8(digits).ok()?;
    Some(digits.parse().unwrap_or(usize::MAX))
}

fn is_word_char(octet: u8) -> bool {
    octet > b' ' && !matches!(octet, b'(' | b')' | b'"' | b'{' | 127)
}

/// One word, whatever is in it: `-` stands for what may not be, and for nothing.
fn write(word: &[u8], is_allowed: impl Fn(u8) -> bool, output: &mut Output) {
    if word.is_empty() {
        output.note_replaced();
        return output.write(b"-");
    }
    output.write_only(word, is_allowed, b'-');
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    fn written(write: impl FnOnce(&mut Output)) -> (Bytes, bool) {
        let mut output = Output::new();
        write(&mut output);
        let replaced = output.has_replaced();
        (output.copy_to_bytes(output.len()), replaced)
    }

    #[test]
    fn what_ends_something_is_replaced() {
        for (flag, expected) in [
            ("\\Seen", "\\Seen"),
            ("\\*", "\\*"),
            ("$Forwarded", "$Forwarded"),
            ("a b", "a-b"),
            ("a)\r\nb", "a---b"),
            ("\\", "\\-"),
            ("", "-"),
            ("{3}", "-3}"),
        ] {
            let (text, replaced) = written(|output| write_flag(flag.as_bytes(), output));
            assert_eq!(
                (&text[..], replaced),
                (expected.as_bytes(), flag != expected)
            );
        }
    }

    #[test]
    fn values_are_whole_or_nil() {
        for (value, is_whole) in [
            ("abc", true),
            ("(a (b \"c\"))", true),
            ("{3}\r\na\r\n", true),
            ("(\"\" {3}\r\n))) x)", true),
            ("a b", false),
            ("a\r\nb", false),
            ("(a", false),
            ("a)", false),
            ("\"a", false),
            ("{3}", false),
            ("{3}\r\nab", false),
            ("{3+}\r\nabc", false),
            ("", false),
        ] {
            let (text, replaced) = written(|output| write_value(&value.into(), output));
            let expected = if is_whole { value } else { "NIL" };
            assert_eq!((&text[..], replaced), (expected.as_bytes(), !is_whole));
        }
    }

    #[test]
    fn a_rest_is_one_response() {
        for (rest, expected) in [
            ("XFOO (a", "XFOO (a"),
            ("XFOO {3}\r\na\r\n b", "XFOO {3}\r\na\r\n b"),
            ("XFOO\r\n* BYE", "XFOO  * BYE"),
            ("XFOO {3}", "XFOO {3}."),
            ("XFOO {3}\r\nab", "XFOO {3}  ab"),
            ("XFOO\n", "XFOO "),
            (
                "XFOO {99999999999999999999}\r\n",
                "XFOO {99999999999999999999}  ",
            ),
        ] {
            let (text, _) = written(|output| write_rest(rest.as_bytes(), output));
            assert_eq!(text, expected);
        }
    }
}
