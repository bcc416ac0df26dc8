//! What server and milter agree about first (`SMFIC_OPTNEG`).

use bytes::{Buf as _, Bytes};

use super::command::Command;
use crate::fault::Fault;

/// `SMFI_PROT_VERSION`.
const VERSION: u32 = 6;
/// What a milter may do to a message: `SMFIF_ADDHDRS`, `CHGBODY`, `CHGHDRS`, `QUARANTINE`.
const ACTIONS: u32 = 0x01 | 0x02 | 0x10 | 0x20;

/// `SMFIP_HDR_LEADSPC`: values of fields with the blank behind the colon, both ways.
const LEADING_SPACE: u32 = 0x0010_0000;
/// `SMFIP_SKIP`: an answer to a piece of the body may be that no more of it is wanted.
const SKIP: u32 = 0x0400;
/// `SMFI_CURR_PROT` without `SMFIP_RCPT_REJ`: refused recipients are not known.
const PROTOCOL: u32 = 0x001F_FFFF & !0x0800;

/// What server and milter agreed about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Agreed {
    version: u32,
    protocol: u32,
}

/// The arguments of the server's proposal.
pub(super) fn proposal() -> Vec<u8> {
    [VERSION, ACTIONS, PROTOCOL].map(u32::to_be_bytes).concat()
}

impl Agreed {
    /// Reads the milter's answer. The macros that it may ask for behind it are passed over: it gets all that there are.
    pub(super) fn read(mut arguments: Bytes) -> Result<Self, Fault> {
        if arguments.len() < 12 {
            return Err(Fault::Arguments(Command::Negotiate.octet()));
        }
        let version = arguments.get_u32();
        let actions = arguments.get_u32();
        let protocol = arguments.get_u32();
        if !(2..=VERSION).contains(&version) {
            return Err(Fault::Version(version));
        }
        // It would change recipients or the reverse-path, and count on it.
        if actions & !ACTIONS != 0 {
            return Err(Fault::Demands(actions & !ACTIONS));
        }
        Ok(Self {
            version,
            protocol: protocol & PROTOCOL,
        })
    }

    fn has(self, flag: u32) -> bool {
        self.protocol & flag != 0
    }

    /// Whether it wants that command (`SMFIP_NO*`).
    pub(super) fn wants(self, command: Command) -> bool {
        let unwanted = match command {
            Command::Connect => 0x01,
            Command::Helo => 0x02,
            Command::Mail => 0x04,
            Command::Recipient => 0x08,
            Command::Body => 0x10,
            Command::Header => 0x20,
            Command::EndOfHeader => 0x40,
            // It came with version 4.
            Command::Data if self.version < 4 => return false,
            Command::Data => 0x0200,
            _ => return true,
        };
        !self.has(unwanted)
    }

    /// Whether it answers that command (`SMFIP_NR_*`).
    pub(super) fn answers(self, command: Command) -> bool {
        let silent = match command {
            Command::Header => 0x80,
            Command::Connect => 0x1000,
            Command::Helo => 0x2000,
            Command::Mail => 0x4000,
            Command::Recipient => 0x8000,
            Command::Data => 0x0001_0000,
            Command::EndOfHeader => 0x0004_0000,
            Command::Body => 0x0008_0000,
            _ => return true,
        };
        !self.has(silent)
    }

    /// Whether values of fields have the blank behind the colon.
    pub(super) fn leading_space(self) -> bool {
        self.has(LEADING_SPACE)
    }

    /// Whether it may skip what is left of a body.
    pub(super) fn skips(self) -> bool {
        self.has(SKIP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(version: u32, actions: u32, protocol: u32) -> Result<Agreed, Fault> {
        Agreed::read(
            [version, actions, protocol]
                .map(u32::to_be_bytes)
                .concat()
                .into(),
        )
    }

    #[test]
    fn a_milter_says_what_it_does_not_want() {
        let agreed = answer(6, 0x11, 0x01 | 0x80 | 0x0200 | 0x0010_0000).unwrap();
        assert!(!agreed.wants(Command::Connect) && !agreed.wants(Command::Data));
        assert!(agreed.wants(Command::Helo) && agreed.wants(Command::EndOfBody));
        assert!(!agreed.answers(Command::Header) && agreed.answers(Command::Body));
        assert!(agreed.leading_space() && !agreed.skips());
        // DATA is of version 4, and those before say nothing of it.
        assert!(!answer(3, 0, 0).unwrap().wants(Command::Data));
    }

    #[test]
    fn other_versions_and_actions_that_were_not_offered_are_faults() {
        for version in [0, 1, 7, u32::MAX] {
            assert!(matches!(answer(version, 0, 0), Err(Fault::Version(_))));
        }
        assert!(matches!(answer(6, 0x05, 0), Err(Fault::Demands(0x04))));
        assert!(matches!(
            Agreed::read("short".into()),
            Err(Fault::Arguments(b'O'))
        ));
    }
}
