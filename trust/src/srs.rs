//! SRS, the Sender Rewriting Scheme: how forwarded mail keeps a reverse-path that SPF passes, and bounces find back.
//!
//! ```text
//! SRS0=hash=day=domain=local@forwarder
//! SRS1=hash=first-forwarder==hash=day=domain=local@forwarder
//! ```
//!
//! The hash is an HMAC-SHA256 of what follows it, in small letters, as five octets of base32: local parts lose their case
//! on the way. The day is that of the rewriting, modulo 1024. In SRS1, the second `=` behind the first forwarder is what
//! that one has behind `SRS0`: `=`, `+` or `-`.
//!
//! ```
//! use hikyaku_trust::srs::Srs;
//! use std::time::{Duration, SystemTime};
//!
//! let srs = Srs::new("forward.test", b"a secret of 32 octets or so")?;
//! let now = SystemTime::now();
//! let path = srs.forward("ann@one.test", now)?;
//! assert!(path.ends_with("=one.test=ann@forward.test"));
//! assert_eq!(srs.reverse(&path, now)?, "ann@one.test");
//! # Ok::<(), hikyaku_trust::srs::SrsError>(())
//! ```

use ring::hmac;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::{ascii, canonical};

/// Characters of a hash: 40 bits.
const HASH: usize = 8;
/// Digits of base32 (RFC 4648 §6).
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// What stands behind a tag. Here it is `=`.
const SEPARATORS: [char; 3] = ['=', '+', '-'];
/// Days until a day has the same two digits again.
const CYCLE: u64 = 1024;
/// The longest path (RFC 5321 §4.5.3.1.3), without its brackets.
const PATH: usize = 254;

/// The longest local part (RFC 5321 §4.5.3.1.1), in octets without its quoting. Many refuse a longer one, and so the
/// notification that comes back to it. `SRS0` takes 18 of these octets: domain and local part of the sender may have 46
/// together.
pub const LOCAL_PART: usize = 64;

/// Rewrites reverse-paths, and finds the address behind a rewritten one.
///
/// A server that forwards a message keeps the sender's reverse-path, and SPF fails at the next one. With a path of its own
/// SPF passes, and notifications come back to it, so that it can send them on.
///
/// ```
/// use hikyaku_trust::srs::{Srs, SrsError};
/// use std::time::SystemTime;
///
/// let srs = Srs::new("forward.example", b"a secret of 32 random octets or so")?;
/// let now = SystemTime::now();
/// let path = srs.forward("alice@example.org", now)?;
/// assert!(path.starts_with("SRS0=") && path.ends_with("=example.org=alice@forward.example"));
/// assert_eq!(srs.reverse(&path, now)?, "alice@example.org");
/// // Nobody else can make one, to send mail to whom they like.
/// let forged = "SRS0=aaaaaaaa=aa=example.org=bob@forward.example";
/// assert_eq!(srs.reverse(forged, now), Err(SrsError::Forged));
/// # Ok::<(), SrsError>(())
/// ```
#[derive(Clone)]
pub struct Srs {
    domain: String,
    /// The first one signs.
    keys: Vec<hmac::Key>,
    /// How many days a rewritten path is good for. 21 by default.
    pub days: u16,
}

/// A path cannot be rewritten, or is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SrsError {
    /// It is no address with a domain.
    #[error("no address that can be rewritten")]
    NoAddress,
    /// The domain of the forwarder is none.
    #[error("no domain to forward from")]
    NoDomain,
    /// The rewritten path would be longer than a path may be, or its local part longer than [`LOCAL_PART`]. The message may
    /// go on with the path that it has: SPF fails at the next server, where DKIM or ARC has to stand in.
    #[error("the rewritten path would be too long")]
    TooLong,
    /// It is no rewritten path of this domain: mail to it is none of SRS's business.
    #[error("not rewritten here")]
    NotRewritten,
    /// Its hash is wrong. Mail to it has to be refused: nobody sent from that path.
    #[error("not rewritten with our secret")]
    Forged,
    /// It is too old. Mail to it has to be refused.
    #[error("rewritten too long ago")]
    Expired,
}

impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srs")
            .field("domain", &self.domain)
            .field("days", &self.days)
            .finish_non_exhaustive()
    }
}

impl Srs {
    /// Creates a rewriter. `domain` is that of the rewritten paths: bounces come back there.
    ///
    /// # Errors
    /// [`SrsError::NoDomain`].
    pub fn new(domain: &str, secret: &[u8]) -> Result<Self, SrsError> {
        Ok(Self {
            domain: ascii(domain).ok_or(SrsError::NoDomain)?,
            keys: vec![hmac::Key::new(hmac::HMAC_SHA256, secret)],
            days: 21,
        })
    }

