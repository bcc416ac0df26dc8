//! What the session does beyond what the machine does alone, as it is announced.

use bytes::Bytes;

/// All of it, in the order of the RFCs.
const CAPABILITIES: [&str; 49] = [
    "IMAP4rev2",
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

/// What is announced where messages may have so many octets.
pub(super) fn announced(message_size: u64) -> Vec<Bytes> {
    let limit = format!("APPENDLIMIT={message_size}");
    let known = CAPABILITIES.map(|name| Bytes::from_static(name.as_bytes()));
    known.into_iter().chain([limit.into()]).collect()
}
