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
        _ => String::from_utf8_lossy(&address.addr_spec().unwrap_or_default()).into_owned(),
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
    let mut decoder = TextDecoder::new(part.content.parameter("charset"));
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
            name: file_name(part).unwrap_or_else(|| format!("part-{number}")),
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

/// The file name that a part says, decoded by RFC 2231 or, as much of the world has it, RFC 2047.
fn file_name(part: &Part) -> Option<String> {
    let disposition = part.content.disposition.as_ref();
    let in_disposition = disposition.map_or(&[][..], |said| &said.parameters);
    let found = parameter(in_disposition, "filename")
        .or_else(|| parameter(&part.content.parameters, "name"))?;
    let last = found.rsplit(['/', '\\']).next().unwrap_or("");
    let clean: String = last.chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim().trim_start_matches('.').to_owned();
    (!clean.is_empty()).then_some(clean)
}

fn parameter(all: &[(Vec<u8>, Vec<u8>)], name: &str) -> Option<String> {
    let get = |wanted: &str| {
        let found = all
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted.as_bytes()));
        found.map(|(_, value)| value.as_slice())
    };
    if let Some(value) = get(name) {
        return Some(decode_header(value));
    }
    // RFC 2231: in pieces, and with a charset.
    let (mut octets, mut extended) = (Vec::new(), false);
    let single = get(&format!("{name}*"));
    let pieces = (0..100).map_while(|n| {
        let plain = get(&format!("{name}*{n}")).map(|value| (value, false));
        plain.or_else(|| get(&format!("{name}*{n}*")).map(|value| (value, true)))
    });
    for (value, is_extended) in single.map(|value| (value, true)).into_iter().chain(pieces) {
        extended |= is_extended;
        match is_extended {
            true => octets.extend(percent_decoded(value)),
            false => octets.extend_from_slice(value),
        }
    }
    if octets.is_empty() {
        return None;
    }
    let mut charset = None;
    if extended {
        let mut parts = octets.splitn(3, |&octet| octet == b'\'');
        if let (Some(named), Some(_), Some(rest)) = (parts.next(), parts.next(), parts.next()) {
            charset = Some(named.to_vec());
            octets = rest.to_vec();
        }
    }
    let mut text = String::new();
    TextDecoder::new(charset.as_deref().or(Some(b"utf-8"))).decode(&octets, true, &mut text);
    Some(text)
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = value;
    while let Some((&octet, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        match hex.filter(|_| octet == b'%') {
            Some(decoded) => {
                octets.push(decoded);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            None => {
                octets.push(octet);
                rest = tail;
            }
        }
    }
    octets
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
