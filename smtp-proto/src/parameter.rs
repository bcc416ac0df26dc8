//! Parameters of MAIL and RCPT (RFC 5321 §4.1.2; 1870, 6152, 6531, 4954, 3461, 2852, 4865, 6710, 8689).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::error::{IResult, expected};

/// `keyword` or `keyword=value`, as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// In any case.
    pub keyword: Bytes,
    /// What stands behind `=`.
    pub value: Option<Bytes>,
}

/// BODY= (RFC 6152, 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyType {
    /// `7BIT`
    SevenBit,
    /// `8BITMIME`
    EightBitMime,
    /// `BINARYMIME`
    BinaryMime,
}

/// What MAIL came with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// SIZE: octets the message is said to have (RFC 1870). More than 64 bits are the largest number.
    pub size: Option<u64>,
    /// BODY
    pub body: Option<BodyType>,
    /// SMTPUTF8 (RFC 6531)
    pub smtputf8: bool,
    /// AUTH, in xtext (RFC 4954 §5)
    pub auth: Option<Bytes>,
    /// Those of other extensions, each checked by its grammar when that is known here.
    pub others: Vec<Parameter>,
}

/// What RCPT came with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RcptParameters {
    /// NOTIFY, ORCPT and those of other extensions.
    pub others: Vec<Parameter>,
}

impl MailParameters {
    pub(crate) fn encode(&self, output: &mut Output) {
        if let Some(size) = self.size {
            output.write(b" SIZE=");
            output.write_number(size);
        }
        match self.body {
            Some(BodyType::SevenBit) => output.write(b" BODY=7BIT"),
            Some(BodyType::EightBitMime) => output.write(b" BODY=8BITMIME"),
            Some(BodyType::BinaryMime) => output.write(b" BODY=BINARYMIME"),
            None => {}
        }
        if self.smtputf8 {
            output.write(b" SMTPUTF8");
        }
        if let Some(auth) = &self.auth {
            output.write(b" AUTH=");
            write_value(auth, output);
        }
        encode_all(&self.others, output);
    }
}

pub(crate) fn encode_all(parameters: &[Parameter], output: &mut Output) {
    for parameter in parameters {
        if parameter.keyword.is_empty() {
            output.note_replaced();
            continue;
        }
        output.write(b" ");
        let is_keyword_char = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        output.write_only(&parameter.keyword, is_keyword_char, b'-');
        if let Some(value) = &parameter.value {
            output.write(b"=");
            write_value(value, output);
        }
    }
}

/// One value, whatever is in it: it ends neither the line nor the parameter.
fn write_value(value: &[u8], output: &mut Output) {
    output.write_only(value, is_value_char, b'?');
}

fn is_value_char(octet: u8) -> bool {
    matches!(octet, 33..=60 | 62..=126 | 128..)
}

/// Those of MAIL, from behind the path to the end of `line`.
pub(crate) fn mail_parameters<'a>(line: &Bytes, i: &'a [u8]) -> IResult<'a, MailParameters> {
    let (rest, all) = parameters(line, i)?;
    let mut mail = MailParameters::default();
    for parameter in all {
        let value = parameter.value.as_deref();
        let is = |name: &str| parameter.keyword.eq_ignore_ascii_case(name.as_bytes());
        if is("SIZE") {
            mail.size = value.map(number);
        } else if is("BODY") {
            mail.body = value.and_then(body);
        } else if is("SMTPUTF8") {
            mail.smtputf8 = true;
        } else if is("AUTH") {
            mail.auth = parameter.value;
        } else {
            mail.others.push(parameter);
        }
    }
    Ok((rest, mail))
}

pub(crate) fn rcpt_parameters<'a>(line: &Bytes, i: &'a [u8]) -> IResult<'a, RcptParameters> {
    let (rest, others) = parameters(line, i)?;
    Ok((rest, RcptParameters { others }))
}

fn parameters<'a>(line: &Bytes, mut i: &'a [u8]) -> IResult<'a, Vec<Parameter>> {
    let mut all: Vec<Parameter> = Vec::new();
    while let Some(b' ') = i.first() {
        let word_start = i.trim_ascii_start();
        if word_start.is_empty() {
            return Ok((word_start, all));
        }
        let end = memchr::memchr(b' ', word_start).unwrap_or(word_start.len());
        let (word, rest) = word_start.split_at(end);
        let equals = memchr::memchr(b'=', word);
        let (keyword, value) = match equals {
            Some(at) => (word.get(..at).unwrap_or(word), word.get(at + 1..)),
            None => (word, None),
        };
        let repeated = all.iter().any(|p| p.keyword.eq_ignore_ascii_case(keyword));
        if !is_keyword(keyword) || repeated {
            return expected(word_start, "a parameter, each once");
        }
        if !value.is_none_or(is_esmtp_value) || !is_valid(keyword, value) {
            return expected(word_start, "a value that this parameter may have");
        }
        all.push(Parameter {
            keyword: line.slice_ref(keyword),
            value: value.map(|value| line.slice_ref(value)),
        });
        i = rest;
    }
    Ok((i, all))
}

/// `esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")`
pub(crate) fn is_keyword(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphanumeric)
        && text.iter().all(|&o| o.is_ascii_alphanumeric() || o == b'-')
}

/// `esmtp-value = 1*(%d33-60 / %d62-126)`, with UTF-8 (RFC 6531 §3.3).
fn is_esmtp_value(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|&octet| is_value_char(octet))
        && core::str::from_utf8(text).is_ok()
}

fn body(value: &[u8]) -> Option<BodyType> {
    match () {
        () if value.eq_ignore_ascii_case(b"7BIT") => Some(BodyType::SevenBit),
        () if value.eq_ignore_ascii_case(b"8BITMIME") => Some(BodyType::EightBitMime),
        () if value.eq_ignore_ascii_case(b"BINARYMIME") => Some(BodyType::BinaryMime),
        () => None,
    }
}

