//! What somebody writes in the webmail is never lost, and goes to each recipient once.

use hikyaku_client::{Kind, Security, Server as Entry};
use hikyaku_mission::{House, PASSWORD, Web};
use mailserver::Protocol;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use webmail::Provider;

/// A browser without scripts: cookies, and the page it shows.
struct Tab {
    origin: String,
    folder: Arc<TempDir>,
    page: String,
    /// Where it ended up.
    path: String,
    language: &'static str,
}

/// A form, as a browser holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Form(BTreeMap<String, String>);

fn plain(html: &str) -> String {
    let mut plain = html.to_owned();
    for (written, meant) in [
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#39;", "'"),
        ("&#34;", "\""),
    ] {
        plain = plain.replace(written, meant);
    }
    plain.replace("&#38;", "&")
}

/// What stands between the two, each time.
fn between<'a>(page: &'a str, start: &'a str, end: &'a str) -> Vec<&'a str> {
    let pieces = page.split(start).skip(1);
    pieces.filter_map(|piece| piece.split(end).next()).collect()
}

impl Tab {
    fn new(origin: &str) -> Self {
        Self {
            origin: origin.to_owned(),
            folder: Arc::new(tempfile::tempdir().unwrap()),
            page: String::new(),
            path: String::new(),
            language: "en",
        }
    }

    /// Another tab of the same browser.
    fn another(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            folder: Arc::clone(&self.folder),
            page: String::new(),
            path: String::new(),
            language: self.language,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, arguments: &[String], path: &str) -> Command {
        let mut command = Command::new("curl");
        let jar = self.at("cookies").display().to_string();
        command.args(["-s", "-k", "-L", "-m", "30", "-b", &jar, "-c", &jar]);
        command.args(["-H", "Expect:", "-w", "\n%{url_effective}"]);
        command.args(["-H", &format!("Accept-Language: {}", self.language)]);
        command.args(arguments);
        command.arg(format!("{}{path}", self.origin));
        command
    }

    fn ask(&mut self, arguments: &[String], path: &str) {
        let done = self.command(arguments, path).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let (page, url) = said.rsplit_once('\n').unwrap();
        self.path = url.replace(&self.origin, "");
        self.page = page.to_owned();
    }

    fn open(&mut self, path: &str) {
        self.ask(&[], path);
    }

    fn log_in(&mut self, name: &str) {
        self.log_in_with(name, PASSWORD, &[]);
    }

    /// Fills in the login that the page shows, with all that is hidden in it.
    fn log_in_with(&mut self, name: &str, password: &str, more: &[(&str, &str)]) {
        let mut fields = self.form().0;
        fields.insert("name".into(), name.into());
        fields.insert("password".into(), password.into());
        for (name, value) in more {
            fields.insert((*name).into(), (*value).into());
        }
        let mut arguments = Vec::new();
        for (name, value) in fields {
            arguments.extend(["--data-urlencode".to_owned(), format!("{name}={value}")]);
        }
        self.ask(&arguments, "/login");
    }

    /// The fields of the form that the page shows.
    fn form(&self) -> Form {
        let mut fields = BTreeMap::new();
        let main = self.page.split("<main").nth(1).unwrap_or("");
        for input in between(main, "<input", ">") {
            let of = |name: &str| {
                let value = input.split(&format!(" {name}=\"")).nth(1)?;
                Some(plain(value.split('"').next()?))
            };
            if let (Some(name), Some(value)) = (of("name"), of("value")) {
                fields.insert(name, value);
            }
        }
        for area in between(main, "<textarea", "</textarea>") {
            let (head, text) = area.split_once('>').unwrap();
            let name = between(head, "name=\"", "\"")[0].to_owned();
            let text = text.strip_prefix('\n').unwrap_or(text);
            fields.insert(name, plain(text));
        }
        Form(fields)
    }

    /// What the form is sent as.
    fn arguments(form: &Form, action: &[(&str, &str)], files: &[&Path]) -> Vec<String> {
        let mut arguments = Vec::new();
        for (name, value) in &form.0 {
            let value = value.replace('\n', "\r\n");
            arguments.extend(["--form-string".into(), format!("{name}={value}")]);
        }
        for file in files {
            arguments.extend(["-F".into(), format!("files=@{}", file.display())]);
        }
        for (name, value) in action {
            arguments.extend(["--form-string".into(), format!("{name}={value}")]);
        }
        arguments
    }

    /// Presses a button of the form, after that was typed and chosen.
    fn press(&mut self, action: &str, typed: &[(&str, &str)], files: &[&Path]) {
        let form = self.form().with(typed);
        self.ask(
            &Self::arguments(&form, &[("action", action)], files),
            "/compose",
        );
    }

    fn problems(&self) -> String {
        plain(&between(&self.page, "<p class=\"problem\" role=\"alert\">", "</p>").join("\n"))
    }

    fn notes(&self) -> String {
        plain(&between(&self.page, "<p class=\"said\" role=\"status\">", "</p>").join("\n"))
    }

    fn attached(&self) -> Vec<String> {
        let all = between(&self.page, "<p class=\"attached\"><span>", "</span>");
        all.into_iter().map(plain).collect()
    }

    /// Fails unless the form holds all of that.
    #[track_caller]
    fn holds(&self, fields: &[(&str, &str)], attached: &[&str]) {
        let form = self.form();
        for (name, value) in fields {
            let there = form.0.get(*name).map(String::as_str);
            assert_eq!(
                there,
                Some(*value),
                "{name} at {}\n{}",
                self.path,
                self.page
            );
        }
        assert_eq!(self.attached(), attached, "{}", self.page);
    }

    /// Opens the newest draft, as from the list of drafts.
    fn open_draft(&mut self) {
        self.open("/folder?name=Drafts");
        let id = between(&self.page, "/message?id=", "\"");
        let id = (*id.first().expect("a draft")).to_owned();
        self.open(&format!("/compose?draft={id}"));
    }

    /// Deletes what a folder has.
    fn empty(&mut self, folder: &str) {
        self.open(&format!("/folder?name={folder}"));
        let csrf = between(&self.page, "name=\"csrf\" value=\"", "\"")[0];
        let mut delete = format!("csrf={csrf}&folder={folder}&action=delete-for-good");
        for id in between(&self.page, "/message?id=", "\"") {
            delete += &format!("&message={id}");
        }
        self.ask(&["-d".into(), delete], "/act");
    }

