//! IMAP: one connection.

mod append;
mod convert;
mod fetch;
mod list;
mod mailboxes;
mod messages;
mod recent;
mod search;
mod sort;
mod sync;

use hikyaku_wire::drive::{Driver, Next};
use imap_proto::server::{Connection, Event, Options};
use imap_proto::{Command, Namespaces, Response, ResponseCode, Status};
use mailstore::{AccountId, Error, Flags, MailboxId, ModSeq, Scope, Watch};
use std::sync::Arc;
use tracing::{info, warn};

use crate::config::Plaintext;
use crate::listener::{Admitted, Stream};
use crate::login::{Login, LoginStep, MECHANISMS};
use crate::server::{Service, Shared};

pub(crate) use recent::Untold;

/// What separates levels of mailbox names.
const DELIMITER: char = '/';

/// What the session does beyond what the machine does alone.
const CAPABILITIES: [&str; 15] = [
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "CHILDREN",
    "SPECIAL-USE",
    "ESEARCH",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "CONDSTORE",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "SORT",
    "SORT=DISPLAY",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
];

pub(crate) async fn serve(shared: &Arc<Shared>, service: Service, stream: Stream, _: &Admitted) {
    let mut options = Options::default();
    options.starttls = service == Service::Imap;
    options.tls = service.is_implicit_tls();
    options.login_needs_tls = shared.config.auth.plaintext == Plaintext::Tls;
    options.mechanisms = MECHANISMS.map(Into::into).into();
    options.capabilities = CAPABILITIES.map(Into::into).into();
    let mut session = Session {
        shared,
        driver: Driver::new(Connection::new(options), stream),
        login: Login::new(shared),
        account: AccountId::SYSTEM,
        watch: None,
        selected: None,
        incoming: None,
        condstore: false,
    };
    loop {
        let idle = session.driver.machine.is_idle();
        let next = tokio::select! {
            next = session.driver.next_async() => next,
            () = changed(&mut session.watch), if idle => {
                session.sync().await;
                if session.driver.flush_async().await.is_err() {
                    break;
                }
                continue;
            }
            () = shared.stopping() => {
                session.bye("Server shutting down");
                break;
            }
        };
        match next {
            Ok(Next::Event(event)) => session.event(event).await,
            Ok(Next::StartTls) => {
                let encrypted = shared
                    .starttls(session.driver, Connection::tls_established)
                    .await;
                let Some(encrypted) = encrypted else { return };
                session.driver = encrypted;
            }
            Ok(Next::Closed) => break,
            Ok(Next::NeedAnswer) => {
                warn!("an event was not answered");
                break;
            }
            Err(error) => {
                info!(%error, "ended");
                break;
            }
        }
    }
    session.driver.shutdown().await;
}

async fn changed(watch: &mut Option<Box<dyn Watch>>) {
    match watch {
        Some(watch) => watch.changed().await,
        None => std::future::pending().await,
    }
}

/// The mailbox that is selected.
struct Selected {
    mailbox: MailboxId,
    /// The state that the client knows.
    at: ModSeq,
    /// States that this session itself made, and has told of, ascending: not told again.
    own: Vec<ModSeq>,
    /// The keywords that FLAGS has named.
    keywords: Flags,
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    driver: Driver<Connection, Stream>,
    login: Login,
    account: AccountId,
    watch: Option<Box<dyn Watch>>,
    selected: Option<Selected>,
    incoming: Option<append::Incoming>,
    /// Whether the client knows that mod-sequences are on.
    condstore: bool,
}

/// How a command ends.
struct End(Status, Option<ResponseCode>, String);

impl End {
    fn ok(text: &str) -> Self {
        Self(Status::Ok, None, text.into())
    }

    fn no(code: ResponseCode, text: &str) -> Self {
        Self(Status::No, Some(code), text.into())
    }

    fn bad(text: &str) -> Self {
        Self(Status::Bad, None, text.into())
    }
}

/// What the store says, as a command's end.
impl From<Error> for End {
    fn from(error: Error) -> Self {
        use ResponseCode as C;
        let code = match error {
            Error::NoSuchMailbox | Error::NoSuchAccount => C::NonExistent,
            Error::AlreadyExists => C::AlreadyExists,
            Error::InvalidName(_) => C::Cannot,
            Error::OverQuota => C::OverQuota,
            Error::Limit(_) => C::Limit,
            Error::Conflict(_) => C::InUse,
            _ => {
                warn!(%error, "store");
                return Self::no(C::Unavailable, "Try again later");
            }
        };
        Self(Status::No, Some(code), error.to_string())
    }
}

/// `Err` is an end that comes early.
type Ended = Result<End, End>;

