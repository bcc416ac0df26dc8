//! Every command, from its text to its value and back, and the traps of the grammar.

use crate::command::etrn::EtrnScope;
use crate::command::line::Command;
use crate::command::proxied::Attribute;
use crate::leniency::Leniencies;
use crate::parameter::body_type::BodyType;
use crate::parameter::date_time;
use crate::parameter::deliver_by::{ByMode, DeliverBy};
use crate::parameter::hold::Hold;
use crate::parameter::list::Parameter;
use crate::parameter::mail::MailParameters;
use crate::parameter::notify::Notify;
use crate::parameter::original_recipient::OriginalRecipient;
use crate::parameter::priority::Priority;
use crate::parameter::rcpt::RcptParameters;
use crate::parameter::ret::Ret;
use crate::parameter::valid_since::{Otherwise, ValidSince};
use crate::parameter::xtext::Xtext;
use crate::path::forward::ForwardPath;
use crate::path::mailbox::tests::any_mailbox;
use crate::path::reverse::ReversePath;
use bytes::{Buf as _, Bytes};
use hikyaku_wire::testkit::{Trap, traps, traps_of};
use hikyaku_wire::{LineFramer, Output, Secret};
use proptest::collection::vec as many;
use proptest::option::of;
use proptest::prelude::*;
use std::path::PathBuf;
use std::string::String;
use std::vec;
use std::vec::Vec;

fn any_others() -> impl Strategy<Value = Vec<Parameter>> {
    let one = |n: usize| {
        of("[!-<>-~é]{1,9}").prop_map(move |value| Parameter {
            keyword: Bytes::from(std::format!("X-{n}")),
            value: value.map(Bytes::from),
        })
    };
    (0..3_usize, one(1), one(2))
        .prop_map(|(count, one, two)| [one, two].into_iter().take(count).collect())
}

fn any_by() -> impl Strategy<Value = DeliverBy> {
    (1..=999_999_999_i32, any::<(bool, bool, bool)>()).prop_map(
        |(seconds, (notify, early, trace))| {
            let mode = if notify {
                ByMode::Notify
            } else {
                ByMode::Return
            };
            let seconds = if notify && early { -seconds } else { seconds };
            let by = DeliverBy::new(seconds, mode).unwrap();
            DeliverBy { trace, ..by }
        },
    )
}

fn any_seconds() -> impl Strategy<Value = i64> {
    date_time::EARLIEST..=date_time::LATEST
}

pub(crate) fn any_mail_parameters() -> impl Strategy<Value = MailParameters> {
    let body = prop_oneof![
        Just(BodyType::SevenBit),
        Just(BodyType::EightBitMime),
        Just(BodyType::BinaryMime)
    ];
    let hold = prop_oneof![
        (1..=999_999_999_u32).prop_map(Hold::For),
        any_seconds().prop_map(Hold::Until)
    ];
    let ret = prop_oneof![Just(Ret::Full), Just(Ret::Headers)];
    let priority = (-9..=9_i8).prop_map(|priority| Priority::new(priority).unwrap());
    let solicit = "[a-z][a-z.]{0,9}:[A-Z]{1,5}(,[a-z]{1,9}:[A-Z]{1,5})?".prop_map(Bytes::from);
    let few = (
        of(any::<u64>()),
        of(body),
        any::<bool>(),
        any::<bool>(),
        of(ret),
        of(priority),
    );
    let many = (
        of(any_by()),
        of(hold),
        of("[ -~]{1,30}".prop_map(|text| Xtext::of(text.as_bytes()))),
        of("[a-z][ -~]{1,60}".prop_map(|text| Xtext::of(text.as_bytes()))),
        of(solicit),
        any_others(),
    );
    (few, many).prop_map(|(few, (by, hold, envid, auth, solicit, others))| {
        let mut all = MailParameters::default();
        (
            all.size,
            all.body,
            all.smtputf8,
            all.requiretls,
            all.ret,
            all.priority,
        ) = few;
        let has = by.is_some()
            || hold.is_some()
            || auth.is_some()
            || solicit.is_some()
            || !others.is_empty();
        all.envid = envid;
        if has {
            let further = all.further_mut();
            (further.by, further.hold) = (by, hold);
            (further.auth, further.solicit, further.others) = (auth, solicit, others);
        }
        all
    })
}

