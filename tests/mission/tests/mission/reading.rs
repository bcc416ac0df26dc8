//! What a page says of a message that comes from a stranger, in a browser.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD};
use mailserver::Protocol;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

async fn opened(house: &House, message: &str) -> (Browser, String) {
    let said = house.deliver("bob", message).await;
    assert!(said.contains("250 2.0.0 Delivered"), "{said}");
    let origin = format!("https://localhost:{}", house.at(Protocol::Https).port());
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.click("main button").await;
    browser.until("h1", "Inbox").await;
    (browser, origin)
}

/// The frame's document, fetched as the frame is.
async fn frame(browser: &Browser) -> String {
    let script = "const frame = document.querySelector('article iframe');
        const request = new XMLHttpRequest(); request.open('GET', frame.src, false); request.send();
        return request.responseText;";
    let document = browser.run(script).await;
    document.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_is_shown_as_what_he_is() {
    let house = House::new().await;
    let message = "From: \"boss@bank.test\" <stranger@evil.test>\nReply-To: other@elsewhere.test\n\
        To: bob@example.test\nSubject: pay \u{202e}n\u{200b}ow\nDate: Fri, 27 Nov 2026 08:00:00 +0000\n\
        Content-Type: text/html; charset=utf-8\n\n\
        <p>Log in at <a href=\"https://evil.test/x\">https://bank.test/login</a></p>";
    let (browser, origin) = opened(&house, message).await;
    browser
        .open(&format!("{origin}/message?id=INBOX%2F1"))
        .await;
    browser.until("h1", "pay").await;
    // As it is in the document: what a driver reads of the screen has no such signs, whatever is there.
    let subject = browser
        .run("return document.querySelector('h1').textContent;")
        .await;
    assert!(
        subject
            .as_str()
            .is_some_and(|text| text.contains("now") && !text.contains('\u{202e}')),
        "{subject}"
    );
    browser.until("dl.header", "stranger@evil.test").await;
    browser
        .until("dl.header .reply-to", "other@elsewhere.test")
        .await;
    browser
        .until("dl.header", "looks like a different address")
        .await;
    // In the reader's zone, which the page names.
    browser.until("dl.header time", "GMT+9").await;
    let date = browser.text("dl.header time").await;
    assert!(date.contains("27") && date.contains("05:00"), "{date}");
    browser.enter_frame().await;
    browser.until("output.host", "evil.test").await;
    browser.leave_frame().await;
    browser.finish(&origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_as_high_as_what_is_in_it() {
    let house = House::new().await;
    let words = "<p>One of many paragraphs that make a page long.</p>".repeat(80);
    let message = format!(
        "From: a@b.test\nTo: bob@example.test\nSubject: long\nContent-Type: text/html\n\n{words}"
    );
    let (browser, origin) = opened(&house, &message).await;
    browser
        .open(&format!("{origin}/message?id=INBOX%2F1"))
        .await;
    browser.until("h1", "long").await;
    let script = "const frame = document.querySelector('article iframe');
        const page = frame.contentDocument.scrollingElement;
        return [frame.clientHeight, page.scrollHeight, page.clientHeight];";
    let until = Instant::now() + PATIENCE;
    loop {
        let sizes = browser.run(script).await;
        let size = |at: usize| sizes[at].as_u64().unwrap_or(0);
        // Nothing is left to scroll within it.
        if size(0) > 2000 && size(1) <= size(2) {
            break;
        }
        assert!(Instant::now() < until, "{sizes}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    browser.finish(&origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_a_sender_are_shown_always_until_that_is_taken_back() {
    let house = House::new().await;
    let message = |sender: &str, subject: &str| {
        format!(
            "From: {sender}\nTo: bob@example.test\nSubject: {subject}\nContent-Type: text/html\n\n\
             <p>News <img src=\"http://127.0.0.1:9/picture.png\" alt=\"A picture\"></p>"
        )
    };
    for (sender, subject) in [
        ("News <news@b.test>", "second"),
        ("Others <others@b.test>", "third"),
    ] {
        house.deliver("bob", &message(sender, subject)).await;
    }
    let first = message("Another Name <NEWS@b.test>", "first");
    let (browser, origin) = opened(&house, &first).await;
    let open = async |number: u32, subject: &str| {
        let url = format!("{origin}/message?id=INBOX%2F{number}");
        browser.open(&url).await;
        browser.until("h1", subject).await;
        frame(&browser).await
    };
    let hidden = |document: &str| !document.contains("/image?") && document.contains("A picture");
    let document = open(3, "first").await;
    assert!(hidden(&document), "{document}");
    browser.until(".images", "are not shown").await;
    browser.press("Always show images from this sender").await;
    browser.until(".images", "are always shown").await;
    let document = frame(&browser).await;
    assert!(document.contains("/image?"), "{document}");
    // The address counts, not the name; and nobody else's images are shown.
    assert!(open(1, "second").await.contains("/image?"));
    let document = open(2, "third").await;
    assert!(hidden(&document), "{document}");
    open(1, "second").await;
    browser.press("Do not show them any more").await;
    browser.until(".images", "are not shown").await;
    assert!(hidden(&open(3, "first").await));
}
