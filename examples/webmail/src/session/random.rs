//! Random tokens.

/// A word that nobody can guess.
pub(crate) fn random() -> String {
    use std::fmt::Write as _;
    let mut octets = [0; 32];
    // Without randomness nobody may log in.
    getrandom::fill(&mut octets).expect("the system's randomness");
    octets.iter().fold(String::new(), |mut word, octet| {
        let _ = write!(word, "{octet:02x}");
        word
    })
}
