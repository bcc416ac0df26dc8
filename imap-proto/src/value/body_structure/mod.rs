//! BODY and BODYSTRUCTURE (RFC 9051 §7.5.2).

mod encode;
mod make;
mod new;
mod nodes;
mod parse;
mod structure;
mod view;

pub use new::{NewBody, NewFields, NewParameters, NewPart};
pub(crate) use parse::body_structure;
pub use structure::BodyStructure;
pub use view::{
    Body, BodyFields, BodyPart, BodyParts, Disposition, Message, Multipart, Parameters, Texts,
};
