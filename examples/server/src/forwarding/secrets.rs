//! The secrets that rewritten paths are signed with, in a file that nobody else may read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::private;

/// The file, in its folder.
const FILE: &str = "secrets";
/// Octets of a secret.
const OCTETS: usize = 32;
/// How long a secret signs.
const SIGNS: Duration = Duration::from_secs(90 * 86_400);
/// How long it is accepted after that: longer than a path is good for.
const ACCEPTED: Duration = Duration::from_secs(30 * 86_400);

/// A secret, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Secret {
    made: SystemTime,
    octets: Vec<u8>,
}

/// All secrets, the newest first: that one signs, the others are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads those of a folder; none when there is no file.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(folder.join(FILE)) {
            Ok(text) => Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        private::write(folder, FILE, self.text().as_bytes())
    }

    fn parse(text: &str) -> Option<Self> {
        let secret = |line: &str| {
            let (made, octets) = line.split_once(' ')?;
            Some(Secret {
                made: UNIX_EPOCH.checked_add(Duration::from_secs(made.parse().ok()?))?,
                octets: STANDARD.decode(octets).ok()?,
            })
        };
        let all: Option<Vec<_>> = text.lines().map(secret).collect();
        // An empty file is one that was lost.
        all.filter(|all| !all.is_empty()).map(Self)
    }

    fn text(&self) -> String {
        let line = |secret: &Secret| {
            let made = secret.made.duration_since(UNIX_EPOCH).unwrap_or_default();
            format!("{} {}\n", made.as_secs(), STANDARD.encode(&secret.octets))
        };
        self.0.iter().map(line).collect()
    }

    /// Makes a new secret where the last one has signed long enough, and forgets those that no path is good for any more.
    /// Returns whether anything has changed.
    pub(super) fn renew(&mut self, now: SystemTime) -> io::Result<bool> {
        let age = |made: SystemTime| now.duration_since(made).unwrap_or_default();
        let is_due = self.0.first().is_none_or(|last| age(last.made) >= SIGNS);
        if is_due {
            let mut octets = vec![0; OCTETS];
            let filled = getrandom::fill(&mut octets);
            filled.map_err(|error| io::Error::other(error.to_string()))?;
            self.0.insert(0, Secret { made: now, octets });
        }
        let before = self.0.len();
        // Each has signed until the next one was made.
        let ended = self.0.iter().map(|newer| age(newer.made) >= ACCEPTED);
        let is_over: Vec<_> = std::iter::once(false).chain(ended).collect();
        let mut is_over = is_over.into_iter();
        self.0.retain(|_| !is_over.next().unwrap_or(false));
        Ok(is_due || self.0.len() != before)
    }

    /// The secrets, the one that signs first.
    pub(super) fn octets(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|secret| &secret.octets[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn day(number: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(number * 86_400)
    }

    #[test]
    fn a_secret_signs_for_three_months_and_is_accepted_a_month_longer() {
        let mut secrets = Secrets::default();
        assert!(secrets.renew(day(100)).unwrap());
        let first = secrets.0[0].clone();
        for now in [100, 150, 189, 99, 0] {
            assert!(!secrets.renew(day(now)).unwrap(), "{now}");
        }
        assert!(secrets.renew(day(190)).unwrap());
        assert_eq!((secrets.0.len(), &secrets.0[1]), (2, &first));
        assert_ne!(secrets.0[0].octets, first.octets);
        assert!(!secrets.renew(day(219)).unwrap());
        assert!(secrets.renew(day(220)).unwrap());
        assert_eq!(secrets.0.len(), 1);
        // A server that was off for a year signs anew, and what it signed before is not lost at once.
        assert!(secrets.renew(day(600)).unwrap());
        assert_eq!(secrets.0.len(), 2);
    }

    #[test]
    fn secrets_are_kept_in_a_file_of_this_users() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("srs");
        assert_eq!(Secrets::read(&folder).unwrap(), Secrets::default());
        let mut secrets = Secrets::default();
        secrets.renew(day(3)).unwrap();
        secrets.renew(day(93)).unwrap();
        secrets.write(&folder).unwrap();
        assert_eq!(Secrets::read(&folder).unwrap(), secrets);
        let file = folder.join(FILE);
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // What is damaged is not taken for nothing: paths that were signed would not be known again.
        for text in ["", "x", "1 ?\n", "-1 AAAA\n"] {
            std::fs::write(&file, text).unwrap();
            assert!(Secrets::read(&folder).is_err(), "{text:?}");
        }
    }
}
