//! Text in any charset, decoded as the octets come.

/// Decodes octets in a named charset to text, in pieces of any size. An unknown charset is read as
/// UTF-8; what cannot be decoded becomes U+FFFD.
pub struct TextDecoder(encoding_rs::Decoder);

impl std::fmt::Debug for TextDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TextDecoder")
            .field(&self.0.encoding().name())
            .finish()
    }
}

impl TextDecoder {
    /// For that charset. `us-ascii` is read as UTF-8: what says so and is not is mostly that.
    #[must_use]
    pub fn new(charset: Option<&[u8]>) -> Self {
        let is_ascii = |name: &&[u8]| name.eq_ignore_ascii_case(b"us-ascii");
        let charset = charset.filter(|name| !is_ascii(name));
        let encoding = charset.and_then(encoding_rs::Encoding::for_label);
        Self(
            encoding
                .unwrap_or(encoding_rs::UTF_8)
                .new_decoder_without_bom_handling(),
        )
    }

    /// Appends what `octets` decode to; `last` when nothing follows.
    pub fn decode(&mut self, mut octets: &[u8], last: bool, text: &mut String) {
        loop {
            text.reserve(
                self.0
                    .max_utf8_buffer_length(octets.len())
                    .unwrap_or(octets.len() * 3)
                    + 4,
            );
            let (result, read, _) = self.0.decode_to_string(octets, text, last);
            octets = octets.get(read..).unwrap_or(&[]);
            if result == encoding_rs::CoderResult::InputEmpty {
                return;
            }
        }
    }
}
