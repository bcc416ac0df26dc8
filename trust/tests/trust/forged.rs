//! Our own name in mail from outside: in no disguise is it accepted without proof, whatever the policies are.

use crate::world::{World, check, checker};
use hikyaku_trust::srs::Srs;
use hikyaku_trust::{Arrival, Decision, DmarcPolicy, Policy};
use std::sync::Arc;
use std::time::SystemTime;

const RECORDS: &str = "
    our.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.our.test TXT v=DMARC1; p=none
    ourlate.our.test TXT v=spf1 include:timeout.test
    timeout.test TIMEOUT
    evil.test TXT v=spf1 +all
    mx.our.test TXT v=spf1 ip4:192.0.2.1 -all
    gate.our.test A 198.51.100.9
    198.51.100.9 PTR gate.our.test
    198.51.100.1 PTR mail.evil.test
    mail.evil.test A 198.51.100.1
    ";

/// From fields of a stranger who sends with a reverse-path of their own.
const FORGED: &[&str] = &[
    "From: ceo@our.test",
    "FROM: CEO@OUR.TEST",
    "From : ceo@our.test",
    "From:\r\n ceo@our.test",
    "From: The Boss <ceo@our.test>",
    "From: ceo@our.test <x@evil.test>",
    "From: x@evil.test, ceo@our.test",
    "From: ceo@our.test, x@evil.test",
    "From: x@evil.test\r\nFrom: ceo@our.test",
    "From: ceo@our.test\r\nFrom: x@evil.test",
    "From: ceo@(hidden)our.test",
    "From: ceo@our\r\n .test",
    "From: ceo @ our . test",
    "From: \"ceo\"@our.test",
    "From: \"x@evil.test\"@our.test",
    "From: <@evil.test:ceo@our.test>",
    "From: team: ceo@our.test;",
    "From: ceo@our.test.",
    "From: ceo@mail.our.test",
    "From: ceo@\u{ff4f}ur.test",
    "From: ceo@our\u{3002}test",
    "From: =?utf-8?q?ceo=40our.test?=",
    "From: =?utf-8?b?Y2VvQG91ci50ZXN0?=",
    "From: \"The Boss <ceo@our.test>",
    "From: (The Boss <ceo@our.test>",
    "From: ceo@our.test\x00",
    "From: ceo@our.test\x01evil.test",
    "From: ceo@[our.test]",
    "From: <ceo@our.test",
];

fn decide(
    policy: Policy,
    dmarc: DmarcPolicy,
    from: &str,
    helo: &str,
    mail_from: &str,
    address: [u8; 4],
) -> Decision {
    let world = World::new(RECORDS);
    let mut checker = checker(&world);
    checker.policies.spf = policy;
    checker.policies.dkim = policy;
    checker.policies.iprev = policy;
    checker.policies.arc = policy;
    checker.policies.dmarc = dmarc;
    let message = format!("{from}\r\nTo: ann@our.test\r\nSubject: x\r\n\r\nHello\r\n");
    let arrival = Arrival {
        address: address.into(),
        helo,
        mail_from,
        message: message.as_bytes(),
    };
    check(&checker, arrival).decision
}

const STRANGER: [u8; 4] = [198, 51, 100, 1];
const OURS: [u8; 4] = [192, 0, 2, 1];

#[test]
fn a_path_that_was_rewritten_here_may_come_back() {
    let srs = Srs::new("our.test", b"a secret").unwrap();
    let ours = srs.forward("x@else.test", SystemTime::now()).unwrap();
    let forged = ours.replace("=x@", "=y@");
    let is_refused = |from: &str, helo: &str, mail_from: &str| {
        let mut checker = checker(&World::new(RECORDS));
        let srs = srs.clone();
        checker.is_rewritten = Some(Arc::new(move |path| {
            srs.reverse(path, SystemTime::now()).is_ok()
        }));
        let message = format!("From: {from}\r\n\r\nHello\r\n");
        let arrival = Arrival {
            address: STRANGER.into(),
            helo,
            mail_from,
            message: message.as_bytes(),
        };
        matches!(check(&checker, arrival).decision, Decision::Refuse(_))
    };
    let helo = "mail.evil.test";
    assert!(!is_refused("x@else.test", helo, &ours));
    assert!(is_refused("x@else.test", helo, &forged));
    assert!(is_refused("x@else.test", helo, "x@our.test"));
    // It proves neither an author nor a host.
    assert!(is_refused("ceo@our.test", helo, &ours));
    assert!(is_refused("x@else.test", "mx.our.test", &ours));
}

