//! What commands and responses are made of, each named after the thing in the RFC.

pub(crate) mod acl;
pub(crate) mod body_structure;
pub(crate) mod date;
pub(crate) mod envelope;
pub(crate) mod flag;
pub(crate) mod flag_list;
pub(crate) mod gmail;
pub(crate) mod list_attribute;
pub(crate) mod mailbox;
pub(crate) mod mailbox_filter;
pub(crate) mod named_set;
pub(crate) mod namespace;
pub(crate) mod numbers;
pub(crate) mod object_id;
pub(crate) mod partial;
pub(crate) mod section;
pub(crate) mod sequence_set;
pub(crate) mod status;
pub(crate) mod store_action;
pub(crate) mod url;
