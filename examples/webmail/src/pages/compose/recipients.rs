//! Recipients as they are typed into one field.

use hikyaku_client::compose::{NotAnAddress, recipients};

/// The most texts that are left out of a draft's header because they are no addresses.
const LEFT_OUT: usize = 20;

/// All of them.
///
/// # Errors
/// What is no address.
pub(super) fn all(text: &str) -> Result<Vec<String>, NotAnAddress> {
    recipients(text)
}

/// Those that are addresses, for a draft: what was typed beside them is kept elsewhere in it.
pub(super) fn those_that_are(text: &str) -> Vec<String> {
    let mut left = text.to_owned();
    for _ in 0..LEFT_OUT {
        match recipients(&left) {
            Ok(all) => return all,
            Err(bad) => left = left.replacen(&bad.text, "", 1),
        }
    }
    Vec::new()
}
