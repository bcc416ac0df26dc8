//! Arguments that several commands share.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Compose {
    /// A recipient; may be given several times.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) to: Vec<String>,
    /// A recipient of a copy.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) cc: Vec<String>,
    /// A recipient of a copy whom the others do not see.
    #[arg(long, value_name = "ADDRESS")]
    pub(super) bcc: Vec<String>,
    /// The subject.
    #[arg(long, default_value = "")]
    pub(super) subject: String,
    #[command(flatten)]
    pub(super) text: Text,
}

#[derive(Debug, Args)]
pub(super) struct Text {
    /// The text. Without it, $VISUAL or $EDITOR opens on a terminal; elsewhere standard input is read.
    #[arg(long)]
    pub(super) text: Option<String>,
    /// A file to attach; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(super) attach: Vec<PathBuf>,
    /// Opens the editor even when --text is given.
    #[arg(long)]
    pub(super) edit: bool,
    /// Saves the message to Drafts instead of the outbox.
    #[arg(long)]
    pub(super) draft: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
#[allow(clippy::struct_excessive_bools, reason = "they are what is typed")]
pub(super) struct Marks {
    /// Marks them as read.
    #[arg(long, conflicts_with = "unread")]
    pub(super) read: bool,
    /// Marks them as unread.
    #[arg(long)]
    pub(super) unread: bool,
    /// Flags them.
    #[arg(long, conflicts_with = "unflagged")]
    pub(super) flagged: bool,
    /// Removes the flag.
    #[arg(long)]
    pub(super) unflagged: bool,
    /// Marks them as answered.
    #[arg(long)]
    pub(super) answered: bool,
}
