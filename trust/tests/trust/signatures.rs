//! Signatures and seals that are made here, verified here: what they hold against, and what a message may cost.

use crate::world::{World, check, checker};
use hikyaku_trust::signing::{Algorithm, Key, Signer};
use hikyaku_trust::{Arrival, Checked, Decision, Outcome};
use std::sync::Arc;
use std::time::SystemTime;

const MESSAGE: &str = "From: Ann <ann@one.test>\r\nTo: bob@our.test\r\nSubject: Hello\r\n\
    Date: Mon, 1 Jan 2024 10:00:00 +0000\r\nMessage-ID: <1@one.test>\r\n\r\nHello  Bob\r\n\r\n\r\n";

/// A signer for a domain, with both kinds of keys, which are published.
fn signer(world: &World, domain: &str) -> Signer {
    let mut signer = Signer::default();
    for (selector, algorithm) in [("rsa", Algorithm::Rsa), ("ed", Algorithm::Ed25519)] {
        let key = Key::generate(algorithm).unwrap();
        world.add(
            &format!("{selector}._domainkey.{domain}"),
            "TXT",
            &key.record(),
        );
        signer.add(domain, selector, key).unwrap();
    }
    signer
}

fn arrive(world: &Arc<World>, message: &str) -> Checked {
    let arrival = Arrival {
        address: [192, 0, 2, 1].into(),
        helo: "mail.one.test",
        mail_from: "ann@elsewhere.test",
        message: message.as_bytes(),
    };
    check(&checker(world), arrival)
}

fn outcomes(checked: &Checked) -> Vec<(&'static str, Outcome)> {
    let all = checked.verdicts.dkim.iter().flatten();
    all.map(|one| (one.algorithm, one.outcome)).collect()
}

#[test]
fn both_algorithms_pass_and_align() {
    let world = World::new("_dmarc.one.test TXT v=DMARC1; p=reject; adkim=s");
    let signed = signer(&world, "one.test")
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    let checked = arrive(&world, &signed);
    let both = [
        ("rsa-sha256", Outcome::Pass),
        ("ed25519-sha256", Outcome::Pass),
    ];
    assert_eq!(outcomes(&checked), both, "{:?}", checked.verdicts.dkim);
    assert_eq!(checked.decision, Decision::Accept);
    assert_eq!(
        checked.verdicts.dmarc.as_ref().unwrap().outcome,
        Outcome::Pass
    );
    let field = "dkim=pass header.d=one.test header.s=rsa header.a=rsa-sha256 header.b=";
    assert!(
        checked.fields.replace("\r\n\t", " ").contains(field),
        "{}",
        checked.fields
    );

    // Canonicalization (RFC 6376 §3.4): spaces and empty lines at the end do not count.
    let looser = signed
        .replace("Subject: Hello", "subject:  Hello ")
        .replace("Hello  Bob\r\n\r\n\r\n", "Hello Bob \r\n");
    assert_eq!(outcomes(&arrive(&world, &looser)), both);

    for (what, changed) in [
        ("the body", signed.replace("Hello  Bob", "Hello Eve")),
        (
            "the subject",
            signed.replace("Subject: Hello", "Subject: Money"),
        ),
        (
            "an author in front",
            signed.replace("From: Ann", "From: eve@one.test\r\nFrom: Ann"),
        ),
        (
            "an author behind",
            signed.replace("Subject: Hello", "From: eve@one.test\r\nSubject: Hello"),
        ),
        (
            "a field that was not there",
            signed.replace(
                "Subject: Hello",
                "Reply-To: eve@evil.test\r\nSubject: Hello",
            ),
        ),
    ] {
        let failed = outcomes(&arrive(&world, &changed));
        assert!(
            failed.iter().all(|(_, outcome)| *outcome == Outcome::Fail),
            "{what}: {failed:?}"
        );
    }
}

#[test]
fn a_signature_of_ours_proves_that_mail_is_ours() {
    let world = World::new("");
    let message = MESSAGE.replace("ann@one.test", "ann@our.test");
    let signed = signer(&world, "our.test")
        .sign("our.test", message.as_bytes(), SystemTime::now())
        .unwrap()
        + &message;
    assert_eq!(arrive(&world, &signed).decision, Decision::Accept);
    // One of a domain below proves nothing for the domain itself.
    let below = signer(&world, "sub.our.test")
        .sign("sub.our.test", message.as_bytes(), SystemTime::now())
        .unwrap()
        + &message;
    assert!(matches!(
        arrive(&world, &below).decision,
        Decision::Refuse(_)
    ));
    // Nor does one of another.
    let other = signer(&world, "one.test")
        .sign("one.test", message.as_bytes(), SystemTime::now())
        .unwrap()
        + &message;
    assert!(matches!(
        arrive(&world, &other).decision,
        Decision::Refuse(_)
    ));
}

