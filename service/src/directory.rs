//! The directory: accounts, passwords and addresses, and what each account may do.

use hikyaku_mailstore::{Account, BoxFuture, Result};
use hikyaku_smtp_proto::{ForwardPath, Mailbox};
use hikyaku_wire::Secret;
use std::net::IpAddr;
use std::time::Duration;

use crate::Authors;

/// How long the answer to a wrong password is delayed by default.
pub(crate) const WRONG: Duration = Duration::from_secs(2);

/// Looks up accounts, checks passwords, resolves addresses, and says what each account may do.
///
/// A name is what the client sent: normalize its spelling first. Neither the answer nor the time it takes may
/// show whether the account exists.
///
/// ```
/// use hikyaku_mailstore::{Account, BoxFuture, Memory, Result, Store};
/// use hikyaku_service::{Directory, Whose};
/// use hikyaku_smtp_proto::ForwardPath;
/// use hikyaku_wire::Secret;
///
/// /// The accounts of a program that already has passwords.
/// struct People(Memory);
///
/// impl Directory for People {
///     fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>> {
///         Box::pin(async move { self.0.account(&name.to_lowercase()).await })
///     }
///
///     fn verify<'a>(&'a self, name: &'a str, password: &'a Secret) -> BoxFuture<'a, Result<Option<Account>>> {
///         Box::pin(async move {
///             let account = self.account(name).await?;
///             // Compare hashes, in constant time.
///             Ok(account.filter(|_| password.expose() == b"sesame"))
///         })
///     }
///
///     fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
///         Box::pin(async move {
///             Ok(match path.mailbox() {
///                 Some(mailbox) if mailbox.domain() == "example.org" => {
///                     Whose::Account(mailbox.to_string().to_lowercase())
///                 }
///                 Some(_) => Whose::Elsewhere,
///                 None => Whose::Account("postmaster@example.org".into()),
///             })
///         })
///     }
/// }
/// ```
pub trait Directory: Send + Sync {
    /// Finds the account of a login name.
    ///
    /// # Errors
    /// When the answer is not available now.
    fn account<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<Account>>>;

    /// Finds the account of a login name if the password is right. By default nobody can log in, which suits
    /// a server that only receives mail.
    ///
    /// # Errors
    /// When the answer is not available now.
    fn verify<'a>(
        &'a self,
        name: &'a str,
        password: &'a Secret,
    ) -> BoxFuture<'a, Result<Option<Account>>> {
        let _ = (name, password);
        Box::pin(async { Ok(None) })
    }

    /// Finds what a path means (RFC 5321 §4.1.2): an account, or other addresses, which are asked for in turn. A path
    /// without a mailbox is `<postmaster>`. By default no mail is delivered here, which suits a server where mail is
    /// only read.
    ///
    /// # Errors
    /// When the answer is not available now; the client is asked to try again.
    fn whose<'a>(&'a self, path: &'a ForwardPath) -> BoxFuture<'a, Result<Whose>> {
        let _ = path;
        Box::pin(async { Ok(Whose::Elsewhere) })
    }

    /// Lists the SASL mechanisms to offer, out of `PLAIN`, `LOGIN` and, with
    /// [`scram_keys`](Self::scram_keys), `SCRAM-SHA-256`.
    fn mechanisms(&self) -> &[&'static str] {
        &["PLAIN", "LOGIN"]
    }

    /// Returns the keys that SCRAM-SHA-256 checks a proof of the password against (RFC 5802 §3). A name
    /// without an account needs keys too, the same ones each time; otherwise an attacker sees that it has
    /// none.
    ///
    /// # Errors
    /// When the answer is not available now.
    fn scram_keys<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Option<ScramKeys>>> {
        let _ = name;
        Box::pin(async { Ok(None) })
    }

    /// Waits until a password for that name may be checked for a client at that address, so that guessing is
    /// slow. By default nobody waits, and the answer to a wrong password takes two seconds.
    ///
    /// # Errors
    /// [`TooMany`] when too many attempts are waiting.
    fn turn<'a>(
        &'a self,
        peer: IpAddr,
        name: &'a str,
    ) -> BoxFuture<'a, std::result::Result<Turn, TooMany>> {
        let _ = (peer, name);
        Box::pin(async { Ok(Turn::free()) })
    }

    /// Returns the authors that messages of a client may have. `account` is `None` for a client that has not
    /// logged in. By default, accounts write under their own name only, and other clients may send messages
    /// of any author.
    fn authors(&self, account: Option<&Account>, peer: IpAddr) -> Authors {
        let _ = peer;
        account.map_or_else(Authors::anybody, |account| Authors::only([&account.name]))
    }
}

