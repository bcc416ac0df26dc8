//! Header fields (RFC 5322 §2.2) and the MIME ones among them (RFC 2045, 2183, 2231).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

use super::parameter::{self, parameterized};

/// How many language tags of one field are kept.
const LANGUAGES: usize = 100;

/// What some editors begin a text with: it is no part of a field's name.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lists the fields of a header section: names and raw values, folding and last newline included.
///
/// ```
/// use hikyaku_message::fields;
/// let all: Vec<_> = fields(b"A: 1\r\nB: 2\r\n 3\r\n\r\n").collect();
/// assert_eq!(all[1], (&b"B"[..], &b" 2\r\n 3\r\n"[..], &b"B: 2\r\n 3\r\n"[..]));
/// ```
pub fn fields(header: &[u8]) -> impl Iterator<Item = (&[u8], &[u8], &[u8])> {
    let mut rest = header.strip_prefix(BYTE_ORDER_MARK).unwrap_or(header);
    core::iter::from_fn(move || {
        loop {
            if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
                return None;
            }
            let end = memchr::memchr_iter(b'\n', rest)
                .map(|lf| lf + 1)
                .find(|&next| !matches!(rest.get(next), Some(b' ' | b'\t')))
                .unwrap_or(rest.len());
            let (field, tail) = rest.split_at(end);
            rest = tail;
            if let Some(colon) = memchr::memchr(b':', field) {
                let (name, value) = field.split_at(colon);
                // What some editors begin a text with is no part of a name.
                let name = name.strip_prefix(b"\xef\xbb\xbf").unwrap_or(name);
                return Some((name.trim_ascii_end(), value.get(1..).unwrap_or(&[]), field));
            }
        }
    })
}

/// A value without its folding (RFC 5322 §2.2.3) and the white space around it.
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        return value.to_vec();
    }
    let mut unfolded = Vec::with_capacity(value.len());
    let mut begin = 0;
    for end in memchr::memchr3_iter(b'\r', b'\n', 0, value) {
        unfolded.extend_from_slice(value.get(begin..end).unwrap_or(&[]));
        begin = end + 1;
    }
    unfolded.extend_from_slice(value.get(begin..).unwrap_or(&[]));
    // Blanks beside a NUL at either end.
    match unfolded.trim_ascii().len() == unfolded.len() {
        true => unfolded,
        false => unfolded.trim_ascii().to_vec(),
    }
}

/// A Content-Type or a Content-Disposition: a value with parameters. Names are in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Disposition {
    /// `attachment`, `inline`, ..
    pub kind: Vec<u8>,
    /// Names and values, quoting removed, RFC 2231 forms kept as they are.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the MIME fields of a part say; what is missing is as RFC 2045 §5.2 has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Content {
    /// `text`
    pub kind: Vec<u8>,
    /// `plain`
    pub subtype: Vec<u8>,
    /// Names and values.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    /// Content-ID
    pub id: Option<Vec<u8>>,
    /// Content-Description
    pub description: Option<Vec<u8>>,
    /// Content-Transfer-Encoding
    pub encoding: Option<Vec<u8>>,
    /// Content-MD5
    pub md5: Option<Vec<u8>>,
    /// Content-Disposition
    pub disposition: Option<Disposition>,
    /// Content-Language
    pub language: Vec<Vec<u8>>,
    /// Content-Location
    pub location: Option<Vec<u8>>,
}

impl Content {
    /// `text/plain`, or `message/rfc822` for the parts of a digest (RFC 2046 §5.1.5).
    pub(crate) fn unsaid(in_digest: bool) -> Self {
        let (kind, subtype) = if in_digest {
            ("message", "rfc822")
        } else {
            ("text", "plain")
        };
        Self {
            kind: kind.into(),
            subtype: subtype.into(),
            parameters: Vec::new(),
            id: None,
            description: None,
            encoding: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
        }
    }