    /// Accepts paths that were rewritten with an older secret as well.
    #[must_use]
    pub fn accepting(mut self, older: &[u8]) -> Self {
        self.keys.push(hmac::Key::new(hmac::HMAC_SHA256, older));
        self
    }

    /// Rewrites a reverse-path. One of the forwarder's own domain and the null path stay as they are. One that was rewritten
    /// here before, and then by another forwarder, becomes what it was here.
    ///
    /// # Errors
    /// [`SrsError::NoAddress`], [`SrsError::TooLong`].
    pub fn forward(&self, path: &str, now: SystemTime) -> Result<String, SrsError> {
        if path.is_empty() {
            return Ok(String::new());
        }
        let (local, domain) = path.rsplit_once('@').ok_or(SrsError::NoAddress)?;
        let domain = canonical(domain).ok_or(SrsError::NoAddress)?;
        let local = unquoted(local).ok_or(SrsError::NoAddress)?;
        if domain == self.domain {
            return Ok(path.to_owned());
        }
        let rewritten = if let Some(rest) = first_hand(&local) {
            // Another forwarder rewrote it: bounces go to that one, past all others.
            self.signed("SRS1", &format!("{domain}={rest}"))
        } else if let Some((first, rest)) = second_hand(&local) {
            let path = first_path(&first, rest);
            if self.reverse(&path, now).is_ok() {
                return Ok(path);
            }
            self.signed("SRS1", &format!("{first}={rest}"))
        } else {
            let day = day(now) % CYCLE;
            let digits = [digit(day >> 5), digit(day)];
            let digits: String = digits.into_iter().collect();
            self.signed("SRS0", &format!("{digits}={domain}={local}"))
        };
        let is_short = rewritten.len() <= LOCAL_PART;
        let rewritten = format!("{}@{}", quoted(&rewritten), self.domain);
        match is_short && rewritten.len() <= PATH {
            true => Ok(rewritten),
            false => Err(SrsError::TooLong),
        }
    }

    /// Finds the address that was rewritten.
    ///
    /// # Errors
    /// [`SrsError::NotRewritten`], [`SrsError::Forged`], [`SrsError::Expired`].
    pub fn reverse(&self, path: &str, now: SystemTime) -> Result<String, SrsError> {
        let none = SrsError::NotRewritten;
        let (local, domain) = path.rsplit_once('@').ok_or(none.clone())?;
        if ascii(domain).as_deref() != Some(&self.domain) {
            return Err(none);
        }
        let local = unquoted(local).ok_or(none.clone())?;
        if let Some(rest) = tagged(&local, "srs0") {
            let signed = self.verified(rest)?;
            let (digits, rest) = signed.split_once('=').ok_or(SrsError::Forged)?;
            let (domain, local) = rest.split_once('=').ok_or(SrsError::Forged)?;
            self.is_fresh(digits, now)?;
            return Ok(format!("{}@{domain}", quoted(local)));
        }
        if let Some(rest) = tagged(&local, "srs1") {
            let signed = self.verified(rest)?;
            let (domain, rest) = signed.split_once('=').ok_or(SrsError::Forged)?;
            return Ok(first_path(domain, rest));
        }
        Err(none)
    }

    fn signed(&self, tag: &str, rest: &str) -> String {
        let hash = self
            .keys
            .first()
            .map(|key| hash(key, rest))
            .unwrap_or_default();
        format!("{tag}={hash}={rest}")
    }

    /// What is signed, of what follows a tag.
    fn verified<'a>(&self, rest: &'a str) -> Result<&'a str, SrsError> {
        // With another separator it was not written here, and may be an ordinary address: `srs0-team`.
        let wrong = match rest.starts_with('=') {
            true => SrsError::Forged,
            false => SrsError::NotRewritten,
        };
        let rest = rest.strip_prefix(SEPARATORS).unwrap_or(rest);
        let Some((found, signed)) = rest.split_once('=') else {
            return Err(wrong);
        };
        let found = found.to_ascii_lowercase();
        let is_it = |key: &hmac::Key| is_equal(hash(key, signed).as_bytes(), found.as_bytes());
        match self.keys.iter().any(is_it) {
            true => Ok(signed),
            false => Err(wrong),
        }
    }

    fn is_fresh(&self, digits: &str, now: SystemTime) -> Result<(), SrsError> {
        let [first, second] = digits.as_bytes() else {
            return Err(SrsError::Forged);
        };
        let (Some(first), Some(second)) = (value(*first), value(*second)) else {
            return Err(SrsError::Forged);
        };
        let then = u64::try_from(first * DIGITS.len() + second).unwrap_or(0);
        let age = (day(now) % CYCLE + CYCLE - then) % CYCLE;
        // A clock that was a day ahead when it was rewritten.
        let is_tomorrow = age == CYCLE - 1;
        match is_tomorrow || age <= u64::from(self.days) {
            true => Ok(()),
            false => Err(SrsError::Expired),
        }
    }
}