/// The owner of the mailbox that a forward-path means.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Whose {
    /// The account of that name; if it does not exist, there is no such mailbox.
    Account(String),
    /// A domain of another server: mail for it is relayed, for clients that may.
    Elsewhere,
    /// Other addresses: an alias, a list, or an account whose mail is forwarded.
    Stands(StandsFor),
}

/// What an address stands for (RFC 5321 §3.9). Mail for it goes to all of these, for every client.
///
/// ```
/// use hikyaku_service::{StandsFor, Whose};
/// use hikyaku_smtp_proto::Mailbox;
///
/// // Mail for alice is kept in her mailbox, and sent to another server too.
/// let elsewhere = Mailbox::parse(b"alice@example.net")?;
/// let whose = Whose::Stands(StandsFor::new([elsewhere]).and_account("alice@example.org"));
/// # let _ = whose;
/// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StandsFor {
    /// An account here that gets a copy, whatever its own address stands for.
    pub account: Option<String>,
    /// Addresses, here or elsewhere. Each may stand for others.
    pub to: Vec<Mailbox>,
    /// Who is notified when a copy cannot be delivered, in place of the sender. With it the address is a mailing list
    /// (RFC 5321 §3.9.2), without it an alias (§3.9.1).
    pub owner: Option<Mailbox>,
    /// Whether notifications alone are passed on: mail with a reverse-path is refused.
    pub notifications_only: bool,
}

impl StandsFor {
    /// Creates an alias for these addresses.
    pub fn new(to: impl IntoIterator<Item = Mailbox>) -> Self {
        Self {
            to: to.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds an account that gets a copy.
    #[must_use]
    pub fn and_account(mut self, name: impl Into<String>) -> Self {
        self.account = Some(name.into());
        self
    }

    /// Makes it an address that notifications for another sender come back to, as those of SRS are.
    #[must_use]
    pub fn for_notifications(mut self) -> Self {
        self.notifications_only = true;
        self
    }

    /// Makes it a mailing list, with that owner.
    #[must_use]
    pub fn owned_by(mut self, owner: Option<Mailbox>) -> Self {
        self.owner = owner;
        self
    }
}

/// The keys that SCRAM-SHA-256 checks a proof against (RFC 5802 §3).
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs, reason = "RFC 5802 has these four")]
pub struct ScramKeys {
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// The salt.
    pub salt: Vec<u8>,
    /// StoredKey.
    pub stored: Vec<u8>,
    /// ServerKey.
    pub server: Vec<u8>,
}

/// Too many attempts are waiting; this one was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many attempts to log in: try again in a minute")]
#[allow(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct TooMany;

/// The outcome of an attempt to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth")]
pub enum Guess {
    /// The password was right.
    Right,
    /// The password was wrong, or the client left before that was known.
    Wrong,
    /// The password could not be checked.
    Undecided,
}

type Ends = Box<dyn FnOnce(Guess) -> BoxFuture<'static, ()> + Send>;

/// The turn of one attempt to log in: permission to check one password.
pub struct Turn(Option<Ends>);

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl Turn {
    /// Creates a turn that calls `ends` with the outcome. The client is answered when the returned future is
    /// ready.
    pub fn new(ends: impl FnOnce(Guess) -> BoxFuture<'static, ()> + Send + 'static) -> Self {
        Self(Some(Box::new(ends)))
    }

    /// Creates a turn without a wait. The answer to a wrong password takes two seconds.
    #[must_use]
    pub fn free() -> Self {
        Self::new(|guess| {
            Box::pin(async move {
                if guess == Guess::Wrong {
                    tokio::time::sleep(WRONG).await;
                }
            })
        })
    }

    /// Ends the turn; returns when the client may be answered.
    pub async fn end(mut self, guess: Guess) {
        if let Some(ends) = self.0.take() {
            ends(guess).await;
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(ends) = self.0.take() {
            drop(ends(Guess::Wrong));
        }
    }
}
