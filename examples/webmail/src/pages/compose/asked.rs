//! The parameters of a link to the form.

use serde::Deserialize;

/// What a link asks for.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    pub(super) reply: String,
    pub(super) forward: String,
    pub(super) draft: String,
    pub(super) all: u8,
    /// The name of something that is kept as a draft.
    pub(super) kept: String,
}
