//! What the server says of messages, held against what Dovecot says of the same ones; asked by the client
//! machine of both.

use bytes::Bytes;
use hikyaku_imap_proto::client::{Connection, Event, Options};
use hikyaku_imap_proto::{
    Append, BodyStructure, Command, Envelope, FetchAttribute, FetchItem, MailboxName, SequenceSet,
    Status,
};
use hikyaku_mission::House;
use hikyaku_mission::foreign::{self, Foreign};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};
use mailserver::Protocol;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What one of the two has otherwise, and why.
const KNOWN: [(&str, &str); 10] = [
    (
        "legacy/026.eml",
        "Dovecot names a charset beside other parameters",
    ),
    (
        "malformed/004.eml",
        "a line that goes on after the boundary as a boundary could is none here",
    ),
    (
        "malformed/022.eml",
        "the CRLF before a boundary is the boundary's; what has no field is no header section",
    ),
    (
        "rfc/001.eml",
        "Dovecot leaves out a parameter without a semicolon before it",
    ),
    (
        "rfc/002.eml",
        "parentheses within a display name are a part of it here",
    ),
    (
        "thirdparty/010.eml",
        "a parameter whose quotes are not closed where they should be",
    ),
    (
        "malformed/016.eml",
        "a boundary that begins with another one is one of its own here",
    ),
    (
        "rfc/008.eml",
        "the CRLF before a boundary is the boundary's",
    ),
    ("rfc/009.eml", "a display name without an address"),
    (
        "thirdparty/004.eml",
        "an encoding that there is not is sent as it is",
    ),
];

/// Puts the messages into a mailbox of their own, and fetches what is said of them.
fn fetched(
    address: SocketAddr,
    login: &str,
    password: &str,
    messages: &[Bytes],
) -> Vec<(Envelope, BodyStructure)> {
    let stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    let mut options = Options::default();
    options.login_needs_tls = false;
    let mut driver = Driver::new(Connection::new(options), stream);
    let name = MailboxName::new("exact");
    let mut waiting = messages.iter();
    let (mut before, mut fetch, mut sending, mut all) = (None, None, None, Vec::new());
    loop {
        let Next::Event(event) = driver.next().unwrap() else {
            return all;
        };
        let (imap, output) = driver.split();
        match event {
            Event::Connected { .. } => {
                let password = Secret::from(password.as_bytes().to_vec());
                imap.login(login.to_owned(), password, output).unwrap();
                let create = Command::create(name.clone());
                before = Some(imap.issue(create, output).unwrap());
            }
            Event::SendBody(_) => {
                let message: Option<Bytes> = sending.take();
                imap.chunk(message.unwrap(), output).unwrap();
            }
            Event::Fetch { items, .. } => {
                let (mut envelope, mut body) = (None, None);
                for item in items {
                    match item {
                        FetchItem::Envelope(sent) => envelope = Some(sent),
                        FetchItem::BodyStructure(sent) => body = Some(sent),
                        FetchItem::Uid(_) | FetchItem::Flags(_) => {}
                        other => panic!("{other:?}"),
                    }
                }
                all.extend(envelope.zip(body));
            }
            Event::AuthenticationRefused(_, end) => panic!("{end:?}"),
            Event::Completed(handle, end) => {
                assert_eq!(end.status, Status::Ok, "{end:?}");
                if Some(handle) == fetch {
                    imap.issue(Command::Logout, output).unwrap();
                }
                if Some(handle) != before {
                    continue;
                }
                if let Some(message) = waiting.next() {
                    sending = Some(message.clone());
                    let append = Append::new(name.clone());
                    let octets = message.len() as u64;
                    before = Some(imap.append(&append, octets, output).unwrap());
                } else {
                    imap.issue(Command::select(name.clone()), output).unwrap();
                    let wanted = [
                        FetchAttribute::Uid,
                        FetchAttribute::Envelope,
                        FetchAttribute::BodyStructure,
                    ];
                    let all = Command::uid_fetch(SequenceSet::all(), wanted);
                    fetch = Some(imap.issue(all, output).unwrap());
                }
            }
            _ => {}
        }
    }
}

/// The same, as far as both may say it in their own way: what is missing of an address, and in which case
/// MIME's words are.
fn alike((envelope, body): (Envelope, BodyStructure)) -> String {
    let text = format!("{envelope:?} {body:?}").to_ascii_lowercase();
    text.replace("missing_domain", "")
        .replace("missing_mailbox", "")
}

fn messages() -> Vec<(String, Bytes)> {
    let Some(corpus) = std::env::var_os("HIKYAKU_CORPUS").map(PathBuf::from) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for folder in std::fs::read_dir(corpus.join("messages")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let file = file.unwrap().path();
            let octets = std::fs::read(&file).unwrap();
            // As they come over the wire; and Dovecot takes no NUL.
            let mut message = Vec::new();
            for (at, &octet) in octets.iter().enumerate() {
                if octet == b'\n' && (at == 0 || octets[at - 1] != b'\r') {
                    message.push(b'\r');
                }
                message.push(octet);
            }
            if !message.is_empty() && !message.contains(&0) {
                let name = Path::new(file.parent().unwrap().file_name().unwrap());
                let name = name.join(file.file_name().unwrap());
                all.push((name.display().to_string(), message.into()));
            }
        }
    }
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn envelopes_and_structures_are_those_of_dovecot() {
    let house = House::new().await;
    let Some(dovecot) = Foreign::start(&house.data.path().join("tls"), "") else {
        return;
    };
    let (names, octets): (Vec<String>, Vec<Bytes>) = messages().into_iter().unzip();
    if names.is_empty() {
        println!("no corpus: HIKYAKU_CORPUS names its folder");
        return;
    }
    let (here, there) = (
        house.at(Protocol::Imap),
        SocketAddr::from(([127, 0, 0, 1], dovecot.imap)),
    );
    let asking = tokio::task::spawn_blocking(move || {
        let ours = fetched(here, "bob@example.test", hikyaku_mission::PASSWORD, &octets);
        (ours, fetched(there, "bob", foreign::PASSWORD, &octets))
    });
    let (ours, theirs) = asking.await.unwrap();
    assert_eq!((ours.len(), theirs.len()), (names.len(), names.len()));
    let mut wrong = Vec::new();
    for ((name, ours), theirs) in names.iter().zip(ours).zip(theirs) {
        let known = KNOWN.iter().any(|(file, _)| file == name);
        let (ours, theirs) = (alike(ours), alike(theirs));
        if (ours != theirs) != known {
            wrong.push(format!("{name}:\n{ours}\n{theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
