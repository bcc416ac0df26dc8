//! Threading: which message answers which (RFC 5256 §3, THREAD).

use std::collections::HashMap;

use crate::questions::forest::Forest;
use crate::questions::sort::{Facts, Needs, facts};
use crate::{MailboxId, Result, Store, Uid, UidSet};

/// How to thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// By base subject alone.
    OrderedSubject,
    /// By what messages refer to, then by base subject.
    References,
    /// By what messages refer to alone, the thread with the newest message last (`REFS`).
    Refs,
}

/// Threads as trees: a node without a UID stands for a message that is not there. Flat, since a thread
/// may be as deep as a mailbox is long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "backends make it")]
pub struct Threads {
    /// All nodes; children and roots are indices into them.
    pub nodes: Vec<ThreadNode>,
    /// The first nodes of the threads, in order.
    pub roots: Vec<usize>,
}

/// A message in a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadNode {
    /// The message; `None` for one that is not there.
    pub uid: Option<Uid>,
    /// The nodes that answer it, in order, by their index.
    pub children: Vec<usize>,
}

/// Threads those messages.
///
/// # Errors
/// Those of the store.
pub async fn thread(
    store: &dyn Store,
    mailbox: MailboxId,
    uids: &UidSet,
    algorithm: Algorithm,
) -> Result<Threads> {
    let all = facts(store, mailbox, uids, algorithm.needs()).await?;
    Ok(algorithm.threads(&all, uids))
}

impl Algorithm {
    pub(crate) fn needs(self) -> Needs {
        Needs {
            sent: true,
            subject: self != Self::Refs,
            references: self != Self::OrderedSubject,
            ..Needs::default()
        }
    }

    /// The threads of those of the messages.
    pub(crate) fn threads(self, all: &[(Uid, Facts)], uids: &UidSet) -> Threads {
        let asked = all.iter().filter(|(uid, _)| uids.contains(*uid));
        let asked: Vec<&(Uid, Facts)> = asked.collect();
        match self {
            Self::OrderedSubject => ordered_subject(asked),
            Self::References => References::of(&asked).threads(true),
            Self::Refs => References::of(&asked).threads(false),
        }
    }
}

fn ordered_subject(mut all: Vec<&(Uid, Facts)>) -> Threads {
    all.sort_by_key(|(uid, facts)| (&*facts.subject, facts.sent, *uid));
    let mut threads = Threads::default();
    let mut roots: Vec<(i64, Uid, usize)> = Vec::new();
    let mut last: Option<&str> = None;
    for (uid, facts) in all {
        let index = threads.nodes.len();
        threads.nodes.push(ThreadNode {
            uid: Some(*uid),
            children: Vec::new(),
        });
        match roots.last() {
            Some(&(_, _, root)) if last == Some(&*facts.subject) => {
                if let Some(node) = threads.nodes.get_mut(root) {
                    node.children.push(index);
                }
            }
            _ => roots.push((facts.sent, *uid, index)),
        }
        last = Some(&*facts.subject);
    }
    roots.sort_unstable();
    threads.roots = roots.into_iter().map(|(_, _, index)| index).collect();
    threads
}

/// A node while threads are made: only parents, so that links are broken and made at no cost.
#[derive(Debug, Default, Clone)]
struct Node {
    message: Option<usize>,
    parent: Option<usize>,
    /// Names the tree, so that a node of another tree is quickly known to be no descendant.
    tree: usize,
}

struct References<'a> {
    all: &'a [&'a (Uid, Facts)],
    nodes: Vec<Node>,
    children: Vec<Vec<usize>>,
    /// How many steps up are taken before the forest is made, which finds roots without them: few threads
    /// that people write need it, and keeping it costs each link.
    patience: usize,
    forest: Option<Forest>,
}

