//! IMAP: a session on a server ([`Session`]), and the sync of an account.

mod able;
mod answers;
mod arrived;
mod bodies;
mod expunge;
mod flag;
mod flow;
mod late;
mod line;
mod lists;
mod login;
mod mailboxes;
mod mirror;
mod missing;
mod parts;
mod replay;
mod requests;
mod sync;
mod words;

pub(crate) use bodies::fetch_whole;
pub use mirror::Mirror;
pub(crate) use sync::sync;

use bytes::Bytes;
use hikyaku_imap_proto::client::{
    Capabilities, Connection, Event, Handle, Misuse, Options, Selected,
};
use hikyaku_imap_proto::{Append, Command, Completion, MailboxName, Status};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{Driver, Next};

use crate::error::out_of_turn;
use crate::pace::{Counted, Pace};
use crate::{Account, Dial, Error, Result, Security, Server, connect};
use flow::Flow;

/// A connection that is logged in.
pub struct Session {
    driver: Driver<Connection, Counted>,
    pace: Pace,
    flow: Flow,
}

/// Octets of a server's words that are shown.
const WORDS: usize = 1_000;

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets.get(..WORDS).unwrap_or(octets)).into_owned()
}

impl Session {
    /// Connects, begins TLS as the server's entry says, and logs in.
    ///
    /// # Errors
    /// [`Error::Login`] when name or password are wrong; errors of the network and of TLS.
    pub async fn open(
        dial: &dyn Dial,
        server: &Server,
        name: &str,
        password: Secret,
    ) -> Result<Self> {
        let stream = connect::open(dial, server).await?;
        let (stream, pace) = Pace::over(stream, dial.limits());
        let mut options = Options::default();
        options.tls = server.security == Security::Tls;
        options.login_needs_tls = server.security != Security::None;
        let mut session = Self {
            driver: Driver::new(Connection::new(options), stream),
            pace,
            flow: Flow::default(),
        };
        let preauth = session.greeting().await?;
        if server.security == Security::StartTls {
            if preauth || !session.capabilities().has("STARTTLS") {
                return Err(connect::no_starttls(server));
            }
            session = session.start_tls(dial, server).await?;
        }
        if !preauth {
            session.log_in(name, &password).await?;
        }
        session.introduce().await?;
        Ok(session)
    }

    /// Says which program this is, where the server has ID: some let nobody open a mailbox who has not (163.com).
    async fn introduce(&mut self) -> Result<()> {
        if self.capabilities().has("ID") {
            let field = |name: &'static str, value: &'static str| {
                (
                    Bytes::from_static(name.as_bytes()),
                    Some(Bytes::from_static(value.as_bytes())),
                )
            };
            let fields = vec![
                field("name", "Hikyaku"),
                field("version", env!("CARGO_PKG_VERSION")),
            ];
            self.ask(Command::Id(fields), |_| {}).await?;
        }
        Ok(())
    }

    async fn greeting(&mut self) -> Result<bool> {
        match self.next().await? {
            Event::Connected { preauth, .. } => Ok(preauth),
            other => Err(Error::Protocol(format!("unexpected greeting: {other:?}"))),
        }
    }

    async fn start_tls(mut self, dial: &dyn Dial, server: &Server) -> Result<Self> {
        self.issue(Command::StartTls)?;
        loop {
            match self.pace.wait(self.driver.next_async()).await?? {
                Next::StartTls => break,
                Next::Event(Event::Completed(_, end)) if end.status != Status::Ok => {
                    return Err(Error::Tls {
                        host: server.host.clone(),
                        why: text(&end.text),
                    });
                }
                Next::Event(event) => self.flow.take(&event, &self.pace)?,
                _ => {}
            }
        }
        self.flow = Flow::default();
        let pace = &mut self.pace;
        let driver = self.driver;
        let driver = driver.upgrade_async(move |stream| pace.encrypt(stream, dial, server));
        self.driver = driver.await?;
        self.greeting().await?;
        Ok(self)
    }