    /// Returns whether it is that type, `*` standing for any subtype.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let picture = structure.get(2).expect("a part");
    /// assert!(picture.content.is("image", "png") && picture.content.is("image", "*"));
    /// ```
    #[must_use]
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind.as_bytes())
            && (subtype == "*" || self.subtype.eq_ignore_ascii_case(subtype.as_bytes()))
    }

    /// Returns a parameter's value as it was sent, quoting removed.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let text = structure.get(1).expect("a part");
    /// assert_eq!(text.content.parameter("charset"), Some(&b"utf-8"[..]));
    /// ```
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        let found = self
            .parameters
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| &**value)
    }

    /// Returns a parameter's value for people: its pieces put together and decoded (RFC 2231, encoded words), on one
    /// line.
    ///
    /// ```
    /// use hikyaku_message::Structure;
    /// let message = b"Content-Type: text/plain; name*0*=utf-8''%e9%a3; name*1*=%9b.txt\r\n\r\n";
    /// let name = Structure::of(message).root().content.parameter_text("name");
    /// assert_eq!(name.as_deref(), Some("飛.txt"));
    /// ```
    #[must_use]
    pub fn parameter_text(&self, name: &str) -> Option<String> {
        parameter::text(&self.parameters, name)
    }

    pub(crate) fn take(&mut self, name: &[u8], value: &[u8]) {
        let text = || Some(value.to_vec()).filter(|value| !value.is_empty());
        match name {
            b"content-type" => self.take_type(value),
            b"content-id" => self.id = text(),
            b"content-description" => self.description = text(),
            b"content-transfer-encoding" => {
                let (word, _) = parameterized(value);
                self.encoding = Some(word).filter(|word| !word.is_empty());
            }
            b"content-md5" => self.md5 = text(),
            b"content-disposition" => {
                let (mut kind, parameters) = parameterized(value);
                // Some write the file's name alone.
                if kind.is_empty() && !parameters.is_empty() {
                    kind = b"attachment".to_vec();
                }
                if is_token(&kind) {
                    self.disposition = Some(Disposition { kind, parameters });
                }
            }
            b"content-language" => {
                let tags = value
                    .split(|&o| o == b',')
                    .map(|tag| tag.trim_ascii().to_vec());
                self.language = tags.filter(|tag| !tag.is_empty()).take(LANGUAGES).collect();
            }
            b"content-location" => self.location = text(),
            _ => {}
        }
    }
}

impl Content {
    /// Takes a Content-Type. One without a subtype, which RFC 2045 §5.2 would have read as text/plain, is what it most
    /// likely means: a part with a name is a file, one with a boundary has parts.
    fn take_type(&mut self, value: &[u8]) {
        let (main, parameters) = parameterized(value);
        let mut halves = main.splitn(2, |&o| o == b'/').map(<[u8]>::trim_ascii);
        let has = |name| parameter::octets(&parameters, name).is_some();
        let (kind, subtype) = match (halves.next(), halves.next()) {
            (Some(kind), Some(subtype)) if is_token(kind) && is_token(subtype) => (kind, subtype),
            (Some(kind), _) if kind.eq_ignore_ascii_case(b"text") => (kind, &b"plain"[..]),
            (Some(kind), _) if kind.eq_ignore_ascii_case(b"multipart") && has("boundary") => {
                (kind, &b"mixed"[..])
            }
            _ if has("name") => (&b"application"[..], &b"octet-stream"[..]),
            _ if has("charset") => (&b"text"[..], &b"plain"[..]),
            _ => return,
        };
        // What was there is written over: most parts have a type.
        for (text, said) in [(&mut self.kind, kind), (&mut self.subtype, subtype)] {
            text.clear();
            text.extend_from_slice(said);
        }
        self.parameters = parameters;
    }

    /// Ends reading: a part that has a file's name and no type is a file, whatever it is.
    pub(crate) fn complete(&mut self, has_type: bool) {
        let disposition = self.disposition.as_ref();
        let named =
            disposition.is_some_and(|one| parameter::octets(&one.parameters, "filename").is_some());
        if !has_type && named && self.is("text", "plain") {
            (self.kind, self.subtype) = (b"application".to_vec(), b"octet-stream".to_vec());
        }
    }
}

