//! DMARC, as rows: what the author's domain published, what passed, and what comes of it.
//!
//! All mail comes from 192.0.2.1, which may send for `*.test` names that have SPF in the records.

use crate::world::{World, check, checker};
use hikyaku_trust::{Arrival, Decision, Outcome};

/// SPF that 192.0.2.1 passes, and one that it fails.
const SPF: &str = "
    good.test TXT v=spf1 ip4:192.0.2.1 -all
    sub.good.test TXT v=spf1 ip4:192.0.2.1 -all
    a.b.good.test TXT v=spf1 ip4:192.0.2.1 -all
    else.test TXT v=spf1 ip4:192.0.2.1 -all
    notgood.test TXT v=spf1 ip4:192.0.2.1 -all
    bad.test TXT v=spf1 -all
    late.test TXT v=spf1 include:timeout.test
    timeout.test TIMEOUT
    ";

/// Records of DMARC, From, MAIL FROM, result, decision.
const ROWS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@sub.good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@sub.good.test",
        "x@good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@c.good.test",
        "x@a.b.good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@GOOD.Test",
        "x@Good.TEST",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@notgood.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=quarantine",
        "x@good.test",
        "x@else.test",
        "fail",
        "quarantine",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=none",
        "x@good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    // Strict alignment.
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; aspf=s",
        "x@good.test",
        "x@good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; aspf=s",
        "x@good.test",
        "x@sub.good.test",
        "fail",
        "refuse",
    ),
    // Subdomains.
    (
        "_dmarc.good.test TXT v=DMARC1; p=none; sp=reject",
        "x@good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=none; sp=reject\nsub.good.test A 192.0.2.9",
        "x@sub.good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; sp=none\nsub.good.test A 192.0.2.9",
        "x@sub.good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject\n_dmarc.sub.good.test TXT v=DMARC1; p=none",
        "x@sub.good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=none; np=reject\nsub.good.test A 192.0.2.9",
        "x@sub.good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=none; np=reject",
        "x@absent.good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=none; np=reject; t=y",
        "x@absent.good.test",
        "x@else.test",
        "fail",
        "quarantine",
    ),
    // A public suffix has a record of its own.
    (
        "_dmarc.test TXT v=DMARC1; p=reject; psd=y",
        "x@good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.test TXT v=DMARC1; p=reject; psd=y",
        "x@good.test",
        "x@good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.test TXT v=DMARC1; p=none; psd=y\n_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@notgood.test",
        "fail",
        "refuse",
    ),
    // Shares and tests.
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; pct=0",
        "x@good.test",
        "x@else.test",
        "fail",
        "quarantine",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=quarantine; pct=0",
        "x@good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; pct=100",
        "x@good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; pct=200",
        "x@good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject; t=y",
        "x@good.test",
        "x@else.test",
        "fail",
        "quarantine",
    ),
    // What is no record.
    ("", "x@good.test", "x@else.test", "none", "accept"),
    (
        "_dmarc.good.test TXT v=spf1 -all",
        "x@good.test",
        "x@else.test",
        "none",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject\n_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@else.test",
        "none",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject\n_dmarc.good.test TXT other",
        "x@good.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; rua=mailto:a@good.test",
        "x@good.test",
        "x@else.test",
        "fail",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1;",
        "x@good.test",
        "x@else.test",
        "none",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=what",
        "x@good.test",
        "x@else.test",
        "none",
        "accept",
    ),
    // What is not known.
    (
        "_dmarc.good.test TIMEOUT",
        "x@good.test",
        "x@good.test",
        "temperror",
        "accept",
    ),
    (
        "_dmarc.late.test TXT v=DMARC1; p=reject",
        "x@late.test",
        "x@late.test",
        "temperror",
        "defer",
    ),
    (
        "_dmarc.late.test TXT v=DMARC1; p=none",
        "x@late.test",
        "x@late.test",
        "temperror",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test",
        "x@late.test",
        "fail",
        "refuse",
    ),
    // Authors.
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test, y@good.test",
        "x@good.test",
        "pass",
        "accept",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test, y@else.test",
        "x@else.test",
        "permerror",
        "quarantine",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test <y@else.test>",
        "x@else.test",
        "permerror",
        "quarantine",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "x@good.test\r\nFrom: y@else.test",
        "x@else.test",
        "permerror",
        "quarantine",
    ),
    (
        "_dmarc.good.test TXT v=DMARC1; p=reject",
        "\"x@good.test\" <y@else.test>",
        "y@else.test",
        "none",
        "accept",
    ),
    ("", "nobody", "x@else.test", "permerror", "quarantine"),
    (
        "_dmarc.xn--bcher-kva.test TXT v=DMARC1; p=reject",
        "x@b\u{fc}cher.test",
        "x@else.test",
        "fail",
        "refuse",
    ),
];