    /// Returns the capabilities of the server.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.driver.machine.capabilities()
    }

    /// Returns the selected mailbox.
    #[must_use]
    pub fn selected(&self) -> Option<&Selected> {
        self.driver.machine.selected()
    }

    /// Sends a command without waiting for its end.
    ///
    /// # Errors
    /// [`Error::Refused`] when the command is not allowed now or cannot be encoded; nothing was sent.
    pub fn issue(&mut self, command: Command) -> Result<Handle> {
        let (machine, output) = self.driver.split();
        machine.issue(command, output).map_err(not_sent)
    }

    /// Waits for the next event from the server.
    ///
    /// # Errors
    /// When the server closes, breaks the protocol, or exceeds one of the [`Limits`](crate::Limits).
    pub async fn next(&mut self) -> Result<Event> {
        match self.pace.wait(self.driver.next_async()).await?? {
            Next::Event(Event::Bye(_, said)) => Err(Error::Network(format!(
                "the server closes: {}",
                text(&said)
            ))),
            Next::Event(event) => {
                self.flow.take(&event, &self.pace)?;
                if flow::ends(&event) {
                    self.pace.begin();
                }
                Ok(event)
            }
            Next::Closed | Next::NeedAnswer | Next::StartTls | Next::Compress => {
                Err(Error::Network("the connection is closed".into()))
            }
        }
    }

    /// Waits for the end of a command; passes events until then to `on`.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn end_of(
        &mut self,
        handle: Handle,
        mut on: impl FnMut(Event),
    ) -> Result<Completion> {
        loop {
            match self.next().await? {
                Event::Completed(of, end) if of == handle => return Ok(end),
                event => on(event),
            }
        }
    }

    /// Performs a command and returns its end, whatever that is; passes events until then to `on`.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn ask(&mut self, command: Command, on: impl FnMut(Event)) -> Result<Completion> {
        let handle = self.issue(command)?;
        self.end_of(handle, on).await
    }

    /// Performs a command; passes events until its end to `on`.
    ///
    /// # Errors
    /// [`Error::Refused`] when it ends with NO or BAD.
    pub async fn run(&mut self, command: Command, on: impl FnMut(Event)) -> Result<Completion> {
        let handle = self.issue(command)?;
        accepted(self.end_of(handle, on).await?)
    }

    /// Appends a message and returns the end of the command, whatever that is.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn append(&mut self, append: &Append, message: Bytes) -> Result<Completion> {
        let (machine, output) = self.driver.split();
        let handle = machine
            .append(append, message.len() as u64, output)
            .map_err(not_sent)?;
        loop {
            match self.next().await? {
                Event::SendBody(of) if of == handle => {
                    for start in (0..message.len()).step_by(65_536) {
                        let piece = message.slice(start..message.len().min(start + 65_536));
                        let (machine, output) = self.driver.split();
                        machine.chunk(piece, output).map_err(out_of_turn)?;
                        self.driver.flush_if_full().await?;
                    }
                }
                Event::Completed(of, end) if of == handle => return Ok(end),
                _ => {}
            }
        }
    }

    /// Waits with IDLE until something changes in the selected mailbox.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn idle(&mut self) -> Result<()> {
        let handle = self.issue(Command::Idle)?;
        loop {
            match self.driver.next_async().await {
                Ok(Next::Event(Event::Completed(of, end))) if of == handle => {
                    return accepted(end).map(drop);
                }
                Ok(Next::Event(
                    Event::Exists(_)
                    | Event::Expunged { .. }
                    | Event::Vanished { .. }
                    | Event::Fetch { .. },
                )) => break,
                Ok(Next::Event(event)) => self.flow.take(&event, &self.pace)?,
                Ok(_) => return Err(Error::Network("the connection is closed".into())),
                Err(error) => return Err(error.into()),
            }
        }
        let (machine, output) = self.driver.split();
        machine.done(output).map_err(out_of_turn)?;
        self.pace.begin();
        self.end_of(handle, |_| {}).await.map(drop)
    }

    /// Logs out.
    pub async fn log_out(mut self) {
        if let Ok(handle) = self.issue(Command::Logout) {
            let _ = tokio::time::timeout(
                std::time::Duration::from_secs(5),
                self.end_of(handle, |_| {}),
            )
            .await;
        }
        self.driver.shutdown().await;
    }
}

/// Waits until the server reports a change in INBOX.
///
/// # Errors
/// When the server has no IDLE; errors of the network.
pub async fn changed(dial: &dyn Dial, account: &Account) -> Result<()> {
    let password = account.password.get(&account.address).await?;
    let session = Session::open(dial, &account.incoming, account.login(), password);
    let mut session = session.await?;
    if !session.capabilities().has("IDLE") {
        session.log_out().await;
        return Err(Error::Refused("the server has no IDLE".into()));
    }
    session
        .run(Command::examine(MailboxName::new("INBOX")), |_| {})
        .await?;
    session.idle().await?;
    session.log_out().await;
    Ok(())
}

/// Nothing was sent: the connection is as good as before.
fn not_sent(misuse: Misuse) -> Error {
    Error::Refused(format!("the command cannot be sent: {misuse}"))
}

fn accepted(end: Completion) -> Result<Completion> {
    match end.status {
        Status::Ok => Ok(end),
        _ => Err(Error::Refused(text(&end.text))),
    }
}
