//! POP3 servers for the client, each answer scripted.
//!
//! A row is a maildrop over one, two or three syncs: what arrives, what the server answers otherwise than a good
//! one would, and what must be so afterwards. In every row and after every sync one thing holds besides: whatever
//! arrived lies on this disk, octet for octet, or is still on the server.

mod deletions;
mod ids;
mod listings;
mod logins;
mod messages;
mod scripted;

use bytes::Bytes;
use hikyaku_client::{Account, Error, Kind, Local, Password, Security, Server, sync};
use hikyaku_mailstore::Memory;
use scripted::{Kept, Scripted};
use std::sync::Arc;

/// A message: `#` in an id is its number in the session, `~` the session.
#[derive(Clone, Copy)]
struct Mail {
    id: &'static str,
    subject: &'static str,
    body: &'static str,
    /// Nothing in the header section is its own.
    bare: bool,
}

const fn mail(id: &'static str, subject: &'static str) -> Mail {
    Mail {
        id,
        subject,
        body: "A body.",
        bare: false,
    }
}

/// A message whose header section others may have too.
const fn bare(id: &'static str, subject: &'static str, body: &'static str) -> Mail {
    Mail {
        id,
        subject,
        body,
        bare: true,
    }
}

impl Mail {
    fn octets(&self) -> String {
        let of = match self.bare {
            true => String::new(),
            false => format!("Message-ID: <{}@x.test>\r\n", self.subject),
        };
        format!(
            "From: f@x.test\r\nSubject: {}\r\n{of}\r\n{}\r\n.dot\r\n",
            self.subject, self.body
        )
    }
}

/// What the server says instead of what a good one would.
#[derive(Clone, Copy, Debug)]
enum Say {
    /// These lines, and does nothing.
    Text(&'static str),
    /// These lines, then what a good one says.
    First(&'static str),
    /// These octets, and does nothing.
    Raw(&'static str),
    /// Nothing: it closes.
    Close,
    /// These octets, then it closes.
    Cut(&'static str),
    /// It does what it was asked to, and closes without a word.
    DoneAndClose,
}

/// One sync.
struct Sync {
    /// What arrives before it.
    arrive: &'static [Mail],
    /// What another client deletes before it, by subject.
    other: &'static [&'static str],
    /// What the person deletes here before it, by subject.
    trash: &'static [&'static str],
    /// By a command, or a whole line; `*` is input that came while a command was answered, `!` the greeting.
    say: &'static [(&'static str, Say)],
    /// Subjects on this disk after it, sorted.
    here: &'static [&'static str],
    /// Subjects on the server after it, in its order.
    there: &'static [&'static str],
    /// Words of warnings; none means that there is no warning.
    warns: &'static [&'static str],
    /// Words of the error.
    error: Option<&'static str>,
    /// Lines that were sent to it.
    sent: &'static [&'static str],
    /// Lines that were not.
    unsent: &'static [&'static str],
}

const SYNC: Sync = Sync {
    arrive: &[],
    other: &[],
    trash: &[],
    say: &[],
    here: &[],
    there: &[],
    warns: &[],
    error: None,
    sent: &[],
    unsent: &[],
};

struct Row {
    name: &'static str,
    /// Who is known to do so.
    known: &'static str,
    /// When the account deletes.
    rule: &'static str,
    syncs: &'static [Sync],
}

const ONE_TWO: &[Mail] = &[mail("a", "one"), mail("b", "two")];
const NUMBERED: &[Mail] = &[mail("#", "one"), mail("#", "two")];

fn account(rule: &str) -> Account {
    let server = || Server {
        host: "pop.x.test".into(),
        port: 110,
        security: Security::None,
    };
    let password = Password::InClear("secret".into());
    Account {
        delete: rule.parse().unwrap(),
        ..Account::new("me@x.test", Kind::Pop, server(), server(), password)
    }
}

/// Subject and octets of all that is here, in INBOX or in the trash.
async fn on_this_disk(local: &Local, folder: &str) -> Vec<(String, Bytes)> {
    let mut all = Vec::new();
    for message in local.list(folder, 1000).await.unwrap() {
        all.push((
            message.subject(),
            local.whole(&message).await.unwrap().unwrap(),
        ));
    }
    all.sort();
    all
}

