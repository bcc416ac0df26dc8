//! Who waits for whom: literals, dialogues, STARTTLS.

use super::*;

/// Three commands, two of them with two literals each, are sent at once; the last two wait behind the first.
#[test]
fn literals_that_wait_do_not_deadlock() {
    for buffer in [1, 16, 4096] {
        let (mut client, server) = pair(buffer);
        let said = run(async {
            let server = serve(server);
            let talk = async move {
                client
                    .send(tagged("a", conversions("x\n1", "y\n1")))
                    .await
                    .unwrap();
                client
                    .send(tagged("b", conversions("x\n2", "y\n2")))
                    .await
                    .unwrap();
                client.send(tagged("c", Command::Noop)).await.unwrap();
                assert!(client.codec().is_waiting());
                let mut ends = Vec::new();
                while ends.len() < 3 {
                    match client.next().await.unwrap().unwrap() {
                        ResponseItem::Response(Received::Tagged(tag, _)) => ends.push(tag),
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(ends, ["a", "b", "c"]);
            };
            tokio::join!(server, talk).0
        });
        let commands = said.iter().filter(|line| !line.starts_with("Continue"));
        assert_eq!(commands.count(), 4, "{said:?}");
        assert_eq!(
            said.iter()
                .filter(|line| line.starts_with("Continue"))
                .count(),
            4,
            "{said:?}"
        );
    }
}

/// The same by hand: `Resume` says that something may go, and any item that is encoded then goes behind it.
#[test]
fn with_a_framed_alone_resume_is_sent_by_hand() {
    let (near, far) = tokio::io::duplex(16);
    let mut client = Framed::new(near, ClientCodec::new(Limits::default()));
    let server = Framed::new(far, ServerCodec::new(Limits::default()));
    let said = run(async {
        let talk = async move {
            client
                .send(tagged("a", conversions("x\n1", "y\n1")))
                .await
                .unwrap();
            client.send(tagged("b", Command::Noop)).await.unwrap();
            let mut seen = Vec::new();
            while seen.len() < 5 {
                let item = client.next().await.unwrap().unwrap();
                match item {
                    ResponseItem::Resume => {
                        client.send(SendCommand::Resume).await.unwrap();
                        seen.push("resume");
                    }
                    ResponseItem::Response(Received::Tagged(tag, _)) if tag == "b" => {
                        seen.push("b");
                        client.send(tagged("c", Command::Noop)).await.unwrap();
                    }
                    ResponseItem::Response(Received::Tagged(..)) => seen.push("end"),
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(seen, ["resume", "resume", "end", "b", "end"]);
        };
        tokio::join!(serve(server), talk).0
    });
    assert_eq!(said.len(), 6, "{said:?}");
}

/// NO in place of `+` drops the rest of that command, its message too, and the next one goes.
#[test]
fn a_refused_literal_drops_its_command_alone() {
    let (mut client, mut server) = pair(64);
    run(async {
        let talk = async move {
            client
                .send(tagged("a", conversions("x\n1", "y\n1")))
                .await
                .unwrap();
            let append = Append::new(MailboxName::new("x"));
            let tag = "b".into();
            client
                .send(SendCommand::Append {
                    tag,
                    append,
                    octets: 11,
                })
                .await
                .unwrap();
            client
                .send(SendCommand::Chunk("c NOOP\r\n".into()))
                .await
                .unwrap();
            // More commands than octets were announced for: refused here.
            let more = client.send(tagged("c", Command::Noop)).await;
            assert!(matches!(more, Err(Error::NotNow(_))), "{more:?}");
            let mut ends = Vec::new();
            while ends.len() < 2 {
                if let ResponseItem::Response(Received::Tagged(tag, _)) =
                    client.next().await.unwrap().unwrap()
                {
                    ends.push(tag);
                }
            }
            // What its caller still has is dropped.
            client.send(SendCommand::Chunk("...".into())).await.unwrap();
            client.send(tagged("d", Command::Noop)).await.unwrap();
            while ends.len() < 3 {
                if let ResponseItem::Response(Received::Tagged(tag, _)) =
                    client.next().await.unwrap().unwrap()
                {
                    ends.push(tag);
                }
            }
            assert_eq!(ends, ["a", "b", "d"]);
        };
        let answer = async move {
            let mut seen = Vec::new();
            while let Some(item) = server.next().await {
                let tag = match item.unwrap() {
                    CommandItem::Continue { tag, .. } => tag.unwrap(),
                    CommandItem::Append { tag, .. } => tag,
                    CommandItem::Command(Tagged { tag, .. }) => tag,
                    other => panic!("{other:?}"),
                };
                seen.push(tag.clone());
                server
                    .send(Received::Tagged(tag, no("no")).into())
                    .await
                    .unwrap();
            }
            assert_eq!(seen, ["a", "b", "d"]);
        };
        tokio::join!(talk, answer)
    });
}

/// 64 MiB go by in both directions, and no more is held than the buffers hold.
#[test]
fn messages_stream() {
    const PIECE: usize = 16 * 1024;
    const PIECES: usize = 4096;
    for literals in [Literals::Synchronizing, Literals::NonSynchronizing] {
        let (mut client, mut server) = pair(8192);
        client.codec_mut().set_literals(literals);
        run(async {
            let piece = Bytes::from(vec![b'x'; PIECE]);
            let octets = (PIECE * PIECES) as u64;
            let sent = piece.clone();
            let talk = async move {
                let append = Append::new(MailboxName::new("x"));
                let tag = "a".into();
                client
                    .send(SendCommand::Append {
                        tag,
                        append,
                        octets,
                    })
                    .await
                    .unwrap();
                if client.codec().is_waiting() {
                    let item = client.next().await.unwrap().unwrap();
                    assert_eq!(item, ResponseItem::SendBody { tag: "a".into() });
                } else {
                    assert_eq!(literals, Literals::NonSynchronizing);
                }
                for _ in 0..PIECES {
                    client.send(SendCommand::Chunk(sent.clone())).await.unwrap();
                }
                let more = client.send(SendCommand::Chunk("x".into())).await;
                assert!(matches!(more, Err(Error::TooManyOctets)));
                let mut received = 0;
                loop {
                    match client.next().await.unwrap().unwrap() {
                        ResponseItem::Section { octets: of, .. } => assert_eq!(of, octets),
                        ResponseItem::Chunk(octets) => received += octets.len() as u64,
                        ResponseItem::EndOfFetch(items) => {
                            assert_eq!(items, [FetchItem::Uid(crate::tests::uid(7))]);
                        }
                        ResponseItem::Response(Received::Tagged(..)) => break,
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(received, octets);
            };
            let answer = async move {
                let mut received = 0;
                loop {
                    match server.next().await.unwrap().unwrap() {
                        CommandItem::Append {
                            octets: Some(of), ..
                        } => {
                            assert_eq!(of, octets);
                            if server.codec().is_continuation_due() {
                                let go_on = Received::Continuation("".into());
                                server.send(go_on.into()).await.unwrap();
                            }
                        }
                        CommandItem::Chunk(octets) => received += octets.len() as u64,
                        CommandItem::EndOfAppend { tag } => {
                            assert_eq!(received, octets);
                            let name = FetchAttribute::peek(Section::default());
                            let (number, uid, items) =
                                (1, false, [FetchItem::Rfc822Size(9)].into());
                            let begin = SendResponse::Section {
                                number,
                                uid,
                                items,
                                name,
                                octets,
                            };
                            server.send(begin).await.unwrap();
                            for _ in 0..PIECES {
                                server
                                    .send(SendResponse::Chunk(piece.clone()))
                                    .await
                                    .unwrap();
                            }
                            let more = server.send(SendResponse::Chunk("x".into())).await;
                            assert!(matches!(more, Err(Error::TooManyOctets)));
                            server
                                .send(SendResponse::EndOfFetch(
                                    [FetchItem::Uid(crate::tests::uid(7))].into(),
                                ))
                                .await
                                .unwrap();
                            server
                                .send(Received::Tagged(tag, no("no")).into())
                                .await
                                .unwrap();
                            break;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            };
            tokio::join!(talk, answer)
        });
    }
}

#[test]
fn commands_wait_behind_a_dialogue() {
    let (mut client, server) = pair(64);
    let said = run(async {
        let talk = async move {
            client.send(tagged("i", Command::Idle)).await.unwrap();
            client.send(tagged("b", Command::Noop)).await.unwrap();
            let idling = client.next().await.unwrap().unwrap();
            assert_eq!(
                idling,
                ResponseItem::Response(Received::Continuation("".into()))
            );
            let no_sasl = client.send(SendCommand::SaslResponse(None)).await;
            assert!(matches!(no_sasl, Err(Error::NotNow(_))));
            client.send(SendCommand::Done).await.unwrap();
            for tag in ["i", "b"] {
                let item = client.next().await.unwrap().unwrap();
                assert_eq!(
                    item,
                    ResponseItem::Response(Received::Tagged(tag.into(), no("no")))
                );
            }
        };
        tokio::join!(serve(server), talk).0
    });
    assert_eq!(
        said,
        [
            "i IDLE\\r\\n",
            "EndOfIdle { done: true }",
            "b NOOP\\r\\n",
            "end"
        ]
    );
}

/// What stands behind STARTTLS in clear is nobody's command or response.
#[test]
fn nothing_is_injected_behind_starttls() {
    let ok = Completion {
        status: Status::Ok,
        ..no("begin")
    };
    let mut server = ServerCodec::new(Limits::default());
    let (mut src, mut dst) = (BytesMut::from("a STARTTLS\r\nb NOOP\r\n"), BytesMut::new());
    assert!(matches!(
        server.decode(&mut src),
        Ok(Some(CommandItem::Command(_)))
    ));
    server
        .encode(Received::Tagged("a".into(), ok).into(), &mut dst)
        .unwrap();
    assert!(matches!(server.decode(&mut src), Err(Error::Injected)));

    let mut client = ClientCodec::new(Limits::default());
    client
        .encode(tagged("a", Command::StartTls), &mut dst)
        .unwrap();
    // Plain lines are taken from the input many at a time.
    let mut src = BytesMut::from("a OK begin\r\n* CAPABILITY X\r\n");
    assert!(matches!(
        client.decode(&mut src),
        Ok(Some(ResponseItem::Response(Received::Tagged(..))))
    ));
    assert!(matches!(client.decode(&mut src), Err(Error::Injected)));
}

/// The octets behind a synchronizing literal may not come before `+`; asked for them, the decoder does not wait.
#[test]
fn octets_that_come_too_early_are_an_error_and_no_wait() {
    for octets in [
        "a DELETE {3}\r\nabc\r\n",
        "a APPEND x {3}\r\nabc\r\n",
        "a AUTHENTICATE PLAIN\r\nb NOOP\r\n",
        "a IDLE\r\nDONE\r\n",
    ] {
        let mut codec = ServerCodec::new(Limits::default());
        let mut src = BytesMut::from(octets);
        assert!(matches!(codec.decode(&mut src), Ok(Some(_))), "{octets}");
        assert!(
            matches!(codec.decode(&mut src), Err(Error::Early)),
            "{octets}"
        );
    }
}

#[test]
fn how_literals_are_announced_is_learned() {
    let capabilities = |line: &str| {
        let mut codec = ClientCodec::new(Limits::default());
        let mut src = BytesMut::from(line);
        codec.decode(&mut src).unwrap();
        let mut dst = BytesMut::new();
        codec
            .encode(tagged("a", conversions("x\n", "y")), &mut dst)
            .unwrap();
        dst
    };
    assert_eq!(
        capabilities("* CAPABILITY IMAP4rev1 LITERAL+\r\n"),
        "a CONVERSIONS {2+}\r\nx\n y\r\n"
    );
    assert_eq!(
        capabilities("* OK [CAPABILITY IMAP4rev1 LITERAL-] hi\r\n"),
        "a CONVERSIONS {2+}\r\nx\n y\r\n"
    );
    assert_eq!(
        capabilities("a OK [CAPABILITY IMAP4rev1] hi\r\n"),
        "a CONVERSIONS {2}\r\n"
    );
    assert_eq!(Capabilities::default().literals(), Literals::Synchronizing);
}

#[test]
fn what_is_no_single_command_is_not_encoded() {
    let mut codec = ClientCodec::new(Limits::default());
    let mut dst = BytesMut::new();
    for (tag, command) in [
        ("a b", Command::Noop),
        ("", Command::Noop),
        ("a\r\nb", Command::Noop),
        ("a", Command::Enable(["X\r\nb NOOP".into()].into())),
    ] {
        let was = codec.encode(tagged(tag, command), &mut dst);
        assert!(
            matches!(was, Err(Error::Unencodable)) && dst.is_empty(),
            "{tag:?}"
        );
    }
    let continuation = Received::Continuation("x".into());
    let mut server = ServerCodec::new(Limits::default());
    let was = server.encode(continuation.into(), &mut dst);
    assert!(matches!(was, Err(Error::NotNow(_))));
}

/// Past its limit NIL stands for a literal, and nothing of it is held.
#[test]
fn a_long_literal_is_nil() {
    use crate::plumbing::framer::{ResponseFrame, ResponseFramer};
    for (octets, is_held) in [
        (0, true),
        (20, true),
        (21, false),
        (100, false),
        (5000, false),
    ] {
        let text = "t".repeat(octets);
        let stream = format!("* METADATA x (/a {{{octets}}}\r\n{text} /b NIL)\r\n");
        let expected = match is_held {
            true => stream.trim_end().to_string(),
            false => "* METADATA x (/a NIL /b NIL)".to_string(),
        };
        for piece in [1, 7, stream.len()] {
            let mut framer = ResponseFramer::new(&small());
            let (mut src, mut all) = (BytesMut::new(), Vec::new());
            for octets in stream.as_bytes().chunks(piece) {
                src.extend_from_slice(octets);
                all.extend(framer.next(&mut src).map(Result::unwrap));
            }
            let whole = ResponseFrame::Response(expected.clone().into());
            assert_eq!(all, [whole], "{octets} in pieces of {piece}");
        }
    }
}

/// What is held back is bounded.
#[test]
fn too_much_is_not_held_back() {
    let limits = Limits {
        held_back: 1000,
        ..Limits::default()
    };
    let mut codec = ClientCodec::new(limits);
    let mut dst = BytesMut::new();
    let mut sent = 0;
    let error = loop {
        match codec.encode(tagged("a", conversions("x\n", "y\n")), &mut dst) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 1000);
    };
    assert!(
        matches!(error, Error::HeldBack) && sent > 10,
        "{error} {sent}"
    );
}

/// Nor is a message that waits for `+`, whatever its pieces.
#[test]
fn too_much_of_a_message_is_not_held_back() {
    for (piece, fit) in [(1, 1000), (300, 3), (1000, 1), (1001, 0), (5000, 0)] {
        let limits = Limits {
            held_back: 1000,
            ..Limits::default()
        };
        let mut codec = ClientCodec::new(limits);
        let mut dst = BytesMut::new();
        let append = SendCommand::Append {
            tag: "a".into(),
            append: Append::new(MailboxName::new("x")),
            octets: 5000,
        };
        codec.encode(append, &mut dst).unwrap();
        assert!(codec.is_waiting());
        let chunk = Bytes::from(vec![b'x'; piece]);
        let mut held = 0;
        let error = loop {
            match codec.encode(SendCommand::Chunk(chunk.clone()), &mut dst) {
                Ok(()) => held += 1,
                Err(error) => break error,
            }
        };
        assert!(
            matches!(error, Error::HeldBack) && held == fit,
            "{piece}: {error} {held}"
        );
    }
}

/// A message that fits [`Limits::folded`] is one chunk, however it comes.
#[test]
fn a_small_message_is_one_chunk() {
    for (octets, folds) in [(1, true), (7, true), (8, true), (9, false)] {
        let message = "m".repeat(octets);
        let stream = format!("a APPEND x {{{octets}+}}\r\n{message}\r\n");
        let mut codec = ServerCodec::new(small());
        let (mut src, mut chunks) = (BytesMut::new(), Vec::new());
        for octet in stream.bytes() {
            src.extend_from_slice(&[octet]);
            while let Some(item) = codec.decode(&mut src).unwrap() {
                if let CommandItem::Chunk(octets) = item {
                    chunks.push(octets.len());
                }
            }
        }
        assert_eq!(chunks.iter().sum::<usize>(), octets);
        assert_eq!(chunks.len() == 1, folds, "{octets}: {chunks:?}");
    }
}
