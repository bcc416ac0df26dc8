use super::*;
use crate::Uid;
use crate::plumbing::text::write_list;
use crate::tests::uid;
use crate::{
    Append, Completion, Leniencies, Limits, MailboxName, Numbers, ResponseCode, SequenceSet,
    Status, Tagged,
};
use hikyaku_wire::Secret;
use hikyaku_wire::testkit::{Actor, Reported, Role, escape, replay_folder, unescape};
use std::format;
use std::string::{String, ToString as _};

struct Client;

fn shown(write: impl FnOnce(&mut Output)) -> String {
    let mut output = Output::new();
    write(&mut output);
    let octets = output.copy_to_bytes(output.len());
    escape(octets.trim_ascii_end())
}

fn words(status: Status, code: Option<&ResponseCode>, text: &[u8]) -> String {
    shown(|output| crate::response::write_status(status, code, text, output))
}

fn ended(what: &str, handle: Handle, end: &Completion) -> String {
    let end = words(end.status, end.code.as_ref(), &end.text);
    format!("{what} {} {end}", handle.0)
}

fn numbered(sequence: Option<SequenceNumber>) -> u32 {
    sequence.map_or(0, SequenceNumber::get)
}

fn known(uid: Option<Uid>) -> String {
    uid.map_or("?".into(), |uid| uid.to_string())
}

impl Actor for Client {
    type Machine = Connection;
    const ROLE: Role = Role::Client;

    fn machine(&self, options: &[String]) -> Connection {
        let mut o = Options {
            login_needs_tls: false,
            ..Options::default()
        };
        for option in options {
            match option.as_str() {
                "one-by-one" => o.one_by_one = true,
                "small" => o.limits.response_literal = 10,
                other => panic!("{other}"),
            }
        }
        Connection::new(o)
    }

    fn report(&self, event: Event) -> Reported {
        Reported::Line(match event {
            Event::Chunk(octets) => return Reported::Octets(octets),
            Event::Connected { preauth, text } => {
                format!("Connected {preauth} {}", escape(&text))
            }
            Event::Challenge(challenge) => format!("Challenge {}", escape(challenge.expose())),
            Event::SendBody(handle) => format!("SendBody {}", handle.0),
            Event::Idling(handle) => format!("Idling {}", handle.0),
            Event::Section {
                sequence,
                uid,
                name,
                octets,
            } => {
                let name = shown(|output| name.encode_name(output));
                format!(
                    "Section {} {} {name} {octets:?}",
                    numbered(sequence),
                    known(uid)
                )
            }
            Event::Fetch {
                sequence,
                uid,
                items,
            } => {
                let items = shown(|output| write_list(&items, output, FetchItem::encode));
                format!("Fetch {} {} {items}", numbered(sequence), known(uid))
            }
            Event::Expunged { sequence, uid } => format!("Expunged {sequence} {}", known(uid)),
            Event::Status(status, code, text) => {
                format!("Status {}", words(status, code.as_ref(), &text))
            }
            Event::Bye(code, text) => words(Status::Bye, code.as_ref(), &text),
            Event::Data(response) => format!("Data {}", shown(|output| response.encode(output))),
            Event::Completed(handle, end) => ended("Completed", handle, &end),
            Event::Authenticated(handle, end) => ended("Authenticated", handle, &end),
            Event::AuthenticationRefused(handle, end) => {
                ended("AuthenticationRefused", handle, &end)
            }
            other => format!("{other:?}"),
        })
    }

