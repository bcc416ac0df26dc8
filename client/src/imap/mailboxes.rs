//! Mailboxes: those of the server, and what each is called here.

use hikyaku_imap_proto::client::Event;
use hikyaku_imap_proto::{
    Command, List, ListAttribute, ListResponse, MailboxName, Pattern, Response, ReturnOptions,
};
use hikyaku_mailstore::{Operation, Transaction};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

use super::missing::{Doubt, Missing};
use super::{Mirror, Session, accepted};
use crate::local::{ANEW, Folder, MIRRORED_INBOX, mirrored};
use crate::{Error, Local, Report, Result};

/// Octets of a name here, of the 1 000 that the store takes.
const LONGEST: usize = 900;

/// The mailboxes that can be opened, by their names here.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    pub(super) all: Vec<(String, MailboxName)>,
    /// What separates levels on the server.
    delimiter: Option<char>,
}

impl Mailboxes {
    /// The mailbox on the server of that name here; the name of one that is to be made, where there is none.
    pub(super) fn remote(&self, mailbox: &str) -> MailboxName {
        let found = self.all.iter().find(|(name, _)| name == mailbox);
        match (found, self.delimiter) {
            (Some((_, remote)), _) => remote.clone(),
            (None, Some(delimiter)) if delimiter != '/' => {
                let level = |level: &str| level.replace(delimiter, "_");
                let levels: Vec<_> = mailbox.split('/').map(level).collect();
                MailboxName::new(levels.join(&delimiter.to_string()))
            }
            _ => MailboxName::new(mailbox),
        }
    }
}

/// Makes the mailboxes here as they are there. `unlisted` is why the server is not asked for them: those that are
/// known are all, then.
pub(super) async fn mailboxes(
    session: &mut Session,
    local: &Local,
    report: &mut Report,
    unlisted: Option<String>,
) -> Result<Mailboxes> {
    let properties = local.properties(local.account).await?;
    let there: BTreeMap<String, Folder> = local
        .mailboxes()
        .await?
        .into_iter()
        .map(|folder| (folder.name.clone(), folder))
        .collect();
    let mirrors: BTreeMap<&str, Mirror> = there
        .keys()
        .filter_map(|name| Some((name.as_str(), Mirror::of(&properties, name)?)))
        .collect();
    let listed = match unlisted {
        None => listed(session).await,
        Some(why) => Err(Error::Refused(why)),
    };
    let listed = match listed {
        Ok(listed) => listed,
        Err(Error::Refused(why)) => {
            report
                .warnings
                .push(format!("the list of mailboxes could not be fetched: {why}"));
            let known = mirrors
                .values()
                .map(|mirror| ListResponse::new(mirror.name(), None, Vec::<ListAttribute>::new()));
            with_inbox(known.collect())
        }
        Err(error) => return Err(error),
    };
    let mut names = Names::default();
    // Those that have a name here keep it, whatever comes before them now.
    for (name, mirror) in &mirrors {
        let name = (*name).to_owned();
        names.of.entry(mirror.remote.clone()).or_insert(name);
    }
    let mut result = Mailboxes {
        all: Vec::new(),
        delimiter: listed.iter().find_map(|one| one.delimiter),
    };
    for one in &listed {
        let name = names.name(one);
        if !there.contains_key(&name) {
            let create = Operation::Create {
                name: mirrored(&name).to_owned(),
                special_use: special_use(one, &listed),
                uid_validity: None,
            };
            let made = local
                .commit(Transaction::new(local.account).with(create))
                .await;
            match made {
                Err(Error::Store(error @ hikyaku_mailstore::Error::InvalidName(_))) => {
                    report.warnings.push(format!("{name}: {error}"));
                    continue;
                }
                done => done.map(drop)?,
            }
        }
        result.all.push((name, one.name.clone()));
    }
    for (name, folder) in &there {
        if names.used.contains(name) {
            continue;
        }
        let remote = mirrors.get(name.as_str()).map(Mirror::name);
        let remote = remote.unwrap_or_else(|| MailboxName::new(name.as_str()));
        // A list may lack what is there: it is asked for by its name before anything is dropped.
        match is_listed(session, &remote).await {
            Ok(false) => {}
            Ok(true) => {
                result.all.push((name.clone(), remote));
                continue;
            }
            Err(Error::Refused(_)) => continue,
            Err(error) => return Err(error),
        }
        let gone = Transaction::new(local.account)
            .with(Operation::Delete(folder.id))
            .with(Mirror::forget(name))
            .with(Missing::default().keep(name))
            .with(Doubt::keep(name, &hikyaku_mailstore::UidSet::new()));
        local.commit(gone).await?;
    }
    Ok(result)
}