    fn count(&mut self, folder: &str) -> usize {
        self.open(&format!("/folder?name={folder}"));
        between(&self.page, "/message?id=", "\"").len()
    }
}

impl Form {
    fn with(mut self, typed: &[(&str, &str)]) -> Self {
        for (name, value) in typed {
            self.0.insert((*name).into(), (*value).into());
        }
        self
    }
}

/// Messages of somebody's INBOX, by POP3.
async fn mail_of(house: &House, who: &str) -> Vec<String> {
    let stream = TcpStream::connect(house.at(Protocol::Pop3)).await.unwrap();
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    read.read_line(&mut line).await.unwrap();
    let login = format!("USER {who}@{}\r\nPASS {PASSWORD}\r\nSTAT\r\n", house.domain);
    write.write_all(login.as_bytes()).await.unwrap();
    for _ in 0..3 {
        line.clear();
        read.read_line(&mut line).await.unwrap();
    }
    let count: usize = line.split(' ').nth(1).unwrap().parse().unwrap();
    let mut all = Vec::new();
    for number in 1..=count {
        write
            .write_all(format!("RETR {number}\r\n").as_bytes())
            .await
            .unwrap();
        let mut message = String::new();
        loop {
            line.clear();
            read.read_line(&mut line).await.unwrap();
            if line == ".\r\n" {
                break;
            }
            message += &line;
        }
        all.push(message);
    }
    write.write_all(b"QUIT\r\n").await.unwrap();
    all
}

fn origin(house: &House) -> String {
    format!("https://localhost:{}", house.at(Protocol::Https).port())
}

/// A file in a folder of its own.
fn file(folder: &TempDir, name: &str, octets: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, octets).unwrap();
    path
}

/// What is hard to keep: quotes, markup, other scripts, marks of direction, lines that end a form or a message.
const TEXT: &str = "</textarea><b>\"&amp;\n\n.\n-- \n 飛脚\u{200e}\u{5d0}\n\ttab  \nFrom me\n";
const SUBJECT: &str = " \"お茶\" & <tea>  ";

/// A submission server that answers by the recipient's local part: `refused` never, `later` not now, `lost` breaks
/// off after the message, `slow` takes its time for the message.
struct Submission {
    port: u16,
    /// Recipient and message, of each that was taken.
    taken: Arc<Mutex<Vec<(String, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Submission {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::<Mutex<Vec<_>>>::default();
        let keeping = Arc::clone(&taken);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let keeping = Arc::clone(&keeping);
                tokio::spawn(async move { Self::serve(stream, &keeping).await });
            }
        });
        Self { port, taken, task }
    }

    async fn serve(stream: TcpStream, taken: &Mutex<Vec<(String, String)>>) -> std::io::Result<()> {
        let (read, mut write) = stream.into_split();
        let mut read = BufReader::new(read);
        write.write_all(b"220 scripted\r\n").await?;
        let (mut to, mut line, mut lost) = (Vec::new(), String::new(), false);
        let mut slow = false;
        loop {
            line.clear();
            if read.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let answer = match line.get(..4).unwrap_or("").to_uppercase().as_str() {
                "EHLO" => "250-scripted\r\n250 8BITMIME\r\n",
                "MAIL" => "250 fine\r\n",
                "RCPT" if line.contains("<refused") => "550 5.1.1 nobody\r\n",
                "RCPT" if line.contains("<later") => "451 4.7.1 not now\r\n",
                "RCPT" => {
                    lost |= line.contains("<lost");
                    slow |= line.contains("<slow");
                    to.push(between(&line, "<", ">")[0].to_owned());
                    "250 fine\r\n"
                }
                "DATA" if to.is_empty() => "554 nobody left\r\n",
                "DATA" => {
                    write.write_all(b"354 go on\r\n").await?;
                    let mut message = String::new();
                    loop {
                        line.clear();
                        read.read_line(&mut line).await?;
                        if line == ".\r\n" {
                            break;
                        }
                        message += &line;
                    }
                    if slow {
                        tokio::time::sleep(Duration::from_secs(5)).await;
                    }
                    let mut all = taken.lock().unwrap();
                    all.extend(to.drain(..).map(|to| (to, message.clone())));
                    if lost {
                        return Ok(());
                    }
                    "250 taken\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 ok\r\n",
            };
            write.write_all(answer.as_bytes()).await?;
        }
    }

    /// How often each recipient got a message.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (to, _) in &*self.taken.lock().unwrap() {
            *counts.entry(to.clone()).or_default() += 1;
        }
        counts
    }
}

impl Drop for Submission {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The webmail in front of a house's IMAP or POP3 server and of that submission server.
fn provider(house: &House, kind: Kind, submission: u16) -> Provider {
    let incoming = match kind {
        Kind::Pop => Protocol::Pop3s,
        Kind::Imap => Protocol::Imaps,
    };
    let incoming = Entry {
        host: "localhost".into(),
        port: house.at(incoming).port(),
        security: Security::Tls,
    };
    let outgoing = Entry {
        host: "localhost".into(),
        port: submission,
        security: Security::None,
    };
    Provider {
        domain: Some("example.test".into()),
        ca: Some(house.data.path().join("tls/ca.pem")),
        interval: Duration::from_secs(600),
        ..Provider::new(kind, incoming, outgoing)
    }
}

/// What is typed in all of these.
fn all_fields<'a>(to: &'a str, cc: &'a str, bcc: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![("to", to), ("cc", cc), ("bcc", bcc)];
    fields.extend([("subject", SUBJECT), ("text", TEXT)]);
    fields
}