pub(crate) fn any_rcpt_parameters() -> impl Strategy<Value = RcptParameters> {
    let notify = (0..8_u8).prop_map(|bits| {
        let all = [Notify::SUCCESS, Notify::FAILURE, Notify::DELAY];
        let chosen = all
            .iter()
            .enumerate()
            .filter(|(nth, _)| bits & (1 << nth) != 0);
        chosen.fold(Notify::NEVER, |all, (_, one)| all.with(*one))
    });
    let orcpt =
        "[ -~]{1,30}|[a-zé日]{1,9}@例.test".prop_map(|text| OriginalRecipient::rfc822(&text));
    let otherwise = prop_oneof![Just(Otherwise::Continue), Just(Otherwise::Reject)];
    let since = (any_seconds(), of(otherwise)).prop_map(|(since, otherwise)| {
        let mut valid = ValidSince::new(since);
        valid.otherwise = otherwise;
        valid
    });
    (of(notify), of(orcpt), of(since), any_others()).prop_map(|(notify, orcpt, since, others)| {
        let mut all = RcptParameters::default();
        (all.notify, all.orcpt) = (notify, orcpt);
        if since.is_some() || !others.is_empty() {
            let further = all.further_mut();
            (further.valid_since, further.others) = (since, others);
        }
        all
    })
}

fn any_attributes(last: &'static str) -> impl Strategy<Value = Vec<Attribute>> {
    let missing = || prop_oneof![Just("[UNAVAILABLE]"), Just("[TEMPUNAVAIL]")];
    let of = |name: &'static str, value: &'static str| {
        prop_oneof![
            value.prop_map(|value| Xtext::of(value.as_bytes())),
            missing().prop_map(|value| Xtext::parse(value).unwrap())
        ]
        .prop_map(move |value| Attribute {
            name: name.into(),
            value,
        })
    };
    let one = prop_oneof![
        of("NAME", "[!-~]{1,20}"),
        of("ADDR", "192\\.0\\.2\\.[1-9]|IPV6:2001:db8::[1-9]"),
        of("PORT", "[1-9][0-9]{0,3}"),
        of("PROTO", "E?SMTP"),
        of("HELO", "[!-~]{1,20}"),
        of(last, "LOCAL|REMOTE"),
    ];
    many(one, 1..5)
}

/// Each variant, in the order of the type.
fn any_command() -> impl Strategy<Value = Command> {
    let text = || "[a-z!#=+é]{1,20}|\"[a-z é]{0,9}(\\\\[ -~][a-z ]{0,4})?\"".prop_map(Bytes::from);
    let name = || "[a-z]{1,9}(\\.[a-z]{1,5})?|\\[127\\.0\\.0\\.1\\]".prop_map(Bytes::from);
    let node = "[!-?A-~]{1,20}".prop_filter_map("has an option", |node| {
        (!node.starts_with(['@', '#'])).then(|| Bytes::from(node))
    });
    let scope = prop_oneof![
        Just(EtrnScope::Host),
        Just(EtrnScope::Domain),
        Just(EtrnScope::Queue)
    ];
    prop_oneof![
        name().prop_map(Command::Ehlo),
        "[a-z]{1,9}(\\.[a-z]{1,5})?".prop_map(|name| Command::Helo(name.into())),
        name().prop_map(Command::Lhlo),
        (of(any_mailbox()), any_mail_parameters()).prop_map(|(mailbox, parameters)| {
            Command::Mail {
                reverse_path: ReversePath(mailbox),
                parameters,
            }
        }),
        (of(any_mailbox()), any_rcpt_parameters()).prop_map(|(mailbox, parameters)| {
            Command::Rcpt {
                forward_path: mailbox.map_or(ForwardPath::Postmaster, ForwardPath::Mailbox),
                parameters,
            }
        }),
        Just(Command::Data),
        any::<(u64, bool)>().prop_map(|(octets, last)| Command::Bdat { octets, last }),
        ("imap://[!-~]{1,20}", any::<bool>()).prop_map(|(url, last)| Command::Burl {
            url: url.into(),
            last
        }),
        Just(Command::Rset),
        of(text()).prop_map(Command::Noop),
        Just(Command::Quit),
        (text(), any::<bool>()).prop_map(|(string, smtputf8)| Command::Vrfy { string, smtputf8 }),
        (text(), any::<bool>()).prop_map(|(string, smtputf8)| Command::Expn { string, smtputf8 }),
        of(text()).prop_map(Command::Help),
        Just(Command::StartTls),
        ("[A-Z0-9-]{1,20}", of(any::<Vec<u8>>())).prop_map(|(mechanism, initial)| Command::Auth {
            mechanism: mechanism.into(),
            initial: initial.map(Secret::from)
        }),
        (scope, node).prop_map(|(scope, node)| Command::Etrn { scope, node }),
        any_attributes("LOGIN").prop_map(Command::XClient),
        any_attributes("SOURCE").prop_map(Command::XForward),
        ("X-[A-Z0-9]{1,9}", of(text())).prop_map(|(verb, arguments)| Command::Other {
            verb: verb.into(),
            arguments: arguments.unwrap_or_default(),
        }),
    ]
}

