//! What a person reads of a message: which parts, in which order, and their text.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::OnceCell;

use super::flowed::unflowed;
use super::{Encoding, Kind, Part, Structure, TextDecoder, TransferDecoder};

/// Text that is data for programs: it is offered for saving, and not shown.
const DATA: [&str; 12] = [
    "calendar",
    "vcard",
    "x-vcard",
    "directory",
    "csv",
    "rtf",
    "xml",
    "css",
    "javascript",
    "x-amp-html",
    "watch-html",
    "rfc822-headers",
];

/// How much of a body is looked at first, in octets.
const HEAD: u64 = 16 * 1024;

/// How much HTML is looked through for anything that can be seen, in octets.
const LOOKED_AT: usize = 256 * 1024;

impl Part {
    /// Returns the octets of the part's body, transfer encoding undone, from a message that is whole in memory.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// assert_eq!(part.octets(message), b"At four.");
    /// ```
    #[must_use]
    pub fn octets(&self, message: &[u8]) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut decoder = TransferDecoder::new(self.transfer_encoding());
        decoder.decode(Structure::slice(message, &self.body), &mut octets);
        decoder.finish(&mut octets);
        octets
    }

    /// Returns how the part's body is encoded. That of a multipart is not (RFC 2045 §6.4), whatever its header says.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// assert_eq!(part.transfer_encoding(), Encoding::Base64);
    /// ```
    #[must_use]
    pub fn transfer_encoding(&self) -> Encoding {
        match self.content.encoding.as_deref() {
            Some(name) if self.kind == Kind::Leaf => Encoding::named(name),
            _ => Encoding::Identity,
        }
    }

    /// Returns the part's text, from a message that is whole in memory: decoded, flowed lines joined (RFC 3676), with
    /// line feeds.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// assert_eq!(part.text(message), "At four.");
    /// ```
    #[must_use]
    pub fn text(&self, message: &[u8]) -> String {
        self.text_from(&self.octets(message))
    }

    /// Returns the part's [`text`](Self::text), from the octets of its body or their beginning, transfer encoding
    /// undone.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// // The octets are decoded already, as out of a `TransferDecoder`.
    /// assert_eq!(part.text_from(b"At four."), "At four.");
    /// ```
    #[must_use]
    pub fn text_from(&self, octets: &[u8]) -> String {
        let mut text = String::new();
        TextDecoder::of(&self.content).decode(octets, true, &mut text);
        if text.contains('\r') {
            text = text.replace("\r\n", "\n").replace('\r', "\n");
        }
        unflowed(text, &self.content)
    }

    /// Returns whether its disposition is `attachment`.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert!(structure.get(2).is_some_and(|part| part.is_attachment()));
    /// ```
    #[must_use]
    pub fn is_attachment(&self) -> bool {
        let disposition = self.content.disposition.as_ref();
        disposition.is_some_and(|one| one.kind.eq_ignore_ascii_case(b"attachment"))
    }

    /// Returns whether it is text that is read, and no file that is attached.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert!(structure.get(1).is_some_and(|part| part.is_shown()));
    /// ```
    #[must_use]
    pub fn is_shown(&self) -> bool {
        let content = &self.content;
        match self.kind {
            // A multipart without a boundary.
            Kind::Leaf if content.is("multipart", "*") => true,
            Kind::Leaf => content.is("text", "*") && !self.is_attachment() && !is_data(self),
            _ => false,
        }
    }
}

fn is_data(part: &Part) -> bool {
    let subtype = &part.content.subtype;
    DATA.iter()
        .any(|data| subtype.eq_ignore_ascii_case(data.as_bytes()))
}