/// Rows: whom it is for at first, who stays in the form, what is said, and whom it is for then.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_it_is_not_sent_to_again() {
    type Whom = [&'static str; 3];
    let rows: [(Whom, Whom, &str, Whom); 7] = [
        (
            ["good@x.test, refused@x.test", "", ""],
            ["refused@x.test", "", ""],
            "refused@x.test: 550 5.1.1 nobody",
            ["mended@x.test", "", ""],
        ),
        (
            ["good@x.test", "Refused, Inc <refused@x.test>", ""],
            ["", "", ""],
            "This is not an e-mail address: Refused",
            ["good@x.test", "mended@x.test", ""],
        ),
        (
            [
                "good@x.test",
                "\"Refused, Inc\" <refused@x.test>",
                "two@x.test",
            ],
            ["", "\"Refused, Inc\" <refused@x.test>", ""],
            "refused@x.test: 550",
            ["", "mended@x.test", ""],
        ),
        (
            [
                "good@x.test",
                "",
                "later@x.test, refused@x.test, good@x.test",
            ],
            ["", "", "later@x.test, refused@x.test"],
            "later@x.test: 451 4.7.1 not now",
            ["", "", "mended@x.test"],
        ),
        (
            ["refused@x.test", "later@x.test", ""],
            ["refused@x.test", "later@x.test", ""],
            "refused@x.test: 550",
            ["good@x.test", "mended@x.test", ""],
        ),
        // Who has it is typed again.
        (
            ["good@x.test, refused@x.test", "", ""],
            ["refused@x.test", "", ""],
            "refused@x.test: 550",
            ["GOOD@x.test, mended@x.test", "good@x.test", "good@x.test"],
        ),
        (
            ["good@x.test, not an address", "", ""],
            ["good@x.test, not an address", "", ""],
            "This is not an e-mail address: not an address",
            ["good@x.test, mended@x.test", "", ""],
        ),
    ];
    let house = House::new().await;
    let tls = house.data.path().join("tls");
    let folder = tempfile::tempdir().unwrap();
    let picture = file(&folder, "図 1.png", b"\x89PNG\r\n\x1a\n\0\xff");
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    for kind in [Kind::Imap, Kind::Pop] {
        let submission = Submission::start().await;
        let web = Web::in_front_of(provider(&house, kind, submission.port), &tls).await;
        let mut tab = Tab::new(&web.origin);
        tab.log_in("bob");
        for (first, left, said, then) in rows {
            submission.taken.lock().unwrap().clear();
            tab.open("/compose");
            tab.press(
                "send",
                &all_fields(first[0], first[1], first[2]),
                &[&picture, &notes],
            );
            assert!(tab.problems().contains(said), "{said}: {}", tab.problems());
            let is_sent = submission.counts().contains_key("good@x.test");
            if is_sent {
                tab.holds(
                    &all_fields(left[0], left[1], left[2]),
                    &["図 1.png", "notes.txt"],
                );
                assert!(tab.notes().contains("good@x.test"), "{}", tab.notes());
            }
            // It is the same from the folder of drafts, where it is once.
            assert_eq!(tab.count("Drafts"), 1, "{said}");
            tab.open_draft();
            if is_sent {
                tab.holds(
                    &all_fields(left[0], left[1], left[2]),
                    &["図 1.png", "notes.txt"],
                );
            }
            tab.press(
                "send",
                &[("to", then[0]), ("cc", then[1]), ("bcc", then[2])],
                &[],
            );
            assert!(tab.path.ends_with("said=sent"), "{said}: {}", tab.page);
            let mut expected = BTreeMap::from([("good@x.test".to_owned(), 1)]);
            expected.insert("mended@x.test".into(), 1);
            if first[2] == "two@x.test" {
                expected.insert("two@x.test".into(), 1);
            }
            assert_eq!(submission.counts(), expected, "{said}");
            let taken = submission.taken.lock().unwrap().clone();
            for (_, message) in &taken {
                assert!(
                    message.contains("notes.txt") && !message.contains("X-Hikyaku"),
                    "{message}"
                );
                assert!(!message.to_lowercase().contains("\nbcc:"), "{message}");
            }
            assert_eq!(tab.count("Drafts"), 0, "{said}");
            assert_eq!(tab.count("Sent"), 1, "{said}");
            tab.empty("Sent");
        }
    }
}

/// Rows: what happens to the one who is written to, what is said, and how often it came in the end, after one more try
/// that goes to somebody else too.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_is_there_to_be_sent_again() {
    let rows = [
        ("later@x.test", "later@x.test: 451 4.7.1 not now", 0),
        ("refused@x.test", "Not sent to: refused@x.test: 550", 0),
        (
            "lost@x.test",
            "it is not known whether these recipients have the message",
            1,
        ),
        (
            "late r@x.test",
            "This is not an e-mail address: late r@x.test",
            0,
        ),
    ];
    let house = House::new().await;
    let tls = house.data.path().join("tls");
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let submission = Submission::start().await;
    let web = Web::in_front_of(provider(&house, Kind::Imap, submission.port), &tls).await;
    let mut tab = Tab::new(&web.origin);
    tab.log_in("bob");
    for (to, said, times) in rows {
        submission.taken.lock().unwrap().clear();
        tab.open("/compose");
        tab.press("send", &all_fields(to, "", ""), &[&notes]);
        assert!(tab.problems().contains(said), "{to}: {}", tab.problems());
        tab.holds(&all_fields(to, "", ""), &["notes.txt"]);
        assert_eq!(submission.counts().values().sum::<usize>(), times, "{to}");
        assert_eq!((tab.count("Drafts"), tab.count("Sent")), (1, 0), "{to}");
        tab.open_draft();
        tab.holds(&all_fields(to, "", ""), &["notes.txt"]);
        if times > 0 {
            assert!(tab.problems().contains(said), "{to}: {}", tab.problems());
        }
        tab.press("send", &[("to", "good@x.test")], &[]);
        assert!(tab.path.ends_with("said=sent"), "{to}: {}", tab.page);
        assert_eq!(submission.counts()["good@x.test"], 1);
        assert_eq!((tab.count("Drafts"), tab.count("Sent")), (0, 1), "{to}");
        tab.empty("Sent");
    }
    // Nobody is there at all.
    let gone = provider(&house, Kind::Imap, 1);
    let web = Web::in_front_of(gone, &tls).await;
    let mut tab = Tab::new(&web.origin);
    tab.log_in("bob");
    for (to, cc) in [
        ("good@x.test", ""),
        ("a@x.test; b@x.test", "c@x.test"),
        ("", "d@x.test"),
    ] {
        tab.open("/compose");
        tab.press("send", &all_fields(to, cc, ""), &[&notes]);
        assert!(
            tab.problems().contains("cannot be reached"),
            "{}",
            tab.problems()
        );
        tab.holds(&all_fields(&to.replace(';', ","), cc, ""), &["notes.txt"]);
        tab.press("discard", &[], &[]);
        assert_eq!(tab.count("Drafts"), 0, "{to}");
    }
}

