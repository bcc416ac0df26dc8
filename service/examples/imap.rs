//! An IMAP server over a store and accounts of one's own.
//!
//! `cargo run -p hikyaku-service --example imap` listens on 127.0.0.1:1143; alice@example.org logs in with "sesame".

#[path = "../../mailstore/examples/sorted.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
pub mod sorted;

use hikyaku_mailstore::{Account, Blocking, BoxFuture, Result, Store};
use hikyaku_service::{Directory, Options, Service};
use hikyaku_wire::Secret;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who is there: here, who has an account in the store.
struct People(Arc<dyn Store>);

impl Directory for People {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        self.0.account(name)
    }

    fn verify<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Account>>> {
        match *password == Secret::from(b"sesame".to_vec()) {
            true => self.account(name),
            false => Box::pin(async { Ok(None) }),
        }
    }
}

/// Serves whoever connects.
pub async fn serve(listener: TcpListener, store: Arc<dyn Store>) -> std::io::Result<()> {
    let _ = store.create_account("alice@example.org").await;
    let mut options = Options::new("mail.example.org");
    options.login_needs_tls = false; // On loopback; elsewhere give it `options.tls`.
    let people = Arc::new(People(Arc::clone(&store)));
    let service = Arc::new(Service::new(store, people, options));
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.imap(stream, &peer).await });
    }
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call `serve`")]
async fn main() -> std::io::Result<()> {
    let store = Blocking::start(sorted::Sorted::default()).map_err(std::io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:1143").await?;
    serve(listener, Arc::new(store)).await
}
