//! The cost of hostile input: for every parser of IMAP and of messages, how many times as long twice the
//! input takes. Linear is 2, quadratic 4.
//!
//! `cargo bench -p hikyaku-benches --bench growth`; an argument selects inputs by a word.

use bytes::{Buf as _, Bytes, BytesMut};
use hikyaku_imap_proto::{Limits, Received, Tagged, Uid, client, server};
use hikyaku_message::{
    BaseSubject, Encoding, Inline, Structure, TextDecoder, TransferDecoder, decode_header,
    parse_addresses, parse_date, seven_bit,
};
use hikyaku_wire::{Machine as _, Output, Step};
use std::hint::black_box;
use std::time::Instant;

/// Octets of the smaller input.
const OCTETS: usize = 64 * 1024;
const ROUNDS: usize = 101;
/// Above this ratio an input is named at the end, if the ratio is above it with `LARGER` times as much, too:
/// when a buffer passes the size from which the allocator gives it fresh pages, twice as much costs more,
/// once.
const MOST: f64 = 2.2;
const LARGER: usize = 8;

/// The parser that reads the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Response,
    Command,
    Client,
    Server,
    Message,
    /// A field, as a message has it: no more than 64 KiB of it are read.
    Header,
    /// A field, or what a part contains.
    Field,
    /// HTML.
    Html,
}

use Reader::{Client, Command, Field, Header, Html, Message, Response, Server};

type Read<'a> = &'a dyn Fn(&[u8]);

