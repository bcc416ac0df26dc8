//! Pictures within a message, which its HTML names by Content-ID (RFC 2392) or Content-Location (RFC 2557).

use base64::Engine as _;
use hikyaku_client::show;
use mailstore::message::{Part, Structure};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::links::percent_decoded;

/// The most octets of pictures in one document, each counted as often as it is shown.
const OCTETS: usize = 6 * 1024 * 1024;

/// The pictures of a message, decoded when they are asked for.
pub(super) struct Pictures<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    /// Their parts, by the names they are asked for with.
    named: HashMap<String, usize>,
    decoded: RefCell<HashMap<usize, Option<String>>>,
    room: Cell<usize>,
}

impl<'a> Pictures<'a> {
    pub(super) fn of(message: &'a [u8], structure: &'a Structure) -> Self {
        let mut named = HashMap::new();
        for (index, part) in structure.parts().iter().enumerate() {
            if !may_be_picture(part) {
                continue;
            }
            for name in names(part) {
                named.entry(name).or_insert(index);
            }
        }
        Self {
            message,
            structure,
            named,
            decoded: RefCell::default(),
            room: Cell::new(OCTETS),
        }
    }

    /// The part that an `src` names, when it is a picture and there is room for it.
    pub(super) fn find(&self, src: &str) -> Option<usize> {
        let src = src.trim();
        let id = src
            .get(..4)
            .filter(|scheme| scheme.eq_ignore_ascii_case("cid:"));
        let name = match id {
            Some(_) => format!("cid:{}", percent_decoded(src.get(4..)?).trim()),
            None => src.to_owned(),
        };
        let found = self
            .named
            .get(&name)
            .or_else(|| self.named.get(&name.to_lowercase()));
        let index = *found.or_else(|| {
            self.named
                .get(src.rsplit('/').next().filter(|_| !src.contains(':'))?)
        })?;
        let mut decoded = self.decoded.borrow_mut();
        let url = decoded
            .entry(index)
            .or_insert_with(|| self.decode(index))
            .as_ref()?;
        let room = self.room.get().checked_sub(url.len())?;
        self.room.set(room);
        Some(index)
    }

    /// Those that were found, each at the number of its part, as `data:` URLs.
    pub(super) fn urls(&self) -> HashMap<usize, String> {
        let decoded = self.decoded.borrow();
        let found = decoded.iter();
        found
            .filter_map(|(index, url)| Some((*index, url.clone()?)))
            .collect()
    }

    fn decode(&self, index: usize) -> Option<String> {
        let part = self.structure.get(index)?;
        let octets = show::decoded(self.message, part);
        let kind = kind(&octets).or_else(|| said(part))?;
        (octets.len() <= OCTETS).then(|| {
            let data = base64::engine::general_purpose::STANDARD.encode(octets);
            format!("data:image/{kind};base64,{data}")
        })
    }
}

/// Whether a part may be a picture: many are sent without their type.
fn may_be_picture(part: &Part) -> bool {
    part.content.kind.eq_ignore_ascii_case(b"image")
        || part.content.is("application", "octet-stream")
}

/// The names by which HTML may ask for a part.
fn names(part: &Part) -> Vec<String> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    let mut all = Vec::new();
    if let Some(id) = &part.content.id {
        let id = text(id);
        let id = id.trim_start_matches('<').trim_end_matches('>').trim();
        all.push(format!("cid:{id}"));
        all.push(format!("cid:{}", percent_decoded(id)));
        all.push(format!("cid:{}", id.to_lowercase()));
    }
    if let Some(location) = &part.content.location {
        // A long one is folded wherever it may be (RFC 2557 §4.4.2).
        let location: String = text(location).split_whitespace().collect();
        all.extend(location.rsplit('/').next().map(ToOwned::to_owned));
        all.push(location);
    }
    all
}

/// What its first octets say that it is.
fn kind(octets: &[u8]) -> Option<&'static str> {
    let kinds: [(&[u8], &str); 4] = [
        (b"\x89PNG", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"GIF8", "gif"),
        (b"RIFF", "webp"),
    ];
    let known = kinds
        .into_iter()
        .find(|(first, _)| octets.starts_with(first));
    known.map(|(_, kind)| kind)
}

/// What its type says that it is.
fn said(part: &Part) -> Option<&'static str> {
    let subtype = part.content.subtype.to_ascii_lowercase();
    match &subtype[..] {
        b"png" | b"x-png" => Some("png"),
        b"jpeg" | b"jpg" | b"pjpeg" => Some("jpeg"),
        b"gif" => Some("gif"),
        b"webp" => Some("webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_what_html_calls_them() {
        for (header, src, found) in [
            ("image/png\r\nContent-ID: <x@y>", "cid:x@y", true),
            ("image/png\r\nContent-ID: <x@y>", "CID:x%40y", true),
            ("image/png\r\nContent-ID: < a b >", "cid:a%20b", true),
            ("image/png\r\nContent-ID: A@B", "cid:a@b", true),
            ("image/jpg\r\nContent-ID: <x>", "cid:x", true),
            ("application/octet-stream\r\nContent-ID: <x>", "cid:x", true),
            (
                "image/png\r\nContent-Location: https://a.test/i/1.png",
                "https://a.test/i/1.png",
                true,
            ),
            ("image/png\r\nContent-Location: 1.png", "1.png", true),
            ("image/svg+xml\r\nContent-ID: <x>", "cid:x", true),
            ("text/html\r\nContent-ID: <x>", "cid:x", false),
            ("image/png\r\nContent-ID: <x>", "cid:y", false),
        ] {
            let message = format!(
                "Content-Type: {header}\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw==\r\n"
            );
            let structure = Structure::of(message.as_bytes());
            let pictures = Pictures::of(message.as_bytes(), &structure);
            let url = pictures
                .find(src)
                .map(|index| pictures.urls()[&index].clone());
            let expected = found.then_some("data:image/png;base64,iVBORw==");
            assert_eq!(url.as_deref(), expected, "{header} {src}");
        }
    }

    #[test]
    fn what_is_no_picture_is_none_and_many_are_too_many() {
        let message = "Content-Type: image/svg+xml\r\nContent-ID: <x>\r\n\r\n<svg/>";
        let structure = Structure::of(message.as_bytes());
        assert_eq!(
            Pictures::of(message.as_bytes(), &structure).find("cid:x"),
            None
        );
        let message = format!(
            "Content-Type: image/gif\r\nContent-ID: <x>\r\n\r\nGIF8{}",
            "x".repeat(1024 * 1024)
        );
        let structure = Structure::of(message.as_bytes());
        let pictures = Pictures::of(message.as_bytes(), &structure);
        assert_eq!(
            (0..100)
                .filter(|_| pictures.find("cid:x").is_some())
                .count(),
            4
        );
    }
}
