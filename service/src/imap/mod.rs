//! IMAP: one connection (RFC 9051, RFC 3501 and their extensions).
//!
//! Where a command is found:
//!
//! | commands | file |
//! |---|---|
//! | APPEND, REPLACE, CATENATE | `append`, `catenate`, `literal8` |
//! | SELECT, EXAMINE, CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS, CLOSE, GETQUOTA | `mailboxes`, `qresync` |
//! | LIST, LSUB | `list` |
//! | FETCH | `fetch`, `binary`, `preview` |
//! | STORE, COPY, MOVE, EXPUNGE | `messages` |
//! | SEARCH, SORT, THREAD, ESEARCH, CANCELUPDATE, UIDBATCHES | `search`, `search_key`, `sort`, `multisearch`, `contexts`, `uid_batches` |
//! | GETACL, SETACL, DELETEACL, LISTRIGHTS, MYRIGHTS | `acl`, `access` |
//! | GETMETADATA, SETMETADATA | `metadata` |
//! | NOTIFY, IDLE, NOOP | `notify`, `sync` |
//! | LANGUAGE | `language` |
//! | LOGIN, AUTHENTICATE, UNAUTHENTICATE, COMPRESS, STARTTLS, ID, NAMESPACE | here |

mod access;
mod access_list;
mod acl;
mod append;
mod asked;
mod binary;
mod capability;
mod catenate;
mod context;
mod contexts;
mod convert;
mod end;
mod entries;
mod fetch;
mod filter;
pub(crate) mod first_recent;
mod found;
mod incoming;
mod known;
mod language;
mod list;
mod literal8;
mod mailboxes;
mod message_limit;
mod messages;
mod metadata;
mod multisearch;
mod names;
mod namespace;
mod notify;
mod preview;
mod qresync;
mod recent;
mod search;
mod search_key;
mod session;
mod snapshot;
mod sort;
mod sync;
mod text;
mod uid_batches;

use hikyaku_imap_proto::server::{Connection, Event, Options};
use hikyaku_imap_proto::{Command, Response, ResponseCode};
use hikyaku_mailstore::{Account, AccountId, Scope};
use hikyaku_wire::drive::Driver;
use hikyaku_wire::{LoginRefusal, Machine as _};
use std::io;

use crate::login::{Login, mechanisms};
use crate::serve::{Conversation, Heard, serve, starttls};
use crate::service::Service;
use crate::stream::Stream;
use crate::{Guest, Leave};
use asked::Watching;
use end::{End, Ended};
use session::Session;
use text::Text as T;

impl Service {
    /// Speaks IMAP until the connection ends. A stream that is not under TLS yet is offered STARTTLS.
    pub async fn imap(&self, stream: impl Into<Stream>, guest: &dyn Guest) {
        let stream = stream.into();
        let mut options = Options::default();
        options.starttls = self.can_encrypt(&stream);
        options.tls = stream.is_tls();
        options.login_needs_tls = self.options.login_needs_tls;
        options.mechanisms = mechanisms(&*self.directory);
        options.capabilities = capability::announced(&self.options);
        options.compress = true;
        let session = Session {
            service: self,
            guest,
            driver: Driver::new(Connection::new(options), stream),
            login: Login::new(self, guest.address()),
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
        serve(session, guest).await;
    }
}

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

impl Conversation for Session<'_> {
    type Machine = Connection;

    fn driver(&mut self) -> &mut Driver<Connection, Stream> {
        &mut self.driver
    }

    fn guest(&self) -> &dyn Guest {
        self.guest
    }

    async fn hear(&mut self) -> Heard<Connection> {
        let listens = self.driver.machine.is_idle() || self.notify.is_some();
        let theirs = self.selected.as_mut().map(|selected| &mut selected.watch);
        let others = self.notify.as_mut().map(|asked| &mut asked.watches);
        let watches = theirs.into_iter().chain(others.into_iter().flatten());
        let watches = watches.chain([&mut self.watch]);
        tokio::select! {
            next = self.driver.next_async() => Heard::Client(next),
            () = changed(watches), if listens => Heard::Change,
        }
    }

    async fn report(&mut self) -> io::Result<()> {
        self.send_changes(true).await;
        self.driver.flush_async().await
    }

    fn event(&mut self, event: Event) -> impl Future<Output = ()> + Send {
        Box::pin(self.does(event))
    }

    async fn encrypt(mut self) -> Option<Self> {
        self.driver = starttls(self.service, self.driver).await?;
        self.japanese = false;
        Some(self)
    }

    fn compress(mut self) -> Self {
        self.driver = self.driver.compress(Stream::deflated);
        self
    }

    fn leave(&mut self, why: Leave) {
        let (machine, output) = self.driver.split();
        match why {
            Leave::Stopping => machine.shut_down(output),
            Leave::NoRoom => self.bye(T::TooManyConnections),
        }
    }

    fn challenge(&mut self, challenge: &[u8]) {
        self.driver
            .answer(|machine, output| machine.challenge(challenge, output));
    }

    async fn granted(&mut self, account: Box<Account>) {
        self.account = account.id;
        self.name.clone_from(&account.name);
        self.watch = Some(self.service.store.watch(Scope::Account(account.id)));
        self.driver.answer(Connection::grant);
    }

    fn refused(&mut self, why: LoginRefusal) {
        self.driver
            .answer(|machine, output| machine.refuse(why, output));
    }
}

