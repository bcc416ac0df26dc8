//! `Rspamd` with a server that answers what it is given.

use hikyaku_filter::{Away, Endpoint, Rspamd};
use std::time::Duration;

use crate::house::House;
use crate::http_server::{Answer, HttpServer};

const MESSAGE: &str = "X-Spam-Status: No, I like it\r\nSubject: hello\r\n\r\nbody\r\n";

fn json(action: &str, more: &str) -> Answer {
    Answer::Json(format!(
        r#"{{"score": 7.5, "required_score": 15, "action": "{action}", "symbols": {{"RULE": {{"score": 7.5}}}}{more}}}"#
    ))
}

async fn house(server: &HttpServer) -> House {
    House::new(Rspamd::new(server.endpoint.clone(), "mx.test")).await
}

#[tokio::test]
async fn each_action_is_followed() {
    let server = HttpServer::start(vec![
        json(
            "reject",
            r#", "messages": {"smtp_message": "Gtube pattern"}"#,
        ),
        json(
            "soft reject",
            r#", "messages": {"smtp_message": "Try again"}"#,
        ),
        json("no action", ""),
        json("greylist", ""),
        json(
            "add header",
            r#", "milter": {"add_headers": {"Authentication-Results": "mx.test;\n\tspf=pass"}}"#,
        ),
        json("rewrite subject", r#", "subject": "*** hello""#),
    ])
    .await;
    let house = house(&server).await;

    let outcome = house.send(MESSAGE).await;
    assert_eq!(outcome.reply, "550 5.7.1 Gtube pattern");
    assert_eq!(outcome.stored, None);
    let outcome = house.send(MESSAGE).await;
    assert_eq!(outcome.reply, "451 4.7.1 Try again");
    assert_eq!(outcome.stored, None);

    let status = |word: &str| {
        format!(
            "X-Spam-Score: 7.50\r\nX-Spam-Status: {word}, score=7.50 required=15.00\r\n\ttests=RULE(7.50)\r\n"
        )
    };
    for _ in ["no action", "greylist"] {
        let expected = status("No") + "Subject: hello\r\n\r\nbody\r\n";
        assert_eq!(house.send(MESSAGE).await.inbox(), expected);
    }
    let outcome = house.send(MESSAGE).await;
    assert!(outcome.junk);
    let results =
        "Subject: hello\r\nAuthentication-Results: mx.test;\r\n\tspf=pass\r\n\r\nbody\r\n";
    assert_eq!(outcome.stored.unwrap(), status("Yes") + results);
    let expected = status("Yes") + "Subject: *** hello\r\n\r\nbody\r\n";
    assert_eq!(house.send(MESSAGE).await.inbox(), expected);
}

#[tokio::test]
async fn rspamd_hears_what_smtp_knows() {
    let server = HttpServer::start(vec![json("no action", "")]).await;
    house(&server).await.send(MESSAGE).await.inbox();
    let questions = server.questions();
    let (head, body) = questions[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, MESSAGE);
    assert!(head.starts_with("POST /checkv2 HTTP/1.1\r\n"), "{head}");
    for field in [
        "ip: 192.0.2.1",
        "helo: client.test",
        "from: <a@y.test>",
        "rcpt: bob@x.test",
        "rcpt: carol@x.test",
        "mta-name: mx.test",
        "pass: all",
    ] {
        assert!(head.lines().any(|line| line == field), "{field}: {head}");
    }
    assert!(head.contains("\r\nqueue-id: "), "{head}");
}

#[tokio::test]
async fn a_connection_serves_several_messages_and_one_that_ended_none() {
    let body = r#"{"score": 1, "action": "no action"}"#;
    let server = HttpServer::start(vec![
        Answer::Json(body.into()),
        Answer::Json(body.into()),
        Answer::JsonOnce(body.into()),
        Answer::Json(body.into()),
        // It ends without a word before the next is asked.
        Answer::Raw(Vec::new()),
        Answer::Json(body.into()),
    ])
    .await;
    let house = house(&server).await;
    for (questions, connections) in [(1, 1), (2, 1), (3, 1), (4, 2), (6, 3)] {
        house.send(MESSAGE).await.inbox();
        assert_eq!(server.questions().len(), questions);
        assert_eq!(server.connections(), connections);
    }
}

#[tokio::test]
async fn a_unix_socket_will_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = HttpServer::start_unix(folder.path(), vec![json("reject", "")]);
    let outcome = house(&server).await.send(MESSAGE).await;
    assert_eq!(outcome.reply, "550 5.7.1 Spam message rejected");
}

/// Each way to be away. The second message finds it back.
#[tokio::test]
async fn while_it_is_away_mail_is_deferred_or_accepted_as_it_came() {
    let ok = r#"{"score": 1, "action": "no action"}"#;
    let raw = |text: &str| Answer::Raw(text.as_bytes().to_vec());
    let long = "x".repeat(2 << 20);
    for away in [
        raw(""),
        raw(&format!(
            "HTTP/1.1 503 Busy\r\nContent-Length: {}\r\n\r\n{ok}",
            ok.len()
        )),
        raw("220 mx.test ESMTP\r\n"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"score\": 1"),
        raw(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}",
            long.len()
        )),
        raw(&format!("HTTP/1.1 200 OK\r\nX: {long}\r\n\r\n")),
        Answer::Json("nonsense".into()),
        Answer::Json(r#"{"error": "no"}"#.into()),
        Answer::Silence,
    ] {
        let shown = format!("{away:?}").chars().take(90).collect::<String>();
        // A time that only silence has to wait for.
        let within = match &away {
            Answer::Silence => Duration::from_millis(100),
            _ => Duration::from_secs(60),
        };
        for policy in [Away::Defer, Away::Accept] {
            let server = HttpServer::start(vec![away.clone(), Answer::Json(ok.into())]).await;
            let rspamd = Rspamd::new(server.endpoint.clone(), "mx.test");
            let house = House::new(rspamd.away(policy).within(within)).await;
            let outcome = house.send(MESSAGE).await;
            match policy {
                Away::Accept => assert_eq!(outcome.inbox(), MESSAGE, "{shown}"),
                Away::Defer => {
                    assert!(
                        outcome.reply.starts_with("451 4.3.2 "),
                        "{shown}: {outcome:?}"
                    );
                    assert_eq!(outcome.stored, None);
                }
            }
            if !matches!(away, Answer::Silence) {
                let next = house.send(MESSAGE).await.inbox();
                assert!(
                    next.starts_with("X-Spam-Score: 1.00\r\n"),
                    "{shown}: {next}"
                );
            }
        }
    }
}

#[tokio::test]
async fn where_nobody_listens_mail_is_deferred_or_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Endpoint::Unix(folder.path().join("nothing"));
    let house = House::new(Rspamd::new(nowhere.clone(), "mx.test")).await;
    assert!(house.send(MESSAGE).await.reply.starts_with("451 4.3.2 "));
    let house = House::new(Rspamd::new(nowhere, "mx.test").away(Away::Accept)).await;
    assert_eq!(house.send(MESSAGE).await.inbox(), MESSAGE);
}