fn is_token(word: &[u8]) -> bool {
    !word.is_empty() && word.iter().all(|octet| parameter::is_token_octet(*octet))
}

/// How many fields of a message are kept, usually.
const USUAL: usize = 10;

/// The fields of a header section that are kept, unfolded, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(Cow<'static, [u8]>, Vec<u8>)>);

/// The lower-case name of a field that is kept: one of the message's own that ENVELOPE and threads need, or one of MIME.
pub(super) fn kept(name: &[u8]) -> Option<Cow<'static, [u8]>> {
    const MIME: &[u8] = b"content-";
    // Most are neither, which their first octet and length say.
    let known: &'static [u8] = match (name.first()?.to_ascii_lowercase(), name.len()) {
        (b't', 2) => b"to",
        (b'c', 2) => b"cc",
        (b'b', 3) => b"bcc",
        (b'd', 4) => b"date",
        (b'f', 4) => b"from",
        (b's', 6) => b"sender",
        (b's', 7) => b"subject",
        (b'r', 8) => b"reply-to",
        (b'm', 10) => b"message-id",
        (b'r', 10) => b"references",
        (b'i', 11) => b"in-reply-to",
        (b'c', _) => {
            let head = name.get(..MIME.len())?;
            let is_mime = head.eq_ignore_ascii_case(MIME);
            return is_mime.then(|| Cow::Owned(name.to_ascii_lowercase()));
        }
        _ => return None,
    };
    name.eq_ignore_ascii_case(known)
        .then_some(Cow::Borrowed(known))
}

impl Fields {
    pub(super) fn push(&mut self, name: Cow<'static, [u8]>, value: Vec<u8>) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(USUAL);
        }
        self.0.push((name, value));
    }

    /// Takes each out, in order; the room stays.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (Cow<'static, [u8]>, Vec<u8>)> {
        self.0.drain(..)
    }

    /// Takes all out; the room stays.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_belongs_to_no_field() {
        let header = "\u{feff}From: a@b.test\r\nTo: c@d.test\r\n\r\n";
        let names: Vec<_> = fields(header.as_bytes()).map(|(name, ..)| name).collect();
        assert_eq!(names, [&b"From"[..], b"To"]);
    }

    #[test]
    fn parameters_with_quotes_and_comments() {
        let mut content = Content::unsaid(false);
        content.take(
            b"content-type",
            b"Multipart/Mixed (a; b); boundary=\"x;\\\"y\"; CharSet = utf-8 (c)",
        );
        assert!(content.is("multipart", "mixed"));
        assert_eq!(content.parameter("boundary"), Some(&b"x;\"y"[..]));
        assert_eq!(content.parameter("charset"), Some(&b"utf-8"[..]));
        content.take(b"content-type", b"nonsense");
        assert!(
            content.is("multipart", "*"),
            "what cannot be read changes nothing"
        );
    }

    #[test]
    fn types_that_are_not_quite_one() {
        for (value, kind, subtype) in [
            ("text", "text", "plain"),
            ("TEXT; charset=utf-8", "TEXT", "plain"),
            ("multipart; boundary=a", "multipart", "mixed"),
            ("multipart/mixed boundary=a", "multipart", "mixed"),
            ("multipart/; boundary=a", "multipart", "mixed"),
            ("PDF; name=Brief.pdf", "application", "octet-stream"),
            ("; name=Brief.pdf", "application", "octet-stream"),
            ("name=\"Brief.pdf\"", "application", "octet-stream"),
            ("image; name*=utf-8''a.png", "application", "octet-stream"),
            ("/; charset=utf-8", "text", "plain"),
            ("charset=utf-8", "text", "plain"),
            ("image", "text", "plain"),
            ("", "text", "plain"),
        ] {
            let mut content = Content::unsaid(false);
            content.take(b"content-type", value.as_bytes());
            assert_eq!(content.kind, kind.as_bytes(), "{value}");
            assert_eq!(content.subtype, subtype.as_bytes(), "{value}");
        }
    }
}
