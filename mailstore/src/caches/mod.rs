//! What makes questions quick the second time.

pub(crate) mod message_cache;
pub(crate) mod row_cache;
pub(crate) mod text_index;
