//! What a server can do: the lines of its reply to EHLO (RFC 5321 §4.1.1.1).

use bytes::Bytes;

use crate::mechanism::is_mechanism;
use crate::octets::{self, Text, high_bits, numeral};
use crate::parameter::date_time;
use crate::reply::Reply;

/// The extensions that a server announces.
///
/// ```
/// use hikyaku_smtp_proto::{Capabilities, Reply};
/// let reply = Reply::parse(&"250-mx\r\n250-SIZE 1000\r\n250-CHUNKING\r\n250 X-NEW 1\r\n".into())?;
/// let has = Capabilities::of(reply);
/// assert_eq!((has.size, has.chunking, has.dsn), (Some(1000), true, false));
/// assert_eq!(has.parameters("x-new"), Some(&b"1"[..]));
/// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Capabilities<T = Bytes> {
    /// PIPELINING (RFC 2920)
    pub pipelining: bool,
    /// SIZE (RFC 1870): the largest message, when there is one.
    pub size: Option<u64>,
    /// 8BITMIME (RFC 6152)
    pub eight_bit_mime: bool,
    /// BINARYMIME (RFC 3030)
    pub binary_mime: bool,
    /// CHUNKING (RFC 3030)
    pub chunking: bool,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// DSN (RFC 3461)
    pub dsn: bool,
    /// ENHANCEDSTATUSCODES (RFC 2034)
    pub enhanced_status_codes: bool,
    /// STARTTLS (RFC 3207)
    pub starttls: bool,
    /// REQUIRETLS (RFC 8689)
    pub requiretls: bool,
    /// AUTH (RFC 4954), with a mechanism at least. [`mechanisms`](Self::mechanisms) names them.
    pub auth: bool,
    /// DELIVERBY (RFC 2852)
    pub deliver_by: Option<DeliverByLimits>,
    /// FUTURERELEASE (RFC 4865)
    pub future_release: Option<FutureRelease>,
    /// MT-PRIORITY (RFC 6710)
    pub mt_priority: bool,
    /// LIMITS (RFC 9422)
    pub limits: TransactionLimits,
    /// RRVS (RFC 7293)
    pub rrvs: bool,
    /// BURL (RFC 4468)
    pub burl: bool,
    /// ETRN (RFC 1985)
    pub etrn: bool,
    /// XCLIENT, as Postfix documents it
    pub xclient: bool,
    /// XFORWARD, as Postfix documents it
    pub xforward: bool,
    reply: Option<Reply<T>>,
}

/// What DELIVERBY allows (RFC 2852 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliverByLimits {
    /// The least seconds that the server takes; 0 when it names none.
    pub least: u32,
}

/// What FUTURERELEASE allows (RFC 4865 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FutureRelease {
    /// The most seconds.
    pub longest: u32,
    /// The latest time, in seconds since 1970.
    pub latest: i64,
}

impl FutureRelease {
    /// Makes one of the most seconds, nine digits of them, and the latest time in seconds since 1970.
    #[must_use]
    pub fn new(longest: u32, latest: i64) -> Self {
        let longest = longest.clamp(1, 999_999_999);
        Self { longest, latest }
    }
}

/// What LIMITS announces (RFC 9422 §4); `None` where it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionLimits {
    /// MAILMAX: transactions in one connection.
    pub mail_max: Option<u32>,
    /// RCPTMAX: recipients of one transaction.
    pub rcpt_max: Option<u32>,
    /// RCPTDOMAINMAX: different domains of recipients in one connection.
    pub rcpt_domain_max: Option<u32>,
}

impl<T> Default for Capabilities<T> {
    /// Those of a server that knows no EHLO.
    fn default() -> Self {
        Self {
            pipelining: false,
            size: None,
            eight_bit_mime: false,
            binary_mime: false,
            chunking: false,
            smtputf8: false,
            dsn: false,
            enhanced_status_codes: false,
            starttls: false,
            requiretls: false,
            auth: false,
            deliver_by: None,
            future_release: None,
            mt_priority: false,
            limits: TransactionLimits::default(),
            rrvs: false,
            burl: false,
            etrn: false,
            xclient: false,
            xforward: false,
            reply: None,
        }
    }
}

