//! BODY= (RFC 6152, RFC 3030).

/// What the body of a message is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyType {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`: octets without lines, which BDAT alone can carry (RFC 3030 §3).
    BinaryMime,
}

impl BodyType {
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        match value {
            _ if value.eq_ignore_ascii_case(b"8BITMIME") => Some(Self::EightBitMime),
            _ if value.eq_ignore_ascii_case(b"7BIT") => Some(Self::SevenBit),
            _ if value.eq_ignore_ascii_case(b"BINARYMIME") => Some(Self::BinaryMime),
            _ => None,
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}
