//! The value of BODY and BODYSTRUCTURE.

use hikyaku_wire::Output;

use super::nodes::Nodes;
use super::view::{Body, Node};

/// What a message is made of. Its texts lie where they came in, whatever parts there are: one allocation for
/// all of them, and one for each envelope within.
///
/// ```
/// use hikyaku_imap_proto::{Body, BodyStructure, NewBody, NewPart};
/// let text = NewPart { kind: b"text", subtype: b"plain", lines: 3, ..NewPart::default() };
/// let structure = BodyStructure::from(NewBody::from(text));
/// let Body::Part(part) = structure.root() else { panic!() };
/// assert_eq!((part.kind, part.lines), (&b"text"[..], 3));
/// ```
#[derive(Clone, Default)]
pub struct BodyStructure(pub(super) Nodes);

impl BodyStructure {
    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Body<'_> {
        let structure = &self.0;
        Node { structure, at: 0 }.read()
    }

    /// Appends it; `extended` is BODYSTRUCTURE, else BODY.
    pub fn encode(&self, extended: bool, output: &mut Output) {
        self.root().encode(extended, output);
    }
}

impl core::fmt::Debug for BodyStructure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.root().fmt(f)
    }
}

impl PartialEq for BodyStructure {
    fn eq(&self, other: &Self) -> bool {
        self.root() == other.root()
    }
}

impl Eq for BodyStructure {}
