//! A header field of a message as searches compare it.

use crate::questions::columns::Weigh;

/// All fields of a name in a message, as they compare, a NUL between them; `None` where there is none.
/// What is too long to keep is not kept.
pub(crate) type FieldText = Option<Box<str>>;

impl Weigh for FieldText {
    fn octets(&self) -> usize {
        self.as_ref().map_or(0, |text| text.len())
    }
}