async fn run(row: &Row) -> Result<(), String> {
    let server = Scripted::default();
    let account = account(row.rule);
    let local = Local::of(Arc::new(Memory::new()), &account).await.unwrap();
    let mut ever: Vec<Mail> = Vec::new();
    for (nth, step) in row.syncs.iter().enumerate() {
        for subject in step.trash {
            let all = local.list("INBOX", 1000).await.unwrap();
            let message = all.iter().find(|one| one.subject() == *subject).unwrap();
            local.delete(message, false).await.unwrap();
        }
        {
            let mut state = server.0.lock().unwrap();
            for subject in step.other {
                let at = state
                    .maildrop
                    .iter()
                    .position(|kept| kept.mail.subject == *subject)
                    .unwrap();
                state.maildrop.remove(at);
            }
            for &mail in step.arrive {
                state.arrived += 1;
                let nth = state.arrived;
                state.maildrop.push(Kept { mail, nth });
                ever.push(mail);
            }
            state.say = step.say;
            state.log.clear();
        }
        let outcome = sync(&server, &local, &account, &()).await;
        let here = on_this_disk(&local, "INBOX").await;
        let trash = on_this_disk(&local, "Trash").await;
        let state = server.0.lock().unwrap();
        let there: Vec<&str> = state
            .maildrop
            .iter()
            .map(|kept| kept.mail.subject)
            .collect();
        let wrong = |what: String| Err(format!("sync {}: {what}\n  {:?}", nth + 1, state.log));
        let subjects: Vec<&str> = here.iter().map(|(subject, _)| subject.as_str()).collect();
        if subjects != step.here || there != step.there {
            return wrong(format!("here {subjects:?}, there {there:?}, {outcome:?}"));
        }
        // Nothing is lost.
        for mail in &ever {
            let octets = mail.octets();
            let is_here = here
                .iter()
                .chain(&trash)
                .any(|(_, of)| of == octets.as_bytes());
            let is_there = state
                .maildrop
                .iter()
                .any(|kept| kept.mail.octets() == octets);
            if !is_here && !is_there {
                return wrong(format!("{:?} is lost", mail.subject));
            }
        }
        match (&outcome, step.error) {
            (Ok(report), None) => {
                let has = |words: &&&str| report.warnings.iter().any(|one| one.contains(**words));
                if report.warnings.len() != step.warns.len() || !step.warns.iter().all(|w| has(&w))
                {
                    return wrong(format!("warnings {:?}", report.warnings));
                }
            }
            (Err(error), Some(words)) if error.to_string().contains(words) => {
                let may = matches!(
                    error,
                    Error::Network(_) | Error::Protocol(_) | Error::Login(_)
                );
                if !may {
                    return wrong(format!("{error:?}"));
                }
            }
            _ => return wrong(format!("{outcome:?}, not {:?}", step.error)),
        }
        let sent = |line: &&&str| state.log.iter().any(|one| one == **line);
        if !step.sent.iter().all(|line| sent(&line)) || step.unsent.iter().any(|line| sent(&line)) {
            return wrong("what was sent".into());
        }
    }
    Ok(())
}

async fn all(rows: &[Row]) {
    let mut failed = Vec::new();
    for row in rows {
        if let Err(why) = run(row).await {
            failed.push(format!("{} ({}), {}: {why}", row.name, row.known, row.rule));
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {}:\n{}",
        failed.len(),
        rows.len(),
        failed.join("\n")
    );
}

#[tokio::test]
async fn ids_that_mean_little() {
    all(ids::IDS).await;
}

#[tokio::test]
async fn listings_that_are_wrong() {
    all(listings::LISTINGS).await;
}

#[tokio::test]
async fn messages_that_do_not_come() {
    all(messages::MESSAGES).await;
}

#[tokio::test]
async fn deletions_that_are_not_certain() {
    all(deletions::DELETIONS).await;
}

#[tokio::test]
async fn logins_that_are_refused() {
    all(logins::LOGINS).await;
}
