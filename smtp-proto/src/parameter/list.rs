//! `keyword` and `keyword=value`, as they stand behind a path (RFC 5321 §4.1.2).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::error::{Expected, end_of_line, fails};
use crate::leniency::{Leniencies, Leniency};
use crate::octets::{self, slice_of};

/// The most parameters of one command whose extension is not known here: each new one is compared with all.
const MOST: usize = 32;

/// A parameter of an extension that is not known here, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "its parts are the grammar's")]
pub struct Parameter<T = Bytes> {
    /// In any case.
    pub keyword: T,
    /// What stands behind `=`.
    pub value: Option<T>,
}

impl Parameter<&[u8]> {
    fn within(self, line: &Bytes) -> Parameter {
        Parameter {
            keyword: slice_of(line, self.keyword),
            value: self.value.map(|value| slice_of(line, value)),
        }
    }
}

pub(crate) fn all_within(all: Vec<Parameter<&[u8]>>, line: &Bytes) -> Vec<Parameter> {
    all.into_iter().map(|one| one.within(line)).collect()
}

/// Takes the parameters up to the end of the line. Each goes to `known`, its keyword in capitals, or empty when it is too
/// long: `Ok(false)` when that is none of its keywords, an error when the value is none that the parameter may have, or
/// a repeated one.
#[inline]
pub(crate) fn parameters<'a>(
    mut i: &'a [u8],
    leniencies: Leniencies,
    others: &mut Vec<Parameter<&'a [u8]>>,
    mut known: impl FnMut(&[u8], Option<&'a [u8]>) -> Result<bool, &'static str>,
) -> Result<(), nom::Err<Expected<'a>>> {
    while let Some((b' ', mut start)) = i.split_first() {
        if start.first() == Some(&b' ') {
            if !leniencies.contains(Leniency::ExtraBlanks) {
                return fails(i, "one blank before a parameter");
            }
            start = start.trim_ascii_start();
        }
        let (keyword, behind) = octets::run(start, octets::KEYWORD);
        let (value, rest) = match behind.split_first() {
            None | Some((b' ', _)) => (None, behind),
            Some((b'=', value)) => {
                let (value, rest) = octets::run(value, octets::VALUE);
                if value.is_empty() || (!value.is_ascii() && core::str::from_utf8(value).is_err()) {
                    return fails(start, "a value that this parameter may have");
                }
                (Some(value), rest)
            }
            Some(_) => return fails(start, "a parameter"),
        };
        if !keyword.first().is_some_and(u8::is_ascii_alphanumeric) {
            return fails(start, "a parameter");
        }
        let mut capitals = [0_u8; 12];
        for (place, octet) in capitals.iter_mut().zip(keyword) {
            *place = octet.to_ascii_uppercase();
        }
        match known(capitals.get(..keyword.len()).unwrap_or(&[]), value) {
            Ok(true) => {}
            Err(what) => return fails(start, what),
            Ok(false) => add(others, Parameter { keyword, value }, start)?,
        }
        i = rest;
    }
    end_of_line(i)
}

fn add<'a>(
    others: &mut Vec<Parameter<&'a [u8]>>,
    other: Parameter<&'a [u8]>,
    start: &'a [u8],
) -> Result<(), nom::Err<Expected<'a>>> {
    let repeats = |one: &Parameter<&[u8]>| one.keyword.eq_ignore_ascii_case(other.keyword);
    if others.len() >= MOST || others.iter().any(repeats) {
        return fails(start, "a parameter, each once");
    }
    others.push(other);
    Ok(())
}

/// Sets what a parameter says, once.
#[inline]
pub(crate) fn once<T>(place: &mut Option<T>, value: Option<T>) -> Result<bool, &'static str> {
    match (&place, value) {
        (_, None) => Err("a value that this parameter may have"),
        (Some(_), _) => Err("a parameter, each once"),
        (None, value) => {
            *place = value;
            Ok(true)
        }
    }
}

/// Sets a parameter that has no value, once.
#[inline]
pub(crate) fn flag(place: &mut bool, value: Option<&[u8]>) -> Result<bool, &'static str> {
    match (*place, value) {
        (_, Some(_)) => Err("no value"),
        (true, None) => Err("a parameter, each once"),
        (false, None) => {
            *place = true;
            Ok(true)
        }
    }
}

pub(crate) fn encode_all<T: AsRef<[u8]>>(parameters: &[Parameter<T>], output: &mut Output) {
    for parameter in parameters {
        let keyword = parameter.keyword.as_ref();
        if keyword.is_empty() {
            output.note_replaced();
            continue;
        }
        output.write(b" ");
        output.write_only(keyword, |octet| octets::is(octet, octets::KEYWORD), b'-');
        if let Some(value) = &parameter.value {
            output.write(b"=");
            write_value(value.as_ref(), output);
        }
    }
}

/// Appends one value, whatever is in it: it ends neither the line nor the parameter.
pub(crate) fn write_value(value: &[u8], output: &mut Output) {
    output.write_only(value, |octet| octets::is(octet, octets::VALUE), b'?');
}
