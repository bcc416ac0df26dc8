//! What an operator sees and does with the queue: the program, while a server runs and while none does.

use crate::dns::serve;
use crate::exchanger::{Exchanger, Manner, port};
use crate::harness::{House, PASSWORD, Talk, run};
use crate::mailserver::{Mailserver, PROGRAM, add_account, configured};
use crate::relay::base64;
use mailserver::{Listed, Protocol};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// How long anything may take.
const WITHIN: Duration = Duration::from_secs(20);

/// A configuration whose mail to other.test goes to an exchanger, and is tried again after an hour.
struct Site {
    _folder: tempfile::TempDir,
    configuration: String,
    exchanger: Exchanger,
}

impl Site {
    async fn new(manner: Manner) -> Self {
        let (dns, port) = (serve("other.test").await, port());
        let exchanger = Exchanger::at(Ipv4Addr::LOCALHOST, port, manner).await;
        let folder = tempfile::tempdir().unwrap();
        let configuration = configured(
            folder.path(),
            "data",
            &format!(
                "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"1h\"]\n\
                 [listen]\nsubmission = \"127.0.0.1:0\"\nimap = \"127.0.0.1:0\"\n"
            ),
        );
        add_account(&configuration, "alice@example.test").await;
        Self {
            _folder: folder,
            configuration,
            exchanger,
        }
    }

    fn start(&self) -> Mailserver {
        Mailserver::start("", &self.configuration)
    }

    async fn queue(&self, arguments: &[&str]) -> (bool, String) {
        let all = [&["--config", &self.configuration, "queue"][..], arguments].concat();
        run(PROGRAM, &all, "").await
    }

    /// Does something that succeeds.
    async fn order(&self, arguments: &[&str]) -> String {
        let (ok, said) = self.queue(arguments).await;
        assert!(ok, "{arguments:?}: {said}");
        said
    }

