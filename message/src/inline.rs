//! Pictures within a message: which part an address in its HTML names, and what picture it is.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Content, Kind, Structure, parameter};

/// The parts of a message that its HTML can name, by all that names them.
///
/// ```
/// use hikyaku_message::{Inline, Structure};
/// let structure = Structure::of(b"Content-Type: image/png\r\nContent-ID: < part1+x@mail.test >\r\n\r\n");
/// let inline = Inline::of(&structure);
/// assert_eq!(inline.find("cid:part1%2Bx%40mail.test"), Some(0));
/// assert_eq!(inline.find("cid:other"), None);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Inline {
    by_id: BTreeMap<String, usize>,
    by_location: BTreeMap<String, usize>,
    by_name: BTreeMap<String, usize>,
}

impl Inline {
    /// Lists the parts of a message that its HTML can name.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let inline = Inline::of(&structure);
    /// assert_eq!(inline.find("cid:cup"), Some(2));
    /// ```
    #[must_use]
    pub fn of(structure: &Structure) -> Self {
        let mut this = Self::default();
        for (index, part) in structure.parts().iter().enumerate() {
            if part.kind != Kind::Leaf {
                continue;
            }
            let content = &part.content;
            if let Some(id) = content.id.as_deref().map(content_id) {
                this.by_id.entry(id.to_lowercase()).or_insert(index);
                this.by_id.entry(id).or_insert(index);
            }
            if let Some(location) = &content.location {
                // A long one is folded wherever it may be (RFC 2557 §4.4.2).
                let location: Vec<u8> = location
                    .iter()
                    .copied()
                    .filter(|o| !o.is_ascii_whitespace())
                    .collect();
                let location = address(&String::from_utf8_lossy(&location));
                if let Some((_, last)) = location.rsplit_once('/') {
                    this.by_location.entry(last.to_owned()).or_insert(index);
                }
                this.by_location.insert(location, index);
            }
            if let Some(name) = content.file_name() {
                this.by_name.entry(name.to_lowercase()).or_insert(index);
            }
        }
        this
    }

    /// Finds the part that a URL names: by its Content-ID (RFC 2392) or its Content-Location (RFC 2557 §4),
    /// percent-encoded or not; a `cid:` that none has, by the file's name that it begins with.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let inline = Inline::of(&structure);
    /// assert_eq!(inline.find("cid:cup"), Some(2));
    /// assert_eq!(inline.find("https://example.org/cup.png"), None);
    /// ```
    #[must_use]
    pub fn find(&self, url: &str) -> Option<usize> {
        let url = url.trim();
        let is_cid = url
            .get(..4)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("cid:"));
        if !is_cid {
            let url = address(url);
            let last = || url.rsplit('/').next().filter(|_| !url.contains(':'));
            let found = self.by_location.get(&url);
            return found.or_else(|| self.by_location.get(last()?)).copied();
        }
        let raw = content_id(url.get(4..)?.as_bytes());
        let id = content_id(address(&raw).as_bytes());
        let found = self.by_id.get(&raw).or_else(|| self.by_id.get(&id));
        let found = found.or_else(|| self.by_id.get(&id.to_lowercase()));
        let name = || id.split('@').next().map(str::to_lowercase);
        let found = found
            .or_else(|| self.by_location.get(&id))
            .or_else(|| self.by_location.get(&format!("cid:{id}")));
        found.or_else(|| self.by_name.get(&name()?)).copied()
    }
}

/// A Content-ID without angle brackets, blanks and a scheme that has no place there.
pub(super) fn content_id(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let keep = |c: &char| !c.is_whitespace() && !matches!(c, '<' | '>' | '"');
    let id: String = text.chars().filter(keep).collect();
    match id.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("cid:") => id.get(4..).unwrap_or("").to_owned(),
        _ => id,
    }
}

/// An address, percent-decoded and without blanks around it.
fn address(text: &str) -> String {
    let octets = parameter::percent_decoded(text.trim().as_bytes());
    String::from_utf8_lossy(&octets).into_owned()
}

