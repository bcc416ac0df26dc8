//! What the server says: greetings, continuations, untagged responses.

use bytes::Bytes;
use hikyaku_wire::{Output, SaslLine, Secret, decode_sasl};

use super::capabilities::Capabilities;
use super::event::{Error, Event};
use super::kind::Kind;
use super::{Connection, Idle, State};
use crate::{FetchItem, Leniency, Received, Response, ResponseCode, Status};

impl Connection {
    pub(super) fn greeting(
        &mut self,
        received: Received,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let Received::Untagged(Response::Status(status, code, text)) = received else {
            return Err(self.no_response("a greeting", line));
        };
        match status {
            Status::Ok => self.state = State::NotAuthenticated,
            Status::PreAuth => self.state = State::Authenticated,
            Status::Bye => {
                self.state = State::Closed;
                self.report(Event::Bye(code, text));
                return Ok(());
            }
            Status::No | Status::Bad => return Err(self.no_response("a greeting", line)),
        }
        let preauth = status == Status::PreAuth;
        let connected = Event::Connected { preauth, text };
        match code {
            Some(ResponseCode::Capability(all)) => {
                self.capabilities = Capabilities::new(all);
                self.report(connected);
            }
            _ => {
                self.withheld = Some(connected);
                self.ask_capabilities(output);
            }
        }
        Ok(())
    }

    pub(super) fn continuation(
        &mut self,
        text: &Bytes,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let leniencies = self.options.limits.leniencies;
        if let Some(piece) = self.holding.pop_front() {
            output.push(piece);
            self.ask_for_message();
            self.send(output);
            return Ok(());
        }
        if let Some(appending) = self.appending.as_mut().filter(|a| a.waits && !a.asked) {
            appending.asked = true;
            let event = Event::SendBody(appending.handle);
            self.report(event);
            return Ok(());
        }
        let unasked = self.unasked(line);
        let Some(sent) = self.sent.first_mut() else {
            return Err(unasked);
        };
        match (&mut sent.kind, self.idle) {
            (Kind::Idle, Idle::Asked) => {
                let (handle, first) = (sent.handle, sent.handle.0 == sent.id);
                self.idle = Idle::Idling;
                if first {
                    self.report(Event::Idling(handle));
                }
                self.send(output);
                Ok(())
            }
            (Kind::Idle, Idle::Unwanted) => {
                output.write(b"DONE\r\n");
                self.idle = Idle::Done;
                Ok(())
            }
            (Kind::Authenticate { held, challenged }, _) => {
                let challenge = match decode_sasl(text.trim_ascii()) {
                    Ok(SaslLine::Response(challenge)) => challenge,
                    _ if leniencies.contains(Leniency::ChallengeInWords) => Secret::default(),
                    _ => return Err(self.no_response("a challenge in base64", line)),
                };
                if core::mem::replace(challenged, true) {
                    return Err(unasked);
                }
                match held.take() {
                    Some(initial) => drop(self.respond(Some(&initial), output)),
                    None => self.report(Event::Challenge(challenge)),
                }
                Ok(())
            }
            _ => Err(unasked),
        }
    }

    pub(super) fn untagged(&mut self, response: Response) -> Option<Event> {
        match response {
            Response::Status(Status::Bye, code, text) => {
                if self.logging_out {
                    return None;
                }
                self.state = State::Closed;
                Some(Event::Bye(code, text))
            }
            Response::Status(status, code, text) => {
                if let Some(code) = &code {
                    self.code(code);
                }
                Some(Event::Status(status, code, text))
            }
            Response::Capability(all) => {
                self.fresh = true;
                match core::mem::replace(&mut self.listing, true) {
                    true => self.capabilities.add(all),
                    false => self.capabilities = Capabilities::new(all),
                }
                None
            }
            Response::Fetch(sequence, items) => self.fetched(Some(sequence), items),
            Response::UidFetch(uid, mut items) => {
                items.push(FetchItem::Uid(uid));
                self.fetched(None, items)
            }
            Response::Enabled(names) => {
                let utf8 = |name: &Bytes| {
                    let all: [&[u8]; 2] = [b"IMAP4rev2", b"UTF8=ACCEPT"];
                    all.iter().any(|one| name.eq_ignore_ascii_case(one))
                };
                self.utf8 |= names.iter().any(utf8);
                Some(Event::Data(Response::Enabled(names)))
            }
            Response::Exists(_) | Response::Expunge(_) | Response::Vanished { .. } => {
                self.counted(response)
            }
            Response::Flags(flags) => {
                self.no_longer_stale();
                let opening = self.is_opening();
                match self.current() {
                    Some(selected) => {
                        selected.may_have(flags, opening);
                        None
                    }
                    None => Some(Event::Data(Response::Flags(flags))),
                }
            }
            other => Some(Event::Data(other)),
        }
    }

    /// Servers without the CLOSED code say first what the new mailbox has.
    pub(super) fn no_longer_stale(&mut self) {
        let says_closed = self.capabilities.has("QRESYNC") || self.capabilities.has("IMAP4rev2");
        self.stale &= says_closed;
    }

    /// What changes sequence numbers.
    pub(super) fn counted(&mut self, response: Response) -> Option<Event> {
        if let Response::Exists(_) = response {
            self.no_longer_stale();
        }
        if self.stale {
            return None;
        }
        let Some(selected) = self.current() else {
            return Some(Event::Data(response));
        };
        Some(match response {
            Response::Exists(count) => {
                selected.view.exists(count);
                Event::Exists(count)
            }
            Response::Expunge(sequence) => match selected.view.expunge(sequence) {
                Some(uid) => Event::Expunged { sequence, uid },
                None => Event::Data(response),
            },
            Response::Vanished { earlier, uids } => {
                if !earlier {
                    selected.view.vanished(&uids);
                }
                Event::Vanished { earlier, uids }
            }
            other => Event::Data(other),
        })
    }

    pub(super) fn code(&mut self, code: &ResponseCode) {
        match code {
            ResponseCode::Capability(all) => {
                self.fresh = true;
                self.capabilities = Capabilities::new(all.clone());
            }
            ResponseCode::Closed => self.stale = false,
            code => {
                let opening = self.is_opening();
                if let Some(selected) = self.current() {
                    selected.apply(code, opening);
                }
            }
        }
    }
}
