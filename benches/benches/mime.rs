//! From a message to its structure, beside two other readers: the cost of each delivery and each APPEND.
//!
//! The works differ, and their names say so: ours is the structure, the envelope with its addresses, and the
//! stored summary; `mailparse` splits parts and header fields and decodes neither addresses nor bodies;
//! `mail-parser` decodes the header fields and the bodies, too.
//!
//! The messages are small ones of our own, one with a large attachment, and those of `HIKYAKU_CORPUS` if it
//! is set.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hikyaku_message::{Scanner, Structure};
use std::hint::black_box;
use std::path::PathBuf;

/// Messages that people write to each other, and that programs write to people.
const SMALL: [&str; 6] = [
    "Return-Path: <alice@example.org>\nReceived: from mx.example.org (mx.example.org [192.0.2.1])\n\tby mail.example.test \
     with ESMTPS id 4Zt0Fc2rPqz9sQm\n\tfor <bob@example.test>; Tue, 24 Nov 2026 10:00:01 +0000\nDKIM-Signature: v=1; \
     a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=k1;\n\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\n\t\
     b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\nFrom: Alice Miller <alice@example.org>\nTo: Bob \
     <bob@example.test>\nSubject: Lunch tomorrow?\nDate: Tue, 24 Nov 2026 11:00:00 +0100\nMessage-ID: <a1b2c3@example.org>\n\
     MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nHello Bob,\n\nshall we meet at \
     noon, as usual? The new place at the corner has opened.\n\nAlice\n",
    "From: \"Weekly News\" <news@lists.example.com>\nReply-To: \"News, Weekly\" <reply@lists.example.com>\nTo: bob@example.test\nSubject: \
     =?utf-8?Q?This_week=E2=80=99s_news?=\nDate: Mon, 23 Nov 2026 06:30:00 +0000\nMessage-ID: \
     <20261123063000.7f3@lists.example.com>\nList-Id: Weekly News <weekly.lists.example.com>\nList-Unsubscribe: \
     <https://lists.example.com/u/7f3>, <mailto:leave@lists.example.com>\nPrecedence: bulk\nMIME-Version: 1.0\nContent-Type: \
     multipart/alternative; boundary=\"=_7f3a\"\n\n--=_7f3a\nContent-Type: text/plain; charset=\"utf-8\"\nContent-Transfer-Encoding: \
     quoted-printable\n\nThis week=E2=80=99s news are on one page.\n\n--=_7f3a\nContent-Type: text/html; charset=\"utf-8\"\n\
     Content-Transfer-Encoding: quoted-printable\n\n<html><body><h1>This week=E2=80=99s news</h1><p>are on one =\npage.</p></body></html>\n\n\
     --=_7f3a--\n",
    "From: Carol <carol@example.net>\nTo: Bob <bob@example.test>, Dave Jones <dave@example.com>,\n \"Evans, Eve\" <eve@example.com>\nCc: \
     team@example.com\nSubject: Re: minutes\nDate: Wed, 25 Nov 2026 09:12:44 -0500\nIn-Reply-To: <m1@example.test>\nReferences: \
     <m0@example.test> <m1@example.test>\nMessage-ID: <m2@example.net>\nUser-Agent: Example 1.0\nMIME-Version: 1.0\nContent-Type: \
     multipart/mixed;\n boundary=\"------------0102030405\"\n\nThis is a multi-part message.\n--------------0102030405\nContent-Type: \
     text/plain; charset=UTF-8; format=flowed\nContent-Transfer-Encoding: 7bit\n\nThey are attached.\n\n--------------0102030405\n\
     Content-Type: application/pdf; name=\"minutes.pdf\"\nContent-Disposition: attachment; filename=\"minutes.pdf\"\n\
     Content-Transfer-Encoding: base64\n\nJVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0ZURl\n\
     Y29kZT4+CnN0cmVhbQp4nD2OywoCMQxF9/mKu3YRk7bptDAIDuh+oOAP+AAXgrOZ37etjmSTe3IS\n--------------0102030405--\n",
    "From: MAILER-DAEMON@mx.example.org (Mail Delivery System)\nTo: alice@example.org\nSubject: Undelivered Mail Returned to Sender\nDate: \
     Thu, 26 Nov 2026 08:00:00 +0000\nMessage-ID: <20261126080000.1@mx.example.org>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n\
     Content-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"4Zt0Fc.1/mx.example.org\"\n\n\
     --4Zt0Fc.1/mx.example.org\nContent-Description: Notification\nContent-Type: text/plain; charset=us-ascii\n\nIt could not be \
     delivered.\n\n--4Zt0Fc.1/mx.example.org\nContent-Description: Delivery report\nContent-Type: message/delivery-status\n\n\
     Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; nobody@example.com\nAction: failed\nStatus: 5.1.1\n\n\
     --4Zt0Fc.1/mx.example.org\nContent-Description: Undelivered Message\nContent-Type: message/rfc822\n\nFrom: Alice \
     <alice@example.org>\nTo: nobody@example.com\nSubject: hello\nMessage-ID: <a9@example.org>\n\nAre you there?\n\n\
     --4Zt0Fc.1/mx.example.org--\n",
    "From: =?ISO-2022-JP?B?GyRCSHQ1UxsoQg==?= <hikyaku@example.jp>\nTo: =?utf-8?B?6aOb6ISa?= <bob@example.test>\nSubject: \
     =?ISO-2022-JP?B?GyRCMnE1RCRORTckORsoQg==?=\nDate: Fri, 27 Nov 2026 18:20:00 +0900\nMessage-Id: <200@example.jp>\nMime-Version: \
     1.0\nContent-Type: text/plain; charset=ISO-2022-JP\nContent-Transfer-Encoding: 7bit\nX-Mailer: Example 7\n\n\
     \u{1b}$B$3$s$K$A$O\u{1b}(B\n",
    "From: root@host.example.test (Cron Daemon)\nTo: root@host.example.test\nSubject: Cron <root@host> test -x /usr/sbin/anacron\n\
     Content-Type: text/plain; charset=UTF-8\nX-Cron-Env: <SHELL=/bin/sh>\nX-Cron-Env: <HOME=/root>\nX-Cron-Env: \
     <PATH=/usr/bin:/bin>\nMessage-Id: <20261127060001.9@host.example.test>\nDate: Fri, 27 Nov 2026 06:00:01 +0000 (UTC)\n\n\
     run-parts: nothing to do\n",
];

