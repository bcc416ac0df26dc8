//! The score of a message: what speaks against it, added up, in a header field that says why.

use hikyaku_trust::{Outcome, Verdicts};
use std::fmt::Write as _;

use super::mark::Mark;
use super::settings::Weights;

/// The field. Nobody else may have written it.
pub(crate) const FIELD: &str = "X-Hikyaku-Score";
/// Longer lines are folded (RFC 5322 §2.1.1).
const LINE: usize = 78;

/// What speaks against a message, and for it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Score {
    findings: Vec<(String, f64)>,
}

impl Score {
    /// Adds up what was found out about the client and about the message.
    pub(crate) fn new(marks: &[Mark], verdicts: Option<&Verdicts>, weights: &Weights) -> Self {
        let marks = marks.iter().map(|mark| (mark.name.clone(), mark.weight));
        let mut findings: Vec<_> = marks.collect();
        if let Some(verdicts) = verdicts {
            checks(verdicts, weights, &mut findings);
        }
        findings.retain(|(_, weight)| *weight != 0.0);
        Self { findings }
    }

    pub(crate) fn total(&self) -> f64 {
        self.findings.iter().map(|(_, weight)| weight).sum()
    }

    /// In one line: the sum, and what it is made of.
    pub(crate) fn words(&self) -> String {
        let mut words = number(self.total());
        for (name, weight) in &self.findings {
            let _ = write!(words, " {}={}", visible(name), number(*weight));
        }
        words
    }

    /// The header field, with its end.
    pub(crate) fn field(&self) -> String {
        let (mut field, mut length) = (format!("{FIELD}:"), FIELD.len() + 1);
        for word in self.words().split(' ') {
            if length + 1 + word.len() > LINE {
                field += "\r\n\t";
                length = 8;
            } else {
                field.push(' ');
                length += 1;
            }
            field += word;
            length += word.len();
        }
        field + "\r\n"
    }
}

/// What the checks of [`hikyaku_trust`] add.
fn checks(verdicts: &Verdicts, weights: &Weights, findings: &mut Vec<(String, f64)>) {
    let mut add = |name: &str, weight| findings.push((name.to_owned(), weight));
    match verdicts.spf.as_ref().map(|spf| spf.outcome) {
        Some(Outcome::Fail) => add("spf-fail", weights.spf_fail),
        Some(Outcome::SoftFail) => add("spf-softfail", weights.spf_softfail),
        _ => {}
    }
    if let Some(signatures) = &verdicts.dkim {
        let is = |outcome| signatures.iter().any(|one| one.outcome == outcome);
        if is(Outcome::Fail) && !is(Outcome::Pass) {
            add("dkim-fail", weights.dkim_fail);
        }
    }
    if verdicts
        .dmarc
        .as_ref()
        .is_some_and(|dmarc| dmarc.outcome == Outcome::Fail)
    {
        add("dmarc-fail", weights.dmarc_fail);
    }
    // Where the client's name is looked at by itself, it has counted already.
    let is_counted = findings
        .iter()
        .any(|(name, _)| name.starts_with("reverse-name"));
    let iprev = verdicts.iprev.as_ref().map(|iprev| iprev.outcome);
    if !is_counted && matches!(iprev, Some(Outcome::Fail | Outcome::PermError)) {
        findings.push(("iprev-fail".to_owned(), weights.reverse_name));
    }
}

/// A number with one digit behind its point at most.
fn number(value: f64) -> String {
    // Of nothing the sum is -0.
    let tenths = (value * 10.0).round() + 0.0;
    let text = format!("{:.1}", tenths / 10.0);
    text.strip_suffix(".0")
        .map_or(text.clone(), ToOwned::to_owned)
}

/// Without spaces and what is not visible: words that stand in a header field.
fn visible(text: &str) -> String {
    let visible = |c: char| if matches!(c, '!'..='~') { c } else { '-' };
    text.chars().map(visible).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_how_much_and_why() {
        let weights = Weights::default();
        let marks = [
            Mark::new("helo(no domain)", 1.5),
            Mark::new("dnsbl(zen.spamhaus.org)", 4.0),
            Mark::new("dnsbl(nothing.test)", 0.0),
            Mark::new("dnsbl(list.dnswl.org)", -2.25),
        ];
        let score = Score::new(&marks, None, &weights);
        assert!((score.total() - 3.25).abs() < 1e-9);
        assert_eq!(
            score.field(),
            "X-Hikyaku-Score: 3.3 helo(no-domain)=1.5 dnsbl(zen.spamhaus.org)=4\r\n\tdnsbl(list.dnswl.org)=-2.3\r\n"
        );
        assert_eq!(
            Score::new(&[], None, &weights).field(),
            "X-Hikyaku-Score: 0\r\n"
        );
    }

    #[test]
    fn what_strangers_wrote_begins_no_other_field() {
        let mark = Mark::new("helo(x\r\nX-Spam: no\u{7f}é)", 1.0);
        let field = Score::new(&[mark], None, &Weights::default()).field();
        assert_eq!(field, "X-Hikyaku-Score: 1 helo(x--X-Spam:-no--)=1\r\n");
    }
}
