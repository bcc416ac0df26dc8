//! Logging in at a smarthost (RFC 4954): the strongest mechanism that both have, then the next when it is refused.

use hikyaku_smtp_proto::Reply;
use hikyaku_wire::Secret;
use rsasl::prelude::{Mechname, SASLClient, SASLConfig, Session, State};

use crate::failure::Failure;
use crate::pool::Drives;
use crate::routes::Login;

/// The best first.
const MECHANISMS: [&str; 4] = ["SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"];
/// Rounds of SCRAM's hash that a host may ask for. More is an attempt to keep us busy.
const ROUNDS: u32 = 1_000_000;

/// An exchange that is under way.
pub(crate) struct Exchange {
    session: Session,
    /// Its place in [`MECHANISMS`].
    mechanism: usize,
    is_finished: bool,
}

impl Exchange {
    /// Begins one with the first mechanism that the host has.
    ///
    /// # Errors
    /// [`Failure::Login`], when there is none.
    pub(crate) fn begin(login: &Login, driver: &mut Drives) -> Result<Self, Failure> {
        Self::with_one_of(login, driver, 0)?
            .ok_or_else(|| failure(format!("the host has none of {}", MECHANISMS.join(", "))))
    }

    /// Begins another one when the host has refused this. Not every host that has SCRAM has the keys for each account.
    ///
    /// # Errors
    /// [`Failure::Login`] with the host's words, when there is no other.
    pub(crate) fn after_refusal(
        &self,
        login: &Login,
        driver: &mut Drives,
        reply: &Reply,
    ) -> Result<Self, Failure> {
        let is_final = (500..600).contains(&reply.code());
        let other = match is_final && self.mechanism < 2 {
            true => Self::with_one_of(login, driver, self.mechanism + 1)?,
            false => None,
        };
        other.ok_or_else(|| failure(reply))
    }

    fn with_one_of(
        login: &Login,
        driver: &mut Drives,
        from: usize,
    ) -> Result<Option<Self>, Failure> {
        let (machine, output) = driver.split();
        let offered = machine.capabilities();
        let has = |name: &str| {
            let mut offered = offered.mechanisms();
            offered.any(|one| one.eq_ignore_ascii_case(name.as_bytes()))
        };
        let mut known = MECHANISMS.iter().enumerate().skip(from);
        let Some((mechanism, name)) = known.find(|(_, name)| has(name)) else {
            return Ok(None);
        };
        let password = login.password.expose_str();
        let password = password.ok_or_else(|| failure("the password is not text"))?;
        let config = SASLConfig::with_credentials(None, login.user.clone(), password.to_owned());
        let name = Mechname::parse(name.as_bytes()).map_err(failure)?;
        let session = SASLClient::new(config.map_err(failure)?).start_suggested(&[name]);
        let mut exchange = Self {
            session: session.map_err(failure)?,
            mechanism,
            is_finished: false,
        };
        let initial = match exchange.session.are_we_first() {
            true => Some(exchange.step(None)?),
            false => None,
        };
        machine.authenticate(name.as_str().to_owned(), initial, output)?;
        Ok(Some(exchange))
    }

    /// Answers a challenge.
    ///
    /// # Errors
    /// [`Failure::Login`], when it is none of this mechanism's.
    pub(crate) fn answer(
        &mut self,
        challenge: &Secret,
        driver: &mut Drives,
    ) -> Result<(), Failure> {
        if rounds(challenge.expose()).is_some_and(|rounds| rounds > ROUNDS) {
            return Err(failure("the host asks for too many rounds of the hash"));
        }
        let response = match self.is_finished {
            true => Secret::from(Vec::new()),
            false => self.step(Some(challenge.expose()))?,
        };
        let (machine, output) = driver.split();
        machine.respond(Some(&response), output)?;
        Ok(())
    }

    fn step(&mut self, challenge: Option<&[u8]>) -> Result<Secret, Failure> {
        let mut response = Vec::new();
        let state = self.session.step(challenge, &mut response);
        let state = state.map_err(failure)?;
        self.is_finished = matches!(state, State::Finished(_));
        Ok(Secret::from(response))
    }

    /// The host says that it is over.
    ///
    /// # Errors
    /// [`Failure::Login`], when the host has not proved that it knows the password (RFC 5802 §3).
    pub(crate) fn end(&self) -> Result<(), Failure> {
        match self.is_finished {
            true => Ok(()),
            false => Err(failure(
                "the host has not proved that it knows the password",
            )),
        }
    }
}

fn failure(why: impl std::fmt::Display) -> Failure {
    Failure::Login(why.to_string())
}

/// The rounds of the hash that a challenge of SCRAM names (RFC 5802 §7).
fn rounds(challenge: &[u8]) -> Option<u32> {
    let challenge = std::str::from_utf8(challenge).ok()?;
    let count = challenge
        .split(',')
        .find_map(|one| one.strip_prefix("i="))?;
    // What is no number is one that is too large, or an error of the mechanism.
    Some(count.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_read_from_the_challenge() {
        for (challenge, expected) in [
            ("r=abc,s=QSXCR+Q6sek8bf92,i=4096", Some(4096)),
            ("r=abc,s=QSXCR+Q6sek8bf92,i=99999999999", Some(u32::MAX)),
            ("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", None),
            ("Username:", None),
            ("", None),
        ] {
            assert_eq!(rounds(challenge.as_bytes()), expected, "{challenge}");
        }
    }
}
