//! Crowds of connections: whatever one peer opens, the others are served, and soon.

use crate::harness::{House, PASSWORD, Talk, tls};
use mailserver::Protocol;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// What nobody waits longer for, however large the crowd.
const SOON: Duration = Duration::from_secs(1);

/// A connection from that address of this machine.
async fn from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// So many of them.
async fn crowd(many: usize, source: Ipv4Addr, to: SocketAddr) -> Vec<TcpStream> {
    let mut all = Vec::with_capacity(many);
    for _ in 0..many {
        all.push(from(source, to).await);
    }
    all
}

/// What comes first on a connection within a second.
async fn first(stream: &mut TcpStream) -> String {
    let mut octets = [0; 512];
    let read = tokio::time::timeout(SOON, stream.read(&mut octets)).await;
    let count = read.ok().and_then(Result::ok).unwrap_or(0);
    String::from_utf8_lossy(&octets[..count]).into_owned()
}

/// Whether the server has closed it, or does within that time.
async fn is_closed(stream: &mut TcpStream, within: Duration) -> bool {
    let all = async {
        let mut octets = [0; 4096];
        while stream.read(&mut octets).await.is_ok_and(|count| count > 0) {}
    };
    tokio::time::timeout(within, all).await.is_ok()
}

impl House {
    /// What the webmail answers to a request.
    async fn page(&self, source: Ipv4Addr, request: &str) -> String {
        let stream = from(source, self.at(Protocol::Https)).await;
        let mut said = Vec::new();
        if let Ok(mut stream) = tls(&self.ca(), stream).await {
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.read_to_end(&mut said).await;
        }
        String::from_utf8_lossy(&said).into_owned()
    }

    /// All that somebody does at one time or another, from that address, each within a second.
    async fn serves(&self, source: Ipv4Addr, while_there: &str) {
        let what = |what: &str| format!("{what} with {while_there}");
        let soon = |done: &str, begun: Instant| {
            let took = begun.elapsed();
            assert!(took < SOON, "{}: {took:?}", what(done));
        };
        let begun = Instant::now();
        let page = "GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let page = self.page(source, page).await;
        assert!(page.starts_with("HTTP/1.1 200"), "{}: {page}", what("page"));
        soon("page", begun);
        let begun = Instant::now();
        let mut imap = Talk::over(from(source, self.at(Protocol::Imap)).await);
        let login = format!("LOGIN bob@example.test \"{PASSWORD}\"");
        let greeting = imap.line().await;
        assert!(greeting.starts_with("* OK"), "{}: {greeting}", what("IMAP"));
        let said = imap.imap(&login).await + &imap.imap("SELECT INBOX").await;
        assert_eq!(said.matches("x OK").count(), 2, "{}: {said}", what("IMAP"));
        soon("IMAP", begun);
        let begun = Instant::now();
        for (service, send, expected) in [
            (Protocol::Smtp, "QUIT\r\n", "221 "),
            (Protocol::Pop3, "QUIT\r\n", "+OK Bye"),
            (Protocol::Submission, "QUIT\r\n", "221 "),
            (
                Protocol::Metrics,
                "GET /health HTTP/1.0\r\n\r\n",
                "HTTP/1.1 200",
            ),
            (
                Protocol::Http,
                "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                "HTTP/1.1 308",
            ),
        ] {
            let mut talk = Talk::over(from(source, self.at(service)).await);
            talk.send(send).await;
            let said = talk.rest().await;
            assert!(
                said.contains(expected),
                "{}: {said}",
                what(&format!("{service:?}"))
            );
        }
        soon("the rest", begun);
        let begun = Instant::now();
        self.deliver("Subject: x\n\nx\n").await;
        soon("LMTP", begun);
    }
}