impl<T: Text> Capabilities<T> {
    /// Reads the extensions out of a reply to EHLO; its first line is the server's name.
    #[must_use]
    pub fn of(reply: Reply<T>) -> Self {
        let mut all = Self::default();
        for line in reply.lines().iter().skip(1) {
            all.add(line);
        }
        all.reply = Some(reply);
        all
    }

    fn add(&mut self, line: &T) {
        let Some((keyword, parameters)) = Keyword::of(line.as_ref()) else {
            return;
        };
        match keyword {
            Keyword::Pipelining => self.pipelining = true,
            // 0 says that there is no fixed limit (RFC 1870 §3).
            Keyword::Size => {
                self.size = numeral(first(parameters), 20).filter(|&size| size > 0);
            }
            Keyword::EightBitMime => self.eight_bit_mime = true,
            Keyword::BinaryMime => self.binary_mime = true,
            Keyword::Chunking => self.chunking = true,
            Keyword::SmtpUtf8 => self.smtputf8 = true,
            Keyword::Dsn => self.dsn = true,
            Keyword::EnhancedStatusCodes => self.enhanced_status_codes = true,
            Keyword::StartTls => self.starttls = true,
            Keyword::RequireTls => self.requiretls = true,
            Keyword::Auth => self.auth |= mechanisms(line.as_ref()).next().is_some(),
            Keyword::DeliverBy => {
                let least = numeral(first(parameters), 9);
                let least = least.and_then(|least| u32::try_from(least).ok());
                self.deliver_by = Some(DeliverByLimits {
                    least: least.unwrap_or(0),
                });
            }
            Keyword::FutureRelease => self.future_release = future_release(parameters),
            Keyword::MtPriority => self.mt_priority = true,
            Keyword::Limits => self.limits = limits(parameters),
            Keyword::Rrvs => self.rrvs = true,
            Keyword::Burl => self.burl = true,
            Keyword::Etrn => self.etrn = true,
            Keyword::XClient => self.xclient = true,
            Keyword::XForward => self.xforward = true,
        }
    }

    /// Returns the names of the SASL mechanisms, as announced. One comes twice where the server names it in the old form
    /// `AUTH=`, too.
    ///
    /// ```
    /// use hikyaku_smtp_proto::{Capabilities, Reply};
    /// let has = Capabilities::of(Reply::parse(&"250-mx\r\n250 AUTH LOGIN PLAIN\r\n".into())?);
    /// assert!(has.auth && has.mechanisms().eq([&b"LOGIN"[..], b"PLAIN"]));
    /// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
    /// ```
    pub fn mechanisms(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.lines().iter().map(AsRef::as_ref);
        lines.flat_map(|line| match Keyword::of(line) {
            Some((Keyword::Auth, _)) => mechanisms(line),
            _ => mechanisms(&[]),
        })
    }

    /// Returns every keyword line as it was sent, known or not.
    #[must_use]
    pub fn lines(&self) -> &[T] {
        let lines = self.reply.as_ref().map_or(&[][..], Reply::lines);
        lines.get(1..).unwrap_or(&[])
    }

    /// Returns whether SIZE is announced, with a limit or without.
    #[must_use]
    pub fn announces_size(&self) -> bool {
        self.size.is_some() || self.has("SIZE")
    }

    /// Returns whether a keyword is announced, known here or not.
    #[must_use]
    pub fn has(&self, keyword: &str) -> bool {
        self.parameters(keyword).is_some()
    }

    /// Returns what stands behind a keyword, known here or not; `None` when it is not announced.
    #[must_use]
    pub fn parameters(&self, keyword: &str) -> Option<&[u8]> {
        let mut lines = self.lines().iter().map(|line| split(line.as_ref()));
        let found = lines.find(|(one, _)| one.eq_ignore_ascii_case(keyword.as_bytes()));
        found.map(|(_, parameters)| parameters)
    }
}

/// The mechanisms of a line, which may have `=` behind AUTH.
fn mechanisms(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let line = line.get(b"AUTH ".len()..).unwrap_or(&[]);
    let words = line.split(|octet| matches!(octet, b' ' | b'='));
    words.filter(|word| is_mechanism(word))
}

