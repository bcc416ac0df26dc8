#![no_main]
//! The MIME scanner in any pieces, what it keeps, and everything that decodes text.

use libfuzzer_sys::fuzz_target;
use mailstore::message::{
    Encoding, Scanner, Structure, TextDecoder, TransferDecoder, decode_header, fields, parse_addresses, parse_date,
};

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let whole = Structure::of(data);
    let mut scanner = Scanner::default();
    for piece in data.chunks(usize::from(size % 32) + 1) {
        scanner.feed(piece);
    }
    assert_eq!(scanner.finish(), whole);
    assert_eq!(Structure::decode(&whole.encode()), Some(whole.clone()));
    for (index, part) in whole.parts().iter().enumerate() {
        assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
        assert!(part.body.end <= data.len() as u64 && part.end > index);
    }
    let _ = Structure::decode(data);
    for (_, value, _) in fields(data) {
        let _ = (decode_header(value), parse_addresses(value), parse_date(value));
    }
    for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
        let (mut decoder, mut octets, mut text) = (TransferDecoder::new(encoding), Vec::new(), String::new());
        decoder.decode(data, &mut octets);
        decoder.finish(&mut octets);
        TextDecoder::new(Some(b"iso-2022-jp")).decode(&octets, true, &mut text);
    }
});