#[test]
fn each_row_has_its_result() {
    let mut wrong = Vec::new();
    for (records, from, mail_from, want, decision) in ROWS {
        let world = World::new(&format!("{SPF}\n{records}"));
        let message = format!("From: {from}\r\nSubject: x\r\n\r\nHello\r\n");
        let arrival = Arrival {
            address: [192, 0, 2, 1].into(),
            helo: "h.else.test",
            mail_from,
            message: message.as_bytes(),
        };
        let checked = check(&checker(&world), arrival);
        let dmarc = checked.verdicts.dmarc.unwrap();
        let done = match checked.decision {
            Decision::Accept => "accept",
            Decision::Quarantine { .. } => "quarantine",
            Decision::Refuse(_) => "refuse",
            Decision::Defer(_) => "defer",
            _ => "?",
        };
        if (dmarc.outcome.word(), done) != (*want, *decision) {
            wrong.push(format!(
                "{records}\n  {from} {mail_from}: {} {done} ({:?}), not {want} {decision}",
                dmarc.outcome, dmarc.reason
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_policy_is_refused_with_its_code() {
    let world = World::new(&format!("{SPF}\n_dmarc.good.test TXT v=DMARC1; p=reject"));
    let arrival = Arrival {
        address: [192, 0, 2, 1].into(),
        helo: "h.else.test",
        mail_from: "x@else.test",
        message: b"From: x@good.test\r\n\r\n",
    };
    let checked = check(&checker(&world), arrival);
    let Decision::Refuse(reply) = checked.decision else {
        panic!()
    };
    assert_eq!(
        reply.to_string(),
        "550 5.7.1 rejected per DMARC policy for good.test"
    );
    assert_eq!(checked.verdicts.dmarc.unwrap().outcome, Outcome::Fail);
    let want = "dmarc=fail reason=\"neither SPF nor DKIM passes with this domain\"\r\n\theader.from=good.test policy.dmarc=reject";
    assert!(checked.fields.contains(want), "{}", checked.fields);
}

#[test]
fn a_sender_cannot_keep_dmarc_from_asking() {
    // Ten terms with ten hosts each for HELO, and again for MAIL FROM.
    let mut records = String::from("_dmarc.good.test TXT v=DMARC1; p=reject\n");
    for domain in ["greedy.test", "h.greedy.test"] {
        let terms: Vec<String> = (0..10).map(|one| format!("mx:m{one}.test")).collect();
        records += &format!("{domain} TXT v=spf1 {} +all\n", terms.join(" "));
    }
    for one in 0..100 {
        records += &format!("m{}.test MX x{one}.test\n", one % 10);
    }
    let world = World::new(&records);
    let arrival = Arrival {
        address: [192, 0, 2, 1].into(),
        helo: "h.greedy.test",
        mail_from: "x@greedy.test",
        message: b"From: x@good.test\r\n\r\n",
    };
    let checked = check(&checker(&world), arrival);
    assert!(world.asked() > 200, "{}", world.asked());
    assert!(
        matches!(checked.decision, Decision::Refuse(_)),
        "{:?}",
        checked.decision
    );
}
