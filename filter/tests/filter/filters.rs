//! Several filters in a row.

use hikyaku_filter::{Away, Filters, Milter, Rspamd};
use hikyaku_service::Examiner;
use std::sync::Arc;

use crate::house::House;
use crate::http_server::{Answer, HttpServer};
use crate::milter_server::{Act, MilterServer, Script, answer};

const MESSAGE: &str = "Subject: hello\r\n\r\nbody\r\n";

fn ends(packets: &[&[u8]]) -> Script {
    let packets = packets.iter().map(|packet| packet.to_vec()).collect();
    Script::default().with(b'E', Act::Answer(packets))
}

async fn house(milters: &[&MilterServer], rspamd: Option<&HttpServer>) -> House {
    let mut all: Vec<Arc<dyn Examiner>> = Vec::new();
    for milter in milters {
        all.push(Arc::new(Milter::new(milter.endpoint.clone(), "mx.test")));
    }
    if let Some(rspamd) = rspamd {
        all.push(Arc::new(Rspamd::new(rspamd.endpoint.clone(), "mx.test")));
    }
    House::new(Filters(all)).await
}

#[tokio::test]
async fn each_sees_what_the_one_before_left() {
    let one = MilterServer::start(ends(&[b"i\0\0\0\0X-One\0a\0", b"qjunk\0", b"c"])).await;
    let two = MilterServer::start(ends(&[b"m\0\0\0\x01X-One\0b\0", b"bnew\r\n", b"c"])).await;
    let json = r#"{"score": 1, "required_score": 15, "action": "no action"}"#;
    let rspamd = HttpServer::start(vec![Answer::Json(json.into())]).await;
    let outcome = house(&[&one, &two], Some(&rspamd))
        .await
        .send(MESSAGE)
        .await;
    assert!(two.sent().await.contains(&"LX-One|a|".to_owned()));
    let left = "X-One: b\r\nSubject: hello\r\n\r\nnew\r\n";
    let questions = rspamd.questions();
    assert!(
        questions[0].ends_with(&format!("\r\n\r\n{left}")),
        "{questions:?}"
    );
    let score = "X-Spam-Score: 1.00\r\nX-Spam-Status: No, score=1.00 required=15.00\r\n";
    assert_eq!(outcome.stored.unwrap(), format!("{score}{left}"));
    // What one calls junk is junk.
    assert!(outcome.junk);
}

#[tokio::test]
async fn the_first_refusal_ends_it() {
    let one = MilterServer::start(Script::default().with(b'M', answer(b"y554 5.7.0 No\0"))).await;
    let two = MilterServer::start(Script::default()).await;
    let house = house(&[&one, &two], None).await;
    let outcome = house.send(MESSAGE).await;
    assert_eq!(
        (outcome.reply.as_str(), outcome.stored),
        ("554 5.7.0 No", None)
    );
    assert!(one.sent().await.contains(&"Q".to_owned()));
    // Nobody has connected to the other.
    assert!(two.heard_nothing());
}

#[tokio::test]
async fn one_that_is_away_leaves_the_others_their_word() {
    let one = MilterServer::start(Script::default().with(b'C', Act::Raw(Vec::new()))).await;
    let two = MilterServer::start(ends(&[b"hX-Two\0b\0", b"c"])).await;
    let first = Milter::new(one.endpoint.clone(), "mx.test").away(Away::Accept);
    let second = Milter::new(two.endpoint.clone(), "mx.test");
    let house = House::new(Filters(vec![Arc::new(first), Arc::new(second)])).await;
    let expected = "Subject: hello\r\nX-Two: b\r\n\r\nbody\r\n";
    assert_eq!(house.send(MESSAGE).await.inbox(), expected);
}