/// A form is sent more than once: at the same moment, one after the other, after going back, changed or not.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_comes_twice_is_sent_once() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let mut tab = Tab::new(&origin(&house));
    tab.log_in("bob@example.test");
    // To alice alone, with nobody beside her, and when the draft was saved before.
    for (to, saved, sent) in [
        ("alice@example.test", false, true),
        ("alice@example.test, nobody@example.test", false, false),
        ("alice@example.test", true, true),
    ] {
        let before = mail_of(&house, "alice").await.len();
        tab.open("/compose");
        if saved {
            tab.press("save", &all_fields(to, "", ""), &[&notes]);
            tab.holds(&all_fields(to, "", ""), &["notes.txt"]);
        }
        let form = tab.form().with(&all_fields(to, "", ""));
        let files: &[&Path] = if saved { &[] } else { &[&notes] };
        let arguments = Tab::arguments(&form, &[("action", "send")], files);
        let clicks: Vec<_> = (0..3)
            .map(|_| {
                tab.another()
                    .command(&arguments, "/compose")
                    .spawn()
                    .unwrap()
            })
            .collect();
        for mut click in clicks {
            click.wait().unwrap();
        }
        tab.ask(&arguments, "/compose");
        assert_eq!(tab.path.ends_with("said=sent"), sent, "{}", tab.page);
        if !sent {
            assert!(
                tab.problems().contains("nobody@example.test: 550"),
                "{}",
                tab.problems()
            );
            tab.holds(&all_fields("nobody@example.test", "", ""), &["notes.txt"]);
            tab.press("discard", &[], &[]);
        }
        assert_eq!(mail_of(&house, "alice").await.len(), before + 1, "{to}");
        assert_eq!(tab.count("Drafts"), 0, "{to}");
    }
    // Going back, and writing something else into the form of what was sent.
    tab.open("/compose");
    let form = tab.form();
    tab.press("send", &all_fields("alice@example.test", "", ""), &[&notes]);
    assert!(tab.path.ends_with("said=sent"));
    let before = mail_of(&house, "alice").await.len();
    let typed = [
        ("to", "alice@example.test"),
        ("subject", "another"),
        ("text", "else\n"),
    ];
    tab.ask(
        &Tab::arguments(&form.with(&typed), &[("action", "send")], &[]),
        "/compose",
    );
    assert!(tab.problems().contains("already sent"), "{}", tab.page);
    tab.holds(&typed, &[]);
    assert_eq!(mail_of(&house, "alice").await.len(), before);
    tab.press("send", &[], &[]);
    assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
    assert_eq!(mail_of(&house, "alice").await.len(), before + 1);
    assert_eq!(tab.count("Drafts"), 0);
}

/// The draft of a message that is being sent goes to the server meanwhile, and is not left there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_leaves_no_draft_on_the_server() {
    let house = House::new().await;
    let submission = Submission::start().await;
    let tls = house.data.path().join("tls");
    let web = Web::in_front_of(provider(&house, Kind::Imap, submission.port), &tls).await;
    let mut tab = Tab::new(&web.origin);
    tab.log_in("bob@example.test");
    tab.open("/compose");
    let typed = [("to", "slow@x.test"), ("subject", "being sent")];
    let form = tab.form().with(&typed);
    let arguments = Tab::arguments(&form, &[("action", "send")], &[]);
    let mut sending = tab
        .another()
        .command(&arguments, "/compose")
        .spawn()
        .unwrap();
    // What is saved in another tab is on the server when that is answered, and so is the draft.
    let mut other = tab.another();
    let being_sent = async || imap_drafts(&house).await.contains("being sent");
    while !being_sent().await {
        let ended = sending.try_wait().unwrap();
        assert!(ended.is_none(), "it was sent before its draft was there");
        other.open("/compose");
        other.press("draft", &[("subject", "another")], &[]);
    }
    sending.wait().unwrap();
    assert_eq!(submission.counts()["slow@x.test"], 1);
    other.open("/compose");
    other.press("draft", &[("subject", "the last")], &[]);
    let drafts = imap_drafts(&house).await;
    assert!(
        drafts.contains("the last") && !being_sent().await,
        "{drafts}"
    );
}

/// The form's sender is one of the person's own addresses, whatever it says.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_as_somebody_else() {
    let house = House::new().await;
    let mut tab = Tab::new(&origin(&house));
    tab.log_in("bob@example.test");
    let froms = [
        "alice@example.test",
        "Alice <alice@example.test>",
        "ALICE@EXAMPLE.TEST",
        "bob@example.test, alice@example.test",
        "boss@bank.test",
        "bob@example.test\r\nSender: alice@example.test",
        "<>",
    ];
    for (before, from) in froms.into_iter().enumerate() {
        tab.open("/compose");
        let typed = [("to", "alice@example.test"), ("from", from)];
        let form = tab.form().with(&typed);
        let arguments = Tab::arguments(&form, &[("action", "send")], &[]);
        tab.ask(&arguments, "/compose");
        assert!(tab.path.ends_with("said=sent"), "{from}: {}", tab.page);
        let mail = mail_of(&house, "alice").await;
        assert_eq!(mail.len(), before + 1, "{from}");
        let newest = mail.last().unwrap();
        let fields = |name: &str| {
            let header = newest.split("\r\n\r\n").next().unwrap_or("");
            let lines = header.lines().filter(|line| line.starts_with(name));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(fields("From:"), ["From: <bob@example.test>"], "{from}");
        assert!(fields("Sender:").is_empty(), "{from}");
        assert_eq!(
            fields("Return-Path:"),
            ["Return-Path: <bob@example.test>"],
            "{from}"
        );
    }
}

