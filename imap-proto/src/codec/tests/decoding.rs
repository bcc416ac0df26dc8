//! What is decoded, in every chunking, and what passes a limit.

use super::*;

const TAG: &str = "Command(Tagged { tag: b\"b\", command: Noop })";

#[test]
fn commands_in_every_chunking() {
    check(
        served,
        &[
            (r"b NOOP\r\n", &[TAG, "end None"]),
            (r"b NOOP\r\nb NO", &[TAG, "the connection ended"]),
            (
                r"a DELETE {3}\r\nabc\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\"), octets: 3 }",
                    "Command(Tagged { tag: b\"a\", command: Delete",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a RENAME {3+}\r\nabc {3}\r\ndef\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\")",
                    "Command(Tagged { tag: b\"a\", command: Rename",
                    TAG,
                    "end None",
                ],
            ),
            // Octets of a refused literal are no commands, synchronizing or not.
            (
                r"a DELETE {24+}\r\nc NOOP\r\nc NOOP\r\nc NOOP\r\n x {9+}\r\nc NOOP\r\n y\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralTooBig }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a DELETE {4294967296}\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralTooBig }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a DELETE {99999999999999999999}\r\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: LiteralEndless }",
                    "literal of more",
                ],
            ),
            (r"a LOGIN {1+}\r\n", &["the connection ended"]),
            (r"x\r\nb NOOP\r\n", &["Malformed", TAG, "end None"]),
            (
                "* x {3}\\r\\nabc\\r\\nb NOOP\\r\\n",
                &[
                    "Continue { tag: None, octets: 3 }",
                    "Malformed(SyntaxError { tag: None",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a NOOP\nb NOOP\r\n",
                &[
                    "Refused { tag: Some(b\"a\"), refusal: BareNewline }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a NONSENSE\r\nb NOOP\r\n",
                &["Malformed(SyntaxError { tag: Some(b\"a\")", TAG, "end None"],
            ),
            // A message up to `folded` and a larger one.
            (
                r"a APPEND x {5}\r\nhello\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "octets hello",
                    "EndOfAppend { tag: b\"a\" }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x (\\Seen) {20+}\r\nhello\r\nb NOOP\r\n...\r\n\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "octets hello\\r\\nb NOOP\\r\\n...\\r\\n",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {0}\r\n\r\nb NOOP\r\n",
                &["Append", "EndOfAppend", TAG, "end None"],
            ),
            (
                r"a APPEND x {1+}\r\ny {2}\r\nzz\r\nb NOOP\r\n",
                &[
                    "Append",
                    "octets y",
                    "Append",
                    "octets zz",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND {1}\r\nx UTF8 (~{3+}\r\n\x00\xe9\n)\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\"), octets: 1 }",
                    "Append",
                    "octets \\x00\\xe9\\n",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x CATENATE (URL {3}\r\n/;u TEXT {2+}\r\nhi URL z)\r\nb NOOP\r\n",
                &[
                    "Continue { tag: Some(b\"a\")",
                    "Append",
                    "CatenateUrl(b\"/;u\")",
                    "CatenateText { octets: 2 }",
                    "octets hi",
                    "CatenateUrl(b\"z\")",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x CATENATE (URL y URL z)\r\nb NOOP\r\n",
                &[
                    "Append { tag: b\"a\"",
                    "CatenateUrl(b\"y\")",
                    "CatenateUrl(b\"z\")",
                    "EndOfAppend",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {9+}\r\nab\x00defghi\r\nb NOOP\r\n",
                &[
                    "Append",
                    "Refused { tag: Some(b\"a\"), refusal: Nul }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {3+}\r\n\x00bc\r\nb NOOP\r\n",
                &[
                    "Append",
                    "Refused { tag: Some(b\"a\"), refusal: Nul }",
                    TAG,
                    "end None",
                ],
            ),
            (
                r"a APPEND x {3+}\r\nabc nonsense {13+}\r\nc NOOP\r\n.. \r\n\r\nb NOOP\r\n",
                &["Append", "Malformed", TAG, "end None"],
            ),
            (
                r"a APPEND x {9+}\r\nhello",
                &["Append", "octets hello", "the connection ended"],
            ),
            // Lines that are no commands.
            (
                r"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\nb NOOP\r\n",
                &["Command", "SaslResponse", TAG, "end None"],
            ),
            (
                r"a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n",
                &["Command", "SaslCancelled", TAG, "end None"],
            ),
            (
                r"a AUTHENTICATE PLAIN\r\nb NOOP {5+}\r\nhello\r\nb NOOP\r\n",
                &["Command", "SaslCancelled", TAG, "end None"],
            ),
            (
                r"a IDLE\r\nDONE\r\nb NOOP\r\n",
                &["Command", "EndOfIdle { done: true }", TAG, "end None"],
            ),
            (
                r"a IDLE\r\nc NOOP\r\nb NOOP\r\n",
                &["Command", "EndOfIdle { done: false }", TAG, "end None"],
            ),
        ],
    );
}

const EXISTS: &str = "Response(Untagged(Exists(3)))";

#[test]
fn responses_in_every_chunking() {
    check(
        client,
        &[
            (
                r"* 3 EXISTS\r\n\r\n* 3 EXISTS\n",
                &[EXISTS, EXISTS, "end None"],
            ),
            (
                r"* OK of {3}\r\n* 3 EXISTS\r\n",
                &["Response(Untagged(Status(Ok", EXISTS, "end None"],
            ),
            (
                r"+ {3}\r\n* 3 EXISTS\r\n",
                &["Response(Continuation(b\"{3}\"))", EXISTS, "end None"],
            ),
            (
                r"* LIST () NIL {3}\r\na\r\n\r\na OK done\r\n",
                &[
                    "Response(Untagged(List(",
                    "Response(Tagged(b\"a\"",
                    "end None",
                ],
            ),
            // Up to `folded` a section is an item as any other.
            (
                r"* 1 FETCH (BODY[] {8}\r\n12345678 UID 7)\r\n* 3 EXISTS\r\n",
                &[
                    "Response(Untagged(Fetch(1, [Section(BodySection",
                    EXISTS,
                    "end None",
                ],
            ),
            (
                r"* 1 FETCH (UID 7 BODY[] {9}\r\n123456789 FLAGS ())\r\n* 3 EXISTS\r\n",
                &[
                    "Section { number: 1, uid: false, items: [Uid(7)], name: BodySection",
                    "octets 123456789",
                    "EndOfFetch([Flags(",
                    EXISTS,
                    "end None",
                ],
            ),
            (
                r"* 4 UIDFETCH (BODY[1] {2}\r\n)( BODY[2] {9}\r\n* 3 OUT\r\n BODY[3] ~{10}\r\n12345678\r\n)\r\n* 3 EXISTS\r\n",
                &[
                    "Section { number: 4, uid: true, items: [Section(",
                    "octets * 3 OUT\\r\\n",
                    "Section { number: 4, uid: true, items: []",
                    "octets 12345678\\r\\n",
                    "EndOfFetch([])",
                    EXISTS,
                    "end None",
                ],
            ),
            // What cannot be named costs itself.
            (
                r"* 1 FETCH (BODY[x] {9}\r\n123456789 UID 7)\r\n* 3 EXISTS\r\n",
                &["EndOfFetch([Uid(7)])", EXISTS, "end None"],
            ),
            // Another literal is held up to its limit, and NIL past it.
            (
                r"* 1 FETCH (ENVELOPE (NIL {21}\r\n123456789012345678901 NIL NIL NIL NIL NIL NIL NIL NIL) UID 7)\r\n* 3 EXISTS\r\n",
                &["Response(Untagged(Fetch(1, [Envelope(", EXISTS, "end None"],
            ),
            (
                r"nonsense\r\n* 3 EXISTS\r\n",
                &["Malformed", EXISTS, "end None"],
            ),
            (
                r"* LIST () NIL {99999999999999999999}\r\n",
                &["literal of more"],
            ),
            (
                r"* 1 FETCH (BODY[] {9}\r\n1234",
                &["Section", "octets 1234", "the connection ended"],
            ),
        ],
    );
}

#[test]
fn what_is_too_long_is_passed_over_whole() {
    let long = "x".repeat(300);
    let name = "y".repeat(15);
    for (octets, items) in [
        (format!("* LIST () NIL {long}\r\n* 3 EXISTS\r\n"), 1),
        (format!("* OK {long} {{5}}\r\n* 3 EXISTS\r\n"), 1),
        // A literal behind the limit is passed over with its line.
        (
            format!(
                "* LIST () NIL {{15}}\r\n{name} {long} {{14}}\r\n* 9 EXISTS\r\n. ()\r\n* 3 EXISTS\r\n"
            ),
            1,
        ),
        (
            format!(
                "* 1 FETCH (BODY[] {{9}}\r\n123456789 X-Y {long} Z ~{{4}}\r\n) \r\n)\r\n* 3 EXISTS\r\n"
            ),
            1,
        ),
    ] {
        let came = in_every_chunking(|pieces| client(pieces, &small()), octets.as_bytes());
        assert!(came.contains(&"TooLong".to_string()), "{came:?}");
        let after = came.iter().skip_while(|line| *line != "TooLong").skip(1);
        assert_eq!(
            after.filter(|line| *line == EXISTS).count(),
            items,
            "{came:?}"
        );
        assert!(
            !came.iter().any(|line| line.contains("Exists(9)")),
            "{came:?}"
        );
    }
    for octets in [
        format!("a NOOP {long}\r\nb NOOP\r\n"),
        format!("a RENAME {{15+}}\r\n{name} {long} {{8+}}\r\nc NOOP\r\n x\r\nb NOOP\r\n"),
    ] {
        let came = in_every_chunking(|pieces| served(pieces, &small()), octets.as_bytes());
        assert_eq!(came.len(), 3, "{came:?}");
        assert!(
            came[0].contains("refusal: TooLong") && came[1] == TAG,
            "{came:?}"
        );
    }
}

/// A literal of 4 GB, a line without an end: neither is held.
#[test]
fn what_never_ends_takes_no_memory() {
    let limits = Limits::default();
    let piece = vec![b'x'; 1 << 20];
    for head in [
        "a DELETE {4294967296+}\r\n",
        "a APPEND x {4294967296+}\r\n",
        "a DELETE ",
    ] {
        let mut codec = ServerCodec::new(limits.clone());
        let mut src = BytesMut::from(head);
        for _ in 0..64 {
            while codec.decode(&mut src).unwrap().is_some() {}
            assert!(src.len() < limits.command + 1, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
    for head in [
        "* 1 FETCH (BODY[] {4294967296}\r\n",
        "* LIST () NIL {4294967296}\r\n",
        "* LIST () NIL ",
    ] {
        let mut codec = ClientCodec::new(limits.clone());
        let mut src = BytesMut::from(head);
        for _ in 0..64 {
            while codec.decode(&mut src).unwrap().is_some() {}
            assert!(src.len() < limits.response + 1, "{head} {}", src.len());
            src.extend_from_slice(&piece);
        }
    }
}

#[test]
fn nesting_costs_the_item() {
    let limits = Limits {
        command: 1 << 20,
        ..Limits::default()
    };
    let octets = format!(
        "a SEARCH {}ALL{}\r\nb NOOP\r\n",
        "(".repeat(9000),
        ")".repeat(9000)
    );
    let came = served(&cut(octets.as_bytes(), &[1460]), &limits);
    assert!(
        came[0].starts_with("Malformed") && came[1] == TAG,
        "{came:?}"
    );
    let octets = format!(
        "* 1 FETCH (BODY {} UID 7)\r\n* 3 EXISTS\r\n",
        "(".repeat(9000) + &")".repeat(9000)
    );
    let came = client(&cut(octets.as_bytes(), &[1460]), &limits);
    assert_eq!(came[1], EXISTS, "{came:?}");
}

#[test]
fn the_traps_are_the_same_in_every_chunking() {
    let limits = Limits::default();
    for trap in traps("imap.tsv", "C") {
        let came = in_every_chunking(|pieces| served(pieces, &limits), &trap.octets);
        let first = came.iter().find(|line| !line.starts_with("Continue"));
        let refused =
            first.is_some_and(|line| line.starts_with("Malformed") || line.starts_with("Refused"));
        match &trap.expect[..] {
            "bad" | "refuse" => assert!(refused, "{trap:?}\n{}", came.join("\n")),
            "ok" => assert!(!refused, "{trap:?}\n{}", came.join("\n")),
            _ => {}
        }
    }
    for trap in traps("imap.tsv", "R") {
        in_every_chunking(|pieces| client(pieces, &limits), &trap.octets);
    }
}

/// What a server made of the machine does with the same octets: `+`, the end of each command, and each message.
fn machine(octets: &[u8]) -> Vec<String> {
    let mut options = Options {
        tls: true,
        limits: small(),
        ..Options::default()
    };
    options.limits.command = 1000;
    options.limits.command_before_login = 1000;
    let mut machine = Connection::new(options);
    let (mut input, mut output) = (BytesMut::from("l LOGIN u p\r\n"), Output::new());
    let mut log = Log::default();
    let said = |output: &mut Output, log: &mut Log| {
        let octets = output.copy_to_bytes(output.len());
        let octets = String::from_utf8_lossy(&octets).into_owned();
        for line in octets.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["+", ..] => log.line("+".into()),
                [tag, end @ ("OK" | "BAD"), ..] => log.line(format!("{tag} {end}")),
                _ => {}
            }
        }
    };
    let mut begun = false;
    loop {
        let step = machine.poll(&mut input, &mut output).unwrap();
        said(&mut output, &mut log);
        match step {
            Step::Event(Event::Connected) => machine.greet("", &mut output).unwrap(),
            Step::Event(Event::Append { .. } | Event::CatenateText(_) | Event::CatenateUrl(_)) => {
                machine.accept(&mut output).unwrap();
            }
            Step::Event(Event::Chunk(octets)) => log.chunk(&octets),
            Step::Event(Event::BodyRefused) => {}
            Step::Event(_) => machine.complete(Status::Ok, None, "", &mut output).unwrap(),
            Step::NeedInput if !begun => {
                begun = true;
                log = Log::default();
                input.extend_from_slice(octets);
            }
            _ => break,
        }
        said(&mut output, &mut log);
    }
    log.end(String::new())
}

fn codec(octets: &[u8]) -> Vec<String> {
    let mut limits = small();
    limits.folded = 0;
    limits.command = 1000;
    let mut codec = ServerCodec::new(limits);
    let (mut src, mut dst) = (BytesMut::from(octets), BytesMut::new());
    let mut log = Log::default();
    while let Ok(Some(item)) = codec.decode(&mut src) {
        let tag = |tag: Option<&Bytes>| {
            let tag = tag.map_or(&b"*"[..], |tag| tag);
            String::from_utf8_lossy(tag).into_owned()
        };
        match &item {
            CommandItem::Chunk(octets) => log.chunk(octets),
            CommandItem::Command(Tagged { tag: of, .. }) | CommandItem::EndOfAppend { tag: of } => {
                log.line(format!("{} OK", tag(Some(of))));
            }
            CommandItem::Malformed(error) => log.line(format!("{} BAD", tag(error.tag.as_ref()))),
            CommandItem::Refused { tag: of, .. } => log.line(format!("{} BAD", tag(of.as_ref()))),
            _ => {}
        }
        if codec.is_continuation_due() {
            log.line("+".into());
            let continuation = Received::Continuation("OK".into());
            codec.encode(continuation.into(), &mut dst).unwrap();
        }
    }
    log.end(String::new())
}

fn stream() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "a NOOP\r\n",
        "b DELETE {3}\r\n",
        "c DELETE {3+}\r\n",
        "d RENAME \"x\" {30+}\r\n",
        "e RENAME x {30}\r\n",
        "f APPEND x {9+}\r\n",
        "g APPEND x (\\Seen) {12}\r\n",
        "h APPEND {1+}\r\nx {0+}\r\n",
        "i NOOP x\r\n",
        "j NOOP\n",
        "abc",
        "d e",
        "\r\n",
        " {2+}\r\n",
        " {40+}\r\n",
        "0123456789",
        "\0",
    ]);
    many(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn framer_and_parser_say_what_the_machine_says(octets in stream()) {
        prop_assert_eq!(codec(octets.as_bytes()), machine(octets.as_bytes()), "{:?}", octets);
    }

    #[test]
    fn any_stream_in_any_chunking(octets in stream(), sizes in many(1..9_usize, 1..6)) {
        let limits = small();
        let octets = octets.as_bytes();
        prop_assert_eq!(served(&cut(octets, &sizes), &limits), served(&[octets], &limits));
    }

    #[test]
    fn any_responses_in_any_chunking(all in many(received(), 1..5), sizes in many(1..40_usize, 1..6)) {
        let mut output = Output::new();
        for one in &all {
            one.encode(&mut output);
        }
        let octets = output.copy_to_bytes(output.len());
        for limits in [Limits::default(), Limits { response: 100_000, ..small() }] {
            prop_assert_eq!(client(&cut(&octets, &sizes), &limits), client(&[&octets], &limits));
        }
    }
}
