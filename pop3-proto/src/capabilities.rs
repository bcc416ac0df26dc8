//! What a server can do: the lines of its response to CAPA (RFC 2449 §5, §6).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::command::write_mechanism;

/// The capabilities a server announces; another list before login than after.
///
/// ```
/// use hikyaku_pop3_proto::{Capabilities, Expire};
/// let mut all = Capabilities::default();
/// for line in ["SASL PLAIN LOGIN", "PIPELINING", "EXPIRE 30 USER", "X-NEW thing"] {
///     all.push(&line.into());
/// }
/// assert!(all.pipelining && all.mechanisms.len() == 2);
/// assert_eq!(all.expire, Some(Expire::Days(30)));
/// assert_eq!(all.other.len(), 1);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// USER: USER and PASS may be used.
    pub user: bool,
    /// SASL: the mechanisms of AUTH (RFC 5034), in upper case.
    pub mechanisms: Vec<Bytes>,
    /// STLS (RFC 2595)
    pub stls: bool,
    /// TOP
    pub top: bool,
    /// UIDL
    pub uidl: bool,
    /// RESP-CODES
    pub response_codes: bool,
    /// AUTH-RESP-CODE (RFC 3206)
    pub auth_response_code: bool,
    /// PIPELINING
    pub pipelining: bool,
    /// UTF8 (RFC 6856)
    pub utf8: bool,
    /// LANG (RFC 6856)
    pub lang: bool,
    /// EXPIRE: how long the server keeps what it gave.
    pub expire: Option<Expire>,
    /// LOGIN-DELAY: seconds that must lie between two logins.
    pub login_delay: Option<u32>,
    /// IMPLEMENTATION: for people.
    pub implementation: Option<Bytes>,
    /// Lines that are none of these, as they were sent, their dot-stuffing removed.
    pub other: Vec<Bytes>,
}

/// The most mechanisms that are kept: each new one is compared with all.
const MECHANISMS: usize = 64;

/// What EXPIRE says (RFC 2449 §6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expire {
    /// Kept for good.
    Never,
    /// Kept for this many days; 0 when a message is gone once it was retrieved.
    Days(u32),
}

impl Capabilities {
    /// Reads one line of the list, given without its CRLF, and adds it.
    pub fn push(&mut self, line: &Bytes) {
        let mut words = line.split(|&o| o == b' ').filter(|word| !word.is_empty());
        let Some(tag) = words.next() else { return };
        let is = |name: &str| tag.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("USER") => self.user = true,
            () if is("SASL") => {
                for word in words {
                    let word = Bytes::from(word.to_ascii_uppercase());
                    if self.mechanisms.len() < MECHANISMS && !self.mechanisms.contains(&word) {
                        self.mechanisms.push(word);
                    }
                }
            }
            () if is("STLS") => self.stls = true,
            () if is("TOP") => self.top = true,
            () if is("UIDL") => self.uidl = true,
            () if is("RESP-CODES") => self.response_codes = true,
            () if is("AUTH-RESP-CODE") => self.auth_response_code = true,
            () if is("PIPELINING") => self.pipelining = true,
            () if is("UTF8") => self.utf8 = true,
            () if is("LANG") => self.lang = true,
            () if is("EXPIRE") => {
                self.expire = words.next().and_then(|word| match number(word) {
                    None if word.eq_ignore_ascii_case(b"NEVER") => Some(Expire::Never),
                    days => days.map(Expire::Days),
                });
            }
            () if is("LOGIN-DELAY") => self.login_delay = words.next().and_then(number),
            () if is("IMPLEMENTATION") => {
                let text = line.get(tag.len()..).unwrap_or(&[]).trim_ascii();
                self.implementation = Some(line.slice_ref(text));
            }
            () => self.other.push(line.clone()),
        }
    }

    /// Appends the lines, without the response's first line and the terminating dot. Each of [`other`](Self::other) is
    /// one line, whatever is in it; empty ones are left out.
    pub fn encode(&self, output: &mut Output) {
        if self.user {
            output.write(b"USER\r\n");
        }
        let mut mechanisms = self.mechanisms.iter().filter(|name| !name.is_empty());
        if let Some(first) = mechanisms.next() {
            output.write(b"SASL");
            for mechanism in core::iter::once(first).chain(mechanisms) {
                output.write(b" ");
                write_mechanism(mechanism, output);
            }
            output.write(b"\r\n");
        }
        let mut line = |is: bool, text: &[u8]| {
            if is {
                output.write(text);
                output.write(b"\r\n");
            }
        };
        line(self.stls, b"STLS");
        line(self.top, b"TOP");
        line(self.uidl, b"UIDL");
        line(self.response_codes, b"RESP-CODES");
        line(self.auth_response_code, b"AUTH-RESP-CODE");
        line(self.pipelining, b"PIPELINING");
        line(self.utf8, b"UTF8");
        line(self.lang, b"LANG");
        let mut numbered = |tag: &[u8], number: Option<u32>| {
            if let Some(number) = number {
                output.write(tag);
                output.write_number(number.into());
                output.write(b"\r\n");
            }
        };
        numbered(b"LOGIN-DELAY ", self.login_delay);
        match self.expire {
            Some(Expire::Never) => output.write(b"EXPIRE NEVER\r\n"),
            Some(Expire::Days(days)) => numbered(b"EXPIRE ", Some(days)),
            None => {}
        }
        let is_text = |octet: u8| !octet.is_ascii_control();
        if let Some(text) = &self.implementation {
            output.write(b"IMPLEMENTATION ");
            output.write_only(text, is_text, b' ');
            output.write(b"\r\n");
        }
        for other in self.other.iter().filter(|other| !other.is_empty()) {
            // RFC 1939 §3: a dot that begins a line of a listing is doubled.
            output.write(if other.starts_with(b".") { b"." } else { b"" });
            output.write_only(other, is_text, b' ');
            output.write(b"\r\n");
        }
    }
}

