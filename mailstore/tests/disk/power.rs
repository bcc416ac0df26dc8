//! The power is cut, at any call: what was not flushed is gone, or is there in part.
//!
//! A child runs over `faults.c`, which keeps a journal of its calls. Out of it this makes what a disk
//! may hold after a power cut at any of them, as POSIX allows it: an octet is on the disk when its file was
//! flushed, a name when its folder was. A sample runs with the other tests; `HIKYAKU_FAULTS=all` runs
//! every call, in more ways.

use super::faults::{all, run};
use super::workload::{prepare, verify};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// One call.
struct Call {
    kind: u8,
    inode: u64,
    offset: u64,
    octets: Vec<u8>,
}

fn journal(octets: &[u8]) -> Vec<Call> {
    let (mut calls, mut rest) = (Vec::new(), octets);
    while let Some((head, tail)) = rest.split_at_checked(21) {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap());
        let length = u32::from_le_bytes(head[17..21].try_into().unwrap()) as usize;
        calls.push(Call {
            kind: head[0],
            inode: number(1),
            offset: number(9),
            octets: tail[..length].to_vec(),
        });
        rest = &tail[length..];
    }
    calls
}

#[derive(Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Cut(u64),
}

#[derive(Clone, Default)]
struct Node {
    flushed: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Naming {
    Make(PathBuf, usize),
    Move(PathBuf, PathBuf),
    Remove(PathBuf),
}

/// What survives of what was not flushed.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Nothing,
    Everything,
    /// Each write by chance whole, torn or not at all; of the names those up to some moment.
    Chance(u64),
}

/// A disk with what it was asked to do since.
#[derive(Default)]
struct Disk {
    nodes: Vec<Node>,
    of_inode: HashMap<u64, usize>,
    folders: HashMap<u64, PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    flushed_names: BTreeMap<PathBuf, usize>,
    namings: Vec<Naming>,
    /// What was written into the file of acknowledgements.
    acks: String,
}

fn rename(names: &mut BTreeMap<PathBuf, usize>, naming: &Naming) {
    match naming {
        Naming::Make(path, node) => drop(names.insert(path.clone(), *node)),
        Naming::Move(from, to) => {
            if let Some(node) = names.remove(from) {
                names.insert(to.clone(), node);
            }
        }
        Naming::Remove(path) => drop(names.remove(path)),
    }
}

fn change(octets: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, new) => {
            let (start, end) = (*offset as usize, *offset as usize + new.len());
            octets.resize(octets.len().max(end), 0);
            octets[start..end].copy_from_slice(new);
        }
        Change::Cut(length) => octets.resize(*length as usize, 0),
    }
}

impl Disk {
    /// A disk as it is now, all of it flushed.
    fn of(path: &Path) -> Self {
        let mut disk = Self::default();
        disk.add(path);
        disk.flushed_names = disk.names.clone();
        disk
    }

