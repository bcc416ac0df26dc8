//! Parameters of Content-Type and Content-Disposition (RFC 2045 §5.1, RFC 2231), read as the world writes them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::charset::Charset;
use super::decode_header;
use super::encoded_word::on_one_line;
use super::octet_set::OctetSet;
use super::text_decoder::decoded;

/// How many parameters of one field are kept.
pub(super) const MOST: usize = 100;

/// Octets that a subtype takes at most, usually.
const ROOM: usize = 32;

/// A name and a value, quoting removed, RFC 2231 forms kept as they are.
type Parameter = (Vec<u8>, Vec<u8>);

/// Reads `value; name=value; name="value"`: the value, and the parameters, their names in lower case.
///
/// What the world writes is read, too: blanks instead of semicolons, a comma or a colon instead of the first one, blanks
/// and parentheses in a file name without quotes, quotes in one that has them, quotes that do not end.
pub(super) fn parameterized(field: &[u8]) -> (Vec<u8>, Vec<Parameter>) {
    let mut reader = Reader { rest: field };
    let main = reader.main();
    let mut parameters = Vec::new();
    while parameters.len() < MOST
        && let Some(parameter) = reader.parameter()
    {
        parameters.push(parameter);
    }
    (main, parameters)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or(&[]);
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Blanks, comments, and what stands between parameters.
    fn skip_between(&mut self) {
        loop {
            self.skip_blanks();
            match self.rest.first() {
                Some(b'(') => self.skip_comment(),
                Some(b';' | b',' | b':') => self.skip(1),
                _ => return,
            }
        }
    }

    fn skip_comment(&mut self) {
        let (mut depth, mut escaped) = (0_usize, false);
        let end = self.rest.iter().position(|octet| {
            match octet {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        });
        self.skip(end.map_or(self.rest.len(), |end| end + 1));
    }

    fn token(&mut self) -> &'a [u8] {
        let end = self.rest.iter().position(|octet| !is_token_octet(*octet));
        let (token, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        token
    }

    /// The first value: `text/plain`, `attachment`.
    fn main(&mut self) -> Vec<u8> {
        self.skip_between();
        if self.rest.first() == Some(&b'"') {
            let inside = self.quoted(false).into_iter();
            let is_main = |octet: &u8| is_token_octet(*octet) || *octet == b'/';
            return inside.take_while(is_main).collect();
        }
        let begin = self.rest;
        let token = self.token();
        let mut main = Vec::with_capacity(token.len() + ROOM);
        main.extend_from_slice(token);
        self.skip_blanks();
        match self.rest.first() {
            // No value: the first parameter.
            Some(b'=') => {
                self.rest = begin;
                return Vec::new();
            }
            Some(b'/') => {
                main.push(b'/');
                self.skip(1);
                self.skip_blanks();
                main.extend_from_slice(self.token());
            }
            _ => {}
        }
        main
    }

    fn parameter(&mut self) -> Option<Parameter> {
        loop {
            self.skip_between();
            if self.rest.is_empty() {
                return None;
            }
            let name = self.token().to_ascii_lowercase();
            self.skip_blanks();
            if name.is_empty() || self.rest.first() != Some(&b'=') {
                // No parameter. What stops a name is passed over.
                if name.is_empty() {
                    self.skip(1);
                }
                continue;
            }
            self.skip(1);
            self.skip_blanks();
            let is_file_name = name.starts_with(b"name") || name.starts_with(b"filename");
            let value = match self.rest.first() {
                Some(b'"') => self.quoted(is_file_name),
                _ if is_file_name => self.file_name(),
                _ => self.unquoted(),
            };
            return Some((name, value));
        }
    }

    /// Up to a blank or a semicolon.
    fn unquoted(&mut self) -> Vec<u8> {
        let ends = |octet: &u8| octet.is_ascii_whitespace() || *octet == b';';
        let end = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        value.strip_suffix(b",").unwrap_or(value).to_vec()
    }

    /// Up to a semicolon, or to what can only be another parameter: names of files have blanks.
    fn file_name(&mut self) -> Vec<u8> {
        let mut end = 0;
        while let Some(octet) = self.rest.get(end) {
            let behind = self.rest.get(end..).unwrap_or(&[]);
            let blanks = behind.len() - behind.trim_ascii_start().len();
            if *octet == b';' || blanks > 0 && begins_parameter(behind) {
                break;
            }
            end += blanks.max(1);
        }
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        value.trim_ascii().to_vec()
    }

    /// What stands in quotes. A quote that nothing of the field's own follows is a part of the value; the
    /// backslashes of a file's path are, too.
    fn quoted(&mut self, is_file_name: bool) -> Vec<u8> {
        self.skip(1);
        let end = memchr::memchr(b'"', self.rest).unwrap_or(0);
        let mut value = Vec::with_capacity(end);
        loop {
            // All up to what may mean something.
            let plain = memchr::memchr2(b'"', b'\\', self.rest).unwrap_or(self.rest.len());
            let (run, rest) = self.rest.split_at(plain);
            value.extend_from_slice(run);
            let Some((&octet, rest)) = rest.split_first() else {
                self.rest = rest;
                break;
            };
            self.rest = rest;
            match octet {
                b'"' if ends_quote(rest) => break,
                b'\\' => match rest.split_first() {
                    Some((&escaped, behind)) => {
                        if is_file_name && escaped != b'"' && escaped != b'\\' {
                            value.push(octet);
                        }
                        value.push(escaped);
                        self.rest = behind;
                    }
                    None => value.push(octet),
                },
                _ => value.push(octet),
            }
        }
        value
    }
}

/// Octets of a token (RFC 2045 §5.1).
const TOKEN: OctetSet = OctetSet::without(b'!', b'~', b"()<>@,;:\\\"/[]?=");

pub(super) fn is_token_octet(octet: u8) -> bool {
    TOKEN.has(octet)
}

/// Returns whether what follows a quote leaves it the end of what is quoted.
fn ends_quote(behind: &[u8]) -> bool {
    match behind.first() {
        None | Some(b';' | b',' | b'(') => true,
        Some(octet) if octet.is_ascii_whitespace() => {
            let next = behind.trim_ascii_start();
            matches!(next.first(), None | Some(b';' | b',' | b'(')) || begins_parameter(behind)
        }
        _ => false,
    }
}

/// Returns whether blanks are followed by a name that parameters beside a file's name have, and an equals sign.
fn begins_parameter(behind: &[u8]) -> bool {
    const NAMES: [&[u8]; 12] = [
        b"name",
        b"filename",
        b"charset",
        b"size",
        b"type",
        b"format",
        b"boundary",
        b"creation-date",
        b"modification-date",
        b"read-date",
        b"x-unix-mode",
        b"x-apple-part-url",
    ];
    let behind = behind.trim_ascii_start();
    NAMES.iter().any(|name| {
        let Some((head, rest)) = behind.split_at_checked(name.len()) else {
            return false;
        };
        let sign = rest
            .iter()
            .find(|octet| !octet.is_ascii_digit() && **octet != b'*');
        head.eq_ignore_ascii_case(name) && sign == Some(&b'=')
    })
}

/// The octets of a parameter, its pieces put together, and what RFC 2231 encodes decoded; of `boundary` and `charset`.
pub(super) fn octets(all: &[Parameter], name: &str) -> Option<Vec<u8>> {
    match extended(all, name) {
        Some(extended) => Some(extended.octets()),
        None => plain(all, name).map(<[u8]>::to_vec),
    }
}

/// The text of a parameter, decoded in whatever way it was encoded, without control characters.
///
/// The extended form (RFC 2231) holds, where there is one: the plain one beside it is for programs that do not read it.
/// Encoded words (RFC 2047) have no place in parameters, and are very common there; they are decoded when the pieces
/// have been put together.
pub(super) fn text(all: &[Parameter], name: &str) -> Option<String> {
    if let Some(extended) = extended(all, name) {
        let text = extended.text();
        if !text.is_empty() {
            return Some(text);
        }
    }
    plain(all, name).map(text_of_plain)
}

/// Whether it has the form of RFC 2231.
pub(super) fn is_extended(all: &[Parameter], name: &str) -> bool {
    extended(all, name).is_some()
}

fn plain<'a>(all: &'a [Parameter], name: &str) -> Option<&'a [u8]> {
    let is = |found: &[u8]| found.eq_ignore_ascii_case(name.as_bytes());
    let found = all.iter().find(|(found, _)| is(found));
    found.map(|(_, value)| value.as_slice())
}

