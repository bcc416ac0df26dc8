//! Which command is legal when, and who answers it (RFC 9051 §3, §6).

use alloc::vec::Vec;
use bytes::{Bytes, BytesMut};
use hikyaku_wire::{Output, Step};

use super::text::Text;
use super::{Connection, Event, State, What};
use crate::{
    Authenticate, Command, Needs, Numbers, Response, ResponseCode, Return, Status, Tagged,
};

impl Connection {
    pub(super) fn command(
        &mut self,
        tagged: Tagged,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        use Command as C;
        let Tagged { tag, command } = tagged;
        let legal = match command.needs() {
            Needs::Nothing => true,
            Needs::NoLogin => !self.authenticated,
            Needs::Mailbox => self.selected.is_some(),
            // RFC 8437 §3: what is not announced is BAD.
            Needs::Login if matches!(command, C::Unauthenticate) => {
                self.authenticated && !self.options.compressed
            }
            Needs::Login => self.authenticated,
        };
        if !legal {
            self.say(
                Some(&tag),
                Status::Bad,
                None,
                Text::NotInThisState.as_str(),
                output,
            );
            return None;
        }
        if self.enabled.uid_only && has_sequence_numbers(&command) {
            // RFC 9586 §3.1
            let code = Some(&ResponseCode::UidRequired);
            self.say(
                Some(&tag),
                Status::Bad,
                code,
                Text::UidsAreUsedOnly.as_str(),
                output,
            );
            return None;
        }
        match command {
            C::Capability => {
                Response::Capability(self.capabilities()).encode(output);
                self.say(
                    Some(&tag),
                    Status::Ok,
                    None,
                    Text::ThatIsAll.as_str(),
                    output,
                );
                None
            }
            C::Logout => {
                output.write(b"* BYE Logging out\r\n");
                self.say(Some(&tag), Status::Ok, None, Text::Bye.as_str(), output);
                self.state = State::Closed;
                None
            }
            C::StartTls => self.starttls(&tag, input, output),
            C::Login { name, password } => {
                if !self.may_log_in() {
                    let code = Some(&ResponseCode::PrivacyRequired);
                    self.say(Some(&tag), Status::No, code, self.encryption(), output);
                    return None;
                }
                self.ask(tag, What::Login, Event::Login { name, password })
            }
            C::Authenticate(Authenticate { mechanism, initial }) => {
                let refusal = match () {
                    () if !self.may_log_in() => {
                        Some((Some(&ResponseCode::PrivacyRequired), self.encryption()))
                    }
                    () if !self.options.mechanisms.contains(&mechanism) => {
                        Some((None, Text::MechanismNotSupported.as_str()))
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
                let known: Vec<Bytes> = names.into_iter().filter(|n| self.enable(n)).collect();
                Response::Enabled(known).encode(output);
                self.say(Some(&tag), Status::Ok, None, Text::Enabled.as_str(), output);
                None
            }
            C::Select {
                qresync: Some(_), ..
            } if !self.enabled.qresync => {
                // RFC 7162 §3.2.5: it was not enabled.
                let text = Text::QresyncIsNotEnabled.as_str();
                self.say(Some(&tag), Status::Bad, None, text, output);
                None
            }
            C::Fetch { fetch, numbers }
                if fetch.vanished && !(numbers.is_uid() && self.enabled.qresync) =>
            {
                // RFC 7162 §3.2.6
                let text = Text::VanishedIsForUidFetch.as_str();
                self.say(Some(&tag), Status::Bad, None, text, output);
                None
            }
            C::Compress(how) => {
                if self.options.compressed {
                    let code = Some(&ResponseCode::CompressionActive);
                    self.say(
                        Some(&tag),
                        Status::No,
                        code,
                        Text::CompressedAlready.as_str(),
                        output,
                    );
                    return None;
                }
                if !self.options.compress || !how.eq_ignore_ascii_case(b"DEFLATE") {
                    self.say(
                        Some(&tag),
                        Status::No,
                        None,
                        Text::NotAWayToCompress.as_str(),
                        output,
                    );
                    return None;
                }
                if !input.is_empty() {
                    // What follows was sent before our OK: whether it is compressed nobody can say.
                    let text = Text::NothingMayFollowCompress.as_str();
                    self.say(Some(&tag), Status::Bad, None, text, output);
                    self.bye(None, text, output);
                    return None;
                }
                self.ask(tag, What::Compress, Event::Command(C::Compress(how)))
            }
            C::Create {
                mailbox: ref name, ..
            }
            | C::Rename { to: ref name, .. }
                if !name.is_well_formed() =>
            {
                let text = match self.names_in_utf8() {
                    true => Text::AMailboxNameHoldsNo.as_str(),
                    false => Text::NotAMailboxName.as_str(),
                };
                self.say(
                    Some(&tag),
                    Status::No,
                    Some(&ResponseCode::Cannot),
                    text,
                    output,
                );
                None
            }
            C::Idle if !self.offers(b"IDLE") && !self.offers(b"IMAP4rev2") => {
                self.say(
                    Some(&tag),
                    Status::Bad,
                    None,
                    Text::NoIdleHere.as_str(),
                    output,
                );
                None
            }
            C::Idle => {
                output.write(b"+ idling\r\n");
                self.state = State::Idle(tag);
                Some(Step::Event(Event::Idle))
            }
            command => {
                self.enabled.condstore |= asks_for_modseq(&command);
                let what = match &command {
                    C::Select { .. } => {
                        if self.selected.take().is_some() {
                            // RFC 7162 §3.2.11: what is sent from here on is of another one.
                            output.write(b"* OK [CLOSED] Closed\r\n");
                        }
                        What::Select
                    }
                    C::Unauthenticate => What::Unauthenticate,
                    C::Search { search, numbers } if saves(search.returns.as_ref()) => {
                        What::Save(!numbers.is_uid())
                    }
                    C::Sort { sort, numbers } if saves(sort.returns.as_ref()) => {
                        What::Save(!numbers.is_uid())
                    }
                    C::ESearch { search, .. } if saves(search.returns.as_ref()) => {
                        What::Save(false)
                    }
                    C::Close | C::Unselect => What::Leave,
                    C::Fetch {
                        numbers: Numbers::Sequence,
                        ..
                    }
                    | C::Store {
                        numbers: Numbers::Sequence,
                        ..
                    }
                    | C::Search {
                        numbers: Numbers::Sequence,
                        ..
                    }
                    | C::Sort {
                        numbers: Numbers::Sequence,
                        ..
                    }
                    | C::Thread {
                        numbers: Numbers::Sequence,
                        ..
                    } => What::Numbered,
                    _ => What::Other,
                };
                self.ask(tag, what, Event::Command(command))
            }
        }
    }

    /// Turns on what the client asks for; whether that can be.
    fn enable(&mut self, name: &Bytes) -> bool {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        // RFC 7162 §3.2.3: QRESYNC has CONDSTORE with it.
        let offered = self.offers(name) || (is("CONDSTORE") && self.offers(b"QRESYNC"));
        let enabled = &mut self.enabled;
        let what = match () {
            () if !offered => return false,
            () if is("CONDSTORE") => &mut enabled.condstore,
            () if is("QRESYNC") => {
                enabled.condstore = true;
                &mut enabled.qresync
            }
            () if is("IMAP4rev2") => &mut enabled.rev2,
            () if is("UTF8=ACCEPT") => &mut enabled.utf8,
            () if is("UIDONLY") => &mut enabled.uid_only,
            () if is("METADATA") => &mut enabled.metadata,
            () => return false,
        };
        *what = true;
        true
    }

    /// What is needed before a password is taken.
    fn encryption(&self) -> &'static str {
        match self.options.starttls {
            true => Text::StarttlsFirst.as_str(),
            false => Text::EncryptionRequired.as_str(),
        }
    }

    fn starttls(
        &mut self,
        tag: &Bytes,
        input: &BytesMut,
        output: &mut Output,
    ) -> Option<Step<Event>> {
        if !self.options.starttls || self.options.tls {
            self.say(
                Some(tag),
                Status::Bad,
                None,
                Text::NoStarttlsHere.as_str(),
                output,
            );
        } else if !input.is_empty() {
            // What follows was sent in clear: never taken for a command under TLS (CVE-2011-0411).
            self.say(
                Some(tag),
                Status::Bad,
                None,
                Text::NothingMayFollowStarttls.as_str(),
                output,
            );
            self.bye(None, Text::NothingMayFollowStarttls.as_str(), output);
        } else {
            self.say(Some(tag), Status::Ok, None, Text::BeginTls.as_str(), output);
            self.state = State::StartTls;
        }
        None
    }
}

fn saves(returns: Option<&Vec<Return>>) -> bool {
    returns.is_some_and(|all| all.contains(&Return::Save))
}

/// Whether the command needs message sequence numbers, which are no more after ENABLE UIDONLY.
fn has_sequence_numbers(command: &Command) -> bool {
    use Command as C;
    let own = |set: &crate::SequenceSet| !set.is_saved();
    match command {
        // RFC 9586 §3.7
        C::Select { qresync, .. } => qresync
            .as_ref()
            .is_some_and(|qresync| qresync.sequence_match.is_some()),
        C::Fetch { fetch, numbers } => !numbers.is_uid() && own(&fetch.set),
        C::Store { store, numbers } => !numbers.is_uid() && own(&store.set),
        C::Copy { set, numbers, .. } | C::Move { set, numbers, .. } => {
            !numbers.is_uid() && own(set)
        }
        C::Search { search, numbers } => !numbers.is_uid() || search.key.has_sequence(),
        C::Sort { sort, numbers } => !numbers.is_uid() || sort.key.has_sequence(),
        C::Thread { thread, numbers } => !numbers.is_uid() || thread.key.has_sequence(),
        C::ESearch { search, .. } => search.key.has_sequence(),
        _ => false,
    }
}

/// Whether the command is one that turns mod-sequences on (RFC 7162 §3.1).
fn asks_for_modseq(command: &Command) -> bool {
    use crate::{FetchAttribute, StatusAttribute};
    match command {
        Command::Select { condstore, .. } => *condstore,
        Command::Status { attributes, .. } => attributes.contains(&StatusAttribute::HighestModSeq),
        Command::Fetch { fetch, .. } => {
            fetch.changed_since.is_some() || fetch.attributes.contains(&FetchAttribute::ModSeq)
        }
        Command::Store { store, .. } => store.unchanged_since.is_some(),
        Command::Search { search, .. } => search.key.has_modseq(),
        _ => false,
    }
}