const HOME: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_crowd_of_one_address_keeps_nobody_out() {
    let house = House::new().await;
    for service in [
        Protocol::Https,
        Protocol::Http,
        Protocol::Imaps,
        Protocol::Imap,
        Protocol::Pop3s,
        Protocol::Pop3,
        Protocol::Submissions,
        Protocol::Submission,
        Protocol::Smtp,
        Protocol::Lmtp,
        Protocol::Metrics,
    ] {
        let all = crowd(300, Ipv4Addr::new(127, 0, 0, 9), house.at(service)).await;
        // Not even those who come from the same address wait, but for a moment where they are answered in words.
        house.serves(HOME, &format!("300 at {service:?}")).await;
        let own = Ipv4Addr::new(127, 0, 0, 9);
        if [Protocol::Imap, Protocol::Smtp].contains(&service) {
            tokio::time::sleep(Duration::from_millis(2100)).await;
        } else if ![Protocol::Https, Protocol::Http, Protocol::Imaps].contains(&service) {
            continue;
        }
        house
            .serves(own, &format!("300 of its own at {service:?}"))
            .await;
        drop(all);
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_over_a_limit_hears_of_it() {
    let limits = "[auth]\nplaintext = \"always\"\n[limits]\nconnections_per_ip = 3\n";
    let house = House::with(limits).await;
    let over = async |service: Protocol, greeting: &str, refusal: &str| {
        let mut all = crowd(4, HOME, house.at(service)).await;
        let last = first(all.last_mut().unwrap()).await;
        assert!(last.starts_with(refusal), "{service:?}: {last:?}");
        if !greeting.is_empty() {
            for one in &mut all[..3] {
                let said = first(one).await;
                assert!(said.starts_with(greeting), "{service:?}: {said:?}");
            }
        }
        // After two seconds of silence the oldest one makes room, and only that one.
        tokio::time::sleep(Duration::from_millis(2100)).await;
        let mut newcomer = from(HOME, house.at(service)).await;
        let said = first(&mut newcomer).await;
        assert!(said.starts_with(greeting), "{service:?}: {said:?}");
        assert!(
            is_closed(&mut all[0], Duration::from_secs(3)).await,
            "{service:?}"
        );
        assert!(
            !is_closed(&mut all[1], Duration::from_millis(200)).await,
            "{service:?}"
        );
    };
    futures::join!(
        over(Protocol::Smtp, "220 ", "421 4.7.0 "),
        over(Protocol::Submission, "220 ", "421 4.7.0 "),
        over(Protocol::Lmtp, "220 ", "421 4.7.0 "),
        over(Protocol::Pop3, "+OK ", "-ERR [SYS/TEMP] "),
        over(Protocol::Imap, "* OK ", "* BYE [UNAVAILABLE] "),
        over(Protocol::Metrics, "", "HTTP/1.1 503 "),
    );
    // Where there is nothing to say before TLS, it makes room at once.
    for service in [
        Protocol::Https,
        Protocol::Imaps,
        Protocol::Pop3s,
        Protocol::Submissions,
    ] {
        let mut all = crowd(4, HOME, house.at(service)).await;
        assert!(
            is_closed(&mut all[0], Duration::from_secs(3)).await,
            "{service:?}"
        );
        assert!(
            !is_closed(&mut all[3], Duration::from_millis(200)).await,
            "{service:?}"
        );
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_logged_in_makes_room_for_nobody() {
    let limits = "[auth]\nplaintext = \"always\"\n[limits]\nconnections_per_ip = 3\n";
    let house = House::with(limits).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push(Talk::imap_login(house.at(Protocol::Imap), "bob").await);
    }
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let said = first(&mut from(HOME, house.at(Protocol::Imap)).await).await;
    assert!(said.starts_with("* BYE"), "{said}");
    for one in &mut all {
        assert!(one.imap("NOOP").await.contains("x OK"));
    }
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_many_addresses_leaves_the_places_of_other_protocols() {
    let limits = "[auth]\nplaintext = \"always\"\n[limits]\nconnections = 140\n";
    let house = House::with(limits).await;
    for service in [Protocol::Https, Protocol::Imap, Protocol::Smtp] {
        let mut all = Vec::new();
        for host in 10..20 {
            all.push(crowd(30, Ipv4Addr::new(127, 0, 1, host), house.at(service)).await);
        }
        tokio::time::sleep(Duration::from_millis(2100)).await;
        house
            .serves(HOME, &format!("300 of ten addresses at {service:?}"))
            .await;
    }
    house.server.stop().await;
}

/// Requests to a web server that are refused, or led astray.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_for_one_host() {
    let house = House::new().await;
    let refused = [
        "GET /login HTTP/1.1\r\n",
        "GET /login HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
        "GET /login HTTP/1.1\r\nHost: localhost\r\nHost: evil.test\r\n",
        "GET /login HTTP/1.1\r\nHost: evil.test@localhost\r\n",
        "GET https://evil.test/login HTTP/1.1\r\nHost: localhost\r\n",
        "POST /login HTTP/1.0\r\n",
    ];
    for head in refused {
        let request = format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n");
        let said = house.page(HOME, &request).await;
        assert!(
            said.starts_with("HTTP/1.1 400") || said.starts_with("HTTP/1.0 400"),
            "{head}: {said}"
        );
    }
    let https = house.at(Protocol::Https).port();
    for (head, expected) in [
        (
            "GET /a HTTP/1.1\r\nHost: localhost\r\n",
            Some("https://localhost:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: LOCALHOST:80\r\n",
            Some("https://localhost:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: [::1]:80\r\n",
            Some("https://[::1]:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: mail.example.test\r\n",
            Some("https://mail.example.test:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: evil.test\r\n",
            Some("https://localhost:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: evilexample.test\r\n",
            Some("https://localhost:PORT/a"),
        ),
        (
            "GET //evil.test/a HTTP/1.1\r\nHost: localhost\r\n",
            Some("https://localhost:PORT//evil.test/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-Host: evil.test\r\n",
            Some("https://localhost:PORT/a"),
        ),
        (
            "GET /a HTTP/1.1\r\nHost: evil.test\r\nHost: localhost\r\n",
            None,
        ),
        ("GET /a HTTP/1.1\r\nHost: evil.test@localhost\r\n", None),
        (
            "GET http://evil.test/a HTTP/1.1\r\nHost: localhost\r\n",
            None,
        ),
        ("GET /a HTTP/1.1\r\n", None),
    ] {
        let mut talk = house.talk(Protocol::Http).await;
        talk.send(&format!("{head}Connection: close\r\n\r\n")).await;
        let said = talk.rest().await;
        match expected {
            Some(to) => {
                let to = format!(
                    "\r\nlocation: {}\r\n",
                    to.replace("PORT", &https.to_string())
                );
                assert!(
                    said.starts_with("HTTP/1.1 308") && said.contains(&to),
                    "{head}: {said}"
                );
            }
            None => assert!(said.starts_with("HTTP/1.1 400"), "{head}: {said}"),
        }
    }
    house.server.stop().await;
}