#[test]
fn our_name_does_not_hide_behind_what_is_not_read() {
    for filler in [
        "@".repeat(1001),
        " ".repeat(1 << 16),
        "x@evil.test, ".repeat(1000),
    ] {
        let from = format!("From: x@evil.test, {filler} ceo@our.test");
        for (policy, dmarc) in [
            (Policy::Off, DmarcPolicy::Off),
            (Policy::Mark, DmarcPolicy::Honour),
        ] {
            let decision = decide(
                policy,
                dmarc,
                &from,
                "mail.evil.test",
                "x@evil.test",
                STRANGER,
            );
            assert!(matches!(decision, Decision::Refuse(_)), "{decision:?}");
        }
    }
}

#[test]
fn no_forged_author_is_accepted() {
    let mut wrong = Vec::new();
    for from in FORGED {
        for (policy, dmarc) in [
            (Policy::Off, DmarcPolicy::Off),
            (Policy::Mark, DmarcPolicy::Honour),
        ] {
            let decision = decide(
                policy,
                dmarc,
                from,
                "mail.evil.test",
                "x@evil.test",
                STRANGER,
            );
            if !matches!(decision, Decision::Refuse(_)) {
                wrong.push(format!("{from:?} {policy:?}: {decision:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_forged_envelope_is_accepted() {
    for (helo, mail_from) in [
        ("mail.evil.test", "ceo@our.test"),
        ("mail.evil.test", "CEO@Our.Test."),
        ("mail.evil.test", "ceo@sub.our.test"),
        ("mail.evil.test", "\"ceo@evil.test\"@our.test"),
        ("our.test", "x@evil.test"),
        ("mx.our.test", "x@evil.test"),
        ("MX.OUR.TEST", ""),
        ("gate.our.test", "x@evil.test"),
    ] {
        for policy in [Policy::Off, Policy::Mark] {
            let decision = decide(
                policy,
                DmarcPolicy::Off,
                "From: x@evil.test",
                helo,
                mail_from,
                STRANGER,
            );
            assert!(
                matches!(decision, Decision::Refuse(_)),
                "{helo} {mail_from}: {decision:?}"
            );
        }
    }
}

#[test]
fn what_is_ours_is_accepted() {
    for (from, helo, mail_from, address) in [
        ("From: ceo@our.test", "mail.evil.test", "ceo@our.test", OURS),
        ("From: x@evil.test", "mx.our.test", "x@evil.test", OURS),
        // The address has that very name.
        (
            "From: x@evil.test",
            "gate.our.test",
            "x@evil.test",
            [198, 51, 100, 9],
        ),
        // Not ours.
        (
            "From: ceo@bour.test",
            "mail.evil.test",
            "x@evil.test",
            STRANGER,
        ),
        (
            "From: ceo@our.test.evil.test",
            "mail.evil.test",
            "x@evil.test",
            STRANGER,
        ),
        (
            "From: \"ceo@our.test\" <x@evil.test>",
            "mail.evil.test",
            "x@evil.test",
            STRANGER,
        ),
    ] {
        let decision = decide(
            Policy::Off,
            DmarcPolicy::Off,
            from,
            helo,
            mail_from,
            address,
        );
        assert_eq!(decision, Decision::Accept, "{from} {helo} {mail_from}");
    }
}

#[test]
fn another_domain_of_ours_proves_nothing() {
    // SPF passes for our.test; the author is one below it.
    let decision = decide(
        Policy::Off,
        DmarcPolicy::Off,
        "From: ceo@sub.our.test",
        "h.test",
        "x@our.test",
        OURS,
    );
    assert!(matches!(decision, Decision::Refuse(_)), "{decision:?}");
}

#[test]
fn what_cannot_be_proven_now_is_deferred() {
    let from = "From: ceo@ourlate.our.test";
    let decision = decide(
        Policy::Off,
        DmarcPolicy::Off,
        from,
        "h.test",
        "x@ourlate.our.test",
        OURS,
    );
    let Decision::Defer(reply) = decision else {
        panic!("{decision:?}")
    };
    assert!(reply.to_string().starts_with("451 4.7.24 "), "{reply}");
}