/// The beginning, what is repeated, and the end. `#` stands for a growing number.
#[rustfmt::skip]
const INPUTS: &[(Reader, &str, &str, &str, &str)] = &[
    (Response, "flags", "* 1 FETCH (FLAGS (a", " k#", "))"),
    (Response, "the same flag", "* 1 FETCH (FLAGS (a", " \\Seen", "))"),
    (Response, "FETCH items", "* 1 FETCH (UID 1", " MODSEQ (#)", ")"),
    (Response, "items nobody knows", "* 1 FETCH (UID 1", " X#Y (a (b))", ")"),
    (Response, "parentheses", "* 1 FETCH (X ", "(", ""),
    (Response, "brackets", "* 1 FETCH (X ", "[", ""),
    (Response, "quotes", "* OK [X ", "\"", "] a"),
    (Response, "backslashes in quotes", "* 1 FETCH (X \"", "\\\\", "\")"),
    (Response, "literals", "* 1 FETCH (X (a", " {1}\r\nb", "))"),
    (Response, "empty literals", "* 1 FETCH (X (a", " {0}\r\n", "))"),
    (Response, "addresses", "* 1 FETCH (ENVELOPE (NIL NIL (", "(NIL NIL \"a#\" \"b\")", ") NIL NIL NIL NIL NIL NIL NIL))"),
    (Response, "body parts", "* 1 FETCH (BODY (", "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0)", " \"MIXED\"))"),
    (Response, "body parameters", "* 1 FETCH (BODY (\"TEXT\" \"PLAIN\" (\"a\" \"b\"", " \"n#\" \"v\"", ") NIL NIL \"7BIT\" 0 0))"),
    (Response, "body languages", "* 1 FETCH (BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0 NIL NIL (\"a\"", " \"l#\"", ")))"),
    (Response, "levels of multipart", "* 1 FETCH (BODY ", "(", ""),
    (Response, "SEARCH", "* SEARCH", " #", ""),
    (Response, "ESEARCH", "* ESEARCH (TAG \"a\") ALL 1", ",#", ""),
    (Response, "VANISHED", "* VANISHED 1", ",#:#", ""),
    (Response, "ESEARCH of one number", "* ESEARCH ALL 1", ",1", ""),
    (Response, "SORT", "* SORT", " #", ""),
    (Response, "threads", "* THREAD ", "(#)", ""),
    (Response, "levels of threads", "* THREAD ", "(# ", ""),
    (Response, "a thread in a row", "* THREAD (1", " #", ")"),
    (Response, "capabilities", "* CAPABILITY A", " X#", ""),
    (Response, "ENABLED", "* ENABLED A", " X#", ""),
    (Response, "LIST attributes", "* LIST (\\a", " \\X#", ") \"/\" a"),
    (Response, "LIST CHILDINFO", "* LIST () \"/\" a (\"CHILDINFO\" (\"a\"", " \"SUBSCRIBED\"", "))"),
    (Response, "a name in UTF-7", "* LIST () \"/\" \"", "&MEI-", "\""),
    (Response, "a name of ampersands", "* LIST () \"/\" \"", "&", "\""),
    (Response, "STATUS", "* STATUS a (MESSAGES 1", " UIDNEXT #", ")"),
    (Response, "namespaces", "* NAMESPACE (", "(\"a#\" \"/\")", ") NIL NIL"),
    (Response, "ACL", "* ACL a", " u# lr", ""),
    (Response, "LISTRIGHTS", "* LISTRIGHTS a b \"\"", " l", ""),
    (Response, "METADATA", "* METADATA \"\" (/a \"b\"", " /x# \"v\"", ")"),
    (Response, "QUOTA", "* QUOTA a (STORAGE 1 2", " X# 1 2", ")"),
    (Response, "QUOTAROOT", "* QUOTAROOT a", " r#", ""),
    (Response, "ID", "* ID (\"a\" \"b\"", " \"n#\" \"v\"", ")"),
    (Response, "LANGUAGE", "* LANGUAGE (\"en\"", " \"l#\"", ")"),
    (Response, "BADCHARSET", "* NO [BADCHARSET (a", " c#", ")] no"),
    (Response, "COPYUID", "* OK [COPYUID 1 1,", "#,", "1 1] ok"),
    (Response, "Gmail's labels", "* 1 FETCH (X-GM-LABELS (a", " l#", "))"),
    (Response, "a line that is nothing", "* ", "\u{1}", ""),
    (Command, "search keys", "a SEARCH ALL", " SUBJECT t#", ""),
    (Command, "OR", "a SEARCH ", "OR ", "ALL ALL"),
    (Command, "NOT", "a SEARCH ", "NOT ", "ALL"),
    (Command, "parentheses of keys", "a SEARCH ", "(", "ALL"),
    (Command, "lists of keys", "a SEARCH (ALL)", " (SEEN)", ""),
    (Command, "sets", "a FETCH 1", ",#", " FLAGS"),
    (Command, "ranges that overlap", "a FETCH 1", ",1:*", " FLAGS"),
    (Command, "FETCH attributes", "a FETCH 1 (UID", " BODY.PEEK[#]", ")"),
    (Command, "HEADER.FIELDS", "a FETCH 1 BODY[HEADER.FIELDS (A", " X#", ")]"),
    (Command, "a section", "a FETCH 1 BODY[1", ".1", "]"),
    (Command, "STORE", "a STORE 1 FLAGS (a", " k#", ")"),
    (Command, "SORT", "a SORT (DATE", " REVERSE SIZE", ") UTF-8 ALL"),
    (Command, "patterns", "a LIST \"\" (a", " p#", ")"),
    (Command, "a pattern", "a LIST \"\" \"", "%*", "\""),
    (Command, "STATUS", "a STATUS a (MESSAGES", " UIDNEXT", ")"),
    (Command, "ENABLE", "a ENABLE A", " X#", ""),
    (Command, "METADATA", "a SETMETADATA \"\" (/private/a \"b\"", " /private/x# \"v\"", ")"),
    (Command, "GETMETADATA", "a GETMETADATA \"\" (/private/a", " /private/x#", ")"),
    (Command, "NOTIFY", "a NOTIFY SET (PERSONAL NONE)", " (SUBTREE m# NONE)", ""),
    (Command, "MULTISEARCH", "a ESEARCH IN (PERSONAL", " SUBTREE (m#)", ") ALL"),
    (Command, "a mailbox of ampersands", "a SELECT \"", "&", "\""),
    (Command, "backslashes", "a SELECT \"", "\\\\", "\""),
    (Command, "no command", "a ", "\"", ""),
    (Response, "a name without quotes", "* LIST () \"/\" a", " b", ""),
    (Response, "structures that cannot be read", "* 1 FETCH (UID 1", " BODY ((((", ")"),
    (Response, "sections", "* 1 FETCH (UID 1", " BODY[#] \"a\"", ")"),
    (Response, "header fields of a section", "* 1 FETCH (BODY[HEADER.FIELDS (A", " X#", ")] \"a\")"),
    (Response, "CONVERTED", "* 1 CONVERTED (TAG \"a\") (BINARY[1] \"a\"", " BINARY[#] \"a\"", ")"),
    (Response, "UIDBATCHES", "* UIDBATCHES (TAG \"a\") 3:2", ",1:1", ""),
    (Response, "BADURL", "* NO [BADURL \"", "%41", "\"] no"),
    (Response, "codes nobody knows", "* OK [X", " (a]b", "] no"),
    (Command, "an address of a message", "a APPEND a CATENATE (URL \"/", "%41/", "\")"),
    (Command, "CATENATE", "a APPEND a CATENATE (URL \"/a\"", " URL \"/b\"", ")"),
    (Command, "APPEND's flags", "a APPEND a (a", " k#", ") \"a\""),
    (Command, "ID", "a ID (\"a\" \"b\"", " \"n#\" \"v\"", ")"),
    (Command, "CREATE", "a CREATE a (USE (\\a", " \\b", "))"),
    (Command, "QRESYNC", "a SELECT a (QRESYNC (1 1 1:9 (1", ",#", " 1)))"),
    (Command, "RETURN", "a SEARCH RETURN (ALL", " COUNT", ") ALL"),
    (Client, "empty lines", "", "\r\n", ""),
    (Client, "line feeds", "", "\n", ""),
    (Client, "lines without a tag", "", "* X\r\n", ""),
    (Client, "EXPUNGE", "* 4000000 EXISTS\r\n", "* 1 EXPUNGE\r\n", ""),
    (Client, "EXISTS", "", "* # EXISTS\r\n", ""),
    (Client, "UIDs", "* 4000000 EXISTS\r\n", "* # FETCH (UID #)\r\n", ""),
    (Client, "VANISHED", "* 4000000 EXISTS\r\n", "* VANISHED #\r\n", ""),
    (Client, "a literal after the other", "", "* X {0}\r\n {0}\r\n\r\n", ""),
    (Client, "literals in one response", "* X (a", " {1}\r\nb", ")\r\n"),
    (Client, "braces", "", "* OK }\r\n", ""),
    (Client, "sections", "* 1 EXISTS\r\n* 1 FETCH (UID 1", " BODY[#] {1}\r\nx", ")\r\n"),
    (Server, "empty lines", "", "\r\n", ""),
    (Server, "NOOP", "", "a NOOP\r\n", ""),
    (Server, "a line that does not end", "", "a", ""),
    (Server, "literals that are refused", "", "a X {99999+}\r\n", ""),
    (Server, "literals in a command", "a SEARCH ", "TEXT {1+}\r\na ", "ALL\r\n"),
    (Server, "line feeds", "", "\n", ""),
    (Server, "carriage returns", "", "\r", ""),
    (Message, "fields", "", "X-#: a\r\n", "\r\n"),
    (Message, "the same field", "", "Subject: a\r\n", "\r\n"),
    (Header, "a folded field", "Subject: a", "\r\n b", "\r\n\r\n"),
    (Message, "a line that does not end", "\r\n", "a", ""),
    (Message, "carriage returns", "\r\n", "\r", ""),
    (Message, "parts", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\n", "--b--"),
    (Message, "levels", "", "Content-Type: multipart/mixed; boundary=b#x\r\n\r\n--b#x\r\n", ""),
    (Message, "messages in messages", "", "Content-Type: message/rfc822\r\n\r\n", ""),
    (Message, "lines that are nearly boundaries", "Content-Type: multipart/mixed; boundary=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n\r\n", "--bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n", ""),
    (Header, "parameters", "Content-Type: text/plain", "; p#=v", "\r\n\r\n"),
    (Header, "pieces of a parameter", "Content-Type: text/plain", "; p*#=v", "\r\n\r\n"),
    (Header, "pieces of a file's name", "Content-Disposition: attachment", "; filename*#=v", "\r\n\r\n"),
    (Header, "blanks in a file's name", "Content-Disposition: attachment; filename=a", " ", "b\r\n\r\n"),
    (Header, "quotes in a file's name", "Content-Disposition: attachment; filename=\"a", "\"a", "\"\r\n\r\n"),
    (Header, "blanks behind a quote", "Content-Disposition: attachment; filename=\"a", "\"  ", "\"\r\n\r\n"),
    (Header, "words in a file's name", "Content-Disposition: attachment; filename=\"", "=?utf-8?q?a?= ", "\"\r\n\r\n"),
    (Header, "a quoted type", "Content-Type: \"", "\"", "\r\n\r\n"),
    (Message, "octets over 127 in each part", "Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\n\u{e9}\r\n", "--b--"),
    (Message, "octets over 127, and lines that may be boundaries", "\r\n\u{e9}\r\n", "--\r\n", ""),
    (Message, "blanks at the ends of lines, to be escaped", "\r\n\u{e9}\r\n", " \r\n", ""),
    (Message, "signed parts in each other", "", "Content-Type: multipart/signed; boundary=b#x\r\n\r\n--b#x\r\n", ""),
    (Message, "alternatives", "Content-Type: multipart/alternative; boundary=b\r\n\r\n", "--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n", "--b--"),
    (Message, "alternatives within each other", "", "Content-Type: multipart/alternative; boundary=b#x\r\n\r\n--b#x\r\n", "Content-Type: text/html\r\n\r\n<p>"),
    (Message, "related parts", "Content-Type: multipart/related; boundary=b; start=\"<a>\"\r\n\r\n", "--b\r\nContent-ID: <b#>\r\n\r\nx\r\n", "--b--"),
    (Message, "lines that flow", "Content-Type: text/plain; format=flowed\r\n\r\n", "> a \r\n", ""),
    (Message, "quote marks", "Content-Type: text/plain; format=flowed\r\n\r\n", ">", ""),
    (Message, "meta elements", "Content-Type: text/html\r\n\r\n", "<meta ", "\u{e9}"),
    (Message, "comments in HTML", "Content-Type: text/html\r\n\r\n", "<!-- ", "\u{e9}"),
    (Header, "the same parameter", "Content-Type: text/plain", "; p*0*=v", "\r\n\r\n"),
    (Header, "semicolons", "Content-Type: text/plain", ";", "\r\n\r\n"),
    (Field, "addresses", "a@b", ", a#@b", ""),
    (Field, "comments", "", "(", ""),
    (Field, "closed comments", "a", " (b)", ""),
    (Field, "angles", "", "<", ""),
    (Field, "groups", "", "g#: a@b;", ""),
    (Field, "colons", "", "a:", ""),
    (Field, "names with commas", "a", ", b", " <a@b>"),
    (Field, "addresses that are names", "", "a@b ", "<a@b>"),
    (Field, "quotes that do not end", "", "\" <a@b> ", ""),
    (Field, "words with half a character", "", "=?iso-2022-jp?q?=1B$B$?= ", ""),
    (Field, "words without blanks between", "", "=?utf-8?q?=E9?=", ""),
    (Field, "words of no charset", "", "=?unknown?q?=E9?= ", ""),
    (Field, "question marks in a word", "=?utf-8?q?", "?a", "?="),
    (Field, "ends of words that are none", "=?utf-8?q?", "?=20", ""),
    (Field, "words in Base64 that are none", "", "=?utf-8?b?a*", ""),
    (Field, "shifts of ISO-2022-JP that do not end", "", "\u{1b}$", ""),
    (Field, "letters with accents", "", "\u{e9} ", ""),
    (Field, "routes", "<", "@a,", ":b@c>"),
    (Field, "quotes", "", "\"", ""),
    (Field, "words", "a", " b", ""),
    (Field, "dots", "a", ".b", "@c"),
    (Field, "ats", "a", "@", ""),
    (Field, "encoded words", "", "=?utf-8?q?a?= ", ""),
    (Field, "the beginnings of encoded words", "", "=?", ""),
    (Field, "encoded words that do not end", "", "=?utf-8?q?a", ""),
    (Field, "question marks", "=?", "?", ""),
    (Field, "blobs", "", "[a]", "tea"),
    (Field, "opening brackets", "", "[", ""),
    (Field, "replies", "", "re:", ""),
    (Field, "replies to blobs", "", "re[a]: [b] ", "tea"),
    (Field, "forwards at the end", "", "(fwd)", ""),
    (Field, "forwards", "", "[fwd:", ""),
    (Field, "forwards within each other", "[fwd:", "[fwd:", "]]"),
    (Field, "escapes of ISO-2022-JP", "", "\u{1b}$B\u{1b}(B", ""),
    (Field, "equals signs", "", "=", ""),
    (Field, "soft line ends", "", "=\r\n", ""),
    (Field, "blanks", "", " ", "a"),
    (Field, "plus signs", "", "+", ""),
    (Html, "html: lists in lists", "", "<ul><li>a", ""),
    (Html, "html: tables in tables", "", "<table><tr><td>a", ""),
    (Html, "html: tables that leak text", "", "<table>a<b>", ""),
    (Html, "html: bold without end", "", "<b>a", ""),
    (Html, "html: fonts in paragraphs", "", "<p><font color=#c# size=#>a", ""),
    (Html, "html: links in links", "", "<a href=https://a.test/#>a<p>", ""),
    (Html, "html: misnested", "", "<b><i><p></b></i><div><a><table></a>a", ""),
    (Html, "html: ends of nothing", "<div><table><td>", "</b></p></span></li>a", ""),
    (Html, "html: attributes of one element", "<p ", "a#=b ", ">a"),
    (Html, "html: known attributes of one element", "<p ", "style=a ", ">a"),
    (Html, "html: declarations", "<p style='", "color:red;background:url(#);", "'>a"),
    (Html, "html: style attributes", "", "<p style='color:red;background:#fff;font-size:#px'>a", ""),
    (Html, "html: brackets in a style", "<p style='color:", "rgb(", "'>a"),
    (Html, "html: rules", "<style>", ".c#{color:red} ", "</style><p class=c1>a"),
    (Html, "html: selectors", "<style>", "a b > c.d# ", "{color:red}</style><p>a"),
    (Html, "html: rules in rules", "<style>", "@media screen{", "</style><p>a"),
    (Html, "html: style sheets", "", "<style>.c#{color:red}</style><p class='c# c1'>a", ""),
    (Html, "html: classes of one element", "<style>.c1{color:red}</style><p class='", "c# ", "'>a"),
    (Html, "html: comments", "", "<!-- # -->", "a"),
    (Html, "html: a comment that does not end", "<!--", "-", ""),
    (Html, "html: entities", "", "&amp;&#x41;&nosuch;&", ""),
    (Html, "html: svg", "", "<svg><g><math><mi>", "a"),
    (Html, "html: templates", "", "<template><td>", "a"),
    (Html, "html: quotes", "", "<blockquote>a ", ""),
    (Html, "html: one line", "", "\u{96fb}a ", ""),
    (Html, "html: tags that do not end", "", "<a href=", ""),
];

fn input(begin: &str, again: &str, end: &str, octets: usize) -> Vec<u8> {
    let mut all = Vec::from(begin);
    let mut number = 1_u32;
    while all.len() < octets {
        for octet in again.bytes() {
            match octet {
                b'#' => all.extend_from_slice(number.to_string().as_bytes()),
                octet => all.push(octet),
            }
        }
        number += 2;
    }
    all.extend_from_slice(end.as_bytes());
    all
}

/// Limits that refuse nothing for its length, since the refusal would be measured instead.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.command = usize::MAX / 2;
    limits.command_before_login = usize::MAX / 2;
    limits.response = usize::MAX / 2;
    limits.pattern = usize::MAX / 2;
    limits.patterns = usize::MAX / 2;
    limits.errors = u32::MAX;
    limits
}

