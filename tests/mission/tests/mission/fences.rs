//! What keeps others out of somebody's webmail: cookies, tokens, limits, policies.

use hikyaku_mission::{House, PASSWORD};
use mailserver::Protocol;
use std::process::Command;

/// What curl says: the head and the body of the answer.
fn curl(arguments: &[&str]) -> String {
    let done = Command::new("curl")
        .args(["-s", "-k", "-i", "-m", "20"])
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8_lossy(&done.stdout).into_owned()
}

fn field<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap_or("");
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let found = lines.find(|(field, _)| field.eq_ignore_ascii_case(name));
    found
        .unwrap_or_else(|| panic!("no {name} in {answer}"))
        .1
        .trim()
}

fn hidden(page: &str, name: &str) -> String {
    let at = page
        .split(&format!("name=\"{name}\" value=\""))
        .nth(1)
        .unwrap();
    at.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_tokens_and_policies() {
    let house = House::new().await;
    house.deliver_many(1..2).await;
    let origin = format!("https://localhost:{}", house.at(Protocol::Https).port());
    let login = format!("{origin}/login");
    let form = format!(
        "name=bob@example.test&password={}",
        PASSWORD.replace(' ', "+")
    );
    let answer = curl(&["-d", &form, &login]);
    let cookie = field(&answer, "set-cookie").to_owned();
    for attribute in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let folder = format!("{origin}/folder?name=INBOX");
    let page = curl(&["-b", &cookie, &folder]);
    let policy = field(&page, "content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'") && !policy.contains("unsafe-inline"),
        "{policy}"
    );
    assert!(!page.contains(" style=") && !page.contains(" onclick=") && !page.contains("<style"));
    assert_eq!(field(&page, "x-content-type-options"), "nosniff");
    assert_eq!(field(&page, "cache-control"), "no-store");
    // Nobody without the cookie gets anywhere.
    for page in [
        "folder?name=INBOX",
        "message?id=INBOX/1",
        "message/frame?id=INBOX/1",
        "compose",
        "events",
        "outside",
    ] {
        let answer = curl(&[&format!("{origin}/{page}")]);
        assert_eq!(field(&answer, "location"), "/login", "{page}");
    }
    // A form without its token, with another's, or sent by another site, does nothing.
    let csrf = hidden(&page, "csrf");
    let delete =
        |token: &str| format!("csrf={token}&folder=INBOX&action=delete-for-good&message=INBOX%2F1");
    let act = format!("{origin}/act");
    for token in ["", "0", &"0".repeat(64)] {
        assert!(
            curl(&["-b", &cookie, "-d", &delete(token), &act]).starts_with("HTTP/1.1 403"),
            "{token}"
        );
    }
    let right = delete(&csrf);
    for headers in [
        &["Origin: https://evil.test"][..],
        &["Sec-Fetch-Site: cross-site"],
        &["Origin: null"],
        &["Origin: null", "Sec-Fetch-Site: cross-site"],
        &["Origin: null", "Sec-Fetch-Site: none"],
        &["Origin: https://localhost"],
        &["Host: evil.test", "Origin: https://localhost"],
    ] {
        let mut arguments = vec!["-b", &cookie, "-d", &right, &act];
        arguments.extend(headers.iter().flat_map(|header| ["-H", header]));
        let answer = curl(&arguments);
        assert!(answer.starts_with("HTTP/1.1 403"), "{headers:?}: {answer}");
        let there = curl(&["-b", &cookie, &folder]);
        assert!(there.contains("message 1"), "{headers:?}");
    }
    // A form of these pages whose browser does not say more.
    let own = ["-H", "Origin: null", "-H", "Sec-Fetch-Site: same-origin"];
    curl(&[&["-b", &cookie, "-d", &right, &act], &own[..]].concat());
    assert!(!curl(&["-b", &cookie, &folder]).contains("message 1"));
    // After logging out the cookie is worth nothing.
    curl(&[
        "-b",
        &cookie,
        "-d",
        &format!("csrf={csrf}"),
        &format!("{origin}/logout"),
    ]);
    assert_eq!(
        field(&curl(&["-b", &cookie, &folder]), "location"),
        "/login"
    );
    // Names of the other kind of session are never taken from a cookie.
    let forged = "hikyaku-session=signed in: bob@example.test";
    assert_eq!(field(&curl(&["-b", forged, &folder]), "location"), "/login");
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_are_limited() {
    let house = House::new().await;
    let login = format!(
        "https://localhost:{}/login",
        house.at(Protocol::Https).port()
    );
    let attempt = |name: &str, password: &str| {
        let form = format!("name={name}&password={}", password.replace(' ', "+"));
        curl(&["-d", &form, &login])[9..12].to_owned()
    };
    let began = std::time::Instant::now();
    for _ in 0..4 {
        assert_eq!(attempt("bob@example.test", "guess"), "401");
    }
    // Each of them slowly, the next one more so; nobody is kept out.
    assert!(began.elapsed().as_secs() >= 8);
    let began = std::time::Instant::now();
    assert_eq!(attempt("alice@example.test", PASSWORD), "303");
    assert!(began.elapsed().as_secs() < 2);
    let began = std::time::Instant::now();
    assert_eq!(attempt("BOB@example.test", PASSWORD), "303");
    assert!(began.elapsed().as_secs() < 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_only_leads_to_https() {
    let house = House::new().await;
    let (http, https) = (
        house.at(Protocol::Http).port(),
        house.at(Protocol::Https).port(),
    );
    let answer = curl(&[&format!("http://localhost:{http}/folder")]);
    assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
    assert_eq!(
        field(&answer, "location"),
        format!("https://localhost:{https}/folder")
    );
}
