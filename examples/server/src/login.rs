//! Logging in: by name and password, or by SASL (PLAIN, LOGIN and SCRAM-SHA-256, by rsasl).
//!
//! What all protocols share: an attempt waits for its turn and a wrong password is refused slowly
//! ([`Throttle`](hikyaku_webmail::Throttle)), and every outcome is counted and logged.

use hikyaku_webmail::{TooMany, Turn};
use hikyaku_wire::{LOGIN_PROMPTS as PROMPTS, Secret};
use mailstore::{Account, block_on};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechname::Mechname;
use rsasl::prelude::{SASLConfig, SASLServer, Session, SessionError};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, Validation, ValidationError};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{info, warn};

use crate::Accounts;
use crate::metrics::count;
use crate::server::Shared;

/// The mechanisms, as they are announced.
pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "LOGIN", "SCRAM-SHA-256"];

/// The login of one connection.
pub(crate) struct Login {
    shared: Arc<Shared>,
    peer: IpAddr,
    exchange: Option<Exchange>,
}

/// What a step of a login came to.
pub(crate) enum LoginStep {
    Challenge(Vec<u8>),
    Account(Box<Account>),
    /// The credentials are wrong.
    Refused,
    /// Nobody can say: the store does not answer, or too many attempts wait.
    Unavailable,
}

impl Login {
    /// For a connection from there.
    pub(crate) fn new(shared: &Arc<Shared>, peer: IpAddr) -> Self {
        Self {
            shared: Arc::clone(shared),
            peer,
            exchange: None,
        }
    }

    /// By name and password.
    pub(crate) async fn password(&mut self, name: &[u8], password: &Secret) -> LoginStep {
        let name = String::from_utf8_lossy(name);
        let password = password.expose_str().unwrap_or("");
        self.check(&name, password).await
    }

    /// Begins a SASL exchange.
    pub(crate) async fn begin(&mut self, mechanism: &[u8], initial: Option<&Secret>) -> LoginStep {
        self.exchange = Exchange::start(&self.shared.accounts, mechanism);
        self.step(initial.map(Secret::expose)).await
    }

    /// The client's next response.
    pub(crate) async fn respond(&mut self, response: &Secret) -> LoginStep {
        self.step(Some(response.expose())).await
    }

    /// The client has given up.
    pub(crate) fn cancel(&mut self) {
        self.exchange = None;
    }

    async fn step(&mut self, response: Option<&[u8]>) -> LoginStep {
        let Some(mut exchange) = self.exchange.take() else {
            return self.refused(None).await;
        };
        if let Some(account) = exchange.ended.take() {
            return self.logged_in(account);
        }
        // What SCRAM is sent next proves a password, or does not: it is a guess as any other.
        let turn = match exchange.proves_next() {
            Some(name) => match self.turn(&name).await {
                Ok(turn) => Some(turn),
                Err(TooMany) => return LoginStep::Unavailable,
            },
            None => None,
        };
        match exchange.step(response) {
            Stepped::Challenge(challenge) => {
                if let Some(turn) = turn {
                    turn.undecided();
                }
                self.exchange = Some(exchange);
                LoginStep::Challenge(challenge)
            }
            Stepped::Found(Found::Password(name, password), _) => {
                self.check(&name, &password).await
            }
            Stepped::Found(Found::Proved(name), proof) => {
                let Some(turn) = turn else {
                    return self.refused(None).await;
                };
                match self.shared.accounts.find(&name).await {
                    Ok(Some(account)) => {
                        turn.succeeded();
                        if proof.is_empty() {
                            return self.logged_in(Box::new(account));
                        }
                        exchange.ended = Some(Box::new(account));
                        self.exchange = Some(exchange);
                        LoginStep::Challenge(proof)
                    }
                    Ok(None) => self.refused(Some(turn)).await,
                    Err(error) => self.unavailable(&error, turn),
                }
            }
            Stepped::Found(Found::Refused, _) | Stepped::Failed => self.refused(turn).await,
        }
    }

    /// Waits until a password of that account may be looked at.
    async fn turn(&self, name: &str) -> Result<Turn, TooMany> {
        let name = self.shared.accounts.login_name(name);
        let turn = self.shared.throttle.turn(Some(self.peer), &name).await;
        turn.inspect_err(|error| info!(%error, "login"))
    }

    async fn check(&self, name: &str, password: &str) -> LoginStep {
        let Ok(turn) = self.turn(name).await else {
            return LoginStep::Unavailable;
        };
        match self.shared.accounts.verify(name, password).await {
            Ok(Some(account)) => {
                turn.succeeded();
                self.logged_in(Box::new(account))
            }
            Ok(None) => self.refused(Some(turn)).await,
            Err(error) => self.unavailable(&error, turn),
        }
    }

    fn unavailable(&self, error: &mailstore::Error, turn: Turn) -> LoginStep {
        warn!(%error, "store");
        turn.undecided();
        LoginStep::Unavailable
    }

    async fn refused(&self, turn: Option<Turn>) -> LoginStep {
        info!("login failed");
        count(&self.shared.metrics.logins_failed_total);
        match turn {
            Some(turn) => turn.failed().await,
            None => Turn::none_needed().await,
        }
        LoginStep::Refused
    }

