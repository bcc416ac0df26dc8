//! The server machine (RFC 3501, RFC 9051 §3 to §7, and the extensions that change what is said when).
//!
//! The machine decides which command is legal in which state, holds the sequence numbers that the client knows (the
//! [`View`]), and sends EXPUNGE when it is allowed. Every other command is an [`Event::Command`] that the application
//! answers with [`respond`](Connection::respond)s and one [`complete`](Connection::complete).
//!
//! # States
//!
//! | State | What happens | Next state |
//! |---|---|---|
//! | start | [`Event::Connected`]: [`greet`](Connection::greet) | not authenticated |
//! | not authenticated | [`Event::Login`], [`Event::Authenticate`] | login |
//! | | STARTTLS: [`Step::StartTls`], then [`Machine::tls_established`] | not authenticated |
//! | login | AUTHENTICATE only: [`challenge`](Connection::challenge); the client's next line is [`Event::SaslResponse`] | login |
//! | | [`grant`](Connection::grant) | authenticated |
//! | | [`refuse`](Connection::refuse) or [`Event::SaslCancelled`] | not authenticated |
//! | authenticated | SELECT, EXAMINE: [`select`](Connection::select), then `complete` with OK | selected |
//! | | the same: `complete` with NO or BAD | authenticated |
//! | selected | CLOSE, UNSELECT: `complete` with OK; SELECT, EXAMINE: at once | authenticated |
//! | authenticated, selected | [`Event::Append`]: [`accept`](Connection::accept), then [`Event::Chunk`]s, [`Event::EndOfBody`], `complete` | unchanged |
//! | | [`Event::Append`]: `complete` with NO; or [`Event::BodyRefused`] | unchanged |
//! | | [`Event::Idle`], changes as they happen, [`Event::IdleDone`], `complete` | unchanged |
//! | | COMPRESS: `complete` with OK, [`Step::Compress`], then [`Machine::compression_active`] | unchanged |
//! | | UNAUTHENTICATE: `complete` with OK | not authenticated |
//! | | LOGOUT (before login too) | closed |
//! | any | [`Limits::errors`](crate::Limits::errors), the methods of "ending" below | closed |
//! | closed | [`Step::Closed`] at every poll | |
//!
//! # Methods, in the order of their calls
//!
//! | Kind | Methods |
//! |---|---|
//! | Setting up | [`Options`], [`Connection::new`] |
//! | Feeding | [`Machine::poll`]; [`Machine::tls_established`], [`Machine::compression_active`] after their steps |
//! | Answering `Connected` | [`greet`](Connection::greet) |
//! | Answering a login | [`challenge`](Connection::challenge), then [`grant`](Connection::grant) or [`refuse`](Connection::refuse) |
//! | Answering `Append`, `CatenateUrl`, `CatenateText` | [`accept`](Connection::accept), or `complete` with NO |
//! | The selected mailbox | [`select`](Connection::select), [`appeared`](Connection::appeared), [`vanished`](Connection::vanished), [`save`](Connection::save) |
//! | Data | [`respond`](Connection::respond) |
//! | A FETCH response | [`begin_fetch`](Connection::begin_fetch), [`fetch_item`](Connection::fetch_item), [`begin_section`](Connection::begin_section) or [`begin_section8`](Connection::begin_section8) |
//! | | [`section_chunk`](Connection::section_chunk), [`end_fetch`](Connection::end_fetch) |
//! | The end of a command | [`complete`](Connection::complete) |
//! | Changing behaviour | [`expunge_unasked`](Connection::expunge_unasked) (NOTIFY), [`speak`](Connection::speak) (LANGUAGE) |
//! | Asking | [`selected`](Connection::selected), [`tag`](Connection::tag), [`is_authenticated`](Connection::is_authenticated), [`is_tls`](Connection::is_tls), [`is_idle`](Connection::is_idle), [`Machine::time_limit`] |
//! | Asking what is enabled | [`condstore`](Connection::condstore), [`qresync`](Connection::qresync), [`rev2`](Connection::rev2), [`utf8`](Connection::utf8), [`uid_only`](Connection::uid_only), [`metadata`](Connection::metadata) |
//! | Ending | [`bye`](Connection::bye), [`Machine::shut_down`], [`Machine::timed_out`], [`Machine::end_of_input`] |