    async fn listed(&self) -> Vec<Listed> {
        let lines = self.order(&["list", "--json"]).await;
        let lines = lines.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Waits until the queue is as it should be.
    async fn until(&self, is: impl Fn(&[Listed]) -> bool) -> Vec<Listed> {
        let began = Instant::now();
        loop {
            let listed = self.listed().await;
            if is(&listed) {
                return listed;
            }
            assert!(began.elapsed() < WITHIN, "{listed:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Submits a message to other.test and waits until it was deferred. Returns its name, as the client got it.
    async fn deferred(&self, server: &Mailserver, subject: &str) -> String {
        let id = submit(server.at("Submission"), "x@other.test", subject).await;
        let waits = |one: &Listed| one.id == id && one.attempts == 1 && one.status == "waiting";
        self.until(|all| all.iter().any(waits)).await;
        id
    }
}

/// Submits a message of alice's. Returns its name.
pub(crate) async fn submit(at: SocketAddr, to: &str, subject: &str) -> String {
    let mut talk = Talk::new(at).await;
    let plain = base64(format!("\0alice@example.test\0{PASSWORD}").as_bytes());
    talk.send(&format!(
        "EHLO client.test\r\nAUTH PLAIN {plain}\r\nMAIL FROM:<alice@example.test> RET=HDRS ENVID=QQ31\r\n\
         RCPT TO:<{to}> NOTIFY=FAILURE,DELAY\r\nDATA\r\nSubject: {subject}\r\n\r\nthe text of {subject}\r\n.\r\nQUIT\r\n"
    ))
    .await;
    let said = talk.rest().await;
    let (_, id) = said.split_once("250 2.0.0 Accepted as ").expect(&said);
    id.split_once("\r\n").unwrap().0.to_owned()
}

async fn stop(mut server: Mailserver) {
    let pid = server.child.id().to_string();
    let (ok, said) = run("kill", &["-TERM", &pid], "").await;
    assert!(ok, "{said}");
    let ended = tokio::task::spawn_blocking(move || server.child.wait().unwrap());
    assert!(ended.await.unwrap().success());
}

async fn notifications(server: &Mailserver) -> String {
    let mut imap = Talk::imap_login(server.at("Imap"), "alice").await;
    imap.imap("SELECT INBOX").await;
    imap.imap("FETCH 1:* BODY[]").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_listed_and_shown_by_the_name_that_its_sender_got() {
    let site = Site::new(Manner::Defers).await;
    let (ok, said) = site.queue(&["list"]).await;
    assert!(ok && said == "The queue has no such message.\n", "{said}");
    let server = site.start();
    let id = site.deferred(&server, "first").await;
    site.deferred(&server, "second").await;
    let table = site.order(&["list"]).await;
    let lines: Vec<_> = table.lines().collect();
    assert!(
        lines[0].starts_with("ID ") && lines[3] == "2 messages",
        "{table}"
    );
    for word in [
        &id,
        "alice@example.test",
        "x@other.test",
        " other.test ",
        "  in ",
        "450 4.2.0 not yet",
    ] {
        assert!(lines[1].contains(word), "{word} is not in {table}");
    }
    stop(server).await;
    for (arguments, count) in [
        (&["--to", "OTHER.test"][..], 2),
        (&["--to", "example.test"], 0),
        (&["--from", "alice@example.test", "--to", "other.test"], 2),
        (&["--from", "@example.test"], 2),
        (&["--from", "<>"], 0),
        (&["--held"], 0),
        (&["--limit", "1"], 1),
    ] {
        let all = [&["list"], arguments].concat();
        let table = site.order(&all).await;
        let found = table
            .lines()
            .filter(|line| line.contains(" x@other.test "))
            .count();
        assert_eq!(found, count, "{arguments:?}: {table}");
    }
    let shown = site.order(&["show", &id]).await;
    for line in [
        &format!("id:           {id}"),
        "envelope:     MAIL FROM:<alice@example.test> RET=HDRS ENVID=QQ31",
        "recipient:    RCPT TO:<x@other.test> NOTIFY=FAILURE,DELAY",
        "  last reply: 450 4.2.0 not yet",
        "  Subject: first",
    ] {
        assert!(
            shown.lines().any(|one| one == line),
            "{line} is not in {shown}"
        );
    }
    assert!(shown.contains(&format!("with ESMTPA id {id}")), "{shown}");
    assert!(!shown.contains("the text of"), "{shown}");
    let message = site.order(&["show", "--message", &id]).await;
    assert!(
        message.starts_with("Received: ") && message.ends_with("\r\n\r\nthe text of first\r\n"),
        "{message}"
    );
    let (ok, said) = site.queue(&["show", "1.1"]).await;
    assert!(
        !ok && said == "mailserver: no such message is in the queue\n",
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_stays_until_it_is_released_whatever_restarts() {
    let site = Site::new(Manner::Defers).await;
    let server = site.start();
    let id = site.deferred(&server, "held").await;
    assert_eq!(site.order(&["hold", &id]).await, "1 message held\n");
    let (ok, said) = site.queue(&["hold", &id]).await;
    assert!(
        !ok && said == "mailserver: 1 message left: held already\n",
        "{said}"
    );
    let (ok, said) = site.queue(&["retry", "--all"]).await;
    assert!(!ok && said.contains("held: release it first"), "{said}");
    site.exchanger.becomes(Manner::Good);
    // A kill, and a stop.
    drop(server);
    let server = site.start();
    stop(server).await;
    assert!(site.order(&["list", "--held"]).await.contains(" held "));
    let server = site.start();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(site.listed().await[0].status, "held");
    assert_eq!(site.exchanger.count("held"), 0);
    assert_eq!(site.order(&["release", &id]).await, "1 message released\n");
    site.exchanger.takes("held", WITHIN).await;
    site.until(<[Listed]>::is_empty).await;
    // And while no server runs. The connection that is kept has the old manner.
    stop(server).await;
    site.exchanger.becomes(Manner::Defers);
    let server = site.start();
    let id = site.deferred(&server, "held again").await;
    stop(server).await;
    assert_eq!(
        site.order(&["hold", "--to", "other.test"]).await,
        "1 message held\n"
    );
    assert_eq!(site.listed().await[0].status, "held");
    assert_eq!(site.order(&["release", &id]).await, "1 message released\n");
    site.exchanger.becomes(Manner::Good);
    let server = site.start();
    site.exchanger.takes("held again", WITHIN).await;
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_goes_at_once_to_a_host_that_failed_lately() {
    let site = Site::new(Manner::Closes).await;
    let server = site.start();
    let id = site.deferred(&server, "first").await;
    site.deferred(&server, "second").await;
    site.exchanger.becomes(Manner::Good);
    assert_eq!(site.order(&["retry", &id]).await, "1 message tried now\n");
    site.exchanger.takes("first", WITHIN).await;
    let left = site.until(|all| all.len() == 1).await;
    assert_eq!((left[0].attempts, &left[0].status[..]), (1, "waiting"));
    stop(server).await;
    assert_eq!(
        site.order(&["retry", "--to", "other.test"]).await,
        "1 message tried now\n"
    );
    assert_eq!(site.listed().await[0].status, "due");
    let server = site.start();
    site.exchanger.takes("second", WITHIN).await;
    let (ok, said) = site.queue(&["retry", &id]).await;
    assert!(
        !ok && said == "mailserver: no such message is in the queue\n",
        "{said}"
    );
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_cancelled_a_message_decides_whether_its_sender_hears_of_it() {
    let site = Site::new(Manner::Defers).await;
    let server = site.start();
    let loud = site.deferred(&server, "loud").await;
    let silent = site.deferred(&server, "silent").await;
    let stopped = site.deferred(&server, "stopped").await;
    let said = site.order(&["cancel", &loud]).await;
    assert_eq!(said, "1 message cancelled, and the sender is notified\n");
    let said = site.order(&["cancel", "--silent", &silent]).await;
    assert_eq!(said, "1 message cancelled\n");
    let left = site.listed().await;
    assert!(left.len() == 1 && left[0].id == stopped, "{left:?}");
    let text = notifications(&server).await;
    assert!(
        text.contains("Status: 5.0.0\n")
            && text.contains("Cancelled by the operator")
            && text.contains("Subject: loud\n"),
        "{text}"
    );
    assert!(!text.contains("Subject: silent"), "{text}");
    stop(server).await;
    site.order(&["cancel", "--bounce", &stopped]).await;
    assert!(site.listed().await.is_empty());
    let server = site.start();
    let text = notifications(&server).await;
    assert_eq!(
        text.matches("Cancelled by the operator").count(),
        text.matches("Status: 5.0.0").count() * 2
    );
    assert!(text.contains("Subject: stopped\n"), "{text}");
    assert_eq!(site.exchanger.seen.lock().unwrap().messages.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routed_message_goes_to_the_other_host_and_back() {
    let site = Site::new(Manner::Defers).await;
    let port = port();
    let other = Exchanger::at(Ipv4Addr::new(127, 0, 0, 2), port, Manner::Closes).await;
    let url = format!("smtp+clear://127.0.0.2:{port}");
    let server = site.start();
    let there = site.deferred(&server, "there").await;
    let back = site.deferred(&server, "back").await;
    let (ok, said) = site.queue(&["route", &there, "127.0.0.2"]).await;
    assert!(
        !ok && said.contains("is no host: write smtps://host"),
        "{said}"
    );
    site.order(&["route", "--to", "other.test", &url]).await;
    // It is down at first, and that is no matter of the server.
    site.until(|all| {
        all.iter()
            .all(|one| one.attempts == 2 && one.status == "waiting")
    })
    .await;
    let shown = site.order(&["show", &there]).await;
    assert!(
        shown.contains(&format!("route:        {url} (set by an operator)")),
        "{shown}"
    );
    assert!(shown.contains("[127.0.0.2:"), "{shown}");
    stop(server).await;
    site.order(&["route", &back, "--default"]).await;
    let (ok, said) = site.queue(&["route", &back, "--default"]).await;
    assert!(!ok && said.contains("no route was set"), "{said}");
    site.order(&["retry", &there]).await;
    other.becomes(Manner::Good);
    site.exchanger.becomes(Manner::Good);
    let server = site.start();
    other.takes("there", WITHIN).await;
    site.exchanger.takes("back", WITHIN).await;
    assert_eq!((other.count("back"), site.exchanger.count("there")), (0, 0));
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_under_way_is_left_to_its_attempt() {
    let site = Site::new(Manner::Silent).await;
    let server = site.start();
    let id = submit(server.at("Submission"), "x@other.test", "silent").await;
    site.until(|all| all[0].status == "under way").await;
    for order in ["hold", "retry", "cancel"] {
        let (ok, said) = site.queue(&[order, &id]).await;
        assert!(
            !ok && said == "mailserver: 1 message under way; try again\n",
            "{said}"
        );
    }
    assert_eq!(site.listed().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_are_listed_and_held_in_pages() {
    const MANY: usize = 2_500;
    let site = Site::new(Manner::Good).await;
    let config = mailserver::Config::read(site.configuration.as_ref()).unwrap();
    {
        use hikyaku_mailstore::{AccountId, Transaction};
        let store = mailserver::open_store(&config).unwrap();
        let mut stage = store.stage().await.unwrap();
        stage.write("Subject: many\r\n\r\n".into()).await.unwrap();
        let body = stage.finish().await.unwrap();
        let mut transaction = Transaction::new(AccountId::SYSTEM);
        for n in 0..MANY {
            let to = [format!("x{n}@other.test")];
            let from = hikyaku_smtp_proto::ReversePath(None);
            let entry = hikyaku_relay::Entry::new(format!("{n}.0"), from, to);
            transaction = transaction.with(entry.enqueue("other.test", body.clone()));
        }
        store.commit(transaction).await.unwrap();
    }
    let said = site.order(&["hold", "--all"]).await;
    assert_eq!(said, format!("{MANY} messages held\n"));
    let server = site.start();
    for limit in ["9999", "2500"] {
        let lines = site.order(&["list", "--json", "--limit", limit]).await;
        let ids: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<Listed>(line).unwrap().id)
            .collect();
        let expected: Vec<_> = (0..MANY).map(|n| format!("{n}.0")).collect();
        assert!(ids == expected, "{} with {limit}", ids.len());
    }
    let table = site.order(&["list", "--limit", "2499"]).await;
    assert!(
        table.ends_with("There may be more: raise --limit.\n"),
        "{table}"
    );
    // The name of one of the last ones finds it.
    let last = format!("{}.0", MANY - 1);
    assert_eq!(
        site.order(&["release", &last]).await,
        "1 message released\n"
    );
    site.exchanger.takes("many", WITHIN).await;
    drop(server);
}

/// A house whose mail to other.test is deferred.
async fn late(delay: &str) -> House {
    let (dns, port) = (serve("other.test").await, port());
    Exchanger::at(Ipv4Addr::LOCALHOST, port, Manner::Defers).await;
    House::with(&format!(
        "[auth]\nplaintext = \"always\"\n[relay]\ndns = [\"{dns}\"]\nport = {port}\nretry = [\"300ms\"]\n\
         delay = \"{delay}\"\n"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sender_hears_of_a_delay_once_after_the_time_that_is_configured() {
    let house = late("1s").await;
    submit(house.at(Protocol::Submission), "x@other.test", "late").await;
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    alice
        .eventually("STATUS INBOX (MESSAGES)", "MESSAGES 1")
        .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    alice.imap("SELECT INBOX").await;
    let text = alice.imap("FETCH 1:* BODY[]").await;
    assert_eq!(text.matches("Action: delayed").count(), 1, "{text}");
    assert_eq!(text.matches("Subject: Delayed mail").count(), 1, "{text}");
    house.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_of_0_says_never() {
    let house = late("0").await;
    submit(house.at(Protocol::Submission), "x@other.test", "late").await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let store = house.server.store();
    let waits = hikyaku_relay::list(&**store, &hikyaku_relay::Pick::default(), None, 9).await;
    let waits = waits.unwrap().messages;
    assert!(waits.len() == 1 && waits[0].attempts > 1, "{waits:?}");
    let mut alice = Talk::imap_login(house.at(Protocol::Imap), "alice").await;
    let said = alice.imap("STATUS INBOX (MESSAGES)").await;
    assert!(said.contains("MESSAGES 0"), "{said}");
    house.server.stop().await;
}
