//! SMTP reception into a store of one's own: mail that comes from other servers.
//!
//! `cargo run -p hikyaku-service --example reception` listens on 127.0.0.1:1025, for alice@example.org.

#[path = "../../mailstore/examples/sorted.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is a program of its own")]
pub mod sorted;

use hikyaku_mailstore::{Account, Blocking, BoxFuture, Result, Store};
use hikyaku_service::{Directory, Options, Reception, Service, Whose, base_address};
use hikyaku_smtp_proto::ForwardPath;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Who is there: here, who has an account in the store. Nobody logs in to hand mail over.
struct People(Arc<dyn Store>);

impl Directory for People {
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
        self.0.account(name)
    }

    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        let whose = match path.mailbox() {
            Some(one) if one.domain().eq_ignore_ascii_case("example.org") => {
                Whose::Account(base_address(&one.local_part(), one.domain()))
            }
            Some(_) => Whose::Elsewhere,
            None => Whose::Account("alice@example.org".into()), // <postmaster>
        };
        Box::pin(async { Ok(whose) })
    }
}

/// Takes mail from whoever connects, into that store.
pub async fn serve(listener: TcpListener, store: Arc<dyn Store>) -> std::io::Result<()> {
    let _ = store.create_account("alice@example.org").await;
    let people = Arc::new(People(Arc::clone(&store)));
    let options = Options::new("mail.example.org");
    let service = Arc::new(Service::new(store, people, options));
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.smtp(stream, Reception::Relay, &peer).await });
    }
}

#[tokio::main]
#[allow(dead_code, reason = "the tests call `serve`")]
async fn main() -> std::io::Result<()> {
    let store = Blocking::start(sorted::Sorted::default()).map_err(std::io::Error::other)?;
    let listener = TcpListener::bind("127.0.0.1:1025").await?;
    serve(listener, Arc::new(store)).await
}