macro_rules! keywords {
    ($($variant:ident = $name:literal),* $(,)?) => {
        /// The keywords that are known.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Keyword { $($variant),* }

        impl Keyword {
            /// Each with its name.
            #[cfg(test)]
            const ALL: &[(Self, &[u8])] = &[$((Self::$variant, $name)),*];

            /// Finds the keyword of a line, in capitals or not, and what stands behind it.
            #[inline]
            #[allow(non_upper_case_globals, reason = "named as the variants")]
            fn of(line: &[u8]) -> Option<(Self, &[u8])> {
                $(const $variant: u64 = beginning($name);)*
                match beginning(line) {
                    $($variant => Some((Self::$variant, behind(line, $name)?)),)*
                    _ => None,
                }
            }
        }
    };
}

keywords! {
    Pipelining = b"PIPELINING",
    Size = b"SIZE",
    EightBitMime = b"8BITMIME",
    BinaryMime = b"BINARYMIME",
    Chunking = b"CHUNKING",
    SmtpUtf8 = b"SMTPUTF8",
    Dsn = b"DSN",
    EnhancedStatusCodes = b"ENHANCEDSTATUSCODES",
    StartTls = b"STARTTLS",
    RequireTls = b"REQUIRETLS",
    Auth = b"AUTH",
    DeliverBy = b"DELIVERBY",
    FutureRelease = b"FUTURERELEASE",
    MtPriority = b"MT-PRIORITY",
    Limits = b"LIMITS",
    Rrvs = b"RRVS",
    Burl = b"BURL",
    Etrn = b"ETRN",
    XClient = b"XCLIENT",
    XForward = b"XFORWARD",
}

/// The first eight octets of a line, up to a blank or `=`, the same for small letters and capitals. No two keywords have
/// the same.
#[inline]
const fn beginning(line: &[u8]) -> u64 {
    const CAPITALS: u64 = u64::from_le_bytes([0xDF; 8]);
    let mut eight = 0;
    if let Some((first, _)) = line.split_first_chunk::<8>() {
        eight = u64::from_le_bytes(*first);
    } else {
        let mut rest = line;
        while let [octets @ .., last] = rest {
            eight = eight << 8 | *last as u64;
            rest = octets;
        }
    }
    let ends = high_bits(eight, b' ') | high_bits(eight, b'=');
    // All bits below the octet of the first one; all of them, when there is none.
    let before = (ends & ends.wrapping_neg()).wrapping_sub(1) >> if ends == 0 { 0 } else { 7 };
    eight & before & CAPITALS
}

/// What stands behind the keyword of that name; `None` when the line has another one.
#[inline]
fn behind<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (keyword, rest) = line.split_at_checked(name.len())?;
    if keyword != name && !keyword.eq_ignore_ascii_case(name) {
        return None;
    }
    match rest.split_first() {
        None => Some(rest),
        Some((b' ' | b'=', parameters)) => Some(parameters.trim_ascii()),
        Some(_) => None,
    }
}

/// The keyword of a line, and what stands behind it.
#[inline]
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let (keyword, rest) = octets::run(line, octets::KEYWORD);
    match rest.split_first() {
        Some((b' ' | b'=', parameters)) => (keyword, parameters.trim_ascii()),
        None => (keyword, rest),
        // What has other octets is no keyword that is known.
        Some(_) => match line.iter().position(|octet| matches!(octet, b' ' | b'=')) {
            Some(end) => (
                line.get(..end).unwrap_or(line),
                line.get(end + 1..).unwrap_or(&[]).trim_ascii(),
            ),
            None => (line, &[]),
        },
    }
}

fn first(parameters: &[u8]) -> &[u8] {
    octets::word(parameters).0
}

/// `max-future-release-interval SP max-future-release-date-time`
fn future_release(parameters: &[u8]) -> Option<FutureRelease> {
    let (longest, latest) = octets::word(parameters);
    let longest = numeral(longest, 9).and_then(|longest| u32::try_from(longest).ok())?;
    let latest = date_time::parse(latest.trim_ascii())?;
    Some(FutureRelease { longest, latest })
}