/// What follows the tag, in any case, with the separator before it.
fn tagged<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (found, rest) = local.split_at_checked(tag.len())?;
    (found.eq_ignore_ascii_case(tag) && rest.starts_with(SEPARATORS)).then_some(rest)
}

/// What follows `SRS0` in a path that another forwarder rewrote, with the separator before it.
fn first_hand(local: &str) -> Option<&str> {
    tagged(local, "srs0").filter(|rest| is_first_hand(rest))
}

/// First forwarder and what it wrote behind `SRS0`, of a path that was rewritten twice or more. The hash before them is
/// that of the last one.
fn second_hand(local: &str) -> Option<(String, &str)> {
    let rest = tagged(local, "srs1")?.strip_prefix(SEPARATORS)?;
    let (hash, rest) = rest.split_once('=')?;
    let (first, rest) = rest.split_once('=')?;
    let first = canonical(first)?;
    (!hash.is_empty() && is_first_hand(rest)).then_some((first, rest))
}

/// The path that the first forwarder wrote: `rest` has its separator.
fn first_path(first: &str, rest: &str) -> String {
    format!("{}@{first}", quoted(&format!("SRS0{rest}")))
}

/// Whether these are a separator, a hash, the day, a domain and a local part: `srs0-team` is an ordinary address.
fn is_first_hand(rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(SEPARATORS) else {
        return false;
    };
    let mut parts = rest.splitn(4, '=');
    let mut next = || parts.next().unwrap_or_default();
    let (hash, day, domain, local) = (next(), next(), next(), next());
    let is_day = day.len() == 2 && day.bytes().all(|digit| value(digit).is_some());
    !hash.is_empty() && is_day && canonical(domain).is_some() && !local.is_empty()
}

fn hash(key: &hmac::Key, signed: &str) -> String {
    let tag = hmac::sign(key, signed.to_ascii_lowercase().as_bytes());
    let octets = tag.as_ref().iter().take(HASH * 5 / 8);
    let number = octets.fold(0_u64, |number, octet| number << 8 | u64::from(*octet));
    let shifts = (0..HASH).rev().map(|place| number >> (5 * place));
    shifts.map(digit).collect()
}

/// The digit of the lowest five bits.
fn digit(number: u64) -> char {
    let place = usize::try_from(number % 32).unwrap_or(0);
    DIGITS.get(place).map_or('a', |digit| char::from(*digit))
}

/// The number that a digit stands for, in any case.
fn value(digit: u8) -> Option<usize> {
    let digit = digit.to_ascii_lowercase();
    DIGITS.iter().position(|other| *other == digit)
}

/// Compares in the same time whatever differs.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one
        .iter()
        .zip(other)
        .fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differing == 0
}

fn day(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / 86_400
}

/// The local part without its quotes. `None` for what no path may have.
fn unquoted(local: &str) -> Option<String> {
    if local.is_empty() || local.bytes().any(|octet| octet.is_ascii_control()) {
        return None;
    }
    let Some(inner) = local.strip_prefix('"') else {
        return Some(local.to_owned());
    };
    let inner = inner.strip_suffix('"')?;
    let mut plain = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        plain.push(if letter == '\\' {
            letters.next()?
        } else {
            letter
        });
    }
    Some(plain)
}

