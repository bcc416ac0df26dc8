//! Proxies in front say for whom they connect: the PROXY protocol, and XCLIENT.

use crate::harness::{House, Talk, run, tls};
use mailserver::Protocol;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Every message of bob's.
async fn mail(house: &House) -> String {
    let mut imap = Talk::imap_login(house.at(Protocol::Imap), "bob").await;
    imap.imap("SELECT INBOX").await;
    imap.imap("FETCH 1:* BODY.PEEK[HEADER.FIELDS (RECEIVED SUBJECT)]")
        .await
}

#[tokio::test]
async fn the_client_is_the_one_that_the_proxy_names() {
    let networks = "[proxies]\nprotocol = [\"127.0.0.2\"]\n[auth]\nplaintext = \"always\"\n";
    let house = House::with(networks).await;
    for (header, address) in [
        (
            &b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 25\r\n"[..],
            "[192.0.2.1]",
        ),
        (
            b"PROXY TCP6 2001:db8::1 2001:db8::25 40000 25\r\n",
            "[IPv6:2001:db8::1]",
        ),
        (b"PROXY UNKNOWN\r\n", "[127.0.0.2]"),
        (
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x09\xc0\0\x02\x19\x9c\x40\0\x19",
            "[192.0.2.9]",
        ),
        (b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", "[127.0.0.2]"),
    ] {
        let mut smtp = Talk::from("127.0.0.2", house.at(Protocol::Smtp)).await;
        smtp.send_octets(header).await;
        smtp.send(&format!(
            "EHLO client.test\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n\
             Subject: {address}\r\n\r\ntext\r\n.\r\nQUIT\r\n"
        ))
        .await;
        let said = smtp.rest().await;
        assert!(said.contains("250 2.0.0"), "{address}: {said}");
        let mail = mail(&house).await;
        let one = mail.rsplit_once("Received: ").unwrap().1;
        assert!(
            one.contains(&format!("from client.test ({address})")),
            "{address}: {mail}"
        );
        assert!(one.contains(&format!("Subject: {address}")), "{mail}");
    }
}

#[tokio::test]
async fn who_is_no_proxy_says_nothing_and_who_is_one_has_to() {
    let networks = "[proxies]\nprotocol = [\"127.0.0.2\"]\n";
    let house = House::with(networks).await;
    // A client's own header is a command that is unknown.
    let mut smtp = house.talk(Protocol::Smtp).await;
    smtp.until("220 ").await;
    smtp.send("PROXY TCP4 192.0.2.1 192.0.2.25 40000 25\r\n")
        .await;
    assert!(smtp.line().await.starts_with("500 "));
    // A proxy that begins with the client's words is not let in, and gets no greeting.
    let mut smtp = Talk::from("127.0.0.2", house.at(Protocol::Smtp)).await;
    smtp.send("EHLO client.test\r\nMAIL FROM:<>\r\n").await;
    assert_eq!(smtp.rest().await, "");
    // The header comes before TLS, in one piece with it or octet by octet.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream: TcpStream = socket.connect(house.at(Protocol::Imaps)).await.unwrap();
    for octet in b"PROXY TCP4 192.0.2.1 192.0.2.25 40000 993\r\n" {
        stream.write_all(&[*octet]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut stream = tls(&house.ca(), stream).await.unwrap();
    let mut greeting = [0; 4];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"* OK");
}

#[tokio::test]
async fn xclient_is_for_proxies_and_xforward_too() {
    let networks = "[proxies]\nxclient = [\"127.0.0.2\"]\n[auth]\nplaintext = \"always\"\n";
    let house = House::with(networks).await;
    let mut stranger = house.talk(Protocol::Smtp).await;
    stranger
        .send("EHLO stranger.test\r\nXCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\nQUIT\r\n")
        .await;
    let said = stranger.rest().await;
    assert!(
        !said.contains("XCLIENT") && said.matches("\r\n500 ").count() == 2,
        "{said}"
    );
    let mut proxy = Talk::from("127.0.0.2", house.at(Protocol::Smtp)).await;
    proxy
        .send(
            "EHLO proxy.test\r\nXCLIENT ADDR=IPV6:2001:db8::7 NAME=client.test LOGIN=alice@example.test\r\n\
             EHLO client.test\r\nXFORWARD ADDR=192.0.2.9 SOURCE=REMOTE\r\nMAIL FROM:<x@elsewhere.test>\r\n\
             RCPT TO:<bob@example.test>\r\nDATA\r\nSubject: hello\r\n\r\ntext\r\n.\r\nQUIT\r\n",
        )
        .await;
    let said = proxy.rest().await;
    assert!(
        said.contains("250-XCLIENT ") && said.contains("250 2.0.0 Accepted"),
        "{said}"
    );
    let mail = mail(&house).await;
    assert!(
        mail.contains("from client.test ([IPv6:2001:db8::7])"),
        "{mail}"
    );
    // LOGIN is not a login.
    let mut proxy = Talk::from("127.0.0.2", house.at(Protocol::Submission)).await;
    proxy
        .send("EHLO proxy.test\r\nXCLIENT LOGIN=alice@example.test\r\nEHLO client.test\r\nMAIL FROM:<alice@example.test>\r\nQUIT\r\n")
        .await;
    let said = proxy.rest().await;
    assert!(said.contains("\r\n530 "), "{said}");
}

#[tokio::test]
async fn swaks_speaks_as_a_proxy() {
    let networks = "[proxies]\nprotocol = [\"127.0.0.2\"]\nxclient = [\"198.51.100.0/24\"]\n[auth]\nplaintext = \"always\"\n";
    let house = House::with(networks).await;
    let port = house.port(Protocol::Smtp);
    for version in ["1", "2"] {
        let subject = format!("Subject: by version {version}");
        let arguments = [
            "--server",
            "127.0.0.1",
            "--local-interface",
            "127.0.0.2",
            "--port",
            &port,
            "--helo",
            "client.test",
            "--from",
            "x@elsewhere.test",
            "--to",
            "bob@example.test",
            "--proxy-version",
            version,
            "--proxy-family",
            if version == "1" { "TCP4" } else { "AF_INET" },
            "--proxy-protocol",
            "STREAM",
            "--proxy-command",
            "PROXY",
            "--proxy-source",
            "198.51.100.7",
            "--proxy-source-port",
            "40000",
            "--proxy-dest",
            "192.0.2.25",
            "--proxy-dest-port",
            "25",
            "--header",
            &subject,
            "--xclient",
            "ADDR=203.0.113.5",
            "--timeout",
            "20",
        ];
        let (good, said) = run("swaks", &arguments, "").await;
        assert!(good, "{said}");
        let mail = mail(&house).await;
        let one = mail.rsplit_once("Received: ").unwrap().1;
        assert!(
            one.contains("([203.0.113.5])") && one.contains(&subject),
            "{mail}"
        );
    }
}