#[test]
fn keys_may_be_missing_late_revoked_or_weak() {
    for (record, want) in [
        ("", Outcome::PermError),
        ("TIMEOUT", Outcome::TempError),
        ("TXT v=DKIM1; k=ed25519; p=", Outcome::PermError),
        (
            "TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            Outcome::Fail,
        ),
        // RSA of 512 bits.
        (
            "TXT v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALqbHeRLCyOdykC5SDLqI49ArYGYG1mqaH9/GnWjGavZM02fos4lc2w6tCchcUBNtJvGqKwhC5JEnx3RYoSX2ucCAwEAAQ==",
            Outcome::PermError,
        ),
    ] {
        let world = World::new(&format!("other._domainkey.one.test {record}"));
        let signed = signer(&World::new(""), "one.test")
            .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
            .unwrap()
            + MESSAGE;
        let signed = signed.replace("s=ed", "s=other").replace("s=rsa", "s=gone");
        let found = outcomes(&arrive(&world, &signed));
        assert_eq!(found.last().unwrap().1, want, "{record}: {found:?}");
    }
}

#[test]
fn signatures_beyond_the_limit_cost_nothing() {
    let world = World::new("");
    let signature = |number: usize| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=d{number}.test; s=s; c=relaxed/relaxed; h=from; \
         bh=frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=; b=AAAA;\r\n"
        )
    };
    let many: String = (0..2000).map(signature).collect();
    let checked = arrive(&world, &(many + MESSAGE));
    assert!(world.asked() < 60, "{}", world.asked());
    let found = outcomes(&checked);
    assert_eq!(found.len(), 11);
    assert!(
        checked
            .verdicts
            .dkim
            .unwrap()
            .iter()
            .any(|one| one.reason.as_deref() == Some("not verified: too many signatures"))
    );
    assert!(checked.fields.len() < 4000);
}

#[test]
fn a_header_section_that_is_too_large_is_not_read() {
    let world = World::new("");
    let signed = signer(&world, "one.test")
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    let fields = "X: y\r\n".repeat(1001);
    let octets = format!("X: {}\r\n", "y".repeat(1 << 20));
    let from = format!("From: {}\r\n", "@".repeat(1001));
    // Some end the header section at such a line.
    let invisible = format!("X: y\n\x0c\n{octets}");
    let sets = "ARC-Seal: i=1; cv=none\r\n";
    for more in [&fields, &octets, &from, &invisible] {
        let mut checker = checker(&world);
        checker.seals = true;
        let message = format!("{sets}{signed}").replace("Subject: ", &format!("{more}Subject: "));
        let arrival = Arrival {
            address: [192, 0, 2, 1].into(),
            helo: "mail.one.test",
            mail_from: "ann@elsewhere.test",
            message: message.as_bytes(),
        };
        let checked = check(&checker, arrival);
        let found = checked.verdicts.dkim.as_ref().unwrap();
        assert_eq!(found.len(), 2);
        for one in found {
            let reason = "not verified: the header section is too large";
            assert_eq!((one.outcome, one.domain.as_str()), (Outcome::Neutral, ""));
            assert_eq!(one.reason.as_deref(), Some(reason));
        }
        let arc = checked.verdicts.arc.as_ref().unwrap();
        assert_eq!(arc.outcome, Outcome::Fail);
        assert_eq!(
            arc.reason.as_deref(),
            Some("the header section is too large")
        );
        let sealer = signer(&world, "our.test");
        let now = SystemTime::now();
        let sealed = checker.seal(&sealer, "our.test", message.as_bytes(), &checked, now);
        assert_eq!(sealed.unwrap(), None);
    }
}

#[test]
fn weak_and_empty_signatures_never_pass() {
    let world = World::new("");
    let signer = signer(&world, "one.test");
    let signed = signer
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    for (what, changed) in [
        ("rsa-sha1", signed.replace("a=rsa-sha256", "a=rsa-sha1")),
        (
            "From is not signed",
            signed
                .replace("h=From:", "h=To:")
                .replace(":From:", ":")
                .replace(":From", ""),
        ),
        ("l=", signed.replace("a=rsa-sha256", "a=rsa-sha256; l=1")),
        ("another version", signed.replace("v=1;", "v=2;")),
        ("no domain", signed.replace("d=one.test", "d=test")),
    ] {
        let first = outcomes(&arrive(&world, &changed));
        assert!(
            !first.is_empty() && first.iter().any(|(_, outcome)| *outcome != Outcome::Pass),
            "{what}"
        );
    }
}

