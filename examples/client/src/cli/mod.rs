//! The command line.

mod account;
mod advice;
mod arguments;
mod context;
mod mail;
mod outbox;
mod write;

pub use advice::advice;

use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use crate::clock::Clock;
use crate::progress::Bar;
use crate::{Config, watch};
use arguments::{Compose, Marks, Text};
use context::{Context, dial};
use hikyaku_client::{Account, Dial, Error, Result, sync, visible};

/// A mail client for POP and IMAP accounts that keeps mail on this device, readable offline.
#[derive(Debug, Parser)]
#[command(name = "mailclient", version)]
pub struct Cli {
    /// The account to use [default: the first one].
    #[arg(long, global = true, value_name = "ADDRESS")]
    account: Option<String>,
    /// The folder that holds accounts and mail.
    #[arg(
        long,
        global = true,
        env = "HIKYAKU_HOME",
        value_name = "FOLDER",
        hide_env_values = true
    )]
    home: Option<PathBuf>,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
    /// Columns of the terminal that is written to.
    #[arg(skip)]
    columns: Option<usize>,
}

impl Cli {
    /// Makes lines fit a terminal with that many columns; with `None`, a file or a pipe, lines stay whole.
    #[must_use]
    pub fn fitting(mut self, columns: Option<usize>) -> Self {
        self.columns = columns;
        self
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Manages accounts: adds, lists, shows, tests or removes them.
    #[command(subcommand)]
    Account(account::Command),
    /// Fetches new mail and uploads changes made offline.
    Sync {
        /// Lets a running `mailclient watch` do it.
        #[arg(long)]
        now: bool,
    },
    /// Keeps the offline copy up to date until you press Ctrl-C.
    Watch,
    /// Lists the folders.
    Folders,
    /// Lists the newest messages of a folder.
    List {
        /// The folder.
        #[arg(default_value = "INBOX")]
        folder: String,
        /// The largest number of messages to list.
        #[arg(short = 'n', long, default_value_t = 25)]
        count: usize,
    },
    /// Shows a message, and marks it as read.
    Read {
        /// The message as `list` names it: INBOX/7, or 7.
        message: String,
        /// Prints the message exactly as it was received.
        #[arg(long)]
        source: bool,
    },
    /// Lists the messages that contain a text.
    Search {
        /// The text to look for.
        text: String,
        /// Searches this folder only.
        #[arg(long)]
        folder: Option<String>,
    },
    /// Saves attachments of a message as files.
    Save {
        /// The message.
        message: String,
        /// The numbers of the attachments, as `read` lists them [default: all].
        numbers: Vec<usize>,
        /// The folder to save to.
        #[arg(long, default_value = ".")]
        to: PathBuf,
    },
    /// Writes a message and puts it into the outbox, or saves it to Drafts.
    Compose(Compose),
    /// Replies to a message.
    Reply {
        /// The message.
        message: String,
        /// Replies to all recipients.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        text: Text,
    },
    /// Forwards a message as an attachment.
    Forward {
        /// The message.
        message: String,
        /// A recipient; may be given several times.
        #[arg(long, required = true, value_name = "ADDRESS")]
        to: Vec<String>,
        #[command(flatten)]
        text: Text,
    },
    /// Changes a draft and puts it into the outbox, or saves it to Drafts again.
    Edit {
        /// The draft.
        message: String,
        #[command(flatten)]
        changes: Box<write::Changes>,
    },
    /// Sends the messages in the outbox.
    Send {
        /// A draft to send unchanged, instead of the outbox.
        draft: Option<String>,
    },
    /// Lists the outbox, or shows, edits, removes or retries a message in it.
    Outbox {
        #[command(subcommand)]
        command: Option<outbox::Command>,
    },
    /// Marks messages as read, unread, flagged or answered.
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
        /// The folder to move them to.
        #[arg(long, value_name = "FOLDER")]
        to: String,
    },
    /// Moves messages to the trash; deletes those that are already there for good.
    Delete {
        /// The messages.
        #[arg(required = true)]
        messages: Vec<String>,
        /// Deletes them for good, wherever they are.
        #[arg(long)]
        for_good: bool,
    },
}

/// Runs the command line.
///
/// # Errors
/// Why the command failed; [`Error::exit_code`] gives the exit code of the program.
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
                "running watch: `mailclient sync` works without one".into(),
            )),
        };
    }
    let accounts = context.accounts()?;
    let mut failed = None;
    for account in &accounts {
        let local = context.local(account).await?;
        let outcome = sync(&dial(account), &local, account, &Bar::new()).await;
        context.say(format_args!(
            "{}: {}",
            account.address,
            watch::said(&outcome)
        ))?;
        match outcome {
            Err(error) => failed = Some(error),
            Ok(report) if !report.warnings.is_empty() => {
                failed = failed.or(Some(Error::Partly(
                    "some changes were not uploaded; the next sync tries them again".into(),
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
    let synced: watch::Synced = Arc::new(|account, outcome| {
        let mut out = std::io::stdout().lock();
        let line = format!("{}: {}", account.address, watch::said(outcome));
        let _ = writeln!(out, "{}", visible::text(&line));
    });
    watch::watch(&context.folder, accounts, dialer, synced, stop).await
}