/// `name=value` between blanks, values of six digits; what is not known is passed over.
fn limits(parameters: &[u8]) -> TransactionLimits {
    let mut all = TransactionLimits::default();
    for word in parameters.split(|&octet| octet == b' ') {
        let at = word.iter().position(|&octet| octet == b'=');
        let (name, value) = word.split_at(at.unwrap_or(word.len()));
        let value = value.get(1..).and_then(|value| numeral(value, 6));
        let value = value.and_then(|value| u32::try_from(value).ok());
        let place = match name {
            _ if name.eq_ignore_ascii_case(b"MAILMAX") => &mut all.mail_max,
            _ if name.eq_ignore_ascii_case(b"RCPTMAX") => &mut all.rcpt_max,
            _ if name.eq_ignore_ascii_case(b"RCPTDOMAINMAX") => &mut all.rcpt_domain_max,
            _ => continue,
        };
        // None at all is no limit that anybody means.
        *place = value.filter(|&value| value > 0);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use std::string::{String, ToString as _};

    fn of(reply: &str) -> Capabilities {
        Capabilities::of(Reply::parse(&Bytes::copy_from_slice(reply.as_bytes())).unwrap())
    }

    #[test]
    fn keywords_are_known_in_capitals_and_not_and_nothing_else_is_one() {
        for (keyword, name) in Keyword::ALL {
            let small = name.to_ascii_lowercase();
            for word in [name, &small[..]] {
                for (behind, parameters) in
                    [("", ""), (" a=b ", "a=b"), ("=x y", "x y"), ("  ", "")]
                {
                    let line = [word, behind.as_bytes()].concat();
                    assert_eq!(Keyword::of(&line), Some((*keyword, parameters.as_bytes())));
                    assert_eq!(split(&line), (word, parameters.as_bytes()));
                }
                assert_eq!(Keyword::of(&[word, b"X"].concat()), None);
                assert_eq!(Keyword::of(&[word, b"\t1"].concat()), None);
                assert_eq!(Keyword::of(&word[..word.len() - 1]), None);
            }
        }
        // The same octet by octet but for a bit that makes letters small.
        for word in [
            &b""[..],
            b" ",
            b"\x18BITMIME",
            b"MT\rPRIORITY",
            b"\0\0\0\0\0\0\0\0",
        ] {
            assert_eq!(Keyword::of(word), None);
        }
    }

    #[test]
    fn the_old_form_of_auth_is_no_second_list() {
        let all = of(
            "250-mx\r\n250-AUTH=LOGIN PLAIN\r\n250-AUTH LOGIN  PLAIN \r\n250-SIZE 0\r\n250 X\r\n",
        );
        let named = |all: &Capabilities| all.mechanisms().collect::<Vec<_>>().join(&b' ');
        assert_eq!(named(&all), b"LOGIN PLAIN LOGIN PLAIN");
        assert_eq!((all.auth, all.lines().len(), all.size), (true, 4, None));
        assert!(all.announces_size());
        let all = of("250-mx\r\n250-AUTH\r\n250-AUTH  X-A, CRAM-MD5 PLAIN \r\n250 AUTH=\r\n");
        assert_eq!(named(&all), b"CRAM-MD5 PLAIN");
        assert!(!of("250-mx\r\n250-AUTH=\r\n250 AUTHX PLAIN\r\n").auth);
    }

    /// What the notes of the table say of a reply.
    fn described(all: &Capabilities) -> String {
        let mut words = Vec::new();
        let texts = |parameters: &[u8]| {
            let text = String::from_utf8_lossy(parameters).into_owned();
            text.split_whitespace().collect::<Vec<_>>().join(",")
        };
        for (name, has) in [
            ("pipelining", all.pipelining),
            ("8bitmime", all.eight_bit_mime),
            ("binarymime", all.binary_mime),
            ("chunking", all.chunking),
            ("smtputf8", all.smtputf8),
            ("dsn", all.dsn),
            ("enhancedstatuscodes", all.enhanced_status_codes),
            ("starttls", all.starttls),
            ("requiretls", all.requiretls),
            ("rrvs", all.rrvs),
            ("etrn", all.etrn),
        ] {
            assert_eq!(has, all.has(name), "{name}");
            words.extend(has.then(|| name.to_string()));
        }
        for name in ["vrfy", "expn", "help"] {
            words.extend(all.has(name).then(|| name.to_string()));
        }
        if all.announces_size() {
            let size = all.size.map_or("none".into(), |size| size.to_string());
            words.push(std::format!("size={size}"));
        }
        if all.auth {
            let mut names: Vec<_> = all.mechanisms().map(texts).collect();
            let mut seen = std::collections::HashSet::new();
            names.retain(|name| seen.insert(name.to_ascii_uppercase()));
            let names = names.into_iter();
            words.push(std::format!("auth={}", names.collect::<Vec<_>>().join(",")));
        }
        if let Some(by) = all.deliver_by {
            let least = if by.least > 0 {
                by.least.to_string()
            } else {
                "none".into()
            };
            words.push(std::format!("deliverby={least}"));
        }
        if let Some(release) = all.future_release {
            let mut output = hikyaku_wire::Output::new();
            date_time::write(release.latest, &mut output);
            let latest = texts(bytes::Buf::chunk(&output));
            words.push(std::format!("futurerelease={},{latest}", release.longest));
        }
        let limits = [
            ("MAILMAX", all.limits.mail_max),
            ("RCPTMAX", all.limits.rcpt_max),
            ("RCPTDOMAINMAX", all.limits.rcpt_domain_max),
        ];
        let limits = limits
            .iter()
            .filter_map(|(name, value)| value.map(|value| std::format!("{name}:{value}")));
        let limits = limits.collect::<Vec<_>>().join(",");
        words.extend((!limits.is_empty()).then(|| std::format!("limits={limits}")));
        for (name, has) in [
            ("mt-priority", all.mt_priority),
            ("no-soliciting", all.has("NO-SOLICITING")),
            ("burl", all.burl),
            ("xclient", all.xclient),
            ("xforward", all.xforward),
        ] {
            if has {
                let parameters = texts(all.parameters(name).unwrap());
                let parameters = if parameters.is_empty() {
                    "none".into()
                } else {
                    parameters
                };
                words.push(std::format!("{name}={parameters}"));
            }
        }
        let known = "pipelining 8bitmime binarymime chunking smtputf8 dsn enhancedstatuscodes starttls requiretls \
                     rrvs etrn vrfy expn help size auth deliverby futurerelease limits mt-priority no-soliciting \
                     burl xclient xforward";
        let keywords = all.lines().iter().map(|line| texts(split(line).0));
        let unknown = keywords.filter(|keyword| {
            !keyword.is_empty()
                && !known
                    .split(' ')
                    .any(|one| one.eq_ignore_ascii_case(keyword))
        });
        let unknown = unknown.collect::<Vec<_>>().join(",");
        words.extend((!unknown.is_empty()).then(|| std::format!("unknown={unknown}")));
        words.sort();
        match words.is_empty() {
            true => "nothing".into(),
            false => words.join(" "),
        }
    }

    /// `ours.tsv`, side E.
    #[test]
    fn our_traps_come_out_as_expected() {
        let mut wrong = Vec::new();
        for trap in hikyaku_wire::testkit::traps_of(&crate::command::tests::our_table(), "E") {
            let reply = Reply::parse(&Bytes::from(trap.octets.clone())).unwrap();
            let came = described(&Capabilities::of(reply));
            let mut expected: Vec<&str> =
                trap.note.split("; ").next().unwrap().split(' ').collect();
            expected.sort_unstable();
            if came != expected.join(" ") {
                wrong.push(std::format!(
                    "{} came {came}: {} ({})",
                    trap.id,
                    trap.escaped,
                    trap.note
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} rows:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }

    #[test]
    fn parameters_are_typed() {
        let all = of(
            "250-mx\r\n250-DELIVERBY 240\r\n250-FUTURERELEASE 86400 2026-12-24T18:00:00Z\r\n\
                      250-LIMITS MAILMAX=100 RCPTMAX=0 X=1 rcptdomainmax=1\r\n250-X.Y=z 1\r\n250 BURL imap\r\n",
        );
        assert_eq!(all.deliver_by, Some(DeliverByLimits { least: 240 }));
        let release = FutureRelease {
            longest: 86_400,
            latest: 1_798_135_200,
        };
        assert_eq!(all.future_release, Some(release));
        let limits = TransactionLimits {
            mail_max: Some(100),
            rcpt_max: None,
            rcpt_domain_max: Some(1),
        };
        assert_eq!(all.limits, limits);
        assert_eq!(all.parameters("burl"), Some(&b"imap"[..]));
        assert_eq!(all.parameters("x.y"), Some(&b"z 1"[..]));
        assert!(!all.has("mx") && !all.has("X"));
        let none = of("250-mx\r\n250-FUTURERELEASE\r\n250 DELIVERBY\r\n");
        assert_eq!(
            (none.future_release, none.deliver_by.unwrap().least),
            (None, 0)
        );
    }
}
