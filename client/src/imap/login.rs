//! Logging in: AUTHENTICATE PLAIN, and where a server announces it and cannot do it, LOGIN, or AUTH=LOGIN.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{Completion, ResponseCode, Status};
use hikyaku_wire::Secret;

use super::{Session, text};
use crate::{Error, Result};

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    /// The same, with the message kept until the server asks for it: for one that announces SASL-IR and refuses it.
    PlainAsked,
    /// The LOGIN command.
    Login,
    /// The mechanism of that name, which asks for the name first, then for the password
    /// (draft-murchison-sasl-login).
    AuthLogin,
}

impl Session {
    pub(super) async fn log_in(&mut self, name: &str, password: &Secret) -> Result<()> {
        let can = |session: &Self, mechanism: &[u8]| {
            let mut all = session.capabilities().mechanisms();
            all.any(|one| one.eq_ignore_ascii_case(mechanism))
        };
        let mut ways = Vec::new();
        if can(self, b"PLAIN") {
            ways.push(Way::Plain);
        }
        let login = !self.capabilities().has("LOGINDISABLED");
        if can(self, b"PLAIN") && self.capabilities().has("SASL-IR") {
            ways.push(Way::PlainAsked);
        }
        if login {
            ways.push(Way::Login);
        }
        if can(self, b"LOGIN") {
            ways.push(Way::AuthLogin);
        }
        let mut refused: Option<Error> = None;
        let mut last = Status::Bad;
        for way in ways {
            // What was understood and refused is not asked in the same words again, where there are others.
            if way == Way::PlainAsked && last != Status::Bad && login {
                continue;
            }
            let end = match self.try_way(way, name, password).await {
                Ok(end) => end,
                // It has closed after it refused: its reason says more than that.
                Err(error) => return Err(refused.unwrap_or(error)),
            };
            if end.status == Status::Ok {
                return Ok(());
            }
            last = end.status;
            let is_final = is_final(&end);
            refused = Some(refusal(&end));
            if is_final {
                break;
            }
        }
        Err(refused
            .unwrap_or_else(|| Error::Login("the server accepts no password without TLS".into())))
    }

    async fn try_way(&mut self, way: Way, name: &str, password: &Secret) -> Result<Completion> {
        let plain = || {
            let octets = [b"\0", name.as_bytes(), b"\0", password.expose()].concat();
            Secret::from(octets)
        };
        let (machine, output) = self.driver.split();
        let handle = match way {
            Way::Plain => machine.authenticate("PLAIN", Some(plain()), output),
            Way::Login => {
                let password = Secret::from(password.expose().to_vec());
                machine.login(name.to_owned(), password, output)
            }
            Way::PlainAsked => machine.authenticate("PLAIN", None, output),
            Way::AuthLogin => machine.authenticate("LOGIN", None, output),
        };
        let handle = handle.map_err(crate::error::out_of_turn)?;
        let mut challenges = 0;
        loop {
            match self.next().await? {
                Event::Authenticated(of, end) | Event::AuthenticationRefused(of, end)
                    if of == handle =>
                {
                    return Ok(end);
                }
                Event::Challenge(_) if challenges > 2 => {
                    return Err(Error::Protocol(
                        "the server asks again instead of ending the login".into(),
                    ));
                }
                Event::Challenge(_) => {
                    // What the prompts say is not looked at: their order is what all servers agree on. PLAIN is asked
                    // for where the server did not take it with the command.
                    let answer = match (way, challenges) {
                        (Way::Plain | Way::PlainAsked, 0) => Some(plain()),
                        (Way::AuthLogin, 0) => Some(Secret::from(name.as_bytes().to_vec())),
                        (Way::AuthLogin, 1) => Some(Secret::from(password.expose().to_vec())),
                        _ => None,
                    };
                    challenges += 1;
                    let (machine, output) = self.driver.split();
                    machine
                        .respond(answer.as_ref(), output)
                        .map_err(crate::error::out_of_turn)?;
                }
                _ => {}
            }
        }
    }
}

/// Whether another way to log in will not do better (RFC 5530): name or password are wrong, or nobody can now.
fn is_final(end: &Completion) -> bool {
    end.status == Status::No
        && matches!(
            end.code,
            Some(
                ResponseCode::AuthenticationFailed
                    | ResponseCode::AuthorizationFailed
                    | ResponseCode::Expired
                    | ResponseCode::Unavailable
                    | ResponseCode::InUse
                    | ResponseCode::Limit
                    | ResponseCode::ContactAdmin
            )
        )
}

/// A refused login: because of the password, or because the server cannot now.
fn refusal(end: &Completion) -> Error {
    let said = text(&end.text);
    match end.code {
        Some(
            ResponseCode::Unavailable
            | ResponseCode::InUse
            | ResponseCode::Limit
            | ResponseCode::ServerBug
            | ResponseCode::TempFail,
        ) => Error::Network(format!(
            "the server accepts no logins at the moment: {said}"
        )),
        _ => Error::Login(said),
    }
}
