//! A smarthost with SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hikyaku_mailstore::{AccountId, BoxFuture, MailboxId, Memory, Result, Store, Transaction};
use hikyaku_relay::{Entry, Here, HostTls, Login, NextHost, Options, Relay, Route, Via};
use hikyaku_smtp_proto::{MailParameters, Mailbox, RcptParameters, ReversePath};
use ring::{digest, hmac, pbkdf2};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::prelude::{Mechname, SASLConfig, SASLServer, SessionError, State, Validation};
use rsasl::validate::{Validate, ValidationError};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PASSWORD: &[u8] = b"sesame";
const SALT: &[u8] = b"salt of tests";
const ROUNDS: u32 = 4096;

/// What a host does with a login.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// It knows the password.
    Honest,
    /// It lets us in and has proved nothing.
    ProvesNothing,
    /// It asks for more rounds than anybody needs.
    KeepsBusy,
    /// It has no keys for the account, and takes a password.
    WithoutKeys,
}

/// What the host knows of alice.
struct Keys;

impl SessionCallback for Keys {
    fn callback(
        &self,
        _: &SessionData,
        _: &Context<'_>,
        request: &mut Request<'_>,
    ) -> std::result::Result<(), SessionError> {
        let mut salted = [0; 32];
        let rounds = NonZeroU32::new(ROUNDS).unwrap();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            rounds,
            SALT,
            PASSWORD,
            &mut salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let client = hmac::sign(&key, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        let server = hmac::sign(&key, b"Server Key");
        let keys = ScramStoredPassword::new(ROUNDS, SALT, stored.as_ref(), server.as_ref());
        request.satisfy::<ScramStoredPassword<'_>>(&keys)?;
        Ok(())
    }

    fn validate(
        &self,
        _: &SessionData,
        _: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> std::result::Result<(), ValidationError> {
        validate.with::<Proved, _>(|| Ok(()))?;
        Ok(())
    }
}

struct Proved;
impl Validation for Proved {
    type Value = ();
}

type Lines = tokio::io::Lines<BufReader<TcpStream>>;

async fn say(lines: &mut Lines, text: &str) {
    let _ = lines
        .get_mut()
        .write_all(format!("{text}\r\n").as_bytes())
        .await;
}

/// One login by SCRAM. Returns whether the client has proved itself.
async fn scram(lines: &mut Lines, kind: Kind, initial: &str) -> Option<bool> {
    let first = STANDARD.decode(initial).ok()?;
    match kind {
        Kind::ProvesNothing => return Some(true),
        Kind::WithoutKeys => return Some(false),
        Kind::KeepsBusy => {
            let nonce = String::from_utf8(first).ok()?;
            let nonce = nonce.rsplit_once("r=")?.1.to_owned();
            let challenge = format!("r={nonce}more,s=QUJD,i=4000000000");
            say(lines, &format!("334 {}", STANDARD.encode(challenge))).await;
            lines.next_line().await.ok()??;
            return Some(false);
        }
        Kind::Honest => {}
    }
    let config = SASLConfig::builder()
        .with_defaults()
        .with_callback(Keys)
        .ok()?;
    let name = Mechname::parse(b"SCRAM-SHA-256").ok()?;
    let mut session = SASLServer::<Proved>::new(config)
        .start_suggested(name)
        .ok()?;
    let mut response = first;
    loop {
        let mut challenge = Vec::new();
        let Ok(state) = session.step(Some(&response), &mut challenge) else {
            return Some(false);
        };
        say(lines, &format!("334 {}", STANDARD.encode(challenge))).await;
        let line = lines.next_line().await.ok()??;
        if let State::Finished(_) = state {
            return Some(line.is_empty());
        }
        response = STANDARD.decode(line).ok()?;
    }
}

/// A host that takes mail after a login. Returns its port.
async fn host(kind: Kind, seen: Arc<Mutex<Vec<String>>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            let mut lines = BufReader::new(stream).lines();
            tokio::spawn(async move {
                let mut may_send = false;
                say(&mut lines, "220 smart.test").await;
                while let Ok(Some(line)) = lines.next_line().await {
                    let words: Vec<&str> = line.split(' ').collect();
                    match words[..] {
                        ["EHLO", _] => {
                            say(&mut lines, "250-smart.test").await;
                            say(&mut lines, "250 AUTH PLAIN SCRAM-SHA-256").await;
                        }
                        ["AUTH", mechanism, initial] => {
                            seen.lock().unwrap().push(mechanism.to_owned());
                            may_send = match mechanism {
                                "PLAIN" => STANDARD.decode(initial).unwrap() == b"\0alice\0sesame",
                                _ => match scram(&mut lines, kind, initial).await {
                                    Some(proved) => proved,
                                    None => return,
                                },
                            };
                            let reply = if may_send {
                                "235 2.7.0 in"
                            } else {
                                "535 5.7.8 no"
                            };
                            say(&mut lines, reply).await;
                        }
                        ["DATA"] => {
                            say(&mut lines, "354 go on").await;
                            while lines
                                .next_line()
                                .await
                                .is_ok_and(|one| one.is_some_and(|one| one != "."))
                            {
                            }
                            seen.lock().unwrap().push("has it".into());
                            say(&mut lines, "250 2.0.0 taken").await;
                        }
                        ["QUIT"] => return say(&mut lines, "221 2.0.0 bye").await,
                        _ if !may_send => say(&mut lines, "530 5.7.0 who are you?").await,
                        _ => say(&mut lines, "250 2.1.0 fine").await,
                    }
                }
            });
        }
    });
    port
}