/// The pieces of a parameter in the forms of RFC 2231, in their order.
struct Extended<'a> {
    /// A piece, and whether it has octets that are encoded.
    pieces: Vec<(&'a [u8], bool)>,
}

fn extended<'a>(all: &'a [Parameter], name: &str) -> Option<Extended<'a>> {
    let mut pieces = BTreeMap::new();
    for (found, value) in all {
        let Some((head, tail)) = found.split_at_checked(name.len()) else {
            continue;
        };
        if !head.eq_ignore_ascii_case(name.as_bytes()) {
            continue;
        }
        let Some(tail) = tail.strip_prefix(b"*") else {
            continue;
        };
        // One that is whole goes before all that are not.
        if tail.is_empty() {
            let pieces = vec![(value.as_slice(), true)];
            return Some(Extended { pieces });
        }
        let number = tail.strip_suffix(b"*").unwrap_or(tail);
        let digits = core::str::from_utf8(number).ok();
        if let Some(number) = digits.and_then(|digits| digits.parse::<u32>().ok()) {
            let piece = (value.as_slice(), tail.ends_with(b"*"));
            pieces.entry(number).or_insert(piece);
        }
    }
    (!pieces.is_empty()).then(|| Extended {
        pieces: pieces.into_values().collect(),
    })
}

