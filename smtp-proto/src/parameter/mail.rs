//! The parameters of MAIL.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::error::Expected;
use crate::leniency::Leniencies;
use crate::octets::{numeral, slice_of};
use crate::parameter::body_type::BodyType;
use crate::parameter::deliver_by::DeliverBy;
use crate::parameter::hold::Hold;
use crate::parameter::list::{
    Parameter, all_within, encode_all, flag, once, parameters, write_value,
};
use crate::parameter::priority::Priority;
use crate::parameter::ret::Ret;
use crate::parameter::xtext::Xtext;

/// The parameters of MAIL.
///
/// Those that most messages have stand here, the others in [`further`](Self::further), so that a command is small.
///
/// ```
/// use hikyaku_smtp_proto::{Command, Ret};
/// let line = "MAIL FROM:<a@example.org> SIZE=1000 RET=HDRS ENVID=QQ314 X-NEW=1".into();
/// let Command::Mail { parameters, .. } = Command::parse(&line)? else { panic!() };
/// assert_eq!((parameters.size, parameters.ret), (Some(1000), Some(Ret::Headers)));
/// assert_eq!(parameters.envid.as_ref().unwrap().as_bytes(), b"QQ314");
/// assert_eq!(parameters.others()[0].keyword, "X-NEW");
/// # Ok::<(), hikyaku_smtp_proto::SyntaxError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MailParameters<T = Bytes> {
    /// SIZE: how many octets the client says the message has (RFC 1870). More than 64 bits are the largest number.
    pub size: Option<u64>,
    /// BODY (RFC 6152, 3030)
    pub body: Option<BodyType>,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// REQUIRETLS (RFC 8689)
    pub requiretls: bool,
    /// RET: how much of the message a notification holds (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// ENVID: the sender's name for the transaction, which notifications repeat (RFC 3461 §4.4).
    pub envid: Option<Xtext<T>>,
    /// MT-PRIORITY (RFC 6710)
    pub priority: Option<Priority>,
    /// Those that few messages have.
    pub further: Option<Box<FurtherMailParameters<T>>>,
}

/// The parameters of MAIL that few messages have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FurtherMailParameters<T = Bytes> {
    /// BY: until when the message is to be delivered (RFC 2852).
    pub by: Option<DeliverBy>,
    /// HOLDFOR or HOLDUNTIL: when it is to be released (RFC 4865).
    pub hold: Option<Hold>,
    /// AUTH: who submitted the message, a mailbox or `<>` (RFC 4954 §5).
    pub auth: Option<Xtext<T>>,
    /// SOLICIT: what kind of solicitation it is, keywords between commas (RFC 3865 §2.4).
    pub solicit: Option<T>,
    /// Those of extensions that are not known here.
    pub others: Vec<Parameter<T>>,
}

impl<T> Default for FurtherMailParameters<T> {
    /// None at all.
    fn default() -> Self {
        Self {
            by: None,
            hold: None,
            auth: None,
            solicit: None,
            others: Vec::new(),
        }
    }
}

impl<T> Default for MailParameters<T> {
    /// None at all.
    fn default() -> Self {
        Self {
            size: None,
            body: None,
            smtputf8: false,
            requiretls: false,
            ret: None,
            envid: None,
            priority: None,
            further: None,
        }
    }
}

impl<T> MailParameters<T> {
    /// Returns those that few messages have, to set one of them.
    pub fn further_mut(&mut self) -> &mut FurtherMailParameters<T> {
        self.further.get_or_insert_default()
    }

    /// Returns BY: until when the message is to be delivered.
    #[must_use]
    pub fn by(&self) -> Option<DeliverBy> {
        self.further.as_ref()?.by
    }

    /// Returns HOLDFOR or HOLDUNTIL: when the message is to be released.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        self.further.as_ref()?.hold
    }

    /// Returns AUTH: who submitted the message, a mailbox or `<>`.
    #[must_use]
    pub fn auth(&self) -> Option<&Xtext<T>> {
        self.further.as_ref()?.auth.as_ref()
    }

    /// Returns SOLICIT: what kind of solicitation it is.
    #[must_use]
    pub fn solicit(&self) -> Option<&T> {
        self.further.as_ref()?.solicit.as_ref()
    }

    /// Returns those of extensions that are not known here.
    #[must_use]
    pub fn others(&self) -> &[Parameter<T>] {
        self.further.as_ref().map_or(&[], |further| &further.others)
    }
}

impl MailParameters<&[u8]> {
    pub(crate) fn within(self, line: &Bytes) -> MailParameters {
        MailParameters {
            size: self.size,
            body: self.body,
            smtputf8: self.smtputf8,
            requiretls: self.requiretls,
            ret: self.ret,
            envid: self.envid.map(|envid| envid.within(line)),
            priority: self.priority,
            further: self.further.map(|further| Box::new(further.within(line))),
        }
    }
}

