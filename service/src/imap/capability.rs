//! The capabilities that the session announces besides those of the machine.

use bytes::Bytes;

use crate::Options;

/// All of it, in the order of the RFCs.
const CAPABILITIES: [&str; 53] = [
    "IMAP4rev2",
    "ID",
    "IDLE",
    "UNSELECT",
    "NAMESPACE",
    "CHILDREN",
    "MULTIAPPEND",
    "BINARY",
    "ACL",
    "RIGHTS=kxte",
    "UIDPLUS",
    "CATENATE",
    "ESEARCH",
    "WITHIN",
    "SEARCHRES",
    "LANGUAGE",
    "I18NLEVEL=1",
    "SORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "LIST-EXTENDED",
    "ESORT",
    "CONTEXT=SEARCH",
    "CONTEXT=SORT",
    "METADATA",
    "NOTIFY",
    "FILTERS",
    "LIST-STATUS",
    "SORT=DISPLAY",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "SEARCH=FUZZY",
    "MOVE",
    "UTF8=ACCEPT",
    "CONDSTORE",
    "QRESYNC",
    "MULTISEARCH",
    "UNAUTHENTICATE",
    "STATUS=SIZE",
    "LIST-MYRIGHTS",
    "OBJECTID",
    "REPLACE",
    "SAVEDATE",
    "PREVIEW",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "PARTIAL",
    "INPROGRESS",
    "UIDONLY",
    "LIST-METADATA",
    "UIDBATCHES",
];

/// What is announced with these options.
pub(super) fn announced(options: &Options) -> Vec<Bytes> {
    let append = format!("APPENDLIMIT={}", options.message_size);
    let messages = options.message_limit;
    let messages = messages.map(|limit| format!("MESSAGELIMIT={limit}").into());
    let known = CAPABILITIES.map(|name| Bytes::from_static(name.as_bytes()));
    let known = known.into_iter().chain([append.into()]);
    known.chain(messages).collect()
}
