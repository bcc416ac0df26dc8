//! Every check off, marking and rejecting: what is written, and what is answered.

use crate::world::{World, check, checker};
use hikyaku_trust::{Arrival, Checked, Decision, DmarcPolicy, Policies, Policy};

const RECORDS: &str = "
    none.test A 192.0.2.1
    fail.test TXT v=spf1 -all
    wrong.test TXT v=spf1 what
    late.test TIMEOUT
    _dmarc.fail.test TXT v=DMARC1; p=reject
    198.51.100.7 TIMEOUT
    ";
const SEAL: &str = "ARC-Seal: i=1; a=rsa-sha256; d=x.test; s=s; cv=none; b=AAAA\r\n";
const UNSIGNED: &str = "";
const LATE: &str = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=late; c=relaxed/relaxed; h=from;\r\n\
    \tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA;\r\n";

/// Sets one policy.
type Set = fn(&mut Policies, Policy);

/// The check, how its policy is set, what is sent, its word in the field, and the reply when it rejects.
const ROWS: &[(&str, Set, [&str; 3], &str, &str)] = &[
    (
        "spf",
        |all, one| all.spf = one,
        ["198.51.100.1", "x@fail.test", UNSIGNED],
        "spf=fail",
        "550 5.7.23 ",
    ),
    (
        "spf",
        |all, one| all.spf = one,
        ["198.51.100.1", "x@wrong.test", UNSIGNED],
        "spf=permerror",
        "550 5.7.24 ",
    ),
    (
        "spf",
        |all, one| all.spf = one,
        ["198.51.100.1", "x@late.test", UNSIGNED],
        "spf=temperror",
        "451 4.7.24 ",
    ),
    (
        "spf",
        |all, one| all.spf = one,
        ["198.51.100.1", "x@none.test", UNSIGNED],
        "spf=none",
        "",
    ),
    (
        "dkim",
        |all, one| all.dkim = one,
        ["198.51.100.1", "x@none.test", UNSIGNED],
        "dkim=none",
        "550 5.7.20 ",
    ),
    (
        "dkim",
        |all, one| all.dkim = one,
        ["198.51.100.1", "x@none.test", LATE],
        "dkim=temperror",
        "451 4.7.5 ",
    ),
    (
        "arc",
        |all, one| all.arc = one,
        ["198.51.100.1", "x@none.test", SEAL],
        "arc=fail",
        "550 5.7.29 ",
    ),
    (
        "arc",
        |all, one| all.arc = one,
        ["198.51.100.1", "x@none.test", UNSIGNED],
        "arc=none",
        "",
    ),
    (
        "iprev",
        |all, one| all.iprev = one,
        ["198.51.100.1", "x@none.test", UNSIGNED],
        "iprev=permerror",
        "550 5.7.25 ",
    ),
    (
        "iprev",
        |all, one| all.iprev = one,
        ["198.51.100.7", "x@none.test", UNSIGNED],
        "iprev=temperror",
        "451 4.7.25 ",
    ),
    // As a socket for both kinds of addresses has it.
    (
        "iprev",
        |all, one| all.iprev = one,
        ["::ffff:198.51.100.7", "x@none.test", UNSIGNED],
        "iprev=temperror",
        "451 4.7.25 ",
    ),
];

fn arrive(policies: Policies, [address, mail_from, field]: [&str; 3], from: &str) -> Checked {
    let world = World::new(RECORDS);
    world.add("late._domainkey.x.test", "TIMEOUT", "");
    let mut checker = checker(&world);
    checker.policies = policies;
    // The hash in the signature is that of an empty body.
    let message = format!("{field}From: {from}\r\nSubject: x\r\n\r\n");
    let arrival = Arrival {
        address: address.parse().unwrap(),
        helo: "h.none.test",
        mail_from,
        message: message.as_bytes(),
    };
    check(&checker, arrival)
}

fn off() -> Policies {
    let mut policies = Policies::default();
    policies.spf = Policy::Off;
    policies.dkim = Policy::Off;
    policies.dmarc = DmarcPolicy::Off;
    policies.arc = Policy::Off;
    policies.iprev = Policy::Off;
    policies
}

#[test]
fn each_check_is_off_marks_or_rejects() {
    for (name, set, sent, word, reply) in ROWS {
        for policy in [Policy::Off, Policy::Mark, Policy::Reject] {
            let mut policies = off();
            set(&mut policies, policy);
            let checked = arrive(policies, *sent, "x@none.test");
            let is_written = checked.fields.contains(word);
            assert_eq!(
                is_written,
                policy != Policy::Off,
                "{name} {policy:?}: {}",
                checked.fields
            );
            let said = match &checked.decision {
                Decision::Accept => String::new(),
                Decision::Refuse(reply) | Decision::Defer(reply) => reply.to_string(),
                other => format!("{other:?}"),
            };
            match (policy, *reply) {
                (Policy::Reject, reply) if !reply.is_empty() => {
                    assert!(said.starts_with(reply), "{name} {word}: {said}");
                }
                _ => assert_eq!(said, "", "{name} {word} {policy:?}"),
            }
        }
    }
}

#[test]
fn dmarc_is_off_marks_honours_or_rejects() {
    let sent = ["198.51.100.1", "x@none.test", ""];
    for (policy, from, want, is_written) in [
        (DmarcPolicy::Off, "x@fail.test", "", false),
        (DmarcPolicy::Mark, "x@fail.test", "", true),
        (
            DmarcPolicy::Honour,
            "x@fail.test",
            "550 5.7.1 rejected per DMARC policy for fail.test",
            true,
        ),
        (
            DmarcPolicy::Reject,
            "x@fail.test",
            "550 5.7.1 fail.test is not authenticated (DMARC)",
            true,
        ),
        (DmarcPolicy::Honour, "x@none.test", "", true),
        (DmarcPolicy::Reject, "x@none.test", "", true),
        (
            DmarcPolicy::Reject,
            "nobody",
            "550 5.7.1 DMARC: no author",
            true,
        ),
    ] {
        let mut policies = off();
        policies.dmarc = policy;
        let checked = arrive(policies, sent, from);
        let said = match &checked.decision {
            Decision::Accept => String::new(),
            Decision::Refuse(reply) => reply.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(said, want, "{policy:?} {from}");
        assert_eq!(
            checked.fields.contains("dmarc="),
            is_written,
            "{policy:?} {from}"
        );
    }
}

#[test]
fn nothing_checked_is_said() {
    let checked = arrive(off(), ["198.51.100.1", "x@none.test", ""], "x@none.test");
    assert_eq!(
        checked.fields,
        "Authentication-Results: mx.our.test; none\r\n"
    );
}

#[test]
fn several_failures_have_a_code_of_their_own() {
    let mut policies = off();
    policies.spf = Policy::Reject;
    policies.dkim = Policy::Reject;
    let checked = arrive(policies, ["198.51.100.1", "x@fail.test", ""], "x@none.test");
    let Decision::Refuse(reply) = checked.decision else {
        panic!()
    };
    assert_eq!(
        reply.to_string(),
        "550 5.7.26 several authentication checks failed: SPF validation failed for fail.test"
    );
}

#[test]
fn results_in_our_name_are_found() {
    let forged = "Authentication-Results: MX.our.TEST (x) 1; dkim=pass header.d=bank.test\r\n";
    let checked = arrive(
        off(),
        ["198.51.100.1", "x@none.test", forged],
        "x@none.test",
    );
    let [place] = checked.foreign.as_slice() else {
        panic!("{:?}", checked.foreign)
    };
    assert_eq!(*place, 0..forged.len());
}