/// What a message answers or passes on is known also when a draft lay between.
#[tokio::test(flavor = "multi_thread")]
async fn a_draft_keeps_all_that_it_is() {
    let house = House::new().await;
    house.deliver_many(1..4).await;
    let folder = tempfile::tempdir().unwrap();
    let picture = file(&folder, "図 1.png", b"\x89PNG\r\n\x1a\n\0\xff");
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let mut tab = Tab::new(&origin(&house));
    tab.log_in("bob@example.test");
    tab.open("/compose?reply=INBOX%2F1");
    // Half an address is kept, too.
    let typed = [
        ("to", "alice@example.test, and half"),
        ("bcc", "secret@"),
        ("text", TEXT),
    ];
    tab.press("draft", &typed, &[&picture, &notes]);
    assert!(tab.path.ends_with("said=kept"), "{}", tab.page);
    for _ in 0..2 {
        tab.open_draft();
        tab.holds(&typed, &["図 1.png", "notes.txt"]);
        tab.press("draft", &[], &[]);
        assert_eq!(tab.count("Drafts"), 1);
    }
    tab.open_draft();
    tab.press("send", &[("to", "alice@example.test")], &[]);
    assert!(tab.problems().contains("secret@"), "{}", tab.problems());
    assert!(tab.page.contains(
        "name=\"bcc\" value=\"secret@\" autocomplete=\"off\" autocapitalize=\"none\" aria-invalid"
    ));
    // One attachment goes, one comes.
    let more = file(&folder, "more <1>.bin", &[0; 5000]);
    let mut form = tab.form().with(&[("bcc", "")]);
    form.0.insert("remove".into(), "0:図 1.png".into());
    tab.ask(&Tab::arguments(&form, &[], &[&more]), "/compose");
    tab.holds(
        &[("to", "alice@example.test"), ("bcc", ""), ("text", TEXT)],
        &["notes.txt", "more <1>.bin"],
    );
    tab.press("send", &[], &[]);
    assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
    let all = mail_of(&house, "alice").await;
    let [message] = &all[..] else {
        panic!("{all:?}")
    };
    assert!(
        message.contains("In-Reply-To: <1@elsewhere.test>"),
        "{message}"
    );
    assert!(
        message.contains("References: <1@elsewhere.test>"),
        "{message}"
    );
    assert!(
        !message.contains("1.png") && message.contains("notes.txt"),
        "{message}"
    );
    // Passed on, with a draft between.
    tab.open("/compose?forward=INBOX%2F2");
    tab.press("save", &[("to", "alice@example.test")], &[&notes]);
    tab.holds(
        &[("to", "alice@example.test")],
        &["message 2.eml", "notes.txt"],
    );
    tab.press("send", &[], &[]);
    assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
    assert_eq!(mail_of(&house, "alice").await.len(), 2);
    assert_eq!(tab.count("Drafts"), 0);
    let (said, flags) = imap_flags(&house).await;
    assert!(
        flags[0].contains("\\Answered") && !flags[1].contains("\\Answered"),
        "{said}"
    );
    assert!(
        flags[1].contains("$Forwarded") && !flags[2].contains("$Forwarded"),
        "{said}"
    );
}

/// The flags of bob's messages, by IMAP.
async fn imap_drafts(house: &House) -> String {
    let mut stream = TcpStream::connect(house.at(Protocol::Imap)).await.unwrap();
    let login = format!("a LOGIN bob@{} \"{PASSWORD}\"\r\n", house.domain);
    let more = "b SELECT Drafts\r\nc FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]\r\nd LOGOUT\r\n";
    stream.write_all((login + more).as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said)
        .await
        .unwrap();
    said
}

async fn imap_flags(house: &House) -> (String, Vec<String>) {
    let mut stream = TcpStream::connect(house.at(Protocol::Imap)).await.unwrap();
    let login = format!("a LOGIN bob@{} \"{PASSWORD}\"\r\n", house.domain);
    let more = "b SELECT INBOX\r\nc FETCH 1:* FLAGS\r\nd LOGOUT\r\n";
    stream.write_all((login + more).as_bytes()).await.unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said)
        .await
        .unwrap();
    let flags = said
        .lines()
        .filter(|line| line.contains("FETCH ("))
        .map(Into::into)
        .collect();
    (said, flags)
}

/// The same server, stopped and started again.
async fn restarted(house: House) -> House {
    let House {
        server,
        data,
        domain,
    } = house;
    server.stop().await;
    let more = "[auth]\nplaintext = \"always\"\n";
    let config = hikyaku_mission::config(data.path(), &domain, more);
    let server = mailserver::Server::start(config).await.unwrap();
    House {
        server,
        data,
        domain,
    }
}