    fn add(&mut self, path: &Path) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add(&path);
            } else {
                self.names.insert(path.clone(), self.nodes.len());
                let flushed = fs::read(&path).unwrap();
                self.nodes.push(Node {
                    flushed,
                    pending: Vec::new(),
                });
            }
        }
    }

    fn name(&mut self, naming: Naming) {
        rename(&mut self.names, &naming);
        self.namings.push(naming);
    }

    fn apply(&mut self, call: &Call) {
        let path = || PathBuf::from(String::from_utf8(call.octets.clone()).unwrap());
        match call.kind {
            b'c' => {
                self.of_inode.insert(call.inode, self.nodes.len());
                self.folders.remove(&call.inode);
                self.name(Naming::Make(path(), self.nodes.len()));
                self.nodes.push(Node::default());
            }
            b'n' => match self.names.get(&path()) {
                Some(node) => drop(self.of_inode.insert(call.inode, *node)),
                None => drop(self.folders.insert(call.inode, path())),
            },
            b'w' | b't' => {
                let node = self.of_inode[&call.inode];
                if self
                    .names
                    .iter()
                    .any(|(path, of)| *of == node && path.ends_with("acks"))
                {
                    self.acks += std::str::from_utf8(&call.octets).unwrap();
                }
                self.nodes[node].pending.push(match call.kind {
                    b'w' => Change::Write(call.offset, call.octets.clone()),
                    _ => Change::Cut(call.offset),
                });
            }
            b's' => match self.folders.get(&call.inode) {
                Some(folder) => {
                    let of_folder = |naming: &Naming| match naming {
                        Naming::Make(path, _) | Naming::Remove(path) | Naming::Move(path, _) => {
                            path.parent() == Some(folder)
                        }
                    };
                    let (now, later) = self.namings.drain(..).partition(of_folder);
                    self.namings = later;
                    let now: Vec<Naming> = now;
                    now.iter()
                        .for_each(|naming| rename(&mut self.flushed_names, naming));
                }
                None => {
                    let node = &mut self.nodes[self.of_inode[&call.inode]];
                    for one in node.pending.drain(..) {
                        change(&mut node.flushed, &one);
                    }
                }
            },
            b'r' => {
                let text = String::from_utf8(call.octets.clone()).unwrap();
                let (from, to) = text.split_once('\0').unwrap();
                self.name(Naming::Move(from.into(), to.into()));
            }
            b'u' => self.name(Naming::Remove(path())),
            kind => panic!("a call of kind {kind}"),
        }
    }

    /// What is there when the power is back, in `to` in place of `root`.
    fn survives(&self, fate: Fate, root: &Path, to: &Path) {
        let mut dice = dice(match fate {
            Fate::Chance(seed) => seed,
            _ => 0,
        });
        let mut names = self.flushed_names.clone();
        let kept = match fate {
            Fate::Nothing => 0,
            Fate::Everything => self.namings.len(),
            Fate::Chance(_) => dice(self.namings.len() + 1),
        };
        self.namings
            .iter()
            .take(kept)
            .for_each(|naming| rename(&mut names, naming));
        for (path, node) in names {
            let node = &self.nodes[node];
            let mut octets = node.flushed.clone();
            for one in &node.pending {
                let what = match fate {
                    Fate::Nothing => 0,
                    Fate::Everything => 1,
                    Fate::Chance(_) => dice(3),
                };
                match (what, one) {
                    (0, _) => {}
                    (2, Change::Write(offset, new)) => {
                        // Torn between sectors.
                        let sectors = dice(new.len() / 512 + 1);
                        change(
                            &mut octets,
                            &Change::Write(*offset, new[..sectors * 512].to_vec()),
                        );
                    }
                    _ => change(&mut octets, one),
                }
            }
            let path = to.join(path.strip_prefix(root).unwrap());
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, octets).unwrap();
        }
        for folder in ["", "store", "store/bodies"] {
            let folder = to.join(folder);
            fs::create_dir_all(&folder).unwrap();
            fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).unwrap();
        }
    }
}

/// Numbers below a bound that look random and are the same each time.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

/// Cuts the power of a child at many of its calls; how many cuts there were.
fn cut(directory: &Path, rounds: u32, step: usize) -> usize {
    let file = super::quick_folder();
    let file = file.path().join("journal");
    let mut disk = Disk::of(directory);
    let variables = [
        ("FAULTS_JOURNAL", file.to_str().unwrap().to_owned()),
        ("HIKYAKU_ROUNDS", rounds.to_string()),
    ];
    let (acks, _) = run(directory, directory, &variables);
    assert!(acks.contains(&format!("healed {}", rounds - 1)), "{acks}");
    let calls = journal(&fs::read(&file).unwrap());
    assert!(calls.len() > 50, "{} calls", calls.len());
    let (step, seeds) = match all() {
        true => (1, 4),
        false => (step, 1),
    };
    let (mut cuts, mut flushes) = (0, 0);
    for (n, call) in calls.iter().enumerate() {
        let flushing = call.kind == b's';
        flushes += u32::from(flushing);
        // The moment before a flush is the worst.
        if n % step == 0 || (flushing && flushes % 4 == 0) {
            let chance = (0..seeds).map(|seed| Fate::Chance(n as u64 * 100 + seed));
            for fate in [Fate::Nothing, Fate::Everything].into_iter().chain(chance) {
                let after = super::quick_folder();
                disk.survives(fate, directory, after.path());
                let what = format!("cut before call {n} of {}, {fate:?}", calls.len());
                verify(&after.path().join("store"), &disk.acks, &what);
                cuts += 1;
            }
        }
        disk.apply(call);
    }
    println!("{} calls, {cuts} power cuts", calls.len());
    cuts
}

#[test]
fn a_power_cut_at_any_call_loses_nothing() {
    let directory = super::quick_folder();
    prepare(directory.path());
    assert!(cut(directory.path(), 3, 17) > 80);
}

#[test]
fn a_power_cut_in_the_first_start_leaves_a_store_that_starts() {
    let directory = super::quick_folder();
    assert!(cut(directory.path(), 1, 9) > 30);
}
