//! The webmail can also fetch and send through another provider's server on the user's behalf.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD};
use hikyaku_server::Service;

async fn add(browser: &Browser, there: &House, kind: &str, folder: &str) {
    let incoming = if kind == "pop" {
        Service::Pop3s
    } else {
        Service::Imaps
    };
    browser.press("Other accounts").await;
    browser.fill("#address", "alice@b.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.click(&format!("#kind option[value={kind}]")).await;
    browser
        .fill(
            "#incoming",
            &format!("localhost:{}", there.at(incoming).port()),
        )
        .await;
    browser
        .fill(
            "#outgoing",
            &format!("localhost:{}", there.at(Service::Submissions).port()),
        )
        .await;
    browser.fill("#folder", folder).await;
    browser.press("Add").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_and_sending_through_another_provider() {
    let there = House::with("b.test", "").await;
    let ca = there.data.path().join("tls/ca.pem").display().to_string();
    let more = format!(
        "[webmail]\noutside_private = true\noutside_interval = \"1s\"\noutside_ca = \"{ca}\"\n"
    );
    let here = House::with("example.test", &more).await;
    let message = |number: u32| format!("From: x@c.test\nSubject: there {number}\n\nbody {number}");
    there.deliver("alice", &message(1)).await;
    there.deliver("alice", &message(2)).await;
    let origin = format!("https://localhost:{}", here.at(Service::Https).port());
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    // By hand, which is what adding it does first.
    for (kind, folder) in [("imap", "Elsewhere"), ("pop", "Popped")] {
        add(&browser, &there, kind, folder).await;
        browser.until(".said", "alice@b.test: 2 new messages").await;
        browser.folder(folder).await;
        browser.until(".messages .subject", "there 2").await;
        assert_eq!(browser.texts(".messages li").await.len(), 2);
        // On a schedule, and the page shows it by itself.
        there.deliver("alice", &message(3)).await;
        browser.until(".messages .subject", "there 3").await;
        assert_eq!(browser.texts(".messages li").await.len(), 3);
        browser.press("Other accounts").await;
        browser.picture("outside").await;
        browser.press("Fetch now").await;
        browser.until(".said", "alice@b.test: 0 new messages").await;
        if kind == "imap" {
            // Gone there, for the other kind to have the same three: two and one.
            let device = there
                .device_of("alice", "imap", &["--bodies", "headers"])
                .await;
            device.ok(&["sync"]).await;
            device
                .ok(&[
                    "delete",
                    "--for-good",
                    &device.named("INBOX", "there 3").await,
                ])
                .await;
            device.ok(&["sync"]).await;
            browser.press("Remove").await;
            browser.until("main", "Add an account").await;
        }
    }
    // Sent as that address, through that provider.
    browser.press("Write").await;
    browser.click("#from option:nth-child(2)").await;
    browser.fill("#to", "bob@b.test").await;
    browser.fill("#subject", "as alice").await;
    browser.press("Send").await;
    browser.until(".said", "Sent.").await;
    browser.folder("Sent").await;
    browser.until(".messages .subject", "as alice").await;
    browser.finish(&origin).await;
    let device = there.device("imap", &[]).await;
    device.ok(&["sync"]).await;
    let text = device
        .ok(&["read", &device.named("INBOX", "as alice").await])
        .await;
    assert!(text.contains("alice@b.test"), "{text}");
    // Fetching left all of it there.
    let device = there
        .device_of("alice", "imap", &["--bodies", "headers"])
        .await;
    device.ok(&["sync"]).await;
    assert_eq!(device.subjects("INBOX").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_within_the_providers_network_are_refused() {
    let there = House::with("b.test", "").await;
    let here = House::new().await;
    let origin = format!("https://localhost:{}", here.at(Service::Https).port());
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    add(&browser, &there, "imap", "Elsewhere").await;
    browser
        .until(
            ".problem",
            "localhost: this address may not be reached from here",
        )
        .await;
    browser.finish(&origin).await;
}