impl Structure {
    /// Lists the parts of the message that a person reads, in their order. Of alternatives it is the plainest that
    /// says anything, or with `prefer_html` the last that has HTML which says anything.
    ///
    /// Text with a file's name is read, too, unless its disposition is `attachment`. A multipart in which no part begins
    /// is text itself. Of multipart/related the root is read (RFC 2387 §3.2).
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let read = structure.shown(message, false);
    /// assert_eq!(read, [1]);
    /// ```
    #[must_use]
    pub fn shown(&self, message: &[u8], prefer_html: bool) -> Vec<usize> {
        // Each is looked at once, however often alternatives are within alternatives.
        let known: Vec<OnceCell<bool>> = vec![OnceCell::new(); self.parts().len()];
        let says = |index: usize| {
            let look = || {
                self.get(index)
                    .is_some_and(|part| says_anything(message, part))
            };
            known
                .get(index)
                .is_some_and(|known| *known.get_or_init(look))
        };
        self.shown_where(&says, prefer_html)
    }

    /// As [`shown`](Self::shown), where only the structure is known: a part says something when its body is not made of
    /// line ends alone.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.shown_by_structure(false), [1]);
    /// ```
    #[must_use]
    pub fn shown_by_structure(&self, prefer_html: bool) -> Vec<usize> {
        let says = |index: usize| {
            let part = self.get(index);
            part.is_some_and(|part| part.body.end - part.body.start > part.lines * 2)
        };
        self.shown_where(&says, prefer_html)
    }

    fn shown_where(&self, says: &dyn Fn(usize) -> bool, prefer_html: bool) -> Vec<usize> {
        let mut shown = Vec::new();
        let mut todo = vec![0];
        while let Some(index) = todo.pop() {
            let Some(part) = self.get(index) else {
                continue;
            };
            let is = |subtype: &str| part.content.is("multipart", subtype);
            let children: Vec<_> = self.children(index).collect();
            match part.kind {
                Kind::Multipart if children.is_empty() => shown.push(index),
                Kind::Multipart if is("alternative") => {
                    todo.extend(self.alternative(&children, says, prefer_html));
                }
                Kind::Multipart if is("related") => {
                    let root = self.root_of(part, &children);
                    // Text beside it that nothing names: a footer of a list.
                    let others = children.iter().copied().filter(|child| {
                        let names_itself = |part: &Part| {
                            part.content.id.is_some() || part.content.location.is_some()
                        };
                        Some(*child) != root
                            && self
                                .get(*child)
                                .is_some_and(|part| part.is_shown() && !names_itself(part))
                    });
                    let others: Vec<_> = others.collect();
                    todo.extend(others.into_iter().rev());
                    todo.extend(root);
                }
                Kind::Multipart => todo.extend(children.into_iter().rev()),
                _ if part.is_shown() => shown.push(index),
                _ => {}
            }
        }
        shown
    }

    /// The part of a multipart/related that the others are for: the one its `start` names, else the first that is read.
    fn root_of(&self, part: &Part, children: &[usize]) -> Option<usize> {
        let start = part.content.parameter_text("start");
        let start = start.map(|start| super::inline::content_id(start.as_bytes()));
        let named = children.iter().find(|child| {
            let id = self
                .get(**child)
                .and_then(|part| part.content.id.as_deref());
            start.is_some() && id.map(super::inline::content_id) == start
        });
        let read = children.iter().find(|child| {
            let parts = self.within(**child);
            parts.iter().any(Part::is_shown)
        });
        named.or(read).or(children.first()).copied()
    }

    fn alternative(
        &self,
        children: &[usize],
        says: &dyn Fn(usize) -> bool,
        prefer_html: bool,
    ) -> Option<usize> {
        let has = |child: &usize, subtype: &str| {
            let end = self.get(*child).map_or(0, |part| part.end);
            (*child..end).any(|index| {
                let part = self.get(index);
                let is =
                    part.is_some_and(|part| part.is_shown() && part.content.is("text", subtype));
                is && says(index)
            })
        };
        let html = children.iter().rev().find(|child| has(child, "html"));
        let plain = children
            .iter()
            .find(|child| has(child, "plain") && !has(child, "html"));
        let plain = plain.or_else(|| children.iter().find(|child| has(child, "plain")));
        let chosen = match prefer_html {
            true => html.or(plain),
            false => plain.or(html),
        };
        let any = || {
            children
                .iter()
                .rev()
                .find(|child| self.within(**child).iter().any(Part::is_shown))
        };
        chosen.or_else(any).copied()
    }

