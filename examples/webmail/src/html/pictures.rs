//! Pictures within a message, which its HTML names by Content-ID (RFC 2392) or Content-Location (RFC 2557).

use base64::Engine as _;
use hikyaku_message::{Inline, Structure, picture_type};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

/// The most octets of pictures in one document, each counted as often as it is shown.
const OCTETS: usize = 6 * 1024 * 1024;

/// The pictures of a message, decoded when they are asked for.
pub(super) struct Pictures<'a> {
    message: &'a [u8],
    structure: &'a Structure,
    inline: Inline,
    decoded: RefCell<HashMap<usize, Option<String>>>,
    room: Cell<usize>,
}

impl<'a> Pictures<'a> {
    pub(super) fn of(message: &'a [u8], structure: &'a Structure) -> Self {
        Self {
            message,
            structure,
            inline: Inline::of(structure),
            decoded: RefCell::default(),
            room: Cell::new(OCTETS),
        }
    }

    /// The part that an `src` names, when it is a picture and there is room for it.
    pub(super) fn find(&self, src: &str) -> Option<usize> {
        let index = self.inline.find(src)?;
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
        let octets = part.octets(self.message);
        let kind = picture_type(&part.content, &octets)?;
        (octets.len() <= OCTETS).then(|| {
            let data = base64::engine::general_purpose::STANDARD.encode(octets);
            format!("data:{kind};base64,{data}")
        })
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
