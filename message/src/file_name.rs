//! The name of the file that a part is.

use super::Content;
use super::parameter;
use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

/// The most octets of a name: what file systems can keep.
const LONGEST: usize = 240;

impl Content {
    /// Returns the file name that the part has, decoded, and made harmless: on one line, without folders, without a
    /// dot at its begin, at most 240 octets long.
    ///
    /// Content-Disposition's `filename` goes before Content-Type's `name`, unless that one alone has the form of RFC 2231:
    /// then the other was made up for programs that do not read it.
    ///
    /// ```
    /// use hikyaku_message::Structure;
    /// let message = b"Content-Disposition: attachment; filename=\"/etc/=?utf-8?b?6aOb?=.txt\"\r\n\r\n";
    /// assert_eq!(Structure::of(message).root().content.file_name().as_deref(), Some("飛.txt"));
    /// ```
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.disposition.as_ref();
        let disposition = disposition.map_or(&[][..], |one| &one.parameters);
        let mut sources = [
            (disposition, "filename"),
            (&self.parameters[..], "name"),
            (disposition, "name"),
        ];
        sources.sort_by_key(|(all, name)| !parameter::is_extended(all, name));
        let mut names = sources
            .iter()
            .filter_map(|(all, name)| harmless(&parameter::text(all, name)?));
        names.next()
    }
}

/// A name that can be given to a file, where anything is left of it.
fn harmless(name: &str) -> Option<String> {
    let name = name.trim();
    // Some quote it twice.
    let name = ['\'', '"']
        .iter()
        .find_map(|quote| name.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(name);
    let last = name.rsplit(['/', '\\']).next()?.trim();
    let last = last
        .trim_start_matches(['.', ' '])
        .trim_end_matches(['.', ' ']);
    (!last.is_empty()).then(|| shortened(last))
}

/// Cut in its middle: its end says what it is.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= 20);
    let end = dot.and_then(|dot| name.get(dot..)).unwrap_or("");
    let mut cut = LONGEST - end.len();
    while !name.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", name.get(..cut).unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use crate::Structure;
    use alloc::format;
    use alloc::string::String;

    fn name(fields: &str) -> Option<String> {
        let message = format!("{fields}\r\n\r\n");
        Structure::of(message.as_bytes()).root().content.file_name()
    }

    #[test]
    fn names_of_files() {
        for (fields, expected) in [
            ("Content-Type: image/png; name=p.png", Some("p.png")),
            (
                "Content-Type: image/png; name=p.png\r\nContent-Disposition: inline; filename=q.png",
                Some("q.png"),
            ),
            (
                "Content-Type: a/b; name*=utf-8''%e9%a3%9b\r\nContent-Disposition: inline; filename=\"?\"",
                Some("飛"),
            ),
            (
                "Content-Disposition: attachment; filename=\"????.pdf\"; filename*=UTF-8''%D0%BE.pdf",
                Some("о.pdf"),
            ),
            (
                "Content-Disposition: attachment; filename=GALAXY data for\r\n March 2026.pdf",
                Some("GALAXY data for March 2026.pdf"),
            ),
            (
                "Content-Disposition: attachment; filename=\"C:\\dir\\a.txt\"",
                Some("a.txt"),
            ),
            (
                "Content-Disposition: attachment; filename=\"../../.profile\"",
                Some("profile"),
            ),
            (
                "Content-Disposition: attachment; filename=\"a\\\"b.txt\"",
                Some("a\"b.txt"),
            ),
            (
                "Content-Disposition: attachment; filename='a b.txt'",
                Some("a b.txt"),
            ),
            (
                "Content-Disposition: attachment; filename=\"\"\r\nContent-Type: a/b; name=n",
                Some("n"),
            ),
            ("Content-Disposition: attachment; filename=..", None),
            ("Content-Disposition: attachment", None),
            ("Content-Disposition: filename=a.txt", Some("a.txt")),
            (
                "Content-Disposition: attachment; filename=\"=?utf-8?q?a=0D=0Ab=E2=80=AEtxt.exe?=\"",
                Some("a btxt.exe"),
            ),
            (
                "Content-Disposition: attachment; filename==?ISO-2022-JP?B?GyRCSHQbKEI=?=\r\n =?ISO-2022-JP?B?GyRCNVMbKEI=?=",
                Some("飛脚"),
            ),
        ] {
            assert_eq!(name(fields).as_deref(), expected, "{fields}");
        }
        let long = format!(
            "Content-Disposition: attachment; filename=\"{}.pdf\"",
            "飛".repeat(500)
        );
        let long = name(&long).unwrap();
        assert!(long.len() <= 240 && long.ends_with("飛.pdf"), "{long}");
    }
}
