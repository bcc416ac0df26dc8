//! Reports about a day, read back by Python's `email`, `gzip` and `json` (RFC 8460).

use hikyaku_relay::{Dnssec, Options, TlsReports};
use hikyaku_test_dns::{RecordType, Zone};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

use crate::exchanger::{Authority, Exchanger};
use crate::web::{answer, policy};
use crate::world::{DAY, Running, World, zone};

fn options(world: &World, home: &Path) -> Options {
    let mut options = world.options(Some(home));
    let folder = home.join("reports");
    let mut reports = TlsReports::new("postmaster@sender.test", folder);
    (reports.spread, reports.may_ask_private) = (Duration::ZERO, true);
    options.tls_reports = Some(reports);
    options.dnssec = Dnssec::Validate {
        anchors: Some(world.dns.trust_anchor()),
    };
    options
}

/// Runs Python. Returns what it prints, as JSON.
async fn python(script: &str, input: &[u8]) -> Value {
    let mut child = tokio::process::Command::new("python3")
        .args(["-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is needed to read reports");
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let done = child.wait_with_output().await.unwrap();
    assert!(done.status.success());
    serde_json::from_slice(&done.stdout).unwrap()
}

const MESSAGE: &str = "
import sys, json, gzip, email, email.policy
message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
text, report = list(message.iter_parts())
assert not message.defects and not text.defects and not report.defects
print(json.dumps({
    'header': {name: str(value) for name, value in message.items()},
    'type': message.get_content_type(),
    'report-type': message['Content-Type'].params['report-type'],
    'parts': [text.get_content_type(), report.get_content_type()],
    'name': report.get_filename(),
    'report': json.loads(gzip.decompress(report.get_content())),
}))
";

const POSTED: &str = "
import sys, json, gzip
print(json.dumps(json.loads(gzip.decompress(sys.stdin.buffer.read()))))
";

/// The message that an exchanger was sent.
fn message(lines: &[String]) -> Vec<u8> {
    let lines = lines
        .iter()
        .map(|line| line.strip_prefix("clear ").unwrap());
    let lines = lines.skip_while(|line| *line != "DATA").skip(1);
    let lines = lines.take_while(|line| *line != ".");
    lines
        .flat_map(|line| [line.as_bytes(), b"\r\n"].concat())
        .collect()
}

/// What the web server was sent.
fn posted(world: &World) -> Vec<(String, Vec<u8>)> {
    let requests = world.web.requests().into_iter();
    let posted = requests.filter(|(head, _)| head.starts_with("POST "));
    posted.collect()
}

async fn received(collector: &Exchanger) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..500 {
        lines.extend(collector.lines());
        if lines.iter().any(|line| line == "clear .") {
            return lines;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no report: {lines:?}");
}

#[tokio::test]
async fn a_day_is_reported_by_mail_and_by_https() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(zone(), policy("enforce", &["mx.there.test"], 604_800)).await;
    let rua = format!(
        "v=TLSRPTv1; rua=mailto:tls%2Breports@collector.test,https://mta-sts.there.test:{}/tls?a=b",
        world.web.address.port()
    );
    world
        .dns
        .change("there.test", |_| zone().txt("_smtp._tls", &rua));
    // Two sessions as they should be, two of a man in the middle. Each has a relay of its own: counts outlive it.
    let right = world.authority.of("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&right)).await;
    for _ in 0..2 {
        assert_eq!(world.hand_on(options(&world, home.path())).await, None);
    }
    drop(mx);
    for tls in [Some(&Authority::new().of("mx.there.test")), None] {
        let _mx = world.exchanger("127.0.0.2", tls).await;
        assert!(world.hand_on(options(&world, home.path())).await.is_some());
    }
    // Another policy, which cannot be fetched at first.
    let other = zone().remove("_mta-sts", RecordType::TXT);
    let other = other
        .txt("_smtp._tls", &rua)
        .txt("_mta-sts", "v=STSv1; id=2");
    world.dns.change("there.test", |_| other);
    world.passes(3600);
    world.web.answers(answer("404 Not Found", "", ""));
    let mx = world.exchanger("127.0.0.2", Some(&right)).await;
    assert_eq!(world.hand_on(options(&world, home.path())).await, None);
    drop(mx);
    world.passes(3600);
    world
        .web
        .answers(policy("testing", &["*.there.test"], 86_400));
    let expired = world.authority.expired("mx.there.test");
    let mx = world.exchanger("127.0.0.2", Some(&expired)).await;
    assert_eq!(world.hand_on(options(&world, home.path())).await, None);
    drop(mx);

    // The collector's own TLS is broken: its TLSA records are for nobody's key, and it has no TLS. It gets its report.
    let collector = world.exchanger("127.0.0.2", None).await;
    let tlsa = format!("_{}._tcp.mx", collector.port);
    let signed = Zone::new("collector.test")
        .signed()
        .mx(10, "mx")
        .a("mx", "127.0.0.2");
    let signed = signed
        .tlsa(&tlsa, 3, 1, 1, &[7; 32])
        .txt("_smtp._tls", &rua);
    world.dns.change("collector.test", |_| signed);
    world.web.answers(answer("201 Created", "", ""));
    let first = i64::from(20_000 * 86_400);
    world.passes(DAY - 2 * 3600);
    let relay = Running::start(options(&world, home.path()));
    let lines = received(&collector).await;
    assert!(
        lines.contains(&"clear MAIL FROM:<>".to_owned()),
        "{lines:?}"
    );
    assert!(lines.contains(&"clear RCPT TO:<tls+reports@collector.test>".to_owned()));
    let read = python(MESSAGE, &message(&lines)).await;
    let header = &read["header"];
    for (name, value) in [
        ("From", "postmaster@sender.test"),
        ("To", "tls+reports@collector.test"),
        ("TLS-Report-Domain", "there.test"),
        ("TLS-Report-Submitter", "sender.test"),
        ("Auto-Submitted", "auto-generated"),
        (
            "Subject",
            "Report Domain: there.test Submitter: sender.test Report-ID: <2024-10-04.there.test@sender.test>",
        ),
    ] {
        assert_eq!(header[name], value, "{name}");
    }
    assert_eq!(
        (&read["type"], &read["report-type"]),
        (&json!("multipart/report"), &json!("tlsrpt"))
    );
    assert_eq!(
        read["parts"],
        json!(["text/plain", "application/tlsrpt+gzip"])
    );
    let name = format!("sender.test!there.test!{first}!{}.json.gz", first + DAY - 1);
    assert_eq!(read["name"], name);
    let mut report = read["report"].clone();
    // What words rustls has for it is not for this test.
    for policy in report["policies"].as_array_mut().unwrap() {
        for details in policy["failure-details"]
            .as_array_mut()
            .into_iter()
            .flatten()
        {
            let reason = details
                .as_object_mut()
                .unwrap()
                .remove("failure-reason-code");
            assert!(
                reason.is_some_and(|reason| reason.as_str().is_some_and(|text| !text.is_empty()))
            );
        }
    }
    let details = |result: &str| {
        json!({
            "result-type": result,
            "sending-mta-ip": "127.0.0.1",
            "receiving-mx-hostname": "mx.there.test",
            "receiving-ip": "127.0.0.2",
            "failed-session-count": 1,
        })
    };
    assert_eq!(
        report,
        json!({
            "organization-name": "sender.test",
            "date-range": {
                "start-datetime": "2024-10-04T00:00:00Z",
                "end-datetime": "2024-10-04T23:59:59Z",
            },
            "contact-info": "postmaster@sender.test",
            "report-id": "2024-10-04.there.test@sender.test",
            "policies": [
                {
                    "policy": {
                        "policy-type": "sts",
                        "policy-string": [
                            "version: STSv1", "mode: enforce", "mx: mx.there.test", "max_age: 604800",
                        ],
                        "policy-domain": "there.test",
                        "mx-host": ["mx.there.test"],
                    },
                    "summary": {
                        "total-successful-session-count": 3,
                        "total-failure-session-count": 2,
                    },
                    "failure-details": [
                        details("certificate-not-trusted"),
                        details("starttls-not-supported"),
                        { "result-type": "sts-policy-fetch-error", "failed-session-count": 1 },
                    ],
                },
                {
                    "policy": {
                        "policy-type": "sts",
                        "policy-string": [
                            "version: STSv1", "mode: testing", "mx: *.there.test", "max_age: 86400",
                        ],
                        "policy-domain": "there.test",
                        "mx-host": ["*.there.test"],
                    },
                    "summary": {
                        "total-successful-session-count": 0,
                        "total-failure-session-count": 1,
                    },
                    "failure-details": [details("certificate-expired")],
                },
            ],
        })
    );
    // The same by HTTPS.
    let requests = posted(&world);
    let [(head, body)] = &requests[..] else {
        panic!("{} reports", requests.len());
    };
    assert!(head.starts_with("POST /tls?a=b HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("content-type: application/tlsrpt+gzip\r\n"),
        "{head}"
    );
    assert_eq!(python(POSTED, body).await, read["report"]);
    relay.stop().await;

    // The report itself is not reported (§3), and it is sent once.
    world.passes(DAY);
    let relay = Running::start(options(&world, home.path()));
    tokio::time::sleep(Duration::from_secs(3)).await;
    relay.stop().await;
    assert_eq!(posted(&world).len(), 1);
    assert!(collector.lines().iter().all(|line| !line.contains("DATA")));
    let left = std::fs::read_dir(home.path().join("reports")).unwrap();
    assert_eq!(left.count(), 0);
}

/// What is counted of a domain without a policy, of one with DANE, and of one whose policy is none.
#[tokio::test]
async fn each_domain_has_its_own_report() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(zone(), policy("enforce", &["mx9.there.test"], 604_800)).await;
    let rua = format!(
        "v=TLSRPTv1; rua=https://mta-sts.there.test:{}/",
        world.web.address.port()
    );
    let mx = world
        .exchanger("127.0.0.2", Some(&Authority::new().of("mx.there.test")))
        .await;
    let plain = |name: &str| Zone::new(name).mx(10, "mx").a("mx", "127.0.0.2");
    let tlsa = format!("_{}._tcp.mx", mx.port);
    world
        .dns
        .change("there.test", |_| zone().txt("_smtp._tls", &rua));
    world.dns.change("plain.test", |_| {
        plain("plain.test").txt("_smtp._tls", &rua)
    });
    world.dns.change("silent.test", |_| plain("silent.test"));
    world.dns.change("dane.test", |_| {
        let zone = plain("dane.test").signed().txt("_smtp._tls", &rua);
        zone.tlsa(&tlsa, 3, 1, 1, &[7; 32])
            .tlsa(&tlsa, 3, 0, 1, &[6; 32])
    });
    let relay = Running::start(options(&world, home.path()));
    for domain in ["plain.test", "silent.test", "dane.test", "there.test"] {
        let left = relay.hand_on(&format!("b@{domain}")).await;
        let is_checked = matches!(domain, "dane.test" | "there.test");
        assert_eq!(left.is_some(), is_checked, "{domain}: {left:?}");
    }
    world.web.answers(answer("200 OK", "", ""));
    world.passes(DAY);
    for _ in 0..500 {
        if posted(&world).len() >= 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relay.stop().await;
    let mut reports = Vec::new();
    for (_, body) in &posted(&world) {
        let report = python(POSTED, body).await;
        let policies = report["policies"].as_array().unwrap().clone();
        let [policy] = &policies[..] else {
            panic!("{report}")
        };
        let details = policy["failure-details"][0]["result-type"].clone();
        let summary = &policy["summary"];
        reports.push((
            policy["policy"].clone(),
            summary["total-successful-session-count"].as_u64().unwrap(),
            summary["total-failure-session-count"].as_u64().unwrap(),
            details.as_str().map(str::to_owned),
        ));
    }
    reports.sort_by_key(|(policy, ..)| policy["policy-domain"].to_string());
    let hex = |octet: &str| octet.repeat(32);
    let records = [
        format!("3 0 1 {}", hex("06")),
        format!("3 1 1 {}", hex("07")),
    ];
    assert_eq!(
        reports,
        [
            // RFC 8460 §1.1: of DANE, the domain is the TLSA base domain.
            (
                json!({ "policy-type": "tlsa", "policy-string": records, "policy-domain": "mx.dane.test" }),
                0,
                1,
                Some("validation-failure".to_owned())
            ),
            (
                json!({ "policy-type": "no-policy-found", "policy-domain": "plain.test" }),
                1,
                0,
                None
            ),
            (
                json!({
                    "policy-type": "sts",
                    "policy-string": [
                        "version: STSv1", "mode: enforce", "mx: mx9.there.test", "max_age: 604800",
                    ],
                    "policy-domain": "there.test",
                    "mx-host": ["mx9.there.test"],
                }),
                0,
                1,
                Some("certificate-host-mismatch".to_owned())
            ),
        ]
    );
}

/// RFC 8460 §4.3.2.2: why a policy was not to be had.
#[tokio::test]
async fn policies_that_cannot_be_had_are_reported() {
    let home = tempfile::tempdir().unwrap();
    let mut world = World::start(zone(), answer("404 Not Found", "", "")).await;
    let port = world.web.address.port();
    let rua = format!("v=TLSRPTv1; rua=https://mta-sts.there.test:{port}/");
    world
        .dns
        .change("there.test", |_| zone().txt("_smtp._tls", &rua));
    let tls = world.authority.of("mx.there.test");
    let _mx = world.exchanger("127.0.0.2", Some(&tls)).await;
    let right = || policy("enforce", &["mx.there.test"], 86_400);
    let of_host = world.authority.of("mta-sts.there.test");
    for (served, tls) in [
        (answer("404 Not Found", "", ""), of_host),
        (right(), Authority::new().of("mta-sts.there.test")),
        (right(), world.authority.expired("mta-sts.there.test")),
        (
            answer("200 OK", "Content-Type: text/plain\r\n", "hello"),
            world.authority.of("mta-sts.there.test"),
        ),
    ] {
        world.web.answers(served);
        world.web.presents(tls);
        assert_eq!(world.hand_on(options(&world, home.path())).await, None);
    }
    world.web.answers(answer("200 OK", "", ""));
    world.passes(DAY);
    let relay = Running::start(options(&world, home.path()));
    for _ in 0..500 {
        if !posted(&world).is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    relay.stop().await;
    let report = python(POSTED, &posted(&world)[0].1).await;
    let of_none = &report["policies"][0];
    assert_eq!(
        of_none["policy"],
        json!({ "policy-type": "no-policy-found", "policy-domain": "there.test" })
    );
    let summary = json!({ "total-successful-session-count": 4, "total-failure-session-count": 0 });
    assert_eq!(of_none["summary"], summary);
    let details = of_none["failure-details"].as_array().unwrap();
    let mut results: Vec<_> = details
        .iter()
        .map(|one| one["result-type"].as_str().unwrap())
        .collect();
    results.sort_unstable();
    let expected = [
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
        "sts-webpki-invalid",
    ];
    assert_eq!(results, expected);
}
