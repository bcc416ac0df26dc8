//! What peers can make the program hold in memory: little for each connection, whatever they send and do not end.

use crate::harness::{PASSWORD, Talk, tls};
use crate::mailserver::{Mailserver, add_account, configured};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Connections of each kind.
const MANY: usize = 24;

/// The program, running, with an account of bob's.
struct Running {
    program: Mailserver,
    folder: TempDir,
}

impl Running {
    async fn start(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rest = "[auth]\nplaintext = \"always\"\n\
             [listen]\nhttps = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\nsmtp = \"127.0.0.1:0\"\npop3 = \"127.0.0.1:0\"\n";
        let configuration = configured(folder.path(), "data", rest);
        add_account(&configuration, "bob@example.test").await;
        let program = Mailserver::start(limits, &configuration);
        Self { program, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("data/tls/ca.pem")
    }

    /// A line of a file of its process.
    fn proc(&self, file: &str, name: &str) -> Vec<u64> {
        let path = Path::new("/proc")
            .join(self.program.child.id().to_string())
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let words = line.split_whitespace();
        words.filter_map(|word| word.parse().ok()).collect()
    }

    /// The most memory it had so far, in KiB.
    fn peak(&self) -> u64 {
        self.proc("status", "VmHWM:")[0]
    }

    async fn web(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.program.at("Https")).await.unwrap();
        tls(&self.ca(), stream).await.unwrap()
    }

    async fn ask(&self, request: &str) -> String {
        let mut stream = self.web().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    }