/// All mailboxes that can be opened, each once, INBOX among them: it always exists (RFC 9051 §5.1).
async fn listed(session: &mut Session) -> Result<Vec<ListResponse>> {
    let mut list = List::new(Pattern::new("*"));
    if session.capabilities().has("SPECIAL-USE") && session.capabilities().has("LIST-EXTENDED") {
        list.extended = true;
        let mut returns = ReturnOptions::default();
        returns.special_use = true;
        list.returns = returns;
        match ask(session, list).await {
            Ok(listed) if !listed.is_empty() => return Ok(with_inbox(listed)),
            // Some announce it and do not know it: asked plainly.
            Ok(_) | Err(Error::Refused(_)) => list = List::new(Pattern::new("*")),
            Err(error) => return Err(error),
        }
    }
    ask(session, list).await.map(with_inbox)
}

async fn ask(session: &mut Session, list: List) -> Result<Vec<ListResponse>> {
    let mut listed: Vec<ListResponse> = Vec::new();
    let end = session
        .ask(Command::List(list), |event| {
            if let Event::Data(Response::List(mut one)) = event {
                one.name = one.name.as_it_came();
                listed.push(one);
            }
        })
        .await?;
    accepted(end).map(|_| listed)
}

/// Whether the server lists that mailbox when it is asked for it alone.
async fn is_listed(session: &mut Session, name: &MailboxName) -> Result<bool> {
    let list = List::new(Pattern::new(name.as_str()));
    let listed = ask(session, list).await?;
    Ok(listed
        .iter()
        .any(|one| one.name == *name && can_be_opened(one)))
}

fn can_be_opened(one: &ListResponse) -> bool {
    ![ListAttribute::NoSelect, ListAttribute::NonExistent]
        .iter()
        .any(|a| one.attributes.contains(a))
}

/// Those that can be opened. One that is listed twice is one, with the attributes of both lines.
fn with_inbox(listed: Vec<ListResponse>) -> Vec<ListResponse> {
    let inbox = MailboxName::new("INBOX");
    let mut all: Vec<ListResponse> = Vec::new();
    let mut at = BTreeMap::new();
    for mut one in listed {
        if !can_be_opened(&one) {
            if one.name != inbox {
                continue;
            }
            one.attributes = [].into_iter().collect();
        }
        match at.get(&one.name).and_then(|&at: &usize| all.get_mut(at)) {
            Some(before) => {
                for attribute in one.attributes.iter() {
                    before.attributes.insert(attribute);
                }
            }
            None => {
                at.insert(one.name.clone(), all.len());
                all.push(one);
            }
        }
    }
    if !at.contains_key(&inbox) {
        all.insert(0, ListResponse::new(inbox, None, []));
    }
    all
}

/// Names here, and which mailboxes have them.
#[derive(Debug, Default)]
struct Names {
    /// By the name on the server.
    of: BTreeMap<String, String>,
    used: BTreeSet<String>,
}

