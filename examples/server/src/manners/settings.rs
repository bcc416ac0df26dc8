//! What the configuration says of strangers: clients that have not logged in.

use serde::Deserialize;

use crate::config::Span;
use crate::network::Networks;

/// `[manners]`: what is looked at of clients that have not logged in, and what becomes of it. Without the table nothing is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Manner {
    /// The name of HELO or EHLO.
    pub helo: Courtesy,
    /// Whether the client's address has a name that leads back to it.
    pub reverse_name: Courtesy,
    /// Whether who is unknown is asked to come again (RFC 6647).
    pub greylisting: bool,
    /// When they are taken at the earliest.
    pub greylisting_delay: Delay,
    /// From which score on a message is junk; never if it is 0.
    pub junk: f64,
    /// From which score on a message is refused; never if it is 0.
    pub refuse: f64,
    /// Lists of addresses, in DNS.
    pub dnsbl: Vec<Dnsbl>,
    /// What each finding adds to the score.
    pub weights: Weights,
}

/// What becomes of a client that fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Courtesy {
    /// It is not looked at.
    #[default]
    Off,
    /// It counts.
    Mark,
    /// It is refused.
    Reject,
}

/// Five minutes, if nothing else is said.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Delay(pub Span);

impl Default for Delay {
    fn default() -> Self {
        Self(Span(std::time::Duration::from_secs(300)))
    }
}

/// `[[manners.dnsbl]]`: a list of addresses in DNS (RFC 5782).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Dnsbl {
    /// Where it is, such as `zen.spamhaus.org`.
    pub zone: String,
    /// What it adds to the score, which may be negative for a list of those who are trusted.
    #[serde(default)]
    pub weight: f64,
    /// Whether clients that are on it are refused.
    #[serde(default)]
    pub reject: bool,
    /// The answers that count; all in 127.0.0.0/8 if it is empty.
    #[serde(default)]
    pub answers: Networks,
}

/// `[manners.weights]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Weights {
    /// The name of HELO fails.
    pub helo: f64,
    /// The address has no name that leads back to it.
    pub reverse_name: f64,
    /// SPF says `fail`.
    pub spf_fail: f64,
    /// SPF says `softfail`.
    pub spf_softfail: f64,
    /// A signature does not hold, and none does.
    pub dkim_fail: f64,
    /// DMARC says `fail`.
    pub dmarc_fail: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            helo: 1.5,
            reverse_name: 1.5,
            spf_fail: 3.0,
            spf_softfail: 1.0,
            dkim_fail: 1.0,
            dmarc_fail: 3.0,
        }
    }
}

impl Manner {
    /// What is wrong, with the remedy.
    pub(crate) fn check(&self) -> Option<(&'static str, String)> {
        let is_host = |zone: &str| zone.contains('.') && !zone.starts_with('.') && zone.is_ascii();
        if let Some(bad) = self.dnsbl.iter().find(|one| !is_host(&one.zone)) {
            let what = format!(
                "\"{}\" is not a zone: write, for example, \"zen.spamhaus.org\"",
                bad.zone
            );
            return Some(("zone", what));
        }
        let weights = &self.weights;
        let weights = [
            weights.helo,
            weights.reverse_name,
            weights.spf_fail,
            weights.spf_softfail,
            weights.dkim_fail,
            weights.dmarc_fail,
        ];
        let lists = self.dnsbl.iter().map(|list| list.weight);
        if !lists.chain(weights).all(f64::is_finite) {
            return Some(("weights", "a weight is no number".into()));
        }
        for (key, score) in [("junk", self.junk), ("refuse", self.refuse)] {
            if !score.is_finite() || score < 0.0 {
                return Some((key, "a score is a number of 0 or more; 0 is never".into()));
            }
        }
        if self.refuse != 0.0 && self.refuse < self.junk {
            return Some((
                "refuse",
                "refuse is below junk: nothing would ever be junk".into(),
            ));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_and_a_weight_are_numbers() {
        assert!(Manner::default().check().is_none());
        for (junk, refuse, helo, expected) in [
            (f64::NAN, 0.0, 1.0, "junk"),
            (-1.0, 0.0, 1.0, "junk"),
            (1.0, f64::INFINITY, 1.0, "refuse"),
            (4.0, 9.0, f64::NAN, "weights"),
        ] {
            let mut manner = Manner::default();
            (manner.junk, manner.refuse, manner.weights.helo) = (junk, refuse, helo);
            let (key, _) = manner.check().unwrap();
            assert_eq!(key, expected);
        }
    }
}
