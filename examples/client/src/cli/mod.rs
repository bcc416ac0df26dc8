//! The command line.

mod account;
mod advice;
mod mail;
mod outbox;
mod write;

pub use advice::advice;

use clap::{Args, Parser, Subcommand};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::{
    Account, Config, Dial, Error, Kind, Local, Progress, Result, Tcp, local, sync, visible, watch,
};

/// Mail on this device: POP and IMAP accounts, readable offline.
#[derive(Debug, Parser)]
#[command(name = "mailclient", version)]
pub struct Cli {
    /// The account; the first one, when none is named.
    #[arg(long, global = true, value_name = "ADDRESS")]
    account: Option<String>,
    /// Where accounts and mail are kept.
    #[arg(
        long,
        global = true,
        env = "HIKYAKU_HOME",
        value_name = "FOLDER",
        hide_env_values = true
    )]
    home: Option<PathBuf>,
    /// Lists as JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
    /// Columns of the terminal that is written to.
    #[arg(skip)]
    columns: Option<usize>,
}

impl Cli {
    /// Makes lines fit a terminal of so many columns; `None` is a file or a pipe, whose lines are whole.
    #[must_use]
    pub fn fitting(mut self, columns: Option<usize>) -> Self {
        self.columns = columns;
        self
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Accounts: add, list, show, remove, test.
    #[command(subcommand)]
    Account(account::Command),
    /// Brings what is new, and does on the server what was done offline.
    Sync {
        /// Asks a running `watch` to do it.
        #[arg(long)]
        now: bool,
    },
    /// Stays up to date until it is interrupted.
    Watch,
    /// The folders.
    Folders,
    /// The newest messages of a folder.
    List {
        /// The folder.
        #[arg(default_value = "INBOX")]
        folder: String,
        /// How many.
        #[arg(short = 'n', long, default_value_t = 25)]
        count: usize,
    },
    /// Shows a message, and marks it as read.
    Read {
        /// As `list` names it: INBOX/7, or 7.
        message: String,
        /// As it came, octet for octet.
        #[arg(long)]
        source: bool,
    },
    /// Messages that hold a text.
    Search {
        /// What to look for.
        text: String,
        /// In that folder alone.
        #[arg(long)]
        folder: Option<String>,
    },
    /// Saves attachments.
    Save {
        /// The message.
        message: String,
        /// Their numbers; all, when none is named.
        numbers: Vec<usize>,
        /// Where to.
        #[arg(long, default_value = ".")]
        to: PathBuf,
    },
    /// Writes a message: into the outbox, or among the drafts.
    Compose(Compose),
    /// Answers a message.
    Reply {
        /// The message.
        message: String,
        /// To all who had it.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        text: Text,
    },
    /// Passes a message on, whole.
    Forward {
        /// The message.
        message: String,
        /// To whom.
        #[arg(long, required = true)]
        to: Vec<String>,
        #[command(flatten)]
        text: Text,
    },
    /// Continues a draft: into the outbox, or among the drafts again.
    Edit {
        /// The draft.
        message: String,
        #[command(flatten)]
        changes: Box<write::Changes>,
    },
    /// Sends what is in the outbox.
    Send {
        /// A draft to send as it is, instead.
        draft: Option<String>,
    },
    /// The outbox: lists it, or shows, edits, removes or retries a message in it.
    Outbox {
        #[command(subcommand)]
        command: Option<outbox::Command>,
    },
    /// Changes what is noted of messages.
    Mark {
        /// The messages.
        #[arg(required = true)]
        messages: Vec<String>,
        #[command(flatten)]
        marks: Marks,
    },
    /// Moves messages to another folder.
    Move {
        /// The messages.
        #[arg(required = true)]
        messages: Vec<String>,
        /// The folder.
        #[arg(long)]
        to: String,
    },
    /// Deletes messages: into the trash, and from there for good.
    Delete {
        /// The messages.
        #[arg(required = true)]
        messages: Vec<String>,
        /// At once, wherever they are.
        #[arg(long)]
        for_good: bool,
    },
}

#[derive(Debug, Args)]
struct Compose {
    /// To whom.
    #[arg(long)]
    to: Vec<String>,
    /// Copies to.
    #[arg(long)]
    cc: Vec<String>,
    /// Copies that the others are not told of.
    #[arg(long)]
    bcc: Vec<String>,
    /// The subject.
    #[arg(long, default_value = "")]
    subject: String,
    #[command(flatten)]
    text: Text,
}

#[derive(Debug, Args)]
struct Text {
    /// The text; from $EDITOR on a terminal, else from standard input, when it is not given.
    #[arg(long)]
    text: Option<String>,
    /// Files to go with it.
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// In $EDITOR, also when a text is given.
    #[arg(long)]
    edit: bool,
    /// Among the drafts, not into the outbox.
    #[arg(long)]
    draft: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
#[allow(clippy::struct_excessive_bools, reason = "they are what is typed")]
struct Marks {
    #[arg(long, conflicts_with = "unread")]
    read: bool,
    #[arg(long)]
    unread: bool,
    #[arg(long, conflicts_with = "unflagged")]
    flagged: bool,
    #[arg(long)]
    unflagged: bool,
    #[arg(long)]
    answered: bool,
}

/// What a command works with.
struct Context<'a> {
    folder: PathBuf,
    config: Config,
    account: Option<String>,
    json: bool,
    /// Columns of the terminal, where it is one.
    columns: Option<usize>,
    clock: Clock,
    out: &'a mut (dyn Write + Send),
}

impl Context<'_> {
    fn account(&self) -> Result<Account> {
        self.config.account(self.account.as_deref()).cloned()
    }

