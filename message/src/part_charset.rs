//! Which charset the text of a part has.

use super::text_decoder::Undecided;
use super::{Content, TextDecoder, parameter};

impl TextDecoder {
    /// Creates a decoder for the text of a part: by its charset parameter, or for HTML without one by its `meta`
    /// element.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// let part = structure.get(1).expect("a part");
    /// let mut text = String::new();
    /// TextDecoder::of(&part.content).decode("お茶".as_bytes(), true, &mut text);
    /// assert_eq!(text, "お茶");
    /// ```
    #[must_use]
    pub fn of(content: &Content) -> Self {
        let charset = parameter::octets(&content.parameters, "charset");
        let is_html = content.is("text", "html") || content.is("application", "xhtml+xml");
        let what = match is_html {
            true => Undecided::Html,
            false => Undecided::Text,
        };
        Self::of_kind(charset.as_deref(), what)
    }
}
