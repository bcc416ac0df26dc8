//! The TXT record that says that a domain has a policy, and which (RFC 8461 §3.1).

use crate::text_record::{fields, first, is_value, only};

const VERSION: &str = "v=STSv1";
/// The longest id.
const ID: usize = 32;

/// What `_mta-sts` of a domain says.
///
/// ```
/// # use hikyaku_relay::sts::record::Record;
/// let records = [b"v=STSv1; id=20160831085700Z;".to_vec()];
/// assert_eq!(Record::of(&records).unwrap().id, "20160831085700Z");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Which policy it is: another id, another policy.
    pub id: String,
}

impl Record {
    /// Reads the TXT records of `_mta-sts`, the strings of each joined. `None` when there is no policy: none of them
    /// begins with the version, several do, or the one that does is not well-formed.
    pub fn of(records: &[Vec<u8>]) -> Option<Self> {
        let fields = fields(only(records, VERSION)?, VERSION)?;
        let id = first(&fields, "id")?;
        let is_id = (1..=ID).contains(&id.len()) && id.bytes().all(|o| o.is_ascii_alphanumeric());
        let are_well_formed = fields.iter().all(|(_, value)| is_value(value));
        (is_id && are_well_formed).then(|| Self { id: id.to_owned() })
    }
}