/// A name, messages, and their octets in all.
struct Set(&'static str, Vec<Vec<u8>>);

impl Set {
    fn octets(&self) -> u64 {
        self.1.iter().map(|message| message.len() as u64).sum()
    }
}

fn corpus() -> Option<Set> {
    let mut folders = vec![PathBuf::from(std::env::var_os("HIKYAKU_CORPUS")?).join("messages")];
    let mut messages = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).ok()? {
            let path = entry.ok()?.path();
            match path.is_dir() {
                true => folders.push(path),
                false => messages.push(std::fs::read(path).ok()?),
            }
        }
    }
    messages.sort();
    Some(Set("corpus", messages))
}

/// A message of 26 MB, nearly all of it an attachment.
fn large() -> Set {
    let head = "From: a@b.test\r\nTo: c@d.test\r\nSubject: film\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; \
        boundary=b\r\n\r\n--b\r\n\r\nhere it is\r\n--b\r\nContent-Type: video/mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let message = format!("{head}{}--b--\r\n", line.repeat(26_000_000 / line.len()));
    Set("26 MB", vec![message.into_bytes()])
}

fn sets() -> Vec<Set> {
    let small = SMALL.map(|message| message.replace('\n', "\r\n").into_bytes());
    let mut sets = vec![Set("small messages", small.to_vec())];
    sets.extend(corpus());
    sets.push(large());
    sets
}

fn mime(criterion: &mut Criterion) {
    for set in sets() {
        let mut group = criterion.benchmark_group(set.0);
        group.throughput(Throughput::Bytes(set.octets()));
        if set.0 == "26 MB" {
            group.sample_size(10);
        }
        group.bench_function("hikyaku: structure, envelope, summary", |bencher| {
            bencher.iter(|| {
                for message in &set.1 {
                    black_box(Structure::of(black_box(message)).encode());
                }
            });
        });
        group.bench_function("hikyaku: the same, in pieces of 4 KiB", |bencher| {
            bencher.iter(|| {
                for message in &set.1 {
                    let mut scanner = Scanner::default();
                    message.chunks(4096).for_each(|piece| scanner.feed(piece));
                    black_box(scanner.finish().encode());
                }
            });
        });
        group.bench_function("hikyaku: structure, envelope", |bencher| {
            bencher.iter(|| {
                for message in &set.1 {
                    black_box(Structure::of(black_box(message)));
                }
            });
        });
        group.bench_function("mailparse: structure, fields", |bencher| {
            bencher.iter(|| {
                for message in &set.1 {
                    let _ = black_box(mailparse::parse_mail(black_box(message)));
                }
            });
        });
        group.bench_function("mail-parser: all, decoded", |bencher| {
            bencher.iter_batched(
                mail_parser::MessageParser::default,
                |parser| {
                    for message in &set.1 {
                        black_box(parser.parse(black_box(&message[..])));
                    }
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, mime);
criterion_main!(benches);
