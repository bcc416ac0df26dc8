//! POP: a session on a server ([`Session`]), and the sync of an account.

mod delete;
mod fetch;
mod maildrop;
mod record;
mod state;
mod sync;

use bytes::{Bytes, BytesMut};
use hikyaku_pop3_proto::client::{Connection, Event, Handle, Options};
use hikyaku_pop3_proto::{Capabilities, Response, ResponseCode};
use hikyaku_wire::Secret;
use hikyaku_wire::drive::{DriveError, Driver, Next};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) use sync::sync;

use crate::error::out_of_turn;
use crate::pace::{Counted, Pace};
use crate::{Dial, Error, Result, Security, Server, connect};
use record::{Hash, hash, is_of_number};

/// The longest header section that is kept of TOP, in octets.
const HEADER: usize = 1024 * 1024;
/// Octets of TOP past which no end of it is waited for.
const TOP: u64 = 16 * 1024 * 1024;
/// Challenges of one login.
const CHALLENGES: usize = 4;

/// What a session does without, since the last one broke off over it.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    no_capa: bool,
    no_top: bool,
    no_uidl: bool,
    one_by_one: bool,
}

/// A connection with an open maildrop.
pub struct Session {
    driver: Driver<Connection, Counted>,
    pace: Pace,
    /// `None` where CAPA was refused: then anything may be there.
    capabilities: Option<Capabilities>,
    manner: Manner,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

fn said(response: &Response) -> String {
    String::from_utf8_lossy(&response.text).into_owned()
}

/// What a refusal that is none of the credentials means for the caller.
fn refusal(response: &Response) -> Option<Error> {
    let text = response.text.to_ascii_lowercase();
    let has = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
    // Servers without RFC 2449 say it in words alone.
    let is_locked = (has("maildrop") || has("mailbox") || has("mail drop"))
        && (has("lock") || has("in use") || has("busy"));
    let why = match &response.code {
        Some(ResponseCode::InUse) => "another session holds the mailbox, try again later",
        Some(ResponseCode::LoginDelay) => {
            "the server wants more time between logins, try again later"
        }
        Some(ResponseCode::SysTemp) => "the server has trouble, try again later",
        Some(ResponseCode::SysPerm) => {
            let why = "the server has trouble that somebody must mend";
            return Some(Error::Refused(format!("{why}: {}", said(response))));
        }
        None if is_locked => "another session holds the mailbox, try again later",
        _ => return None,
    };
    Some(Error::Network(format!("{why}: {}", said(response))))
}

/// Whether the words leave no doubt that the password is what is wrong.
fn is_about_the_password(response: &Response) -> bool {
    let text = response.text.to_ascii_lowercase();
    let words = ["password", "credential", "disabled", "locked"];
    let has = |word: &str| memchr::memmem::find(&text, word.as_bytes()).is_some();
    response.code == Some(ResponseCode::Auth) || words.into_iter().any(has)
}

fn accepted(response: &Response) -> Result<()> {
    match response.is_ok {
        true => Ok(()),
        false => Err(refusal(response).unwrap_or_else(|| Error::Refused(said(response)))),
    }
}

/// A listing, as it came.
#[derive(Debug)]
struct Listing<T> {
    is_ok: bool,
    lines: BTreeMap<u32, T>,
    /// Numbers with more than one line, which say nothing.
    twice: BTreeSet<u32>,
}

impl<T> Listing<T> {
    fn put(lines: &mut BTreeMap<u32, T>, twice: &mut BTreeSet<u32>, number: u32, value: T) {
        if lines.insert(number, value).is_some() {
            twice.insert(number);
        }
    }
}

impl Session {
    /// Connects, begins TLS as the server's entry says, and logs in.
    ///
    /// # Errors
    /// [`Error::Login`] when name or password are wrong; errors of the network and of TLS. A mailbox that is
    /// held by another session is [`Error::Network`]: it is tried again later.
    pub async fn open(
        dial: &dyn Dial,
        server: &Server,
        name: &str,
        password: Secret,
    ) -> Result<Self> {
        Self::open_in(dial, server, name, &password, &mut Manner::default()).await
    }

    async fn open_in(
        dial: &dyn Dial,
        server: &Server,
        name: &str,
        password: &Secret,
        manner: &mut Manner,
    ) -> Result<Self> {
        let mut session = Self::greeted(dial, server, *manner).await?;
        if let Err(error) = session.ask_capabilities().await {
            // Servers are known that close when they do not know a command.
            if std::mem::replace(&mut manner.no_capa, true) || !matches!(error, Error::Network(_)) {
                return Err(error);
            }
            session = Self::greeted(dial, server, *manner).await?;
        }
        if server.security == Security::StartTls {
            if session.capabilities.as_ref().is_some_and(|all| !all.stls) {
                return Err(connect::no_starttls(server));
            }
            session = session.start_tls(dial, server).await?;
            session.ask_capabilities().await?;
        }
        session.log_in(name, password).await?;
        // What comes after the login may be more (RFC 2449 §5).
        session.ask_capabilities().await?;
        Ok(session)
    }

