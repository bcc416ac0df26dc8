//! Commands as they are written. Literals are synchronizing: [`crate::plumbing::literal`] says where to wait.

use alloc::vec::Vec;
use bytes::Bytes;
use hikyaku_wire::{Output, encode_sasl};

use super::{Authenticate, Command, QResync, Tagged};
use crate::plumbing::text::{write_astring, write_list, write_nstring, write_string};
use crate::plumbing::word::{write_atom, write_flag, write_tag};
use crate::{
    MailboxFilter, MailboxName, Notify, Numbers, Pattern, SequenceSet, command::language,
    command::list, command::metadata, command::url_auth, value::status,
};

impl Tagged {
    /// Appends the whole command with its CRLF, in the shortest legal form. It is one command whatever its arguments
    /// hold: what may not stand in one is replaced, and [`Output::has_replaced`] says so.
    ///
    /// ```
    /// use bytes::Buf;
    /// use hikyaku_imap_proto::{Command, MailboxName, Tagged};
    /// let mut output = hikyaku_wire::Output::new();
    /// let command = Command::Delete(MailboxName::new("old mail"));
    /// Tagged { tag: "a1".into(), command }.encode(&mut output);
    /// assert_eq!(output.copy_to_bytes(output.len()), "a1 DELETE \"old mail\"\r\n");
    /// ```
    pub fn encode(&self, output: &mut Output) {
        write_tag(&self.tag, output);
        output.write(b" ");
        self.command.encode(output);
        output.write(b"\r\n");
    }
}

impl Command {
    /// The same with its mailbox names in UTF-8, for a server where IMAP4rev2 or UTF8=ACCEPT is enabled.
    #[must_use]
    pub fn in_utf8(mut self) -> Self {
        for name in self.names() {
            *name = name.clone().in_utf8();
        }
        self
    }

    /// The mailbox names in it.
    fn names(&mut self) -> Vec<&mut MailboxName> {
        match self {
            Self::Select { mailbox, .. }
            | Self::Create { mailbox, .. }
            | Self::Delete(mailbox)
            | Self::Subscribe(mailbox)
            | Self::Unsubscribe(mailbox)
            | Self::Status { mailbox, .. }
            | Self::GetQuotaRoot(mailbox)
            | Self::Copy { mailbox, .. }
            | Self::Move { mailbox, .. }
            | Self::GetAcl(mailbox)
            | Self::MyRights(mailbox)
            | Self::DeleteAcl { mailbox, .. }
            | Self::ListRights { mailbox, .. }
            | Self::SetMetadata { mailbox, .. } => [mailbox].into(),
            Self::SetAcl(set) => [&mut set.mailbox].into(),
            Self::GetMetadata(get) => [&mut get.mailbox].into(),
            Self::Rename { from, to } => [from, to].into(),
            Self::List(list) => {
                let patterns = list.patterns.iter_mut().map(Pattern::name_mut);
                patterns.chain([&mut list.reference]).collect()
            }
            Self::Lsub { reference, pattern }
            | Self::RList { reference, pattern }
            | Self::RLsub { reference, pattern }
            | Self::XList { reference, pattern } => [reference, pattern.name_mut()].into(),
            Self::Notify(Notify::Set { groups, .. }) => groups
                .iter_mut()
                .flat_map(|group| group.mailboxes.names_mut())
                .collect(),
            Self::ESearch { sources, .. } => sources
                .iter_mut()
                .flat_map(MailboxFilter::names_mut)
                .collect(),
            Self::ResetKey(reset) => reset.mailbox.iter_mut().map(|(name, _)| name).collect(),
            _ => Vec::new(),
        }
    }

