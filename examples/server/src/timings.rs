//! How long each step of a message takes, and each session.

use std::fmt::Write as _;
use std::time::Duration;

use crate::histogram::{Histogram, LONG, SHORT};
use crate::protocol::Protocol;

macro_rules! timings {
    ($($name:ident $bounds:ident $help:literal),* $(,)?) => {
        /// How long things take.
        #[derive(Debug)]
        pub(crate) struct Timings {
            sessions: Vec<(String, Histogram)>,
            $(pub(crate) $name: Histogram,)*
        }

        impl Default for Timings {
            fn default() -> Self {
                let sessions = Protocol::ALL.iter();
                Self {
                    sessions: sessions.map(|one| (one.label(), Histogram::new(LONG))).collect(),
                    $($name: Histogram::new($bounds),)*
                }
            }
        }

        impl Timings {
            /// Writes them in Prometheus' text format.
            pub(crate) fn write(&self, page: &mut String) {
                let name = "mailserver_session_duration_seconds";
                let _ = writeln!(page, "# HELP {name} How long connections lasted.\n# TYPE {name} histogram");
                for (protocol, histogram) in &self.sessions {
                    histogram.write(name, &format!("protocol=\"{protocol}\""), page);
                }
                $({
                    let name = concat!("mailserver_", stringify!($name));
                    let _ = writeln!(page, concat!("# HELP {} ", $help, "\n# TYPE {} histogram"), name, name);
                    self.$name.write(name, "", page);
                })*
            }
        }
    };
}

timings! {
    message_receive_duration_seconds SHORT "From DATA to the end of a message.",
    message_commit_duration_seconds SHORT "From the end of a message until it was on stable storage, or refused.",
    mailbox_delivery_duration_seconds SHORT "Storing a message in mailboxes here.",
    queue_duration_seconds LONG "From when a message was queued until a recipient had it.",
    relay_lookup_duration_seconds SHORT "Looking up where mail for a domain goes, in DNS.",
    relay_connect_duration_seconds SHORT "Until another server could be handed a message: connection, first words, TLS, login.",
    relay_conversation_duration_seconds SHORT "Handing a message to another server that was ready.",
}

impl Timings {
    /// Counts a session that is over.
    pub(crate) fn session(&self, protocol: Protocol, took: Duration) {
        let label = protocol.label();
        if let Some((_, histogram)) = self.sessions.iter().find(|(name, _)| *name == label) {
            histogram.observe(took);
        }
    }
}
