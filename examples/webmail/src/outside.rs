//! Accounts at other providers: their mail is fetched into a folder, by hand and on a schedule, and mail is
//! sent as their address through them.

use crate::Provider;
use bytes::Bytes;
use hikyaku_client::{
    Account, Deletion, Dial, Error, Fate, Fingerprint, Kind, Limits, Local, Message, Password,
    Result, Server, Submission, Tcp, Wire, sync,
};
use hikyaku_mailstore::{AccountId, BoxFuture, Operation, Store, Transaction};
use hikyaku_wire::is_global;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const PREFIX: &str = "outside/";
/// So many accounts are asked for at a time.
const PAGE: usize = 100;
/// So many accounts elsewhere a person may have.
pub(crate) const MOST: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings of accounts at other providers.
#[derive(Debug, Clone)]
pub struct Outside {
    /// Whether users may name servers within this network; users could explore the network with it.
    pub private: bool,
    /// How often their mail is fetched.
    pub interval: Duration,
    /// Certificates to trust besides the system's, a PEM file: authorities', or the servers' own.
    pub ca: Option<std::path::PathBuf>,
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            private: false,
            interval: Duration::from_secs(15 * 60),
            ca: None,
        }
    }
}

/// An account elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Elsewhere {
    pub(crate) address: String,
    pub(crate) login: String,
    pub(crate) password: String,
    pub(crate) kind: Kind,
    pub(crate) incoming: Server,
    pub(crate) outgoing: Server,
    pub(crate) folder: String,
    /// POP3: whether what was fetched is deleted there.
    pub(crate) delete: bool,
    /// Fingerprints of the servers' certificates: when there are any, nothing else is trusted.
    #[serde(default)]
    pub(crate) fingerprint: Vec<Fingerprint>,
    /// What was fetched up to here is in the folder.
    #[serde(default)]
    pub(crate) fetched: u32,
    /// What the last fetch came to, when it failed.
    pub(crate) failed: Option<String>,
}

impl Elsewhere {
    fn account(&self) -> Account {
        Account {
            login: Some(self.login.clone()),
            fingerprint: self.fingerprint.clone(),
            largest_message: Provider::LARGEST,
            delete: if self.delete {
                Deletion::AtOnce
            } else {
                Deletion::Never
            },
            ..Account::new(
                self.address.clone(),
                self.kind,
                self.incoming.clone(),
                self.outgoing.clone(),
                Password::InClear(self.password.clone()),
            )
        }
    }
}

/// The accounts elsewhere of a person.
pub(crate) async fn all(store: &dyn Store, owner: AccountId) -> Result<Vec<Elsewhere>> {
    let account = store.account_by_id(owner).await?;
    let properties = account
        .map(|account| account.properties)
        .unwrap_or_default();
    let own = properties.iter().filter(|(key, _)| key.starts_with(PREFIX));
    Ok(own
        .filter_map(|(_, value)| toml::from_slice(value).ok())
        .collect())
}

/// Keeps one, or with `None` forgets it.
pub(crate) async fn keep(
    store: &dyn Store,
    owner: AccountId,
    address: &str,
    one: Option<&Elsewhere>,
) -> Result<()> {
    let value = one
        .and_then(|one| toml::to_string(one).ok())
        .map(Bytes::from);
    let key = format!("{PREFIX}{address}");
    let set = Operation::SetProperty { key, value };
    store.commit(Transaction::new(owner).with(set)).await?;
    Ok(())
}

/// The network, without what is within our own.
#[derive(Debug, Clone)]
pub(crate) struct Guarded {
    inner: Tcp,
    private: bool,
}

impl Guarded {
    /// The same, for one account: it may trust certificates of its own.
    pub(crate) fn to(&self, one: &Elsewhere) -> Self {
        let mut this = self.clone();
        this.inner.fingerprints.clone_from(&one.fingerprint);
        this
    }

    pub(crate) fn new(outside: &Outside) -> Self {
        Self {
            inner: Tcp {
                ca: outside.ca.clone(),
                limits: Limits {
                    message: Provider::LARGEST,
                    ..Limits::default()
                },
                ..Tcp::default()
            },
            private: outside.private,
        }
    }
}

impl Dial for Guarded {
    fn dial<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        Box::pin(async move {
            let failed = |why: &str| Error::Network(format!("{}: {why}", server.host));
            let found = tokio::net::lookup_host((server.host.as_str(), server.port)).await;
            let all: Vec<SocketAddr> = found.map_err(|_| failed("no such host"))?.collect();
            // All of them: a name may stand for several, and be looked up anew each time.
            if !self.private && all.iter().any(|address| !is_global(address.ip())) {
                return Err(failed("this address may not be reached from here"));
            }
            for address in all {
                let connect =
                    tokio::time::timeout(PATIENCE, tokio::net::TcpStream::connect(address));
                if let Ok(Ok(stream)) = connect.await {
                    return Ok(Box::new(stream) as Box<dyn Wire>);
                }
            }
            Err(failed("no answer"))
        })
    }

    fn encrypt<'a>(
        &'a self,
        stream: Box<dyn Wire>,
        server: &'a Server,
    ) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
        self.inner.encrypt(stream, server)
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }
}