/// The local part, quoted where it has to be (RFC 5321 §4.1.2).
fn quoted(local: &str) -> String {
    let is_atom = |letter: char| {
        letter.is_ascii_alphanumeric()
            || !letter.is_ascii()
            || "!#$%&'*+-/=?^_`{|}~".contains(letter)
    };
    let is_plain = |atom: &str| !atom.is_empty() && atom.chars().all(is_atom);
    if local.split('.').all(is_plain) {
        return local.to_owned();
    }
    let escaped = local.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(day: u32) -> SystemTime {
        UNIX_EPOCH + DAY * day
    }

    fn srs(domain: &str) -> Srs {
        Srs::new(domain, domain.as_bytes()).unwrap()
    }

    #[test]
    fn a_chain_of_forwarders_leads_back() {
        let (first, second, third) = (srs("first.test"), srs("second.test"), srs("third.test"));
        let now = at(20_000);
        let once = first.forward("Ann.B@one.test", now).unwrap();
        let twice = second.forward(&once, now).unwrap();
        let thrice = third.forward(&twice, now).unwrap();
        assert!(once.starts_with("SRS0="), "{once}");
        assert!(
            twice.starts_with("SRS1=") && twice.contains("=first.test=="),
            "{twice}"
        );
        assert!(
            thrice.starts_with("SRS1=") && thrice.contains("=first.test=="),
            "{thrice}"
        );
        // The last forwarder's bounce goes to the first one at once.
        assert_eq!(third.reverse(&thrice, now).unwrap(), once);
        assert_eq!(second.reverse(&twice, now).unwrap(), once);
        assert_eq!(first.reverse(&once, now).unwrap(), "Ann.B@one.test");
    }

    #[test]
    fn what_only_begins_as_a_rewritten_path_is_an_ordinary_one() {
        let (srs, now) = (srs("first.test"), at(20_000));
        for local in [
            "srs0-team",
            "srs0+list=a",
            "SRS0=",
            "srs0-a=bb=c=d",
            "srs0-a=b1=c.test=d",
            "srs0-a=bb=c.test=",
            "srs0-=bb=c.test=d",
            "srs1-team",
            "srs1-h=c.test==team",
            "srs1-h=c=+a=bb=c.test=d",
        ] {
            let address = format!("{local}@else.test");
            let path = srs.forward(&address, now).unwrap();
            assert!(path.starts_with("SRS0="), "{path}");
            assert_eq!(srs.reverse(&path, now).unwrap(), address);
        }
        // Nor is it a forgery where it may be a mailbox.
        for own in ["srs0-team@first.test", "SRS1+x=y=z@first.test"] {
            assert_eq!(srs.reverse(own, now), Err(SrsError::NotRewritten), "{own}");
        }
    }

    #[test]
    fn the_first_forwarder_is_found_before_any_separator() {
        let (srs, now) = (srs("third.test"), at(20_000));
        let twice = "SRS1=hash=first.test=+hash=bb=one.test=a==b@second.test";
        let thrice = srs.forward(twice, now).unwrap();
        let first = "SRS0+hash=bb=one.test=a==b@first.test";
        assert_eq!(srs.reverse(&thrice, now).unwrap(), first);
    }

    #[test]
    fn what_comes_back_from_another_forwarder_is_what_it_was() {
        let (first, second, now) = (srs("first.test"), srs("second.test"), at(20_000));
        let once = first.forward("ann@one.test", now).unwrap();
        assert_eq!(first.forward(&once, now).unwrap(), once);
        let twice = second.forward(&once, now).unwrap();
        assert_eq!(first.forward(&twice, now).unwrap(), once);
        // Not so what nobody here would take.
        let forged = first.forward(&twice.replace("=ann", "=eve"), now).unwrap();
        assert!(forged.starts_with("SRS1="), "{forged}");
        let expired = first.forward(&twice, at(20_022)).unwrap();
        assert!(expired.starts_with("SRS1="), "{expired}");
    }

    #[test]
    fn a_path_expires() {
        let srs = srs("first.test");
        let path = srs.forward("a@one.test", at(1020)).unwrap();
        for (day, result) in [
            (1019, Ok("a@one.test".to_owned())),
            (1020, Ok("a@one.test".to_owned())),
            (1041, Ok("a@one.test".to_owned())),
            (1042, Err(SrsError::Expired)),
            (1018, Err(SrsError::Expired)),
        ] {
            assert_eq!(srs.reverse(&path, at(day)), result, "{day}");
        }
    }

    #[test]
    fn another_case_is_the_same_path() {
        let srs = srs("first.test");
        let path = srs.forward("Ann@one.test", at(5)).unwrap();
        assert_eq!(
            srs.reverse(&path.to_uppercase(), at(5)).unwrap(),
            "ANN@ONE.TEST"
        );
        assert_eq!(
            srs.reverse(&path.to_lowercase(), at(5)).unwrap(),
            "ann@one.test"
        );
    }

    #[test]
    fn what_was_changed_is_forged() {
        let srs = srs("first.test");
        let path = srs.forward("ann@one.test", at(5)).unwrap();
        for changed in [
            path.replace("ann", "eve"),
            path.replace("one.test", "two.test"),
            path.replace("=ag=", "=ah=").replace("=af=", "=ah="),
            "SRS0=aaaaaaaa=aa=one.test=ann@first.test".to_owned(),
            "SRS0=@first.test".to_owned(),
            "SRS1=x=y@first.test".to_owned(),
        ] {
            assert_eq!(
                srs.reverse(&changed, at(5)),
                Err(SrsError::Forged),
                "{changed}"
            );
        }
        for other in [
            "ann@first.test",
            "SRS0@first.test",
            "SRS0=a=b=c=d@else.test",
            "ann",
        ] {
            assert_eq!(
                srs.reverse(other, at(5)),
                Err(SrsError::NotRewritten),
                "{other}"
            );
        }
    }

    #[test]
    fn an_older_secret_is_accepted_and_not_used() {
        let old = Srs::new("first.test", b"old").unwrap();
        let new = Srs::new("first.test", b"new").unwrap().accepting(b"old");
        let path = old.forward("a@one.test", at(1)).unwrap();
        assert!(new.reverse(&path, at(1)).is_ok());
        assert_ne!(new.forward("a@one.test", at(1)).unwrap(), path);
    }

    #[test]
    fn some_paths_stay_and_some_cannot_be_rewritten() {
        let srs = srs("first.test");
        assert_eq!(srs.forward("", at(1)).unwrap(), "");
        assert_eq!(srs.forward("a@First.Test", at(1)).unwrap(), "a@First.Test");
        for path in [
            "a",
            "a@",
            "@one.test",
            "a@[192.0.2.1]",
            "\"a@one.test",
            "a\r\n@one.test",
        ] {
            assert_eq!(srs.forward(path, at(1)), Err(SrsError::NoAddress), "{path}");
        }
        let long = format!("{}@one.test", "a".repeat(240));
        assert_eq!(srs.forward(&long, at(1)), Err(SrsError::TooLong));
    }

    #[test]
    fn a_local_part_has_64_octets_at_most() {
        let srs = srs("first.test");
        // With `one.test` 46 and 47 octets; quotes and escapes do not count.
        for letter in ["a", "\\ "] {
            let local = |count| match letter {
                "a" => letter.repeat(count),
                _ => format!("\"{}\"", letter.repeat(count)),
            };
            let path = srs
                .forward(&format!("{}@one.test", local(38)), at(1))
                .unwrap();
            let (rewritten, _) = path.rsplit_once('@').unwrap();
            assert_eq!(unquoted(rewritten).unwrap().len(), LOCAL_PART);
            let long = srs.forward(&format!("{}@one.test", local(39)), at(1));
            assert_eq!(long, Err(SrsError::TooLong));
        }
        let domain = format!("{}.test", "d".repeat(60));
        let long = srs.forward(&format!("SRS0=h=aa=one.test=a@{domain}"), at(1));
        assert_eq!(long, Err(SrsError::TooLong));
    }

    proptest! {
        #[test]
        fn every_address_comes_back(local in "[a-zA-Z0-9=+ \"\\\\.@-]{1,20}", day in 0..100_000_u32) {
            let srs = srs("first.test");
            let address = format!("{}@one.test", quoted(&local));
            prop_assume!(first_hand(&local).is_none() && second_hand(&local).is_none());
            let path = srs.forward(&address, at(day)).unwrap();
            prop_assert_eq!(srs.reverse(&path, at(day)).unwrap(), address);
        }

        #[test]
        fn another_forwarders_separator_comes_back(
            separator in "[=+-]", rest in "[a-z0-9+/]{4}=[a-z2-7]{2}=one[.]test=[a-z=+-]{1,8}", day in 0..100_000_u32
        ) {
            let (second, third) = (srs("second.test"), srs("third.test"));
            let once = format!("SRS0{separator}{rest}@first.test");
            let twice = second.forward(&once, at(day)).unwrap();
            let thrice = third.forward(&twice, at(day)).unwrap();
            for path in [&twice, &thrice] {
                prop_assert!(path.starts_with("SRS1="), "{}", path);
            }
            prop_assert_eq!(second.reverse(&twice, at(day)).unwrap(), once.as_str());
            prop_assert_eq!(third.reverse(&thrice, at(day)).unwrap(), once);
        }

        #[test]
        fn no_path_is_too_strange(path in "(SRS[01][=+-])?[a-z0-9=@\"\\\\é]{0,30}(@first.test)?") {
            let srs = srs("first.test");
            let _ = srs.forward(&path, at(1));
            let _ = srs.reverse(&path, at(1));
        }
    }
}
