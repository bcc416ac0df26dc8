//! Records and policies, a row for each rule (RFC 8461 §3.1, §3.2, §4.1).

use hikyaku_relay::sts::policy::{Mode, Policy, PolicyError};
use hikyaku_relay::sts::record::Record;

fn id(records: &[&str]) -> Option<String> {
    let records: Vec<Vec<u8>> = records.iter().map(|one| one.as_bytes().to_vec()).collect();
    Record::of(&records).map(|record| record.id)
}

#[test]
fn a_record_says_that_there_is_a_policy() {
    let long = |count: usize| format!("v=STSv1; id={}", "a".repeat(count));
    let name = |count: usize| format!("v=STSv1; id=1; {}=x", "n".repeat(count));
    for (record, expected) in [
        // §3.1, the example.
        ("v=STSv1; id=20160831085700Z;", Some("20160831085700Z")),
        // sts-field-delim: spaces on both sides, or none.
        ("v=STSv1;id=1", Some("1")),
        ("v=STSv1 \t; \tid=1 \t;", Some("1")),
        // A delimiter at the end, or none.
        ("v=STSv1; id=1", Some("1")),
        // "the order of other fields is not significant"
        ("v=STSv1; new=x; id=1", Some("1")),
        // "unknown fields SHALL be ignored"
        ("v=STSv1; id=1; a.b-c_d=!#<>~:;", Some("1")),
        // §3.2: of a field that is duplicated, the first counts.
        ("v=STSv1; id=1; id=2", Some("1")),
        (&long(32), Some(&"a".repeat(32))),
        (&long(33), None),
        (&long(0), None),
        (&name(32), Some("1")),
        (&name(33), None),
        // sts-version is case-sensitive, and comes first.
        ("V=STSv1; id=1", None),
        ("v=stsv1; id=1", None),
        ("v=STSv2; id=1", None),
        ("v=STSv1x; id=1", None),
        (" v=STSv1; id=1", None),
        ("id=1; v=STSv1", None),
        // So is the name of the id.
        ("v=STSv1; ID=1", None),
        // The id is required.
        ("v=STSv1;", None),
        ("v=STSv1; new=x", None),
        ("v=STSv1", None),
        ("", None),
        // It is of letters and digits.
        ("v=STSv1; id=1-2", None),
        ("v=STSv1; id=1 2", None),
        ("v=STSv1; id=é", None),
        // No spaces around "=".
        ("v=STSv1; id =1", None),
        ("v=STSv1; id= 1", None),
        // sts-extension: a name, "=", a value without "=", ";" and spaces.
        ("v=STSv1; id=1; new", None),
        ("v=STSv1; id=1; new=", None),
        ("v=STSv1; id=1; =x", None),
        ("v=STSv1; id=1; new=a=b", None),
        ("v=STSv1; id=1; new=a b", None),
        ("v=STSv1; id=1; -new=x", None),
        ("v=STSv1; id=1;; new=x", None),
        ("v=STSv1; id=1; new=\u{7f}", None),
        // A leniency: spaces at the end, which belong behind a semicolon.
        ("v=STSv1; id=1  ", Some("1")),
    ] {
        assert_eq!(id(&[record]).as_deref(), expected, "{record}");
    }
}

#[test]
fn one_record_counts_and_not_two() {
    for (records, expected) in [
        // §3.1: those which do not begin with the version are discarded.
        (vec!["v=spf1 -all", "v=STSv1; id=1"], Some("1")),
        (vec!["v=STSv2; id=2", "v=STSv1; id=1"], Some("1")),
        // "If the number of resulting records is not one"
        (vec!["v=STSv1; id=1", "v=STSv1; id=1"], None),
        (vec!["v=STSv1; id=1", "v=STSv1; broken"], None),
        (vec!["v=spf1 -all"], None),
        (vec![], None),
    ] {
        assert_eq!(id(&records).as_deref(), expected, "{records:?}");
    }
    assert_eq!(Record::of(&[b"v=STSv1; id=1; x=\xff".to_vec()]), None);
}

