//! Responses: `+OK` and `-ERR`, with response codes (RFC 1939 §3, 2449 §8, 3206).

use bytes::Bytes;
use hikyaku_wire::Output;

/// Why something failed, for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseCode {
    /// `[IN-USE]`: another session holds the maildrop.
    InUse,
    /// `[LOGIN-DELAY]`: too soon.
    LoginDelay,
    /// `[SYS/TEMP]`: the system, for now.
    SysTemp,
    /// `[SYS/PERM]`: the system, and somebody has to act.
    SysPerm,
    /// `[AUTH]`: the credentials.
    Auth,
    /// `[UTF8]`: the UTF8 command first (RFC 6856).
    Utf8,
    /// Another one, without its brackets. What may not stand between them is written as `-`.
    Other(Bytes),
}

impl ResponseCode {
    fn name(&self) -> &[u8] {
        match self {
            Self::InUse => b"IN-USE",
            Self::LoginDelay => b"LOGIN-DELAY",
            Self::SysTemp => b"SYS/TEMP",
            Self::SysPerm => b"SYS/PERM",
            Self::Auth => b"AUTH",
            Self::Utf8 => b"UTF8",
            Self::Other(name) => name,
        }
    }

    fn named(name: Bytes) -> Self {
        let all = [
            Self::InUse,
            Self::LoginDelay,
            Self::SysTemp,
            Self::SysPerm,
            Self::Auth,
            Self::Utf8,
        ];
        let known = all
            .into_iter()
            .find(|code| name.eq_ignore_ascii_case(code.name()));
        known.unwrap_or(Self::Other(name))
    }
}

/// The first line of a response.
///
/// ```
/// use hikyaku_pop3_proto::{Response, ResponseCode};
/// let response = Response::parse(&"-ERR [AUTH] no such user".into()).unwrap();
/// assert_eq!((response.is_ok, response.code), (false, Some(ResponseCode::Auth)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Response {
    /// `+OK`
    pub is_ok: bool,
    /// Why it failed.
    pub code: Option<ResponseCode>,
    /// For people.
    pub text: Bytes,
}

impl Response {
    /// Reads a line, given without its CRLF; `None` when it is no response. Servers that say `+ok`
    /// are in the world.
    #[must_use]
    pub fn parse(line: &Bytes) -> Option<Self> {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        let (status, text) = line.split_at(end);
        let is_ok = match () {
            () if status.eq_ignore_ascii_case(b"+OK") => true,
            () if status.eq_ignore_ascii_case(b"-ERR") => false,
            () => return None,
        };
        let text = line.slice_ref(text.get(1..).unwrap_or(&[]));
        let close = memchr::memchr(b']', &text).filter(|_| !is_ok && text.starts_with(b"["));
        let name = close.and_then(|close| text.get(1..close));
        let is_code =
            |name: &&[u8]| !name.is_empty() && name.iter().all(|&octet| is_code_char(octet));
        let Some((name, close)) = name.filter(is_code).zip(close) else {
            return Some(Self {
                is_ok,
                code: None,
                text,
            });
        };
        Some(Self {
            is_ok,
            code: Some(ResponseCode::named(text.slice_ref(name))),
            text: text.slice_ref(text.get(close + 1..)?.trim_ascii_start()),
        })
    }

    /// Appends the line with its CRLF. What may not stand in one becomes a blank.
    pub fn encode(&self, output: &mut Output) {
        output.write(if self.is_ok { b"+OK" } else { b"-ERR" });
        if let Some(code) = &self.code {
            output.write(b" [");
            output.write_only(code.name(), is_code_char, b'-');
            output.write(b"]");
        }
        if !self.text.is_empty() {
            output.write(b" ");
            output.write_only(&self.text, |octet| !octet.is_ascii_control(), b' ');
        }
        output.write(b"\r\n");
    }
}

/// What stands between the brackets of a response code (RFC 2449 §8).
fn is_code_char(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'[' | b']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(is_ok: bool, code in proptest::option::of("[A-Z]{1,8}(/[A-Z]{1,4})?"), text in "[a-z][ -~]{0,30}|") {
            let code = code.filter(|_| !is_ok).map(|c| ResponseCode::named(c.into()));
            let response = Response { is_ok, code, text: text.into() };
            let mut output = Output::new();
            response.encode(&mut output);
            let line = output.copy_to_bytes(output.len());
            prop_assert_eq!(Response::parse(&line.slice(..line.len() - 2)), Some(response));
        }
    }

    #[test]
    fn what_is_no_code_is_text() {
        let parse = |line: &'static str| Response::parse(&line.into());
        let text = |line| parse(line).map(|r| (r.code, r.text));
        assert_eq!(
            text("-ERR [unclosed text"),
            Some((None, "[unclosed text".into()))
        );
        assert_eq!(text("+OK"), Some((None, "".into())));
        assert_eq!(
            text("-ERR [SYS/TEMP] try"),
            Some((Some(ResponseCode::SysTemp), "try".into()))
        );
        for none in ["* OK IMAP4 ready", "", "OK", "+OKAY"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
