#![no_main]
//! The MIME scanner in any pieces, the structure it keeps, and everything that decodes text.

use hikyaku_message::{
    Encoding, Inline, Scanner, SevenBitSurvey, Structure, TextDecoder, TransferDecoder, decode_header, fields,
    parse_addresses, parse_date, seven_bit,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else {
        return;
    };
    let whole = Structure::of(data);
    let mut scanner = Scanner::default();
    for piece in data.chunks(usize::from(size % 32) + 1) {
        scanner.feed(piece);
    }
    assert_eq!(scanner.finish(), whole);
    let kept = whole.encode();
    assert_eq!(Structure::decode(&kept), Some(whole.clone()));
    assert_eq!(Structure::decode_root(&kept).as_ref(), Some(whole.root()));
    for (index, part) in whole.parts().iter().enumerate() {
        assert!(part.header.start <= part.header.end && part.body.start <= part.body.end);
        assert!(part.body.end <= data.len() as u64 && part.end > index);
    }
    let _ = (Structure::decode(data), Structure::decode_root(data));
    let (mut survey, step) = (SevenBitSurvey::new(), usize::from(size % 64) + 1);
    data.chunks(step).for_each(|piece| survey.feed(piece));
    let sent: Result<Vec<u8>, _> = survey.finish().map(|mut seven_bit| {
        let pieces = data.chunks(step + 1);
        pieces.flat_map(|piece| seven_bit.push(piece)).collect()
    });
    assert_eq!(sent, seven_bit(data));
    if let Ok(sent) = sent {
        assert!(sent.is_ascii());
    }
    for index in whole.shown(data, size % 2 == 0) {
        let _ = whole.get(index).map(|part| part.text(data));
    }
    for (at, index) in whole.attachments().into_iter().enumerate() {
        let _ = whole.name_of(index, at);
    }
    let _ = Inline::of(&whole).find("cid:a");
    for (_, value, _) in fields(data) {
        let _ = (
            decode_header(value),
            parse_addresses(value),
            parse_date(value),
        );
    }
    for encoding in [
        Encoding::Base64,
        Encoding::QuotedPrintable,
        Encoding::Uuencode,
    ] {
        let (mut decoder, mut octets, mut text) =
            (TransferDecoder::new(encoding), Vec::new(), String::new());
        decoder.decode(data, &mut octets);
        decoder.finish(&mut octets);
        for charset in [
            None,
            Some(&b"iso-2022-jp"[..]),
            Some(b"iso-2022-kr"),
            Some(b"hz"),
            Some(b"utf-7"),
            Some(b"utf-16"),
            Some(b"utf-32"),
        ] {
            TextDecoder::new(charset).decode(&octets, true, &mut text);
        }
    }
});
