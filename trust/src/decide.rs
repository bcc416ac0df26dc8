//! From verdicts and policies to a decision.

use crate::decision::{Decision, Reply};
use crate::outcome::Outcome;
use crate::policy::{DmarcPolicy, Policies, Policy};
use crate::verdicts::{Dmarc, Spf, Verdicts, Wish};

/// Decides. `sample` is a number below a hundred, for `pct=`. What is refused for good outdoes what is deferred, and that
/// what is quarantined.
pub(crate) fn decide(policies: &Policies, verdicts: &Verdicts, sample: u8) -> Decision {
    let mut all = Vec::new();
    if policies.spf == Policy::Reject {
        let both = [&verdicts.spf, &verdicts.spf_helo];
        all.extend(both.into_iter().flatten().find_map(spf));
    }
    if policies.iprev == Policy::Reject {
        all.extend(iprev(verdicts));
    }
    if policies.dkim == Policy::Reject {
        all.extend(dkim(verdicts));
    }
    if let Some(verdict) = &verdicts.dmarc {
        all.extend(dmarc(policies.dmarc, verdict, sample));
    }
    if policies.arc == Policy::Reject {
        all.extend(arc(verdicts));
    }
    strictest(all)
}

fn strictest(all: Vec<Decision>) -> Decision {
    let is_refused = |one: &&Decision| matches!(one, Decision::Refuse(_));
    let refusals: Vec<&Reply> = all
        .iter()
        .filter(is_refused)
        .filter_map(|one| match one {
            Decision::Refuse(reply) => Some(reply),
            _ => None,
        })
        .collect();
    if let [first, _, ..] = refusals.as_slice() {
        // RFC 7372 §3.4.
        let text = format!("several authentication checks failed: {}", first.text);
        return Decision::Refuse(Reply::never(26, text));
    }
    let rank = |one: &Decision| match one {
        Decision::Accept => 0,
        Decision::Quarantine { .. } => 1,
        Decision::Defer(_) => 2,
        Decision::Refuse(_) => 3,
    };
    // The first of equals.
    let strictest = all.into_iter().rev().max_by_key(rank);
    strictest.unwrap_or(Decision::Accept)
}

fn spf(verdict: &Spf) -> Option<Decision> {
    let domain = &verdict.domain;
    match verdict.outcome {
        Outcome::Fail => {
            let text = match &verdict.explanation {
                // RFC 7208 §8.4: it has to be clear whose words these are.
                Some(words) => format!("SPF validation failed; {domain} explains: {words}"),
                None => format!("SPF validation failed for {domain}"),
            };
            Some(Decision::Refuse(Reply::never(23, text)))
        }
        Outcome::PermError => {
            let why = verdict.reason.as_deref().unwrap_or_default();
            let text = format!("SPF validation error for {domain}: {why}");
            Some(Decision::Refuse(Reply::never(24, text)))
        }
        Outcome::TempError => {
            let text = format!("SPF cannot be checked for {domain} now");
            Some(Decision::Defer(Reply::later(24, text)))
        }
        _ => None,
    }
}

fn iprev(verdicts: &Verdicts) -> Option<Decision> {
    match verdicts.iprev.as_ref()?.outcome {
        Outcome::Pass => None,
        Outcome::TempError => {
            let text = "reverse DNS cannot be checked now";
            Some(Decision::Defer(Reply::later(25, text)))
        }
        _ => {
            let text = format!("reverse DNS validation failed for {}", verdicts.address);
            Some(Decision::Refuse(Reply::never(25, text)))
        }
    }
}

fn dkim(verdicts: &Verdicts) -> Option<Decision> {
    let signatures = verdicts.dkim.as_ref()?;
    let any = |outcome| signatures.iter().any(|one| one.outcome == outcome);
    if any(Outcome::Pass) {
        return None;
    }
    if any(Outcome::TempError) {
        // RFC 6376 §6.3.
        let text = "unable to verify signature - key server unavailable";
        return Some(Decision::Defer(Reply::later(5, text)));
    }
    Some(Decision::Refuse(Reply::never(
        20,
        "no passing DKIM signature found",
    )))
}

