//! A domain set up word by word, as docs/running-a-domain.md and `mailserver setup` say it: on a machine that has addresses,
//! ports below 1024 and names of its own, beside Debian's Postfix with OpenDKIM, OpenDMARC and policyd-spf as the world.

use crate::harness::{PASSWORD, run};
use crate::networks::{self, HOST, ON_THE_MACHINE, OURS, PROVIDER, TRUSTED};
use crate::pebble::Place;
use clap::Parser as _;
use hikyaku_client::{Http as _, Web};
use hikyaku_smtp_programs::Provider;
use hikyaku_test_dns::{DnsServer, Zone};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const SELF: &str = "word_by_word::what_setup_says_is_typed_and_mail_goes_both_ways";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_setup_says_is_typed_and_mail_goes_both_ways() {
    match networks::within() {
        Some(folder) => set_up(&folder).await,
        None => networks::run_within(SELF).await,
    }
}

/// The code block of the documentation that has this.
fn documented(word: &str) -> String {
    let text = include_str!("../../../../docs/running-a-domain.md");
    let blocks = text.split("```sh\n").skip(1);
    let mut blocks = blocks.map(|block| block.split("```").next().unwrap());
    blocks
        .find(|block| block.contains(word))
        .unwrap()
        .to_owned()
}

/// What a line of the printed steps says to type, which contains this.
fn step(said: &str, word: &str) -> String {
    let (_, steps) = said.split_once("; What is left:").expect(said);
    let mut lines = steps.lines();
    let line = lines.find(|line| line.contains(word)).expect(said);
    let (_, typed) = line.split_once(": ").expect(line);
    typed.to_owned()
}

/// The one thing that is replaced: where certificates come from.
fn with_another_authority(folder: &Path, pebble: &Place) {
    let file = folder.join("mailserver.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("directory ="));
    let text = text.replace(&format!("{}\n", line.unwrap()), &pebble.settings());
    std::fs::write(file, text).unwrap();
}

/// What types a line in a folder of the machine, with the program in the path.
fn shell(folder: &Path, line: &str) -> [String; 4] {
    let program = Path::new(crate::mailserver::PROGRAM).parent().unwrap();
    let (at, program) = (folder.display(), program.display());
    let script = format!("cd {at} && PATH={program}:$PATH && exec {line}");
    [ON_THE_MACHINE.into(), "sh".into(), "-c".into(), script]
}

async fn typed(folder: &Path, line: &str, input: &str) -> String {
    let words = shell(folder, line);
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let (ok, said) = run("nsenter", &words, input).await;
    assert!(ok, "{line}: {said}");
    said
}

/// The server that was set up. It ends when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(folder: &Path, line: &str) -> Self {
        let words = shell(folder, &format!("{line} >log 2>&1"));
        let mut command = Command::new("nsenter");
        Self(command.args(words).stdin(Stdio::null()).spawn().unwrap())
    }
}

