//! Webmail: a browser, nothing installed, HTTPS to a web server with a mail server's functions behind it.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD};
use hikyaku_server::Service;

fn origin(house: &House) -> String {
    format!("https://localhost:{}", house.at(Service::Https).port())
}

async fn log_in(browser: &Browser, origin: &str, name: &str) {
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", name).await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main button").await;
    browser.until("h1", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_the_mail_server() {
    let house = House::new().await;
    house.deliver_many(1..3).await;
    let origin = origin(&house);
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.picture("login").await;
    // Who is not known does not get in.
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", "wrong").await;
    browser.press("Log in").await;
    browser
        .until(".problem", "Address or password is wrong.")
        .await;
    // A refused login is an error of the network to the console.
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().all(|one| one.contains("401")),
        "{complaints:?}"
    );
    log_in(&browser, &origin, "bob@example.test").await;
    browser.until("h1", "Inbox").await;
    assert_eq!(
        browser.texts(".messages .subject").await,
        ["unread\nmessage 2", "unread\nmessage 1"]
    );
    assert_eq!(browser.text(".count").await, "2");
    browser.picture("list").await;
    // New mail appears without reload.
    house.deliver_many(3..4).await;
    browser.until(".messages .subject", "message 3").await;
    assert_eq!(browser.text(".count").await, "3");
    // Reading.
    browser.click(".messages li:first-child a").await;
    browser.until(".text", "The body of number 3.\n.dot").await;
    assert_eq!(browser.text(".count").await, "2");
    browser.picture("message").await;
    // A reply with an attachment.
    let file = house.data.path().join("図.txt");
    std::fs::write(&file, "in a file").unwrap();
    browser.press("Reply").await;
    assert!(
        browser
            .run("return document.getElementById('text').value")
            .await
            .as_str()
            .unwrap()
            .contains("> The body")
    );
    browser.fill("#to", "alice@example.test").await;
    browser.fill("#files", &file.display().to_string()).await;
    browser.picture("compose").await;
    browser.press("Send").await;
    browser.until(".said", "Sent.").await;
    assert_eq!(browser.texts(".messages .mark").await, ["↩"]);
    browser.folder("Sent").await;
    browser.until(".messages .subject", "Re: message 3").await;
    // A draft, gone on with.
    browser.press("Write").await;
    browser.fill("#to", "nobody@example.test").await;
    browser.fill("#subject", "later").await;
    browser.press("Keep as draft").await;
    browser.until(".said", "Kept").await;
    browser.folder("Drafts").await;
    browser.click(".messages a").await;
    browser.press("Go on writing").await;
    browser.press("Send").await;
    browser.until(".problem", "nobody@example.test: 550").await;
    browser.fill("#to", "Alice <alice@example.test>").await;
    browser.press("Send").await;
    browser.until(".said", "Sent.").await;
    browser.folder("Drafts").await;
    browser.until(".nothing", "Nothing here.").await;
    // Search, mark, move, delete.
    browser.folder("Inbox").await;
    browser.fill(".search input[type=search]", "number 1").await;
    browser.press("Search").await;
    browser.until(".messages .subject", "message 1").await;
    assert_eq!(browser.texts(".messages li").await.len(), 1);
    browser.click(".messages input").await;
    browser.press("Delete").await;
    browser.until("h1", "Inbox").await;
    assert_eq!(browser.texts(".messages li").await.len(), 2);
    browser.folder("Trash").await;
    browser.click(".messages a").await;
    browser.press("Delete for good").await;
    browser.until(".nothing", "Nothing here.").await;
    browser.folder("Inbox").await;
    browser.click("[data-all]").await;
    browser.press("Read").await;
    browser.until("h1", "Inbox").await;
    assert!(browser.texts(".count").await.is_empty());
    browser.press("日本語").await;
    browser.until("h1", "受信トレイ").await;
    browser.press("ログアウト").await;
    browser.find_login().await;
    browser.finish(&origin).await;
    // What was sent has arrived, with what was attached.
    let alice = house.device_of("alice", "pop", &[]).await;
    alice.ok(&["sync"]).await;
    assert_eq!(alice.subjects("INBOX").await, ["later", "Re: message 3"]);
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