struct Nobody;

impl Here for Nobody {
    fn is_here(&self, _: &str) -> bool {
        false
    }
    fn inbox<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<MailboxId>>> {
        Box::pin(async { Ok(None) })
    }
}

/// Hands a message on through such a host. Returns what the host saw, and what the queue says of it.
async fn handed(kind: Kind, password: &[u8]) -> (Vec<String>, Option<String>) {
    let seen = Arc::default();
    let mut smart = NextHost::new("127.0.0.1", host(kind, Arc::clone(&seen)).await);
    smart.tls = HostTls::Never;
    smart.login = Some(Login::new("alice", password.to_vec()));
    let mut options = Options::new("relay.test");
    options.routes = vec![Route::new(Via::Hosts(vec![smart]))];
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let mut stage = store.stage().await.unwrap();
    stage
        .write("Subject: hello\r\n\r\ntext\r\n".into())
        .await
        .unwrap();
    let from = ReversePath(Mailbox::parse(b"a@here.test").ok());
    let to = [("b@there.test".to_owned(), RcptParameters::default())];
    let entry = Entry::asking("1", from, MailParameters::default(), to);
    let enqueue = entry.enqueue("there.test", stage.finish().await.unwrap());
    let queue = Transaction::new(AccountId::SYSTEM).with(enqueue);
    store.commit(queue).await.unwrap();
    let (stopping, stop) = tokio::sync::oneshot::channel::<()>();
    let relay = Relay::new(Arc::clone(&store), Arc::new(Nobody), options).unwrap();
    let run = tokio::spawn(relay.run(async { drop(stop.await) }));
    let soon = std::time::SystemTime::now() + Duration::from_secs(60);
    let mut left = None;
    for _ in 0..200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = store.queue(None, 9).await.unwrap().pop();
        if left
            .as_ref()
            .is_none_or(|entry| entry.token == 0 && entry.due > soon)
        {
            break;
        }
    }
    drop(stopping);
    run.await.unwrap();
    let left = left.map(|entry| String::from_utf8_lossy(&entry.envelope).into_owned());
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    (seen, left)
}

#[tokio::test]
async fn both_sides_prove_that_they_know_the_password() {
    let (seen, left) = handed(Kind::Honest, PASSWORD).await;
    assert_eq!(
        (&seen[..], left),
        (&["SCRAM-SHA-256".into(), "has it".into()][..], None)
    );
    let (seen, left) = handed(Kind::Honest, b"other").await;
    assert!(!seen.contains(&"has it".into()), "{seen:?}");
    assert!(left.unwrap().contains("4.7.8"));
}

#[tokio::test]
async fn a_host_that_proves_nothing_or_keeps_us_busy_gets_nothing() {
    for (kind, why) in [
        (Kind::ProvesNothing, "has not proved"),
        (Kind::KeepsBusy, "too many rounds"),
    ] {
        let (seen, left) = handed(kind, PASSWORD).await;
        assert_eq!(seen, ["SCRAM-SHA-256"], "{kind:?}");
        let left = left.unwrap();
        assert!(left.contains(why), "{kind:?}: {left}");
    }
}

#[tokio::test]
async fn a_host_that_has_no_keys_gets_the_password_by_plain() {
    let (seen, left) = handed(Kind::WithoutKeys, PASSWORD).await;
    assert_eq!(
        (&seen[..], left),
        (
            &["SCRAM-SHA-256".into(), "PLAIN".into(), "has it".into()][..],
            None
        )
    );
}