    /// A part and all that it contains, without what lies in a message within.
    fn within(&self, index: usize) -> &[Part] {
        let end = self.get(index).map_or(index, |part| part.end);
        self.parts().get(index..end).unwrap_or(&[])
    }
}

/// Returns whether anything in its text can be seen. Mostly its beginning is enough.
fn says_anything(message: &[u8], part: &Part) -> bool {
    let mut head = part.clone();
    head.body.end = part.body.end.min(part.body.start + HEAD);
    says_anything_at_all(message, &head)
        || head.body.end < part.body.end && says_anything_at_all(message, part)
}

fn says_anything_at_all(message: &[u8], part: &Part) -> bool {
    let text = part.text(message);
    match part.content.is("text", "html") {
        true => html_says_anything(&text),
        false => has_visible(&text),
    }
}

fn has_visible(text: &str) -> bool {
    let blank = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(
                c,
                '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'
            )
    };
    text.contains(|c| !blank(c))
}

/// Returns whether HTML has text outside of its elements, or pictures.
fn html_says_anything(html: &str) -> bool {
    let mut end = html.len().min(LOOKED_AT);
    while !html.is_char_boundary(end) {
        end -= 1;
    }
    if end < html.len() {
        return true;
    }
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let (text, element) = rest.split_at(open);
        if has_visible(
            &text
                .replace("&nbsp;", " ")
                .replace("&#160;", " ")
                .replace("&zwnj;", ""),
        ) {
            return true;
        }
        let starts = |name: &str| {
            element
                .get(1..=name.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(name))
        };
        if starts("img") || starts("svg") || starts("hr") || starts("video") || starts("input") {
            return true;
        }
        let close = match () {
            () if starts("!--") => "-->",
            () if starts("style") => "</style",
            () if starts("script") => "</script",
            () if starts("title") => "</title",
            () => ">",
        };
        let Some(at) = find_ignoring_case(element, close) else {
            return false;
        };
        rest = element.get(at + close.len()..).unwrap_or("");
        if close.starts_with("</") {
            rest = rest.split_once('>').map_or("", |(_, rest)| rest);
        }
    }
    has_visible(rest)
}

