//! Text of strangers as a reader may see it: without what moves a cursor, turns the direction of writing, or is
//! there and takes no room. Used wherever a name, a subject, a file name, a body or a server's words are shown.

use hikyaku_message::{Address, decode_header};
use std::borrow::Cow;

/// The most combining marks on one letter: no script needs more, and a tower of them covers the lines above.
const MARKS: usize = 8;
/// The most characters of a name in which an address is looked for: a name that is longer fills screens.
const NAME: usize = 4096;

/// Returns a text of several lines without what deceives. Line ends and tabs stay.
///
/// What goes: control characters; the characters that override, embed or isolate a direction of writing
/// (U+202A–U+202E, U+2066–U+2069); and characters of no width, but for those that a script or an emoji needs where
/// they stand. The text keeps its order in memory, which is the order it is read in.
#[must_use]
pub fn text(text: &str) -> Cow<'_, str> {
    cleaned(text, true)
}

/// Returns a text as one line without what deceives: as [`text`], with a blank for every line end and tab.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    cleaned(text, false)
}

fn cleaned(text: &str, lines: bool) -> Cow<'_, str> {
    if text
        .bytes()
        .all(|octet| octet == b' ' || octet.is_ascii_graphic())
    {
        return Cow::Borrowed(text);
    }
    let right_to_left = text.chars().any(is_right_to_left);
    let mut clean = String::with_capacity(text.len());
    let (mut marks, mut flag) = (0_usize, false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let before = clean.chars().next_back();
        // A region's flag is a black flag, and letters that are not seen.
        let tag = matches!(c, '\u{e0020}'..='\u{e007f}');
        flag = c == '\u{1f3f4}' || (flag && tag);
        marks = if is_mark(c) { marks + 1 } else { 0 };
        match c {
            '\n' | '\t' if lines => clean.push(c),
            '\u{2028}' | '\u{2029}' | '\u{b}' | '\u{c}' | '\u{85}' if lines => clean.push('\n'),
            // CRLF is one line end, and a lone CR would write over its line.
            '\r' if rest.peek() == Some(&'\n') => {}
            '\r' if lines => clean.push('\n'),
            '\n' | '\t' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                clean.push(' ');
            }
            _ if c.is_control() => {}
            '\u{200c}' | '\u{200d}' => {
                let joins = before.is_some_and(is_joined)
                    && rest.peek().is_some_and(|&after| is_joined(after));
                clean.extend(joins.then_some(c));
            }
            '\u{200e}' | '\u{200f}' | '\u{61c}' => clean.extend(right_to_left.then_some(c)),
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
                let varies = before.is_some_and(has_variants);
                clean.extend(varies.then_some(c));
            }
            _ if tag => clean.extend(flag.then_some(c)),
            _ if is_unseen(c) || marks > MARKS => {}
            _ => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Characters that take no room and say nothing, and those that turn the direction of writing.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}')
        && c != '\u{61c}'
}

/// What stands over, under or through the character before it. Marks of scripts that need many, such as Tibetan,
/// are counted too: eight are enough for them.
fn is_mark(c: char) -> bool {
    !matches!(c, '\u{0}'..='\u{2ff}')
        && !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}' | '\u{2000}'..='\u{206f}')
        && unicode_width::UnicodeWidthChar::width(c) == Some(0)
}

/// Scripts and emoji that join, or are kept from it, by a character of no width.
fn is_joined(c: char) -> bool {
    matches!(
        c,
        '\u{600}'..='\u{109f}' | '\u{1780}'..='\u{18af}' | '\u{1a20}'..='\u{1aaf}' | '\u{2190}'..='\u{2bff}'
            | '\u{a840}'..='\u{abff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe0f}' | '\u{fe70}'..='\u{fefc}'
            | '\u{10ac0}'..='\u{11fff}' | '\u{1e900}'..='\u{1e95f}' | '\u{1f000}'..='\u{1faff}'
    )
}

/// Characters that a variation selector may follow: emoji and what they are made of, ideographs, symbols.
fn has_variants(c: char) -> bool {
    matches!(
        c,
        '#' | '*' | '0'..='9' | '©' | '®' | '\u{1000}'..='\u{109f}' | '\u{1820}'..='\u{18aa}'
            | '\u{203c}' | '\u{2049}' | '\u{2100}'..='\u{2bff}' | '\u{3001}'..='\u{9fff}' | '\u{a840}'..='\u{a87f}'
            | '\u{f900}'..='\u{faff}' | '\u{ff01}'..='\u{ff5e}' | '\u{1f000}'..='\u{1faff}' | '\u{20000}'..='\u{3ffff}'
    )
}

/// The person of an address: the name, decoded and made harmless, and the address itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Person {
    /// The name; empty where there is none, or where it only says the address again.
    pub name: String,
    /// `local@domain`; empty where the field had none.
    pub address: String,
    /// Whether the name looks like the address of somebody else.
    pub misleads: bool,
}

impl Person {
    /// Returns the person of an address in an envelope.
    #[must_use]
    pub fn of(address: &Address) -> Self {
        let decoded = address.name.as_deref().map(decode_header);
        let spec = address.addr_spec().unwrap_or_default();
        Self::new(
            decoded.as_deref().unwrap_or(""),
            &String::from_utf8_lossy(&spec),
        )
    }

    /// Returns the person with that name and address.
    #[must_use]
    pub fn new(name: &str, address: &str) -> Self {
        let name = line(name).trim().to_owned();
        let address = line(address).trim().to_owned();
        let again = name
            .trim_matches(['\'', '"', '<', '>'])
            .eq_ignore_ascii_case(&address);
        let misleads = !again && misleads(&name, &address);
        let name = if again { String::new() } else { name };
        Self {
            name,
            address,
            misleads,
        }
    }

