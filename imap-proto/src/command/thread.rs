//! THREAD (RFC 5256; REFS, which Cyrus and Dovecot have besides).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::SearchKey;
use crate::command::search::keys;
use crate::plumbing::cursor::{Cursor, Result};
use crate::plumbing::text::{nz_number, write_astring};

/// The THREAD command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Thread {
    /// How messages are joined into threads.
    pub algorithm: ThreadAlgorithm,
    /// Of the strings.
    pub charset: Bytes,
    /// What to look for.
    pub key: SearchKey,
}

impl Thread {
    /// Appends what follows `THREAD `.
    pub(crate) fn encode(&self, output: &mut Output) {
        output.write(match self.algorithm {
            ThreadAlgorithm::OrderedSubject => b"ORDEREDSUBJECT ",
            ThreadAlgorithm::References => b"REFERENCES ",
            ThreadAlgorithm::Refs => b"REFS ",
        });
        write_astring(&self.charset, output);
        output.write(b" ");
        self.key.encode(output);
    }
}

/// How to thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the RFC's")]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
    /// As `References`, but no threads are merged by their subjects, and threads are sorted by their
    /// newest message.
    Refs,
}

/// Threads: nodes that name their children by index, and the first ones. Flat, since a thread may be as
/// deep as a mailbox is long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Threads {
    /// A number each, or none for a message that is not there, and the children in order.
    pub nodes: Vec<(Option<u32>, Vec<usize>)>,
    /// The first nodes.
    pub roots: Vec<usize>,
}

enum Todo {
    /// `(` node `)`
    List(usize),
    /// A node, a blank before it when there is something to be parted from.
    Members(usize, bool),
    Close,
}

impl Threads {
    /// Adds a node below the last one of the innermost list that has one.
    fn hang(&mut self, number: Option<u32>, open: &mut [Option<usize>]) {
        let node = self.nodes.len();
        self.nodes.push((number, Vec::new()));
        let mut inner = open.iter().rev();
        let parent = inner
            .next()
            .copied()
            .flatten()
            .or_else(|| inner.next().copied().flatten());
        match parent.and_then(|parent| self.nodes.get_mut(parent)) {
            Some((_, children)) => children.push(node),
            None => self.roots.push(node),
        }
        if let Some(last) = open.last_mut() {
            *last = Some(node);
        }
    }

    /// Appends what follows `* THREAD`. Indices that there are not are left out; each node is written at
    /// most once, so that a loop among them ends.
    pub(crate) fn encode(&self, output: &mut Output) {
        let mut todo: Vec<Todo> = self
            .roots
            .iter()
            .rev()
            .map(|&root| Todo::List(root))
            .collect();
        let mut written = alloc::vec![false; self.nodes.len()];
        if !todo.is_empty() {
            output.write(b" ");
        }
        while let Some(next) = todo.pop() {
            let (index, blank) = match next {
                Todo::Close => {
                    output.write(b")");
                    continue;
                }
                Todo::List(index) => {
                    output.write(b"(");
                    todo.push(Todo::Close);
                    (index, false)
                }
                Todo::Members(index, blank) => (index, blank),
            };
            let Some(((number, children), written)) =
                self.nodes.get(index).zip(written.get_mut(index))
            else {
                continue;
            };
            if core::mem::replace(written, true) {
                continue;
            }
            if let Some(number) = number {
                output.write(if blank { b" " } else { b"" });
                output.write_number(u64::from(*number));
            }
            match children.as_slice() {
                [] => {}
                &[only] => todo.push(Todo::Members(only, number.is_some() || blank)),
                all => {
                    output.write(if number.is_some() { b" " } else { b"" });
                    todo.extend(all.iter().rev().map(|&child| Todo::List(child)));
                }
            }
        }
    }
}

/// Behind `* THREAD`. As deep as it is, without a stack.
pub(crate) fn threads(cursor: &mut Cursor<'_>) -> Result<Threads> {
    let mut threads = Threads::default();
    // The last node of each list that is open, if it has one yet.
    let mut open: Vec<Option<usize>> = Vec::new();
    cursor.eat(b' ');
    loop {
        match cursor.peek() {
            None if open.is_empty() => return Ok(threads),
            Some(b'(') => {
                cursor.eat(b'(');
                if open.last() == Some(&None) {
                    threads.hang(None, &mut open);
                }
                open.push(None);
            }
            Some(b')') if !open.is_empty() => {
                cursor.eat(b')');
                open.pop();
            }
            Some(b' ') if !open.is_empty() => {
                cursor.eat(b' ');
            }
            Some(_) if !open.is_empty() => {
                let number = cursor.take(nz_number)?;
                threads.hang(Some(number), &mut open);
            }
            _ => return cursor.fail("a thread"),
        }
    }
}

/// Behind `THREAD `.
pub(crate) fn thread(cursor: &mut Cursor<'_>, nesting: usize) -> Result<Thread> {
    let algorithm = if cursor.eat_word("ORDEREDSUBJECT") {
        ThreadAlgorithm::OrderedSubject
    } else if cursor.eat_word("REFERENCES") {
        ThreadAlgorithm::References
    } else if cursor.eat_word("REFS") {
        ThreadAlgorithm::Refs
    } else {
        return cursor.fail("a threading algorithm");
    };
    cursor.sp()?;
    let charset = cursor.astring()?;
    cursor.sp()?;
    let key = keys(cursor, nesting)?;
    Ok(Thread {
        algorithm,
        charset,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Buf as _;

    fn written(threads: &Threads) -> Bytes {
        let mut output = Output::new();
        threads.encode(&mut output);
        output.copy_to_bytes(output.len())
    }

    /// RFC 5256 §4: `(2)(3 6 (4 23)(44 7 96))`, and the one whose parent is not there.
    #[test]
    fn the_examples_of_the_rfc() {
        let node = |number: u32, children: &[usize]| (Some(number), children.to_vec());
        let threads = Threads {
            nodes: [
                node(2, &[]),
                node(3, &[2]),
                node(6, &[3, 5]),
                node(4, &[4]),
                node(23, &[]),
                node(44, &[6]),
                node(7, &[7]),
                node(96, &[]),
                (None, [9, 10].into()),
                node(8, &[]),
                node(9, &[]),
            ]
            .into(),
            roots: [0, 1, 8].into(),
        };
        assert_eq!(written(&threads), " (2)(3 6 (4 23)(44 7 96))((8)(9))");
        assert_eq!(written(&Threads::default()), "");
    }

    #[test]
    fn depth_costs_no_stack_and_a_loop_ends() {
        let nodes = (0..100_000).map(|n| (Some(1), [n + 1].into())).collect();
        let deep = Threads {
            nodes,
            roots: [0].into(),
        };
        assert_eq!(written(&deep).len(), 2 * 100_000 + 2);
        let looped = Threads {
            nodes: [(Some(1), [0].into())].into(),
            roots: [0, 0].into(),
        };
        assert_eq!(written(&looped), " (1)()");
    }
}