    fn encode(&self, output: &mut Output) {
        let named = |name: &[u8], mailbox: &MailboxName, output: &mut Output| {
            output.write(name);
            mailbox.encode(output);
        };
        let uid_before = |numbers: Numbers, output: &mut Output| {
            output.write(if numbers.is_uid() { b"UID " } else { b"" });
        };
        match self {
            Self::Capability => output.write(b"CAPABILITY"),
            Self::Noop => output.write(b"NOOP"),
            Self::Logout => output.write(b"LOGOUT"),
            Self::StartTls => output.write(b"STARTTLS"),
            Self::Namespace => output.write(b"NAMESPACE"),
            Self::Idle => output.write(b"IDLE"),
            Self::Check => output.write(b"CHECK"),
            Self::Close => output.write(b"CLOSE"),
            Self::Unselect => output.write(b"UNSELECT"),
            Self::Expunge(None) => output.write(b"EXPUNGE"),
            Self::Expunge(Some(set)) => {
                output.write(b"UID EXPUNGE ");
                set.encode(output);
            }
            Self::Id(fields) => {
                output.write(b"ID ");
                write_id(fields, output);
            }
            Self::Login { name, password } => {
                output.write(b"LOGIN ");
                write_astring(name, output);
                output.write(b" ");
                write_astring(password.expose(), output);
            }
            Self::Authenticate(authenticate) => authenticate.encode(output),
            Self::Enable(names) => {
                output.write(b"ENABLE");
                for name in names {
                    output.write(b" ");
                    write_atom(name, output);
                }
            }
            Self::Select { .. } => self.encode_select(output),
            Self::Create {
                mailbox,
                special_uses: uses,
            } => {
                named(b"CREATE ", mailbox, output);
                if !uses.is_empty() {
                    output.write(b" (USE ");
                    write_list(uses, output, |name, output| write_flag(name, output));
                    output.write(b")");
                }
            }
            Self::Delete(mailbox) => named(b"DELETE ", mailbox, output),
            Self::Rename { from, to } => {
                named(b"RENAME ", from, output);
                named(b" ", to, output);
            }
            Self::Subscribe(mailbox) => named(b"SUBSCRIBE ", mailbox, output),
            Self::Unsubscribe(mailbox) => named(b"UNSUBSCRIBE ", mailbox, output),
            Self::List(list) => {
                output.write(b"LIST ");
                list.encode(output);
            }
            Self::Lsub { reference, pattern } => {
                named(b"LSUB ", reference, output);
                output.write(b" ");
                list::write_pattern(pattern, output);
            }
            Self::Status {
                mailbox,
                attributes,
            } => {
                named(b"STATUS ", mailbox, output);
                output.write(b" ");
                status::write_attributes(attributes, output);
            }
            Self::GetQuota(root) => {
                output.write(b"GETQUOTA ");
                write_astring(root, output);
            }
            Self::GetQuotaRoot(mailbox) => named(b"GETQUOTAROOT ", mailbox, output),
            Self::SetQuota { root, limits } => {
                output.write(b"SETQUOTA ");
                write_astring(root, output);
                output.write(b" ");
                write_list(limits, output, |(name, limit), output| {
                    write_atom(name, output);
                    output.write(b" ");
                    output.write_number(*limit);
                });
            }
            Self::Search { search, numbers } => {
                uid_before(*numbers, output);
                output.write(b"SEARCH ");
                search.encode(output);
            }
            Self::Sort { sort, numbers } => {
                uid_before(*numbers, output);
                output.write(b"SORT ");
                sort.encode(output);
            }
            Self::Thread { thread, numbers } => {
                uid_before(*numbers, output);
                output.write(b"THREAD ");
                thread.encode(output);
            }
            Self::Fetch { fetch, numbers } => {
                uid_before(*numbers, output);
                output.write(b"FETCH ");
                fetch.encode(output);
            }
            Self::Store { store, numbers } => {
                uid_before(*numbers, output);
                output.write(b"STORE ");
                store.encode(output);
            }
            Self::Copy {
                set,
                mailbox,
                numbers,
            } => {
                uid_before(*numbers, output);
                write_copy(b"COPY ", set, mailbox, output);
            }
            Self::Move {
                set,
                mailbox,
                numbers,
            } => {
                uid_before(*numbers, output);
                write_copy(b"MOVE ", set, mailbox, output);
            }
            Self::StoreLabels { store, numbers } => {
                uid_before(*numbers, output);
                output.write(b"STORE ");
                store.encode(output);
            }
            Self::Convert { convert, numbers } => {
                uid_before(*numbers, output);
                output.write(b"CONVERT ");
                convert.encode(output);
            }
            other => other.encode_extension(output),
        }
    }