    /// Returns the name for a list. A name that misleads gives way to the address.
    #[must_use]
    pub fn short(&self) -> &str {
        match self.name.is_empty() || (self.misleads && !self.address.is_empty()) {
            true => &self.address,
            false => &self.name,
        }
    }
}

/// The address always, and the name before it.
impl std::fmt::Display for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name.is_empty(), self.address.is_empty()) {
            (true, _) => f.write_str(&self.address),
            (_, true) => f.write_str(&self.name),
            _ => write!(f, "{} <{}>", self.name, self.address),
        }
    }
}

/// Returns whether a name looks like the address of somebody else than `address`.
///
/// That is so where an address stands in the name, in whatever letters an at sign and a full stop have, and it is
/// another one.
#[must_use]
pub fn misleads(name: &str, address: &str) -> bool {
    let plain: String = line(name).chars().take(NAME).map(plain).collect();
    let address: String = line(address).chars().map(self::plain).collect();
    let is_part = |c: &char| c.is_alphanumeric() || ".-_+=!#$%&*/?^`{|}~".contains(*c);
    let mut places = plain.match_indices('@');
    places.any(|(at, _)| {
        let (before, after) = plain.split_at(at);
        let after = after.get(1..).unwrap_or("").trim_start();
        let before = before.trim_end();
        let domain: String = after.chars().take_while(is_part).take(256).collect();
        let domain = domain.trim_end_matches(|c: char| !c.is_alphanumeric());
        let mut local: Vec<char> = before.chars().rev().take_while(is_part).take(256).collect();
        local.reverse();
        let local: String = local.into_iter().collect();
        // `me@work` is no address that anybody could write to.
        let is_address = !local.is_empty() && domain.contains('.');
        is_address && !format!("{local}@{domain}").eq_ignore_ascii_case(&address)
    })
}

/// The letter of an address that another one passes for.
fn plain(c: char) -> char {
    match c {
        '\u{ff20}' | '\u{fe6b}' => '@',
        '\u{3002}' | '\u{ff0e}' | '\u{ff61}' | '\u{fe52}' | '\u{2024}' => '.',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_is_not_shown() {
        let cases = [
            ("plain", "plain"),
            ("a\x1b[31mred\x07", "a[31mred"),
            ("\u{9b}31m\u{90}q", "31mq"),
            ("two\r\nlines\rthree\u{2028}four", "two lines three four"),
            ("tab\there", "tab here"),
            // A file name that ends in .exe, and says .doc.
            ("invoice\u{202e}cod.exe", "invoicecod.exe"),
            ("\u{2066}a\u{2067}b\u{2069}\u{202a}c\u{202c}", "abc"),
            ("pay\u{200b}pal\u{feff}.te\u{2060}st\u{ad}", "paypal.test"),
            ("pay\u{200d}pal p\u{200c}q", "paypal pq"),
            ("admin\u{200e}", "admin"),
            ("a\u{e0061}\u{e0062}b", "ab"),
            ("\u{3164}\u{115f}x\u{ffa0}", "x"),
            ("a\u{fe0f}b\u{e0101}", "ab"),
        ];
        for (given, shown) in cases {
            assert_eq!(line(given), shown, "{given:?}");
        }
    }

    #[test]
    fn what_a_script_needs_stays() {
        for given in [
            "日本語の件名",
            "葛\u{e0100}城",
            "👩\u{200d}👩\u{200d}👧 ❤\u{fe0f} 👍🏽 1\u{fe0f}\u{20e3}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
            "שלום\u{200f}!",
            "é ủ ộ ใต้",
            "e\u{301}\u{323}",
        ] {
            assert_eq!(line(given), given);
            assert_eq!(text(given), given);
        }
        assert_eq!(text("a\r\nb\tc\n"), "a\nb\tc\n");
        let tower = format!("z{}", "\u{301}".repeat(500));
        assert_eq!(line(&tower).chars().count(), 1 + MARKS);
    }

    #[test]
    fn a_name_that_is_another_address_misleads() {
        let own = "evil@x.test";
        for name in [
            "billing@bank.test",
            "Billing <billing@bank.test>",
            "billing＠bank．test",
            "billing @ bank.test",
            "bil\u{200b}ling@bank\u{202e}.test",
            "evil@x.test.bank.test",
            "'billing@bank.test' via evil@x.test",
        ] {
            assert!(Person::new(name, own).misleads, "{name}");
            assert_eq!(Person::new(name, own).short(), own);
        }
        for name in [
            "Evil",
            "EVIL@x.test",
            "'evil@x.test'",
            "a @ work",
            "me@work",
            "@evil",
            "@",
            "",
        ] {
            assert!(!Person::new(name, own).misleads, "{name}");
        }
        assert_eq!(Person::new("evil@X.test", own).to_string(), own);
        assert_eq!(
            Person::new("飛\n脚", own).to_string(),
            "飛 脚 <evil@x.test>"
        );
    }

    #[test]
    fn a_name_without_end_is_looked_at_in_little_time() {
        let started = std::time::Instant::now();
        for part in ["@", "a@", "@ ", "a.", "@.@", "\u{200d}@"] {
            let person = Person::new(&part.repeat(1_000_000 / part.len()), "x@y.test");
            assert!(!person.misleads, "{part}");
        }
        assert!(misleads(&"@a.b".repeat(250_000), "x@y.test"));
        assert!(started.elapsed().as_secs() < 5);
    }
}