/// Fetches one into its folder: how many messages are new.
pub(crate) async fn fetch(dial: &dyn Dial, owner: &Local, one: &mut Elsewhere) -> Result<usize> {
    let account = one.account();
    let id = owner.account_id();
    // Before anything is fetched, and perhaps deleted there.
    Local::check_name(&one.folder)?;
    // What was fetched lies in an account of its own until it is in the folder.
    let aside = Account {
        address: format!("outside#{}#{}", id.0, one.address),
        ..account.clone()
    };
    let local = Local::of(Arc::clone(owner.store()), &aside).await?;
    sync(dial, &local, &aside, &()).await?;
    if owner.folder(&one.folder).await.is_err() {
        owner.create(&one.folder).await?;
    }
    let mut count = 0;
    let mut messages = local.list("INBOX", usize::MAX).await?;
    messages.reverse();
    let last = messages
        .iter()
        .filter_map(Message::number)
        .max()
        .unwrap_or(0);
    if one.kind == Kind::Imap && last < one.fetched {
        // The mailbox there is another one by now.
        one.fetched = 0;
    }
    let known = one.fetched;
    for message in messages
        .into_iter()
        .filter(|message| message.number() > Some(known))
    {
        let name = name(one, &message);
        let Some(whole) = local.whole(&message).await? else {
            continue;
        };
        count += usize::from(owner.import(&one.folder, whole, &name).await?);
        one.fetched = message.number().unwrap_or(one.fetched);
        if one.kind == Kind::Pop {
            local.delete(&message, true).await?;
        }
    }
    Ok(count)
}

/// What a message is called, so that it is never in the folder twice: at most 64 octets.
fn name(one: &Elsewhere, message: &Message) -> String {
    let mut name = format!(
        "outside/{}/{}/{}",
        message.number().unwrap_or(0),
        message.received,
        one.address
    );
    while name.len() > 64 {
        name.pop();
    }
    name
}

/// Sends as that address, through that provider.
pub(crate) async fn send(
    dial: &dyn Dial,
    one: &Elsewhere,
    to: Vec<String>,
    message: Bytes,
) -> Result<Vec<(String, Fate)>> {
    let account = one.account();
    let password = account.password.get(&account.address).await?;
    let mut session = Submission::open(dial, &account.outgoing, account.login(), password).await?;
    let fates = session.send(&account.address, &to, &message).await?;
    session.quit().await;
    Ok(to.into_iter().zip(fates).collect())
}

/// Fetches the mail of all accounts elsewhere, for all people in a store, each at the interval, for as long as
/// it is polled. `kind`: where their mail rests, in that store (as with POP3) or on an IMAP server, which gets
/// what was fetched at the next refresh.
pub async fn keep_fetching(store: Arc<dyn Store>, outside: Outside, kind: Kind) {
    let dial = Guarded::new(&outside);
    loop {
        tokio::time::sleep(outside.interval).await;
        let mut after = String::new();
        while let Ok(page) = store.accounts(&after, PAGE).await {
            let Some(last) = page.last() else { break };
            after.clone_from(&last.name);
            // Names with `#` are our own: what lies aside.
            for account in page
                .into_iter()
                .filter(|account| !account.name.contains('#'))
            {
                let _ = fetch_all(&dial, &store, &account, kind).await;
            }
        }
    }
}

async fn fetch_all(
    dial: &Guarded,
    store: &Arc<dyn Store>,
    owner: &hikyaku_mailstore::Account,
    kind: Kind,
) -> Result<()> {
    for mut one in all(&**store, owner.id).await? {
        let local = match kind {
            Kind::Pop => Local::direct(Arc::clone(store), owner.id).await?,
            Kind::Imap => Local::mirror(Arc::clone(store), &owner.name).await?,
        };
        let before = one.clone();
        one.failed = fetch(&dial.to(&one), &local, &mut one)
            .await
            .err()
            .map(|error| error.to_string());
        if one != before {
            keep(&**store, owner.id, &one.address, Some(&one)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hikyaku_client::Security;

    /// Nobody is asked.
    struct NoNetwork;

    impl Dial for NoNetwork {
        fn dial<'a>(&'a self, server: &'a Server) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
            Box::pin(async move { Err(Error::Network(format!("{server} was dialled"))) })
        }

        fn encrypt<'a>(
            &'a self,
            stream: Box<dyn Wire>,
            _: &'a Server,
        ) -> BoxFuture<'a, Result<Box<dyn Wire>>> {
            Box::pin(async { Ok(stream) })
        }
    }

    #[tokio::test]
    async fn nothing_is_fetched_for_a_folder_that_cannot_be() {
        let store: Arc<dyn Store> = Arc::new(hikyaku_mailstore::Memory::new());
        let id = store.create_account("me@a.test").await.unwrap();
        let owner = Local::direct(store, id).await.unwrap();
        let server = Server {
            host: "b.test".into(),
            port: 995,
            security: Security::Tls,
        };
        for (folder, words) in [
            ("In", "was dialled"),
            ("", "is not a name for a folder"),
            ("a\r\nb", "is not a name for a folder"),
            ("a\u{2028}b", "is not a name for a folder"),
        ] {
            let mut one = Elsewhere {
                address: "me@b.test".into(),
                login: "me".into(),
                password: "secret".into(),
                kind: Kind::Pop,
                incoming: server.clone(),
                outgoing: server.clone(),
                folder: folder.into(),
                delete: true,
                fingerprint: Vec::new(),
                fetched: 0,
                failed: None,
            };
            let why = fetch(&NoNetwork, &owner, &mut one).await.unwrap_err();
            assert!(why.to_string().contains(words), "{folder:?}: {why}");
            assert!(
                owner.folder("In").await.is_err(),
                "made before it is needed"
            );
        }
    }
}