fn number(word: &[u8]) -> Option<u32> {
    core::str::from_utf8(word).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;

    fn any_capabilities() -> impl Strategy<Value = Capabilities> {
        let expire = prop_oneof![Just(Expire::Never), any::<u32>().prop_map(Expire::Days)];
        let words = proptest::collection::btree_set("[A-Z0-9-]{1,20}", 0..4);
        (
            any::<[bool; 9]>(),
            words,
            proptest::option::of(expire),
            proptest::option::of(any::<u32>()),
            proptest::option::of("[a-z][a-z ]{0,8}[a-z]"),
            proptest::collection::vec("X-[A-Z]{1,9}( [a-z]{1,4})?", 0..3),
        )
            .prop_map(
                |(is, words, expire, login_delay, text, other)| Capabilities {
                    user: is[0],
                    mechanisms: words.into_iter().map(Bytes::from).collect(),
                    stls: is[1],
                    top: is[2],
                    uidl: is[3],
                    response_codes: is[4],
                    auth_response_code: is[5],
                    pipelining: is[6],
                    utf8: is[7],
                    lang: is[8],
                    expire,
                    login_delay,
                    implementation: text.map(Bytes::from),
                    other: other.into_iter().map(Bytes::from).collect(),
                },
            )
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(capabilities in any_capabilities()) {
            let mut output = Output::new();
            capabilities.encode(&mut output);
            let text = output.copy_to_bytes(output.len());
            let mut read = Capabilities::default();
            for line in text.split(|&o| o == b'\n').filter(|line| !line.is_empty()) {
                read.push(&text.slice_ref(&line[..line.len() - 1]));
            }
            prop_assert_eq!(read, capabilities);
        }
    }

    #[test]
    fn mechanisms_have_their_limit() {
        let mut all = Capabilities::default();
        for at in 0..1000 {
            all.push(&std::format!("SASL X-{at} Y-{at}").into());
        }
        assert_eq!(all.mechanisms.len(), MECHANISMS);
    }

    #[test]
    fn a_malformed_line_costs_that_line() {
        let mut all = Capabilities::default();
        for line in [
            "",
            " ",
            "EXPIRE",
            "EXPIRE soon",
            "LOGIN-DELAY x",
            "sasl plain PLAIN",
        ] {
            all.push(&line.into());
        }
        assert_eq!((all.expire, all.login_delay), (None, None));
        assert_eq!(all.mechanisms, ["PLAIN"]);
    }
}