mod appending;
mod capability;
mod dispatch;
mod event;
mod fetch_response;
mod fetching;
mod message;
mod options;
mod text;
mod view;

pub use event::{Error, Event};
pub use hikyaku_wire::Misuse;
pub use options::Options;
pub use text::Text;
pub use view::View;

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use hikyaku_wire::{
    LoginRefusal, Machine, Output, Reason, SaslLine, Step, decode_sasl, encode_sasl,
};

use crate::plumbing::frame::{Framed, Framer, Refusal, begins_append, tag_of};
use crate::response::write_status;
use crate::{Response, ResponseCode, Status, Tagged, Uid};
use fetch_response::Fetching;
use message::Message;

/// One connection, from the greeting to its end.
#[derive(Debug)]
pub struct Connection {
    options: Options,
    framer: Framer,
    state: State,
    authenticated: bool,
    selected: Option<View>,
    enabled: Enabled,
    fetching: Option<Fetching>,
    /// What was to be sent inside of that FETCH response: it follows its end.
    late: Output,
    /// Behind so many messages the next one to be fetched probably is.
    next_fetched: usize,
    /// An APPEND under way.
    message: Option<Message>,
    errors: u32,
    texts: Option<Translation>,
}

/// A text in another language, where there is one.
pub type Translation = fn(&str) -> Option<&'static str>;

/// What the client has turned on.
#[derive(Debug, Clone, Copy, Default)]
struct Enabled {
    condstore: bool,
    qresync: bool,
    rev2: bool,
    utf8: bool,
    uid_only: bool,
    metadata: bool,
    /// EXPUNGE between commands (RFC 5465 §3.1).
    unasked: bool,
}

#[derive(Debug)]
enum State {
    Start,
    Command,
    /// The application has the event and has not answered.
    Asked(Asked),
    /// A challenge was sent.
    Sasl(Bytes),
    /// A message comes, or what stands between two.
    Message,
    Idle(Bytes),
    StartTls,
    /// What was sent was the end of COMPRESS.
    Compress,
    Closed,
}

/// A command that waits for its end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    tag: Bytes,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Connected,
    Login,
    Authenticate,
    Select,
    Leave,
    Unauthenticate,
    Compress,
    /// SEARCH or SORT with SAVE: whether its numbers are sequence numbers.
    Save(bool),
    /// APPEND, before a message or a part of one.
    Append,
    /// FETCH, STORE or SEARCH with sequence numbers: EXPUNGE waits (RFC 9051 §7.5.1).
    Numbered,
    Other,
}

impl What {
    fn situation(self) -> &'static str {
        match self {
            Self::Connected => "while Connected waits for an answer",
            Self::Login => "while LOGIN waits for an answer",
            Self::Authenticate => "while AUTHENTICATE waits for an answer",
            Self::Select => "while SELECT waits for its end",
            Self::Append => "while APPEND waits for an answer",
            Self::Leave
            | Self::Unauthenticate
            | Self::Compress
            | Self::Save(_)
            | Self::Numbered
            | Self::Other => "while a command waits for its end",
        }
    }
}