    /// A session of bob's: its cookie, and the token of its forms.
    async fn log_in(&self) -> (String, String) {
        let form = format!(
            "name=bob@example.test&password={}",
            PASSWORD.replace(' ', "+")
        );
        let said = self
            .ask(&format!(
                "POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ))
            .await;
        let cookie = said
            .split("set-cookie: ")
            .nth(1)
            .and_then(|rest| rest.split(';').next());
        let cookie = cookie.unwrap_or_else(|| panic!("{said}")).to_owned();
        let page = self
            .ask(&format!(
                "GET /compose HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let csrf = page.split("name=\"csrf\" value=\"").nth(1);
        let csrf = csrf.and_then(|rest| rest.split('"').next()).unwrap();
        (cookie, csrf.to_owned())
    }

    /// Sends a head and then more and more, until nothing is taken any more.
    async fn unfinished(&self, head: &str, piece: &[u8], most: usize) -> TlsStream<TcpStream> {
        let mut stream = self.web().await;
        let send = async {
            stream.write_all(head.as_bytes()).await?;
            let mut sent = 0;
            while sent < most {
                let written = stream.write_all(piece);
                match tokio::time::timeout(Duration::from_millis(700), written).await {
                    Ok(written) => written?,
                    Err(_) => break,
                }
                sent += piece.len();
            }
            stream.flush().await
        };
        // Who is refused hears of it or is left.
        let _: std::io::Result<()> = send.await;
        stream
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_that_do_not_end_stay_on_disk() {
    const LONG: usize = 48 << 20;
    let server = Running::start("").await;
    let (cookie, csrf) = server.log_in().await;
    let head = |path: &str, kind: &str, more: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{more}Content-Length: {LONG}\r\n\r\n"
        )
    };
    const PLAIN: &str = "application/x-www-form-urlencoded";
    const PARTS: &str = "multipart/form-data; boundary=b";
    let part = |name: &str, rest: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{rest}")
    };
    let field = |name: &str, value: &str| format!("{}\r\n\r\n{value}\r\n", part(name, ""));
    let file = part("files", "; filename=\"a\"") + "\r\n\r\n";
    let cookie = format!("Cookie: {cookie}\r\n");
    let chunk = [&b"4000\r\n"[..], &[b'a'; 0x4000], b"\r\n"].concat();
    let plain = [b'a'; 16 * 1024];
    let chunked = head("/login", PLAIN, "Transfer-Encoding: chunked\r\n")
        .replace(&format!("Content-Length: {LONG}\r\n"), "");
    let rows: Vec<(&str, String, &[u8], usize)> = vec![
        (
            "a login",
            head("/login", PLAIN, "") + "name=",
            &plain,
            LONG / 2,
        ),
        ("a login in chunks", chunked, &chunk, LONG / 2),
        (
            "a login of many fields",
            head("/login", PLAIN, ""),
            b"a=b&a=b&a=b&a=b&",
            1 << 20,
        ),
        (
            "a stranger's text",
            head("/compose", PARTS, "") + &field("text", "")[..50],
            &plain,
            LONG / 2,
        ),
        (
            "a stranger's file",
            head("/compose", PARTS, "") + &file,
            &plain,
            LONG / 2,
        ),
        (
            "a part's head",
            head("/compose", PARTS, "") + &part("a", ""),
            &plain,
            LONG / 2,
        ),
        ("no boundary", head("/compose", PARTS, ""), &plain, LONG / 2),
        ("/act", head("/act", PLAIN, ""), &plain, LONG / 2),
        ("/outside", head("/outside", PLAIN, ""), &plain, LONG / 2),
        ("/nowhere", head("/nowhere", PLAIN, ""), &plain, LONG / 2),
        (
            "one's own /act",
            head("/act", PLAIN, &cookie),
            &plain,
            400 * 1024,
        ),
        (
            "one's own /act without an end",
            head("/act", PLAIN, &cookie),
            &plain,
            LONG / 2,
        ),
        (
            "one's own text",
            head("/compose", PARTS, &cookie) + &field("csrf", &csrf) + &field("text", "")[..50],
            &plain,
            12 << 20,
        ),
        (
            "one's own file",
            head("/compose", PARTS, &cookie) + &field("csrf", &csrf) + &file,
            &plain,
            8 << 20,
        ),
    ];
    let before = server.peak();
    for (what, head, piece, most) in rows {
        let all = (0..MANY).map(|_| server.unfinished(&head, piece, most));
        let all = futures::future::join_all(all).await;
        let more = server.peak() - before;
        // A page, and what TLS and HTTP hold for each connection.
        assert!(more < 40 * 1024, "{what}: {more} KiB more");
        let begun = Instant::now();
        server.log_in().await;
        assert!(begun.elapsed() < Duration::from_secs(1), "{what}");
        drop(all);
    }
    let left = std::fs::read_dir(server.folder.path().join("data")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(
        left.iter()
            .all(|name| !name.to_string_lossy().starts_with(".tmp")),
        "{left:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn much_of_one_message_at_once_is_not_held() {
    let server = Running::start("").await;
    let mut imap = Talk::new(server.program.at("Imap")).await;
    imap.line().await;
    let fields = format!("X-Long: {}\r\n", "x".repeat(900)).repeat(330);
    let body = "a line of text\r\n".repeat(14_000);
    let message = format!("Subject: large\r\n{fields}\r\n{body}");
    for command in [
        format!("LOGIN bob@example.test \"{PASSWORD}\""),
        "SELECT INBOX".into(),
        format!("APPEND INBOX {{{}+}}\r\n{message}", message.len()),
        "FETCH 1 (ENVELOPE BODYSTRUCTURE)".into(),
    ] {
        let said = imap.imap(&command).await;
        assert!(said.contains("x OK"), "{said}");
    }
    let before = server.peak();
    // Each of them is what a client may ask for, and a command has room for thousands.
    for (items, times) in [
        ("BODY.PEEK[]<0.65536>", 700),
        ("BODY.PEEK[HEADER.FIELDS.NOT (a)]", 150),
        ("BINARY.PEEK[1]<0.65536>", 200),
    ] {
        let all = vec![items; times].join(" ");
        imap.send(&format!("x FETCH 1 ({all})\r\n")).await;
        // Nothing is read for a moment.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let said = loop {
            let line = imap.line().await;
            if line.starts_with("x ") {
                break line;
            }
        };
        assert!(said.starts_with("x OK"), "{items}: {said}");
        let more = server.peak() - before;
        assert!(more < 24 * 1024, "{items}: {more} KiB more");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_descriptors_are_all_that_there_are_and_are_enough() {
    let server = Running::start("ulimit -S -n 150; ulimit -H -n 300;").await;
    assert_eq!(server.proc("limits", "Max open files"), [300, 300]);
    // More than that comes, of many addresses, and is silent.
    let mut all = Vec::new();
    for service in ["Https", "Imap", "Smtp", "Pop3"] {
        for host in 2..9 {
            for _ in 0..30 {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind(([127, 0, 2, host], 0).into()).unwrap();
                all.push(socket.connect(server.program.at(service)).await.unwrap());
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let begun = Instant::now();
    server.log_in().await;
    let mut imap = Talk::new(server.program.at("Imap")).await;
    imap.line().await;
    let large = "x".repeat(300_000);
    for command in [
        format!("LOGIN bob@example.test \"{PASSWORD}\""),
        "SELECT INBOX".into(),
        // Large enough for a file.
        format!("APPEND INBOX {{{}+}}\r\n{large}", large.len()),
        "FETCH 1 RFC822.SIZE".into(),
    ] {
        let said = imap.imap(&command).await;
        assert!(said.contains("x OK"), "{said}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
    drop(all);
}
