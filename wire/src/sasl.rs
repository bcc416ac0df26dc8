//! SASL exchanges as the three protocols carry them: base64 lines (RFC 4954 §4, 5034 §4, 9051 §6.2.2).

use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Output, Secret};

/// The challenges of the mechanism LOGIN, in their order: some clients know them by these words alone. A server sends them
/// with the `challenge` of its machine, and ignores an empty initial response.
pub const LOGIN_PROMPTS: [&[u8]; 2] = [b"Username:", b"Password:"];

/// What a client sends in a SASL exchange.
#[derive(Debug)]
#[allow(
    clippy::exhaustive_enums,
    reason = "whoever drives a machine has to do each of them"
)]
pub enum SaslLine {
    /// The decoded response; empty for an empty line or `=`.
    Response(Secret),
    /// `*`: the client cancels the exchange.
    Cancel,
}

/// Not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a base64 line")]
#[allow(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct SaslError;

/// Reads a line of a SASL exchange, without its CRLF.
///
/// # Errors
/// [`SaslError`] when it is neither base64 with its padding, nor `=`, nor `*`.
///
/// ```
/// use hikyaku_wire::{SaslLine, decode_sasl};
/// assert!(matches!(decode_sasl(b"*"), Ok(SaslLine::Cancel)));
/// assert!(decode_sasl(b"!!!").is_err());
/// ```
pub fn decode_sasl(line: &[u8]) -> Result<SaslLine, SaslError> {
    match line {
        b"*" => Ok(SaslLine::Cancel),
        b"=" => Ok(SaslLine::Response(Secret::default())),
        line => STANDARD
            .decode(line)
            .map(|octets| SaslLine::Response(Secret::from(octets)))
            .map_err(|_| SaslError),
    }
}

/// Encodes a challenge, or a response that is not an initial one. An empty one is an empty line.
#[must_use]
pub fn encode_sasl(octets: &[u8]) -> Vec<u8> {
    let text: String = STANDARD.encode(octets);
    text.into_bytes()
}

/// Appends a client's response with its CRLF; `None` cancels the exchange.
pub fn write_response(response: Option<&Secret>, output: &mut Output) {
    match response {
        Some(response) => output.write(&encode_sasl(response.expose())),
        None => output.write(b"*"),
    }
    output.write(b"\r\n");
}

/// Splits an initial response into what goes into the command's own line and what waits for an empty
/// challenge, since the line has only `room` octets for it (RFC 4954 §4, 5034 §4).
#[must_use]
pub fn split_initial(initial: Option<Secret>, room: usize) -> (Option<Secret>, Option<Secret>) {
    // An empty one is said as `=`.
    let length = |secret: &Secret| (secret.expose().len().div_ceil(3) * 4).max(1);
    match initial {
        Some(initial) if length(&initial) > room => (None, Some(initial)),
        initial => (initial, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(line: &[u8]) -> Option<Vec<u8>> {
        match decode_sasl(line) {
            Ok(SaslLine::Response(secret)) => Some(secret.expose().to_vec()),
            _ => None,
        }
    }

    #[test]
    fn the_short_forms() {
        assert_eq!(decoded(b"="), Some(Vec::new()));
        assert_eq!(decoded(b""), Some(Vec::new()));
        assert_eq!(decoded(b"AGE="), Some(b"\0a".to_vec()));
        for bad in [&b"AGE"[..], b"AG E=", b"==", b"**", b"A"] {
            assert!(decode_sasl(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_initial_response_goes_into_the_line_when_it_fits() {
        let of = |octets| Some(Secret::from(alloc::vec![0; octets]));
        for (octets, room, fits) in [(3, 4, true), (4, 7, false), (4, 8, true), (0, 0, false)] {
            let (said, held) = split_initial(of(octets), room);
            assert_eq!((said.is_some(), held.is_some()), (fits, !fits), "{octets}");
        }
        assert_eq!(split_initial(None, 0), (None, None));
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(octets: Vec<u8>) {
            prop_assert_eq!(decoded(&encode_sasl(&octets)), Some(octets));
        }
    }
}
