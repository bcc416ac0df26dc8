//! The notes above the fields.

/// What is said above the fields.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What went wrong.
    pub(super) problems: Vec<String>,
    /// What is good to know.
    pub(super) notes: Vec<String>,
    /// The field that it is about.
    pub(super) bad: &'static str,
}

impl Notes {
    pub(super) fn problem(why: impl Into<String>) -> Self {
        Self {
            problems: vec![why.into()],
            ..Self::default()
        }
    }
}