impl FurtherMailParameters<&[u8]> {
    fn within(self, line: &Bytes) -> FurtherMailParameters {
        FurtherMailParameters {
            by: self.by,
            hold: self.hold,
            auth: self.auth.map(|auth| auth.within(line)),
            solicit: self.solicit.map(|solicit| slice_of(line, solicit)),
            others: all_within(self.others, line),
        }
    }
}

impl<T: AsRef<[u8]>> MailParameters<T> {
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(size) = self.size {
            output.write(b" SIZE=");
            output.write_number(size);
        }
        if let Some(body) = self.body {
            output.write(b" BODY=");
            output.write(body.name().as_bytes());
        }
        if self.smtputf8 {
            output.write(b" SMTPUTF8");
        }
        if self.requiretls {
            output.write(b" REQUIRETLS");
        }
        if let Some(ret) = self.ret {
            output.write(b" RET=");
            output.write(ret.name().as_bytes());
        }
        if let Some(priority) = self.priority {
            use core::fmt::Write as _;
            let _ = write!(output, " MT-PRIORITY={priority}");
        }
        if let Some(envid) = &self.envid {
            output.write(b" ENVID=");
            envid.encode(output);
        }
        if let Some(further) = &self.further {
            further.encode(output);
        }
    }
}

impl<T: AsRef<[u8]>> FurtherMailParameters<T> {
    fn encode(&self, output: &mut Output) {
        if let Some(by) = self.by {
            output.write(b" BY=");
            by.encode(output);
        }
        if let Some(hold) = self.hold {
            hold.encode(output);
        }
        if let Some(auth) = &self.auth {
            output.write(b" AUTH=");
            auth.encode(output);
        }
        if let Some(solicit) = &self.solicit {
            output.write(b" SOLICIT=");
            write_value(solicit.as_ref(), output);
        }
        encode_all(&self.others, output);
    }
}

impl<'a> MailParameters<&'a [u8]> {
    /// Takes those of MAIL, from behind the path to the end of the line.
    #[inline]
    pub(crate) fn read(
        &mut self,
        i: &'a [u8],
        leniencies: Leniencies,
    ) -> Result<(), nom::Err<Expected<'a>>> {
        let mut others = Vec::new();
        parameters(i, leniencies, &mut others, |keyword, value| {
            let text = value.unwrap_or(&[]);
            match keyword {
                b"SIZE" => once(&mut self.size, numeral(text, 20)),
                b"BODY" => once(&mut self.body, BodyType::parse(text)),
                b"SMTPUTF8" => flag(&mut self.smtputf8, value),
                b"REQUIRETLS" => flag(&mut self.requiretls, value),
                b"RET" => once(&mut self.ret, Ret::parse(text)),
                b"ENVID" => once(&mut self.envid, Xtext::read(text, 100).filter(is_printable)),
                b"MT-PRIORITY" => once(&mut self.priority, Priority::parse(text)),
                _ => seldom(&mut self.further, keyword, text),
            }
        })?;
        if !others.is_empty() {
            self.further_mut().others = others;
        }
        Ok(())
    }
}

fn seldom<'a>(
    further: &mut Option<Box<FurtherMailParameters<&'a [u8]>>>,
    keyword: &[u8],
    text: &'a [u8],
) -> Result<bool, &'static str> {
    let known = [&b"BY"[..], b"HOLDFOR", b"HOLDUNTIL", b"AUTH", b"SOLICIT"];
    if !known.contains(&keyword) {
        return Ok(false);
    }
    let further = further.get_or_insert_default();
    match keyword {
        b"BY" => once(&mut further.by, DeliverBy::parse(text)),
        b"HOLDFOR" => once(&mut further.hold, Hold::parse_for(text)),
        b"HOLDUNTIL" => once(&mut further.hold, Hold::parse_until(text)),
        b"AUTH" => once(
            &mut further.auth,
            Xtext::read_any_case(text, 500).filter(is_mailbox),
        ),
        _ => once(&mut further.solicit, is_solicitation(text).then_some(text)),
    }
}

/// What is encoded consists of printable characters (RFC 3461 §4.4).
fn is_printable(envid: &Xtext<&[u8]>) -> bool {
    envid.octets().all(|octet| matches!(octet, 32..=126))
}

/// A mailbox has no brackets, and nobody is `<>` (RFC 4954 §5).
fn is_mailbox(auth: &Xtext<&[u8]>) -> bool {
    let text = auth.as_bytes();
    text == b"<>" || !text.starts_with(b"<")
}

/// `Solicitation-keywords`, at most 1 000 octets (RFC 3865 §2.2, §2.4).
fn is_solicitation(value: &[u8]) -> bool {
    let is_word = |word: &[u8]| {
        word.first().is_some_and(u8::is_ascii_alphabetic)
            && word.iter().all(|&octet| {
                octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_' | b':')
            })
    };
    value.len() <= 1000 && value.split(|&octet| octet == b',').all(is_word)
}
