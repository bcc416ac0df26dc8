//! A SASL exchange, by rsasl.

use hikyaku_mailstore::{Account, block_on};
use hikyaku_wire::{LOGIN_PROMPTS as PROMPTS, Secret};
use rsasl::callback::{Context, Request, SessionCallback, SessionData};
use rsasl::mechanisms::scram::properties::ScramStoredPassword;
use rsasl::mechname::Mechname;
use rsasl::prelude::{SASLConfig, SASLServer, Session, SessionError};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, Validation, ValidationError};
use std::sync::{Arc, Mutex, PoisonError};

use crate::Directory;

/// An exchange that is under way.
pub(crate) struct Exchange {
    session: Session<Outcome>,
    /// Who wants to log in, once that is known.
    name: Arc<Mutex<Option<String>>>,
    is_login: bool,
    is_scram: bool,
    begun: bool,
    /// The end was sent as a challenge (SCRAM's `v=`): the client's empty response ends it.
    pub(crate) ended: Option<Box<Account>>,
}

/// What a step came to.
pub(crate) enum Stepped {
    Challenge(Vec<u8>),
    /// The exchange is over, with what the client has to be sent still.
    Found(Found, Vec<u8>),
    /// What came is no exchange, or proves nothing.
    Failed,
}

/// Whom the mechanism found, and what is left to check.
pub(crate) enum Found {
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
    directory: Arc<dyn Directory>,
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
        let Ok(Some(keys)) = block_on(self.directory.scram_keys(name)) else {
            return Ok(());
        };
        let keys =
            ScramStoredPassword::new(keys.iterations, &keys.salt, &keys.stored, &keys.server);
        request.satisfy::<ScramStoredPassword<'_>>(&keys)?;
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
    /// Begins one; `None` when that mechanism is not offered.
    pub(crate) fn start(directory: &Arc<dyn Directory>, mechanism: &[u8]) -> Option<Self> {
        let mut offered = directory.mechanisms().iter();
        offered.find(|name| name.as_bytes() == mechanism)?;
        let mechname = Mechname::parse(mechanism).ok()?;
        let name = Arc::default();
        let callback = Callback {
            directory: Arc::clone(directory),
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
    pub(crate) fn proves_next(&self) -> Option<String> {
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        name.clone().filter(|_| self.begun && self.is_scram)
    }

    /// Gives the client's response, or `None` when it has sent no initial one. Where SCRAM asks the directory, a thread
    /// that may wait does.
    pub(crate) async fn step(self, response: Option<Secret>) -> (Self, Stepped) {
        let given = move |mut exchange: Self| {
            let stepped = exchange.take(response.as_ref().map(Secret::expose));
            (exchange, stepped)
        };
        if !self.is_scram {
            return given(self);
        }
        match tokio::task::spawn_blocking(move || given(self)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn take(&mut self, response: Option<&[u8]>) -> Stepped {
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
        if first && response.is_some() && self.session.are_we_first() {
            // LOGIN with an initial response: the answer to a challenge that was not sent yet.
            if self.session.step(None, &mut Vec::new()).is_err() {
                return Stepped::Failed;
            }
        }
        match self.session.step(response, &mut challenge) {
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
