//! Notifications of delivery, read by Python's `email`: ours, and Postfix's about what ours passed on.

use hikyaku_smtp_programs::{House, Postfix, Sink, free_port, run};
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::Protocol;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

const MESSAGE: &str = "From: alice@example.test\r\nSubject: the one\r\n\r\nA line of the body.\r\n";

/// What Python reads in a notification. Nothing may be wrong with it.
async fn read(message: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/notification.py");
    let done = run("python3", &[script.to_str().unwrap()], message).await;
    assert_eq!(done.code, 0, "{}\n{message}", done.said);
    let value: Value = serde_json::from_str(&done.said).unwrap();
    assert_eq!(value["defects"], serde_json::json!([]), "{message}");
    assert_eq!(value["type"], "multipart/report");
    assert_eq!(value["report"], "delivery-status");
    let header = &value["header"];
    assert_eq!(header["return-path"], "<>", "{header}");
    assert!(
        header["auto-submitted"]
            .as_str()
            .unwrap()
            .starts_with("auto-"),
        "{header}"
    );
    for name in [
        "from",
        "to",
        "date",
        "message-id",
        "subject",
        "mime-version",
    ] {
        assert!(header[name].is_string(), "{name} is not in {header}");
    }
    value
}

/// Fails unless a group of fields says all of this. Types and addresses have one space between them.
#[track_caller]
fn says(group: &Value, fields: &[(&str, &str)]) {
    for (name, expected) in fields {
        let said = group[*name].as_str();
        let said = said.unwrap_or_else(|| panic!("no {name} in {group}"));
        let found = said
            .split(';')
            .map(str::trim)
            .collect::<Vec<_>>()
            .join("; ");
        assert!(
            found.starts_with(expected),
            "{name}: {found}, not {expected}"
        );
    }
}

/// A server whose mail to `domain` goes to a port, and its DNS.
async fn house(domain: &str, port: u16, relay: &str) -> (House, DnsServer) {
    let dns = DnsServer::start([Zone::new(domain).mx(10, "mx").a("mx", "127.0.0.1")]);
    let more = format!(
        "[relay]\ndns = [\"{}\"]\nport = {port}\nretry = [\"500ms\"]\n{relay}",
        dns.address()
    );
    (House::with(&more).await, dns)
}

