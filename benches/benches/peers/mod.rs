//! The same octets for all libraries, and what each makes of them.

use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_wire::{Machine as _, Output, Step};
use std::fmt::Write as _;
use std::hint::black_box;

/// The input, in pieces of a given size.
pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) input: Vec<u8>,
    /// The number of items in it.
    pub(crate) items: usize,
    pub(crate) piece: usize,
    /// Whether a client reads it; else a server.
    pub(crate) client: bool,
}

/// A FETCH response with everything that a client needs for its list, and the structure.
fn full_fetch(n: usize) -> String {
    format!(
        "* {n} FETCH (UID {uid} FLAGS (\\Seen \\Answered $Forwarded) INTERNALDATE \"17-Jul-2025 02:44:25 -0700\" \
         RFC822.SIZE 44{n} ENVELOPE (\"Thu, 17 Jul 2025 02:23:25 -0700 (PDT)\" \"Re: the minutes of meeting {n}\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.example\")) ((NIL NIL \"imap\" \"cac.example\")) \
         ((NIL NIL \"minutes\" \"CNRI.example\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.example\")) NIL \
         \"<A2739-{n}@cac.example>\" \"<B27397-{n}@cac.example>\") BODYSTRUCTURE ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \
         \"UTF-8\") NIL NIL \"QUOTED-PRINTABLE\" 1152 23 NIL NIL NIL NIL)(\"APPLICATION\" \"PDF\" (\"NAME\" \
         \"minutes-{n}.pdf\") NIL NIL \"BASE64\" 45540 NIL (\"ATTACHMENT\" (\"FILENAME\" \"minutes-{n}.pdf\")) NIL \
         NIL) \"MIXED\" (\"BOUNDARY\" \"=_{n}\") NIL NIL NIL))\r\n",
        uid = n + 1000
    )
}

const WHOLE: usize = 64 * 1024;

/// Returns all inputs, each `scale` times as large.
pub(crate) fn works(scale: usize) -> Vec<Work> {
    let mut works = Vec::new();
    let mut add = |name, input: String, items, piece, client| {
        let input = input.into_bytes();
        works.push(Work {
            name,
            input,
            items,
            piece,
            client,
        });
    };
    let fetches = || (1..=1000 * scale).map(full_fetch).collect::<String>();
    add(
        "1 000 full FETCH responses",
        fetches(),
        1000 * scale,
        WHOLE,
        true,
    );
    add(
        "1 000 full FETCH responses, 1 460-octet reads",
        fetches(),
        1000 * scale,
        1460,
        true,
    );
    let mut flags = String::new();
    for n in 1..=10_000 * scale {
        let _ = write!(
            flags,
            "* {n} FETCH (UID {} FLAGS (\\Seen \\Answered))\r\n",
            n + 5
        );
    }
    add(
        "10 000 FETCH (UID FLAGS)",
        flags.clone(),
        10_000 * scale,
        WHOLE,
        true,
    );
    add(
        "10 000 FETCH (UID FLAGS), 1 460-octet reads",
        flags,
        10_000 * scale,
        1460,
        true,
    );
    let commands = "a1 NOOP\r\na2 UID FETCH 1:100 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])\r\n\
                    a3 UID STORE 5 +FLAGS.SILENT (\\Seen)\r\na4 UID SEARCH UNSEEN SUBJECT \"x\"\r\n";
    add(
        "10 000 commands",
        commands.repeat(2500 * scale),
        10_000 * scale,
        WHOLE,
        false,
    );
    let mut list = String::new();
    for n in 1..=10_000 * scale {
        let _ = write!(
            list,
            "* LIST (\\HasNoChildren \\Subscribed) \"/\" \"Archive/2025/list {n}\"\r\n"
        );
    }
    add("LIST of 10 000", list, 10_000 * scale, WHOLE, true);
    let mut search = String::from("* SEARCH");
    for n in 1..=100_000 * scale {
        let _ = write!(search, " {}", n * 3);
    }
    search.push_str("\r\n");
    add("SEARCH of 100 000", search.clone(), 1, WHOLE, true);
    add(
        "SEARCH of 100 000, 1 460-octet reads",
        search,
        1,
        1460,
        true,
    );
    let octets = 25 * 1024 * 1024 * scale;
    let message = "x".repeat(octets);
    let append = format!("a APPEND x {{{octets}+}}\r\n{message}\r\n");
    add(
        "APPEND of 25 MiB, 16 KiB reads",
        append,
        1,
        16 * 1024,
        false,
    );
    let body = format!("* 1 FETCH (BODY[] {{{octets}}}\r\n{message})\r\n");
    add("BODY[] of 25 MiB, 16 KiB reads", body, 1, 16 * 1024, true);
    works
}