fn find_ignoring_case(text: &str, what: &str) -> Option<usize> {
    let what = what.as_bytes();
    let first = *what.first()?;
    memchr::memchr_iter(first, text.as_bytes()).find(|at| {
        let found = text.as_bytes().get(*at..at + what.len());
        found.is_some_and(|found| found.eq_ignore_ascii_case(what))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned as _;
    use alloc::format;
    use proptest::prelude::*;

    /// The parts, by number, that are read of a message: plain, and with HTML.
    fn shown(message: &str) -> (Vec<usize>, Vec<usize>) {
        let message = message.replace('\n', "\r\n");
        let structure = Structure::of(message.as_bytes());
        let shown = |html| structure.shown(message.as_bytes(), html);
        (shown(false), shown(true))
    }

    /// A multipart of parts, each its fields and its body.
    fn multipart(subtype: &str, parts: &[&str]) -> String {
        let mut message = format!("Content-Type: multipart/{subtype}; boundary=q\n\n");
        for part in parts {
            message += "--q\n";
            message += part;
            message += "\n";
        }
        message + "--q--\n"
    }

    const PLAIN: &str = "Content-Type: text/plain\n\nplain";
    const HTML: &str = "Content-Type: text/html\n\n<p>html</p>";
    const PICTURE: &str = "Content-Type: image/png\nContent-ID: <p@x>\n\nx";

    #[test]
    fn what_is_read() {
        for (message, plain, html) in [
            (PLAIN.to_owned(), &[0][..], &[0][..]),
            (PICTURE.to_owned(), &[], &[]),
            (
                "Content-Type: multipart/mixed; boundary=never\n\nThe whole text\n".into(),
                &[0],
                &[0],
            ),
            (
                "Content-Type: multipart/mixed\n\nThe whole text\n".into(),
                &[0],
                &[0],
            ),
            (multipart("alternative", &[PLAIN, HTML]), &[1], &[2]),
            (multipart("alternative", &[HTML, PLAIN]), &[2], &[1]),
            (
                multipart("alternative", &["Content-Type: text/plain\n\n", HTML]),
                &[2],
                &[2],
            ),
            (
                multipart(
                    "alternative",
                    &[
                        "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nIA0K",
                        HTML,
                    ],
                ),
                &[2],
                &[2],
            ),
            (
                multipart(
                    "alternative",
                    &[
                        "Content-Type: text/plain; charset=utf-8\n\n\u{a0}\u{200b}",
                        HTML,
                    ],
                ),
                &[2],
                &[2],
            ),
            (
                multipart(
                    "alternative",
                    &[
                        PLAIN,
                        "Content-Type: text/html\n\n<style>p{}</style><title>x</title><p>&nbsp;</p>",
                    ],
                ),
                &[1],
                &[1],
            ),
            (
                multipart(
                    "alternative",
                    &[PLAIN, "Content-Type: text/html\n\n<img src=x>"],
                ),
                &[1],
                &[2],
            ),
            (
                multipart(
                    "alternative",
                    &[
                        "Content-Type: text/plain\n\n",
                        "Content-Type: text/html\n\n",
                    ],
                ),
                &[2],
                &[2],
            ),
            (
                multipart("alternative", &[HTML, "Content-Type: application/pdf\n\nx"]),
                &[1],
                &[1],
            ),
            (
                multipart("alternative", &[PLAIN, "Content-Type: text/calendar\n\nx"]),
                &[1],
                &[1],
            ),
            (
                multipart("alternative", &["Content-Type: application/pdf\n\nx"]),
                &[],
                &[],
            ),
            (multipart("related", &[HTML, PICTURE]), &[1], &[1]),
            (multipart("related", &[PICTURE, HTML]), &[2], &[2]),
            (
                multipart(
                    "related; start=\"<r@x>\"",
                    &[
                        PLAIN,
                        "Content-Type: text/html\nContent-ID: < r@x >\n\n<p>r",
                    ],
                ),
                &[2, 1],
                &[2, 1],
            ),
            (
                multipart(
                    "related",
                    &[
                        HTML,
                        "Content-Type: text/plain\nContent-ID: <t@x>\n\nx",
                        PLAIN,
                    ],
                ),
                &[1, 3],
                &[1, 3],
            ),
            (
                multipart("mixed", &[PLAIN, PICTURE, PLAIN, HTML]),
                &[1, 3, 4],
                &[1, 3, 4],
            ),
            (
                multipart(
                    "mixed",
                    &[
                        PLAIN,
                        "Content-Type: text/plain; name=a.log\nContent-Disposition: inline\n\nx",
                    ],
                ),
                &[1, 2],
                &[1, 2],
            ),
            (
                multipart("mixed", &[PLAIN, "Content-Disposition: attachment\n\nx"]),
                &[1],
                &[1],
            ),
            (
                multipart(
                    "signed",
                    &[PLAIN, "Content-Type: application/pgp-signature\n\nx"],
                ),
                &[1],
                &[1],
            ),
            (
                multipart(
                    "report",
                    &[
                        PLAIN,
                        "Content-Type: message/delivery-status\n\nx",
                        "Content-Type: message/rfc822\n\nA: b\n\nc",
                    ],
                ),
                &[1],
                &[1],
            ),
            (
                multipart(
                    "encrypted",
                    &["Content-Type: application/pgp-encrypted\n\nx"],
                ),
                &[],
                &[],
            ),
            (multipart("digest", &["\nSubject: a\n\nb"]), &[], &[]),
            (
                multipart(
                    "appledouble",
                    &["Content-Type: application/applefile\n\nx", PLAIN],
                ),
                &[2],
                &[2],
            ),
            (
                multipart(
                    "mixed",
                    &[
                        "Content-Type: text/x-patch\n\n+x",
                        "Content-Type: text/vcard\n\nx",
                    ],
                ),
                &[1],
                &[1],
            ),
        ] {
            assert_eq!(
                shown(&message),
                (plain.to_vec(), html.to_vec()),
                "{message}"
            );
        }
    }

    const PIECES: [&[u8]; 24] = [
        b"\r\n",
        b"\n",
        b"--b",
        b"--b--",
        b"a",
        b" ",
        b"\xe9",
        b"<p>",
        b"&nbsp;",
        b"> ",
        b"\x1b$B",
        b"Content-Type: multipart/alternative; boundary=b\r\n",
        b"Content-Type: multipart/related; boundary=b; start=a\r\n",
        b"Content-Type: text/html\r\n",
        b"Content-Type: text/plain; format=flowed; delsp=yes\r\n",
        b"Content-ID: <a>\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"Subject: =?utf-8?q?a?=\r\n",
        b"Content-Disposition: inline; filename*0=a; filename*=",
        b"Content-Transfer-Encoding: uuencode\r\n",
        b"begin 6 a\r\n",
        b"Content-Type: text/plain; charset=utf-16\r\n",
        b"no field\r\n",
    ];

    proptest! {
        #[test]
        fn anything_is_shown(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
            let message: Vec<u8> = pieces.iter().flat_map(|at| PIECES[*at]).copied().collect();
            let structure = Structure::of(&message);
            let inline = crate::Inline::of(&structure);
            let _ = inline.find("cid:a");
            for html in [false, true] {
                for list in [structure.shown(&message, html), structure.shown_by_structure(html)] {
                    let mut seen = std::collections::HashSet::new();
                    prop_assert!(list.iter().all(|index| seen.insert(*index)));
                    for index in list {
                        let text = structure.get(index).unwrap().text(&message);
                        prop_assert!(!text.contains('\r'));
                    }
                }
            }
            for (at, index) in structure.attachments().into_iter().enumerate() {
                let name = structure.name_of(index, at + 1);
                prop_assert!(!name.is_empty() && !name.contains(char::is_control));
            }
        }
    }

    #[test]
    fn text_of_parts() {
        for (message, text) in [
            (
                "Content-Type: text/plain; format=flowed; delsp=yes\n\n飛脚は \nである。\n",
                "飛脚はである。\n",
            ),
            (
                "Content-Type: text/plain; FORMAT=\"Flowed\"\n\na \nb\n",
                "a b\n",
            ),
            (
                "Content-Type: text/html; format=flowed\n\na \nb\n",
                "a \nb\n",
            ),
            (
                "Content-Transfer-Encoding: (x) base64 (y)\n\nYQ0KYg==\n",
                "a\nb",
            ),
            (
                "Content-Transfer-Encoding: \"quoted-printable\"\n\na=3Db\n",
                "a=b\n",
            ),
            ("Content-Transfer-Encoding: utf-8\n\na=3Db\n", "a=3Db\n"),
            (
                "Content-Type: multipart/mixed; boundary=never\nContent-Transfer-Encoding: base64\n\nplain words\n",
                "plain words\n",
            ),
        ] {
            let message = message.replace('\n', "\r\n");
            let structure = Structure::of(message.as_bytes());
            assert_eq!(structure.root().text(message.as_bytes()), text, "{message}");
        }
    }
}