impl Extended<'_> {
    /// The charset that is named, and the octets behind it.
    fn parts(&self) -> (Option<&[u8]>, Vec<u8>) {
        let (mut charset, mut octets) = (None, Vec::new());
        let mut encoded = false;
        for (at, &(piece, is_encoded)) in self.pieces.iter().enumerate() {
            let mut piece = piece;
            if at == 0
                && is_encoded
                && let Some((named, rest)) = charset_of(piece)
            {
                (charset, piece) = (Some(named), rest);
            }
            // Some leave out the asterisk of later pieces.
            encoded |= is_encoded;
            match is_encoded || encoded && has_encoded_octets(piece) {
                true => octets.extend(percent_decoded(piece)),
                false => octets.extend_from_slice(piece),
            }
        }
        (charset, octets)
    }

    fn octets(&self) -> Vec<u8> {
        self.parts().1
    }

    fn text(&self) -> String {
        let (charset, octets) = self.parts();
        match self.pieces.iter().any(|(_, is_encoded)| *is_encoded) {
            true => {
                let text = decoded(charset.and_then(Charset::named), &octets);
                match text.contains("=?") {
                    true => decode_header(text.as_bytes()),
                    false => on_one_line(text),
                }
            }
            // Pieces of something else.
            false => text_of_plain(&octets),
        }
    }
}

/// `charset'language'` at the begin.
fn charset_of(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut parts = value.splitn(3, |octet| *octet == b'\'');
    let (charset, _, rest) = (parts.next()?, parts.next()?, parts.next()?);
    Some((charset, rest))
}

/// Returns whether there are octets above 127 that are percent-encoded.
fn has_encoded_octets(value: &[u8]) -> bool {
    let mut parts = value.split(|octet| *octet == b'%').skip(1);
    parts.any(|part| part.get(..2).and_then(super::transfer::hex) >= Some(0x80))
}

