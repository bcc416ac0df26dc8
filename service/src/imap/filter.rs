//! FILTER: searches stored under a name (RFC 5466).

use bytes::Bytes;
use hikyaku_imap_proto::{Limits, ResponseCode, SearchKey};
use std::collections::BTreeMap;

use super::end::End;
use super::session::Session;
use super::text::Text as T;

/// A filter within a filter, and so on: so deep and no deeper (the RFC wants 3).
const DEPTH: usize = 8;

/// The filters that a search names, and those that these name.
#[derive(Debug, Default)]
pub(super) struct Filters(BTreeMap<Bytes, SearchKey>);

impl Filters {
    /// Where it stands so deep in others that it is taken for a loop, there is none.
    pub(super) fn get(&self, name: &[u8], depth: usize) -> Option<&SearchKey> {
        self.0.get(name).filter(|_| depth < DEPTH)
    }

    pub(super) fn undefined(name: &Bytes) -> End {
        let code = ResponseCode::UndefinedFilter(name.clone());
        End::no(code, T::ThereIsNoSuchFilter)
    }
}

fn names(key: &SearchKey) -> Vec<Bytes> {
    let names = std::cell::RefCell::new(Vec::new());
    let _ = key.any(&|key| {
        if let SearchKey::Filter(name) = key {
            names.borrow_mut().push(name.clone());
        }
        false
    });
    names.into_inner()
}

impl Session<'_> {
    /// All filters that a search is made of.
    pub(super) async fn filters(&self, key: &SearchKey) -> Result<Filters, End> {
        let (mut filters, mut wanted) = (Filters::default(), names(key));
        if wanted.is_empty() {
            return Ok(filters);
        }
        let entries = self.server_entries().await?;
        while let Some(name) = wanted.pop() {
            if filters.0.contains_key(&name) {
                continue;
            }
            let lower = String::from_utf8_lossy(&name).to_ascii_lowercase();
            let of = |kind: &str| entries.get(&format!("/{kind}/filters/values/{lower}"));
            let value = of("private").or_else(|| of("shared"));
            let value = value.ok_or_else(|| Filters::undefined(&name))?;
            let key = SearchKey::parse(value, &Limits::default());
            let key = key.map_err(|_| Filters::undefined(&name))?;
            wanted.extend(names(&key));
            filters.0.insert(name, key);
        }
        Ok(filters)
    }
}
