//! The webmail can also fetch and send through another provider's server on the user's behalf.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD};
use mailserver::Protocol;

/// The words of a page, by the English ones.
type Words = fn(&'static str) -> &'static str;

async fn add(browser: &Browser, there: &House, kind: &str, folder: &str, t: Words) {
    let incoming = if kind == "pop" {
        Protocol::Pop3s
    } else {
        Protocol::Imaps
    };
    browser.press(t("Other accounts")).await;
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
            &format!("localhost:{}", there.at(Protocol::Submissions).port()),
        )
        .await;
    browser.fill("#folder", folder).await;
    browser.press(t("Add")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_and_sending_through_another_provider() {
    fetching_and_sending("en", |english| english).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fetching_and_sending_through_another_provider_in_japanese() {
    fetching_and_sending("ja", crate::web::japanese).await;
}

async fn fetching_and_sending(language: &'static str, t: Words) {
    let there = House::with("b.test", "").await;
    let ca = there.data.path().join("tls/ca.pem").display().to_string();
    let more = format!(
        "[webmail]\noutside_private = true\noutside_interval = \"1s\"\noutside_ca = \"{ca}\"\n"
    );
    let here = House::with("example.test", &more).await;
    let message = |number: u32| format!("From: x@c.test\nSubject: there {number}\n\nbody {number}");
    there.deliver("alice", &message(1)).await;
    there.deliver("alice", &message(2)).await;
    let origin = format!("https://localhost:{}", here.at(Protocol::Https).port());
    let browser = Browser::start(Kind {
        language,
        ..Kind::default()
    })
    .await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press(t("Log in")).await;
    browser.until("h1", t("Inbox")).await;
    // By hand, which is what adding it does first.
    for (kind, folder) in [("imap", "Elsewhere"), ("pop", "Popped")] {
        add(&browser, &there, kind, folder, t).await;
        browser
            .until(".said", &format!("alice@b.test: 2 {}", t("new messages")))
            .await;
        browser.folder(folder).await;
        browser.until(".messages .subject", "there 2").await;
        browser.until_there_are(2, ".messages li").await;
        // On a schedule, and the page shows it by itself.
        there.deliver("alice", &message(3)).await;
        browser.until(".messages .subject", "there 3").await;
        browser.until_there_are(3, ".messages li").await;
        browser.press(t("Other accounts")).await;
        browser.picture("outside").await;
        browser.press(t("Fetch now")).await;
        browser
            .until(".said", &format!("alice@b.test: 0 {}", t("new messages")))
            .await;
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
            browser.press(t("Remove")).await;
            browser.until("main", t("Add an account")).await;
        }
    }
    // Sent as that address, through that provider.
    browser.press(t("Write")).await;
    browser.click("#from option:nth-child(2)").await;
    browser.fill("#to", "bob@b.test").await;
    browser.fill("#subject", "as alice").await;
    browser.press(t("Send")).await;
    browser.until(".said", t("Sent.")).await;
    browser.folder(t("Sent")).await;
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
    let origin = format!("https://localhost:{}", here.at(Protocol::Https).port());
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    add(&browser, &there, "imap", "Elsewhere", |english| english).await;
    browser
        .until(
            ".problem",
            "localhost: this address may not be reached from here",
        )
        .await;
    browser.finish(&origin).await;
}

/// A web server with one image, that counts who comes.
async fn images() -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let _ = stream.read(&mut [0; 4096]).await;
            // The smallest GIF there is: one pixel.
            let gif =
                b"GIF89a\x01\0\x01\0\x80\0\0\xff\0\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                gif.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), gif].concat()).await;
        }
    });
    (origin, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_elsewhere_are_shown_when_asked_for_and_the_browser_goes_nowhere() {
    let (elsewhere, count) = images().await;
    for (private, wide) in [("true", 1), ("false", 0)] {
        let here = House::with(
            "example.test",
            &format!("[webmail]\noutside_private = {private}\n"),
        )
        .await;
        let html = format!(
            "Subject: picture\nContent-Type: text/html\n\n<p>look</p><img src=\"{elsewhere}/a.gif\">"
        );
        here.deliver("bob", &html).await;
        let origin = format!("https://localhost:{}", here.at(Protocol::Https).port());
        let browser = Browser::start(Kind::default()).await;
        browser.open(&format!("{origin}/")).await;
        browser.fill("#name", "bob@example.test").await;
        browser.fill("#password", PASSWORD).await;
        browser.press("Log in").await;
        browser.click(".messages a").await;
        browser.enter_frame().await;
        browser.until("p", "look").await;
        assert_eq!(browser.count("img[src]").await, 0);
        browser.leave_frame().await;
        let before = count.load(std::sync::atomic::Ordering::Relaxed);
        browser.press("Show external images").await;
        browser.enter_frame().await;
        browser.until("p", "look").await;
        assert_eq!(
            browser
                .count(&format!("img[src^='{origin}/image?'],img[src^='/image?']"))
                .await,
            1
        );
        browser.leave_frame().await;
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let came = count.load(std::sync::atomic::Ordering::Relaxed) - before;
        assert_eq!(came, wide, "{private}");
        // What may not be fetched is an image that is not there.
        let complaints = browser.complaints().await;
        assert!(
            complaints
                .iter()
                .all(|one| private == "false" && one.contains("404")),
            "{complaints:?}"
        );
        // A link that was not written here is not followed.
        browser
            .open(&format!("{origin}/image?u={elsewhere}/a.gif&m=0"))
            .await;
        assert_eq!(
            count.load(std::sync::atomic::Ordering::Relaxed) - before,
            wide
        );
        let _ = browser.complaints().await;
        browser.finish(&origin).await;
    }
}