    /// The accounts that a sync is for: the named one, or all.
    fn accounts(&self) -> Result<Vec<Account>> {
        match &self.account {
            Some(_) => Ok(vec![self.account()?]),
            None if self.config.accounts.is_empty() => self.account().map(|one| vec![one]),
            None => Ok(self.config.accounts.clone()),
        }
    }

    async fn local(&self, account: &Account) -> Result<Local> {
        let local = Local::of(local::open(&self.folder).await?, account).await?;
        Ok(local.with_cache(local::cache(&self.folder)))
    }

    /// Prints a line, or several. Whatever strangers put into it, it does no more than say something.
    fn say(&mut self, line: impl std::fmt::Display) -> Result<()> {
        let line = line.to_string();
        writeln!(self.out, "{}", visible::text(&line)).map_err(unwritten)
    }

    /// A listing: JSON where that is asked for, else a line each.
    fn list(&mut self, items: Vec<(Value, String)>) -> Result<()> {
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

fn unwritten(error: std::io::Error) -> Error {
    Error::File("standard output".into(), error)
}

fn dial(account: &Account) -> Tcp {
    account.dial()
}

/// Does what the command line says.
///
/// # Errors
/// Why it was not done; [`Error::exit_code`] is the program's.
pub async fn run(cli: Cli, out: &mut (dyn Write + Send)) -> Result<()> {
    let folder = match cli.home {
        Some(folder) => folder,
        None => Config::folder()?,
    };
    let config = Config::load(&folder)?;
    let mut context = Context {
        folder,
        config,
        account: cli.account,
        json: cli.json,
        columns: cli.columns,
        clock: Clock::of_the_reader(),
        out,
    };
    match cli.command {
        Command::Account(command) => account::run(&mut context, command).await,
        Command::Sync { now } => run_sync(&mut context, now).await,
        Command::Watch => run_watch(&mut context).await,
        Command::Folders => mail::folders(&mut context).await,
        Command::List { folder, count } => mail::list(&mut context, &folder, count).await,
        Command::Read { message, source } => mail::read(&mut context, &message, source).await,
        Command::Search { text, folder } => {
            mail::search(&mut context, &text, folder.as_deref()).await
        }
        Command::Save {
            message,
            numbers,
            to,
        } => mail::save(&mut context, &message, &numbers, &to).await,
        Command::Mark { messages, marks } => mail::mark(&mut context, &messages, &marks).await,
        Command::Move { messages, to } => mail::move_to(&mut context, &messages, &to).await,
        Command::Delete { messages, for_good } => {
            mail::delete(&mut context, &messages, for_good).await
        }
        Command::Compose(compose) => write::compose(&mut context, compose).await,
        Command::Reply { message, all, text } => {
            write::reply(&mut context, &message, all, text).await
        }
        Command::Forward { message, to, text } => {
            write::forward(&mut context, &message, to, text).await
        }
        Command::Edit { message, changes } => write::edit(&mut context, &message, *changes).await,
        Command::Send { draft } => {
            let only = match draft {
                Some(name) => Some(write::queue_draft(&mut context, &name).await?),
                None => None,
            };
            outbox::send(&mut context, only).await
        }
        Command::Outbox { command } => {
            let command = command.unwrap_or(outbox::Command::List);
            outbox::run(&mut context, command).await
        }
    }
}

async fn run_sync(context: &mut Context<'_>, now: bool) -> Result<()> {
    if now {
        let said = watch::ask(&context.folder, context.account.as_deref()).await;
        return match said {
            Some(said) => context.say(said.trim_end()),
            None => Err(Error::NotFound(
                "watch: none is running, and `mailclient sync` works without one".into(),
            )),
        };
    }
    let accounts = context.accounts()?;
    let mut failed = None;
    for account in &accounts {
        let local = context.local(account).await?;
        let outcome = sync(&dial(account), &local, account, &Progress::shown()).await;
        context.say(format_args!(
            "{}: {}",
            account.address,
            watch::said(&outcome)
        ))?;
        match outcome {
            Err(error) => failed = Some(error),
            Ok(report) if !report.warnings.is_empty() => {
                failed = failed.or(Some(Error::Partly(
                    "not all of it was done: what waits is tried again with the next sync".into(),
                )));
            }
            Ok(_) => {}
        }
    }
    failed.map_or(Ok(()), Err)
}

async fn run_watch(context: &mut Context<'_>) -> Result<()> {
    let accounts = context.accounts()?;
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    let dialer: watch::Dialer =
        Arc::new(|account: &Account| Arc::new(dial(account)) as Arc<dyn Dial>);
    let told: watch::Told = Arc::new(|account, outcome| {
        let mut out = std::io::stdout().lock();
        let line = format!("{}: {}", account.address, watch::said(outcome));
        let _ = writeln!(out, "{}", visible::text(&line));
    });
    watch::watch(&context.folder, accounts, dialer, told, stop).await
}
