//! IMAP clients that nobody here wrote, each with a script of what its users do: `tests/clients`.

use crate::harness::{House, PASSWORD, Talk, run};
use mailserver::Protocol;
use std::path::{Path, PathBuf};

/// Where `scripts/test` puts what comes from PyPI and npm.
fn libraries() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/clients")
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(name);
    std::fs::read_to_string(path).unwrap()
}

async fn house() -> House {
    House::with("[auth]\nplaintext = \"always\"\n").await
}

/// A script for Python, over TLS.
async fn python(script: &str) {
    let house = house().await;
    let (ca, port) = (house.ca(), house.port(Protocol::Imaps));
    let ca = ca.to_str().unwrap();
    let arguments = ["-c", script, "localhost", &port, ca, PASSWORD];
    let (ok, said) = run("python3", &arguments, "").await;
    assert!(ok && said.contains("fine"), "{said}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imapclient() {
    let path = libraries().join("python");
    assert!(path.exists(), "scripts/test fetches IMAPClient");
    let script = script("imapclient.py");
    python(&format!(
        "import sys\nsys.path.insert(0, {path:?})\n{script}"
    ))
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imaplib() {
    python(&script("imaplib_all.py")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imapflow() {
    let house = house().await;
    assert!(
        libraries().join("node_modules/imapflow").exists(),
        "scripts/test fetches ImapFlow"
    );
    // Beside its modules, where Node finds them.
    let path = libraries().join(format!("imapflow-{}.mjs", std::process::id()));
    std::fs::write(&path, script("imapflow.mjs")).unwrap();
    let port = house.port(Protocol::Imaps);
    let arguments = [path.to_str().unwrap(), "localhost", &port, PASSWORD];
    let (ok, said) = run("node", &arguments, "").await;
    let _ = std::fs::remove_file(&path);
    assert!(ok && said.contains("fine"), "{said}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_imapclient() {
    let house = house().await;
    let script = script("mail_imapclient.pl");
    let port = house.port(Protocol::Imap);
    let arguments = ["-e", &script, "localhost", &port, PASSWORD];
    let (ok, said) = run("perl", &arguments, "").await;
    assert!(ok && said.contains("fine"), "{said}");
    house.server.stop().await;
}

/// The messages of a Maildir, by subject, with their flags.
fn maildir(path: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for folder in ["cur", "new"] {
        for entry in std::fs::read_dir(path.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let flags = name
                .split_once(":2,")
                .map_or("", |(_, flags)| flags)
                .to_owned();
            all.push((subject.unwrap_or("?").to_owned(), flags));
        }
    }
    all.sort();
    all
}

/// The subjects of a mailbox, with their flags.
async fn remote(talk: &mut Talk, mailbox: &str) -> Vec<(String, String)> {
    talk.imap(&format!("SELECT {mailbox}")).await;
    let said = talk
        .imap("UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        .await;
    let mut all = Vec::new();
    let mut flags = String::new();
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("FLAGS (") {
            let letters = [
                ("\\Draft", 'D'),
                ("\\Flagged", 'F'),
                ("\\Answered", 'R'),
                ("\\Seen", 'S'),
            ];
            let listed = rest.split_once(')').unwrap().0;
            let set = letters.iter().filter(|(flag, _)| listed.contains(flag));
            flags = set.map(|(_, letter)| *letter).collect();
        } else if let Some(subject) = line.strip_prefix("Subject: ") {
            all.push((subject.to_owned(), flags.clone()));
        }
    }
    all.sort();
    all
}

async fn append(talk: &mut Talk, mailbox: &str, flags: &str, subject: &str) {
    let message = format!(
        "From: a@x.example\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\n{subject}\r\n"
    );
    let command = format!(
        "APPEND {mailbox} ({flags}) {{{}+}}\r\n{message}",
        message.len()
    );
    assert!(talk.imap(&command).await.contains("x OK"));
}

/// One by subject.
async fn uid(talk: &mut Talk, subject: &str) -> String {
    let said = talk.imap(&format!("UID SEARCH SUBJECT {subject}")).await;
    let (_, uid) = said.split_once("* SEARCH ").expect(subject);
    uid.lines().next().unwrap().to_owned()
}

/// Takes a message out of a Maildir, or gives it other flags.
fn change(path: &Path, subject: &str, flags: Option<&str>) {
    for folder in ["cur", "new"] {
        for entry in std::fs::read_dir(path.join(folder)).unwrap() {
            let file = entry.unwrap().path();
            let text = std::fs::read_to_string(&file).unwrap();
            if !text.contains(&format!("Subject: {subject}\n"))
                && !text.contains(&format!("Subject: {subject}\r\n"))
            {
                continue;
            }
            match flags {
                None => std::fs::remove_file(&file).unwrap(),
                Some(flags) => {
                    let name = file.file_name().unwrap().to_string_lossy().into_owned();
                    let name = name.split(":2,").next().unwrap();
                    std::fs::rename(&file, path.join("cur").join(format!("{name}:2,{flags}")))
                        .unwrap();
                }
            }
            return;
        }
    }
    panic!("{subject} is not there");
}

fn put(path: &Path, subject: &str) {
    let text =
        format!("From: a@x.example\nSubject: {subject}\nMessage-ID: <{subject}@x>\n\n{subject}\n");
    std::fs::write(
        path.join("new").join(format!("1580000000.{subject}.here")),
        text,
    )
    .unwrap();
}

/// Both ways, with deletions on both sides, and nothing to do when it is done again.
async fn two_way(house: &House, inbox: &Path, sync: impl AsyncFn()) {
    let mut talk = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    for n in 1..=8 {
        append(
            &mut talk,
            "INBOX",
            if n % 2 == 0 { "\\Seen" } else { "" },
            &format!("n{n}"),
        )
        .await;
    }
    sync().await;
    assert_eq!(maildir(inbox), remote(&mut talk, "INBOX").await);
    assert_eq!(maildir(inbox).len(), 8);
    // Flags and deletions, on both sides.
    change(inbox, "n1", None);
    change(inbox, "n3", Some("FS"));
    put(inbox, "local");
    talk.imap("SELECT INBOX").await;
    let two = uid(&mut talk, "n2").await;
    talk.imap(&format!("UID STORE {two} +FLAGS.SILENT (\\Deleted)"))
        .await;
    talk.imap("EXPUNGE").await;
    let four = uid(&mut talk, "n4").await;
    talk.imap(&format!("UID STORE {four} -FLAGS (\\Seen)"))
        .await;
    talk.imap(&format!("UID STORE {four} +FLAGS (\\Answered)"))
        .await;
    append(&mut talk, "INBOX", "\\Flagged", "remote").await;
    sync().await;
    let expected = [
        ("local", ""),
        ("n3", "FS"),
        ("n4", "R"),
        ("n5", ""),
        ("n6", "S"),
        ("n7", ""),
        ("n8", "S"),
        ("remote", "F"),
    ];
    let expected = expected.map(|(subject, flags)| (subject.to_owned(), flags.to_owned()));
    assert_eq!(remote(&mut talk, "INBOX").await, expected);
    assert_eq!(maildir(inbox), expected);
    sync().await;
    assert_eq!(remote(&mut talk, "INBOX").await, expected);
    assert_eq!(maildir(inbox), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn mbsync_both_ways() {
    let house = house().await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let config = format!(
        "IMAPAccount a\nHost localhost\nPort {}\nUser alice@example.test\nPass \"{PASSWORD}\"\nSSLType IMAPS\n\
         CertificateFile {}\nPipelineDepth 10\n\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath {at}/mail/\n\
         Inbox {at}/mail/INBOX\nSubFolders Verbatim\n\nChannel all\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\n\
         Expunge Both\nSync All\nSyncState {at}/state/\n",
        house.port(Protocol::Imaps),
        house.ca().display()
    );
    std::fs::create_dir_all(folder.path().join("mail")).unwrap();
    std::fs::create_dir_all(folder.path().join("state")).unwrap();
    let file = folder.path().join("mbsyncrc");
    std::fs::write(&file, config).unwrap();
    let sync = async || {
        let (ok, said) = run("mbsync", &["-c", file.to_str().unwrap(), "-a"], "").await;
        assert!(ok, "{said}");
    };
    two_way(&house, &folder.path().join("mail/INBOX"), sync).await;
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offlineimap_both_ways() {
    let house = house().await;
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let config = format!(
        "[general]\naccounts = a\nmetadata = {at}/state\nui = basic\n[Account a]\nlocalrepository = near\nremoterepository = far\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {at}/mail\n[Repository far]\ntype = IMAP\nremotehost = localhost\n\
         remoteport = {}\nssl = yes\nsslcacertfile = {}\nremoteuser = alice@example.test\nremotepass = {PASSWORD}\n\
         maxconnections = 2\nfolderfilter = lambda name: name == 'INBOX'\n",
        house.port(Protocol::Imaps),
        house.ca().display()
    );
    let file = folder.path().join("offlineimaprc");
    std::fs::write(&file, config).unwrap();
    let sync = async || {
        let (ok, said) = run("offlineimap", &["-c", file.to_str().unwrap(), "-o"], "").await;
        assert!(ok, "{said}");
    };
    two_way(&house, &folder.path().join("mail/INBOX"), sync).await;
    house.server.stop().await;
}