/// Returns the media type of a picture that browsers show and that runs nothing: by its first octets, else by what
/// the part says, else by its name. `None` for everything else, and for text.
///
/// ```
/// # use hikyaku_message::*;
/// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
/// # let structure = Structure::of(message);
/// let picture = structure.get(2).expect("a part");
/// let octets = b"\x89PNG\r\n\x1a\n";
/// assert_eq!(picture_type(&picture.content, octets), Some("image/png"));
/// ```
#[must_use]
pub fn picture_type(content: &Content, octets: &[u8]) -> Option<&'static str> {
    if ["text", "message", "multipart"]
        .iter()
        .any(|kind| content.is(kind, "*"))
    {
        return None;
    }
    let by_octets = match octets {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        [
            _,
            _,
            _,
            _,
            b'f',
            b't',
            b'y',
            b'p',
            b'a',
            b'v',
            b'i',
            b'f',
            ..,
        ] => Some("image/avif"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        _ => None,
    };
    if by_octets.is_some() {
        return by_octets;
    }
    // What begins as a document is none, whatever it is called.
    if octets.trim_ascii_start().starts_with(b"<") {
        return None;
    }
    let subtype = content.subtype.to_ascii_lowercase();
    if content.is("image", "*") {
        return match &*subtype {
            b"png" | b"x-png" => Some("image/png"),
            b"jpeg" | b"jpg" | b"pjpeg" | b"x-jpeg" | b"x-jpg" | b"jfif" => Some("image/jpeg"),
            b"gif" => Some("image/gif"),
            b"webp" => Some("image/webp"),
            b"avif" => Some("image/avif"),
            b"bmp" | b"x-bmp" | b"x-ms-bmp" => Some("image/bmp"),
            _ => None,
        };
    }
    let name = content.file_name()?.to_lowercase();
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending {
        "png" => "image/png",
        "jpg" | "jpeg" | "jfif" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "avif" => "image/avif",
        "bmp" => "image/bmp",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found() {
        for (fields, url, found) in [
            ("Content-ID: <logo>", "cid:logo", true),
            ("Content-ID: <logo>", "CID:logo", true),
            ("Content-ID: <Logo>", "cid:logo", true),
            ("Content-ID: logo", "cid:logo", true),
            ("Content-ID: < logo >", " cid:logo ", true),
            ("Content-ID:\r\n <logo@x>", "cid:logo@x", true),
            ("Content-ID: <cid:logo>", "cid:logo", true),
            ("Content-ID: <a b@x>", "cid:a%20b@x", true),
            (
                "Content-ID: <part1+x@mail.test>",
                "cid:part1%2Bx%40mail.test",
                true,
            ),
            ("Content-ID: <a%2Bb@x>", "cid:a%2Bb@x", true),
            ("Content-ID: <a%2Bb@x>", "cid:a%252Bb@x", true),
            (
                "Content-Location: http://x.test/a/logo.png",
                "http://x.test/a/logo.png",
                true,
            ),
            (
                "Content-Location: http://x.test/a/logo.png",
                "logo.png",
                true,
            ),
            ("Content-Location: logo.png", "logo.png", true),
            ("Content-Location: my%20logo.png", "my logo.png", true),
            (
                "Content-Location: http://x.test/a/\r\n logo.png",
                "b/logo.png",
                true,
            ),
            ("Content-Location: logo.png", "cid:logo.png", true),
            (
                "Content-Disposition: inline; filename=image001.png",
                "cid:image001.png@01D0.1",
                true,
            ),
            ("Content-ID: <logo>", "cid:other", false),
            ("Content-ID: <logo>", "logo", false),
            ("Content-ID: <logo>", "https://x.test/logo", false),
        ] {
            let message = format!("Content-Type: image/png\r\n{fields}\r\n\r\nx");
            let inline = Inline::of(&Structure::of(message.as_bytes()));
            assert_eq!(inline.find(url).is_some(), found, "{fields} {url}");
        }
    }

    #[test]
    fn types_of_pictures() {
        for (fields, octets, expected) in [
            (
                "Content-Type: image/jpg",
                &b"\xff\xd8\xff\xe0"[..],
                Some("image/jpeg"),
            ),
            ("Content-Type: image/jpg", b"x", Some("image/jpeg")),
            ("Content-Type: image/pjpeg", b"x", Some("image/jpeg")),
            (
                "Content-Type: application/octet-stream",
                b"\x89PNG\r\n",
                Some("image/png"),
            ),
            (
                "Content-Type: application/octet-stream; name=logo.PNG",
                b"x",
                Some("image/png"),
            ),
            ("Content-Type: image/png", b"GIF89a", Some("image/gif")),
            ("Content-Type: text/plain; name=a.gif", b"GIF89a", None),
            ("Content-Type: a/b; name=a.gif", b"x", Some("image/gif")),
            ("Content-Type: image/svg+xml", b"<svg/>", None),
            ("Content-Type: image/png", b"<html>", None),
            ("Content-Type: application/pdf; name=a.pdf", b"%PDF", None),
        ] {
            let message = format!("{fields}\r\n\r\n");
            let structure = Structure::of(message.as_bytes());
            assert_eq!(
                picture_type(&structure.root().content, octets),
                expected,
                "{fields}"
            );
        }
    }
}