fn refusing() -> Sink {
    Sink::start(&["-f", "RCPT", "-B", "550 5.7.27 Not (in) this; life"])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_with_the_header_or_the_whole_as_it_was_asked_for() {
    let sink = refusing();
    let (house, _dns) = house("far.test", sink.port, "").await;
    let mut count = 0;
    for (mail, kind, text) in [
        (&[][..], "text/rfc822-headers", ""),
        (
            &["RET=HDRS", "ENVID=QQ+2B31+3D4"],
            "text/rfc822-headers",
            "",
        ),
        (
            &["RET=FULL", "ENVID=QQ+2B31+3D4"],
            "message/rfc822",
            "A line of the body.\n",
        ),
    ] {
        let rcpt = [
            "NOTIFY=FAILURE,DELAY",
            "ORCPT=rfc822;Bob+2Bdetail@first.test",
        ];
        house.submit("x@far.test", MESSAGE, mail, &rcpt).await;
        count += 1;
        let all = house.gets("alice", count).await;
        let report = read(all.last().unwrap()).await;
        assert_eq!(
            report["parts"],
            serde_json::json!(["text/plain", "message/delivery-status", kind])
        );
        says(&report["message"], &[("reporting-mta", "dns; localhost")]);
        match mail.is_empty() {
            true => assert!(report["message"]["original-envelope-id"].is_null()),
            false => says(&report["message"], &[("original-envelope-id", "QQ+31=4")]),
        }
        assert!(report["message"]["arrival-date"].is_string());
        let [one] = &report["recipients"].as_array().unwrap()[..] else {
            panic!("{report}");
        };
        says(
            one,
            &[
                ("original-recipient", "rfc822; Bob+detail@first.test"),
                ("final-recipient", "rfc822; x@far.test"),
                ("action", "failed"),
                ("status", "5.7.27"),
                ("remote-mta", "dns; mx.far.test"),
                ("diagnostic-code", "smtp; 550 5.7.27 Not (in) this; life"),
            ],
        );
        assert_eq!(report["returned"]["subject"], "the one");
        let said = report["returned"]["text"]
            .as_str()
            .unwrap()
            .replace("\r\n", "\n");
        assert_eq!(said.trim_start(), text);
        // A person reads the same.
        let words = report["text"].as_str().unwrap();
        assert!(
            words.contains("x@far.test") && words.contains("5.7.27"),
            "{words}"
        );
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_want_it_hears_nothing() {
    let sink = refusing();
    let (house, _dns) = house("far.test", sink.port, "").await;
    for notify in [
        "NOTIFY=NEVER",
        "NOTIFY=SUCCESS",
        "NOTIFY=DELAY",
        "NOTIFY=SUCCESS,DELAY",
    ] {
        house.submit("x@far.test", MESSAGE, &[], &[notify]).await;
    }
    house.empties().await;
    assert!(house.mail("alice").await.is_empty());
    // The next one is wanted.
    house
        .submit("x@far.test", MESSAGE, &[], &["NOTIFY=FAILURE"])
        .await;
    house.gets("alice", 1).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delayed_once_then_failed() {
    let relay = "delay = \"1s\"\nexpire = \"5s\"\n";
    let (house, _dns) = house("far.test", free_port(), relay).await;
    let asked = ["NOTIFY=DELAY,FAILURE", "ORCPT=rfc822;y@first.test"];
    house
        .submit("x@far.test", MESSAGE, &["ENVID=one"], &asked)
        .await;
    house
        .submit("y@far.test", MESSAGE, &["ENVID=two"], &["NOTIFY=DELAY"])
        .await;
    house
        .submit("z@far.test", MESSAGE, &["ENVID=three"], &["NOTIFY=FAILURE"])
        .await;
    house
        .submit("z@far.test", MESSAGE, &["ENVID=four"], &["NOTIFY=NEVER"])
        .await;
    house.empties().await;
    let mut seen = Vec::new();
    for message in house.gets("alice", 4).await {
        let report = read(&message).await;
        let one = &report["recipients"][0];
        let action = one["action"].as_str().unwrap().to_owned();
        let envid = report["message"]["original-envelope-id"]
            .as_str()
            .unwrap()
            .to_owned();
        match &*action {
            "delayed" => {
                says(one, &[("status", "4.")]);
                assert!(one["will-retry-until"].is_string(), "{one}");
            }
            _ => says(one, &[("status", "5.4.7")]),
        }
        assert!(one["diagnostic-code"].is_string(), "{one}");
        assert!(one["last-attempt-date"].is_string(), "{one}");
        if envid == "one" {
            says(one, &[("original-recipient", "rfc822; y@first.test")]);
        }
        seen.push((envid, action));
    }
    seen.sort();
    let expected = [
        ("one", "delayed"),
        ("one", "failed"),
        ("three", "failed"),
        ("two", "delayed"),
    ];
    assert_eq!(
        seen,
        expected.map(|(envid, action)| (envid.to_owned(), action.to_owned()))
    );
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delivered_to_a_mailbox_here() {
    let house = House::with("").await;
    let asked = ["NOTIFY=SUCCESS", "ORCPT=rfc822;bob@first.test"];
    house
        .submit(
            "bob+x@example.test",
            MESSAGE,
            &["ENVID=here", "RET=FULL"],
            &asked,
        )
        .await;
    house.gets("bob", 1).await;
    let report = read(&house.gets("alice", 1).await[0]).await;
    says(&report["message"], &[("original-envelope-id", "here")]);
    let one = &report["recipients"][0];
    says(
        one,
        &[
            ("action", "delivered"),
            ("status", "2."),
            ("original-recipient", "rfc822; bob@first.test"),
            ("final-recipient", "rfc822; bob"),
        ],
    );
    // RET is of failures alone (RFC 3461 §4.3).
    assert_eq!(report["parts"][2], "text/rfc822-headers");
    assert_eq!(report["returned"]["subject"], "the one");
    // Who does not ask does not hear of it.
    house.submit("bob@example.test", MESSAGE, &[], &[]).await;
    house
        .submit("bob@example.test", MESSAGE, &[], &["NOTIFY=FAILURE,DELAY"])
        .await;
    house.gets("bob", 3).await;
    house.empties().await;
    house.gets("alice", 1).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relayed_to_a_server_without_dsn_and_left_to_one_with_it() {
    for (arguments, notified) in [(&["-N"][..], 1), (&[], 0)] {
        let sink = Sink::start(arguments);
        let (house, _dns) = house("far.test", sink.port, "").await;
        let asked = ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;q+2Bq@first.test"];
        let mail = ["ENVID=QQ+3D1", "RET=HDRS"];
        house.submit("x@far.test", MESSAGE, &mail, &asked).await;
        let taken = sink.takes(1, Duration::from_secs(30)).await;
        house.empties().await;
        for reported in house.gets("alice", notified).await {
            let report = read(&reported).await;
            says(&report["message"], &[("original-envelope-id", "QQ=1")]);
            says(
                &report["recipients"][0],
                &[
                    ("action", "relayed"),
                    ("status", "2."),
                    ("original-recipient", "rfc822; q+q@first.test"),
                    ("final-recipient", "rfc822; x@far.test"),
                    ("remote-mta", "dns; mx.far.test"),
                ],
            );
        }
        // What was asked for goes where it is understood, and nowhere else.
        let passed_on = format!("{} {}", taken[0].mail, taken[0].rcpt[0]);
        for part in [
            "ENVID=QQ+3D1",
            "RET=HDRS",
            "NOTIFY=SUCCESS,FAILURE",
            "ORCPT=rfc822;q+2Bq@first.test",
        ] {
            assert_eq!(
                passed_on.contains(part),
                notified == 0,
                "{part}: {passed_on}"
            );
        }
        house.server.stop().await;
    }
}

/// RFC 6533.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn international_addresses() {
    // It does not have SMTPUTF8, so the message is returned.
    let sink = Sink::start(&[]);
    let (house, _dns) = house("far.test", sink.port, "").await;
    let message = "From: alice@example.test\r\nSubject: 飛脚\r\n\r\nÄ line of the body.\r\n";
    let mut count = 0;
    for (ret, kind) in [
        ("HDRS", "message/global-headers"),
        ("FULL", "message/global"),
    ] {
        let ret = format!("RET={ret}");
        let mail = ["SMTPUTF8", "BODY=8BITMIME", &*ret, "ENVID=u"];
        let asked = ["ORCPT=utf-8;\\x{5BE5}@first.test"];
        house.submit("例@far.test", message, &mail, &asked).await;
        count += 1;
        let all = house.gets("alice", count).await;
        let report = read(all.last().unwrap()).await;
        assert_eq!(
            report["parts"],
            serde_json::json!(["text/plain", "message/global-delivery-status", kind])
        );
        says(&report["message"], &[("original-envelope-id", "u")]);
        says(
            &report["recipients"][0],
            &[
                ("action", "failed"),
                ("status", "5.6.7"),
                ("final-recipient", "utf-8; 例@far.test"),
                ("original-recipient", "utf-8; 寥@first.test"),
            ],
        );
        assert_eq!(report["returned"]["subject"], "飛脚");
        assert!(report["text"].as_str().unwrap().contains("例@far.test"));
    }
    assert!(sink.taken().is_empty());
    house.server.stop().await;
}

/// What Postfix makes of what ours passes on comes back to the sender's mailbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_notifies_of_what_ours_passed_on() {
    let sink = refusing();
    let smtp = free_port();
    let dns = DnsServer::start([
        Zone::new("postfix.test").mx(10, "mx").a("mx", "127.0.0.1"),
        Zone::new("far.test").mx(10, "mx.postfix.test."),
    ]);
    let house = House::with(&format!(
        "[relay]\ndns = [\"{}\"]\nport = {smtp}\nretry = [\"500ms\"]\n",
        dns.address()
    ))
    .await;
    let more = format!(
        "transport_maps = inline:{{{{example.test=smtp:[127.0.0.1]:{}}} {{far.test=smtp:[127.0.0.1]:{}}}}}",
        house.port(Protocol::Smtp),
        sink.port
    );
    let Some(postfix) = Postfix::with(smtp, &[], &more) else {
        return;
    };
    let mut count = 0;
    for (to, action, status, notify) in [
        ("carol@postfix.test", "delivered", "2.0.0", "NOTIFY=SUCCESS"),
        ("x@far.test", "failed", "5.7.27", "NOTIFY=FAILURE"),
        ("x@far.test", "", "", "NOTIFY=NEVER"),
        ("dave@postfix.test", "", "", "NOTIFY=FAILURE,DELAY"),
    ] {
        let asked = [notify, "ORCPT=rfc822;c+2Bc@first.test"];
        house
            .submit(to, MESSAGE, &["ENVID=QQ+2B9", "RET=HDRS"], &asked)
            .await;
        if action.is_empty() {
            continue;
        }
        count += 1;
        let all = house.gets("alice", count).await;
        let report = read(all.last().unwrap()).await;
        says(
            &report["message"],
            &[
                ("reporting-mta", "dns; mx.postfix.test"),
                ("original-envelope-id", "QQ+9"),
            ],
        );
        says(
            &report["recipients"][0],
            &[
                ("action", action),
                ("status", status),
                ("original-recipient", "rfc822; c+c@first.test"),
                ("final-recipient", &format!("rfc822; {to}")),
            ],
        );
    }
    postfix.gets("carol", 1).await;
    postfix.gets("dave", 1).await;
    house.empties().await;
    // Of the others there is no notification.
    postfix.says("to=<dave@postfix.test>").await;
    house.gets("alice", count).await;
    house.server.stop().await;
}