impl Connection {
    /// Stands before the greeting.
    ///
    /// ```
    /// use hikyaku_imap_proto::server::{Connection, Options};
    /// let mut options = Options::default();
    /// options.starttls = true;
    /// options.capabilities = ["IDLE", "MOVE"].map(Into::into).into();
    /// let machine = Connection::new(options);
    /// assert!(machine.selected().is_none());
    /// ```
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            framer: Framer::default(),
            state: State::Start,
            authenticated: false,
            selected: None,
            enabled: Enabled::default(),
            fetching: None,
            late: Output::new(),
            next_fetched: 0,
            message: None,
            errors: 0,
            texts: None,
        }
    }

    /// Whether what is sent now is protected by TLS.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_tls());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.options.tls
    }

    /// Whether a login has succeeded.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_authenticated());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The selected mailbox, as the client knows it.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::{SequenceNumber, Uid};
    /// let view = machine.selected().expect("a mailbox");
    /// let second = Uid::new(7).and_then(|uid| view.sequence(uid));
    /// assert_eq!((view.len(), second), (3, SequenceNumber::new(2)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn selected(&self) -> Option<&View> {
        self.selected.as_ref()
    }

    /// The tag of the command that waits for its end.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert_eq!(machine.tag().map(|tag| &tag[..]), Some(&b"a"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn tag(&self) -> Option<&Bytes> {
        match &self.state {
            State::Asked(asked) => Some(&asked.tag),
            _ => None,
        }
    }

    /// Whether the client wants mod-sequences (RFC 7162 §3.1).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE CONDSTORE\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.condstore());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn condstore(&self) -> bool {
        self.enabled.condstore
    }

    /// Whether VANISHED stands for EXPUNGE (RFC 7162 §3.2.10, RFC 9586).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE QRESYNC\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // It turns CONDSTORE on, too.
    /// assert!(machine.qresync() && machine.condstore());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn qresync(&self) -> bool {
        self.enabled.qresync
    }

    /// Whether the client speaks IMAP4rev2 (RFC 9051).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE IMAP4rev2\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.rev2());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn rev2(&self) -> bool {
        self.enabled.rev2
    }

    /// Whether the client takes UTF-8 in headers (RFC 6855).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE UTF8=ACCEPT\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.utf8());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn utf8(&self) -> bool {
        self.enabled.utf8
    }

    /// Whether messages have no sequence numbers (RFC 9586).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE UIDONLY\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.uid_only());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn uid_only(&self) -> bool {
        self.enabled.uid_only
    }

    /// Whether the client asked for annotations that change (RFC 5464).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b ENABLE METADATA\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.metadata());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn metadata(&self) -> bool {
        self.enabled.metadata
    }

    /// Whether EXPUNGE may be sent between commands, as a client wants it that has asked for it with
    /// NOTIFY (RFC 5465 §3.1).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.expunge_unasked(true);
    /// machine.vanished(hikyaku_imap_proto::Uid::new(7), output);
    /// // * 2 EXPUNGE
    /// # assert_eq!(scene.sent(), "* 2 EXPUNGE\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expunge_unasked(&mut self, may: bool) {
        self.enabled.unasked = may;
    }

    /// Whether IDLE is under way.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b IDLE\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// assert!(machine.is_idle());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle(_))
    }

    fn misuse(&self, method: &'static str) -> Misuse {
        self.misuse_for(method, Reason::State)
    }

    fn misuse_for(&self, method: &'static str, reason: Reason) -> Misuse {
        let state = match &self.state {
            State::Closed => "after the end of the connection",
            _ if self.fetching.is_some() => "inside a FETCH response",
            State::Start => "before the greeting",
            State::Command => "while no command waits for its end",
            State::Asked(asked) => asked.what.situation(),
            State::Sasl(_) => "while the client's SASL response is due",
            State::Message => "inside a message",
            State::Idle(_) => "during IDLE",
            State::StartTls => "before TLS has begun",
            State::Compress => "before the compression has begun",
        };
        Misuse::new(method, state, reason)
    }

    /// Answers [`Event::Connected`].
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.greet("ready", output)?;
    /// # assert!(scene.sent().contains("ready"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] at any other time.
    pub fn greet(&mut self, text: &str, output: &mut Output) -> Result<(), Misuse> {
        match &self.state {
            State::Asked(asked) if asked.what == What::Connected => {}
            _ => return Err(self.misuse("greet")),
        }
        self.state = State::Command;
        let code = ResponseCode::Capability(self.capabilities());
        self.write(None, Status::Ok, Some(&code), text, output);
        Ok(())
    }

    /// Says BYE and closes, at any time but inside of a FETCH.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.bye(None, "Too many connections", output);
    /// // * BYE Too many connections
    /// # assert_eq!(scene.sent(), "* BYE Too many connections\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn bye(&mut self, code: Option<&ResponseCode>, text: &str, output: &mut Output) {
        if !matches!(self.state, State::Closed) && self.fetching.is_none() {
            self.write(None, Status::Bye, code, text, output);
        }
        self.state = State::Closed;
    }

    /// What texts are in another language: whatever is said from here on is looked up there, this machine's
    /// own texts ([`Text::ALL`]) with the others (RFC 5255 §3.2). UNAUTHENTICATE and TLS end it.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// fn german(text: &str) -> Option<&'static str> {
    ///     (text == "Wrong name or password").then_some("Name oder Passwort falsch")
    /// }
    /// machine.speak(Some(german));
    /// machine.refuse(hikyaku_wire::LoginRefusal::Credentials, output)?;
    /// // a NO [AUTHENTICATIONFAILED] Name oder Passwort falsch
    /// # assert_eq!(scene.sent(), "a NO [AUTHENTICATIONFAILED] Name oder Passwort falsch\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn speak(&mut self, texts: Option<Translation>) {
        self.texts = texts;
    }

    /// A status, in the language that is spoken.
    fn write(
        &self,
        tag: Option<&Bytes>,
        status: Status,
        code: Option<&ResponseCode>,
        text: &str,
        output: &mut Output,
    ) {
        output.write(tag.map_or(b"*", |tag| &tag[..]));
        output.write(b" ");
        let text = self.texts.and_then(|texts| texts(text)).unwrap_or(text);
        write_status(status, code, text.as_bytes(), output);
    }

    /// Sends an untagged response. Inside of a FETCH response it waits for the end of that one.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::{Response, Status};
    /// let alert = Response::Status(Status::Ok, None, "Still here".into());
    /// machine.respond(&alert, output);
    /// // * OK Still here
    /// # assert_eq!(scene.sent(), "* OK Still here\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn respond(&mut self, response: &Response, output: &mut Output) {
        if self.fetching.is_some() {
            let mut late = core::mem::take(&mut self.late);
            self.write_response(response, &mut late);
            self.late = late;
        } else {
            self.write_response(response, output);
        }
    }

    fn write_response(&self, response: &Response, output: &mut Output) {
        if let Response::Status(status, code, text) = response
            && let Ok(text) = core::str::from_utf8(text)
        {
            return self.write(None, *status, code.as_ref(), text, output);
        }
        match self.names_in_utf8() {
            true => response.clone().in_utf8().encode(output),
            false => response.encode(output),
        }
    }

    fn names_in_utf8(&self) -> bool {
        self.enabled.utf8 || self.enabled.rev2
    }

    fn login_waits(&self) -> bool {
        let State::Asked(asked) = &self.state else {
            return false;
        };
        matches!(asked.what, What::Login | What::Authenticate)
    }

    /// Lets somebody in: answers a login with OK, and says what there is then.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.grant(output)?;
    /// # assert!(scene.sent().contains("Logged in"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn grant(&mut self, output: &mut Output) -> Result<(), Misuse> {
        if !self.login_waits() {
            return Err(self.misuse("grant"));
        }
        self.complete(Status::Ok, None, Text::LoggedIn.as_str(), output)
    }

    /// Lets nobody in: answers a login with NO (RFC 5530).
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_wire::LoginRefusal;
    /// machine.refuse(LoginRefusal::Credentials, output)?;
    /// // a NO [AUTHENTICATIONFAILED] Wrong name or password
    /// # assert_eq!(scene.sent(), "a NO [AUTHENTICATIONFAILED] Wrong name or password\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no login waits.
    pub fn refuse(&mut self, why: LoginRefusal, output: &mut Output) -> Result<(), Misuse> {
        if !self.login_waits() {
            return Err(self.misuse("refuse"));
        }
        let (code, text) = match why {
            LoginRefusal::Credentials => (
                ResponseCode::AuthenticationFailed,
                Text::WrongNameOrPassword,
            ),
            _ => (ResponseCode::Unavailable, Text::TryAgainLater),
        };
        self.complete(Status::No, Some(code), text.as_str(), output)
    }

    /// Goes on with a SASL exchange.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a AUTHENTICATE PLAIN\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// machine.challenge(b"", output)?;
    /// // +
    /// # assert_eq!(scene.sent(), "+ \r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no exchange is under way.
    pub fn challenge(&mut self, challenge: &[u8], output: &mut Output) -> Result<(), Misuse> {
        let State::Asked(asked) = &self.state else {
            return Err(self.misuse("challenge"));
        };
        if asked.what != What::Authenticate {
            return Err(self.misuse("challenge"));
        }
        output.write(b"+ ");
        output.write(&encode_sasl(challenge));
        output.write(b"\r\n");
        self.state = State::Sasl(asked.tag.clone());
        Ok(())
    }

    /// Answers SELECT or EXAMINE, before `complete` with OK: the UIDs in the mailbox, ascending; those
    /// from `recent_from` on are `\Recent`. Sends EXISTS and RECENT.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::Uid;
    /// // Three messages, of which UID 9 is recent.
    /// let uids = [4, 7, 9].into_iter().filter_map(Uid::new).collect();
    /// machine.select(uids, Uid::new(9), false, output);
    /// machine.complete(hikyaku_imap_proto::Status::Ok, None, "Selected", output)?;
    /// # assert_eq!(scene.sent(), "* 3 EXISTS\r\n* 1 RECENT\r\nb OK Selected\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn select(
        &mut self,
        uids: Vec<Uid>,
        recent_from: Option<Uid>,
        read_only: bool,
        output: &mut Output,
    ) {
        self.selected = Some(View::new(uids, recent_from, read_only));
        self.send_counts(output);
    }

    /// Keeps what a SEARCH with SAVE found, as UIDs (RFC 5182). Nothing is kept until then.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c UID SEARCH RETURN (SAVE) SEEN\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // What `$` means from now on (RFC 5182).
    /// # use hikyaku_imap_proto::Uid;
    /// machine.save([4, 9].into_iter().filter_map(Uid::new));
    /// machine.complete(hikyaku_imap_proto::Status::Ok, None, "Found", output)?;
    /// // c OK Found
    /// # assert_eq!(scene.sent(), "c OK Found\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&mut self, uids: impl IntoIterator<Item = Uid>) {
        if let Some(view) = &mut self.selected {
            view.save(uids);
        }
    }

    /// New messages in the selected mailbox, ascending; those from `recent_from` on are `\Recent`.
    /// Sends EXISTS and RECENT.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c NOOP\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// # let twelve = hikyaku_imap_proto::Uid::new(12).ok_or("zero")?;
    /// machine.appeared(&[twelve], Some(twelve), output);
    /// # assert_eq!(scene.sent(), "* 4 EXISTS\r\n* 2 RECENT\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn appeared(&mut self, uids: &[Uid], recent_from: Option<Uid>, output: &mut Output) {
        if let Some(view) = &mut self.selected
            && view.append(uids, recent_from)
        {
            self.send_counts(output);
        }
    }

    fn send_counts(&mut self, output: &mut Output) {
        let Some(view) = &self.selected else { return };
        let output = match self.fetching {
            Some(_) => &mut self.late,
            None => output,
        };
        output.write(b"* ");
        output.write_number(u64::from(view.len()));
        output.write(b" EXISTS\r\n");
        if !self.enabled.rev2 {
            output.write(b"* ");
            output.write_number(view.recent().len() as u64);
            output.write(b" RECENT\r\n");
        }
    }

    /// Messages that are gone from the selected mailbox. EXPUNGE is sent at once where the command
    /// under way allows it, else at the end of the next one that does.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # use hikyaku_imap_proto::Status;
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b SELECT INBOX\r\n");
    /// # scene.answer(|machine, output| { machine.select([4, 7, 9].into_iter().filter_map(hikyaku_imap_proto::Uid::new).collect(), hikyaku_imap_proto::Uid::new(9), false, output); machine.complete(Status::Ok, None, "Selected", output) });
    /// # scene.sent();
    /// # scene.hears("c NOOP\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// // EXPUNGE is held back where the RFC forbids it; the end of NOOP is a good moment.
    /// # use hikyaku_imap_proto::Uid;
    /// machine.vanished(Uid::new(4), output);
    /// machine.complete(hikyaku_imap_proto::Status::Ok, None, "Done", output)?;
    /// # assert_eq!(scene.sent(), "* 1 EXPUNGE\r\nc OK Done\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn vanished(&mut self, uids: impl IntoIterator<Item = Uid>, output: &mut Output) {
        let Some(view) = &mut self.selected else {
            return;
        };
        view.vanish(uids);
        let allowed = match &self.state {
            State::Idle(_) => true,
            State::Asked(asked) => self.may_expunge(asked.what),
            State::Command => self.enabled.unasked,
            _ => false,
        };
        if allowed && self.fetching.is_none() {
            self.expunge(output);
        }
    }

    fn may_expunge(&self, what: What) -> bool {
        // Without sequence numbers nothing can be taken for something else.
        let numbered = matches!(what, What::Numbered | What::Save(true));
        !numbered || self.enabled.uid_only
    }

    fn expunge(&mut self, output: &mut Output) {
        let Some(view) = &mut self.selected else {
            return;
        };
        if self.enabled.qresync || self.enabled.uid_only {
            let uids = view.expunge_uids();
            if !uids.is_empty() {
                let earlier = false;
                Response::Vanished { earlier, uids }.encode(output);
            }
            return;
        }
        for sequence in view.expunge() {
            output.write(b"* ");
            output.write_number(u64::from(sequence.get()));
            output.write(b" EXPUNGE\r\n");
        }
    }

    /// Ends the command that waits. OK to a login logs in, to SELECT selects; anything else does not.
    ///
    /// ```
    /// # use hikyaku_imap_proto::server::{Connection, Options};
    /// # let mut options = Options::default();
    /// # (options.tls, options.mechanisms) = (true, vec!["PLAIN".into()]);
    /// # options.capabilities = ["IDLE", "CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "METADATA", "UIDONLY", "IMAP4rev2"].map(Into::into).into();
    /// # let mut scene = hikyaku_wire::testkit::Scene::new(Connection::new(options));
    /// # scene.hears("");
    /// # scene.answer(|machine, output| machine.greet("ready", output));
    /// # scene.sent();
    /// # scene.hears("a LOGIN alice sesame\r\n");
    /// # scene.answer(|machine, output| machine.grant(output));
    /// # scene.sent();
    /// # scene.hears("b NOOP\r\n");
    /// # scene.sent();
    /// # let (machine, output) = scene.split();
    /// use hikyaku_imap_proto::Status;
    /// machine.complete(Status::Ok, None, "Done", output)?;
    /// // b OK Done
    /// # assert_eq!(scene.sent(), "b OK Done\r\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse`] when no command waits, inside of a FETCH response, or when `status` is none of OK, NO and BAD.
    pub fn complete(
        &mut self,
        status: Status,
        mut code: Option<ResponseCode>,
        text: &str,
        output: &mut Output,
    ) -> Result<(), Misuse> {
        if self.fetching.is_some() {
            return Err(self.misuse("complete"));
        }
        let State::Asked(asked) = &self.state else {
            return Err(self.misuse("complete"));
        };
        if asked.what == What::Connected {
            return Err(self.misuse("complete"));
        }
        if !matches!(status, Status::Ok | Status::No | Status::Bad) {
            return Err(self.misuse_for("complete", Reason::Argument));
        }
        let Asked { tag, what } = asked.clone();
        let ok = status == Status::Ok;

        self.state = State::Command;
        match what {
            What::Login | What::Authenticate if ok => {
                self.authenticated = true;
                code = code.or_else(|| Some(ResponseCode::Capability(self.capabilities())));
            }
            What::Select if !ok => self.selected = None,
            What::Leave if ok => self.selected = None,
            What::Unauthenticate if ok => {
                self.selected = None;
                self.authenticated = false;
                self.enabled = Enabled::default();
                self.texts = None;
            }
            What::Save(_) if status == Status::No => self.save([]),
            What::Append => self.refuse_append(),
            _ => {}
        }
        if self.may_expunge(what) {
            self.expunge(output);
        }
        self.write(Some(&tag), status, code.as_ref(), text, output);
        self.count(status, output);
        if what == What::Compress && ok {
            self.state = State::Compress;
        }
        Ok(())
    }

    fn count(&mut self, status: Status, output: &mut Output) {
        match status {
            Status::Bad => {
                self.errors += 1;
                if self.errors >= self.options.limits.errors {
                    self.bye(None, Text::TooManyErrors.as_str(), output);
                }
            }
            Status::Ok => self.errors = 0,
            _ => {}
        }
    }

    /// A tagged response of the machine's own; untagged where there is no tag.
    fn say(
        &mut self,
        tag: Option<&Bytes>,
        status: Status,
        code: Option<&ResponseCode>,
        text: &str,
        output: &mut Output,
    ) {
        self.write(tag, status, code, text, output);
        self.count(status, output);
    }

    fn ask(&mut self, tag: Bytes, what: What, event: Event) -> Option<Step<Event>> {
        self.state = State::Asked(Asked { tag, what });
        Some(Step::Event(event))
    }

    fn unit(
        &mut self,
        unit: BytesMut,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        let unit = unit.freeze();
        if begins_append(&unit) {
            return self.append_segment(&unit, None, output);
        }
        let utf8 = self.names_in_utf8();
        match Tagged::parse_as(&unit, &self.options.limits, utf8) {
            Ok(tagged) => self.command(tagged, input, output),
            Err(error) => {
                let text = alloc::format!("Expected {} at octet {}", error.expected, error.offset);
                self.say(error.tag.as_ref(), Status::Bad, None, &text, output);
                None
            }
        }
    }

    fn may_log_in(&self) -> bool {
        self.options.tls || !self.options.login_needs_tls
    }

    /// A line that is no command: a SASL response, or DONE.
    fn line(&mut self, line: &[u8], output: &mut Output) -> Option<Step<Event>> {
        match core::mem::replace(&mut self.state, State::Command) {
            State::Idle(tag) => {
                if line.eq_ignore_ascii_case(b"DONE") {
                    return self.ask(tag, What::Other, Event::IdleDone);
                }
                self.say(
                    Some(&tag),
                    Status::Bad,
                    None,
                    Text::ExpectedDone.as_str(),
                    output,
                );
                Some(Step::Event(Event::IdleDone))
            }
            State::Sasl(tag) => {
                let text = match decode_sasl(line) {
                    Ok(SaslLine::Response(response)) => {
                        let event = Event::SaslResponse(response);
                        return self.ask(tag, What::Authenticate, event);
                    }
                    Ok(SaslLine::Cancel) => Text::Cancelled.as_str(),
                    Err(_) => Text::NotBase64.as_str(),
                };
                self.say(Some(&tag), Status::Bad, None, text, output);
                Some(Step::Event(Event::SaslCancelled))
            }
            state => {
                self.state = state;
                None
            }
        }
    }

    fn refused(
        &mut self,
        head: &[u8],
        refusal: Refusal,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !matches!(self.state, State::Command) {
            return self.line(b"?", output);
        }
        let tag = tag_of(head);
        self.refuse_command(tag.as_ref(), refusal, output);
        None
    }

    fn refuse_command(&mut self, tag: Option<&Bytes>, refusal: Refusal, output: &mut Output) {
        let (code, text) = match refusal {
            Refusal::TooLong => (None, Text::CommandTooLong.as_str()),
            Refusal::LiteralTooBig => (Some(&ResponseCode::TooBig), Text::LiteralTooBig.as_str()),
            Refusal::LiteralEndless => (
                Some(&ResponseCode::TooBig),
                Text::LiteralOfMoreThan63.as_str(),
            ),
            Refusal::BareNewline => (None, Text::BareCrOrLf.as_str()),
            Refusal::Nul => (None, Text::NulInALiteral.as_str()),
        };
        self.say(tag, Status::Bad, code, text, output);
        if refusal == Refusal::LiteralEndless {
            self.bye(None, Text::WhereThisCommandEndsCannot.as_str(), output);
        }
    }

    fn framed(&mut self, input: &mut BytesMut, output: &mut Output) -> Option<Step<Event>> {
        let limits = &self.options.limits;
        let (limit, literal) = match self.state {
            State::Command if self.authenticated => (limits.command, limits.literal),
            State::Command => (limits.command_before_login, limits.literal),
            _ => (limits.sasl_line, 0),
        };
        match self.framer.next(input, limit, literal, false) {
            None => Some(Step::NeedInput),
            Some(Framed::Continue(_)) => {
                output.write(b"+ OK\r\n");
                None
            }
            Some(Framed::Unit(unit)) if matches!(self.state, State::Command) => {
                self.unit(unit, input, output)
            }
            Some(Framed::Unit(line)) => self.line(&line, output),
            Some(Framed::Append(head, literal)) if matches!(self.state, State::Command) => {
                self.append_segment(&head, Some(literal), output)
            }
            Some(Framed::Append(..)) => self.line(b"?", output),
            Some(Framed::Refused(head, refusal)) => self.refused(&head, refusal, output),
        }
    }
}

