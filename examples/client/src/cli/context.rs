//! The context of a command: accounts, store and output.

use hikyaku_client::{Account, Error, Local, Result, Tcp, visible};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;

use crate::clock::Clock;
use crate::{Config, store};

/// What a command works with.
pub(super) struct Context<'a> {
    pub(super) folder: PathBuf,
    pub(super) config: Config,
    pub(super) account: Option<String>,
    pub(super) json: bool,
    /// Columns of the terminal, where it is one.
    pub(super) columns: Option<usize>,
    pub(super) clock: Clock,
    pub(super) out: &'a mut (dyn Write + Send),
}

impl Context<'_> {
    pub(super) fn account(&self) -> Result<Account> {
        self.config.account(self.account.as_deref()).cloned()
    }

    /// The accounts that a sync is for: the named one, or all.
    pub(super) fn accounts(&self) -> Result<Vec<Account>> {
        match &self.account {
            Some(_) => Ok(vec![self.account()?]),
            None if self.config.accounts.is_empty() => self.account().map(|one| vec![one]),
            None => Ok(self.config.accounts.clone()),
        }
    }

    pub(super) async fn local(&self, account: &Account) -> Result<Local> {
        let local = Local::of(store::open(&self.folder).await?, account).await?;
        Ok(local.with_cache(store::cache(&self.folder)))
    }

    /// Prints a line, or several. Whatever strangers put into it, it does no more than say something.
    pub(super) fn say(&mut self, line: impl std::fmt::Display) -> Result<()> {
        let line = line.to_string();
        writeln!(self.out, "{}", visible::text(&line)).map_err(unwritten)
    }

    /// A listing: JSON where that is asked for, else a line each.
    pub(super) fn list(&mut self, items: Vec<(Value, String)>) -> Result<()> {
        if self.json {
            let all: Vec<_> = items.into_iter().map(|(value, _)| value).collect();
            return self.say(Value::Array(all));
        }
        for (_, line) in items {
            self.say(line)?;
        }
        Ok(())
    }
}

pub(super) fn unwritten(error: std::io::Error) -> Error {
    Error::File("standard output".into(), error)
}

pub(super) fn dial(account: &Account) -> Tcp {
    account.dial()
}