    /// Those of extensions that are no part of RFC 9051.
    fn encode_extension(&self, output: &mut Output) {
        let named = |name: &[u8], mailbox: &MailboxName, output: &mut Output| {
            output.write(name);
            mailbox.encode(output);
        };
        let listed = |name: &[u8], reference: &MailboxName, pattern, output: &mut Output| {
            named(name, reference, output);
            output.write(b" ");
            list::write_pattern(pattern, output);
        };
        match self {
            Self::Unauthenticate => output.write(b"UNAUTHENTICATE"),
            Self::GetJmapAccess => output.write(b"GETJMAPACCESS"),
            Self::Compress(how) => {
                output.write(b"COMPRESS ");
                write_atom(how, output);
            }
            Self::Language(ranges) => {
                output.write(b"LANGUAGE");
                language::write_ranges(ranges, output);
            }
            Self::Comparator(ranges) => {
                output.write(b"COMPARATOR");
                language::write_ranges(ranges, output);
            }
            Self::GetAcl(mailbox) => named(b"GETACL ", mailbox, output),
            Self::MyRights(mailbox) => named(b"MYRIGHTS ", mailbox, output),
            Self::SetAcl(set) => {
                output.write(b"SETACL ");
                set.encode(output);
            }
            Self::DeleteAcl {
                mailbox,
                identifier,
            } => {
                named(b"DELETEACL ", mailbox, output);
                output.write(b" ");
                write_astring(identifier, output);
            }
            Self::ListRights {
                mailbox,
                identifier,
            } => {
                named(b"LISTRIGHTS ", mailbox, output);
                output.write(b" ");
                write_astring(identifier, output);
            }
            Self::GetMetadata(get) => {
                output.write(b"GETMETADATA ");
                get.encode(output);
            }
            Self::SetMetadata {
                mailbox,
                entries: values,
            } => {
                named(b"SETMETADATA ", mailbox, output);
                output.write(b" ");
                metadata::write_values(values, output);
            }
            Self::Notify(notify) => {
                output.write(b"NOTIFY ");
                notify.encode(output);
            }
            Self::CancelUpdate(tags) => {
                output.write(b"CANCELUPDATE");
                // RFC 5267 §4.3.2: in quotes.
                for tag in tags {
                    output.write(b" ");
                    write_string(tag, output);
                }
            }
            Self::ESearch { sources, search } => {
                output.write(b"ESEARCH ");
                if !sources.is_empty() {
                    output.write(b"IN ");
                    write_list(sources, output, MailboxFilter::encode);
                    output.write(b" ");
                }
                search.encode(output);
            }
            Self::UidBatches(batches) => {
                output.write(b"UIDBATCHES ");
                batches.encode(output);
            }
            Self::RList { reference, pattern } => listed(b"RLIST ", reference, pattern, output),
            Self::RLsub { reference, pattern } => listed(b"RLSUB ", reference, pattern, output),
            Self::XList { reference, pattern } => listed(b"XLIST ", reference, pattern, output),
            Self::GenUrlAuth(rumps) => {
                output.write(b"GENURLAUTH");
                url_auth::write_rumps(rumps, output);
            }
            Self::ResetKey(reset) => {
                output.write(b"RESETKEY");
                reset.encode(output);
            }
            Self::UrlFetch(urls) => {
                output.write(b"URLFETCH");
                url_auth::write_urls(urls, output);
            }
            Self::Conversions { from, to } => {
                output.write(b"CONVERSIONS ");
                write_astring(from, output);
                output.write(b" ");
                write_astring(to, output);
            }
            _ => {}
        }
    }

    fn encode_select(&self, output: &mut Output) {
        let Self::Select {
            mailbox,
            read_only,
            condstore,
            qresync,
        } = self
        else {
            return;
        };
        output.write(if *read_only { b"EXAMINE " } else { b"SELECT " });
        mailbox.encode(output);
        if *condstore || qresync.is_some() {
            output.write(b" (");
            output.write(if *condstore { b"CONDSTORE" } else { b"" });
            if let Some(qresync) = qresync {
                output.write(if *condstore { b" " } else { b"" });
                qresync.encode(output);
            }
            output.write(b")");
        }
    }
}

fn write_copy(name: &[u8], set: &SequenceSet, mailbox: &MailboxName, output: &mut Output) {
    output.write(name);
    set.encode(output);
    output.write(b" ");
    mailbox.encode(output);
}

/// The fields of ID, or NIL.
pub(crate) fn write_id(fields: &[(Bytes, Option<Bytes>)], output: &mut Output) {
    if fields.is_empty() {
        return output.write(b"NIL");
    }
    write_list(fields, output, |(name, value), output| {
        write_string(name, output);
        output.write(b" ");
        write_nstring(value.as_deref(), output);
    });
}

impl Authenticate {
    fn encode(&self, output: &mut Output) {
        output.write(b"AUTHENTICATE ");
        write_atom(&self.mechanism, output);
        if let Some(initial) = &self.initial {
            output.write(b" ");
            match initial.expose() {
                // RFC 4959 §3: an empty one is not the same as none.
                b"" => output.write(b"="),
                initial => output.write(&encode_sasl(initial)),
            }
        }
    }
}

impl QResync {
    fn encode(&self, output: &mut Output) {
        output.write(b"QRESYNC (");
        output.write_number(u64::from(self.uid_validity));
        output.write(b" ");
        output.write_number(self.modseq);
        if let Some(known) = &self.known_uids {
            output.write(b" ");
            known.encode(output);
        }
        if let Some((sequences, uids)) = &self.sequence_match {
            output.write(b" (");
            sequences.encode(output);
            output.write(b" ");
            uids.encode(output);
            output.write(b")");
        }
        output.write(b")");
    }
}