/// A policy with these lines beside the version.
fn policy(lines: &str) -> Result<Policy, PolicyError> {
    Policy::parse(format!("version: STSv1\n{lines}").as_bytes())
}

const REST: &str = "mx: a.test\nmax_age: 1\n";

#[test]
fn a_policy_is_read_as_it_is_served() {
    // §3.2, the example, with either end of line.
    let example = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n\
                   mx: backupmx.example.com\r\nmax_age: 604800\r\n";
    let lines = example.replace('\r', "");
    for text in [example, &lines, lines.trim_end()] {
        let policy = Policy::parse(text.as_bytes()).unwrap();
        let patterns: Vec<_> = policy.patterns().collect();
        assert_eq!(
            patterns,
            ["mail.example.com", "*.example.net", "backupmx.example.com"]
        );
        assert_eq!((policy.mode(), policy.max_age()), (Mode::Enforce, 604_800));
        assert_eq!(
            policy.lines().collect::<Vec<_>>().join("\n"),
            lines.trim_end()
        );
    }
    for (lines, expected) in [
        (
            "mode: testing\nmx: a.test\nmax_age: 0\n",
            (Mode::Testing, 0),
        ),
        // §3.2: "mx" is not required with "none".
        ("mode: none\nmax_age: 86400\n", (Mode::None, 86_400)),
        // sts-policy-field-delim: ":" *WSP
        (
            "mode:enforce\nmx:\t a.test\nmax_age:7\n",
            (Mode::Enforce, 7),
        ),
        // Spaces at the end of a line.
        (
            "mode: enforce \t\r\nmx: a.test \nmax_age: 7 ",
            (Mode::Enforce, 7),
        ),
        // Any order.
        ("max_age: 7\nmx: a.test\nmode: enforce", (Mode::Enforce, 7)),
        // Unknown fields are ignored, of UTF-8 too.
        (
            "mode: enforce\nmx: a.test\nmax_age: 7\nnew.x: \u{e9} a:b\n",
            (Mode::Enforce, 7),
        ),
        (
            "mode: enforce\nmx: a.test\nmax_age: 7\nMode: none\n",
            (Mode::Enforce, 7),
        ),
        // Of duplicates the first counts, whatever the others are.
        (
            "mode: enforce\nmode: none\nmx: a.test\nmax_age: 7\nmax_age: x\n",
            (Mode::Enforce, 7),
        ),
        (
            "version: STSv2\nmode: enforce\nmx: a.test\nmax_age: 7\n",
            (Mode::Enforce, 7),
        ),
        // "maximum value of 31557600"
        (
            "mode: enforce\nmx: a.test\nmax_age: 31557601\n",
            (Mode::Enforce, 31_557_600),
        ),
        (
            "mode: enforce\nmx: a.test\nmax_age: 9999999999\n",
            (Mode::Enforce, 31_557_600),
        ),
        // A leniency: empty lines.
        (
            "\nmode: enforce\n\r\nmx: a.test\nmax_age: 7\n\n\n",
            (Mode::Enforce, 7),
        ),
    ] {
        let policy = policy(lines).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        assert_eq!((policy.mode(), policy.max_age()), expected, "{lines:?}");
    }
}

