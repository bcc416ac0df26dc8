//! Reports that are counted here, as others read them.

use crate::world::{World, check, checker};
use hikyaku_trust::Arrival;
use hikyaku_trust::reports::{ReportLimits, Reporter, Tally, read_report};

const RECORDS: &str = "
    one.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.one.test TXT v=DMARC1; p=reject; aspf=s; rua=mailto:reports@one.test!10m,mailto:r@other.test,mailto:r@third.test
    one.test._report._dmarc.other.test TXT v=DMARC1
    silent.test TXT v=spf1 ip4:192.0.2.1 -all
    _dmarc.silent.test TXT v=DMARC1; p=reject
    ";
const REPORTER: Reporter<'_> = Reporter {
    organization: "Ours",
    domain: "our.test",
    address: "dmarc@our.test",
};

#[test]
fn what_is_counted_is_read_again() {
    let world = World::new(RECORDS);
    let checker = checker(&world);
    let mut tally = Tally::default();
    for (address, domain) in [
        ([192, 0, 2, 1], "one.test"),
        ([192, 0, 2, 1], "one.test"),
        ([198, 51, 100, 1], "one.test"),
        ([192, 0, 2, 1], "silent.test"),
        ([192, 0, 2, 1], "none.test"),
    ] {
        let path = format!("a@{domain}");
        let message = format!("From: {path}\r\n\r\n");
        let arrival = Arrival {
            address: address.into(),
            helo: "h.none.test",
            mail_from: &path,
            message: message.as_bytes(),
        };
        tally.count(&check(&checker, arrival), &path);
    }
    // It outlives a restart.
    let text = serde_json::to_string(&tally).unwrap();
    let mut tally: Tally = serde_json::from_str(&text).unwrap();
    assert_eq!(tally.domains().collect::<Vec<_>>(), ["one.test"]);
    let one = tally.collected("one.test").unwrap();
    tally.forget("one.test");
    assert!(tally.is_empty());
    assert_eq!((one.domain.as_str(), one.messages), ("one.test", 3));

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let to = runtime.block_on(checker.may_report_to(&one.domain, &one.reports_to));
    let to: Vec<_> = to.unwrap().into_iter().map(|one| one.address).collect();
    assert_eq!(to, ["reports@one.test", "r@other.test"]);
    let asked = runtime.block_on(checker.reported_to("mail.one.test"));
    assert_eq!(asked, one.reports_to);
    assert_eq!(asked[0].most, Some(10 << 20));

    let message = one
        .message(
            REPORTER,
            &to[0],
            (1_700_000_000, 1_700_086_399),
            1_700_100_000,
        )
        .unwrap();
    for line in [
        "To: <reports@one.test>",
        "Subject: Report Domain: one.test",
        " Submitter: our.test",
        " Report-ID: <1700000000.one.test@our.test>",
        "\tfilename=\"our.test!one.test!1700000000!1700086399.xml.gz\"",
    ] {
        assert!(
            message.contains(&format!("\r\n{line}\r\n")),
            "{line}: {message}"
        );
    }
    let summary = read_report(message.as_bytes(), &ReportLimits::default()).unwrap();
    assert_eq!(
        (summary.organization.as_str(), summary.domain.as_str()),
        ("Ours", "one.test")
    );
    assert_eq!((summary.begin, summary.end), (1_700_000_000, 1_700_086_399));
    assert_eq!(
        [
            summary.passed,
            summary.failed,
            summary.rejected,
            summary.quarantined
        ],
        [2, 1, 1, 0]
    );
    assert_eq!(summary.sources.len(), 2);
    assert!(one.xml(REPORTER, 1, 2).contains("<aspf>s</aspf>"));
}

#[test]
fn what_is_counted_is_bounded() {
    let world = World::new("");
    for number in 0..1003 {
        world.add(
            &format!("_dmarc.d{number}.test"),
            "TXT",
            "v=DMARC1; p=none; rua=mailto:a@x.test",
        );
    }
    let checker = checker(&world);
    let mut tally = Tally::default();
    for number in 0..1003 {
        let message = format!("From: a@d{number}.test\r\n\r\n");
        let arrival = Arrival {
            address: [192, 0, 2, 1].into(),
            helo: "h.none.test",
            mail_from: "",
            message: message.as_bytes(),
        };
        tally.count(&check(&checker, arrival), "");
    }
    assert_eq!(tally.uncounted, 3);
    assert_eq!(tally.domains().count(), 1000);
}