/// A reader; returns the number of items it found.
pub(crate) type Reader = fn(&Work) -> usize;

pub(crate) const READERS: [(&str, Reader); 5] = [
    ("hikyaku-imap-proto", hikyaku),
    ("imap-codec", imap_codec),
    ("imap-next", imap_next),
    ("imap-proto", imap_proto_of_djc),
    ("a bare token scan", scan),
];

fn hikyaku(work: &Work) -> usize {
    match work.client {
        true => hikyaku_client(work),
        false => mailserver(work),
    }
}

/// The client machine, in a mailbox of as many messages as the server names.
fn hikyaku_client(work: &Work) -> usize {
    use hikyaku_imap_proto::client::{Connection, Event, Options};
    let mut machine = Connection::new(Options::default());
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n");
    let mut items = 0;
    let poll = |machine: &mut Connection, input: &mut BytesMut, output: &mut Output| {
        let mut items = 0;
        loop {
            match machine.poll(input, output).expect("no error") {
                Step::Event(Event::Fetch { items: fetched, .. }) => {
                    black_box(&fetched);
                    items += 1;
                }
                Step::Event(Event::Data(data)) => {
                    black_box(&data);
                    items += 1;
                }
                Step::Event(Event::Chunk(chunk)) => drop(black_box(chunk)),
                Step::Event(event) => drop(black_box(event)),
                _ => return items,
            }
        }
    };
    poll(&mut machine, &mut input, &mut output);
    let select = hikyaku_imap_proto::Command::select(hikyaku_imap_proto::MailboxName::new("x"));
    machine.issue(select, &mut output).expect("selected");
    input.extend_from_slice(format!("* {} EXISTS\r\na1 OK done\r\n", work.items).as_bytes());
    poll(&mut machine, &mut input, &mut output);
    output.advance(output.len());
    for piece in work.input.chunks(work.piece) {
        input.extend_from_slice(piece);
        items += poll(&mut machine, &mut input, &mut output);
    }
    items
}

fn mailserver(work: &Work) -> usize {
    use hikyaku_imap_proto::server::{Connection, Event, Options};
    use hikyaku_imap_proto::{Command, Status, Uid};
    let mut options = Options::default();
    options.login_needs_tls = false;
    let mut machine = Connection::new(options);
    let (mut input, mut output, mut items) = (BytesMut::new(), Output::new(), 0);
    input.extend_from_slice(b"a LOGIN u p\r\nb SELECT INBOX\r\n");
    for piece in std::iter::once(&[][..]).chain(work.input.chunks(work.piece)) {
        input.extend_from_slice(piece);
        loop {
            match machine.poll(&mut input, &mut output).expect("no error") {
                Step::Event(Event::Connected) => machine.greet("hi", &mut output).expect("greeted"),
                Step::Event(Event::Append { .. }) => machine.accept(&mut output).expect("accepted"),
                Step::Event(Event::Chunk(chunk)) => drop(black_box(chunk)),
                Step::Event(Event::Command(Command::Select { .. })) => {
                    machine.select(
                        (1..=200).filter_map(Uid::new).collect(),
                        None,
                        false,
                        &mut output,
                    );
                    machine
                        .complete(Status::Ok, None, "", &mut output)
                        .expect("selected");
                }
                Step::Event(event) => {
                    items += 1;
                    black_box(&event);
                    machine
                        .complete(Status::Ok, None, "", &mut output)
                        .expect("done");
                }
                _ => break,
            }
        }
        output.advance(output.len());
    }
    // LOGIN is none of them.
    items - 1
}

