//! The first search after a start: what was learned before it is known, on a page and on a device.

use hikyaku_mailstore::{MessageCache, TextIndex};
use hikyaku_mission::{House, PASSWORD, config};
use mailserver::{Protocol, Server};
use std::process::Command;
use std::sync::Arc;

const MESSAGES: u32 = 60;
/// A filter may be wrong about a message now and then.
const FEW: u64 = 3;

fn curl(arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    let done = curl.args(["-s", "-k", "-i", "-m", "20"]).args(arguments);
    String::from_utf8_lossy(&done.output().unwrap().stdout).into_owned()
}

/// What the webmail finds.
fn found(server: &Server, text: &str) -> usize {
    let port = server.address(Protocol::Https).unwrap().port();
    let origin = format!("https://localhost:{port}");
    let password = PASSWORD.replace(' ', "+");
    let form = format!("name=bob@example.test&password={password}");
    let answer = curl(&["-d", &form, &format!("{origin}/login")]);
    let cookie = answer.split("set-cookie: ").nth(1).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let page = format!("{origin}/folder?name=INBOX&q={text}");
    curl(&["-b", cookie, &page]).matches("/message?id=").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_search_of_a_page_knows_what_searches_have_learned() {
    let house = House::new().await;
    house.deliver_many(0..MESSAGES).await;
    let server = &house.server;
    assert_eq!(found(server, "zebra"), 0);
    assert_eq!(server.cache().looked_into(), u64::from(MESSAGES));
    let House { server, data, .. } = house;
    server.stop().await;
    let again = || {
        config(
            data.path(),
            "example.test",
            "[auth]\nplaintext = \"always\"\n",
        )
    };
    let server = Server::start(again()).await.unwrap();
    for text in ["zebra", "giraffe", "crocodile"] {
        assert_eq!(found(&server, text), 0);
    }
    let looked_into = server.cache().looked_into();
    assert!(looked_into <= FEW, "{looked_into}");
    assert!(found(&server, "body+of+number+7") > 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_search_of_a_device_knows_what_the_last_one_learned() {
    for kind in ["pop", "imap"] {
        let house = House::new().await;
        house.deliver_many(0..MESSAGES).await;
        let device = house.device(kind, &[]).await;
        device.ok(&["sync"]).await;
        device.ok(&["search", "zebra"]).await;
        let index = TextIndex::open(device.home.path().join("mail/text")).unwrap();
        let cache = Arc::new(MessageCache::new(1000, 1 << 20).with_text_index(index));
        let local = device.local().await.with_cache(Arc::clone(&cache));
        for text in ["zebra", "giraffe"] {
            assert!(local.search(text, None).await.unwrap().is_empty());
        }
        let looked_into = cache.looked_into();
        assert!(looked_into <= FEW, "{kind}: {looked_into}");
        let found = local.search("message 7", None).await.unwrap();
        assert_eq!(found.len(), 1, "{kind}");
        house.server.stop().await;
    }
}