impl Session<'_> {
    /// Does what the client asks for.
    async fn does(&mut self, event: Event) {
        match event {
            Event::Connected => {
                let greeting = format!("{} IMAP ready", self.service.options.hostname);
                self.driver
                    .answer(|machine, output| machine.greet(&greeting, output));
            }
            Event::Login { name, password } => {
                let step = self.login.password(&name, &password).await;
                self.logged_in(step).await;
            }
            Event::Authenticate { mechanism, initial } => {
                let step = self.login.begin(&mechanism, initial.as_ref()).await;
                self.logged_in(step).await;
            }
            Event::SaslResponse(response) => {
                let step = self.login.respond(&response).await;
                self.logged_in(step).await;
            }
            Event::SaslCancelled => self.login.cancel(),
            Event::Command(command) => {
                if !self.refresh_rights().await {
                    return;
                }
                self.send_condstore(&command);
                let end = Box::pin(self.command(command)).await;
                let end = end.unwrap_or_else(|end| end);
                self.send_changes(false).await;
                self.complete(end);
            }
            Event::Append { append, octets } => Box::pin(self.begin_append(append, octets)).await,
            Event::CatenateUrl(url) => Box::pin(self.catenate_url(&url)).await,
            Event::CatenateText(octets) => self.catenate_text(octets).await,
            Event::Chunk(chunk) => {
                if let Some(incoming) = &mut self.incoming {
                    incoming.chunk(chunk).await;
                }
            }
            Event::EndOfBody => {
                let end = Box::pin(self.end_append()).await;
                let end = end.unwrap_or_else(|end| end);
                self.send_changes(false).await;
                self.complete(end);
            }
            Event::BodyRefused => self.incoming = None,
            Event::IdleDone => {
                self.send_changes(true).await;
                self.complete(End::ok(T::Idled));
            }
            Event::Idle => self.send_changes(true).await,
            _ => {}
        }
    }

    /// RFC 7162 §3.1.2: when mod-sequences are turned on with a mailbox open, its highest is sent.
    fn send_condstore(&mut self, command: &Command) {
        let on = self.driver.machine.condstore();
        let before = std::mem::replace(&mut self.condstore, on);
        let selects = matches!(command, Command::Select { .. });
        if let (true, false, false, Some(selected)) = (on, before, selects, &self.selected) {
            let highest = ResponseCode::HighestModSeq(selected.at.0.max(1));
            self.untagged_ok(highest, T::Highest);
        }
    }

    async fn command(&mut self, command: Command) -> Ended {
        match command {
            Command::Noop | Command::Check => Ok(End::ok(T::Done)),
            Command::Id(_) => {
                let version = env!("CARGO_PKG_VERSION").into();
                let fields = [
                    ("name".into(), Some("Hikyaku".into())),
                    ("version".into(), Some(version)),
                ];
                self.respond(&Response::Id(fields.into()));
                Ok(End::ok(T::PleasedToMeetYou))
            }
            Command::Namespace => {
                self.send_namespaces();
                Ok(End::ok(T::Namespaces))
            }
            Command::Select {
                mailbox,
                read_only,
                qresync,
                ..
            } => self.select(&mailbox, read_only, qresync).await,
            Command::Create {
                mailbox,
                special_uses,
            } => self.create(&mailbox, &special_uses).await,
            Command::Delete(mailbox) => self.delete(&mailbox).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Subscribe(mailbox) => self.subscribe(&mailbox, true).await,
            Command::Unsubscribe(mailbox) => self.subscribe(&mailbox, false).await,
            Command::List(list) => self.list(&list).await,
            Command::Lsub { reference, pattern } => self.lsub(&reference, &pattern).await,
            Command::Status {
                mailbox,
                attributes,
            } => self.status(&mailbox, &attributes).await,
            Command::GetQuota(root) => self.get_quota(&root).await,
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox).await,
            Command::SetQuota { .. } => Err(End::no(ResponseCode::NoPerm, T::TheQuotaIsThe)),
            Command::Close => self.close().await,
            Command::Unselect => {
                self.selected = None;
                Ok(End::ok(T::Unselected))
            }
            Command::Expunge(set) => self.expunge(set.as_ref()).await,
            Command::Search { search, numbers } => self.search(search, numbers).await,
            Command::Sort { sort, numbers } => self.sort(sort, numbers).await,
            Command::Thread { thread, numbers } => self.thread(&thread, numbers).await,
            Command::ESearch { sources, search } => self.multisearch(sources, search).await,
            Command::CancelUpdate(tags) => Ok(self.cancel_updates(&tags)),
            Command::UidBatches(batches) => self.uid_batches(&batches),
            Command::Language(ranges) => self.language(&ranges),
            Command::Fetch { fetch, numbers } => self.fetch(fetch, numbers).await,
            Command::Store { store, numbers } => self.store(store, numbers).await,
            Command::Copy {
                set,
                mailbox,
                numbers,
            } => self.copy(&set, &mailbox, numbers, false).await,
            Command::Move {
                set,
                mailbox,
                numbers,
            } => self.copy(&set, &mailbox, numbers, true).await,
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
            Command::SetMetadata { mailbox, entries } => self.set_metadata(&mailbox, entries).await,
            Command::Notify(notify) => self.notify(notify).await,
            // What comes next is compressed.
            Command::Compress(_) => Ok(End::ok(T::Compressing)),
            Command::Unauthenticate => {
                self.account = AccountId::SYSTEM;
                self.name.clear();
                (self.watch, self.selected) = (None, None);
                (self.notify, self.snapshot) = (None, None);
                self.japanese = false;
                self.condstore = false;
                Ok(End::ok(T::NobodyAgain))
            }
            _ => Err(End::bad(T::NotHere)),
        }
    }
}