#[test]
fn what_is_no_policy_is_none() {
    let wrong = |lines: &str| policy(lines).unwrap_err().to_string();
    let value = "of the policy: ";
    for (lines, expected) in [
        // Required fields.
        ("mx: a.test\nmax_age: 1\n", "no \"mode\""),
        ("mode: enforce\nmx: a.test\n", "no \"max_age\""),
        ("mode: enforce\nmax_age: 1\n", "no \"mx\""),
        ("mode: testing\nmax_age: 1\n", "no \"mx\""),
        // Names and values are case-sensitive.
        (&format!("Mode: enforce\n{REST}"), "no \"mode\""),
        (&format!("mode: Enforce\n{REST}"), value),
        (&format!("mode: report\n{REST}"), value),
        (
            &format!("mode:\n{REST}"),
            "line 2 of the policy is no field",
        ),
        // max_age: 1*10DIGIT
        ("mode: enforce\nmx: a.test\nmax_age: -1\n", value),
        ("mode: enforce\nmx: a.test\nmax_age: 1.5\n", value),
        ("mode: enforce\nmx: a.test\nmax_age: +1\n", value),
        ("mode: enforce\nmx: a.test\nmax_age: 12345678901\n", value),
        ("mode: enforce\nmx: a.test\nmax_age: 1d\n", value),
        // mx: ["*."] Domain
        ("mode: enforce\nmx: *\nmax_age: 1\n", value),
        ("mode: enforce\nmx: *a.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: a.*.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: *.*.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: .test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: a..test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: -a.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: a_b.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: a.test, b.test\nmax_age: 1\n", value),
        ("mode: enforce\nmx: é.test\nmax_age: 1\n", value),
        // Lines that are no fields.
        (
            &format!("mode: enforce\n{REST}hello\n"),
            "line 5 of the policy is no field",
        ),
        (
            &format!("mode: enforce\n{REST} mx: b.test\n"),
            "line 5 of the policy is no field",
        ),
        (
            &format!("mode: enforce\n{REST}mx : b.test\n"),
            "line 5 of the policy is no field",
        ),
        (
            &format!("mode: enforce\n{REST}new: a\u{0}b\n"),
            "line 5 of the policy is no field",
        ),
        // CR alone ends no line.
        (
            "mode: enforce\rmx: a.test\rmax_age: 1\r",
            "line 2 of the policy is no field",
        ),
    ] {
        let error = wrong(lines);
        assert!(error.contains(expected), "{lines:?}: {error}");
    }
    for (octets, expected) in [
        (
            &b"mode: none\nmax_age: 1\n"[..],
            PolicyError::Missing("version"),
        ),
        (b"", PolicyError::Missing("version")),
        (b"version: STSv1\nx: \xff\n", PolicyError::NotText),
        (
            b"\xef\xbb\xbfversion: STSv1\nmode: none\nmax_age: 1\n",
            PolicyError::Line(1),
        ),
        (
            b"<html><body>version: STSv1</body></html>",
            PolicyError::Line(1),
        ),
    ] {
        assert_eq!(Policy::parse(octets), Err(expected));
    }
    let largest = |octets: usize| {
        let text = "version: STSv1\nmode: none\nmax_age: 1\nx: ";
        Policy::parse(format!("{text}{}", "x".repeat(octets - text.len())).as_bytes())
    };
    assert!(largest(64 * 1024).is_ok());
    assert_eq!(largest(64 * 1024 + 1), Err(PolicyError::TooLong));
}

/// §4.1: "the wildcard character "*" may only be used to match the entire left-most label".
#[test]
fn patterns_stand_for_hosts() {
    let lines = "mode: enforce\nmx: mail.example.com\nmx: *.Example.NET\nmax_age: 1\n";
    let policy = policy(lines).unwrap();
    for (host, expected) in [
        ("mail.example.com", true),
        ("MAIL.Example.com", true),
        ("mail.example.com.", true),
        ("mail.example.com..", false),
        ("example.com", false),
        ("a.mail.example.com", false),
        ("xmail.example.com", false),
        ("mail.example.com.evil.test", false),
        ("a.example.net", true),
        ("A.EXAMPLE.NET.", true),
        ("*.example.net", true),
        ("example.net", false),
        (".example.net", false),
        ("a.b.example.net", false),
        ("aexample.net", false),
        ("a.example.net.evil.test", false),
        ("", false),
        (".", false),
    ] {
        assert_eq!(policy.allows(host), expected, "{host}");
    }
}
