//! What a report says of an error.

use crate::Error;

/// A reason for a line of the report.
pub(super) fn words(error: Error) -> String {
    match error {
        Error::Refused(why) => why,
        other => other.to_string(),
    }
}
