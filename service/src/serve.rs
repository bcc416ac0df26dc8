//! The loop that all protocols share: events, TLS, compression, logging in, and ending in good order.

use hikyaku_mailstore::Account;
use hikyaku_wire::drive::{DriveError, Driver, Next};
use hikyaku_wire::{LoginRefusal, Machine};
use std::fmt::Display;
use std::io;
use tracing::{info, warn};

use crate::login::LoginStep;
use crate::service::Service;
use crate::stream::Stream;
use crate::{Guest, Leave};

/// What a conversation hears.
pub(crate) enum Heard<M: Machine> {
    /// Something of the client's.
    Client(Result<Next<M::Event>, DriveError<M::Error>>),
    /// Something that the client wants to know has changed.
    Change,
}

/// A protocol, spoken with one client.
pub(crate) trait Conversation: Sized + Send {
    type Machine: Machine<Event: Send, Error: Display + Send> + Send;

    fn driver(&mut self) -> &mut Driver<Self::Machine, Stream>;

    fn guest(&self) -> &dyn Guest;

    /// Waits for what comes next. Nothing is lost when it is not waited for to the end.
    fn hear(&mut self) -> impl Future<Output = Heard<Self::Machine>> + Send {
        async { Heard::Client(self.driver().next_async().await) }
    }

    /// Does what the client asks for. What takes much room is boxed: a connection that waits has room for the largest of its
    /// steps.
    fn event(
        &mut self,
        event: <Self::Machine as Machine>::Event,
    ) -> impl Future<Output = ()> + Send;

    /// Reports a change.
    fn report(&mut self) -> impl Future<Output = io::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Begins TLS; `None` when it does not come about.
    fn encrypt(self) -> impl Future<Output = Option<Self>> + Send;

    /// Begins compression.
    fn compress(self) -> Self {
        self
    }

    /// Whether it may end now, because the guest has to leave.
    fn may_leave(&self) -> bool {
        true
    }

    /// Says farewell.
    fn leave(&mut self, why: Leave) {
        let _ = why;
        let (machine, output) = self.driver().split();
        machine.shut_down(output);
    }

    /// Sends a challenge of a login.
    fn challenge(&mut self, challenge: &[u8]);

    /// Lets somebody in.
    fn granted(&mut self, account: Box<Account>) -> impl Future<Output = ()> + Send;

    /// Lets nobody in.
    fn refused(&mut self, why: LoginRefusal);

    /// Does what a step of a login came to.
    fn logged_in(&mut self, step: LoginStep) -> impl Future<Output = ()> + Send {
        async move {
            match step {
                LoginStep::Challenge(challenge) => self.challenge(&challenge),
                LoginStep::Account(account) => {
                    self.guest().settled();
                    self.granted(account).await;
                }
                LoginStep::Refused => self.refused(LoginRefusal::Credentials),
                LoginStep::Unavailable => self.refused(LoginRefusal::Unavailable),
            }
        }
    }
}

/// Begins TLS after STARTTLS and STLS; `None` when the connection is over.
pub(crate) async fn starttls<M: Machine>(
    service: &Service,
    driver: Driver<M, Stream>,
) -> Option<Driver<M, Stream>> {
    let begin = |stream: Stream| async { service.encrypt(stream).await.ok_or(()) };
    driver.upgrade_async(begin).await.ok()
}

/// Holds a conversation until it ends. It is boxed at once: an `async fn` has room for its arguments twice.
pub(crate) fn serve<C: Conversation>(
    conversation: C,
    guest: &dyn Guest,
) -> impl Future<Output = ()> + Send {
    held(Box::new(conversation), guest)
}

async fn held<C: Conversation>(mut conversation: Box<C>, guest: &dyn Guest) {
    let mut leaves = guest.leaves();
    loop {
        let may_leave = conversation.may_leave();
        let heard = tokio::select! {
            heard = conversation.hear() => heard,
            why = &mut leaves, if may_leave => {
                conversation.leave(why);
                break;
            }
        };
        match heard {
            Heard::Client(Ok(Next::Event(event))) => conversation.event(event).await,
            Heard::Client(Ok(Next::StartTls)) => match Box::pin(conversation.encrypt()).await {
                Some(encrypted) => *conversation = encrypted,
                None => return,
            },
            Heard::Client(Ok(Next::Compress)) => *conversation = conversation.compress(),
            Heard::Client(Ok(Next::Closed)) => break,
            Heard::Client(Ok(Next::NeedAnswer)) => {
                warn!("a bug: an event was not answered, so the connection is closed");
                break;
            }
            Heard::Client(Err(error)) => {
                info!(%error, "the connection ended");
                break;
            }
            Heard::Change => {
                if Box::pin(conversation.report()).await.is_err() {
                    break;
                }
            }
        }
    }
    conversation.driver().shutdown().await;
}
