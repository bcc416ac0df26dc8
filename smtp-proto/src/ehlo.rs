//! What a server can do: the lines of its reply to EHLO (RFC 5321 §4.1.1.1).

use alloc::vec::Vec;
use bytes::Bytes;

use crate::Reply;

/// The extensions a server announces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// SIZE (RFC 1870): the largest message, when there is one.
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034)
    pub enhanced_status_codes: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
    /// AUTH (RFC 4954): SASL mechanisms, as announced.
    pub auth: Vec<Bytes>,
    /// Every keyword line as it was sent, known or not.
    pub lines: Vec<Bytes>,
}

/// The most mechanisms that are kept: each new one is compared with all.
const MECHANISMS: usize = 64;

impl Capabilities {
    /// Whether SIZE is announced, with a limit or without.
    #[must_use]
    pub fn announces_size(&self) -> bool {
        self.has("SIZE")
    }

    /// Whether a keyword is announced, known here or not.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.lines.iter().any(|line| {
            let end = line.iter().position(|o| matches!(o, b' ' | b'='));
            let word = line.get(..end.unwrap_or(line.len())).unwrap_or(&[]);
            word.eq_ignore_ascii_case(keyword.as_bytes())
        })
    }

    /// Reads them out of a reply to EHLO; the first line is the server's name.
    #[must_use]
    pub fn of(reply: &Reply) -> Self {
        let mut all = Self::default();
        for line in reply.lines().iter().skip(1) {
            // `AUTH=LOGIN` is an old form, beside the new one or alone.
            let mut words = line
                .split(|&o| o == b' ' || o == b'=')
                .filter(|word| !word.is_empty());
            let keyword = words.next().unwrap_or(&[]);
            let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
            if is("PIPELINING") {
                all.pipelining = true;
            } else if is("SIZE") {
                let digits = words.next().unwrap_or(b"0");
                let size = crate::parameter::is_number(digits, 20)
                    .then(|| crate::parameter::number(digits));
                // 0 says that there is no fixed limit (RFC 1870 §3).
                all.size = size.filter(|&size| size > 0);
            } else if is("8BITMIME") {
                all.eight_bit_mime = true;
            } else if is("SMTPUTF8") {
                all.smtputf8 = true;
            } else if is("ENHANCEDSTATUSCODES") {
                all.enhanced_status_codes = true;
            } else if is("STARTTLS") {
                all.starttls = true;
            } else if is("AUTH") {
                for mechanism in words {
                    let is_known = |known: &Bytes| known.eq_ignore_ascii_case(mechanism);
                    if all.auth.len() < MECHANISMS && !all.auth.iter().any(is_known) {
                        all.auth.push(line.slice_ref(mechanism));
                    }
                }
            }
            all.lines.push(line.clone());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanisms_have_their_limit() {
        let lines = (0..1000).map(|at| Bytes::from(std::format!("AUTH X-{at} Y-{at}")));
        let all = Capabilities::of(&Reply::of_lines(250, "", lines));
        assert_eq!(all.auth.len(), MECHANISMS);
    }

    #[test]
    fn the_old_form_of_auth_is_no_second_list() {
        let reply =
            "250-mx\r\n250-AUTH=LOGIN PLAIN\r\n250-AUTH LOGIN PLAIN\r\n250-SIZE 0\r\n250 X\r\n";
        let all = Capabilities::of(&Reply::parse(&reply.into()).unwrap());
        assert_eq!(all.auth, ["LOGIN", "PLAIN"]);
        assert_eq!((all.size, all.lines.len()), (None, 4));
    }
}
