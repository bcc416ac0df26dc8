//! The examples, against a server made of this crate's other machine, over a socket.

#[path = "../examples/send.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod send;

#[cfg(feature = "codec")]
#[path = "../examples/framed.rs"]
#[allow(dead_code, unreachable_pub, reason = "a program, taken for a module")]
mod framed;

use hikyaku_smtp_proto::Reply;
use hikyaku_smtp_proto::server::{Connection, Event, Options};
use hikyaku_wire::drive::{Driver, Next};
use std::net::{TcpListener, TcpStream};

/// Serves one client, and returns what it was given; `nobody` is refused, and `late` messages.
fn serve(stream: TcpStream) -> Vec<u8> {
    let mut driver = Driver::new(Connection::new(Options::new("mx.test")), stream);
    let mut message = Vec::new();
    while let Ok(Next::Event(event)) = driver.next() {
        let (smtp, output) = driver.split();
        let no = Reply::new(550, "5.1.1", "no such mailbox");
        match event {
            Event::Chunk(octets) => message.extend_from_slice(&octets),
            Event::Reset => {}
            Event::Rcpt { forward_path, .. }
                if forward_path.mailbox().unwrap().local_part() == "nobody" =>
            {
                smtp.reply(&no, output).unwrap();
            }
            Event::EndOfBody if message.starts_with(b"Subject: late") => {
                let reply = Reply::new(452, "4.3.1", "full");
                smtp.reply(&reply, output).unwrap();
            }
            _ => smtp.accept(output).unwrap(),
        }
    }
    message
}

fn with_server(to: &[&str], message: &str) -> (Vec<u16>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || serve(listener.accept().unwrap().0));
    let stream = TcpStream::connect(address).unwrap();
    let to: Vec<_> = to.iter().map(|to| format!("{to}@b.test")).collect();
    let fates = send::send(stream, "me@a.test", &to, message.as_bytes()).unwrap();
    let message = String::from_utf8(server.join().unwrap()).unwrap();
    (fates.iter().map(Reply::code).collect(), message)
}

#[test]
fn send_tells_the_fate_of_each_recipient() {
    let message = "Subject: x\r\n\r\n.dot\r\nà bientôt\r\n";
    let expected = (vec![250, 550, 250], message.to_string());
    assert_eq!(with_server(&["you", "nobody", "all"], message), expected);
    assert_eq!(
        with_server(&["nobody"], message),
        (vec![550], String::new())
    );
    assert_eq!(
        with_server(&["you", "nobody"], "Subject: late\r\n\r\n").0,
        [452, 550]
    );
}

#[cfg(feature = "codec")]
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(future)
}

#[test]
#[cfg(feature = "codec")]
fn framed_takes_what_send_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let message = "Subject: x\r\n\r\n.dot\r\n";
    let server = std::thread::spawn(move || {
        run(async {
            let stream = listener.accept().unwrap().0;
            stream.set_nonblocking(true).unwrap();
            let stream = tokio::net::TcpStream::from_std(stream).unwrap();
            framed::serve(stream).await.unwrap()
        })
    });
    let stream = TcpStream::connect(address).unwrap();
    let to = ["you@b.test".to_string(), "all@b.test".to_string()];
    let fates = send::send(stream, "me@a.test", &to, message.as_bytes()).unwrap();
    let codes: Vec<u16> = fates.iter().map(Reply::code).collect();
    assert_eq!(codes, [250, 250]);
    assert_eq!(server.join().unwrap(), [message.as_bytes()]);
}
