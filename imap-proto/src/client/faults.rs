//! What is said of a server that does not keep to the protocol.

use hikyaku_wire::Excerpt;

use super::Connection;
use super::event::{During, Error};

impl Connection {
    /// What was under way when an error came.
    pub(super) fn during(&self) -> During {
        During {
            command: self.sent.first().map(|sent| sent.name),
            state: self.situation(),
        }
    }

    /// Lines of a login are not shown: a server may repeat what it was sent.
    pub(super) fn excerpt(&self, line: &[u8]) -> Excerpt {
        match self.logging_in {
            true => Excerpt::hidden(),
            false => Excerpt::of(line),
        }
    }

    pub(super) fn no_response(&self, expected: &'static str, line: &[u8]) -> Error {
        Error::NoResponse {
            during: self.during(),
            expected,
            found: self.excerpt(line),
        }
    }

    pub(super) fn unasked(&self, line: &[u8]) -> Error {
        Error::Unasked {
            during: self.during(),
            found: self.excerpt(line),
        }
    }

    pub(super) fn too_long(&self, octets: &[u8]) -> Error {
        Error::TooLong {
            during: self.during(),
            most: self.options.limits.response,
            found: self.excerpt(octets),
        }
    }
}