/// Its decoders need the whole of a message: with too few octets they start again.
fn imap_codec(work: &Work) -> usize {
    use imap_codec::decode::{CommandDecodeError, Decoder as _, ResponseDecodeError};
    use imap_codec::{CommandCodec, ResponseCodec};
    let (mut buffer, mut start, mut items) = (Vec::new(), 0, 0);
    for piece in work.input.chunks(work.piece) {
        buffer.drain(..start);
        start = 0;
        buffer.extend_from_slice(piece);
        loop {
            let rest = &buffer[start..];
            if rest.is_empty() {
                break;
            }
            let left = if work.client {
                match ResponseCodec::new().decode(rest) {
                    Ok((left, response)) => {
                        black_box(&response);
                        left.len()
                    }
                    Err(
                        ResponseDecodeError::Incomplete | ResponseDecodeError::LiteralFound { .. },
                    ) => break,
                    Err(error) => panic!("{error:?}"),
                }
            } else {
                match CommandCodec::new().decode(rest) {
                    Ok((left, command)) => {
                        black_box(&command);
                        left.len()
                    }
                    Err(
                        CommandDecodeError::Incomplete | CommandDecodeError::LiteralFound { .. },
                    ) => break,
                    Err(error) => panic!("{error:?}"),
                }
            };
            start = buffer.len() - left;
            items += 1;
        }
    }
    items
}

fn imap_next(work: &Work) -> usize {
    use imap_next::{Interrupt, Io, State as _};
    let mut items = 0;
    if work.client {
        use imap_next::client::{Client, Event, Options};
        let mut options = Options::default();
        options.discard_greeting = true;
        options.max_response_size = 1 << 30;
        let mut client = Client::new(options);
        for piece in work.input.chunks(work.piece) {
            client.enqueue_input(piece);
            loop {
                match client.next() {
                    Ok(Event::DataReceived { data }) => {
                        black_box(&data);
                        items += 1;
                    }
                    Ok(event) => drop(black_box(event)),
                    Err(Interrupt::Io(Io::NeedMoreInput)) => break,
                    Err(Interrupt::Io(_)) => {}
                    Err(Interrupt::Error(error)) => panic!("{error:?}"),
                }
            }
        }
        return items;
    }
    use imap_next::imap_types::response::Greeting;
    use imap_next::server::{Event, Options, Server};
    let mut options = Options::default();
    options.max_literal_size = 1 << 30;
    options.max_command_size = (1 << 30) + 1000;
    let greeting = Greeting::ok(None, "hi").expect("a greeting");
    let mut server = Server::new(options, greeting);
    for piece in work.input.chunks(work.piece) {
        server.enqueue_input(piece);
        loop {
            match server.next() {
                Ok(Event::CommandReceived { command }) => {
                    black_box(&command);
                    items += 1;
                }
                Ok(event) => drop(black_box(event)),
                Err(Interrupt::Io(Io::NeedMoreInput)) => break,
                Err(Interrupt::Io(_)) => {}
                Err(Interrupt::Error(error)) => panic!("{error:?}"),
            }
        }
    }
    items
}

/// It reads responses only, and borrows from the octets.
fn imap_proto_of_djc(work: &Work) -> usize {
    if !work.client {
        return 0;
    }
    let (mut buffer, mut start, mut items) = (Vec::new(), 0, 0);
    for piece in work.input.chunks(work.piece) {
        buffer.drain(..start);
        start = 0;
        buffer.extend_from_slice(piece);
        loop {
            let rest = &buffer[start..];
            if rest.is_empty() {
                break;
            }
            match peer_imap_proto::Response::from_bytes(rest) {
                Ok((left, response)) => {
                    black_box(&response);
                    start = buffer.len() - left.len();
                    items += 1;
                }
                Err(error) if format!("{error:?}").starts_with("Incomplete") => break,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    items
}

/// Only finds where tokens begin and end, without values: no parser can be faster.
fn scan(work: &Work) -> usize {
    if work.input.len() > 20 * 1024 * 1024 {
        // A bare copy, in the same pieces.
        let mut buffer = BytesMut::new();
        for piece in work.input.chunks(work.piece) {
            buffer.extend_from_slice(piece);
            black_box::<Bytes>(buffer.split().freeze());
        }
        return 1;
    }
    let (mut tokens, mut lines) = (0_usize, 0);
    for octet in &work.input {
        match octet {
            b' ' | b'(' | b')' | b'"' => tokens += 1,
            b'\n' => lines += 1,
            _ => {}
        }
    }
    black_box(tokens);
    lines
}
