//! SQLite's write-ahead log, looked at before SQLite recovers from it (<https://sqlite.org/walformat.html>).
//!
//! SQLite takes what is whole from the beginning and passes over the rest without a word. What follows
//! a damaged record is lost then, acknowledged or not; so the log is read here first, to say so.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::names::named;

const HEADER: u64 = 32;
const RECORD_HEADER: u64 = 24;

/// What a log holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Records up to the end of the last whole commit.
    pub(super) committed: u64,
    /// Records of the same round behind it.
    pub(super) beyond: u64,
    /// Whether one of those behind it is known to have been acknowledged.
    pub(super) lost: bool,
    /// Octets of a page.
    page: u64,
}

fn word(octets: &[u8], at: usize) -> u32 {
    let four = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map_or(0, u32::from_be_bytes)
}

/// The running checksum.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sum {
    big_endian: bool,
    one: u32,
    two: u32,
}

impl Sum {
    fn add(&mut self, octets: &[u8]) {
        for eight in octets.chunks_exact(8) {
            let (a, b) = (word(eight, 0), word(eight, 4));
            let (a, b) = match self.big_endian {
                true => (a, b),
                false => (a.swap_bytes(), b.swap_bytes()),
            };
            self.one = self.one.wrapping_add(a).wrapping_add(self.two);
            self.two = self.two.wrapping_add(b).wrapping_add(self.one);
        }
    }

    fn is(&self, octets: &[u8], at: usize) -> bool {
        (self.one, self.two) == (word(octets, at), word(octets, at + 4))
    }
}

/// What the beginning of a log says of its records.
struct Header {
    page: u64,
    /// What each record of this round has.
    salts: (u32, u32),
    /// The checksum from which those of the records continue.
    sum: Sum,
}

impl Header {
    /// Reads it; `None` when it is not whole.
    fn parse(octets: &[u8]) -> Option<Self> {
        let mut sum = Sum {
            big_endian: word(octets, 0) & 1 == 1,
            one: 0,
            two: 0,
        };
        sum.add(octets.get(..24)?);
        let page = u64::from(word(octets, 8));
        let known = word(octets, 0) & !1 == 0x377f_0682
            && page.is_power_of_two()
            && (512..=65_536).contains(&page);
        (known && sum.is(octets, 24)).then_some(Self {
            page,
            salts: (word(octets, 16), word(octets, 20)),
            sum,
        })
    }
}

/// The name of a database's log.
pub(super) fn path(database: &Path) -> PathBuf {
    named(database, "-wal")
}

impl Log {
    /// Reads the log of a database; `None` when there is none, or an empty one.
    pub(super) fn read(database: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path(database)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length <= HEADER {
            return Ok(None);
        }
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut header = [0; HEADER as usize];
        file.read_exact(&mut header)?;
        let Some(Header {
            page,
            salts,
            mut sum,
        }) = Header::parse(&header)
        else {
            // It is written and flushed before the first record: this is damage, unless all is empty.
            let beyond = (length - HEADER) / (RECORD_HEADER + 4096);
            return Ok(Some(Self {
                beyond,
                lost: beyond > 0,
                ..Self::default()
            }));
        };
        let mut log = Self {
            page,
            ..Self::default()
        };
        let mut record = vec![0; usize::try_from(RECORD_HEADER + page).unwrap_or(0)];
        let (mut number, mut whole, mut commit_passed) = (0, true, false);
        while file.read_exact(&mut record).is_ok() {
            number += 1;
            let (head, body) = record.split_at(RECORD_HEADER as usize);
            if (word(head, 8), word(head, 12)) != salts {
                // Of a former round, or torn.
                whole = false;
                continue;
            }
            let ends_commit = word(head, 4) != 0;
            if whole {
                sum.add(head.get(..8).unwrap_or_default());
                sum.add(body);
                whole = sum.is(head, 16);
            }
            if whole && ends_commit {
                log.committed = number;
                log.beyond = 0;
            } else {
                log.beyond += 1;
            }
            if !whole {
                // A commit is flushed before the next begins: what follows one proves it.
                log.lost |= commit_passed;
                commit_passed |= ends_commit;
            }
        }
        Ok(Some(log))
    }
}

/// What came of cutting a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// Whether it will be cut after a power failure, too.
    pub(super) flushed: bool,
}

/// Cuts off what was not acknowledged: a commit whose flush failed is in the log all the same, and
/// the next start would take it for done.
///
/// How far the log is acknowledged stands in the index beside it, which a failed commit leaves alone.
/// No connection may be open.
pub(super) fn cut(database: &Path, acknowledged: Acknowledged) -> io::Result<Cut> {
    let log = path(database);
    let length = match acknowledged.records {
        0 => 0,
        records => HEADER + records * (RECORD_HEADER + acknowledged.page),
    };
    let file = File::options().write(true).open(log)?;
    if file.metadata()?.len() > length {
        file.set_len(length)?;
    }
    let flushed = file.sync_all().is_ok();
    Ok(Cut { flushed })
}

/// How far a log is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged {
    records: u64,
    page: u64,
}

/// Reads how far the log is acknowledged from its index. The caller is about to close all connections:
/// reading the index gives up this process's locks on it.
pub(super) fn acknowledged(database: &Path) -> Option<Acknowledged> {
    let index = fs::read(named(database, "-shm")).ok()?;
    let (one, two) = (index.get(..48)?, index.get(48..96)?);
    let native = |at: usize| {
        let four = one.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_ne_bytes(four))
    };
    // Two copies, so that one that is being written is known; and it is of this version.
    if one != two || native(0)? != 3_007_000 || one.get(12)? != &1 {
        return None;
    }
    let size = u16::from_ne_bytes(one.get(14..16)?.try_into().ok()?);
    // 1 stands for 65 536.
    let page = match size {
        1 => 65_536,
        size => u64::from(size),
    };
    let records = u64::from(native(16)?);
    if records > 0 {
        // The log must be the one that the index is of, and whole up to there.
        let mut header = [0; HEADER as usize];
        let mut log = File::open(path(database)).ok()?;
        log.read_exact(&mut header).ok()?;
        if header.get(16..24)? != one.get(32..40)? {
            return None;
        }
    }
    Some(Acknowledged { records, page })
}
