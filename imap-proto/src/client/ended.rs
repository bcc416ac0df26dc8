//! How commands end.

use bytes::Bytes;
use hikyaku_wire::Output;

use super::event::{Error, Event};
use super::kind::{Kind, Step as Moving};
use super::{Connection, Idle, Sent, State};
use crate::{Completion, Status};

impl Connection {
    pub(super) fn tagged(
        &mut self,
        tag: &Bytes,
        completion: Completion,
        line: &[u8],
        output: &mut Output,
    ) -> Result<(), Error> {
        let id = tag
            .strip_prefix(b"a")
            .and_then(|digits| core::str::from_utf8(digits).ok());
        let id: Option<u64> = id.and_then(|digits| digits.parse().ok());
        self.listing = false;
        self.said = completion.text.clone();
        let at = self.sent.iter().position(|sent| Some(sent.id) == id);
        let Some(at) = at else {
            return Err(self.unasked(line));
        };
        if let Some(code) = &completion.code {
            self.code(code);
        }
        let last = at + 1 == self.sent.len();
        let Sent { handle, kind, .. } = self.sent.remove(at);
        if last {
            // It was refused before all of it was sent.
            self.holding.clear();
            if self
                .appending
                .as_ref()
                .is_some_and(|appending| !appending.asked)
            {
                self.appending = None;
            }
        }
        let ok = completion.status == Status::Ok;
        let mut event = Some(Event::Completed(handle, completion));
        match kind {
            Kind::Capability => event = self.withheld.take(),
            Kind::StartTls if ok => self.state = State::StartTls,
            Kind::Login | Kind::Authenticate { .. } => {
                self.logging_in = false;
                if let Some(Event::Completed(_, end)) = event.take() {
                    event = Some(match ok {
                        true => Event::Authenticated(handle, end),
                        false => Event::AuthenticationRefused(handle, end),
                    });
                }
                if ok {
                    self.state = State::Authenticated;
                    if !self.fresh {
                        self.withheld = event.take();
                        self.ask_capabilities(output);
                    }
                }
            }
            Kind::Select(selected) => {
                self.selecting = self.selecting.saturating_sub(1);
                self.stale = false;
                self.selected = ok.then_some(*selected);
            }
            Kind::Leave if ok => self.selected = None,
            Kind::Enable(_) => self.enabling = false,
            Kind::Compress if ok => self.state = State::Compress,
            Kind::Unauthenticate if ok => {
                self.state = State::NotAuthenticated;
                self.selected = None;
                self.utf8 = false;
                self.withheld = event.take();
                self.ask_capabilities(output);
            }
            Kind::Idle => {
                let renew = self.idle == Idle::Renewing && ok && self.waiting.is_empty();
                self.idle = Idle::Not;
                if renew {
                    event = None;
                    self.idle_again(handle, output);
                }
            }
            Kind::Logout => self.state = State::Closed,
            Kind::Move(step, set) if ok && step != Moving::Last => {
                if let Some(Event::Completed(_, end)) = event.take()
                    && end.code.is_some()
                {
                    self.report(Event::Status(end.status, end.code, end.text));
                }
                self.go_on_moving(handle, step, set, output);
            }
            _ => {}
        }
        event.into_iter().for_each(|event| self.report(event));
        self.send(output);
        Ok(())
    }
}