    async fn greeted(dial: &dyn Dial, server: &Server, manner: Manner) -> Result<Self> {
        let stream = connect::open(dial, server).await?;
        let (stream, pace) = Pace::over(stream, dial.limits());
        let mut options = Options::default();
        options.one_by_one = manner.one_by_one;
        options.limits.listing = pace.limits().maildrop;
        options.tls = server.security == Security::Tls;
        options.login_needs_tls = server.security != Security::None;
        let mut session = Self {
            pace,
            driver: Driver::new(Connection::new(options), stream),
            capabilities: None,
            manner,
        };
        match session.next().await? {
            Event::Connected { response, .. } => accepted(&response).map(|()| session),
            other => Err(Error::Protocol(format!("unexpected greeting: {other:?}"))),
        }
    }

    async fn next(&mut self) -> Result<Event> {
        let next = self.pace.wait(self.driver.next_async()).await?;
        if let Err(DriveError::Protocol(hikyaku_pop3_proto::client::Error::Unanswered { .. })) =
            next
        {
            return Err(Error::Network("the server closed the connection".into()));
        }
        match next? {
            Next::Event(Event::Bye(response)) => Err(Error::Network(format!(
                "the server closes: {}",
                said(&response)
            ))),
            Next::Event(event) => {
                let ends = matches!(
                    event,
                    Event::Connected { .. }
                        | Event::Completed { .. }
                        | Event::Authenticated { .. }
                        | Event::AuthenticationRefused { .. }
                );
                if ends {
                    self.pace.begin();
                }
                Ok(event)
            }
            Next::Closed | Next::NeedAnswer | Next::StartTls | Next::Compress => {
                Err(Error::Network("the connection is closed".into()))
            }
        }
    }

    async fn end_of(&mut self, handle: Handle, mut on: impl FnMut(Event)) -> Result<Response> {
        loop {
            match self.next().await? {
                Event::Completed {
                    handle: of,
                    response,
                } if of == handle => return Ok(response),
                event => on(event),
            }
        }
    }

    async fn ask_capabilities(&mut self) -> Result<()> {
        if self.manner.no_capa {
            return Ok(());
        }
        let (machine, output) = self.driver.split();
        let handle = machine.capa(output).map_err(out_of_turn)?;
        let mut all = None;
        // A server without CAPA is one without any; after the login some refuse it.
        let response = self.end_of(handle, |event| {
            if let Event::Capabilities(these) = event {
                all = Some(these);
            }
        });
        response.await?;
        self.capabilities = all.or(self.capabilities.take());
        Ok(())
    }

    async fn start_tls(mut self, dial: &dyn Dial, server: &Server) -> Result<Self> {
        let (machine, output) = self.driver.split();
        machine.stls(output).map_err(out_of_turn)?;
        loop {
            match self.pace.wait(self.driver.next_async()).await?? {
                Next::StartTls => break,
                Next::Event(Event::Completed { response, .. }) if !response.is_ok => {
                    return Err(Error::Tls {
                        host: server.host.clone(),
                        why: said(&response),
                    });
                }
                _ => {}
            }
        }
        let pace = &mut self.pace;
        let driver = self.driver;
        let driver = driver.upgrade_async(move |stream| pace.encrypt(stream, dial, server));
        self.driver = driver.await?;
        // What was said in clear counts no more (RFC 2595 §4).
        self.capabilities = None;
        Ok(self)
    }

    /// AUTH PLAIN where the server has it; USER and PASS where it has not, or where the refusal is not
    /// plainly one of the password.
    async fn log_in(&mut self, name: &str, password: &Secret) -> Result<()> {
        let has_plain = self.capabilities.as_ref().is_some_and(|all| {
            let mut mechanisms = all.mechanisms.iter();
            mechanisms.any(|one| one.eq_ignore_ascii_case(b"PLAIN"))
        });
        if has_plain {
            let message = [b"\0", name.as_bytes(), b"\0", password.expose()].concat();
            let message = Secret::from(message);
            let (machine, output) = self.driver.split();
            let handle = machine.authenticate("PLAIN", Some(message.clone()), output);
            let handle = handle.map_err(out_of_turn)?;
            let Err(response) = self.end_of_login(handle, Some(message)).await? else {
                return Ok(());
            };
            if let Some(error) = refusal(&response) {
                return Err(error);
            }
            if is_about_the_password(&response) {
                return Err(Error::Login(said(&response)));
            }
        }
        let (machine, output) = self.driver.split();
        let handle = machine
            .login(name.to_owned(), password.clone(), output)
            .map_err(out_of_turn)?;
        let response = self.end_of_login(handle, None).await?;
        match response {
            Ok(()) => Ok(()),
            Err(response) => {
                Err(refusal(&response).unwrap_or_else(|| Error::Login(said(&response))))
            }
        }
    }

