//! What mail programs ask for to find the server, each in its own way.

use crate::harness::{House, run};
use mailserver::Protocol;

/// What curl prints of a page of a host: the body, then the status and the type.
async fn page(house: &House, protocol: Protocol, host: &str, path: &str, more: &[&str]) -> String {
    let scheme = match protocol {
        Protocol::Https => "https",
        _ => "http",
    };
    let port = house.port(protocol);
    let url = format!("{scheme}://{host}:{port}{path}");
    let resolve = format!("{host}:{port}:127.0.0.1");
    let mut arguments = vec![
        "-sk",
        "--resolve",
        &resolve,
        "-w",
        "\n%{http_code} %{content_type}",
        &url,
    ];
    arguments.extend(more);
    run("curl", &arguments, "").await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_gets_what_it_asks_for() {
    let house = House::with("[mta_sts]\nmode = \"testing\"\n").await;
    let get = async |host: &str, path: &str| page(&house, Protocol::Https, host, path, &[]).await;
    let (imaps, submissions) = (
        house.port(Protocol::Imaps),
        house.port(Protocol::Submissions),
    );

    // Thunderbird, in clear as well.
    let path = "/mail/config-v1.1.xml?emailaddress=alice%40example.test";
    let file = get("autoconfig.example.test", path).await;
    assert!(file.ends_with("200 text/xml; charset=utf-8"), "{file}");
    assert!(
        file.contains("<emailProvider id=\"example.test\">"),
        "{file}"
    );
    let first = file.find("<port>").unwrap();
    assert!(
        file[first..].starts_with(&format!("<port>{imaps}</port>")),
        "{file}"
    );
    let other = "/mail/config-v1.1.xml?emailaddress=nobody%40example.test";
    assert_eq!(get("autoconfig.example.test", other).await, file);
    let path = "/.well-known/autoconfig/mail/config-v1.1.xml";
    assert_eq!(get("example.test", path).await, file);
    let clear = page(&house, Protocol::Http, "autoconfig.example.test", path, &[]).await;
    assert_eq!(clear, file);
    let foreign = get("autoconfig.elsewhere.test", path).await;
    assert!(foreign.contains("\n404 "), "{foreign}");

    // Outlook, old and new.
    let request = "<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\
        <Request><EMailAddress>alice@example.test</EMailAddress><AcceptableResponseSchema>\
        http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a\
        </AcceptableResponseSchema></Request></Autodiscover>";
    let host = "autodiscover.example.test";
    let post = async |path: &str, body: &str| {
        let more = ["-H", "Content-Type: text/xml", "--data-binary", body];
        page(&house, Protocol::Https, host, path, &more).await
    };
    for path in [
        "/autodiscover/autodiscover.xml",
        "/Autodiscover/AutoDiscover.xml",
    ] {
        let answer = post(path, request).await;
        assert!(
            answer.contains(&format!("<Port>{submissions}</Port>")),
            "{answer}"
        );
        assert!(
            answer.contains("<LoginName>alice@example.test</LoginName>"),
            "{answer}"
        );
    }
    let long = "x".repeat(20_000);
    let answer = post("/autodiscover/autodiscover.xml", &long).await;
    assert!(answer.contains("\n413"), "{answer}");
    let path = "/autodiscover/autodiscover.json?Email=alice@example.test&Protocol=AutodiscoverV1";
    let json = get(host, path).await;
    assert!(json.contains("/autodiscover/autodiscover.xml\""), "{json}");

    // Apple, for addresses here alone.
    let profile = get(
        "example.test",
        "/apple.mobileconfig?email=alice@example.test",
    )
    .await;
    assert!(
        profile.contains(&format!("<integer>{imaps}</integer>")),
        "{profile}"
    );
    for address in ["alice@elsewhere.test", "%3Cx%3E@example.test", ""] {
        let path = format!("/apple.mobileconfig?email={address}");
        let none = get("example.test", &path).await;
        assert!(none.contains("\n404"), "{none}");
    }

    // Other servers: the policy is there under TLS alone, and under its own name alone.
    let path = "/.well-known/mta-sts.txt";
    let policy = get("mta-sts.example.test", path).await;
    let expected = "version: STSv1\r\nmode: testing\r\nmx: localhost\r\nmax_age: 604800\r\n";
    assert!(policy.starts_with(expected), "{policy}");
    assert!(
        policy.ends_with("200 text/plain; charset=utf-8"),
        "{policy}"
    );
    assert!(get("example.test", path).await.contains("\n404"));
    let clear = page(&house, Protocol::Http, "mta-sts.example.test", path, &[]).await;
    assert!(!clear.contains("STSv1"), "{clear}");
    // The webmail is still where it was.
    assert!(
        get("example.test", "/").await.contains("\n200")
            || get("example.test", "/").await.contains("\n303")
    );
    house.server.stop().await;
}
