//! Showing a message: its text, and what is attached to it.

use bytes::Bytes;
use mailstore::message::{
    Address, Encoding, Kind, Part, Structure, TextDecoder, TransferDecoder, decode_header,
};

/// A part that is not shown as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Counts from 1.
    pub number: usize,
    /// Its file name, made harmless: no folders in it.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    part: Part,
}

impl Attachment {
    /// Its octets, decoded.
    #[must_use]
    pub fn octets(&self, message: &[u8]) -> Bytes {
        decoded(message, &self.part).into()
    }
}

/// An address for people: the name, or the address.
#[must_use]
pub fn person(address: &Address) -> String {
    match &address.name {
        Some(name) if !name.is_empty() => decode_header(name),
        // One without a domain is nobody that could be written to, but somebody wrote it.
        _ => {
            let spec = address.addr_spec().or_else(|| address.mailbox.clone());
            String::from_utf8_lossy(&spec.unwrap_or_default()).into_owned()
        }
    }
}

/// What lies at a place in a message; nothing, where that is beyond its end.
fn slice<'a>(message: &'a [u8], range: &std::ops::Range<u64>) -> &'a [u8] {
    let start = usize::try_from(range.start).unwrap_or(usize::MAX);
    let end = usize::try_from(range.end)
        .unwrap_or(usize::MAX)
        .min(message.len());
    message.get(start..end).unwrap_or(&[])
}

/// The octets of a part's body, its transfer encoding undone.
#[must_use]
pub fn decoded(message: &[u8], part: &Part) -> Vec<u8> {
    let mut octets = Vec::new();
    let encoding = part.content.encoding.as_deref().unwrap_or(b"7bit");
    let mut decoder = TransferDecoder::new(Encoding::named(encoding));
    decoder.decode(slice(message, &part.body), &mut octets);
    decoder.finish(&mut octets);
    octets
}

/// The text of a part, in Unicode, with line ends of this world.
#[must_use]
pub fn text_of(message: &[u8], part: &Part) -> String {
    let mut text = String::new();
    let mut decoder = TextDecoder::of(&part.content);
    decoder.decode(&decoded(message, part), true, &mut text);
    text.replace("\r\n", "\n")
}

/// Which parts a reader wants to see, in their order: of alternatives the plainest that can be shown.
#[must_use]
pub fn shown_parts(structure: &Structure, prefer_html: bool) -> Vec<usize> {
    let mut shown = Vec::new();
    let mut todo = vec![0];
    while let Some(index) = todo.pop() {
        let Some(part) = structure.get(index) else {
            continue;
        };
        let children: Vec<_> = structure.children(index).collect();
        match part.kind {
            Kind::Multipart if part.content.is("multipart", "alternative") => {
                let is = |child: &&usize, wanted: &str| {
                    structure
                        .get(**child)
                        .is_some_and(|part| part.content.is("text", wanted))
                };
                let has_html = |child: &&usize| {
                    let end = structure.get(**child).map_or(0, |part| part.end);
                    (**child..end).any(|at| {
                        structure
                            .get(at)
                            .is_some_and(|p| p.content.is("text", "html"))
                    })
                };
                let plain = children.iter().find(|child| is(child, "plain"));
                let html = children.iter().rev().find(has_html);
                let chosen = if prefer_html {
                    html.or(plain)
                } else {
                    plain.or(html)
                };
                todo.extend(chosen.or(children.last()).copied());
            }
            Kind::Multipart => todo.extend(children.into_iter().rev()),
            Kind::Leaf if !is_attached(part) => shown.push(index),
            _ => {}
        }
    }
    shown
}

/// Whether it is not for reading.
fn is_attached(part: &Part) -> bool {
    let said = part.content.disposition.as_ref();
    let said = said.is_some_and(|said| said.kind.eq_ignore_ascii_case(b"attachment"));
    said || !(part.content.is("text", "plain") || part.content.is("text", "html"))
}

/// The text of a message, for a terminal.
#[must_use]
pub fn text(message: &[u8]) -> String {
    let structure = Structure::of(message);
    let mut all = String::new();
    for index in shown_parts(&structure, false) {
        let Some(part) = structure.get(index) else {
            continue;
        };
        let text = text_of(message, part);
        if part.content.is("text", "html") {
            all += &crate::html::to_text(&text);
        } else {
            all += &text;
        }
    }
    harmless(&all)
}

/// Without what would move a terminal's cursor or change its colours.
#[must_use]
pub fn harmless(text: &str) -> String {
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(keep).collect()
}

/// What is attached.
#[must_use]
pub fn attachments(message: &[u8]) -> Vec<Attachment> {
    let structure = Structure::of(message);
    let mut all = Vec::new();
    let mut skip = 0;
    for (index, part) in structure.parts().iter().enumerate() {
        // What lies in a message that is attached is no attachment of this one.
        if index < skip {
            continue;
        }
        if part.kind == Kind::Message && index > 0 {
            skip = part.end;
        } else if part.kind != Kind::Leaf || !is_attached(part) {
            continue;
        }
        let number = all.len() + 1;
        let media = |octets: &[u8]| String::from_utf8_lossy(octets).to_lowercase();
        all.push(Attachment {
            number,
            name: part
                .content
                .file_name()
                .unwrap_or_else(|| format!("part-{number}")),
            media_type: format!(
                "{}/{}",
                media(&part.content.kind),
                media(&part.content.subtype)
            ),
            part: part.clone(),
        });
    }
    all
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
    fn html_alone_is_made_text() {
        let message =
            "Content-Type: text/html; charset=utf-8\r\n\r\n<p>caf\u{e9}</p><script>x()</script>";
        assert_eq!(text(message.as_bytes()).trim(), "café");
    }
}
