//! Logging in: by name and password, or by SASL (PLAIN, LOGIN and SCRAM-SHA-256, by rsasl).
//!
//! What all protocols share: a wrong password is refused slowly, and every outcome is counted and logged.

use hikyaku_wire::{LOGIN_PROMPTS as PROMPTS, Secret};
use mailstore::{Account, block_on};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechname::Mechname;
use rsasl::prelude::{SASLConfig, SASLServer, Session, SessionError};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, Validation, ValidationError};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

use crate::Accounts;
use crate::metrics::count;
use crate::server::Shared;

/// The mechanisms, as they are announced.
pub(crate) const MECHANISMS: [&str; 3] = ["PLAIN", "LOGIN", "SCRAM-SHA-256"];

/// How slowly a wrong password is refused.
const WRONG_PASSWORD: Duration = Duration::from_secs(2);

/// The login of one connection.
pub(crate) struct Login {
    shared: Arc<Shared>,
    exchange: Option<Exchange>,
}

/// What a step of a login came to.
pub(crate) enum LoginStep {
    Challenge(Vec<u8>),
    Account(Box<Account>),
    /// The credentials are wrong.
    Refused,
    /// Nobody can say: the store does not answer.
    Unavailable,
}

impl Login {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            exchange: None,
        }
    }

    /// By name and password.
    pub(crate) async fn password(&mut self, name: &[u8], password: &Secret) -> LoginStep {
        let name = String::from_utf8_lossy(name);
        let password = password.expose_str().unwrap_or("");
        match self.shared.accounts.verify(&name, password).await {
            Ok(account) => self.ended(account.map(Box::new)).await,
            Err(error) => {
                warn!(%error, "store");
                LoginStep::Unavailable
            }
        }
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
        let stepped = match &mut self.exchange {
            Some(exchange) => exchange.step(response).await,
            None => Stepped::Done(None),
        };
        match stepped {
            Stepped::Challenge(challenge) => LoginStep::Challenge(challenge),
            Stepped::Done(account) => self.ended(account).await,
        }
    }

    async fn ended(&mut self, account: Option<Box<Account>>) -> LoginStep {
        self.exchange = None;
        let metrics = &self.shared.metrics;
        let Some(account) = account else {
            info!("login failed");
            count(&metrics.logins_failed_total);
            tokio::time::sleep(WRONG_PASSWORD).await;
            return LoginStep::Refused;
        };
        info!(account = account.name, "logged in");
        count(&metrics.logins_total);
        LoginStep::Account(account)
    }
}

/// An exchange that is under way.
struct Exchange {
    accounts: Accounts,
    session: Session<Outcome>,
    is_login: bool,
    begun: bool,
    /// The end was sent as a challenge (SCRAM's `v=`): the client's empty response ends it.
    ended: Option<Option<Box<Account>>>,
}

/// What a step came to.
enum Stepped {
    Challenge(Vec<u8>),
    /// `None`: the credentials are wrong.
    Done(Option<Box<Account>>),
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

struct Callback(Accounts);

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
        let account = block_on(self.0.find(name)).ok().flatten();
        let keys = account.as_ref().and_then(Accounts::scram_keys);
        // A name that there is not gets keys that nothing proves: it looks as one that there is.
        let keys = keys.unwrap_or_else(|| self.0.nobodys_keys(name));
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
        let name = Mechname::parse(mechanism).ok()?;
        let callback = Callback(accounts.clone());
        let config = SASLConfig::builder()
            .with_defaults()
            .with_callback(callback)
            .ok()?;
        let session = SASLServer::<Outcome>::new(config)
            .start_suggested(name)
            .ok()?;
        Some(Self {
            accounts: accounts.clone(),
            session,
            is_login: mechanism == b"LOGIN",
            begun: false,
            ended: None,
        })
    }

    /// Gives the client's response, or `None` when it has sent no initial one.
    async fn step(&mut self, response: Option<&[u8]>) -> Stepped {
        let mut challenge = Vec::new();
        if let Some(account) = self.ended.take() {
            return Stepped::Done(account);
        }
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
            Err(_) => return Stepped::Done(None),
        }
        let account = match self.session.validation() {
            Some(Found::Password(name, password)) => self.accounts.verify(&name, &password).await,
            Some(Found::Proved(name)) => self.accounts.find(&name).await,
            _ => Ok(None),
        };
        let account = account.ok().flatten().map(Box::new);
        if challenge.is_empty() {
            return Stepped::Done(account);
        }
        self.ended = Some(account);
        Stepped::Challenge(challenge)
    }
}
