//! The parameters of RCPT.

use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::error::Expected;
use crate::leniency::Leniencies;
use crate::parameter::list::{Parameter, all_within, encode_all, once, parameters};
use crate::parameter::notify::Notify;
use crate::parameter::original_recipient::OriginalRecipient;
use crate::parameter::valid_since::ValidSince;

/// The parameters of RCPT.
///
/// Those that most recipients have stand here, the others in [`further`](Self::further), so that a command is small.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RcptParameters<T = Bytes> {
    /// NOTIFY: what the sender is to be notified of (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// ORCPT: the address that the sender gave (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient<T>>,
    /// Those that few recipients have.
    pub further: Option<Box<FurtherRcptParameters<T>>>,
}

/// The parameters of RCPT that few recipients have.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FurtherRcptParameters<T = Bytes> {
    /// RRVS: since when the mailbox must have had its owner (RFC 7293).
    pub valid_since: Option<ValidSince>,
    /// Those of extensions that are not known here.
    pub others: Vec<Parameter<T>>,
}

impl<T> Default for FurtherRcptParameters<T> {
    /// None at all.
    fn default() -> Self {
        Self {
            valid_since: None,
            others: Vec::new(),
        }
    }
}

impl<T> Default for RcptParameters<T> {
    /// None at all.
    fn default() -> Self {
        Self {
            notify: None,
            orcpt: None,
            further: None,
        }
    }
}

impl<T> RcptParameters<T> {
    /// Returns those that few recipients have, to set one of them.
    pub fn further_mut(&mut self) -> &mut FurtherRcptParameters<T> {
        self.further.get_or_insert_default()
    }

    /// Returns RRVS: since when the mailbox must have had its owner.
    #[must_use]
    pub fn valid_since(&self) -> Option<ValidSince> {
        self.further.as_ref()?.valid_since
    }

    /// Returns those of extensions that are not known here.
    #[must_use]
    pub fn others(&self) -> &[Parameter<T>] {
        self.further.as_ref().map_or(&[], |further| &further.others)
    }
}

impl RcptParameters<&[u8]> {
    pub(crate) fn within(self, line: &Bytes) -> RcptParameters {
        let further = self.further.map(|further| {
            Box::new(FurtherRcptParameters {
                valid_since: further.valid_since,
                others: all_within(further.others, line),
            })
        });
        RcptParameters {
            notify: self.notify,
            orcpt: self.orcpt.map(|orcpt| orcpt.within(line)),
            further,
        }
    }
}

impl<T: AsRef<[u8]>> RcptParameters<T> {
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(notify) = self.notify {
            output.write(b" NOTIFY=");
            notify.encode(output);
        }
        if let Some(orcpt) = &self.orcpt {
            output.write(b" ORCPT=");
            orcpt.encode(output);
        }
        if let Some(valid_since) = self.valid_since() {
            output.write(b" RRVS=");
            valid_since.encode(output);
        }
        encode_all(self.others(), output);
    }
}

impl<'a> RcptParameters<&'a [u8]> {
    /// Takes those of RCPT, from behind the path to the end of the line.
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
                b"NOTIFY" => once(&mut self.notify, Notify::parse(text)),
                b"ORCPT" => once(&mut self.orcpt, OriginalRecipient::read(text, leniencies)),
                b"RRVS" => once(&mut self.further_mut().valid_since, ValidSince::parse(text)),
                _ => Ok(false),
            }
        })?;
        if !others.is_empty() {
            self.further_mut().others = others;
        }
        Ok(())
    }
}
