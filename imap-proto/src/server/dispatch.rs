//! Which command is legal when, and who answers it (RFC 9051 §3, §6).

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Output, Step};

use super::{Connection, Event, State, What};
use crate::{Authenticate, Command, Response, ResponseCode, Status, Tagged};

impl Connection {
    pub(super) fn command(
        &mut self,
        tagged: Tagged,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        use Command as C;
        let Tagged { tag, command } = tagged;
        let legal = match &command {
            C::Capability | C::Noop | C::Logout | C::Id(_) => true,
            C::StartTls | C::Login { .. } | C::Authenticate(_) => !self.authenticated,
            C::Check
            | C::Close
            | C::Unselect
            | C::Expunge(_)
            | C::Search { .. }
            | C::Sort { .. }
            | C::Thread { .. }
            | C::Fetch { .. }
            | C::Store { .. }
            | C::Copy { .. }
            | C::Move { .. } => self.selected.is_some(),
            _ => self.authenticated,
        };
        if !legal {
            self.say(Some(&tag), Status::Bad, None, "Not in this state", output);
            return None;
        }
        match command {
            C::Capability => {
                Response::Capability(self.capabilities()).encode(output);
                self.say(Some(&tag), Status::Ok, None, "That is all", output);
                None
            }
            C::Logout => {
                output.write(b"* BYE Logging out\r\n");
                self.say(Some(&tag), Status::Ok, None, "Bye", output);
                self.state = State::Closed;
                None
            }
            C::StartTls => self.starttls(&tag, input, output),
            C::Login { name, password } => {
                if !self.may_log_in() {
                    let code = Some(&ResponseCode::PrivacyRequired);
                    self.say(Some(&tag), Status::No, code, "STARTTLS first", output);
                    return None;
                }
                self.ask(tag, What::Login, Event::Login { name, password })
            }
            C::Authenticate(Authenticate { mechanism, initial }) => {
                let refusal = match () {
                    () if !self.may_log_in() => {
                        Some((Some(&ResponseCode::PrivacyRequired), "STARTTLS first"))
                    }
                    () if !self.options.mechanisms.contains(&mechanism) => {
                        Some((None, "Mechanism not supported"))
                    }
                    () => None,
                };
                if let Some((code, text)) = refusal {
                    self.say(Some(&tag), Status::No, code, text, output);
                    return None;
                }
                let event = Event::Authenticate { mechanism, initial };
                self.ask(tag, What::Authenticate, event)
            }
            C::Enable(names) => {
                let is = |name: &Bytes| name.eq_ignore_ascii_case(b"CONDSTORE");
                let known: Vec<Bytes> = names.into_iter().filter(is).collect();
                self.condstore |= !known.is_empty();
                Response::Enabled(known).encode(output);
                self.say(Some(&tag), Status::Ok, None, "Enabled", output);
                None
            }
            C::Select {
                qresync: Some(_), ..
            } => {
                // RFC 7162 §3.2.5: it was not enabled.
                let text = "QRESYNC is not enabled";
                self.say(Some(&tag), Status::Bad, None, text, output);
                None
            }
            C::Idle => {
                output.write(b"+ idling\r\n");
                self.state = State::Idle(tag);
                Some(Step::Event(Event::Idle))
            }
            command => {
                self.condstore |= asks_for_modseq(&command);
                let what = match &command {
                    C::Select { .. } => {
                        self.selected = None;
                        What::Select
                    }
                    C::Close | C::Unselect => What::Leave,
                    C::Fetch { uid: false, .. }
                    | C::Store { uid: false, .. }
                    | C::Search { uid: false, .. }
                    | C::Sort { uid: false, .. }
                    | C::Thread { uid: false, .. } => What::Numbered,
                    _ => What::Other,
                };
                self.ask(tag, what, Event::Command(command))
            }
        }
    }

    fn starttls(
        &mut self,
        tag: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !self.options.starttls || self.options.tls {
            self.say(Some(tag), Status::Bad, None, "No STARTTLS here", output);
        } else if !input.is_empty() {
            // What follows was sent in clear: never taken for a command under TLS (CVE-2011-0411).
            self.say(
                Some(tag),
                Status::Bad,
                None,
                "Nothing may follow STARTTLS",
                output,
            );
            self.bye(None, "Nothing may follow STARTTLS", output);
        } else {
            self.say(Some(tag), Status::Ok, None, "Begin TLS", output);
            self.state = State::StartTls;
        }
        None
    }
}

/// Whether the command is one that turns mod-sequences on (RFC 7162 §3.1).
fn asks_for_modseq(command: &Command) -> bool {
    use crate::{FetchAttribute, StatusAttribute};
    match command {
        Command::Select { condstore, .. } => *condstore,
        Command::Status(_, attributes) => attributes.contains(&StatusAttribute::HighestModSeq),
        Command::Fetch { fetch, .. } => {
            fetch.changed_since.is_some() || fetch.attributes.contains(&FetchAttribute::ModSeq)
        }
        Command::Store { store, .. } => store.unchanged_since.is_some(),
        Command::Search { search, .. } => search.key.has_modseq(),
        _ => false,
    }
}
