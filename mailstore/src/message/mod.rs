//! The structure of a message (RFC 5322, 2045, 2046): from octets, in any pieces, to a part tree.
//!
//! [`Scanner`] reads a message once as it comes and holds header fields only, never a body;
//! [`Structure`] is what IMAP calls ENVELOPE and BODYSTRUCTURE, with the offsets of every part.
//!
//! What a message means to a person is decided here, for every program that shows, lists or searches it: charsets and
//! their names ([`TextDecoder`]), encoded words ([`decode_header`]), addresses and dates, which parts are read
//! ([`Structure::shown`]) and which are saved ([`Structure::attachments`]), names of files ([`Content::file_name`]), pictures
//! within ([`Inline`]). ENVELOPE and BODYSTRUCTURE have values as they were sent, as RFC 9051 §7.5.2 wants; what is
//! lenient there is the reading of the parts, of types and parameters, and of where a name ends and an address begins.
//!
//! ```
//! use hikyaku_mailstore::message::Structure;
//! let message = b"Subject: hi\r\nContent-Type: text/plain\r\n\r\nfriend\r\n";
//! let structure = Structure::of(message);
//! let root = structure.root();
//! assert_eq!(root.body, 41..49);
//! assert_eq!(root.lines, 1);
//! ```

mod address;
mod attachment;
mod charset;
mod code_page;
mod common;
mod date;
mod encoded_word;
mod envelope_view;
mod field;
mod file_name;
mod flowed;
mod guess;
mod html_charset;
mod inline;
mod message_id;
mod octet_set;
mod parameter;
mod scanner;
mod seven_bit;
mod shifted;
mod shown;
mod structure;
mod subject;
mod text_decoder;
mod transfer;
mod unicode;

pub use address::{Address, parse_addresses};
pub use date::{DateTime, parse_date};
pub use encoded_word::decode_header;
pub use envelope_view::{AddressView, AddressesView, EnvelopeView};
pub use field::{Content, Disposition, Fields, fields};
pub use inline::{Inline, picture_type};
pub(crate) use message_id::message_ids;
pub use scanner::{Limits, Scanner};
pub use seven_bit::{NotSevenBit, seven_bit};
pub use structure::{Envelope, Kind, Part, Structure};
pub use subject::BaseSubject;
pub use text_decoder::TextDecoder;
pub use transfer::{Encoding, TransferDecoder};
