//! The header fields that say how a part is encoded.

/// Octets at the beginning of a line in which a name is looked for: no name is as long, and blanks may follow it.
pub(super) const HEAD: usize = 64 * 1024;

/// What the line of a header section begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MimeField {
    /// Content-Transfer-Encoding
    Encoding,
    /// Content-Type
    Type,
    /// MIME-Version
    Version,
    Other,
}

impl MimeField {
    /// `line`: of a header section, as much as there is of it, at least up to its colon; `None` where it continues a
    /// field.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return None;
        }
        let head = line.get(..HEAD).unwrap_or(line);
        let name = memchr::memchr(b':', head).and_then(|colon| head.get(..colon));
        let name = name.unwrap_or(head).trim_ascii_end();
        let is = |wanted: &[u8]| name.eq_ignore_ascii_case(wanted);
        Some(match () {
            () if is(b"content-transfer-encoding") => Self::Encoding,
            () if is(b"content-type") => Self::Type,
            () if is(b"mime-version") => Self::Version,
            () => Self::Other,
        })
    }
}