#[test]
fn a_chain_of_seals_passes_until_it_is_broken() {
    let world = World::new("_dmarc.one.test TXT v=DMARC1; p=none");
    let author = signer(&world, "one.test");
    let mut message = author
        .sign("one.test", MESSAGE.as_bytes(), SystemTime::now())
        .unwrap()
        + MESSAGE;
    for (set, domain) in ["list.test", "forward.test", "our.test"]
        .into_iter()
        .enumerate()
    {
        let sealer = signer(&world, domain);
        let checker = checker(&world);
        let checked = arrive(&world, &message);
        let seal = checker.seal(
            &sealer,
            domain,
            message.as_bytes(),
            &checked,
            SystemTime::now(),
        );
        let seal = seal.unwrap().unwrap();
        assert!(
            seal.starts_with("ARC-Seal: i=") && seal.contains("dkim=pass"),
            "{seal}"
        );
        message = seal + &message;
        let arc = arrive(&world, &message).verdicts.arc.unwrap();
        assert_eq!(
            (arc.outcome, arc.sealers.len()),
            (Outcome::Pass, set + 1),
            "{:?}",
            arc.reason
        );
    }
    let broken = message.replace("Hello  Bob", "Hello Eve");
    let checked = arrive(&world, &broken);
    assert_eq!(
        checked.verdicts.arc.as_ref().unwrap().outcome,
        Outcome::Fail
    );
    let sealer = signer(&world, "forward.test");
    let checker = checker(&world);
    let sealed = |message: &str, checked: &Checked| {
        let now = SystemTime::now();
        let seal = checker.seal(&sealer, "forward.test", message.as_bytes(), checked, now);
        seal.unwrap()
    };
    // RFC 8617 §5.1: it is marked so, once.
    let marked = sealed(&broken, &checked).unwrap();
    assert!(
        marked.starts_with("ARC-Seal: i=4; ") && marked.contains("; cv=fail;"),
        "{marked}"
    );
    let broken = marked + &broken;
    let checked = arrive(&world, &broken);
    assert_eq!(
        checked.verdicts.arc.as_ref().unwrap().outcome,
        Outcome::Fail
    );
    assert_eq!(sealed(&broken, &checked), None);
}

#[test]
fn a_set_whose_number_is_zero_is_not_followed_by_a_first_one() {
    let world = World::new("");
    let sealer = signer(&world, "forward.test");
    let sets = "ARC-Seal: i=0; cv=none; a=rsa-sha256; d=one.test; s=rsa; t=1; b=AAAA\r\n\
        ARC-Message-Signature: i=0; a=rsa-sha256; d=one.test; s=rsa; h=from; bh=AAAA; b=AAAA\r\n\
        ARC-Authentication-Results: i=0; mx.one.test; none\r\n";
    let seal = &sets[..sets.find("ARC-Message").unwrap()];
    let results = &sets[sets.find("ARC-Auth").unwrap()..];
    for fields in [sets, seal, results] {
        let message = format!("{fields}{MESSAGE}");
        let checker = checker(&world);
        let checked = arrive(&world, &message);
        let now = SystemTime::now();
        let sealed = checker.seal(&sealer, "forward.test", message.as_bytes(), &checked, now);
        assert_eq!(sealed.unwrap(), None, "{fields}");
    }
}

#[test]
fn a_chain_has_fifty_sets_at_most() {
    let world = World::new("");
    let sealer = signer(&world, "forward.test");
    let checker = checker(&world);
    let mut message = MESSAGE.to_owned();
    for set in 1..=51 {
        let checked = arrive(&world, &message);
        let now = SystemTime::now();
        let seal = checker.seal(&sealer, "forward.test", message.as_bytes(), &checked, now);
        match seal.unwrap() {
            Some(seal) => message = seal + &message,
            None => assert_eq!(set, 51),
        }
    }
    assert_eq!(message.matches("ARC-Seal:").count(), 50);
    let arc = arrive(&world, &message).verdicts.arc.unwrap();
    assert_eq!(
        (arc.outcome, arc.sealers.len()),
        (Outcome::Pass, 50),
        "{:?}",
        arc.reason
    );
}

#[test]
fn a_large_message_keeps_no_other_task_waiting() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let world = World::new("");
    let author = signer(&world, "one.test");
    let mut message =
        MESSAGE.to_owned() + &"0123456789012345678901234567890123456789\r\n".repeat(1 << 20);
    message = author
        .sign("one.test", message.as_bytes(), SystemTime::now())
        .unwrap()
        + &message;
    let checker = checker(&world);
    let turns = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&turns);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let (before, after, outcome) = runtime.block_on(async move {
        let counter = tokio::spawn(async move {
            loop {
                counting.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let task = tokio::spawn(async move {
            let before = turns.load(Ordering::Relaxed);
            let arrival = Arrival {
                address: [192, 0, 2, 1].into(),
                helo: "mail.one.test",
                mail_from: "ann@one.test",
                message: message.as_bytes(),
            };
            let checked = checker.check(arrival).await;
            let outcome = checked.verdicts.dkim.unwrap()[0].outcome;
            (before, turns.load(Ordering::Relaxed), outcome)
        });
        let done = task.await.unwrap();
        counter.abort();
        done
    });
    assert_eq!(outcome, Outcome::Pass);
    // Questions to this DNS are answered at once: without another thread the counter has no turn in between.
    assert!(after > before + 1000, "{before} {after}");
}