/// How many variants there are. The list of the generator is as long.
const VARIANTS: usize = 20;

pub(crate) fn written(command: &Command) -> Bytes {
    let mut output = Output::new();
    command.encode(&mut output);
    assert!(!output.has_replaced(), "{command:?}");
    output.copy_to_bytes(output.len())
}

// `Secret` is not printed by Debug: what is written shows the whole.
proptest! {
    #[test]
    fn what_is_written_is_read(command in any_command()) {
        let line = written(&command);
        let text = line.slice(..line.len() - 2);
        for leniencies in [Leniencies::ALL, Leniencies::NONE] {
            let read = Command::read(&text, leniencies).unwrap().within(&text);
            prop_assert_eq!(std::format!("{read:?}"), std::format!("{command:?}"));
            prop_assert_eq!(written(&read), &line);
        }
        let mut input = &line[..];
        let taken = Command::take(&mut input, Leniencies::ALL).unwrap().unwrap();
        prop_assert_eq!(written(&taken.within(&line)), &line);
        prop_assert!(input.is_empty());
        prop_assert!(Command::take(&mut &line[..line.len() - 1], Leniencies::ALL).is_none());
    }

    #[test]
    fn nothing_panics(verb in "(MAIL FROM:|RCPT TO:|AUTH |BDAT |BURL |ETRN |XCLIENT |EHLO |)", rest: Vec<u8>) {
        let line = [verb.as_bytes(), &rest].concat();
        let _ = Command::read(&line, Leniencies::ALL);
        let _ = Command::take(&mut &line[..], Leniencies::NONE);
    }
}

#[test]
fn each_variant_is_generated() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..2000 {
        let command = any_command().new_tree(&mut runner).unwrap().current();
        let name = match &command {
            Command::Other { .. } => "other",
            known => known.name(),
        };
        names.insert(String::from(name));
    }
    assert_eq!(names.len(), VARIANTS, "{names:?}");
}

/// What the parser makes of a line as a server frames it.
fn verdict(trap: &Trap, leniencies: Leniencies) -> &'static str {
    let mut input = bytes::BytesMut::from(&trap.octets[..]);
    let line = LineFramer::default().next(&mut input, 4096);
    let Some(Ok(line)) = line else {
        return "error";
    };
    match Command::read(&line, leniencies) {
        Ok(Command::Other { .. }) => "unknown",
        Ok(_) => "ok",
        Err(error) if error.offset == 0 => "unknown",
        Err(_) => "error",
    }
}

/// `smtp.tsv`, side C: rows `ok` and `bad`.
#[test]
fn the_traps_come_out_as_expected() {
    for trap in traps("smtp.tsv", "C") {
        let ok = verdict(&trap, Leniencies::ALL) == "ok";
        if trap.expect != "either" {
            assert_eq!(ok, trap.expect == "ok", "{trap:?}");
        }
    }
}

pub(crate) fn our_table() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "traps", "ours.tsv"]
        .iter()
        .collect()
}

#[test]
fn our_traps_come_out_as_expected() {
    let mut wrong = Vec::new();
    for trap in traps_of(&our_table(), "C") {
        let (lenient, strict) = (
            verdict(&trap, Leniencies::ALL),
            verdict(&trap, Leniencies::NONE),
        );
        let expected = match &*trap.expect {
            "lenient" => ("ok", "error"),
            "ok" => ("ok", "ok"),
            "error" => ("error", "error"),
            "unknown" => ("unknown", "unknown"),
            _ => (lenient, strict),
        };
        if (lenient, strict) != expected {
            wrong.push(std::format!(
                "{} {} came {lenient}, strictly {strict}: {}   ({})",
                trap.id,
                trap.expect,
                trap.escaped,
                trap.note
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} rows:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
