//! Any command and any response goes through.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever command one side encodes, the other decodes, through a narrow pipe.
    #[test]
    fn any_command_goes_through(commands in many(command(), 1..6), buffer in 1..80_usize, short: bool) {
        let (mut client, server) = pair(buffer);
        if short {
            client.codec_mut().set_literals(Literals::Short);
        }
        // IDLE has a test of its own.
        let commands: Vec<Tagged> = commands
            .into_iter()
            .map(|command| if matches!(command, Command::Idle) { Command::Noop } else { command })
            .enumerate()
            .map(|(at, command)| Tagged { tag: format!("t{at}").into(), command })
            .collect();
        let expected: Vec<String> = commands.iter().map(|command| {
            let mut output = Output::new();
            command.encode(&mut output);
            escape(&output.copy_to_bytes(output.len()))
        }).collect();
        let said = run(async {
            // Sent and received at once: many commands and their ends may be more than the pipe holds.
            let count = commands.len();
            let (mut sink, mut stream) = client.split();
            let talk = async move {
                for command in commands {
                    sink.send(command.into()).await.unwrap();
                }
            };
            let hear = async move {
                for _ in 0..count {
                    match stream.next().await.unwrap().unwrap() {
                        ResponseItem::Response(Received::Tagged(..)) => {}
                        other => panic!("{other:?}"),
                    }
                }
            };
            tokio::join!(serve(server), talk, hear).0
        });
        let commands = said.iter().filter(|line| !line.starts_with("Continue") && *line != "end");
        let came: Vec<String> = commands.cloned().collect();
        prop_assert_eq!(came, expected);
    }

    /// And whatever response.
    #[test]
    fn any_response_goes_through(responses in many(received(), 1..6), buffer in 1..80_usize) {
        let (mut client, mut server) = pair(buffer);
        let responses: Vec<Received> = responses
            .into_iter()
            .filter(|one| !matches!(one, Received::Continuation(_)))
            .filter(|one| !matches!(one, Received::Untagged(Response::Enabled(_))))
            .collect();
        let expected = responses.clone();
        run(async {
            let talk = async move {
                for response in responses {
                    server.send(response.into()).await.unwrap();
                }
            };
            let hear = async move {
                let mut came = Vec::new();
                while let Some(item) = client.next().await {
                    match item.unwrap() {
                        ResponseItem::Response(received) => came.push(received),
                        other => panic!("{other:?}"),
                    }
                }
                came
            };
            let came = tokio::join!(talk, hear).1;
            assert_eq!(came, expected);
        });
    }

    #[test]
    fn a_secret_goes_through(name in ".{0,20}", password in many(1..=255_u8, 0..40)) {
        let (mut client, mut server) = pair(7);
        run(async {
            let login = Command::Login { name: Bytes::from(name.replace('\0', "")), password: Secret::from(password.clone()) };
            let talk = async move {
                client.send(tagged("a", login)).await.unwrap();
                client.next().await
            };
            let answer = async move {
                loop {
                    let item = server.next().await.unwrap().unwrap();
                    if let CommandItem::Command(Tagged { tag, command: Command::Login { password: came, .. } }) = item {
                        assert_eq!(came.expose(), password);
                        return server.send(Received::Tagged(tag, no("no")).into()).await.unwrap();
                    }
                    server.send(Received::Continuation("".into()).into()).await.unwrap();
                }
            };
            tokio::join!(talk, answer)
        });
    }
}