    /// How a login ends; `answer` is for a challenge.
    async fn end_of_login(
        &mut self,
        handle: Handle,
        mut answer: Option<Secret>,
    ) -> Result<std::result::Result<(), Response>> {
        let mut challenges = 0;
        loop {
            match self.next().await? {
                // Some ask for what came with the command already; a second challenge is cancelled.
                Event::Challenge(_) => {
                    challenges += 1;
                    if challenges > CHALLENGES {
                        return Err(Error::Protocol(
                            "the server asks again instead of ending the login".into(),
                        ));
                    }
                    let answer = answer.take();
                    let (machine, output) = self.driver.split();
                    machine
                        .respond(answer.as_ref(), output)
                        .map_err(out_of_turn)?;
                }
                Event::Authenticated { handle: of, .. } if of == handle => return Ok(Ok(())),
                Event::AuthenticationRefused {
                    handle: of,
                    response,
                } if of == handle => return Ok(Err(response)),
                _ => {}
            }
        }
    }

    /// Numbers and octets of all messages.
    async fn sizes(&mut self) -> Result<Listing<u64>> {
        let (machine, output) = self.driver.split();
        let handle = machine.list(None, output).map_err(out_of_turn)?;
        let (mut lines, mut twice) = (BTreeMap::new(), BTreeSet::new());
        let response = self.end_of(handle, |event| {
            if let Event::Size { number, octets } = event {
                Listing::put(&mut lines, &mut twice, number, octets);
            }
        });
        let is_ok = response.await?.is_ok;
        Ok(Listing {
            is_ok,
            lines,
            twice,
        })
    }

    /// Unique-ids of all messages: the hash of each, and whether it may be made of the message's number. The octets
    /// themselves would keep the whole answer in memory.
    async fn unique_ids(&mut self) -> Result<Listing<(Hash, bool)>> {
        if self.manner.no_uidl {
            return Ok(Listing {
                is_ok: false,
                lines: BTreeMap::new(),
                twice: BTreeSet::new(),
            });
        }
        let (machine, output) = self.driver.split();
        let handle = machine.uidl(None, output).map_err(out_of_turn)?;
        let (mut lines, mut twice) = (BTreeMap::new(), BTreeSet::new());
        let response = self.end_of(handle, |event| {
            if let Event::UniqueId { number, unique_id } = event {
                let id = (hash(&unique_id), is_of_number(&unique_id, number));
                Listing::put(&mut lines, &mut twice, number, id);
            }
        });
        let is_ok = response.await?.is_ok;
        Ok(Listing {
            is_ok,
            lines,
            twice,
        })
    }

    /// How many messages there are, by STAT.
    async fn count(&mut self) -> Result<u32> {
        let (machine, output) = self.driver.split();
        let handle = machine.stat(output).map_err(out_of_turn)?;
        let mut count = 0;
        let response = self.end_of(handle, |event| {
            if let Event::Maildrop { messages, .. } = event {
                count = messages;
            }
        });
        accepted(&response.await?)?;
        Ok(count)
    }

    fn may_have_top(&self) -> bool {
        !self.manner.no_top && self.capabilities.as_ref().is_none_or(|all| all.top)
    }

    /// The header section of a message; `None` from a server without TOP, or when it is too long.
    async fn header(&mut self, number: u32) -> Result<Option<Bytes>> {
        let (machine, output) = self.driver.split();
        let handle = machine.top(number, 0, output).map_err(out_of_turn)?;
        let (mut header, mut fits) = (BytesMut::new(), true);
        let response = loop {
            match self.next().await? {
                Event::Chunk(octets) => {
                    fits &= header.len() + octets.len() <= HEADER;
                    if fits {
                        header.extend_from_slice(&octets);
                    } else if self.pace.came() > TOP {
                        return Err(Error::Protocol("the header section has no end".into()));
                    }
                }
                Event::Completed {
                    handle: of,
                    response,
                } if of == handle => break response,
                _ => {}
            }
        };
        let is_ok = response.is_ok;
        if !is_ok && self.capabilities.is_none() {
            // Most likely it is missing altogether.
            self.manner.no_top = true;
        }
        Ok((is_ok && fits).then(|| header.freeze()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(line: &'static str) -> Response {
        Response::parse(&line.into()).unwrap()
    }

    #[test]
    fn a_refusal_for_now_is_no_wrong_password() {
        for line in [
            "-ERR [IN-USE] no",
            "-ERR [LOGIN-DELAY] wait",
            "-ERR [SYS/TEMP] disk",
            "-ERR maildrop already locked",
            "-ERR Your mailbox is in use by another client",
        ] {
            let error = refusal(&response(line)).unwrap();
            assert!(matches!(error, Error::Network(_)), "{line}: {error}");
        }
        let error = refusal(&response("-ERR [SYS/PERM] gone")).unwrap();
        assert!(matches!(error, Error::Refused(_)), "{error}");
        for line in [
            "-ERR [AUTH] no",
            "-ERR authentication failed",
            "-ERR wrong password",
            "-ERR",
        ] {
            assert!(refusal(&response(line)).is_none(), "{line}");
        }
        assert!(is_about_the_password(&response("-ERR Invalid PASSWORD")));
        assert!(!is_about_the_password(&response("-ERR unknown mechanism")));
    }
}