/// Feeds the client machine; an error ends it, and the rest is not read.
fn client(octets: &[u8]) {
    let mut options = client::Options::default();
    options.limits = limits();
    let mut machine = client::Connection::new(options);
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    let poll = |machine: &mut client::Connection, input: &mut BytesMut, output: &mut Output| {
        while let Ok(Step::Event(event)) = machine.poll(input, output) {
            black_box(&event);
        }
    };
    input.extend_from_slice(b"* PREAUTH [CAPABILITY IMAP4rev1 QRESYNC ENABLE] hi\r\n");
    poll(&mut machine, &mut input, &mut output);
    let select = hikyaku_imap_proto::Command::select(hikyaku_imap_proto::MailboxName::new("x"));
    machine.issue(select, &mut output).expect("selected");
    input.extend_from_slice(b"* 1 EXISTS\r\na1 OK done\r\n");
    poll(&mut machine, &mut input, &mut output);
    for piece in octets.chunks(1460) {
        input.extend_from_slice(piece);
        poll(&mut machine, &mut input, &mut output);
        output.advance(output.len());
    }
}

fn server(octets: &[u8]) {
    let mut options = server::Options::default();
    options.login_needs_tls = false;
    options.limits = limits();
    let mut machine = server::Connection::new(options);
    let (mut input, mut output) = (BytesMut::new(), Output::new());
    input.extend_from_slice(b"a LOGIN u p\r\nb SELECT INBOX\r\n");
    for piece in octets.chunks(1460) {
        input.extend_from_slice(piece);
        loop {
            let polled = match machine.poll(&mut input, &mut output) {
                Ok(Step::Event(server::Event::Connected)) => machine.greet("hi", &mut output),
                Ok(Step::Event(event)) => {
                    if let server::Event::Command(hikyaku_imap_proto::Command::Select { .. }) =
                        event
                    {
                        machine.select(
                            (1..=200).filter_map(Uid::new).collect(),
                            None,
                            false,
                            &mut output,
                        );
                    }
                    machine.complete(hikyaku_imap_proto::Status::Ok, None, "", &mut output)
                }
                _ => break,
            };
            if polled.is_err() {
                break;
            }
        }
        output.advance(output.len());
    }
}

