#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod attachment;
mod charset;
mod code_page;
mod common;
mod date;
mod encoded_word;
mod envelope;
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
mod part_charset;
mod scanner;
mod seven_bit;
mod shifted;
mod shown;
mod structure;
mod subject;
mod text_decoder;
mod transfer;
mod unicode;
mod web_decoder;

pub use address::{Address, parse_addresses};
pub use date::{DateTime, parse_date};
pub use encoded_word::decode_header;
pub use envelope::Envelope;
pub use envelope_view::{AddressView, AddressesView, EnvelopeView};
pub use field::{Content, Disposition, fields};
pub use inline::{Inline, picture_type};
pub use message_id::message_ids;
pub use scanner::{Limits, Scanner};
pub use seven_bit::{NotSevenBit, SevenBit, SevenBitSurvey, seven_bit};
pub use structure::{Kind, Part, Structure};
pub use subject::BaseSubject;
pub use text_decoder::TextDecoder;
pub use transfer::{Encoding, TransferDecoder};