pub(super) fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some((&octet, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| octet == b'%');
        match hex.and_then(super::transfer::hex) {
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

fn text_of_plain(value: &[u8]) -> String {
    if has_encoded_octets(value) {
        // The extended form under the plain name, or URL encoding, as some write it.
        if let Some((charset, rest)) = charset_of(value)
            && let Some(charset) = Charset::named(charset)
        {
            return on_one_line(decoded(Some(charset), &percent_decoded(rest)));
        }
        if let Ok(text) = String::from_utf8(percent_decoded(value)) {
            return on_one_line(text);
        }
    }
    decode_header(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;

    fn read(field: &str) -> (String, Vec<String>) {
        let (main, parameters) = parameterized(field.as_bytes());
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let parameters = parameters.iter();
        let parameters = parameters.map(|(name, value)| format!("{}={}", text(name), text(value)));
        (text(&main), parameters.collect())
    }

    #[test]
    fn fields_with_parameters() {
        for (field, main, parameters) in [
            (
                "text/plain; charset=utf-8",
                "text/plain",
                &["charset=utf-8"][..],
            ),
            (
                "Multipart/Mixed (a; b); boundary=\"x;\\\"y\"; CharSet = utf-8 (c)",
                "Multipart/Mixed",
                &["boundary=x;\"y", "charset=utf-8"],
            ),
            (
                "multipart/mixed boundary=\"----=_Np_1\"",
                "multipart/mixed",
                &["boundary=----=_Np_1"],
            ),
            (
                "multipart/mixed\tBOUNDARY=----=_Np_1 charset=utf-8",
                "multipart/mixed",
                &["boundary=----=_Np_1", "charset=utf-8"],
            ),
            (
                "text/html, charset=utf-8, format=flowed",
                "text/html",
                &["charset=utf-8", "format=flowed"],
            ),
            ("text/plain:charset=utf-8", "text/plain", &["charset=utf-8"]),
            (
                "text/plain; charset=utf-8 format=flowed delsp=yes",
                "text/plain",
                &["charset=utf-8", "format=flowed", "delsp=yes"],
            ),
            (" ; ;name=a", "", &["name=a"]),
            ("name=a.pdf", "", &["name=a.pdf"]),
            ("PDF; name=\"Brief.pdf\"", "PDF", &["name=Brief.pdf"]),
            (
                "text / plain ;; charset = \"utf-8",
                "text/plain",
                &["charset=utf-8"],
            ),
            ("\"text/plain\"; charset=x", "text/plain", &["charset=x"]),
            ("text/plain(comment); a=b", "text/plain", &["a=b"]),
            (
                "attachment; filename=GALAXY data for March 2026.pdf",
                "attachment",
                &["filename=GALAXY data for March 2026.pdf"],
            ),
            (
                "attachment; filename=report (1).pdf; size=3",
                "attachment",
                &["filename=report (1).pdf", "size=3"],
            ),
            (
                "attachment; filename=a b.pdf size=3",
                "attachment",
                &["filename=a b.pdf", "size=3"],
            ),
            (
                "attachment; filename=a = b.pdf",
                "attachment",
                &["filename=a = b.pdf"],
            ),
            (
                "attachment; filename=\"say \"hi\".txt\"; size=3",
                "attachment",
                &["filename=say \"hi\".txt", "size=3"],
            ),
            (
                "attachment; filename=\"C:\\dir\\a \\\"b\\\".txt\"",
                "attachment",
                &["filename=C:\\dir\\a \"b\".txt"],
            ),
            (
                "attachment filename=\"a.txt\" size=3",
                "attachment",
                &["filename=a.txt", "size=3"],
            ),
            (
                "inline; junk; =x; filename*0=\"a b\"",
                "inline",
                &["filename*0=a b"],
            ),
            ("a/b; x=y;", "a/b", &["x=y"]),
            ("a/b; x=(y); z=w", "a/b", &["x=(y)", "z=w"]),
            ("", "", &[]),
        ] {
            let (read_main, read_parameters) = read(field);
            assert_eq!(
                (read_main.as_str(), read_parameters.as_slice()),
                (
                    main,
                    &parameters
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()[..]
                ),
                "{field}"
            );
        }
    }

    #[test]
    fn texts_of_parameters() {
        for (field, expected) in [
            ("a; filename=x.pdf", "x.pdf"),
            (
                "a; filename=\"????.pdf\"; filename*=UTF-8''%D0%BE%D1%82%D1%87%D1%91%D1%82.pdf",
                "отчёт.pdf",
            ),
            (
                "a; filename*=UTF-8''%D0%BE.pdf; filename=\"????.pdf\"",
                "о.pdf",
            ),
            ("a; filename*=''%E9%A3%9B.pdf", "飛.pdf"),
            ("a; filename*=utf-8'ja'%e9%a3%9b", "飛"),
            ("a; filename*=iso-2022-jp''%1B%24BHt%1B%28B.txt", "飛.txt"),
            ("a; filename*=cp932''%94%f2.txt", "飛.txt"),
            ("a; filename*=plain.txt", "plain.txt"),
            ("a; filename*1=b; filename*0=a; filename*2=c", "abc"),
            (
                "a; filename*1*=%9B.txt; filename*0*=utf-8''%e9%a3",
                "飛.txt",
            ),
            (
                "a; filename*0*=utf-8''%e9%a3; filename*1=%9B; filename*2=\".txt\"",
                "飛.txt",
            ),
            (
                "a; filename*0*=utf-8''100%25; filename*1=\"%20.txt\"",
                "100%%20.txt",
            ),
            ("a; filename*1=b; filename*2=c", "bc"),
            (
                "a; filename*0=\"=?utf-8?B?6aOb\"; filename*1=\"6ISa?= .txt\"",
                "飛脚 .txt",
            ),
            (
                "a; filename=\"=?utf-8?B?6aOb?= =?utf-8?B?6ISa?=.txt\"",
                "飛脚.txt",
            ),
            ("a; filename==?utf-8?B?6aOb?= =?utf-8?B?6ISa?=", "飛脚"),
            (
                "a; filename==?ISO-2022-JP?B?GyRCSHQbKEI=?= =?ISO-2022-JP?B?GyRCNVMbKEI=?=",
                "飛脚",
            ),
            ("a; filename=%E9%A3%9B.txt", "飛.txt"),
            ("a; filename=100%.txt", "100%.txt"),
            ("a; filename=50%25.txt", "50%25.txt"),
            ("a; filename=\"UTF-8''%E9%A3%9B.txt\"", "飛.txt"),
            ("a; filename=Caf\u{e9}.txt", "Café.txt"),
            ("a; filename*0=a; filename=whole", "a"),
            ("a; filename*=utf-8''a%0D%0ABcc:%20x%00", "a Bcc: x"),
        ] {
            let (_, parameters) = parameterized(field.as_bytes());
            let found = text(&parameters, "filename").unwrap();
            assert_eq!(found, expected, "{field}");
        }
        let (_, eight_bit) = parameterized(b"a; filename=\"caf\xe9.txt\"");
        assert_eq!(text(&eight_bit, "filename").as_deref(), Some("café.txt"));
        let (_, none) = parameterized(b"a; filenames=x; filename*x=y");
        assert_eq!(text(&none, "filename"), None);
        let (_, boundary) =
            parameterized(b"multipart/mixed; boundary*1=b; boundary*0*=us-ascii'en'a%20");
        assert_eq!(octets(&boundary, "boundary").as_deref(), Some(&b"a b"[..]));
    }

    proptest! {
        #[test]
        fn anything_is_read_and_kept_within_bounds(field in "(a|/|;|=|\"|\\\\| |\\(|\\)|filename|\\*|0|'|%e9|=\\?utf-8\\?q\\?){0,60}") {
            let (_, parameters) = parameterized(field.as_bytes());
            prop_assert!(parameters.len() <= MOST);
            let _ = (text(&parameters, "filename"), octets(&parameters, "a"));
        }
    }
}