type ReadField = fn(&[u8]);

/// Runs everything that reads a field, or the content of a part.
const FIELD: [(&str, ReadField); 8] = [
    ("addresses", |octets| {
        drop(black_box(parse_addresses(octets)));
    }),
    ("words", |octets| drop(black_box(decode_header(octets)))),
    ("base subject", |octets| {
        let subject = String::from_utf8_lossy(octets);
        black_box(BaseSubject::of(&subject));
    }),
    ("date", |octets| _ = black_box(parse_date(octets))),
    ("base64", |octets| transfer("base64", octets)),
    ("quoted-printable", |octets| {
        transfer("quoted-printable", octets);
    }),
    ("text of no charset", |octets| {
        let mut text = String::new();
        // Not UTF-8: it is guessed.
        let octets = [b"\xff", octets].concat();
        TextDecoder::new(None).decode(&octets, true, &mut text);
        black_box(text);
    }),
    ("ISO-2022-JP", |octets| {
        let mut text = String::new();
        TextDecoder::new(Some(b"iso-2022-jp")).decode(octets, true, &mut text);
        black_box(text);
    }),
];

fn transfer(name: &str, octets: &[u8]) {
    let mut decoder = TransferDecoder::new(Encoding::named(name.as_bytes()));
    let mut decoded = Vec::new();
    for piece in octets.chunks(1460) {
        decoder.decode(piece, &mut decoded);
    }
    black_box(decoded);
}