impl<'a> References<'a> {
    fn of(all: &'a [&'a (Uid, Facts)]) -> Self {
        Self::with_patience(all, all.len() * 4)
    }

    /// Step (1).
    fn with_patience(all: &'a [&'a (Uid, Facts)], patience: usize) -> Self {
        let mut this = Self {
            all,
            nodes: Vec::with_capacity(all.len()),
            children: Vec::new(),
            patience,
            forest: None,
        };
        let mut by_id = HashMap::<&[u8], usize>::with_capacity(all.len());
        let links = |index: usize| all.get(index).and_then(|(_, facts)| facts.links.as_deref());
        // Messages first: a Message-ID is the first message's that has it.
        for index in 0..all.len() {
            let node = this.new_node(Some(index));
            if let Some(id) = links(index).and_then(|links| links.message_id.as_deref()) {
                by_id.entry(id).or_insert(node);
            }
        }
        for index in 0..all.len() {
            let mut before = None;
            for id in links(index).map_or(&[][..], |links| &links.references) {
                let node = *by_id.entry(id).or_insert_with(|| this.new_node(None));
                if let Some(parent) = before
                    && this.parent(node).is_none()
                {
                    this.link(parent, node);
                }
                before = Some(node);
            }
            // (B) The last reference is the parent, whatever was before.
            this.unlink(index);
            if let Some(parent) = before {
                this.link(parent, index);
            }
        }
        this
    }

    fn new_node(&mut self, message: Option<usize>) -> usize {
        let index = self.nodes.len();
        self.nodes.push(Node {
            message,
            parent: None,
            tree: index,
        });
        if let Some(forest) = &mut self.forest {
            forest.push();
        }
        index
    }

    fn parent(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.parent
    }

    fn message(&self, node: usize) -> Option<&'a (Uid, Facts)> {
        self.all.get(self.nodes.get(node)?.message?).copied()
    }

    fn unlink(&mut self, node: usize) {
        if let Some(forest) = &mut self.forest {
            forest.cut(node);
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.parent = None;
        }
    }

    /// The representative of a tree, paths halved on the way.
    fn tree(&mut self, mut node: usize) -> usize {
        loop {
            let up = self.nodes.get(node).map_or(node, |n| n.tree);
            if up == node {
                return node;
            }
            let further = self.nodes.get(up).map_or(up, |n| n.tree);
            if let Some(n) = self.nodes.get_mut(node) {
                n.tree = further;
            }
            node = further;
        }
    }

    /// The node that has no parent, above this one or itself.
    fn root(&mut self, node: usize) -> usize {
        if let Some(forest) = &mut self.forest {
            return forest.root(node);
        }
        let mut root = node;
        while let Some(parent) = self.parent(root) {
            root = parent;
            self.patience = self.patience.saturating_sub(1);
        }
        if self.patience == 0 {
            self.forest = Some(Forest::of(self.nodes.iter().map(|node| node.parent)));
        }
        root
    }

    /// Links a node that has no parent, unless that closes a loop.
    fn link(&mut self, parent: usize, child: usize) {
        let (above, below) = (self.tree(parent), self.tree(child));
        if above != below {
            if let Some(node) = self.nodes.get_mut(below) {
                node.tree = above;
            }
        } else if self.root(parent) == child {
            return;
        }
        if let Some(forest) = &mut self.forest {
            forest.link(parent, child);
        }
        if let Some(node) = self.nodes.get_mut(child) {
            node.parent = Some(parent);
        }
    }

    fn of_children(&self, node: usize) -> &[usize] {
        self.children.get(node).map_or(&[], |children| children)
    }

    /// Steps (2) to (6); without (5), and the threads by their newest message, when not `by_subject`.
    fn threads(mut self, by_subject: bool) -> Threads {
        self.children = vec![Vec::new(); self.nodes.len()];
        let mut roots = Vec::new();
        for index in 0..self.nodes.len() {
            match self.parent(index) {
                Some(parent) => {
                    if let Some(children) = self.children.get_mut(parent) {
                        children.push(index);
                    }
                }
                None => roots.push(index),
            }
        }
        let mut roots = self.prune(roots);
        self.sort(&mut roots);
        if by_subject {
            roots = self.merge(&roots);
        }
        for index in 0..self.children.len() {
            let mut children = self
                .children
                .get_mut(index)
                .map(std::mem::take)
                .unwrap_or_default();
            self.sort(&mut children);
            if let Some(place) = self.children.get_mut(index) {
                *place = children;
            }
        }
        match by_subject {
            true => self.sort(&mut roots),
            false => self.sort_by_newest(&mut roots),
        }
        let uid = |index: usize| self.message(index).map(|(uid, _)| *uid);
        let nodes = self
            .children
            .iter()
            .enumerate()
            .map(|(index, children)| ThreadNode {
                uid: uid(index),
                children: children.clone(),
            });
        Threads {
            nodes: nodes.collect(),
            roots,
        }
    }

    /// (3) Takes out what stands for no message, from below, so that no node is looked at twice.
    fn prune(&mut self, roots: Vec<usize>) -> Vec<usize> {
        let mut order = roots.clone();
        let mut at = 0;
        while let Some(&node) = order.get(at) {
            order.extend_from_slice(self.of_children(node));
            at += 1;
        }
        for &node in order.iter().rev() {
            let children = self
                .children
                .get_mut(node)
                .map(std::mem::take)
                .unwrap_or_default();
            let mut kept = Vec::with_capacity(children.len());
            for child in children {
                if self.message(child).is_some() {
                    kept.push(child);
                } else {
                    kept.append(self.children.get_mut(child).unwrap_or(&mut Vec::new()));
                }
            }
            if let Some(place) = self.children.get_mut(node) {
                *place = kept;
            }
        }
        let mut kept = Vec::new();
        for root in roots {
            match (self.message(root).is_some(), self.of_children(root)) {
                (false, []) => {}
                (false, &[only]) => kept.push(only),
                _ => kept.push(root),
            }
        }
        kept
    }

    /// The first message of a node: itself, or its first child's where it stands for none.
    fn first(&self, node: usize) -> Option<&'a (Uid, Facts)> {
        self.message(node).or_else(|| {
            let children = self
                .of_children(node)
                .iter()
                .filter_map(|&child| self.message(child));
            children.min_by_key(|(uid, facts)| (facts.sent, *uid))
        })
    }

    /// (4), (6) By sent date, then by the order of the mailbox.
    fn sort(&self, nodes: &mut [usize]) {
        nodes.sort_by_cached_key(|&node| self.first(node).map(|(uid, facts)| (facts.sent, *uid)));
    }

    fn sort_by_newest(&self, roots: &mut [usize]) {
        roots.sort_by_cached_key(|&root| {
            let (mut newest, mut todo) = (None, vec![root]);
            while let Some(node) = todo.pop() {
                let this = self.message(node).map(|(uid, facts)| (facts.sent, *uid));
                newest = newest.max(this);
                todo.extend_from_slice(self.of_children(node));
            }
            newest
        });
    }

    /// (5) Threads of the same base subject become one.
    fn merge(&mut self, roots: &[usize]) -> Vec<usize> {
        let subject = |this: &Self, node: usize| {
            let (_, first) = this.first(node)?;
            (!first.subject.is_empty()).then_some(&*first.subject)
        };
        let is_dummy = |this: &Self, node: usize| this.message(node).is_none();
        let is_reply =
            |this: &Self, node: usize| this.first(node).is_some_and(|(_, facts)| facts.is_reply);
        let mut table = HashMap::<&str, usize>::new();
        for &node in roots {
            let Some(subject) = subject(self, node) else {
                continue;
            };
            let place = table.entry(subject).or_insert(node);
            // A dummy stays, and is not asked: its first message is looked for among all its children.
            if is_dummy(self, *place) {
                continue;
            }
            if is_dummy(self, node) || (is_reply(self, *place) && !is_reply(self, node)) {
                *place = node;
            }
        }
        let mut kept = Vec::with_capacity(roots.len());
        // A thread may be merged into one that comes later, or into a new dummy: what is gone is noted.
        let mut gone = vec![false; self.nodes.len()];
        for &node in roots {
            if gone.get(node) == Some(&true) {
                continue;
            }
            let Some(subject) = subject(self, node) else {
                kept.push(node);
                continue;
            };
            let Some(&place) = table.get(&subject).filter(|&&place| place != node) else {
                kept.push(node);
                continue;
            };
            match (is_dummy(self, node), is_dummy(self, place)) {
                (true, true) => {
                    let children = self
                        .children
                        .get_mut(node)
                        .map(std::mem::take)
                        .unwrap_or_default();
                    if let Some(into) = self.children.get_mut(place) {
                        into.extend(children);
                    }
                }
                (false, true) => self.adopt(place, node),
                (false, false) if is_reply(self, node) && !is_reply(self, place) => {
                    self.adopt(place, node);
                }
                _ => {
                    let dummy = self.new_node(None);
                    self.children.push(vec![node, place]);
                    gone.push(false);
                    if let Some(place) = gone.get_mut(place) {
                        *place = true;
                    }
                    table.insert(subject, dummy);
                    kept.push(dummy);
                }
            }
        }
        kept.retain(|&node| gone.get(node) == Some(&false));
        kept
    }

    fn adopt(&mut self, parent: usize, child: usize) {
        if let Some(children) = self.children.get_mut(parent) {
            children.push(child);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::sort::Links;
    use proptest::prelude::*;

    /// Messages, each with its ID and what it refers to.
    fn messages<'a>(all: impl IntoIterator<Item = (u32, &'a [u32])>) -> Vec<(Uid, Facts)> {
        let id = |id: u32| Box::from(id.to_be_bytes());
        let message = |(uid, (own, references)): (u32, (u32, &[u32]))| {
            let links = Links {
                message_id: Some(id(own)),
                references: references.iter().copied().map(id).collect(),
            };
            let mut facts = Facts::default();
            facts.links = Some(Box::new(links));
            (Uid::new(uid).unwrap(), facts)
        };
        (1..).zip(all).map(message).collect()
    }

    fn parents(references: &References<'_>) -> Vec<Option<usize>> {
        references.nodes.iter().map(|node| node.parent).collect()
    }

    #[test]
    fn deep_loops_do_not_cost_their_depth_each_time() {
        // Half of them each answer the one before; the rest stands below the first of those, by what the
        // head refers to, and says that it answers the last.
        const HALF: u32 = 500;
        let chain: Vec<[u32; 1]> = (0..HALF - 1).map(|id| [id]).collect();
        let pairs: Vec<u32> = (HALF..2 * HALF).flat_map(|id| [id, 0]).collect();
        let head = [(2 * HALF, &pairs[..])];
        let chain = chain.iter().map(|before| (before[0] + 1, &before[..]));
        let end = [HALF - 1];
        let rest = (HALF..2 * HALF).map(|id| (id, &end[..]));
        let all = messages(head.into_iter().chain(chain).chain(rest));
        let all: Vec<&(Uid, Facts)> = all.iter().collect();
        let references = References::of(&all);
        assert!(references.forest.is_some());
        let walked = References::with_patience(&all, usize::MAX);
        assert!(usize::MAX - walked.patience > 100 * all.len());
        assert_eq!(parents(&references), parents(&walked));
    }

    proptest! {
        #[test]
        fn with_the_forest_the_same_parents_are_found(
            all in proptest::collection::vec(
                (0_u32..16, proptest::collection::vec(0_u32..20, 0..8)),
                0..20,
            ),
            patience in 0_usize..40,
        ) {
            let all = messages(all.iter().map(|(id, references)| (*id, &references[..])));
            let all: Vec<&(Uid, Facts)> = all.iter().collect();
            let one = References::with_patience(&all, patience);
            let other = References::with_patience(&all, usize::MAX);
            prop_assert_eq!(parents(&one), parents(&other));
            prop_assert_eq!(one.threads(true), other.threads(true));
        }
    }
}
