//! Shows a message: its text and its attachments.

use bytes::Bytes;
use hikyaku_message::{Address, Part, Structure, decode_header};

/// A part that is offered for saving.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The number, from 1.
    pub number: usize,
    /// Its file name, made harmless: no folders in it.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    part: Part,
}

impl Attachment {
    /// Returns its octets, decoded.
    #[must_use]
    pub fn octets(&self, message: &[u8]) -> Bytes {
        decoded(message, &self.part).into()
    }
}

/// Returns an address for display: the name, or else the address.
#[must_use]
pub fn person(address: &Address) -> String {
    let name = address.name.as_deref().map(decode_header);
    if let Some(name) = name.filter(|name| !name.trim().is_empty()) {
        return name;
    }
    // One without a domain is nobody that could be written to, but somebody wrote it.
    let spec = address.addr_spec().or_else(|| address.mailbox.clone());
    String::from_utf8_lossy(&spec.unwrap_or_default()).into_owned()
}

/// Returns the octets of a part's body without the transfer encoding.
#[must_use]
pub fn decoded(message: &[u8], part: &Part) -> Vec<u8> {
    part.octets(message)
}

/// Returns the text of a part in Unicode, with `\n` at line ends.
#[must_use]
pub fn text_of(message: &[u8], part: &Part) -> String {
    part.text(message)
}

/// Lists the parts that a person is to see, in order: indexes into [`Structure::parts`]. Of alternatives it takes the
/// plainest one that says anything, or the richest one where HTML is preferred; attachments are left out.
///
/// ```
/// use hikyaku_client::show::{shown, text_of};
/// use hikyaku_message::Structure;
/// let message = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n\
///     --b\r\n\r\nAt noon?\r\n\
///     --b\r\nContent-Type: text/html\r\n\r\n<p>At <b>noon</b>?\r\n--b--\r\n";
/// let structure = Structure::of(message);
/// let plain = shown(message, &structure, false);
/// assert_eq!(text_of(message, &structure.parts()[plain[0]]), "At noon?");
/// ```
#[must_use]
pub fn shown(message: &[u8], structure: &Structure, prefer_html: bool) -> Vec<usize> {
    structure.shown(message, prefer_html)
}

/// Lists the parts to show, as [`shown`] does, when only the structure is known.
#[must_use]
pub fn shown_parts(structure: &Structure, prefer_html: bool) -> Vec<usize> {
    structure.shown_by_structure(prefer_html)
}

/// Returns the text of a message for a terminal.
#[must_use]
pub fn text(message: &[u8]) -> String {
    let structure = Structure::of(message);
    let mut all = String::new();
    for index in structure.shown(message, false) {
        let Some(part) = structure.get(index) else {
            continue;
        };
        // Each part begins on a line of its own.
        if !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
        let text = text_of(message, part);
        if part.content.is("text", "html") {
            all += &crate::html::to_text(&text);
        } else {
            all += &text;
        }
    }
    harmless(&all)
}

/// Removes what would move a terminal's cursor or change its colours.
#[must_use]
pub fn harmless(text: &str) -> String {
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(keep).collect()
}

/// Lists the attachments.
#[must_use]
pub fn attachments(message: &[u8]) -> Vec<Attachment> {
    let structure = Structure::of(message);
    let media = |octets: &[u8]| String::from_utf8_lossy(octets).to_lowercase();
    let indices = structure.attachments().into_iter().enumerate();
    indices
        .filter_map(|(at, index)| {
            let (part, number) = (structure.get(index)?, at + 1);
            let (kind, subtype) = (&part.content.kind, &part.content.subtype);
            Some(Attachment {
                number,
                name: structure.name_of(index, number),
                media_type: format!("{}/{}", media(kind), media(subtype)),
                part: part.clone(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_one_of_alternatives_is_shown() {
        let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain\r\n\r\nplain\x1b[31m\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>rich</b>\r\n--b--\r\n\
            --a\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename*0*=utf-8''%e9%a3%9b; filename*1=../../x.txt\r\n\r\nfile\r\n--a--\r\n";
        assert_eq!(text(message.as_bytes()), "plain[31m");
        let [one] = &attachments(message.as_bytes())[..] else {
            panic!()
        };
        assert_eq!(
            (one.name.as_str(), one.media_type.as_str()),
            ("x.txt", "text/plain")
        );
        assert_eq!(&one.octets(message.as_bytes())[..], b"file");
    }

    #[test]
    fn parts_stand_on_lines_of_their_own() {
        let message = "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\nSee you.\r\n--q\r\nContent-Type: image/png; \
            name=map.png\r\n\r\nx\r\n--q\r\n\r\nSent from my telephone\r\n--q\r\n\r\n____ footer\r\n--q--\r\n";
        assert_eq!(
            text(message.as_bytes()),
            "See you.\nSent from my telephone\n____ footer"
        );
    }

    #[test]
    fn html_alone_is_made_text() {
        let message =
            "Content-Type: text/html; charset=utf-8\r\n\r\n<p>caf\u{e9}</p><script>x()</script>";
        assert_eq!(text(message.as_bytes()).trim(), "café");
    }
}
