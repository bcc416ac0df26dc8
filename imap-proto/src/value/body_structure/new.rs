//! What it is made of, where it does not come from the wire.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::view::{Body, BodyFields, Disposition};
#[cfg(doc)]
use super::{structure::BodyStructure, view::BodyPart};
use crate::Envelope;

/// What a [`BodyStructure`] is made of.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_enums, reason = "its parts are the grammar's")]
pub enum NewBody<'a> {
    /// A part with parts in it: at least one.
    Multipart {
        /// Its parts.
        parts: Vec<Self>,
        /// `mixed`
        subtype: &'a [u8],
        /// Content-Type's parameters.
        parameters: NewParameters<'a>,
        /// The other MIME fields.
        fields: NewFields<'a>,
    },
    /// Any other one.
    Part(Box<NewPart<'a>>),
}

/// What a [`BodyPart`] is made of.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct NewPart<'a> {
    /// `text`
    pub kind: &'a [u8],
    /// `plain`
    pub subtype: &'a [u8],
    /// Content-Type's parameters.
    pub parameters: NewParameters<'a>,
    /// Content-ID
    pub id: Option<&'a [u8]>,
    /// Content-Description
    pub description: Option<&'a [u8]>,
    /// Content-Transfer-Encoding
    pub encoding: &'a [u8],
    /// Octets, as they are encoded.
    pub octets: u64,
    /// Of a message/rfc822: what is in it.
    pub message: Option<(Envelope, NewBody<'a>)>,
    /// Lines, for text and message/rfc822.
    pub lines: u64,
    /// Content-MD5
    pub md5: Option<&'a [u8]>,
    /// The other MIME fields.
    pub fields: NewFields<'a>,
}

/// What [`Parameters`](crate::Parameters) are made of.
pub type NewParameters<'a> = Vec<(&'a [u8], &'a [u8])>;

/// What [`BodyFields`] are made of.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct NewFields<'a> {
    /// Content-Disposition and its parameters.
    pub disposition: Option<(&'a [u8], NewParameters<'a>)>,
    /// Content-Language
    pub language: Vec<&'a [u8]>,
    /// Content-Location
    pub location: Option<&'a [u8]>,
}

impl<'a> From<NewPart<'a>> for NewBody<'a> {
    fn from(part: NewPart<'a>) -> Self {
        Self::Part(Box::new(part))
    }
}

impl<'a> From<BodyFields<'a>> for NewFields<'a> {
    fn from(fields: BodyFields<'a>) -> Self {
        let disposition = |one: Disposition<'a>| (one.kind, one.parameters.iter().collect());
        Self {
            disposition: fields.disposition.map(disposition),
            language: fields.language.iter().collect(),
            location: fields.location,
        }
    }
}

/// For making another one of it.
impl<'a> From<Body<'a>> for NewBody<'a> {
    fn from(body: Body<'a>) -> Self {
        match body {
            Body::Multipart(multipart) => Self::Multipart {
                parts: multipart.parts.iter().map(Self::from).collect(),
                subtype: multipart.subtype,
                parameters: multipart.parameters.iter().collect(),
                fields: multipart.fields.into(),
            },
            Body::Part(part) => Self::from(NewPart {
                kind: part.kind,
                subtype: part.subtype,
                parameters: part.parameters.iter().collect(),
                id: part.id,
                description: part.description,
                encoding: part.encoding,
                octets: part.octets,
                message: part
                    .message
                    .map(|message| (message.envelope.clone(), message.body().into())),
                lines: part.lines,
                md5: part.md5,
                fields: part.fields.into(),
            }),
        }
    }
}