    fn logged_in(&self, account: Box<Account>) -> LoginStep {
        info!(account = account.name, "logged in");
        count(&self.shared.metrics.logins_total);
        LoginStep::Account(account)
    }
}

/// An exchange that is under way.
struct Exchange {
    session: Session<Outcome>,
    /// Who wants to log in, once that is known.
    name: Arc<Mutex<Option<String>>>,
    is_login: bool,
    is_scram: bool,
    begun: bool,
    /// The end was sent as a challenge (SCRAM's `v=`): the client's empty response ends it.
    ended: Option<Box<Account>>,
}

/// What a step came to.
enum Stepped {
    Challenge(Vec<u8>),
    /// The exchange is over, with what the client has to be sent still.
    Found(Found, Vec<u8>),
    /// What came is no exchange, or proves nothing.
    Failed,
}

/// Whom the mechanism found, and what is left to check.
enum Found {
    /// A name and a password in clear.
    Password(String, String),
    /// SCRAM has proved it.
    Proved(String),
    /// To act for somebody else is not allowed.
    Refused,
}

struct Outcome;

impl Validation for Outcome {
    type Value = Found;
}

struct Callback {
    accounts: Accounts,
    name: Arc<Mutex<Option<String>>>,
}

impl SessionCallback for Callback {
    fn callback(
        &self,
        _: &SessionData,
        context: &Context<'_>,
        request: &mut Request<'_>,
    ) -> Result<(), SessionError> {
        let Some(name) = context.get_ref::<AuthId>() else {
            return Ok(());
        };
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.into());
        let account = block_on(self.accounts.find(name)).ok().flatten();
        let keys = account.as_ref().and_then(Accounts::scram_keys);
        // A name that there is not gets keys that nothing proves: it looks as one that there is.
        let keys = keys.unwrap_or_else(|| self.accounts.nobodys_keys(name));
        {
            let keys =
                ScramStoredPassword::new(keys.iterations, &keys.salt, &keys.stored, &keys.server);
            request.satisfy::<ScramStoredPassword<'_>>(&keys)?;
        }
        Ok(())
    }

    fn validate(
        &self,
        session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let scram = session.mechanism().mechanism.starts_with("SCRAM");
        validate.with::<Outcome, _>(|| {
            let name = context.get_ref::<AuthId>().unwrap_or("");
            let acts_for = context.get_ref::<AuthzId>().unwrap_or("");
            let password = context.get_ref::<Password>().map(String::from_utf8_lossy);
            Ok(match password {
                _ if !acts_for.is_empty() && !acts_for.eq_ignore_ascii_case(name) => Found::Refused,
                None if scram => Found::Proved(name.into()),
                Some(password) if !scram => Found::Password(name.into(), password.into_owned()),
                _ => Found::Refused,
            })
        })?;
        Ok(())
    }
}

impl Exchange {
    /// Begins one; `None` when there is no such mechanism.
    fn start(accounts: &Accounts, mechanism: &[u8]) -> Option<Self> {
        let mechname = Mechname::parse(mechanism).ok()?;
        let name = Arc::default();
        let callback = Callback {
            accounts: accounts.clone(),
            name: Arc::clone(&name),
        };
        let config = SASLConfig::builder()
            .with_defaults()
            .with_callback(callback)
            .ok()?;
        let session = SASLServer::<Outcome>::new(config)
            .start_suggested(mechname)
            .ok()?;
        Some(Self {
            session,
            name,
            is_login: mechanism == b"LOGIN",
            is_scram: mechanism.starts_with(b"SCRAM"),
            begun: false,
            ended: None,
        })
    }

    /// Whose password the client's next response proves, without being one.
    fn proves_next(&self) -> Option<String> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone().filter(|_| self.begun && self.is_scram)
    }

    /// Gives the client's response, or `None` when it has sent no initial one.
    fn step(&mut self, response: Option<&[u8]>) -> Stepped {
        let mut challenge = Vec::new();
        if response.is_none() && !self.session.are_we_first() {
            return Stepped::Challenge(challenge);
        }
        let first = !std::mem::replace(&mut self.begun, true);
        // An empty name is what clients send that do not know what to send with AUTH LOGIN.
        let response = response.filter(|name| !(first && self.is_login && name.is_empty()));
        let [username, password] = PROMPTS;
        let prompt = match first && response.is_none() {
            true => username,
            false => password,
        };
        let stepped = tokio::task::block_in_place(|| {
            if first && response.is_some() && self.session.are_we_first() {
                // LOGIN with an initial response: the answer to a challenge that was not sent yet.
                self.session.step(None, &mut Vec::new())?;
            }
            self.session.step(response, &mut challenge)
        });
        match stepped {
            Ok(state) if state.is_running() && self.is_login => {
                return Stepped::Challenge(prompt.to_vec());
            }
            Ok(state) if state.is_running() => return Stepped::Challenge(challenge),
            Ok(_) => {}
            Err(_) => return Stepped::Failed,
        }
        match self.session.validation() {
            Some(found) => Stepped::Found(found, challenge),
            None => Stepped::Failed,
        }
    }
}
