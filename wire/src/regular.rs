//! Text as SMTP asks for it (RFC 5321 §2.3.8): CR and LF stand side by side, and there is no NUL.

/// Returns whether octets are regular: every CR before an LF, every LF behind a CR, no NUL.
///
/// ```
/// use hikyaku_wire::is_regular;
/// assert!(is_regular(b"a\r\nb") && is_regular(b""));
/// assert!(!is_regular(b"a\nb") && !is_regular(b"a\r") && !is_regular(b"\0"));
/// ```
#[must_use]
pub fn is_regular(text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first(), text.last()) else {
        return true;
    };
    let shifted = text.get(1..).unwrap_or(&[]);
    *first != b'\n' && !matches!(last, b'\r' | 0) && !has_odd_pairs::<false>(text, shifted)
}

/// Returns whether an octet and the one behind it are not regular: CR and something else, something else and LF, NUL and
/// anything; with `DOTS`, also LF and a dot. Without a branch, so that many are compared at once.
pub(crate) fn has_odd_pairs<const DOTS: bool>(text: &[u8], shifted: &[u8]) -> bool {
    let mut odd = 0;
    for (one, next) in text.iter().zip(shifted) {
        odd |= (u8::from(*one == b'\r') ^ u8::from(*next == b'\n')) | u8::from(*one == 0);
        if DOTS {
            odd |= u8::from(*one == b'\n') & u8::from(*next == b'.');
        }
    }
    odd != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_what_the_rfc_says(
            text in proptest::collection::vec(proptest::sample::select(&b"\r\n\0.aaaa"[..]), 0..40),
            pairs in 0..40_usize,
        ) {
            let text = [text, b"\r\n".repeat(pairs)].concat();
            let mut rest = std::vec::Vec::new();
            let mut at = 0;
            while at < text.len() {
                if text[at..].starts_with(b"\r\n") {
                    at += 2;
                } else {
                    rest.push(text[at]);
                    at += 1;
                }
            }
            let expected = !rest.iter().any(|octet| b"\r\n\0".contains(octet));
            prop_assert_eq!(is_regular(&text), expected);
        }
    }
}
