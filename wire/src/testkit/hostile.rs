//! Strings that would end a line early, and a counter of lines that believes nothing.

use alloc::vec::Vec;

use super::Random;

/// Pieces of which hostile strings are made: line ends, NUL, controls, what quotes, what announces literals, whole
/// commands and responses, and octets that are no UTF-8.
pub const HOSTILE: &[&[u8]] = &[
    b"a",
    b"Z9",
    b"x",
    b" ",
    b"\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\t",
    b"\x1b",
    b"\x7f",
    b"\"",
    b"\\",
    b"{3}",
    b"{3}\r\n",
    b"{3}\r\nabc",
    b"{3+}\r\nabc",
    b"~{3}\r\nabc",
    b"{99999999999999999999}",
    b"(",
    b")",
    b"[",
    b"]",
    b"<",
    b">",
    b"%",
    b"*",
    b"&",
    b"&-",
    b"&AGE-",
    b".",
    b"\r\n.\r\n",
    b"=",
    b"+",
    b"-",
    b":",
    b"@",
    b",",
    b";",
    b"/",
    b"NIL",
    b"BODY[]",
    b"\xc3\xa9",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\r\nQUIT\r\n",
    b"\r\na1 LOGOUT\r\n",
    b"\r\n* BYE\r\n",
    b"\r\n250 ok\r\n",
    b"+OK",
    b"-ERR",
    b"250 ",
    b"+ ",
];

/// Returns a string of up to seven of [`HOSTILE`]'s pieces.
#[must_use]
pub fn hostile(random: &mut Random) -> Vec<u8> {
    let pieces = random.below(8);
    (0..pieces)
        .flat_map(|_| HOSTILE.get(random.below(HOSTILE.len())).copied())
        .flatten()
        .copied()
        .collect()
}

/// Returns the number of lines.
///
/// # Panics
/// When a CR or LF stands alone, a NUL is among the octets, or the last line does not end.
pub fn count_lines(octets: &[u8]) -> usize {
    let shown = octets.escape_ascii();
    let mut lines = 0;
    let mut before = 0;
    for &octet in octets {
        assert_eq!(
            octet == b'\n',
            before == b'\r',
            "CR or LF alone in \"{shown}\""
        );
        assert_ne!(octet, 0, "NUL in \"{shown}\"");
        lines += usize::from(octet == b'\n');
        before = octet;
    }
    assert!(
        octets.is_empty() || before == b'\n',
        "a line without its end: \"{shown}\""
    );
    lines
}
