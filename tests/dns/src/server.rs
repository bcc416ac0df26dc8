//! UDP and TCP on one port. A thread of its own answers, so that tests may block theirs; it ends with the server.

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::RecordType;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, oneshot};

use crate::world::World;
use crate::zone::{Fault, Zone, absolute};

/// Connections, and slow answers, at a time.
const AT_A_TIME: usize = 256;
/// How long a connection may be idle.
const IDLE: Duration = Duration::from_secs(10);
/// Ports that are tried until one is free for UDP and for TCP.
const PORTS: usize = 100;

/// A DNS server, until it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for DnsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl DnsServer {
    /// Starts a server with these zones, and with a root.
    ///
    /// # Panics
    /// No port of 127.0.0.1 is free.
    pub fn start(zones: impl IntoIterator<Item = Zone>) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sockets = (0..PORTS).find_map(|_| bind(any).ok());
        Self::over(sockets.unwrap(), zones)
    }

    /// Starts a server at that address, such as port 53 where a test has a network of its own.
    ///
    /// # Panics
    /// It is not free.
    pub fn at(address: SocketAddr, zones: impl IntoIterator<Item = Zone>) -> Self {
        Self::over(bind(address).unwrap(), zones)
    }

    fn over(
        (tcp, udp): (std::net::TcpListener, std::net::UdpSocket),
        zones: impl IntoIterator<Item = Zone>,
    ) -> Self {
        let address = tcp.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World::new(zones)));
        let (stop, stopped) = oneshot::channel();
        let answering = Arc::clone(&world);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async move {
                let tcp = TcpListener::from_std(tcp).unwrap();
                let udp = Arc::new(UdpSocket::from_std(udp).unwrap());
                tokio::select! {
                    () = over_udp(&answering, &udp) => {}
                    () = over_tcp(&answering, &tcp) => {}
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            world,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Where it is asked, over UDP and over TCP.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The root's key, as a line of a file of trust anchors: a DNSKEY record.
    pub fn trust_anchor(&self) -> String {
        self.world().trust_anchor()
    }

    /// Makes it a resolver that validates itself: it sets AD on what is secure, and fails for what is bogus.
    pub fn validates(&self, validates: bool) {
        self.world().validates = validates;
    }

    /// Changes a zone, which may be new. What is signed is signed anew.
    pub fn change(&self, origin: &str, change: impl FnOnce(Zone) -> Zone) {
        let mut world = self.world();
        let before = world.take(&absolute(origin));
        world.put(change(before.unwrap_or_else(|| Zone::new(origin))));
    }

    /// How many questions it was asked.
    pub fn questions(&self) -> usize {
        self.world().questions
    }

    /// How often it was asked for records of a kind of a name, which is complete.
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        let count = self.world().asked.get(&(absolute(name), kind)).copied();
        count.unwrap_or(0)
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What it panicked with, if it did, has been printed.
            let _ = thread.join();
        }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bind(at: SocketAddr) -> std::io::Result<(std::net::TcpListener, std::net::UdpSocket)> {
    let tcp = std::net::TcpListener::bind(at)?;
    let udp = std::net::UdpSocket::bind(tcp.local_addr()?)?;
    tcp.set_nonblocking(true)?;
    udp.set_nonblocking(true)?;
    Ok((tcp, udp))
}

/// The answer to a request, and how long it takes. `None` when there is none.
fn answer(world: &Mutex<World>, request: &[u8], is_udp: bool) -> Option<(Vec<u8>, Duration)> {
    let request = Message::from_vec(request).ok()?;
    if request.metadata.message_type != MessageType::Query {
        return None;
    }
    let reply = lock(world).answer(&request);
    let message = reply.message?;
    let octets = message.to_vec().unwrap();
    let room = usize::from(request.max_payload());
    let octets = match reply.fault {
        Some(Fault::Truncated) if is_udp => message.truncate().to_vec().unwrap(),
        _ if is_udp && octets.len() > room => message.truncate().to_vec().unwrap(),
        _ => octets,
    };
    let slow = match reply.fault {
        Some(Fault::Slow(by)) => by,
        _ => Duration::ZERO,
    };
    Some((octets, slow))
}

async fn over_udp(world: &Arc<Mutex<World>>, socket: &Arc<UdpSocket>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let Some((octets, slow)) = answer(world, &buffer[..length], true) else {
            continue;
        };
        if slow.is_zero() {
            let _ = socket.send_to(&octets, peer).await;
        } else if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let socket = Arc::clone(socket);
            tokio::spawn(async move {
                tokio::time::sleep(slow).await;
                let _ = socket.send_to(&octets, peer).await;
                drop(place);
            });
        }
    }
}

async fn over_tcp(world: &Arc<Mutex<World>>, listener: &TcpListener) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                let _ = connection(&world, stream).await;
                drop(place);
            });
        }
    }
}

async fn connection(world: &Mutex<World>, mut stream: TcpStream) -> std::io::Result<()> {
    loop {
        let length = tokio::time::timeout(IDLE, stream.read_u16()).await??;
        let mut request = vec![0; usize::from(length)];
        tokio::time::timeout(IDLE, stream.read_exact(&mut request)).await??;
        let Some((octets, slow)) = answer(world, &request, false) else {
            continue;
        };
        tokio::time::sleep(slow).await;
        stream
            .write_u16(u16::try_from(octets.len()).unwrap())
            .await?;
        stream.write_all(&octets).await?;
    }
}
