//! What all grammar stands on: where a unit ends, tokens, literals, texts in one allocation.

pub(crate) mod cursor;
pub(crate) mod frame;
pub mod framer;
pub(crate) mod literal;
pub(crate) mod tape;
pub(crate) mod text;
pub(crate) mod word;
