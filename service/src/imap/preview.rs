//! PREVIEW: the first words of a message (RFC 8970).

use hikyaku_mailstore::{Pieces, Row};
use hikyaku_message::{Part, Structure, TransferDecoder};

use super::session::Session;

/// So many characters (the RFC's SHOULD; 256 is its MUST NOT).
const LENGTH: usize = 200;

/// So many parts are looked at, until one says anything.
const PARTS: usize = 5;

/// Out of so many octets of a part: what follows is not looked at.
const LOOKED_AT: u64 = 16 * 1024;

/// The text of HTML, near enough for a glance: tags, scripts and styles out, the usual entities in.
fn plain(html: &str) -> String {
    let (mut text, mut rest) = (String::new(), html);
    while let Some(open) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(open);
        text.push_str(before);
        if let Some(entity) = from.strip_prefix('&') {
            let end = entity.find(';').filter(|&end| end <= 8);
            let name = end.and_then(|end| entity.get(..end));
            let character = name.and_then(|name| match name {
                "amp" => Some('&'),
                "lt" => Some('<'),
                "gt" => Some('>'),
                "quot" => Some('"'),
                "apos" => Some('\''),
                "nbsp" => Some(' '),
                _ => {
                    let number = name.strip_prefix('#')?;
                    let number = match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok(),
                        None => number.parse().ok(),
                    };
                    number.and_then(char::from_u32)
                }
            });
            match (character, name) {
                (Some(character), Some(name)) => {
                    text.push(character);
                    rest = entity.get(name.len() + 1..).unwrap_or("");
                }
                _ => {
                    text.push('&');
                    rest = entity;
                }
            }
            continue;
        }
        let tag = from.get(1..).unwrap_or("");
        let named = |name: &str| {
            let head = tag.get(..name.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(name))
        };
        let end = match () {
            () if named("!--") => "-->",
            () if named("script") => "</script",
            () if named("style") => "</style",
            () if named("title") => "</title",
            () => ">",
        };
        text.push(' ');
        let at = match end.starts_with("</") {
            true => tag.to_ascii_lowercase().find(end),
            false => tag.find(end),
        };
        rest = match at {
            Some(at) => tag.get(at + end.len()..).unwrap_or(""),
            None => "",
        };
        if end.starts_with("</") {
            rest = rest.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    text.push_str(rest);
    text
}

/// The first characters: white space is one blank, quoted lines and what no one sees are left out.
fn shortened(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('>'));
    let invisible = |c: &char| {
        c.is_control()
            || matches!(
                c,
                '\u{200b}'..='\u{200f}' | '\u{feff}' | '\u{ad}' | '\u{34f}'
            )
    };
    let words = lines.flat_map(str::split_whitespace);
    let (mut short, mut length) = (String::new(), 0);
    for word in words {
        let word: String = word.chars().filter(|c| !invisible(c)).collect();
        if word.is_empty() {
            continue;
        }
        if !short.is_empty() {
            short.push(' ');
            length += 1;
        }
        for character in word.chars() {
            if length >= LENGTH {
                return short;
            }
            short.push(character);
            length += 1;
        }
        if length >= LENGTH {
            break;
        }
    }
    short
}

impl Session<'_> {
    /// The first words; empty, where there are none.
    pub(super) async fn preview(
        &self,
        row: &Row,
        structure: &Structure,
    ) -> hikyaku_mailstore::Result<String> {
        // Plain text that says nothing stands beside HTML that does.
        let shown = |html| structure.shown_by_structure(html).into_iter().take(PARTS);
        for index in shown(false).chain(shown(true)) {
            let Some(part) = structure.get(index) else {
                continue;
            };
            let preview = shortened(&self.beginning(row, part).await?);
            if !preview.is_empty() {
                return Ok(preview);
            }
        }
        Ok(String::new())
    }

    /// The text that a part begins with.
    async fn beginning(&self, row: &Row, part: &Part) -> hikyaku_mailstore::Result<String> {
        let mut transfer = TransferDecoder::new(part.transfer_encoding());
        let (mut octets, start) = (Vec::new(), part.body.start);
        let range = start..part.body.end.min(start + LOOKED_AT);
        let mut pieces = Pieces::of(&*self.service.store, &row.body, range);
        while let Some(piece) = pieces.next().await? {
            transfer.decode(&piece, &mut octets);
        }
        let text = part.text_from(&octets);
        Ok(match part.content.is("text", "html") {
            true => plain(&text),
            false => text,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_html() {
        let html = "<style>p { x }</style><p>Caf&eacute; &amp; t&#233;a<br>now</p><!-- <b> --><script>if (a<b) {}</script>&";
        let text = plain(html);
        assert_eq!(shortened(&text), "Caf&eacute; & téa now &");
    }

    #[test]
    fn a_glance_is_short() {
        let text = "> quoted\r\n  one\u{200b}\r\n\ttwo  three\r\n";
        assert_eq!(shortened(text), "one two three");
        let long = "字".repeat(1000);
        assert_eq!(shortened(&long).chars().count(), LENGTH);
    }
}