/// Returns the medians of the rounds, in nanoseconds. Both inputs take turns, many times, so that both have
/// the same luck with the heap, where large buffers cost page faults or not depending on what was there
/// before.
fn times(once: &[u8], twice: &[u8], read: impl Fn(&[u8])) -> (f64, f64) {
    let timed = |octets: &[u8]| {
        let begun = Instant::now();
        read(octets);
        begun.elapsed().as_nanos() as f64
    };
    let (mut short, mut long): (Vec<f64>, Vec<f64>) =
        (0..ROUNDS).map(|_| (timed(once), timed(twice))).unzip();
    let median = |all: &mut Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    (median(&mut short), median(&mut long))
}

fn row(input: &str, reader: &str, octets: usize, short: f64, long: f64) -> String {
    let (milliseconds, ratio) = (short / 1e6, long / short);
    let exponent = ratio.log2();
    format!("| {input} | {reader} | {octets} | {milliseconds:.3} ms | {ratio:.2} | {exponent:.2} |")
}

fn main() {
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|one| !one.starts_with("--"))
        .collect();
    let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|one| name.contains(one));
    let (mut worst, mut all) = (Vec::new(), 0);
    println!("| input | reader | octets | time | twice takes so many times as long | exponent |");
    println!("|---|---|---|---|---|---|");
    for (reader, name, begin, again, end) in INPUTS.iter().filter(|input| is_chosen(input.1)) {
        let octets = if *reader == Header {
            OCTETS / 2 - 1024
        } else {
            OCTETS
        };
        let once = input(begin, again, end, octets);
        let twice = input(begin, again, end, octets * 2);
        let limits = limits();
        let response = |octets: &[u8]| {
            let unit = Bytes::copy_from_slice(octets);
            drop(black_box(Received::parse(&unit, &limits)));
        };
        let command = |octets: &[u8]| {
            let unit = Bytes::copy_from_slice(octets);
            drop(black_box(Tagged::parse(&unit, &limits)));
        };
        let message = |octets: &[u8]| drop(black_box(Structure::of(octets)));
        let seven = |octets: &[u8]| drop(black_box(seven_bit(octets)));
        let shown = |octets: &[u8]| {
            let structure = Structure::of(octets);
            for index in structure.shown(octets, true) {
                black_box(structure.get(index).map(|part| part.text(octets)));
            }
            for (at, index) in structure.attachments().into_iter().enumerate() {
                black_box(structure.name_of(index, at));
            }
            black_box(Inline::of(&structure).find("cid:a"));
        };
        let text = |octets: &[u8]| {
            let html = String::from_utf8_lossy(octets);
            black_box(hikyaku_client::html::to_text(&html));
        };
        let readers: Vec<(&str, Read<'_>)> = match reader {
            Html => vec![("text of HTML", &text)],
            Response => vec![("response", &response)],
            Command => vec![("command", &command)],
            Client => vec![("client", &client)],
            Server => vec![("server", &server)],
            Message | Header => vec![
                ("message", &message),
                ("what is shown", &shown),
                ("in 7 bits", &seven),
            ],
            Field => FIELD
                .iter()
                .map(|(name, read)| (*name, read as Read<'_>))
                .collect(),
        };
        for (of, read) in readers {
            let (short, long) = times(&once, &twice, read);
            println!("{}", row(name, of, octets, short, long));
            all += 1;
            // What takes no time has no growth.
            if long / short > MOST && long > 150_000.0 {
                let once = input(begin, again, end, octets * LARGER);
                let twice = input(begin, again, end, octets * LARGER * 2);
                let (short, long) = times(&once, &twice, read);
                let again = row(name, of, octets * LARGER, short, long);
                println!("{again}");
                if long / short > MOST {
                    worst.push(again);
                }
            }
        }
    }
    println!(
        "\n{} of {all} take more than {MOST} times as long:",
        worst.len()
    );
    worst.iter().for_each(|row| println!("{row}"));
}