/// Waits until something is there; `log` says why it is not.
async fn until<T>(folder: &Path, what: &str, mut found: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found().await {
            return found;
        }
        let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(Instant::now() < end, "{what}: {}", log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What curl prints of a page, if there is one; certificates have to be right.
async fn page(url: &str, more: &[&str]) -> Option<String> {
    let arguments = [&["-sSf", "-m", "10", url], more].concat();
    let (ok, said) = run("curl", &arguments, "").await;
    ok.then_some(said)
}

/// What the world would see: the printed zone as it is, and the provider's. The reverse names are as the steps ask.
fn world(printed: &str, provider: &Provider) -> DnsServer {
    let reverse = format!(
        "{}.in-addr.arpa. IN PTR mail.example.org.\n{}.in-addr.arpa. IN PTR mx.postfix.test.\n",
        backwards(OURS[0]),
        backwards(PROVIDER)
    );
    let acme = format!("acme.test. IN A {HOST}\n");
    DnsServer::at(
        format!("{HOST}:53").parse().unwrap(),
        [
            Zone::new("example.org").load(printed),
            Zone::new("test").load(&provider.zone).load(&acme),
            Zone::new("in-addr.arpa").load(&reverse),
        ],
    )
}

fn backwards(address: &str) -> String {
    let parts: Vec<_> = address.rsplit('.').collect();
    parts.join(".")
}

async fn set_up(folder: &Path) {
    let provider = Provider::start(PROVIDER, HOST).expect("root");
    let pebble = Place::at(folder, "acme.test", HOST);
    let trusted = folder.join(TRUSTED);
    let folder = &folder.join("empty");
    std::fs::create_dir(folder).unwrap();

    let said = typed(
        folder,
        documented("--config mailserver.toml setup").trim(),
        "",
    )
    .await;
    let _dns = world(&said, &provider);
    with_another_authority(folder, &pebble);
    let http = Some("127.0.0.1:80".parse().unwrap());
    let authority = pebble
        .start_asking(&format!("{HOST}:53"), http, None, 7_776_000)
        .await;
    std::fs::write(trusted, authority.root().await).unwrap();

    let checked = typed(folder, &step(&said, "check"), "").await;
    assert!(checked.contains("The configuration is fine."), "{checked}");
    let add = step(&said, "account add");
    typed(folder, &add, &format!("{PASSWORD}\n")).await;
    let address = add.rsplit(' ').next().unwrap();
    assert_eq!(address, "you@example.org");
    let _server = Running::start(folder, &step(&said, "Start the server"));
    until(folder, "a certificate that others trust", async || {
        page("https://mail.example.org/", &[]).await
    })
    .await;

    thunderbird_finds_it(address).await;
    outlook_finds_it(address).await;
    mail_goes_both_ways(folder, address, &provider).await;
}

/// The URLs that Thunderbird asks for, one after the other, until there is a file. Both of its servers let the user in.
async fn thunderbird_finds_it(address: &str) {
    let encoded = address.replace('@', "%40");
    let urls = [
        format!("https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress={encoded}"),
        "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml".to_owned(),
        format!("http://autoconfig.example.org/mail/config-v1.1.xml?emailaddress={encoded}"),
        "http://example.org/.well-known/autoconfig/mail/config-v1.1.xml".to_owned(),
    ];
    let mut found = None;
    for url in &urls {
        found = found.or(page(url, &[]).await);
    }
    let file = found.unwrap();
    // Its first choice of each kind.
    for (kind, scheme) in [("incomingServer", "imaps"), ("outgoingServer", "smtps")] {
        let server = file.split(&format!("<{kind} ")).nth(1).expect(&file);
        let of = |name: &str| {
            let text = server.split(&format!("<{name}>")).nth(1).expect(&file);
            text.split('<').next().unwrap().to_owned()
        };
        assert_eq!(of("socketType"), "SSL", "{file}");
        let login = of("username").replace("%EMAILADDRESS%", address);
        let url = format!("{scheme}://{}:{}", of("hostname"), of("port"));
        let user = format!("{login}:{PASSWORD}");
        assert!(
            page(&url, &["-u", &user, "-X", "NOOP"]).await.is_some(),
            "{url}: {file}"
        );
    }
}

/// Outlook posts to two hosts by their names, and then to the one of the SRV record.
async fn outlook_finds_it(address: &str) {
    let schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook";
    let request = format!(
        "<Autodiscover xmlns=\"{schema}/requestschema/2006\"><Request><EMailAddress>{address}</EMailAddress>\
         <AcceptableResponseSchema>{schema}/responseschema/2006a</AcceptableResponseSchema></Request></Autodiscover>"
    );
    let post = async |host: &str| {
        let url = format!("https://{host}/autodiscover/autodiscover.xml");
        page(
            &url,
            &["-H", "Content-Type: text/xml", "--data-binary", &request],
        )
        .await
    };
    assert_eq!(post("example.org").await, None, "there is no such host");
    let by_record = Web::default()
        .srv("_autodiscover._tcp.example.org".into())
        .await;
    assert_eq!(by_record, [("mail.example.org".to_owned(), 443)]);
    for host in ["autodiscover.example.org", &by_record[0].0] {
        let answer = post(host).await.expect(host);
        for expected in [
            "<Server>mail.example.org</Server>".to_owned(),
            "<Port>993</Port>".to_owned(),
            "<Port>465</Port>".to_owned(),
            format!("<LoginName>{address}</LoginName>"),
        ] {
            assert!(answer.contains(&expected), "{host}, {expected}: {answer}");
        }
    }
}

/// Our own client, which is given nothing but the address.
async fn mailclient(folder: &Path, words: &[&str]) -> String {
    let home = folder.join("home").display().to_string();
    let words = [&["mailclient", "--home", &home], words].concat();
    let cli = mailclient::cli::Cli::try_parse_from(&words).unwrap();
    let mut said = Vec::new();
    let done = mailclient::cli::run(cli, &mut said).await;
    let said = String::from_utf8(said).unwrap();
    assert!(done.is_ok(), "{words:?}: {done:?} {said}");
    said
}

/// The results of SPF, DKIM and DMARC in a message, as one server wrote them.
fn passed(message: &str, server: &str) {
    let fields = message
        .replace("\r\n", "\n")
        .replace("\n ", " ")
        .replace("\n\t", " ");
    let start = format!("Authentication-Results: {server};");
    let results: Vec<_> = fields
        .lines()
        .filter(|line| line.starts_with(&start))
        .collect();
    let results = results.join("\n");
    for check in ["spf", "dkim", "dmarc"] {
        assert!(
            results.contains(&format!("{check}=pass")),
            "{check}: {message}"
        );
        // The name in HELO has no record of its own, here and in most of the world.
        for other in ["fail", "softfail", "neutral", "temperror", "permerror"] {
            let other = format!("{check}={other}");
            assert!(!results.contains(&other), "{other}: {message}");
        }
    }
}

async fn mail_goes_both_ways(folder: &Path, address: &str, provider: &Provider) {
    let password = format!("echo {PASSWORD}");
    let words = [
        "account",
        "add",
        address,
        "--type",
        "imap",
        "--password-command",
        &password,
    ];
    let said = mailclient(folder, &words).await;
    for server in ["mail.example.org:993", "mail.example.org:465"] {
        assert!(said.contains(server), "{said}");
    }
    let words = [
        "compose",
        "--to",
        "carol@postfix.test",
        "--subject",
        "there",
        "--text",
        "Hello.",
    ];
    mailclient(folder, &words).await;
    mailclient(folder, &["send"]).await;
    let there = provider.postfix.gets("carol", 1).await.remove(0);
    assert!(there.contains("Subject: there"), "{there}");
    passed(&there, "mx.postfix.test");

    let url = format!("smtp://127.0.0.1:{}", provider.postfix.smtp);
    let message = format!(
        "From: carol@postfix.test\r\nTo: {address}\r\nSubject: back\r\nDate: Sun, 29 Nov 2026 01:00:00 +0000\r\n\
         Message-ID: <1@postfix.test>\r\n\r\nHello.\r\n"
    );
    let from = [
        "--mail-from",
        "carol@postfix.test",
        "--mail-rcpt",
        address,
        "-T",
        "-",
    ];
    let (ok, said) = run("curl", &[&["-sS", &*url][..], &from].concat(), &message).await;
    assert!(ok, "{said}");
    let user = format!("{address}:{PASSWORD}");
    let back = until(folder, "mail from Postfix", async || {
        page("imaps://mail.example.org/INBOX;UID=1", &["-u", &user]).await
    })
    .await;
    passed(&back, "mail.example.org");
    assert!(back.contains("iprev=pass"), "{back}");
    forgeries_are_found(address, provider).await;
    mailclient(folder, &["sync"]).await;
    let listed = mailclient(folder, &["list"]).await;
    assert!(listed.contains("back"), "{listed}");
}

/// Mail in the name of each from another host: the provider finds that it fails, and ours is asked to refuse it.
async fn forgeries_are_found(address: &str, provider: &Provider) {
    let send = async |to: &str, from: &str, host: &str| {
        let message = format!("From: {from}\r\nTo: {to}\r\nSubject: forged\r\n\r\nHello.\r\n");
        let url = format!("smtp://{host}");
        let words = ["-sv", "--interface", HOST, &url, "--mail-from", from];
        let words = [&words[..], &["--mail-rcpt", to, "-T", "-"]].concat();
        run("curl", &words, &message).await
    };
    let (ok, said) = send(address, "carol@postfix.test", "mail.example.org").await;
    assert!(!ok && said.contains("< 550 5.7."), "{said}");
    let (ok, said) = send("carol@postfix.test", address, PROVIDER).await;
    assert!(ok, "{said}");
    let mail = provider.postfix.gets("carol", 2).await;
    let forged = mail.iter().find(|mail| mail.contains("Subject: forged"));
    let forged = forged.unwrap();
    for failed in ["spf=fail", "dkim=none", "dmarc=fail"] {
        assert!(forged.contains(failed), "{failed}: {forged}");
    }
}