    fn act(&self, machine: &mut Connection, act: &str, output: &mut Output) {
        let (verb, rest) = act.split_once(' ').unwrap_or((act, ""));
        let mut words = rest.split(' ');
        let mut word = || words.next().unwrap_or("");
        let secret = |text: &str| Secret::from(text.as_bytes().to_vec());
        let mailbox = |text: &str| MailboxName::new(text);
        match verb {
            "login" => drop(
                machine
                    .login(word().to_string(), secret(word()), output)
                    .unwrap(),
            ),
            "authenticate" => {
                let mechanism = word().to_string();
                let initial = Some(word()).filter(|word| !word.is_empty());
                let initial = initial.map(|text| Secret::from(unescape(text)));
                machine.authenticate(mechanism, initial, output).unwrap();
            }
            "respond" => machine.respond(Some(&secret(rest)), output).unwrap(),
            "append" => {
                let append = Append::new(mailbox(word()));
                machine
                    .append(&append, word().parse().unwrap(), output)
                    .unwrap();
            }
            "chunk" => machine.chunk(unescape(rest).into(), output).unwrap(),
            "move" => {
                let set = SequenceSet::parse(&word().to_string().into()).unwrap();
                machine.move_messages(set, mailbox(word()), output).unwrap();
            }
            "done" => machine.done(output).unwrap(),
            "silence" => machine.timed_out(output),
            "learn" => assert!(machine.learn(rest.split(' ').map(|n| uid(n.parse().unwrap())))),
            "view" => {
                let uids: Vec<_> = machine.selected().unwrap().view.uids().collect();
                assert_eq!(format!("{uids:?}"), rest);
            }
            "capable" => assert!(rest.split(' ').all(|one| machine.capabilities().has(one))),
            "incapable" => assert!(!rest.split(' ').any(|one| machine.capabilities().has(one))),
            "flags" => {
                let selected = machine.selected().unwrap();
                let names = |flags: &[crate::Flag]| {
                    let names = flags.iter().map(|flag| escape(flag.as_bytes()));
                    names.collect::<Vec<_>>().join(" ").replace("\\\\", "\\")
                };
                let permanent = selected.permanent_flags.as_deref().unwrap_or(&[]);
                let both = format!("{}; {}", names(&selected.flags), names(permanent));
                assert_eq!(both, rest);
            }
            "refused" => {
                let tagged =
                    Tagged::parse(&unescape(&format!("x {rest}")).into(), &Limits::default());
                assert!(machine.issue(tagged.unwrap().command, output).is_err());
            }
            "do" => {
                let tagged =
                    Tagged::parse(&unescape(&format!("x {rest}")).into(), &Limits::default());
                machine.issue(tagged.unwrap().command, output).unwrap();
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_transcripts_come_out_as_written() {
    assert!(replay_folder(&Client, "tests/transcripts/client") >= 10);
}

/// A machine that is logged in with a mailbox of so many messages selected, and what it sends.
fn selected(count: u32, options: Options) -> (Connection, BytesMut, Output) {
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"* PREAUTH [CAPABILITY IMAP4rev1 IDLE] hi\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    let select = crate::Command::select(MailboxName::new("INBOX"));
    machine.issue(select, &mut output).unwrap();
    input.extend_from_slice(format!("* {count} EXISTS\r\na1 OK done\r\n").as_bytes());
    events(&mut machine, &mut input, &mut output).unwrap();
    assert_eq!(machine.selected().unwrap().view.len(), count);
    (machine, input, output)
}

fn events(
    machine: &mut Connection,
    input: &mut BytesMut,
    output: &mut Output,
) -> Result<Vec<Event>, Error> {
    let mut events = Vec::new();
    loop {
        match machine.poll(input, output)? {
            Step::Event(event) => events.push(event),
            _ => return Ok(events),
        }
    }
}

fn fed(octets: &[u8], options: Options) -> Result<Vec<Event>, Error> {
    let (mut machine, mut input, mut output) = selected(3, options);
    input.extend_from_slice(octets);
    events(&mut machine, &mut input, &mut output)
}

/// Whether something was kept as it was sent, since it is not known or not as the RFC has it.
fn is_raw(event: &Event) -> bool {
    use crate::StatusItem;
    match event {
        Event::Data(Response::Other(_)) => true,
        Event::Status(_, Some(ResponseCode::Other(..)), _) => true,
        Event::Data(Response::MailboxStatus(_, items)) => items
            .iter()
            .any(|item| matches!(item, StatusItem::Other(..))),
        Event::Fetch { items, .. } => items
            .iter()
            .any(|item| matches!(item, FetchItem::Other(..))),
        _ => false,
    }
}

/// What the server says in the RFCs' dialogues has a type, and is written as it is read.
#[test]
fn what_servers_say_in_the_rfcs_is_understood() {
    let (mut failed, mut seen) = (Vec::new(), 0);
    let examples = crate::tests::rfc_examples::examples();
    for example in examples.iter().filter(|example| !example.client) {
        let unit = Bytes::copy_from_slice(example.octets.strip_suffix(b"\r\n").unwrap());
        let read = Received::parse_as(&unit, &Limits::default(), true);
        let is_raw = match &read {
            Ok(Received::Untagged(response)) => {
                let mut raw = matches!(response, Response::Other(_));
                if let Response::Fetch(_, items) | Response::UidFetch(_, items) = response {
                    raw |= items
                        .iter()
                        .any(|item| matches!(item, FetchItem::Other(..)));
                }
                if let Response::MailboxStatus(_, items) = response {
                    raw |= items
                        .iter()
                        .any(|item| matches!(item, crate::StatusItem::Other(..)));
                }
                raw | matches!(
                    response,
                    Response::Status(_, Some(ResponseCode::Other(..)), _)
                )
            }
            Ok(Received::Tagged(_, end)) => matches!(end.code, Some(ResponseCode::Other(..))),
            Ok(Received::Continuation(_)) => false,
            Err(_) => true,
        };
        seen += 1;
        let mut again = true;
        if let Ok(read) = &read {
            let mut output = Output::new();
            read.encode(&mut output);
            let written = output.copy_to_bytes(output.len());
            let unit = written.slice(..written.len() - 2);
            // A text that is missing is written as `-`.
            let silent = matches!(read, Received::Untagged(Response::Status(_, _, text)) if text.is_empty())
                || matches!(read, Received::Tagged(_, end) if end.text.is_empty());
            again =
                silent || Received::parse_as(&unit, &Limits::default(), true).as_ref() == Ok(read);
        }
        if is_raw != example.wrong || !again {
            failed.push(format!("{} {}: {read:?}", example.place, example.text));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {seen}:\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(seen > 1000, "{seen}");
}

#[test]
fn traps_of_the_server_side() {
    let mut raw = Vec::new();
    for trap in hikyaku_wire::testkit::traps("imap.tsv", "R") {
        let seen = match trap.octets.strip_prefix(b"a ") {
            Some(_) => {
                let unit = Bytes::copy_from_slice(trap.octets.strip_suffix(b"\r\n").unwrap());
                match Received::parse(&unit, &Limits::default()) {
                    Ok(Received::Tagged(_, end)) => {
                        let event = Event::Status(end.status, end.code, end.text);
                        Ok(Vec::from([event]))
                    }
                    other => panic!("{}: {other:?}", trap.id),
                }
            }
            // A `+` that nothing waits for has no event.
            None if trap.octets.starts_with(b"+") => {
                let unit = Bytes::copy_from_slice(trap.octets.trim_ascii_end());
                assert!(
                    Received::parse(&unit, &Limits::default()).is_ok(),
                    "{}",
                    trap.id
                );
                continue;
            }
            None => fed(&trap.octets, Options::default()),
        };
        let seen = seen.unwrap_or_else(|error| panic!("{}: {error}", trap.id));
        let is_kept = seen.iter().any(is_raw);
        match trap.expect.as_str() {
            "ok" | "lenient" | "rev2" | "either" if is_kept => raw.push(trap.id),
            "ok" | "lenient" | "rev2" | "either" => {
                let silent = trap.octets.starts_with(b"* CAPABILITY");
                assert!(silent || !seen.is_empty(), "{}", trap.id);
            }
            "bad" => assert!(is_kept, "{}: {seen:?}", trap.id),
            "more" => assert!(
                !seen.iter().any(|e| matches!(e, Event::Fetch { .. })),
                "{}",
                trap.id
            ),
            other => panic!("{other}"),
        }
    }
    // A STATUS item that no RFC has.
    assert!(raw.is_empty() || raw == ["R037"], "{raw:?}");
}

/// What real servers sent: nothing is left over, nothing ends the connection, and chunks change nothing.
#[test]
fn real_transcripts() {
    let Ok(corpus) = std::env::var("HIKYAKU_CORPUS") else {
        return;
    };
    let folder = std::path::Path::new(&corpus).join("imap-transcripts/dovecot");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let mut raw = Vec::new();
    for path in &names {
        let text = std::fs::read_to_string(path).unwrap();
        // The tags were taken out, and the line ends changed.
        let text = text.replace("\r\n", "\n").replace('\n', "\r\n");
        let mut octets = String::new();
        let mut commands = 0;
        for line in text
            .split_inclusive('\n')
            .filter(|line| !line.starts_with('+'))
        {
            match line.strip_prefix("A########") {
                Some(rest) => {
                    commands += 1;
                    octets += &format!("a{}{rest}", commands + 1);
                }
                None => octets += line,
            }
        }
        let all = |size: usize| {
            let (mut machine, mut input, mut output) = selected(3, Options::default());
            for _ in 0..commands {
                machine.issue(crate::Command::Noop, &mut output).unwrap();
            }
            let mut seen = Vec::new();
            for piece in octets.as_bytes().chunks(size) {
                input.extend_from_slice(piece);
                let more = events(&mut machine, &mut input, &mut output);
                seen.extend(more.unwrap_or_else(|error| panic!("{}: {error}", path.display())));
            }
            assert!(
                machine.sent.is_empty() && input.is_empty(),
                "{}",
                path.display()
            );
            assert!(machine.fetching.is_none(), "{}", path.display());
            seen
        };
        let whole = all(octets.len());
        let is_chunk = |event: &&Event| !matches!(event, Event::Chunk(_));
        let without: Vec<_> = whole.iter().filter(is_chunk).collect();
        for size in [1, 7, 64] {
            let pieces = all(size);
            assert_eq!(pieces.iter().filter(is_chunk).collect::<Vec<_>>(), without);
        }
        raw.extend(
            whole
                .into_iter()
                .filter(is_raw)
                .map(|event| (path.file_stem().unwrap(), event)),
        );
    }
    for (name, event) in &raw {
        std::println!("{name:?}: {event:?}");
    }
    assert!(names.len() > 80 && raw.len() < 30, "{}", raw.len());
}

#[test]
fn what_ends_the_connection() {
    let small = || {
        let mut options = Options::default();
        options.limits.response = 200;
        options
    };
    let long = format!("* SEARCH {}\r\n", "1 ".repeat(300));
    // Sections without end hold no more than the limit.
    let sections = format!("* 1 FETCH ({}", "UID 5 BODY[1] {1}\r\nx ".repeat(30));
    for (octets, text) in [
        (
            &long[..],
            r#"a response that is too long (more than 200 octets), with a mailbox selected: "* SEARCH 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1".."#,
        ),
        (
            "* 1 FETCH (BODY[] {18446744073709551616}\r\n",
            r#"not a response, with a mailbox selected: expected a literal of at most 63 bits, found "* 1 FETCH (BODY[] {18446744073709551616}".."#,
        ),
        (
            "+ go\r\n",
            r#"unexpected answer "+ go", with a mailbox selected"#,
        ),
        (
            "a9 OK\r\n",
            r#"unexpected answer "a9 OK", with a mailbox selected"#,
        ),
        (
            "what\r\n",
            r#"not a response, with a mailbox selected: expected one blank, found "what""#,
        ),
        (
            "HTTP/1.1 400 Bad\r\n",
            r#"not a response, with a mailbox selected: expected OK, NO or BAD, found "HTTP/1.1 400 Bad""#,
        ),
        (
            &sections,
            r#"a response that is too long (more than 200 octets), with a mailbox selected: " UID 5 BODY[1] ""#,
        ),
    ] {
        let error = fed(octets.as_bytes(), small()).unwrap_err();
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn errors_name_the_command_that_is_under_way() {
    let (mut machine, mut input, mut output) = selected(3, Options::default());
    machine.issue(crate::Command::Noop, &mut output).unwrap();
    input.extend_from_slice(b"+ \x1b[31m\r\n");
    let error = events(&mut machine, &mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"unexpected answer "+ \x1b[31m", after NOOP, with a mailbox selected"#
    );
    // A server that repeats what it was sent at a login is not quoted.
    let options = Options {
        tls: true,
        ..Options::default()
    };
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"* OK [CAPABILITY IMAP4rev1] hi\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    let password = Secret::from(b"sesame".to_vec());
    machine.login("alice", password, &mut output).unwrap();
    input.extend_from_slice(b"\"sesame\" is wrong\r\n");
    let error = events(&mut machine, &mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        "not a response, after LOGIN, while a login is under way: expected a tag, found what is not shown"
    );
}

#[test]
fn passwords_wait_for_tls_by_default() {
    let secret = || Secret::from(b"sesame".to_vec());
    let mut machine = Connection::new(Options::default());
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"* OK [CAPABILITY IMAP4rev1 SASL-IR STARTTLS] hi\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    let (name, password) = ("a".into(), secret());
    let refused = [
        machine.login("a", secret(), &mut output),
        machine.issue(crate::Command::Login { name, password }, &mut output),
        machine.authenticate("PLAIN", Some(secret()), &mut output),
    ];
    for misuse in refused {
        let text = misuse.unwrap_err().to_string();
        let why = "not allowed without TLS unless login_needs_tls is false (before login)";
        assert!(text.ends_with(why), "{text}");
    }
    assert!(output.is_empty());
    machine
        .issue(crate::Command::StartTls, &mut output)
        .unwrap();
    input.extend_from_slice(b"a1 OK go\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    machine.tls_established(&mut output);
    input.extend_from_slice(b"* CAPABILITY IMAP4rev1\r\na2 OK\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    machine.login("a", secret(), &mut output).unwrap();
}

#[test]
fn misuse_names_the_command_and_the_state() {
    use crate::Command as C;
    let mut output = Output::new();
    let text = |misuse: Result<Handle, Misuse>| misuse.unwrap_err().to_string();
    let mut machine = Connection::new(Options::default());
    assert_eq!(
        text(machine.issue(C::Noop, &mut output)),
        "NOOP: not allowed before the greeting"
    );
    let mut input = BytesMut::from("* OK [CAPABILITY IMAP4rev1] hi\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    assert_eq!(
        text(machine.issue(C::Check, &mut output)),
        "CHECK: not allowed before login"
    );
    let append = Append::new(MailboxName::new("a"));
    assert_eq!(
        text(machine.append(&append, 1, &mut output)),
        "append: not allowed before login"
    );
    let misuse = machine.respond(None, &mut output).unwrap_err();
    assert_eq!(
        (misuse.method(), misuse.state()),
        ("respond", "before login")
    );
    let misuse = machine.chunk(Bytes::new(), &mut output).unwrap_err();
    assert_eq!(misuse.to_string(), "chunk: not allowed before login");
    assert!(machine.done(&mut output).is_err() && machine.renew_idle(&mut output).is_err());
    machine.issue(C::Logout, &mut output).unwrap();
    assert_eq!(
        text(machine.issue(C::Noop, &mut output)),
        "NOOP: not allowed after LOGOUT"
    );
}

#[test]
fn a_literal_that_is_too_long_costs_itself() {
    let mut options = Options::default();
    options.limits.response_literal = 10;
    let octets = b"* 1 FETCH (X {11}\r\n01234567890 UID 7 X {2}\r\nab BODY[] {20}\r\n01234567890123456789)\r\n";
    for size in 1..octets.len() {
        let (mut machine, mut input, mut output) = selected(3, options.clone());
        let mut seen = Vec::new();
        for piece in octets.chunks(size) {
            input.extend_from_slice(piece);
            seen.extend(events(&mut machine, &mut input, &mut output).unwrap());
        }
        seen.retain(|event| !matches!(event, Event::Chunk(_)));
        let x = |value: &'static str| FetchItem::Other("X".into(), value.into());
        let items = Vec::from([x("NIL"), FetchItem::Uid(uid(7)), x("{2}\r\nab")]);
        let fetch = Event::Fetch {
            sequence: SequenceNumber::new(1),
            uid: Uid::new(7),
            items,
        };
        assert_eq!(seen[1..], [Event::EndOfBody, fetch], "{size}");
        assert_eq!(machine.end_of_input(), Ok(()));
    }
}

#[test]
fn a_connection_that_ends_early_is_never_success() {
    let (mut machine, ..) = selected(3, Options::default());
    assert_eq!(machine.end_of_input(), Ok(()));
    for inside in [
        "* 1 FET",
        "* 1 FETCH (BODY[] {3}\r\na",
        "* 1 FETCH (BODY[] {3}\r\nabc UID",
        "* X {3}\r\na",
    ] {
        let (mut machine, mut input, mut output) = selected(3, Options::default());
        input.extend_from_slice(inside.as_bytes());
        events(&mut machine, &mut input, &mut output).unwrap();
        let error = machine.end_of_input().unwrap_err().to_string();
        assert_eq!(
            error, "the connection ended before the answer, with a mailbox selected",
            "{inside}"
        );
    }
    let (mut machine, _, mut output) = selected(3, Options::default());
    machine.issue(crate::Command::Noop, &mut output).unwrap();
    assert_eq!(
        machine.end_of_input().unwrap_err().to_string(),
        "the connection ended before the answer, after NOOP, with a mailbox selected"
    );
    let error = Connection::new(Options::default()).end_of_input();
    assert_eq!(
        error.unwrap_err().to_string(),
        "the connection ended before the answer, before the greeting"
    );
}

#[test]
fn a_command_is_one_command() {
    use crate::{Command, Flag, Store, StoreAction};
    let (mut machine, _, mut output) = selected(3, Options::default());
    output.advance(output.len());
    let store = |flag: &'static str| Command::Store {
        store: Store {
            set: SequenceSet::all(),
            unchanged_since: None,
            action: StoreAction::Add,
            silent: false,
            flags: [Flag::Keyword(flag.into())].into(),
        },
        numbers: Numbers::Uid,
    };
    for bad in ["a)\r\nb LOGOUT", "a\0", "a\n", "{5}\r\na"] {
        let misuse = machine.issue(store(bad), &mut output).unwrap_err();
        assert_eq!(
            misuse.to_string(),
            "STORE: an argument holds what cannot be sent (with a mailbox selected)",
            "{bad:?}"
        );
    }
    let enable = Command::Enable(["X\r\nb LOGOUT".into()].into());
    assert!(machine.issue(enable, &mut output).is_err());
    assert!(output.is_empty());
    assert!(machine.issue(store("$MDNSent"), &mut output).is_ok());
}

#[test]
fn what_is_said_before_tls_is_never_taken_for_what_is_said_under_it() {
    let mut machine = Connection::new(Options::default());
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hi\r\n");
    events(&mut machine, &mut input, &mut output).unwrap();
    machine
        .issue(crate::Command::StartTls, &mut output)
        .unwrap();
    input.extend_from_slice(b"a1 OK go\r\n* CAPABILITY IMAP4rev1 X-EVIL\r\n");
    let error = events(&mut machine, &mut input, &mut output).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"octets in clear after STARTTLS: "* CAPABILITY IMAP4rev1 X-EVIL\r\n""#
    );
}

/// RFC 4978 §3: what follows the OK is compressed, however many line ends are in it.
#[test]
fn what_follows_the_ok_to_compress_stays_in_the_input() {
    let octets = b"* 4 EXISTS\r\n* 5 EXISTS\r\na2 OK go\r\n\x0a\x0d\x0a1}\r\n\x0a2";
    let (_, compressed) = octets.split_at(octets.len() - 9);
    for size in 1..=octets.len() {
        let (mut machine, mut input, mut output) = selected(3, Options::default());
        let compress = crate::Command::Compress("DEFLATE".into());
        let handle = machine.issue(compress, &mut output).unwrap();
        let mut seen = Vec::new();
        for piece in octets.chunks(size) {
            input.extend_from_slice(piece);
            seen.extend(events(&mut machine, &mut input, &mut output).unwrap());
        }
        assert_eq!(seen[..2], [Event::Exists(4), Event::Exists(5)]);
        assert!(matches!(&seen[2], Event::Completed(done, _) if *done == handle));
        assert_eq!(input, compressed, "{size}");
        machine.compression_active();
        // RFC 8437 §4.1: it would end the compression.
        let unauthenticate = crate::Command::Unauthenticate;
        assert!(machine.issue(unauthenticate, &mut output).is_err());
    }
}

/// [`Leniency::LiteralTooShort`]: what was announced ends before the last line end.
#[test]
fn a_section_that_is_two_octets_longer_than_announced() {
    let octets = b"* 1 FETCH (BODY[] {3}\r\nabc\r\n UID 7)\r\n* 5 EXISTS\r\n";
    for (leniencies, understood) in [(Leniencies::ALL, true), (Leniencies::NONE, false)] {
        for size in 1..=octets.len() {
            let mut options = Options::default();
            options.limits.leniencies = leniencies;
            let (mut machine, mut input, mut output) = selected(3, options);
            let mut seen = Vec::new();
            let mut failed = false;
            for piece in octets.chunks(size) {
                input.extend_from_slice(piece);
                match events(&mut machine, &mut input, &mut output) {
                    Ok(more) => seen.extend(more),
                    Err(_) => failed = true,
                }
            }
            let exists = seen.contains(&Event::Exists(5));
            let fetch = |event: &Event| matches!(event, Event::Fetch { uid: Some(uid), .. } if uid.get() == 7);
            assert_eq!(exists && seen.iter().any(fetch), understood, "{size}");
            assert_eq!(failed, !understood);
        }
    }
}
