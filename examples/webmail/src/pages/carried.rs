//! Text and drafts carried through a login.

/// What goes through a login: something that was written, or where it is kept.
#[derive(Debug, Default)]
pub(crate) struct Carried {
    /// The name of a draft.
    pub(crate) kept: String,
    /// Whose it is.
    pub(crate) owner: String,
    /// The other fields of its form; the text is one of them.
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) text: String,
}