/// How a form comes to be sent without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// Another tab logged out.
    LoggedOut,
    /// The browser forgot its cookies.
    Forgotten,
    /// Another tab logged out, and the server was started again.
    Restarted,
    /// Nothing is known of the session.
    Unknown,
    /// Another tab logged in as alice.
    Another,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_comes_too_late_is_not_lost() {
    let rows = [
        Over::LoggedOut,
        Over::Forgotten,
        Over::Restarted,
        Over::Unknown,
        Over::Another,
    ];
    let mut house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", &b"0123456789abcde\n".repeat(20_000));
    let fields = all_fields("alice@example.test", "", "bob@example.test");
    for over in rows {
        // Bob goes on as himself, or alice logs in before he does.
        for (first, action) in [("bob", "send"), ("alice", "draft"), ("bob", "autosave")] {
            let mut tab = Tab::new(&origin(&house));
            tab.log_in("bob@example.test");
            tab.open("/compose");
            let mut form = tab.form();
            let csrf = form.0["csrf"].clone();
            let mut other = tab.another();
            match over {
                Over::LoggedOut | Over::Restarted => {
                    other.ask(&["-d".into(), format!("csrf={csrf}")], "/logout");
                }
                Over::Forgotten | Over::Unknown => {
                    std::fs::remove_file(tab.at("cookies")).unwrap();
                }
                Over::Another => {
                    std::fs::remove_file(tab.at("cookies")).unwrap();
                    other.log_in("alice@example.test");
                }
            }
            if over == Over::Restarted {
                house = restarted(house).await;
                tab.origin = origin(&house);
            }
            if over == Over::Unknown {
                form.0.insert("csrf".into(), "0".repeat(64) + ".7");
            }
            let arguments = Tab::arguments(&form.with(&fields), &[("action", action)], &[&notes]);
            let row = format!("{over:?}, {first}, {action}");
            let mut files: &[&str] = &["notes.txt"];
            if over == Over::Unknown {
                // The whole of it is more than is read of a stranger.
                files = &[];
            }
            tab.ask(&arguments, "/compose");
            assert_eq!(
                tab.form().0["name"],
                "bob@example.test",
                "{row}\n{}",
                tab.page
            );
            assert_eq!(
                tab.problems().contains("notes.txt"),
                files.is_empty(),
                "{row}"
            );
            if first == "alice" {
                tab.log_in("alice@example.test");
                if over == Over::Unknown {
                    assert!(
                        tab.problems().contains("bob@example.test"),
                        "{row}: {}",
                        tab.problems()
                    );
                    assert_eq!(tab.form().0["text"], TEXT, "{row}");
                    let mut through = tab.another();
                    through.page.clone_from(&tab.page);
                    through.log_in_with("alice@example.test", PASSWORD, &[("without", "1")]);
                    assert_eq!(through.count("Drafts"), 0, "{row}");
                } else {
                    assert!(tab.path.starts_with("/folder"), "{row}: {}", tab.path);
                    assert_eq!(tab.count("Drafts"), 0, "{row}");
                    tab = Tab::new(&tab.origin);
                    tab.log_in("bob@example.test");
                    tab.open_draft();
                }
            }
            if tab.path.starts_with("/login") || tab.path == "/compose" {
                // Not even a password that is wrong loses it.
                tab.log_in_with("bob@example.test", "wrong", &[]);
                tab.log_in("bob@example.test");
            }
            tab.holds(&fields, files);
            assert_eq!(tab.count("Drafts"), 1, "{row}");
            let before = mail_of(&house, "alice").await.len();
            tab.open_draft();
            tab.press("send", &[], &[]);
            assert!(tab.path.ends_with("said=sent"), "{row}: {}", tab.page);
            assert_eq!(mail_of(&house, "alice").await.len(), before + 1, "{row}");
            assert_eq!(tab.count("Drafts"), 0, "{row}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nobody_used_is_over_and_its_form_is_not_lost() {
    let house = House::new().await;
    let tls = house.data.path().join("tls");
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let submission = Submission::start().await;
    for kind in [Kind::Imap, Kind::Pop] {
        let store = Arc::new(hikyaku_mailstore::Memory::new());
        let serve = async || {
            let remote =
                webmail::Remote::new(provider(&house, kind, submission.port), store.clone());
            let options = webmail::Options {
                idle: Duration::from_secs(2),
                ..webmail::Options::default()
            };
            let router = webmail::router(Arc::new(remote), options);
            Web::serve(router, &tls).await
        };
        for restart in [false, true] {
            let mut web = serve().await;
            let mut tab = Tab::new(&web.origin);
            tab.log_in("bob");
            tab.open("/compose");
            let arguments = Tab::arguments(
                &tab.form().with(&all_fields("good@x.test", "", "")),
                &[("action", "send")],
                &[&notes],
            );
            tokio::time::sleep(Duration::from_secs(3)).await;
            if restart {
                web = serve().await;
                tab.origin.clone_from(&web.origin);
            }
            submission.taken.lock().unwrap().clear();
            tab.ask(&arguments, "/compose");
            assert!(
                tab.problems().contains("have been logged out"),
                "{}",
                tab.page
            );
            assert!(tab.notes().contains("saved to Drafts"), "{}", tab.page);
            assert!(submission.counts().is_empty());
            tab.log_in("bob");
            tab.holds(&all_fields("good@x.test", "", ""), &["notes.txt"]);
            tab.press("send", &[], &[]);
            assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
            assert_eq!(submission.counts()["good@x.test"], 1);
            assert_eq!(tab.count("Drafts"), 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_the_server_and_no_change_of_password() {
    let mut house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let (mut tab, mut second) = (Tab::new(&origin(&house)), Tab::new(&origin(&house)));
    tab.log_in("bob@example.test");
    second.log_in("bob@example.test");
    tab.open("/compose");
    let fields = all_fields("alice@example.test", "", "");
    tab.press("language", &fields, &[&notes]);
    tab.holds(&fields, &["notes.txt"]);
    assert!(
        tab.page.contains("lang=\"ja\"") && tab.page.contains(">送信<"),
        "{}",
        tab.page
    );
    for saved in [true, false, true] {
        if saved {
            tab.press("save", &fields, &[]);
        }
        house = restarted(house).await;
        tab.origin = origin(&house);
        tab.press("autosave", &fields, &[]);
        tab.holds(&fields, &["notes.txt"]);
        assert!(tab.page.contains("lang=\"ja\""), "{}", tab.page);
    }
    tab.press("send", &[], &[]);
    assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
    assert_eq!(mail_of(&house, "alice").await.len(), 1);
    // In the store there is nothing that a browser has.
    let jar = std::fs::read_to_string(tab.at("cookies")).unwrap();
    let token = jar.split_whitespace().last().unwrap().to_owned();
    let csrf = between(&tab.page, "name=\"csrf\" value=\"", "\"")[0].to_owned();
    let account = house
        .server
        .accounts()
        .find("bob@example.test")
        .await
        .unwrap()
        .unwrap();
    let kept: Vec<_> = account
        .properties
        .iter()
        .filter(|(key, _)| key.starts_with("webmail/"))
        .map(|(key, value)| format!("{key} {}", String::from_utf8_lossy(value)))
        .collect();
    assert_eq!(
        kept.iter()
            .filter(|one| one.starts_with("webmail/session/"))
            .count(),
        2
    );
    for secret in [&token[..64], &csrf[..64], PASSWORD] {
        assert!(kept.iter().all(|one| !one.contains(secret)), "{kept:?}");
    }
    // One who logs out leaves the others in.
    let logout = ["-d".to_owned(), format!("csrf={csrf}")];
    second.origin.clone_from(&tab.origin);
    tab.ask(&logout, "/logout");
    std::fs::write(tab.at("cookies"), jar).unwrap();
    tab.open("/folder");
    assert!(tab.path.starts_with("/login"), "{}", tab.path);
    second.open("/folder");
    assert!(second.path.starts_with("/folder"), "{}", second.path);
    // Another password ends them, also while the server runs; so does the end of the account.
    house
        .server
        .accounts()
        .set_password("bob@example.test", "another one")
        .await
        .unwrap();
    second.open("/folder");
    assert!(second.path.starts_with("/login"), "{}", second.path);
    for remove in [true, false] {
        let mut tab = Tab::new(&origin(&house));
        tab.log_in_with("bob@example.test", "another one", &[]);
        assert!(tab.path.starts_with("/folder"), "{}", tab.path);
        match remove {
            true => house
                .server
                .accounts()
                .set_password("bob@example.test", "another one")
                .await
                .unwrap(),
            false => house
                .server
                .accounts()
                .remove("bob@example.test")
                .await
                .unwrap(),
        }
        house = restarted(house).await;
        tab.origin = origin(&house);
        tab.open("/folder");
        assert!(tab.path.starts_with("/login"), "{}", tab.path);
    }
}

/// In front of other servers the password is needed, and lies in the store so that the browser alone opens it.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_front_of_other_servers_outlives_a_restart() {
    let house = House::new().await;
    house.deliver_many(1..2).await;
    let tls = house.data.path().join("tls");
    let submission = Submission::start().await;
    for kind in [Kind::Imap, Kind::Pop] {
        submission.taken.lock().unwrap().clear();
        let store: Arc<dyn hikyaku_mailstore::Store> = Arc::new(hikyaku_mailstore::Memory::new());
        let serve = async |submission| {
            let remote =
                webmail::Remote::new(provider(&house, kind, submission), Arc::clone(&store));
            let options = webmail::Options::default();
            Web::serve(webmail::router(Arc::new(remote), options), &tls).await
        };
        let mut web = serve(1).await;
        let mut tab = Tab::new(&web.origin);
        tab.log_in("bob");
        tab.open("/compose");
        let fields = all_fields("good@x.test", "two@x.test", "");
        tab.press("send", &fields, &[]);
        assert!(tab.problems().contains("cannot be reached"), "{}", tab.page);
        web = serve(submission.port).await;
        tab.origin.clone_from(&web.origin);
        tab.press("send", &[], &[]);
        assert!(tab.path.ends_with("said=sent"), "{}", tab.page);
        assert_eq!(
            submission.counts().into_values().collect::<Vec<_>>(),
            [1, 1]
        );
        let account = store.account("bob@example.test").await.unwrap().unwrap();
        for (key, value) in &account.properties {
            let value = String::from_utf8_lossy(value);
            assert!(!value.contains(PASSWORD), "{key}: {value}");
        }
        // The server there has another password by now.
        let accounts = house.server.accounts();
        accounts
            .set_password("bob@example.test", "another one")
            .await
            .unwrap();
        web = serve(submission.port).await;
        tab.origin.clone_from(&web.origin);
        tab.open("/folder");
        assert!(tab.path.starts_with("/login"), "{}", tab.path);
        accounts
            .set_password("bob@example.test", PASSWORD)
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_strangers_only_little_is_read() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let large = file(&folder, "large.bin", &vec![b'x'; 40_000_000]);
    let tab = Tab::new(&origin(&house));
    let text = "x".repeat(30_000_000);
    let long = file(&folder, "long.txt", text.as_bytes())
        .display()
        .to_string();
    let large = large.display().to_string();
    let forms: [Vec<String>; 4] = [
        vec![
            "-F".into(),
            "csrf=0".into(),
            "-F".into(),
            format!("files=@{large}"),
        ],
        vec!["-F".into(), format!("files=@{large}")],
        vec![
            "-F".into(),
            "csrf=0".into(),
            "-F".into(),
            format!("text=<{long}"),
        ],
        vec!["-F".into(), format!("csrf=<{long}")],
    ];
    for mut form in forms {
        form.extend(["-w".into(), "\n%{size_upload}".into()]);
        let done = tab.command(&form, "/compose").output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let sent: u64 = said.trim().rsplit('\n').next().unwrap().parse().unwrap();
        // What lies between, in sockets, comes on top of the megabyte.
        assert!(sent < 12_000_000, "{sent}");
    }
}

/// Without room for a draft or a copy what can be sent is sent, and the rest stays in the form.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_loses_no_text() {
    let house = House::new().await;
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", &b"0123456789abcde\n".repeat(1000));
    let mut tab = Tab::new(&origin(&house));
    tab.log_in("bob@example.test");
    let quota = async |octets| {
        let accounts = house.server.accounts();
        accounts
            .set_quota("bob@example.test", octets)
            .await
            .unwrap();
    };
    for (to, sent) in [
        ("alice@example.test", true),
        ("alice@example.test, nobody@example.test", false),
        ("nobody@example.test", false),
        ("half an address", false),
    ] {
        let before = mail_of(&house, "alice").await.len();
        quota(1000).await;
        tab.open("/compose");
        let fields = all_fields(to, "", "");
        tab.press("send", &fields, &[&notes]);
        if sent {
            assert!(
                tab.path.ends_with("said=sent-without-copy"),
                "{to}: {}",
                tab.page
            );
            assert!(tab.notes().contains("no copy"), "{to}: {}", tab.page);
        } else {
            let problems = tab.problems();
            assert!(
                problems.contains("could not be saved to Drafts"),
                "{problems}"
            );
            assert!(
                problems.contains("attach these files again: notes.txt"),
                "{problems}"
            );
            tab.holds(&fields[1..], &[]);
            quota(1_000_000).await;
            tab.press(
                "send",
                &[("to", "alice@example.test, bob@example.test")],
                &[&notes],
            );
            assert!(tab.path.ends_with("said=sent"), "{to}: {}", tab.page);
        }
        let all = mail_of(&house, "alice").await;
        assert_eq!(all.len(), before + 1, "{to}");
        assert!(all.last().unwrap().contains("notes.txt"), "{to}");
        assert_eq!(tab.count("Drafts"), 0, "{to}");
        quota(1_000_000).await;
        tab.empty("INBOX");
        tab.empty("Sent");
    }
}

/// Rows: sizes of what is attached in three steps, and what stays, where 64 KiB may be.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_named_and_the_rest_is_kept() {
    type Sizes = &'static [usize];
    type Names = &'static [&'static str];
    let rows: [(Sizes, Sizes, Names, Names); 4] = [
        (&[1000], &[100_000], &["0-0"], &["1-0"]),
        (&[100_000, 1000], &[], &["0-1"], &["0-0"]),
        (&[40_000], &[30_000, 20_000], &["0-0", "1-1"], &["1-0"]),
        (
            &[3_000_000, 2000, 70_000],
            &[2000],
            &["0-1", "1-0"],
            &["0-0", "0-2"],
        ),
    ];
    let house = House::with("example.test", "[limits]\nmessage_size = \"64 KiB\"\n").await;
    let folder = tempfile::tempdir().unwrap();
    let mut tab = Tab::new(&origin(&house));
    tab.log_in("bob@example.test");
    for (first, then, kept, refused) in rows {
        tab.open("/compose");
        let fields = all_fields("alice@example.test, nobody@example.test", "", "");
        let mut said = String::new();
        for (step, sizes) in [first, then].into_iter().enumerate() {
            let files: Vec<_> = sizes
                .iter()
                .enumerate()
                .map(|(n, size)| file(&folder, &format!("{step}-{n}"), &vec![b'x'; *size]))
                .collect();
            let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
            // Pressing "Send" sends nothing as long as a file is missing that was chosen.
            tab.press(
                if step == 1 && then.len() == 1 && refused == ["1-0"] {
                    "send"
                } else {
                    "save"
                },
                &fields,
                &files,
            );
            said += &tab.problems();
        }
        for name in refused {
            assert!(
                said.contains(name) && said.contains("64 KiB"),
                "{name}: {said}"
            );
        }
        tab.holds(&fields, kept);
        assert_eq!(mail_of(&house, "alice").await.len(), 0);
        tab.press("discard", &[], &[]);
    }
}

/// Ways to leave a page on which something was typed a moment ago.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_saved_by_itself_and_by_leaving() {
    use hikyaku_mission::browser::{Browser, Kind as Look};
    let house = House::new().await;
    house.deliver_many(1..2).await;
    let origin = origin(&house);
    let folder = tempfile::tempdir().unwrap();
    let notes = file(&folder, "notes.txt", b"one\ntwo\r\nthree");
    let mut tab = Tab::new(&origin);
    tab.log_in("bob@example.test");
    let browser = Browser::start(Look::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    // While it is typed: one draft, with a file that was chosen meanwhile.
    browser.press("Write").await;
    browser.fill("#to", "alice@example.test, and half").await;
    browser.until("#saved", "Saved to Drafts").await;
    browser.fill("#files", &notes.display().to_string()).await;
    browser.until(".attached span", "notes.txt").await;
    let mut text = String::new();
    for round in 0..3 {
        text += &format!("round {round} 飛脚 ");
        browser.fill("#text", &text).await;
        browser.picture("compose-saved").await;
        tokio::time::sleep(Duration::from_millis(3500)).await;
        assert_eq!(tab.count("Drafts"), 1);
        tab.open_draft();
        tab.holds(
            &[("to", "alice@example.test, and half"), ("text", &text)],
            &["notes.txt"],
        );
    }
    // A name in a field of one line that ends in Enter sends nothing.
    browser.fill("#subject", "saved\u{e007}").await;
    for (number, way) in ["link", "away", "search", "language", "log out"]
        .into_iter()
        .enumerate()
    {
        let subject = format!("left by {way}");
        browser.fill("#subject", &subject).await;
        match way {
            "link" => browser.press("Other accounts").await,
            "away" => browser.open(&format!("{origin}/folder?name=Sent")).await,
            "search" => browser.press("Search").await,
            "language" => browser.press("日本語").await,
            _ => browser.press("ログアウト").await,
        }
        match way {
            "language" => browser.until("h1", "作成").await,
            "log out" => browser.find_login().await,
            _ => browser.until_there_are(0, "#compose").await,
        }
        // What outlives the page may come a moment later.
        for _ in 0..50 {
            tab.open_draft();
            if tab.form().0["subject"] == subject {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let typed = [
            ("to", "alice@example.test, and half"),
            ("text", &text),
            ("subject", &subject),
        ];
        tab.holds(&typed, &["notes.txt"]);
        assert_eq!(tab.count("Drafts"), 1, "{way}");
        if number < 3 {
            tab.open_draft();
            let kept = format!("{origin}/compose?kept={}", tab.form().0["key"]);
            browser.open(&kept).await;
            browser.until_value("#text", &text).await;
        }
    }
    browser.finish(&origin).await;
}

/// Rows: a phone, a larger one, a wide screen; in both languages; light and dark.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_send_and_a_late_login_fit_the_screen() {
    use hikyaku_mission::browser::{Browser, Kind as Look};
    let house = House::new().await;
    let origin = origin(&house);
    let folder = tempfile::tempdir().unwrap();
    let name = "議事録 quarterly-report-with-a-long-name-2026-11.pdf";
    let notes = file(&folder, name, &vec![b'x'; 300_000]);
    for (language, dark, width) in [
        ("en", false, 320),
        ("ja", true, 390),
        ("en", true, 1440),
        ("ja", false, 1440),
    ] {
        let look = Look {
            language,
            dark,
            window: (width, 900),
            ..Look::default()
        };
        let browser = Browser::start(look).await;
        let looked = async |page: &str| {
            browser.picture(&format!("{page}-{language}-{width}")).await;
            // What reaches beyond the right edge, and cannot be scrolled to within something.
            let over = "const edge = document.documentElement.clientWidth; \
                 return document.documentElement.scrollWidth === edge ? [] : [...document.querySelectorAll('body *')] \
                 .filter((one) => one.getBoundingClientRect().right > edge).map((one) => one.outerHTML.slice(0, 90))";
            let over = browser.run(over).await;
            assert_eq!(
                over,
                serde_json::json!([]),
                "{page} in {language} at {width}"
            );
        };
        browser.open(&format!("{origin}/")).await;
        browser.fill("#name", "bob@example.test").await;
        browser.fill("#password", PASSWORD).await;
        browser.click("main button").await;
        browser.until("h1", "").await;
        browser.click("nav a.primary").await;
        let to =
            "alice@example.test, somebody.with.a.very.long.name.that.is.not.known@example.test";
        browser.fill("#to", to).await;
        browser.fill("#subject", "Minutes / 議事録").await;
        browser
            .fill(
                "#text",
                "Hello,\n\nthe minutes are attached.\n\n議事録を添付します。\n",
            )
            .await;
        browser.fill("#files", &notes.display().to_string()).await;
        browser.until(".attached span", name).await;
        looked("compose").await;
        browser.click(".compose .primary").await;
        browser.until(".problem", "example.test: 550").await;
        browser.until_value("#to", "somebody").await;
        looked("failed").await;
        // The reason is what one sees first, on a small screen too.
        let seen = "const box = document.querySelector('.problem').getBoundingClientRect(); \
             return box.top >= 0 && box.bottom <= innerHeight";
        assert_eq!(browser.run(seen).await, true, "{language}, {width}");
        browser.run("scrollTo(0, document.body.scrollHeight)").await;
        looked("failed-end").await;
        browser.fill("#cc", "not an address").await;
        browser.click(".compose .primary").await;
        browser.until(".problem", "not an address").await;
        looked("marked").await;
        // Another tab logs out.
        browser
            .run(
                "return fetch('/logout', { method: 'POST', body: new URLSearchParams({ csrf: \
                 document.querySelector('[name=csrf]').value }) }).then(() => 1)",
            )
            .await;
        let _ = browser.complaints().await;
        browser.click(".compose .primary").await;
        browser.find_login().await;
        looked("late").await;
        // The login is refused to who has none, which is an error to the console.
        let _ = browser.complaints().await;
        browser.fill("#password", PASSWORD).await;
        browser.click("main button").await;
        browser.until_value("#subject", "Minutes / 議事録").await;
        browser.until(".attached span", name).await;
        browser.click("[value=discard]").await;
        browser.until("h1", "").await;
        browser.finish(&origin).await;
    }
}