/// Digits as a number; past 64 bits the largest one, which no limit admits.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0_u64, |sum, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit.wrapping_sub(b'0')))
    })
}

pub(crate) fn is_number(text: &[u8], digits: usize) -> bool {
    (1..=digits).contains(&text.len()) && text.iter().all(u8::is_ascii_digit)
}

/// Whether the value is in the grammar of the extension that has this keyword.
fn is_valid(keyword: &[u8], value: Option<&[u8]>) -> bool {
    let is = |name: &str| keyword.eq_ignore_ascii_case(name.as_bytes());
    let one_of =
        |value: &[u8], all: &[&str]| all.iter().any(|a| value.eq_ignore_ascii_case(a.as_bytes()));
    let flag = is("SMTPUTF8") || is("REQUIRETLS");
    let known = [
        "SIZE",
        "BODY",
        "AUTH",
        "RET",
        "ENVID",
        "NOTIFY",
        "ORCPT",
        "BY",
        "HOLDFOR",
        "HOLDUNTIL",
        "MT-PRIORITY",
    ];
    if flag {
        return value.is_none();
    }
    let Some(value) = value else {
        return !known.iter().any(|name| is(name));
    };
    if is("SIZE") {
        is_number(value, 20)
    } else if is("BODY") {
        body(value).is_some()
    } else if is("AUTH") || is("ENVID") {
        is_xtext(value) && value.len() <= 500
    } else if is("RET") {
        one_of(value, &["FULL", "HDRS"])
    } else if is("NOTIFY") {
        one_of(value, &["NEVER"]) || is_notify_list(value)
    } else if is("ORCPT") {
        is_orcpt(value)
    } else if is("BY") {
        is_by(value)
    } else if is("HOLDFOR") {
        is_number(value, 9)
    } else if is("HOLDUNTIL") {
        is_date_time(value)
    } else if is("MT-PRIORITY") {
        matches!(value, [b'0'..=b'9'] | [b'-', b'1'..=b'9'])
    } else {
        true
    }
}

/// xtext (RFC 3461 §4): printable, `+` only before two hexadecimal digits in upper case.
fn is_xtext(text: &[u8]) -> bool {
    let hex = |o: Option<&u8>| o.is_some_and(|o| matches!(o, b'0'..=b'9' | b'A'..=b'F'));
    let mut at = 0;
    while let Some(&octet) = text.get(at) {
        match octet {
            b'+' if hex(text.get(at + 1)) && hex(text.get(at + 2)) => at += 3,
            b'+' | b'=' => return false,
            33..=126 => at += 1,
            _ => return false,
        }
    }
    true
}

fn is_notify_list(value: &[u8]) -> bool {
    let mut seen: Vec<&[u8]> = Vec::new();
    value.split(|&o| o == b',').all(|item| {
        let known = [&b"SUCCESS"[..], b"FAILURE", b"DELAY"];
        let new = !seen.iter().any(|s| s.eq_ignore_ascii_case(item));
        seen.push(item);
        new && known.iter().any(|k| k.eq_ignore_ascii_case(item))
    })
}

/// `atom ";" xtext` (RFC 3461 §4.2); `utf-8` addresses may be UTF-8 (RFC 6533 §3).
fn is_orcpt(value: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b';', value) else {
        return false;
    };
    let (kind, address) = value.split_at(at);
    let address = address.get(1..).unwrap_or(&[]);
    is_keyword(kind)
        && !address.is_empty()
        && value.len() <= 500
        && (is_xtext(address) || kind.eq_ignore_ascii_case(b"utf-8"))
}

/// `[-]1*9DIGIT ";" ("N" / "R") ["T"]` (RFC 2852 §4); R needs a positive time.
fn is_by(value: &[u8]) -> bool {
    let Some(at) = memchr::memchr(b';', value) else {
        return false;
    };
    let (time, mode) = value.split_at(at);
    let digits = time.strip_prefix(b"-").unwrap_or(time);
    let positive = digits.len() == time.len() && number(digits) > 0;
    let mode = mode.get(1..).unwrap_or(&[]).to_ascii_uppercase();
    is_number(digits, 9)
        && match &mode[..] {
            b"N" | b"NT" => true,
            b"R" | b"RT" => positive,
            _ => false,
        }
}

/// RFC 3339 `date-time`, its shape and ranges (RFC 4865 §4).
fn is_date_time(value: &[u8]) -> bool {
    let Some((fixed, zone)) = value.split_at_checked(19) else {
        return false;
    };
    let shape = b"dddd-dd-ddTdd:dd:dd";
    let fits = |(octet, shape): (&u8, &u8)| match shape {
        b'd' => octet.is_ascii_digit(),
        other => octet.eq_ignore_ascii_case(other),
    };
    let field = |from: usize, to: usize| fixed.get(from..to).map_or(99, number);
    let zone = match zone.strip_prefix(b".") {
        Some(fraction) => fraction.trim_ascii_start(),
        None => zone,
    };
    let zone = zone.get(zone.iter().take_while(|o| o.is_ascii_digit()).count()..);
    let zone_ok = match zone {
        Some([b'Z' | b'z']) => true,
        Some([b'+' | b'-', h1, h2, b':', m1, m2]) => {
            [h1, h2, m1, m2].iter().all(|o| o.is_ascii_digit())
        }
        _ => false,
    };
    fixed.iter().zip(shape).all(fits)
        && zone_ok
        && (1..=12).contains(&field(5, 7))
        && (1..=31).contains(&field(8, 10))
        && field(11, 13) <= 23
        && field(14, 16) <= 59
        && field(17, 19) <= 60
}