impl Machine for Connection {
    type Event = Event;
    type Error = Error;

    fn poll(&mut self, input: &mut BytesMut, output: &mut Output) -> Result<Step<Event>, Error> {
        loop {
            let step = match self.state {
                State::Start => self.ask(Bytes::new(), What::Connected, Event::Connected),
                State::Asked(_) => Some(Step::NeedAnswer),
                State::StartTls => Some(Step::StartTls),
                State::Compress => Some(Step::Compress),
                State::Closed => {
                    input.clear();
                    Some(Step::Closed)
                }
                // What was begun ends before anything else is sent.
                _ if self.fetching.is_some() => Some(Step::NeedAnswer),
                State::Message => self.message(input, output),
                State::Command | State::Sasl(_) | State::Idle(_) => self.framed(input, output),
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn end_of_input(&mut self) -> Result<(), Error> {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Message | State::Sasl(_) => Err(Error::InsideCommand),
            State::Command if self.framer.is_in_command() => Err(Error::InsideCommand),
            _ => Ok(()),
        }
    }

    /// At least 30 minutes after login (RFC 9051 §5.4); one minute before.
    fn time_limit(&self) -> Duration {
        let minutes = if self.authenticated { 30 } else { 1 };
        Duration::from_secs(60 * minutes)
    }

    fn timed_out(&mut self, output: &mut Output) {
        self.bye(None, Text::AutologoutIdleForTooLong.as_str(), output);
    }

    fn tls_established(&mut self, _: &mut Output) {
        if let State::StartTls = self.state {
            self.options.tls = true;
            self.texts = None;
            self.state = State::Command;
        }
    }

    /// What was written last was the end of COMPRESS; whatever comes and goes now is compressed
    /// (RFC 4978).
    fn compression_active(&mut self) {
        if let State::Compress = self.state {
            self.options.compressed = true;
            self.state = State::Command;
        }
    }

    /// Says BYE. [`bye`](Self::bye) does so with other words.
    fn shut_down(&mut self, output: &mut Output) {
        self.bye(None, Text::ServerShuttingDown.as_str(), output);
    }
}

#[cfg(test)]
mod tests;
