//! Connecting to a host of several addresses: the next is tried beside the first when that takes its time (RFC 8305 §5).

use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::candidate::Peer;
use crate::security::Wire;

/// How long an address has for itself before the next is tried beside it (RFC 8305 §8).
const AHEAD: Duration = Duration::from_millis(250);

/// What came of connecting to one of several addresses.
pub(crate) struct Dialed {
    /// The first that answered, by number, and the connection to it.
    pub(crate) answered: Option<(usize, Box<dyn Wire>)>,
    /// Those that refused before it.
    pub(crate) refused: Vec<(usize, io::Error)>,
}

/// Connects to the first of these that answers, in their order of preference. Those that have not when one does are left
/// alone: nothing is known of them.
pub(crate) async fn dial(peers: Vec<Peer>) -> Dialed {
    let mut refused = Vec::new();
    let mut waiting = peers.into_iter().enumerate();
    let mut under_way = JoinSet::new();
    let mut is_last = false;
    loop {
        match waiting.next() {
            Some((nth, peer)) => {
                under_way.spawn(async move { (nth, connect(&peer).await) });
            }
            None => is_last = true,
        }
        let ended = match is_last {
            true => under_way.join_next().await,
            false => tokio::select! {
                ended = under_way.join_next() => ended,
                () = tokio::time::sleep(AHEAD) => continue,
            },
        };
        match ended {
            Some(Ok((nth, Ok(wire)))) => {
                let answered = Some((nth, wire));
                return Dialed { answered, refused };
            }
            Some(Ok((nth, Err(error)))) => refused.push((nth, error)),
            Some(Err(_)) => {}
            None => {
                let answered = None;
                return Dialed { answered, refused };
            }
        }
    }
}

/// Connects to one address.
pub(crate) async fn connect(peer: &Peer) -> io::Result<Box<dyn Wire>> {
    Ok(match peer {
        Peer::Tcp(address) => {
            let stream = TcpStream::connect(address).await?;
            let _ = stream.set_nodelay(true);
            Box::new(stream)
        }
        #[cfg(unix)]
        Peer::Socket(path) => Box::new(tokio::net::UnixStream::connect(path.as_path()).await?),
        #[cfg(not(unix))]
        Peer::Socket(_) => return Err(io::ErrorKind::Unsupported.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::time::Instant;
    use tokio::net::TcpSocket;

    /// An address at which nothing ever answers: the line of those that wait to be accepted is full.
    struct Silent {
        _listener: tokio::net::TcpListener,
        _waiting: JoinSet<io::Result<TcpStream>>,
        address: SocketAddr,
    }

    impl Silent {
        async fn new() -> Self {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
            let listener = socket.listen(1).unwrap();
            let address = listener.local_addr().unwrap();
            let mut waiting = JoinSet::new();
            for _ in 0..4 {
                waiting.spawn(TcpStream::connect(address));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Self {
                _listener: listener,
                _waiting: waiting,
                address,
            }
        }
    }

    fn refusing() -> SocketAddr {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        one.local_addr().unwrap()
    }

    #[tokio::test]
    async fn an_address_that_is_silent_costs_a_moment_and_one_that_refuses_nothing() {
        let silent = Silent::new().await;
        let live = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let live = live.local_addr().map(|address| (live, address)).unwrap();
        let began = Instant::now();
        let peers = [silent.address, refusing(), live.1].map(Peer::Tcp);
        let dialed = dial(peers.into()).await;
        assert_eq!(dialed.answered.map(|(nth, _)| nth), Some(2));
        let refused: Vec<usize> = dialed.refused.iter().map(|(nth, _)| *nth).collect();
        assert_eq!(refused, [1]);
        let took = began.elapsed();
        assert!(took >= AHEAD && took < 20 * AHEAD, "{took:?}");
    }

    #[tokio::test]
    async fn the_first_that_answers_is_taken() {
        let live = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        let peers = live
            .each_ref()
            .map(|one| Peer::Tcp(one.local_addr().unwrap()));
        let dialed = dial(peers.into()).await;
        assert_eq!(dialed.answered.map(|(nth, _)| nth), Some(0));
        assert!(dialed.refused.is_empty());
    }

    #[tokio::test]
    async fn where_all_refuse_each_says_why() {
        let peers = [refusing(), refusing()].map(Peer::Tcp);
        let dialed = dial(peers.into()).await;
        assert!(dialed.answered.is_none() && dialed.refused.len() == 2);
    }
}
