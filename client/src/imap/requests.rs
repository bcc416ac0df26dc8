//! FETCH of many messages, of which the server may refuse one, or leave one out.
//!
//! What a refused command did not bring is asked for again by halves, until the message is found that the server
//! cannot read; what an accepted one left out is asked for once more. What is left then is named, and asked for
//! again with the next sync.

use hikyaku_imap_proto::client::Handle;
use hikyaku_imap_proto::{Command, Completion, FetchAttribute, ResponseCode, SequenceSet, Status};
use std::collections::{BTreeMap, HashMap};

use super::{Session, text};
use crate::Result;

/// How many messages may be refused one after the other before the rest are not asked for.
const PATIENCE: usize = 64;

/// FETCH commands that are under way.
pub(super) struct Requests {
    attributes: Vec<FetchAttribute>,
    asked: HashMap<Handle, Ask>,
    in_a_row: usize,
    /// What the server did not give, and its words.
    pub(super) refused: BTreeMap<u32, String>,
}

struct Ask {
    uids: Vec<u32>,
    /// It is about what was left out once already.
    again: bool,
}

impl Requests {
    pub(super) fn new(attributes: impl IntoIterator<Item = FetchAttribute>) -> Self {
        Self {
            attributes: attributes.into_iter().collect(),
            asked: HashMap::new(),
            in_a_row: 0,
            refused: BTreeMap::new(),
        }
    }

    /// How many commands have not ended.
    pub(super) fn under_way(&self) -> usize {
        self.asked.len()
    }

    /// Whether a command is under way that may bring more of the messages between those two.
    pub(super) fn expects(&self, first: u32, last: u32) -> bool {
        // A command never asks for messages of two batches.
        let mut asked = self.asked.values().filter_map(|ask| ask.uids.first());
        asked.any(|uid| (first..=last).contains(uid))
    }

    /// The first message of the oldest command that is not here: what the server was at when it closed.
    pub(super) fn first_lacking(&self, is_here: impl Fn(u32) -> bool) -> Option<u32> {
        let oldest = self.asked.iter().min_by_key(|(handle, _)| **handle)?;
        oldest.1.uids.iter().copied().find(|&uid| !is_here(uid))
    }

    /// Asks for messages, whose UIDs ascend.
    pub(super) fn ask(&mut self, session: &mut Session, uids: Vec<u32>) -> Result<()> {
        self.issue(session, uids, false)
    }

    fn issue(&mut self, session: &mut Session, uids: Vec<u32>, again: bool) -> Result<()> {
        let Some(set) = SequenceSet::of_numbers(uids.iter().copied()) else {
            return Ok(());
        };
        let command = Command::uid_fetch(set, self.attributes.clone());
        let handle = session.issue(command)?;
        self.asked.insert(handle, Ask { uids, again });
        Ok(())
    }

    /// A command has ended: asks again for what it did not bring.
    pub(super) fn ended(
        &mut self,
        session: &mut Session,
        handle: Handle,
        end: &Completion,
        is_here: impl Fn(u32) -> bool,
    ) -> Result<()> {
        let Some(Ask { uids, again }) = self.asked.remove(&handle) else {
            return Ok(());
        };
        let asked = uids.len();
        let lacking: Vec<u32> = uids.into_iter().filter(|&uid| !is_here(uid)).collect();
        if lacking.len() < asked {
            self.in_a_row = 0;
        }
        if lacking.is_empty() {
            return Ok(());
        }
        let limited = matches!(end.code, Some(ResponseCode::MessageLimit(..)));
        match end.status {
            Status::Ok if limited && lacking.len() < asked => self.issue(session, lacking, again),
            Status::Ok if !again => self.issue(session, lacking, true),
            Status::Ok => {
                self.give_up(lacking, "the server left it out");
                Ok(())
            }
            _ if lacking.len() > 1 && self.in_a_row < PATIENCE => {
                let half = lacking.len() / 2;
                let (first, second) = lacking.split_at(half);
                self.issue(session, first.to_vec(), again)?;
                self.issue(session, second.to_vec(), again)
            }
            _ => {
                self.in_a_row += 1;
                self.give_up(lacking, &text(&end.text));
                Ok(())
            }
        }
    }

    fn give_up(&mut self, uids: Vec<u32>, why: &str) {
        let all = uids.into_iter().map(|uid| (uid, why.to_owned()));
        self.refused.extend(all);
    }
}
