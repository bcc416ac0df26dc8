//! The program itself, as it is run: the zone and the editor of the environment, offline.

use std::path::Path;
use std::process::{Command, Output};

const ACCOUNT: &str = "[[account]]\naddress = \"me@a.test\"\ntype = \"pop\"\n\
    incoming = { host = \"127.0.0.1\", port = 1, security = \"tls\" }\n\
    outgoing = { host = \"127.0.0.1\", port = 1, security = \"tls\" }\n\
    password = { command = \"echo x\" }\n";

fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("accounts.toml"), ACCOUNT).unwrap();
    home
}

fn run(home: &Path, environment: &[(&str, &str)], words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mailclient"));
    command
        .env_remove("VISUAL")
        .env("HIKYAKU_HOME", home)
        .args(words);
    command.stdin(std::process::Stdio::null());
    command.envs(environment.iter().copied()).output().unwrap()
}

fn printed(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn wrong(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A script for an editor.
fn editor(home: &Path, script: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = home.join("editor");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    path.display().to_string()
}

fn unsent(home: &Path) -> Vec<String> {
    let files = std::fs::read_dir(home)
        .unwrap()
        .map(|one| one.unwrap().path());
    let files = files.filter(|path| path.to_string_lossy().contains("unsent-"));
    files
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect()
}

#[test]
fn times_are_in_the_zone_of_the_reader() {
    let home = home();
    let draft = [
        "compose",
        "--to",
        "x@b.test",
        "--subject",
        "when",
        "--text",
        "x",
        "--draft",
    ];
    printed(&run(home.path(), &[], &draft));
    let list = printed(&run(home.path(), &[("TZ", "UTC0")], &["list", "Drafts"]));
    let name = list.split(' ').next().unwrap();
    // What mailclient writes says +0000.
    let mut shown = Vec::new();
    for (zone, offset) in [
        ("UTC0", "+0000"),
        ("JST-9", "+0900"),
        ("Asia/Tokyo", "+0900"),
        ("<-0330>3:30", "-0330"),
        ("Asia/Kathmandu", "+0545"),
    ] {
        let text = printed(&run(home.path(), &[("TZ", zone)], &["read", name]));
        let date = text
            .lines()
            .find(|line| line.starts_with("Date:"))
            .unwrap()
            .to_owned();
        assert!(date.contains(offset), "{zone}: {date}");
        assert_eq!(date.contains("for the sender"), offset != "+0000", "{date}");
        shown.push((
            printed(&run(home.path(), &[("TZ", zone)], &["list", "Drafts"])),
            offset,
        ));
    }
    assert_eq!(shown[1].0, shown[2].0);
    assert!(shown[0].0 != shown[1].0 && shown[3].0 != shown[4].0);
}

#[test]
fn an_editor_that_changes_nothing_or_fails_sends_nothing() {
    let home = home();
    let home = home.path();
    let compose = [
        "compose",
        "--to",
        "x@b.test",
        "--subject",
        "s",
        "--text",
        "hello",
        "--edit",
    ];
    for script in ["exit 0", "echo >> \"$1\"", "printf 'hello\\n' > \"$1\""] {
        let editor = editor(home, script);
        let said = wrong(&run(home, &[("EDITOR", &editor)], &compose));
        assert!(said.contains("nothing was changed"), "{said}");
        assert!(unsent(home).is_empty());
    }
    for (number, script) in [
        "echo precious >> \"$1\"; exit 1",
        "echo precious >> \"$1\"; kill -9 $$",
    ]
    .iter()
    .enumerate()
    {
        let editor = editor(home, script);
        let said = wrong(&run(home, &[("EDITOR", &editor)], &compose));
        let (_, path) = said.trim_end().split_once("the text is kept in ").unwrap();
        assert!(
            std::fs::read_to_string(path).unwrap().contains("precious"),
            "{said}"
        );
        assert_eq!(unsent(home).len(), number + 1);
    }
    assert_eq!(printed(&run(home, &[], &["outbox"])), "");
    let editor = editor(home, "echo more >> \"$1\"");
    printed(&run(
        home,
        &[("VISUAL", &editor), ("EDITOR", "false")],
        &compose,
    ));
    let shown = printed(&run(home, &[], &["outbox", "show", "1"]));
    assert!(shown.contains("hello") && shown.contains("more"), "{shown}");
    // An address that is none is refused before anything is written.
    let typed = self::editor(home, "touch \"$HIKYAKU_HOME/opened\"");
    let refused = ["compose", "--to", "eva", "--text", "x", "--edit"];
    wrong(&run(home, &[("EDITOR", &typed)], &refused));
    assert!(!home.join("opened").exists());
    // In the outbox what was not changed stays as it was.
    let before = printed(&run(home, &[], &["--json", "outbox", "show", "1"]));
    let untouched = self::editor(home, "exit 0");
    printed(&run(
        home,
        &[("EDITOR", &untouched)],
        &["outbox", "edit", "1", "--edit"],
    ));
    assert_eq!(
        printed(&run(home, &[], &["--json", "outbox", "show", "1"])),
        before
    );
    let failing = self::editor(home, "echo lost? > \"$1\"; exit 1");
    wrong(&run(
        home,
        &[("EDITOR", &failing)],
        &["outbox", "edit", "1", "--edit"],
    ));
    assert_eq!(
        printed(&run(home, &[], &["--json", "outbox", "show", "1"])),
        before
    );
    assert_eq!(unsent(home).len(), 3);
}

/// About 1 MiB of a piece.
fn many(piece: &str) -> String {
    piece.repeat((1 << 20) / piece.len().max(1))
}

fn lines(piece: &str) -> String {
    many(&format!("{piece}\r\n"))
}

/// Messages of 1 MiB that make somebody who is careless take long.
fn nasty() -> Vec<(&'static str, String)> {
    let plain = |body: &str| {
        format!("From: a@b.test\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}")
    };
    let html = |body: &str| {
        format!("From: a@b.test\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{body}")
    };
    let header =
        |field: &str| format!("From: a@b.test\r\n{field}\r\nContent-Type: text/plain\r\n\r\nx");
    let parts = |kind: &str, part: &str| {
        format!(
            "From: a@b.test\r\nContent-Type: multipart/{kind}; boundary=b\r\n\r\n{}--b--\r\n",
            many(part)
        )
    };
    let nested = |kind: &str| {
        let part = |depth: usize| {
            format!("Content-Type: multipart/{kind}; boundary=b{depth}\r\n\r\n--b{depth}\r\n")
        };
        let all: String = (0..15_000).map(part).collect();
        format!("From: a@b.test\r\n{all}Content-Type: text/html\r\n\r\n<p>x")
    };
    vec![
        ("one line of words", plain(&many("a "))),
        ("one word", plain(&many("a"))),
        ("marks", plain(&format!("a{}", many("\u{301}")))),
        ("overrides", plain(&many("\u{202e}\u{200b}"))),
        ("emoji that join", plain(&many("👩\u{200d}"))),
        ("right to left", plain(&many("\u{5d0}\u{200f} "))),
        ("quotes", plain(&lines(&">".repeat(900)))),
        (
            "at signs",
            header(&format!(
                "To: {}",
                lines("\"a@b.c\" <x@y.z>,").replace("\r\n", "\r\n ")
            )),
        ),
        (
            "people",
            header(&format!("To: {}", lines("a@b.c,").replace("\r\n", "\r\n "))),
        ),
        (
            "copies",
            header(&format!(
                "Cc: {}",
                lines("(((((((((((,<").replace("\r\n", "\r\n ")
            )),
        ),
        (
            "a long name",
            header(&format!("Reply-To: {} <x@y.z>", many("@a.b "))),
        ),
        ("a long subject", header(&format!("Subject: {}", many("é")))),
        (
            "encoded words",
            header(&format!(
                "Subject: {}",
                lines("=?utf-8?q?=E2=80=AE?=").replace("\r\n", "\r\n ")
            )),
        ),
        (
            "half encoded words",
            header(&format!("Subject: {}", many("=?utf-8?q?"))),
        ),
        ("fields", header(lines("X-A: b").trim_end())),
        ("folded", header(&format!("X-A: {}", many("\r\n a")))),
        (
            "references",
            header(&format!("References: {}", many("<a@b>"))),
        ),
        ("a date", header(&format!("Date: {}", many("(")))),
        ("html nested", html(&many("<ul><li>"))),
        ("html spans", html(&many("<b><i>x</b>"))),
        ("html tables", html(&many("<table><tr><td>"))),
        (
            "html links",
            html(&many("<a href=\"http://a.test/\">b.test</a> ")),
        ),
        ("html open", html(&many("<"))),
        ("html attributes", html(&format!("<a {}>", many("x=y ")))),
        ("html entities", html(&many("&amp&#x202e;"))),
        (
            "html style",
            html(&format!("<style>{}</style>x", many("a b c>d{color:red}"))),
        ),
        ("parts", parts("mixed", "--b\r\n\r\n\r\n")),
        (
            "attachments",
            parts(
                "mixed",
                "--b\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n",
            ),
        ),
        (
            "alternatives",
            parts(
                "alternative",
                "--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n",
            ),
        ),
        (
            "messages",
            parts(
                "mixed",
                "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\ny\r\n",
            ),
        ),
        ("nested", nested("mixed")),
        ("nested alternatives", nested("alternative")),
        ("related", nested("related")),
        (
            "parameters",
            header(&format!(
                "Content-Disposition: attachment; {}",
                many("filename*0=a;")
            )),
        ),
    ]
}

#[test]
fn reading_takes_little_time_whatever_a_message_holds() {
    let home = home();
    let account: hikyaku_client::Account = {
        let config = mailclient::Config::load(home.path()).unwrap();
        config.accounts[0].clone()
    };
    let all = nasty();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store =
            std::sync::Arc::new(hikyaku_mailstore::Disk::open(home.path().join("mail")).unwrap());
        let local = hikyaku_client::Local::of(store, &account).await.unwrap();
        for (_, message) in &all {
            let octets = bytes::Bytes::from(message.clone());
            local
                .add("INBOX", octets, hikyaku_mailstore::Flags::NONE)
                .await
                .unwrap();
        }
    });
    drop(runtime);
    // Debug builds are many times slower: what grows faster than its input takes far longer still.
    let limit = if cfg!(debug_assertions) { 6000 } else { 500 };
    let mut slow = Vec::new();
    for (number, (name, _)) in all.iter().enumerate() {
        let message = format!("INBOX/{}", number + 1);
        for words in [&["read", &message][..], &["--json", "read", &message]] {
            let started = std::time::Instant::now();
            printed(&run(home.path(), &[], words));
            let took = started.elapsed().as_millis();
            eprintln!("{name}: {took} ms");
            if took > limit {
                slow.push((*name, took));
            }
        }
    }
    assert!(slow.is_empty(), "{slow:?}");
}
