//! Response codes: what a status response tells programs (RFC 9051 §7.1, RFC 5530, 4315, 7162, 9208).

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::Output;

use crate::Flag;
use crate::flag::write_flags;
use crate::sequence_set::write_ranges;
use crate::text::write_list;

/// A response code. Sets of UIDs are ranges, both ends inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the names are the RFCs'")]
pub enum ResponseCode {
    Alert,
    AlreadyExists,
    /// UIDVALIDITY, and the UIDs of what was appended.
    AppendUid(u32, Vec<(u32, u32)>),
    AuthenticationFailed,
    AuthorizationFailed,
    /// The charsets that are known.
    BadCharset(Vec<Bytes>),
    Cannot,
    /// What the server can do now.
    Capability(Vec<Bytes>),
    Closed,
    /// UIDVALIDITY, then the old and the new UIDs in the same order.
    CopyUid(u32, Vec<(u32, u32)>, Vec<(u32, u32)>),
    HasChildren,
    HighestModSeq(u64),
    InUse,
    Limit,
    /// Numbers that UNCHANGEDSINCE kept from being changed.
    Modified(Vec<(u32, u32)>),
    NonExistent,
    NoModSeq,
    NoPerm,
    OverQuota,
    Parse,
    PermanentFlags(Vec<Flag>),
    PrivacyRequired,
    ReadOnly,
    ReadWrite,
    ServerBug,
    TooBig,
    TryCreate,
    UidNext(u32),
    UidValidity(u32),
    Unavailable,
    Unseen(u32),
    UseAttr,
}

impl ResponseCode {
    /// Appends it with its brackets.
    pub fn encode(&self, output: &mut Output) {
        let number = |name: &[u8], value: u64, output: &mut Output| {
            output.write(name);
            output.write_number(value);
        };
        output.write(b"[");
        match self {
            Self::Alert => output.write(b"ALERT"),
            Self::AlreadyExists => output.write(b"ALREADYEXISTS"),
            Self::AppendUid(validity, uids) => {
                number(b"APPENDUID ", u64::from(*validity), output);
                output.write(b" ");
                write_ranges(uids, output);
            }
            Self::AuthenticationFailed => output.write(b"AUTHENTICATIONFAILED"),
            Self::AuthorizationFailed => output.write(b"AUTHORIZATIONFAILED"),
            Self::BadCharset(known) => {
                output.write(b"BADCHARSET ");
                write_list(known, output, |name, output| output.write(name));
            }
            Self::Cannot => output.write(b"CANNOT"),
            Self::Capability(all) => {
                output.write(b"CAPABILITY");
                for name in all {
                    output.write(b" ");
                    output.write(name);
                }
            }
            Self::Closed => output.write(b"CLOSED"),
            Self::CopyUid(validity, from, to) => {
                number(b"COPYUID ", u64::from(*validity), output);
                output.write(b" ");
                write_ranges(from, output);
                output.write(b" ");
                write_ranges(to, output);
            }
            Self::HasChildren => output.write(b"HASCHILDREN"),
            Self::HighestModSeq(value) => number(b"HIGHESTMODSEQ ", *value, output),
            Self::InUse => output.write(b"INUSE"),
            Self::Limit => output.write(b"LIMIT"),
            Self::Modified(numbers) => {
                output.write(b"MODIFIED ");
                write_ranges(numbers, output);
            }
            Self::NonExistent => output.write(b"NONEXISTENT"),
            Self::NoModSeq => output.write(b"NOMODSEQ"),
            Self::NoPerm => output.write(b"NOPERM"),
            Self::OverQuota => output.write(b"OVERQUOTA"),
            Self::Parse => output.write(b"PARSE"),
            Self::PermanentFlags(flags) => {
                output.write(b"PERMANENTFLAGS ");
                write_flags(flags, output);
            }
            Self::PrivacyRequired => output.write(b"PRIVACYREQUIRED"),
            Self::ReadOnly => output.write(b"READ-ONLY"),
            Self::ReadWrite => output.write(b"READ-WRITE"),
            Self::ServerBug => output.write(b"SERVERBUG"),
            Self::TooBig => output.write(b"TOOBIG"),
            Self::TryCreate => output.write(b"TRYCREATE"),
            Self::UidNext(uid) => number(b"UIDNEXT ", u64::from(*uid), output),
            Self::UidValidity(value) => number(b"UIDVALIDITY ", u64::from(*value), output),
            Self::Unavailable => output.write(b"UNAVAILABLE"),
            Self::Unseen(number_) => number(b"UNSEEN ", u64::from(*number_), output),
            Self::UseAttr => output.write(b"USEATTR"),
        }
        output.write(b"]");
    }
}
