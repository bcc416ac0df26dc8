//! Something that speaks against a message, or for it.

use hikyaku_smtp_proto::Reply;

/// A finding.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// What was found, as the header field names it.
    pub(crate) name: String,
    pub(crate) weight: f64,
    /// How the client is refused for it, if it is.
    pub(crate) refusal: Option<Reply>,
}

impl Mark {
    pub(crate) fn new(name: impl Into<String>, weight: f64) -> Self {
        let (name, refusal) = (name.into(), None);
        Self {
            name,
            weight,
            refusal,
        }
    }

    /// Refuses the client.
    pub(crate) fn refused(mut self, enhanced: &str, text: impl Into<String>) -> Self {
        // What a zone says is a stranger's text.
        let text: String = text.into().chars().take(300).collect();
        let visible = |c: char| if matches!(c, ' '..='~') { c } else { '?' };
        let text: String = text.chars().map(visible).collect();
        self.refusal = Some(Reply::new(550, enhanced, text.into_bytes()));
        self
    }
}