impl Session<'_> {
    fn respond(&mut self, response: &Response) {
        let (machine, output) = self.driver.split();
        machine.respond(response, output);
    }

    fn untagged_ok(&mut self, code: ResponseCode, text: &'static str) {
        self.respond(&Response::Status(Status::Ok, Some(code), text.into()));
    }

    fn bye(&mut self, text: &str) {
        let (machine, output) = self.driver.split();
        machine.bye(None, text, output);
    }

    fn complete(&mut self, end: End) {
        let End(status, code, text) = end;
        let (machine, output) = self.driver.split();
        let _ = machine.complete(status, code, &text, output);
    }

    async fn event(&mut self, event: Event) {
        match event {
            Event::Connected => {
                let greeting = format!("{} IMAP ready", self.shared.config.hostname);
                let (machine, output) = self.driver.split();
                let _ = machine.greet(&greeting, output);
            }
            Event::Login { name, password } => {
                let step = self.login.password(&name, &password).await;
                self.logged_in(step);
            }
            Event::Authenticate { mechanism, initial } => {
                let step = self.login.begin(&mechanism, initial.as_ref()).await;
                self.logged_in(step);
            }
            Event::SaslResponse(response) => {
                let step = self.login.respond(&response).await;
                self.logged_in(step);
            }
            Event::SaslCancelled => self.login.cancel(),
            Event::Command(command) => {
                self.tell_condstore(&command);
                let end = self.command(command).await.unwrap_or_else(|end| end);
                self.sync().await;
                self.complete(end);
            }
            Event::Append { append, octets } => self.begin_append(append, octets).await,
            Event::Chunk(chunk) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.chunk(chunk).await;
                }
            }
            Event::EndOfMessage => {
                let end = self.end_append().await.unwrap_or_else(|end| end);
                self.sync().await;
                self.complete(end);
            }
            Event::MessageRefused => self.incoming = None,
            Event::IdleDone => {
                self.sync().await;
                self.complete(End::ok("Idled"));
            }
            Event::Idle => self.sync().await,
            _ => {}
        }
    }

    /// RFC 7162 §3.1.2: when mod-sequences are turned on with a mailbox open, its highest is told.
    fn tell_condstore(&mut self, command: &Command) {
        let on = self.driver.machine.condstore();
        let before = std::mem::replace(&mut self.condstore, on);
        let selects = matches!(command, Command::Select { .. });
        if let (true, false, false, Some(selected)) = (on, before, selects, &self.selected) {
            let highest = ResponseCode::HighestModSeq(selected.at.0.max(1));
            self.untagged_ok(highest, "Highest");
        }
    }

    fn logged_in(&mut self, step: LoginStep) {
        match step {
            LoginStep::Challenge(challenge) => {
                let (machine, output) = self.driver.split();
                let _ = machine.challenge(&challenge, output);
            }
            LoginStep::Account(account) => {
                self.account = account.id;
                self.watch = Some(self.shared.store.watch(Scope::Account(account.id)));
                self.complete(End::ok("Logged in"));
            }
            LoginStep::Refused => {
                let code = ResponseCode::AuthenticationFailed;
                self.complete(End::no(code, "Wrong name or password"));
            }
            LoginStep::Unavailable => {
                self.complete(End::no(ResponseCode::Unavailable, "Try again later"));
            }
        }
    }

    async fn command(&mut self, command: Command) -> Ended {
        match command {
            Command::Noop | Command::Check => Ok(End::ok("Done")),
            Command::Id(_) => {
                let version = env!("CARGO_PKG_VERSION").into();
                let fields = [
                    ("name".into(), Some("Hikyaku".into())),
                    ("version".into(), Some(version)),
                ];
                self.respond(&Response::Id(fields.into()));
                Ok(End::ok("Pleased to meet you"))
            }
            Command::Namespace => {
                self.respond(&Response::Namespace(Namespaces::personal("", DELIMITER)));
                Ok(End::ok("Namespaces"))
            }
            Command::Select {
                mailbox, read_only, ..
            } => self.select(&mailbox, read_only).await,
            Command::Create(mailbox, uses) => self.create(&mailbox, &uses).await,
            Command::Delete(mailbox) => self.delete(&mailbox).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Subscribe(mailbox) => self.subscribe(&mailbox, true).await,
            Command::Unsubscribe(mailbox) => self.subscribe(&mailbox, false).await,
            Command::List(list) => self.list(&list).await,
            Command::Lsub { reference, pattern } => self.lsub(&reference, &pattern).await,
            Command::Status(mailbox, attributes) => self.status(&mailbox, &attributes).await,
            Command::GetQuota(root) => self.get_quota(&root).await,
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox).await,
            Command::SetQuota(..) => Err(End::no(
                ResponseCode::NoPerm,
                "The quota is the administrator's",
            )),
            Command::Close => self.close().await,
            Command::Unselect => {
                self.selected = None;
                Ok(End::ok("Unselected"))
            }
            Command::Expunge(set) => self.expunge(set.as_ref()).await,
            Command::Search { search, uid } => self.search(search, uid).await,
            Command::Sort { sort, uid } => self.sort(sort, uid).await,
            Command::Thread { thread, uid } => self.thread(&thread, uid).await,
            Command::Fetch { fetch, uid } => self.fetch(fetch, uid).await,
            Command::Store { store, uid } => self.store(store, uid).await,
            Command::Copy { set, mailbox, uid } => self.copy(&set, &mailbox, uid, false).await,
            Command::Move { set, mailbox, uid } => self.copy(&set, &mailbox, uid, true).await,
            _ => Err(End::bad("Not here")),
        }
    }

    /// The mailbox that is selected; the machine lets no command through that needs one without.
    fn current(&self) -> Result<MailboxId, End> {
        let selected = self.selected.as_ref();
        selected
            .map(|selected| selected.mailbox)
            .ok_or(End::bad("No mailbox is selected"))
    }

    fn is_read_only(&self) -> bool {
        self.driver
            .machine
            .selected()
            .is_some_and(imap_proto::server::View::is_read_only)
    }

    /// The UIDs that a set means.
    fn resolve(&self, set: &imap_proto::SequenceSet, uid: bool) -> Result<mailstore::UidSet, End> {
        let view = self.driver.machine.selected();
        let ranges = view.and_then(|view| view.resolve(set, uid));
        let ranges = ranges.ok_or(End::bad("There is no such sequence number"))?;
        Ok(convert::uid_set(&ranges))
    }
}
