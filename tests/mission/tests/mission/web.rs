//! Webmail: a browser, nothing installed, HTTPS to a web server with a mail server's functions behind it.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD, Web};
use mailserver::Protocol;

fn origin(house: &House) -> String {
    format!("https://localhost:{}", house.at(Protocol::Https).port())
}

async fn log_in(browser: &Browser, origin: &str, name: &str) {
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", name).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main button").await;
    browser.until("h1", "").await;
}

/// What the pages say in Japanese for what they say in English.
pub(crate) fn japanese(english: &str) -> &'static str {
    match english {
        "Flag" => "フラグを付ける",
        "Log out" => "ログアウト",
        "Other accounts" => "他のアカウント",
        "Add" => "追加",
        "Add an account" => "他社のアカウントを追加",
        "new messages" => "件の新着",
        "Fetch now" => "今すぐ取得",
        "Remove" => "削除",
        "Forward" => "転送",
        "Reply to all" => "全員に返信",
        "Log in" => "ログイン",
        "Address or password is wrong." => "メールアドレスまたはパスワードが違います。",
        "Inbox" => "受信トレイ",
        "Reply" => "返信",
        "Send" => "送信",
        "Sent." => "送信しました。",
        "Sent" => "送信済み",
        "Write" => "作成",
        "Save draft" => "下書きに保存",
        "Saved to Drafts." => "下書きに保存しました。",
        "Drafts" => "下書き",
        "Continue writing" => "編集を続ける",
        "No messages." => "メールはありません。",
        "Search" => "検索",
        "Delete" => "削除",
        "Trash" => "ごみ箱",
        "Delete permanently" => "完全に削除",
        "Mark as read" => "既読にする",
        "unread" => "未読",
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_the_mail_server() {
    inside("en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_the_mail_server_in_japanese() {
    inside("ja").await;
}

async fn inside(language: &'static str) {
    let t = |english: &'static str| {
        if language == "ja" {
            japanese(english)
        } else {
            english
        }
    };
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let origin = origin(&house);
    let browser = Browser::start(Kind {
        language,
        ..Kind::default()
    })
    .await;
    browser.open(&format!("{origin}/")).await;
    browser.picture(&format!("login-{language}")).await;
    // Who is not known does not get in.
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", "wrong").await;
    browser.press(t("Log in")).await;
    browser
        .until(".problem", t("Address or password is wrong."))
        .await;
    // A refused login is an error of the network to the console.
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().all(|one| one.contains("401")),
        "{complaints:?}"
    );
    log_in(&browser, &origin, "bob@example.test").await;
    browser.until("h1", t("Inbox")).await;
    let two = [2, 1].map(|n| format!("{}\nmessage {n}", t("unread")));
    browser
        .until_texts(".messages .subject", &[&two[0], &two[1]])
        .await;
    browser.until_texts(".count", &["2"]).await;
    browser.picture(&format!("list-{language}")).await;
    // New mail appears without reload.
    house.deliver_many(3..4).await;
    browser.until(".messages .subject", "message 3").await;
    browser.until_texts(".count", &["3"]).await;
    // Reading.
    browser.click(".messages li:first-child a").await;
    browser.until(".text", "The body of number 3.\n.dot").await;
    browser.until_texts(".count", &["2"]).await;
    browser.picture(&format!("message-{language}")).await;
    // A reply with an attachment.
    let file = house.data.path().join("図.txt");
    std::fs::write(&file, "in a file").unwrap();
    browser.press(t("Reply")).await;
    browser.until_value("#text", "> The body").await;
    browser.fill("#to", "alice@example.test").await;
    browser.fill("#files", &file.display().to_string()).await;
    browser.picture(&format!("compose-{language}")).await;
    browser.press(t("Send")).await;
    browser.until(".said", t("Sent.")).await;
    browser.until(".messages .mark", "↩").await;
    browser.folder(t("Sent")).await;
    browser.until(".messages .subject", "Re: message 3").await;
    // A reply to all, and what is passed on, whole.
    browser.folder(t("Inbox")).await;
    browser.click(".messages li:first-child a").await;
    browser.press(t("Reply to all")).await;
    browser.until_value("#subject", "Re: message 3").await;
    browser.folder(t("Inbox")).await;
    browser.click(".messages li:first-child a").await;
    browser.press(t("Forward")).await;
    browser.until(".compose p", "message 3.eml").await;
    browser.fill("#to", "alice@example.test").await;
    browser.press(t("Send")).await;
    browser.until(".said", t("Sent.")).await;
    // A draft, gone on with.
    browser.press(t("Write")).await;
    browser.fill("#to", "nobody@example.test").await;
    browser.fill("#subject", "later").await;
    browser.press(t("Save draft")).await;
    browser.until(".said", t("Saved to Drafts.")).await;
    browser.folder(t("Drafts")).await;
    browser.click(".messages a").await;
    browser.press(t("Continue writing")).await;
    browser.press(t("Send")).await;
    browser.until(".problem", "nobody@example.test: 550").await;
    browser.fill("#to", "Alice <alice@example.test>").await;
    browser.press(t("Send")).await;
    browser.until(".said", t("Sent.")).await;
    browser.folder(t("Drafts")).await;
    browser.until(".nothing", t("No messages.")).await;
    // Search, mark, move, delete.
    browser.folder(t("Inbox")).await;
    browser.fill(".search input[type=search]", "number 1").await;
    browser.press(t("Search")).await;
    browser.until(".messages .subject", "message 1").await;
    browser.until_there_are(1, ".messages li").await;
    browser.click(".messages input").await;
    browser.press(t("Delete")).await;
    browser.until("h1", t("Inbox")).await;
    browser.until_there_are(2, ".messages li").await;
    browser.folder(t("Trash")).await;
    browser.click(".messages a").await;
    browser.press(t("Delete permanently")).await;
    browser.until(".nothing", t("No messages.")).await;
    browser.folder(t("Inbox")).await;
    browser.click("[data-all]").await;
    browser.press(t("Mark as read")).await;
    browser.until_texts("h1, .count", &[t("Inbox")]).await;
    let (other, inbox, out) = match language {
        "en" => ("日本語", "受信トレイ", "ログアウト"),
        _ => ("English", "Inbox", "Log out"),
    };
    browser.press(other).await;
    browser.until("h1", inbox).await;
    browser.press(out).await;
    browser.find_login().await;
    browser.finish(&origin).await;
    // What was sent has arrived, with what was attached.
    let alice = house.device_of("alice", "pop", &[]).await;
    alice.ok(&["sync"]).await;
    assert_eq!(
        alice.subjects("INBOX").await,
        ["later", "Fwd: message 3", "Re: message 3"]
    );
    let text = alice
        .ok(&["read", &alice.named("INBOX", "Re: message 3").await])
        .await;
    assert!(
        text.contains("図.txt") && text.contains("> The body of number 3."),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_core_works_without_scripts_in_japanese_on_a_phone() {
    let house = House::new().await;
    house.deliver_many(1..2).await;
    let origin = origin(&house);
    let kind = Kind {
        language: "ja",
        scripts: false,
        window: (320, 640),
        dark: true,
    };
    let browser = Browser::start(kind).await;
    log_in(&browser, &origin, "bob@example.test").await;
    browser.until("h1", "受信トレイ").await;
    browser.picture("list-phone-dark").await;
    browser.click(".messages a").await;
    browser.until(".text", "The body of number 1.").await;
    browser.picture("message-phone-dark").await;
    browser.press("返信").await;
    browser.fill("#to", "alice@example.test").await;
    browser.picture("compose-phone-dark").await;
    browser.press("送信").await;
    browser.until(".said", "送信しました。").await;
    browser.press("ログアウト").await;
    browser.find_login().await;
    browser.finish(&origin).await;
    let alice = house.device_of("alice", "imap", &[]).await;
    alice.ok(&["sync"]).await;
    assert_eq!(alice.subjects("INBOX").await, ["Re: message 1"]);
}

/// The whole way in a browser: log in, read, reply, find what was sent, mark, move.
async fn the_whole_way(origin: &str, name: &str, password: &str, language: &'static str) {
    let t = |english: &'static str| {
        if language == "ja" {
            japanese(english)
        } else {
            english
        }
    };
    let kind = Kind {
        language,
        ..Kind::default()
    };
    let browser = Browser::start(kind).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", name).await;
    browser.fill("#password", "wrong").await;
    browser.press(t("Log in")).await;
    browser
        .until(".problem", t("Address or password is wrong."))
        .await;
    let _ = browser.complaints().await;
    browser.fill("#name", name).await;
    browser.fill("#password", password).await;
    browser.press(t("Log in")).await;
    browser.until(".messages .subject", "message 1").await;
    browser.click(".messages li:last-child a").await;
    browser.until(".text", "The body of number 1.").await;
    browser.press(t("Reply")).await;
    browser.fill("#to", "alice@example.test").await;
    browser.press(t("Send")).await;
    browser.until(".said", t("Sent.")).await;
    browser.folder(t("Sent")).await;
    browser.until(".messages .subject", "Re: message 1").await;
    browser.until_there_are(1, ".messages li").await;
    browser.press(t("Write")).await;
    browser.fill("#to", "alice@example.test").await;
    browser.fill("#subject", "later").await;
    browser.press(t("Save draft")).await;
    browser.until(".said", t("Saved to Drafts.")).await;
    browser.folder(t("Drafts")).await;
    browser.until(".messages .subject", "later").await;
    browser.folder(t("Inbox")).await;
    browser.click(".messages li:first-child input").await;
    browser.press(t("Flag")).await;
    browser.until(".messages .flag", "⚑").await;
    browser.click(".messages li:first-child input").await;
    browser.press(t("Delete")).await;
    browser.until("h1", t("Inbox")).await;
    browser.until(".messages .subject", "↩message 1").await;
    browser.until_there_are(1, ".messages .subject").await;
    browser.folder(t("Trash")).await;
    browser.until(".messages .subject", "message 2").await;
    browser.press(t("Log out")).await;
    browser.find_login().await;
    browser.finish(origin).await;
}

fn provider(house: &House, kind: hikyaku_client::Kind) -> webmail::Provider {
    let incoming = match kind {
        hikyaku_client::Kind::Pop => Protocol::Pop3s,
        hikyaku_client::Kind::Imap => Protocol::Imaps,
    };
    let server = |service| hikyaku_client::Server {
        host: "localhost".into(),
        port: house.at(service).port(),
        security: hikyaku_client::Security::Tls,
    };
    webmail::Provider {
        domain: Some("example.test".into()),
        ca: Some(house.data.path().join("tls/ca.pem")),
        interval: std::time::Duration::from_secs(1),
        ..webmail::Provider::new(kind, server(incoming), server(Protocol::Submissions))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_itself_in_front_of_an_imap_server() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let tls = house.data.path().join("tls");
    let web = Web::in_front_of(provider(&house, hikyaku_client::Kind::Imap), &tls).await;
    the_whole_way(&web.origin, "bob", PASSWORD, "ja").await;
    // All of it is on the server, for every other device.
    let device = house.device("imap", &[]).await;
    device.ok(&["sync"]).await;
    assert_eq!(device.subjects("INBOX").await, ["message 1"]);
    assert_eq!(device.subjects("Sent").await, ["Re: message 1"]);
    // The draft of what was sent may have been on its way; then it goes a moment later.
    for _ in 0..100 {
        if device.subjects("Drafts").await == ["later"] {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        device.ok(&["sync"]).await;
    }
    assert_eq!(device.subjects("Drafts").await, ["later"]);
    assert_eq!(device.subjects("Trash").await, ["message 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn by_itself_in_front_of_a_pop3_server() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let tls = house.data.path().join("tls");
    let web = Web::in_front_of(provider(&house, hikyaku_client::Kind::Pop), &tls).await;
    the_whole_way(&web.origin, "bob@example.test", PASSWORD, "en").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_itself_it_shows_new_mail_without_reload() {
    // With IMAP the server says so, with POP3 it is asked.
    for kind in [hikyaku_client::Kind::Imap, hikyaku_client::Kind::Pop] {
        let house = House::new().await;
        let tls = house.data.path().join("tls");
        let mut provider = provider(&house, kind);
        if kind == hikyaku_client::Kind::Imap {
            provider.interval = std::time::Duration::from_secs(600);
        }
        let web = Web::in_front_of(provider, &tls).await;
        let browser = Browser::start(Kind::default()).await;
        log_in(&browser, &web.origin, "bob").await;
        browser.until(".nothing", "No messages.").await;
        // The connection for IDLE comes after the login.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        house.deliver_many(1..2).await;
        browser.until(".messages .subject", "message 1").await;
        browser.finish(&web.origin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_itself_in_front_of_dovecot_and_postfix() {
    use hikyaku_mission::foreign::{self, Foreign};
    let house = House::new().await;
    let tls = house.data.path().join("tls");
    let Some(foreign) = Foreign::start(&tls, "") else {
        return;
    };
    let sender = foreign.device("alice", "pop", &[]).await;
    for number in 1..3 {
        let (subject, text) = (
            format!("message {number}"),
            format!("The body of number {number}."),
        );
        sender
            .ok(&[
                "compose",
                "--to",
                "bob@example.test",
                "--subject",
                &subject,
                "--text",
                &text,
            ])
            .await;
        sender.ok(&["send"]).await;
        // In that order.
        let probe = foreign.device("bob", "pop", &["--delete", "never"]).await;
        while probe.subjects("INBOX").await.len() < number {
            probe.ok(&["sync"]).await;
        }
    }
    for kind in [hikyaku_client::Kind::Pop, hikyaku_client::Kind::Imap] {
        let server = |port| hikyaku_client::Server {
            host: "localhost".into(),
            port,
            security: hikyaku_client::Security::StartTls,
        };
        let incoming = if kind == hikyaku_client::Kind::Pop {
            foreign.pop3
        } else {
            foreign.imap
        };
        let (incoming, outgoing) = (server(incoming), server(foreign.submission));
        let provider = webmail::Provider {
            domain: Some("example.test".into()),
            ca: Some(foreign.ca.clone()),
            interval: std::time::Duration::from_secs(600),
            ..webmail::Provider::new(kind, incoming, outgoing)
        };
        let web = Web::in_front_of(provider, &tls).await;
        the_whole_way(&web.origin, "bob@example.test", foreign::PASSWORD, "en").await;
    }
}

#[path = "../../../../examples/webmail/examples/mounted.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod mounted;

#[tokio::test(flavor = "multi_thread")]
async fn mounted_in_somebodys_groupware_with_its_own_login() {
    let house = House::new().await;
    let store = std::sync::Arc::new(hikyaku_mailstore::Memory::new());
    let router = mounted::application(store);
    let web = Web::serve(router, &house.data.path().join("tls")).await;
    let browser = Browser::start(Kind::default()).await;
    let inside = web.origin.replace("https://", "https://dora:sesame@");
    browser.open(&format!("{inside}/")).await;
    browser.until("body", "the groupware").await;
    // The application has no icon.
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().all(|one| one.contains("favicon")),
        "{complaints:?}"
    );
    browser.open(&format!("{inside}/mail")).await;
    browser.until("h1", "Inbox").await;
    assert_eq!(browser.text(".who.address").await, "dora@example.test");
    browser.press("Write").await;
    browser.fill("#subject", "mine").await;
    browser.press("Save draft").await;
    browser.until(".said", "Saved to Drafts.").await;
    browser.folder("Drafts").await;
    browser.until(".messages .subject", "mine").await;
    browser.finish(&web.origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_mailbox_is_told_in_the_browser() {
    let house = House::new().await;
    house
        .server
        .accounts()
        .set_quota("bob@example.test", 10 * 1024)
        .await
        .unwrap();
    let large = format!("Subject: large\n\n{}", ("x".repeat(60) + "\n").repeat(150));
    let said = house.deliver("bob", &large).await;
    assert!(said.contains("250 2.0.0 Delivered"), "{said}");
    let origin = origin(&house);
    let browser = Browser::start(Kind::default()).await;
    log_in(&browser, &origin, "bob@example.test").await;
    browser
        .until(".problem", "Your mailbox is nearly full.")
        .await;
    browser.click(".messages input").await;
    browser.press("Delete").await;
    browser.until(".nothing", "No messages.").await;
    browser.folder("Trash").await;
    browser.click(".messages a").await;
    browser.press("Delete permanently").await;
    browser.until(".nothing", "No messages.").await;
    browser.until_texts("h1, .problem", &["Trash"]).await;
    browser.finish(&origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_serious_barrier_on_the_main_pages() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let html = "From: a@b.test\nSubject: rich\nContent-Type: text/html\n\n<p>Hello</p>";
    house.deliver("bob", html).await;
    let origin = origin(&house);
    for (dark, language, window) in [(false, "en", (1280, 900)), (true, "ja", (360, 740))] {
        let browser = Browser::start(Kind {
            language,
            scripts: true,
            window,
            dark,
        })
        .await;
        browser.open(&format!("{origin}/")).await;
        assert_eq!(browser.barriers().await, Vec::<String>::new(), "login");
        log_in(&browser, &origin, "bob@example.test").await;
        browser.until(".messages .subject", "rich").await;
        let none = Vec::<String>::new();
        assert_eq!(browser.barriers().await, none, "list");
        for page in [
            "message?id=INBOX%2F1",
            "message?id=INBOX%2F3",
            "compose?reply=INBOX%2F1",
            "folder?name=Trash",
        ] {
            browser.open(&format!("{origin}/{page}")).await;
            browser.until("h1", "").await;
            assert_eq!(browser.barriers().await, none, "{page}");
            browser
                .picture(&format!(
                    "{language}-{}",
                    page.replace(['?', '%', '='], "-")
                ))
                .await;
        }
        browser.finish(&origin).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_folder_has_pages_newest_first() {
    let house = House::new().await;
    house.deliver_many(1..121).await;
    let origin = origin(&house);
    let browser = Browser::start(Kind::default()).await;
    log_in(&browser, &origin, "bob@example.test").await;
    for (first, count) in [(120, 50), (70, 50), (20, 20)] {
        browser
            .until(
                ".messages li:first-child .subject",
                &format!("message {first}"),
            )
            .await;
        browser.until_there_are(count, ".messages li").await;
        if first > 20 {
            browser.press("Older").await;
        }
    }
    browser.until_there_are(1, ".pages a").await;
    browser.press("Newest").await;
    browser
        .until(".messages li:first-child .subject", "message 120")
        .await;
    assert!(browser.text(".quota").await.contains("/ 1 GiB used"));
    browser.finish(&origin).await;
}
