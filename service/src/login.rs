//! Logging in: by name and password, or by SASL (PLAIN, LOGIN and SCRAM-SHA-256, by rsasl).
//!
//! All protocols share it: an attempt waits for its turn, a wrong password is refused slowly
//! ([`Directory::turn`](crate::Directory::turn)), and every outcome is counted and logged.

use bytes::Bytes;
use hikyaku_mailstore::Account;
use hikyaku_wire::Secret;
use std::net::IpAddr;
use tracing::{info, warn};

use crate::Directory;
use crate::directory::{Guess, TooMany, Turn, WRONG};
use crate::exchange::{Exchange, Found, Stepped};
use crate::options::Happened;
use crate::service::Service;

/// The mechanisms, as they are announced.
pub(crate) fn mechanisms(directory: &dyn Directory) -> Vec<Bytes> {
    let names = directory.mechanisms().iter();
    names
        .map(|name| Bytes::from_static(name.as_bytes()))
        .collect()
}

/// The login of one connection.
pub(crate) struct Login<'a> {
    service: &'a Service,
    peer: IpAddr,
    exchange: Option<Exchange>,
}

/// The result of a step of a login.
pub(crate) enum LoginStep {
    Challenge(Vec<u8>),
    Account(Box<Account>),
    /// The credentials are wrong.
    Refused,
    /// Nobody can say: the store does not answer, or too many attempts wait.
    Unavailable,
}

impl<'a> Login<'a> {
    /// For a connection from there.
    pub(crate) fn new(service: &'a Service, peer: IpAddr) -> Self {
        Self {
            service,
            peer,
            exchange: None,
        }
    }

    /// By name and password.
    pub(crate) async fn password(&mut self, name: &[u8], password: &Secret) -> LoginStep {
        let name = String::from_utf8_lossy(name);
        self.check(&name, password).await
    }

    /// Begins a SASL exchange.
    pub(crate) async fn begin(&mut self, mechanism: &[u8], initial: Option<&Secret>) -> LoginStep {
        self.exchange = Exchange::start(&self.service.directory, mechanism);
        self.step(initial).await
    }

    /// The client's next response.
    pub(crate) async fn respond(&mut self, response: &Secret) -> LoginStep {
        self.step(Some(response)).await
    }

    /// The client has given up.
    pub(crate) fn cancel(&mut self) {
        self.exchange = None;
    }

    async fn step(&mut self, response: Option<&Secret>) -> LoginStep {
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
        let (mut exchange, stepped) = exchange.step(response.cloned()).await;
        match stepped {
            Stepped::Challenge(challenge) => {
                if let Some(turn) = turn {
                    turn.end(Guess::Undecided).await;
                }
                self.exchange = Some(exchange);
                LoginStep::Challenge(challenge)
            }
            Stepped::Found(Found::Password(name, password), _) => {
                self.check(&name, &Secret::from(password.into_bytes()))
                    .await
            }
            Stepped::Found(Found::Proved(name), proof) => {
                let Some(turn) = turn else {
                    return self.refused(None).await;
                };
                match self.service.directory.account(&name).await {
                    Ok(Some(account)) => {
                        turn.end(Guess::Right).await;
                        if proof.is_empty() {
                            return self.logged_in(Box::new(account));
                        }
                        exchange.ended = Some(Box::new(account));
                        self.exchange = Some(exchange);
                        LoginStep::Challenge(proof)
                    }
                    Ok(None) => self.refused(Some(turn)).await,
                    Err(error) => self.unavailable(&error, turn).await,
                }
            }
            Stepped::Found(Found::Refused, _) | Stepped::Failed => self.refused(turn).await,
        }
    }

    /// Waits until a password of that account may be looked at.
    async fn turn(&self, name: &str) -> Result<Turn, TooMany> {
        let turn = self.service.directory.turn(self.peer, name).await;
        turn.inspect_err(|error| info!(%error, "login refused"))
    }

    async fn check(&self, name: &str, password: &Secret) -> LoginStep {
        let Ok(turn) = self.turn(name).await else {
            return LoginStep::Unavailable;
        };
        match self.service.directory.verify(name, password).await {
            Ok(Some(account)) => {
                turn.end(Guess::Right).await;
                self.logged_in(Box::new(account))
            }
            Ok(None) => self.refused(Some(turn)).await,
            Err(error) => self.unavailable(&error, turn).await,
        }
    }

    async fn unavailable(&self, error: &hikyaku_mailstore::Error, turn: Turn) -> LoginStep {
        warn!(%error, "the password could not be checked");
        turn.end(Guess::Undecided).await;
        LoginStep::Unavailable
    }

    async fn refused(&self, turn: Option<Turn>) -> LoginStep {
        info!("login failed");
        self.service.happened(Happened::LoginFailed);
        match turn {
            Some(turn) => turn.end(Guess::Wrong).await,
            // No password was looked at; it looks as any other.
            None => tokio::time::sleep(WRONG).await,
        }
        LoginStep::Refused
    }

    fn logged_in(&self, account: Box<Account>) -> LoginStep {
        info!(account = account.name, "logged in");
        self.service.happened(Happened::LoggedIn);
        LoginStep::Account(account)
    }
}
