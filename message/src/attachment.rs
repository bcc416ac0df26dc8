//! What a message offers for saving.

use super::{Kind, Part, Structure, decode_header};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Structure {
    /// Lists the parts that are offered for saving, in their order: all that is no text to be read, text that has a
    /// file's name, and messages within as a whole.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// // The text is read, the picture is saved.
    /// assert_eq!(structure.attachments(), [2]);
    /// ```
    #[must_use]
    pub fn attachments(&self) -> Vec<usize> {
        let mut all = Vec::new();
        let mut skip = 0;
        for (index, part) in self.parts().iter().enumerate() {
            // What lies in a message within is no attachment of this one.
            if index < skip {
                continue;
            }
            let is_attached = match part.kind {
                Kind::Message => index > 0,
                Kind::Leaf => !part.is_shown() || part.content.file_name().is_some(),
                Kind::Multipart => false,
            };
            if part.kind == Kind::Message && index > 0 {
                skip = part.end;
            }
            if is_attached {
                all.push(index);
            }
        }
        all
    }

    /// Returns the name to save a part under: its file name, for a message its subject, else one made of `number` and
    /// its type.
    ///
    /// ```
    /// # use hikyaku_message::*;
    /// # let message = b"From: Alice <alice@example.org>\r\nSubject: tea\r\nMessage-ID: <1@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nQXQgZm91ci4=\r\n--b\r\nContent-Type: image/png; name=\"cup.png\"\r\nContent-Disposition: attachment\r\nContent-ID: <cup>\r\n\r\nx\r\n--b--\r\n";
    /// # let structure = Structure::of(message);
    /// assert_eq!(structure.name_of(2, 1), "cup.png");
    /// ```
    #[must_use]
    pub fn name_of(&self, index: usize, number: usize) -> String {
        let Some(part) = self.get(index) else {
            return format!("part-{number}");
        };
        if let Some(name) = part.content.file_name() {
            return name;
        }
        let subject = (part.kind == Kind::Message)
            .then(|| self.get(index + 1)?.envelope.as_deref()?.subject.as_deref())
            .flatten();
        let subject = subject.map(decode_header).unwrap_or_default();
        let subject: String = subject
            .chars()
            .map(|c| {
                if matches!(c, '/' | '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*') {
                    '_'
                } else {
                    c
                }
            })
            .take(60)
            .collect();
        match subject.trim().trim_start_matches('.') {
            "" => format!("part-{number}{}", ending(part)),
            subject => format!("{subject}.eml"),
        }
    }
}

/// The usual end of a file's name of that type.
fn ending(part: &Part) -> &'static str {
    const ENDINGS: [(&str, &str, &str); 18] = [
        ("message", "rfc822", ".eml"),
        ("message", "global", ".eml"),
        ("text", "plain", ".txt"),
        ("text", "html", ".html"),
        ("text", "calendar", ".ics"),
        ("text", "csv", ".csv"),
        ("text", "vcard", ".vcf"),
        ("text", "x-vcard", ".vcf"),
        ("image", "png", ".png"),
        ("image", "jpeg", ".jpg"),
        ("image", "jpg", ".jpg"),
        ("image", "gif", ".gif"),
        ("image", "webp", ".webp"),
        ("image", "svg+xml", ".svg"),
        ("application", "pdf", ".pdf"),
        ("application", "zip", ".zip"),
        ("application", "pgp-signature", ".asc"),
        ("application", "ics", ".ics"),
    ];
    let is = |(kind, subtype, _): &&(&str, &str, &str)| part.content.is(kind, subtype);
    ENDINGS.iter().find(is).map_or("", |(.., ending)| ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_for_saving() {
        for (parts, names) in [
            (&["Content-Type: text/plain\n\nx"][..], &[][..]),
            (&["Content-Type: text/plain; name=a.log\n\nx"], &["a.log"]),
            (
                &["Content-Type: text/html; name=\"a b.html\"\nContent-Disposition: inline\n\nx"],
                &["a b.html"],
            ),
            (&["Content-Disposition: attachment\n\nx"], &["part-1.txt"]),
            (
                &["Content-Type: image/png\n\nx", "Content-Type: a/b\n\nx"],
                &["part-1.png", "part-2"],
            ),
            (&["Content-Type: PDF; name=Brief.pdf\n\nx"], &["Brief.pdf"]),
            (
                &["Content-Disposition: inline; filename=scan.pdf\n\nx"],
                &["scan.pdf"],
            ),
            (
                &[
                    "Content-Type: message/rfc822\n\nSubject: =?utf-8?q?a=2Fb_=C3=9C?=\nContent-Type: text/plain; name=in.txt\n\nx",
                ],
                &["a_b Ü.eml"],
            ),
            (
                &["Content-Type: message/rfc822; name=m.eml\n\nSubject: a\n\nx"],
                &["m.eml"],
            ),
            (&["Content-Type: message/rfc822\n\n\nx"], &["part-1.eml"]),
            (
                &[
                    "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQo=",
                ],
                &["part-1.eml"],
            ),
            (&["Content-Type: text/calendar\n\nx"], &["part-1.ics"]),
            (&["Content-Type: message/delivery-status\n\nx"], &["part-1"]),
        ] {
            let mut message = String::from("Content-Type: multipart/mixed; boundary=q\n\n");
            parts
                .iter()
                .for_each(|part| message += &format!("--q\n{part}\n"));
            let message = message.replace('\n', "\r\n") + "--q--\r\n";
            let structure = Structure::of(message.as_bytes());
            let all = structure.attachments();
            let all: Vec<_> = all
                .iter()
                .enumerate()
                .map(|(at, index)| structure.name_of(*index, at + 1))
                .collect();
            assert_eq!(all, names, "{message}");
        }
    }
}
