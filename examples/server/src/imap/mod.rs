//! IMAP: one connection.

mod access;
mod acl;
mod append;
mod binary;
mod capability;
mod catenate;
mod context;
mod convert;
mod fetch;
mod filter;
mod language;
mod list;
mod literal8;
mod mailboxes;
mod message_limit;
mod messages;
mod metadata;
mod multisearch;
mod notify;
mod preview;
mod qresync;
mod recent;
mod search;
mod search_key;
mod sort;
mod sync;
mod uid_batches;

use hikyaku_webmail::Admitted;
use hikyaku_wire::drive::{Driver, Next};
use imap_proto::server::{Connection, Event, Options};
use imap_proto::{Command, Namespace, Namespaces, Response, ResponseCode, Rights, Status};
use mailstore::{AccountId, Error, Flags, MailboxId, ModSeq, Scope, Watch};
use std::sync::Arc;
use tracing::{info, warn};

use crate::config::Plaintext;
use crate::listener::Stream;
use crate::login::{Login, LoginStep, MECHANISMS};
use crate::server::{Service, Shared};

pub(crate) use recent::Untold;

/// What separates levels of mailbox names.
const DELIMITER: char = '/';

pub(crate) async fn serve(
    shared: &Arc<Shared>,
    service: Service,
    stream: Stream,
    admitted: &Admitted,
) {
    let mut options = Options::default();
    options.starttls = service == Service::Imap;
    options.tls = service.is_implicit_tls();
    options.login_needs_tls = shared.config.auth.plaintext == Plaintext::Tls;
    options.mechanisms = MECHANISMS.map(Into::into).into();
    options.capabilities = capability::announced(&shared.config);
    options.compress = true;
    let mut session = Session {
        shared,
        admitted,
        driver: Driver::new(Connection::new(options), stream),
        login: Login::new(shared, admitted.peer.ip()),
        account: AccountId::SYSTEM,
        name: String::new(),
        watch: None,
        selected: None,
        incoming: None,
        condstore: false,
        notify: None,
        snapshot: None,
        japanese: false,
    };
    loop {
        let told = session.driver.machine.is_idle() || session.notify.is_some();
        let theirs = session
            .selected
            .as_mut()
            .map(|selected| &mut selected.watch);
        let others = session.notify.as_mut().map(|asked| &mut asked.watches);
        let watches = theirs.into_iter().chain(others.into_iter().flatten());
        let watches = watches.chain([&mut session.watch]);
        let next = tokio::select! {
            next = session.driver.next_async() => next,
            () = changed(watches), if told => {
                session.tell_changes(true).await;
                if session.driver.flush_async().await.is_err() {
                    break;
                }
                continue;
            }
            () = shared.stopping() => {
                session.bye("Server shutting down");
                break;
            }
            () = admitted.displaced() => {
                session.bye("Too many connections");
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
                session.japanese = false;
            }
            Ok(Next::Compress) => {
                let (mut machine, stream) = session.driver.into_parts();
                machine.compression_active();
                session.driver = Driver::new(machine, stream.deflated());
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

type Watching = Option<Box<dyn Watch>>;

/// Waits for a change in any of those.
async fn changed(watches: impl Iterator<Item = &mut Watching>) {
    let watches = watches.filter_map(Option::as_mut);
    let mut all: Vec<_> = watches.map(|watch| watch.changed()).collect();
    std::future::poll_fn(|cx| {
        let mut ready = all.iter_mut().map(|one| one.as_mut().poll(cx).is_ready());
        match ready.any(|ready| ready) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

/// The mailbox that is selected.
struct Selected {
    mailbox: MailboxId,
    /// What the client may do there.
    rights: Rights,
    /// The state that the client knows.
    at: ModSeq,
    /// States that this session itself made, and has told of, ascending: not told again.
    own: Vec<ModSeq>,
    /// The keywords that FLAGS has named.
    keywords: Flags,
    /// Of its account, when that is somebody else's.
    watch: Watching,
    /// Searches that are told of when their results change.
    contexts: Vec<context::Context>,
    /// The UIDs that are new or changed since these were told of; only while there are any.
    touched: Vec<u32>,
}

struct Session<'a> {
    shared: &'a Arc<Shared>,
    admitted: &'a Admitted,
    driver: Driver<Connection, Stream>,
    login: Login,
    account: AccountId,
    /// The account's name.
    name: String,
    watch: Watching,
    selected: Option<Selected>,
    incoming: Option<append::Incoming>,
    /// Whether the client knows that mod-sequences are on.
    condstore: bool,
    /// What the client wants to be told unasked.
    notify: Option<notify::Asked>,
    /// What the client knows of other mailboxes, when it wants to be told of them.
    snapshot: Option<notify::Snapshot>,
    /// Whether texts are in Japanese.
    japanese: bool,
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
            Error::StorageFull => {
                warn!(%error, "store");
                return Self::no(C::Unavailable, "The server's disk is full, try again later");
            }
            Error::OutcomeUnknown => {
                warn!(%error, "store");
                return Self::no(
                    C::Unavailable,
                    "The disk has failed, it is unknown whether this was done",
                );
            }
            Error::Damaged(_) => {
                warn!(%error, "store");
                return Self::no(C::Corruption, "It is damaged on the server");
            }
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
                if !self.refresh_rights().await {
                    return;
                }
                self.tell_condstore(&command);
                let end = self.command(command).await.unwrap_or_else(|end| end);
                self.tell_changes(false).await;
                self.complete(end);
            }
            Event::Append { append, octets } => self.begin_append(append, octets).await,
            Event::CatenateUrl(url) => self.catenate_url(&url).await,
            Event::CatenateText(octets) => self.catenate_text(octets).await,
            Event::Chunk(chunk) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.chunk(chunk).await;
                }
            }
            Event::EndOfMessage => {
                let end = self.end_append().await.unwrap_or_else(|end| end);
                self.tell_changes(false).await;
                self.complete(end);
            }
            Event::MessageRefused => self.incoming = None,
            Event::IdleDone => {
                self.tell_changes(true).await;
                self.complete(End::ok("Idled"));
            }
            Event::Idle => self.tell_changes(true).await,
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
                self.admitted.settle();
                self.account = account.id;
                self.name.clone_from(&account.name);
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

    /// `* NAMESPACE`
    fn tell_namespaces(&mut self) {
        let mut namespaces = Namespaces::personal("", DELIMITER);
        namespaces.other_users.push(Namespace {
            prefix: imap_proto::MailboxName::new(access::OTHERS),
            delimiter: Some(DELIMITER),
            extensions: self.translations(access::OTHERS),
        });
        self.respond(&Response::Namespace(namespaces));
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
                self.tell_namespaces();
                Ok(End::ok("Namespaces"))
            }
            Command::Select {
                mailbox,
                read_only,
                qresync,
                ..
            } => self.select(&mailbox, read_only, qresync).await,
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
            Command::ESearch { sources, search } => self.multisearch(sources, search).await,
            Command::CancelUpdate(tags) => Ok(self.cancel_updates(&tags)),
            Command::UidBatches(batches) => self.uid_batches(&batches),
            Command::Language(ranges) => self.language(&ranges),
            Command::Fetch { fetch, uid } => self.fetch(fetch, uid).await,
            Command::Store { store, uid } => self.store(store, uid).await,
            Command::Copy { set, mailbox, uid } => self.copy(&set, &mailbox, uid, false).await,
            Command::Move { set, mailbox, uid } => self.copy(&set, &mailbox, uid, true).await,
            Command::GetAcl(mailbox) => self.get_acl(&mailbox).await,
            Command::SetAcl(set) => self.set_acl(set).await,
            Command::DeleteAcl {
                mailbox,
                identifier,
            } => self.delete_acl(&mailbox, &identifier).await,
            Command::ListRights {
                mailbox,
                identifier,
            } => self.list_rights(&mailbox, identifier).await,
            Command::MyRights(mailbox) => self.my_rights(&mailbox).await,
            Command::GetMetadata(get) => self.get_metadata(get).await,
            Command::SetMetadata(mailbox, entries) => self.set_metadata(&mailbox, entries).await,
            Command::Notify(notify) => self.notify(notify).await,
            // What comes next is compressed.
            Command::Compress(_) => Ok(End::ok("Compressing")),
            Command::Unauthenticate => {
                self.account = AccountId::SYSTEM;
                self.name.clear();
                (self.watch, self.selected) = (None, None);
                (self.notify, self.snapshot) = (None, None);
                self.japanese = false;
                self.condstore = false;
                Ok(End::ok("Nobody again"))
            }
            _ => Err(End::bad("Not here")),
        }
    }

    /// Tells what the client does not know of yet; what no command asked for too, when `unasked`.
    async fn tell_changes(&mut self, unasked: bool) {
        if unasked && !self.refresh_rights().await {
            return;
        }
        // A client that has asked for other things is not told of this one between commands.
        let tells = |asked: &notify::Asked| asked.tells_selected();
        if !unasked || self.notify.as_ref().is_none_or(tells) {
            self.sync().await;
            self.tell_contexts().await;
        }
        self.tell_elsewhere().await;
    }

    /// The mailbox that is selected; the machine lets no command through that needs one without.
    fn current(&self) -> Result<MailboxId, End> {
        let selected = self.selected.as_ref();
        selected
            .map(|selected| selected.mailbox)
            .ok_or(End::bad("No mailbox is selected"))
    }

    /// Whether the client has that right in the mailbox that is selected.
    fn may(&self, right: u8) -> bool {
        let selected = self.selected.as_ref();
        selected.is_some_and(|selected| selected.rights.contains(right))
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