fn arc(verdicts: &Verdicts) -> Option<Decision> {
    match verdicts.arc.as_ref()?.outcome {
        Outcome::Pass | Outcome::None => None,
        Outcome::TempError => {
            let text = "unable to verify ARC - key server unavailable";
            Some(Decision::Defer(Reply::later(5, text)))
        }
        // RFC 8617 §5.2.2.
        _ => Some(Decision::Refuse(Reply::never(29, "ARC validation failure"))),
    }
}

fn dmarc(policy: DmarcPolicy, verdict: &Dmarc, sample: u8) -> Option<Decision> {
    let domain = &verdict.domain;
    let refusal = |text: String| Some(Decision::Refuse(Reply::never(1, text)));
    let is_strict = match policy {
        DmarcPolicy::Off | DmarcPolicy::Mark => return None,
        DmarcPolicy::Honour => false,
        DmarcPolicy::Reject => true,
    };
    let wish = verdict.wish.unwrap_or(Wish::None);
    match verdict.outcome {
        Outcome::Fail => {
            let wish = match sample < verdict.percent {
                true => wish,
                false => wish.milder(),
            };
            match wish {
                _ if is_strict => refusal(format!("{domain} is not authenticated (DMARC)")),
                // RFC 7489 §10.3.
                Wish::Reject => refusal(format!("rejected per DMARC policy for {domain}")),
                Wish::Quarantine => Some(Decision::Quarantine {
                    reason: format!("DMARC policy of {domain}"),
                }),
                Wish::None => None,
            }
        }
        // What cannot be checked may not pass as if it had been, where the domain minds.
        Outcome::TempError if is_strict || wish > Wish::None => {
            let text = format!("DMARC of {domain} cannot be checked now");
            Some(Decision::Defer(Reply::later(1, text)))
        }
        Outcome::PermError => {
            let reason = verdict.reason.clone().unwrap_or_default();
            match is_strict {
                true => refusal(format!("DMARC: {reason}")),
                false => Some(Decision::Quarantine { reason }),
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a message that fails, with that share and that number.
    fn decided(wish: Wish, percent: u8, sample: u8) -> &'static str {
        let verdict = Dmarc {
            domain: "one.test".to_owned(),
            outcome: Outcome::Fail,
            is_spf_aligned: false,
            is_dkim_aligned: false,
            wish: Some(wish),
            percent,
            published: None,
            reason: None,
        };
        match dmarc(DmarcPolicy::Honour, &verdict, sample) {
            None => "accept",
            Some(Decision::Quarantine { .. }) => "quarantine",
            Some(Decision::Refuse(_)) => "refuse",
            Some(_) => "other",
        }
    }

    #[test]
    fn a_share_of_the_messages_meets_the_whole_policy() {
        for (percent, sample, is_in_share) in [
            (0, 0, false),
            (0, 99, false),
            (1, 0, true),
            (1, 1, false),
            (50, 49, true),
            (50, 50, false),
            (99, 98, true),
            (99, 99, false),
            (100, 0, true),
            (100, 99, true),
        ] {
            let seen = [Wish::Reject, Wish::Quarantine, Wish::None]
                .map(|wish| decided(wish, percent, sample));
            let want = match is_in_share {
                true => ["refuse", "quarantine", "accept"],
                // RFC 7489 §6.6.4.
                false => ["quarantine", "accept", "accept"],
            };
            assert_eq!(seen, want, "{percent} {sample}");
        }
        // Each share has as many of a hundred numbers.
        for percent in 0..=100 {
            let refused =
                (0..100).filter(|sample| decided(Wish::Reject, percent, *sample) == "refuse");
            assert_eq!(refused.count(), usize::from(percent));
        }
    }
}