impl Names {
    /// The name here: with `/` between levels, and as the store takes it. Two mailboxes of the server never share
    /// one.
    fn name(&mut self, one: &ListResponse) -> String {
        let remote = Mirror::remote_of(&one.name);
        let digest = || {
            let digest = Sha256::digest(&remote);
            format!("~{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2])
        };
        let name = match self.of.get(&remote) {
            Some(name) => name.clone(),
            None => {
                let mut name = usual_name(one.name.as_str(), one.delimiter);
                if name.len() > LONGEST {
                    let end = (0..=LONGEST).rev().find(|&at| name.is_char_boundary(at));
                    name.truncate(end.unwrap_or(0));
                    name += &digest();
                }
                let taken = |name: &String| {
                    self.used.contains(name) || self.of.values().any(|other| other == name)
                };
                // The store's own names are no mailbox's.
                if taken(&name) || name == MIRRORED_INBOX || name == ANEW {
                    name += &digest();
                }
                name
            }
        };
        self.used.insert(name.clone());
        name
    }
}

fn usual_name(remote: &str, delimiter: Option<char>) -> String {
    let plain = |level: &str| -> String {
        let octets = level.chars();
        let name: String = octets
            .map(|c| if c.is_control() || c == '/' { '_' } else { c })
            .collect();
        if name.is_empty() { "_".into() } else { name }
    };
    let mut levels: Vec<String> = match delimiter {
        Some(delimiter) => remote.split(delimiter).map(plain).collect(),
        None => remote.split('/').map(plain).collect(),
    };
    // The store takes 64 levels.
    if levels.len() > 60 {
        let rest = levels.split_off(59).join("_");
        levels.push(rest);
    }
    if let Some(first) = levels.first_mut()
        && first.eq_ignore_ascii_case("INBOX")
    {
        *first = "INBOX".into();
    }
    levels.join("/")
}

/// What the server says a mailbox is for; by its usual name, where no mailbox says so.
fn special_use(one: &ListResponse, all: &[ListResponse]) -> Option<String> {
    let special_use = |one: &ListResponse| one.attributes.special_uses().next().map(str::to_owned);
    let usual = [
        (
            "\\Sent",
            &["sent", "sent items", "sent messages", "送信済み"][..],
        ),
        ("\\Drafts", &["drafts", "draft", "下書き"]),
        (
            "\\Trash",
            &["trash", "deleted items", "deleted messages", "ごみ箱"],
        ),
        ("\\Junk", &["junk", "spam", "junk e-mail", "迷惑メール"]),
    ];
    special_use(one).or_else(|| {
        let name = one.name.as_str().to_lowercase();
        let last = one
            .delimiter
            .and_then(|d| name.rsplit(d).next())
            .unwrap_or(&name);
        let (found, _) = usual.into_iter().find(|(_, names)| names.contains(&last))?;
        let said = all
            .iter()
            .any(|other| special_use(other).is_some_and(|said| said == found));
        (!said).then(|| found.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(all: &[(&str, Option<char>)]) -> Vec<String> {
        let mut names = Names::default();
        let listed = all
            .iter()
            .map(|(name, delimiter)| ListResponse::new(MailboxName::new(*name), *delimiter, []));
        listed.map(|one| names.name(&one)).collect()
    }

    #[test]
    fn every_mailbox_has_a_name_of_its_own() {
        let dot = Some('.');
        assert_eq!(
            names(&[("INBOX.a", dot), ("a/b.c", dot), ("x..y", dot), ("z.", dot)]),
            ["INBOX/a", "a_b/c", "x/_/y", "z/_"]
        );
        let alike = names(&[("a_b", dot), ("a/b", dot), ("INBOX~", dot)]);
        assert_eq!(alike[0], "a_b");
        assert!(alike[1].starts_with("a_b~") && alike[2].starts_with("INBOX~~"));
        assert!(alike[2] != ANEW);
        assert_eq!(names(&[("inbox/Sub", Some('/'))]), ["INBOX/Sub"]);
        assert_eq!(
            names(&[("a\\b", Some('\\')), ("q/r", None)]),
            ["a/b", "q/r"]
        );
        assert!(names(&[(&"x".repeat(2000), dot)])[0].len() < 1000);
    }
}
