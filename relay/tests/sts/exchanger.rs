//! A mail exchanger that notes each line it is sent.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An authority that signs certificates.
pub(crate) struct Authority {
    params: CertificateParams,
    key: KeyPair,
    der: CertificateDer<'static>,
}

/// A certificate's TLS, and the certificate.
pub(crate) type Tls = (TlsAcceptor, CertificateDer<'static>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    pub(crate) fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        Arc::new(roots)
    }

    pub(crate) fn of(&self, name: &str) -> Tls {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    pub(crate) fn expired(&self, name: &str) -> Tls {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Tls {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let der = params.signed_by(&key, &issuer).unwrap().der().clone();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![der.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            );
        (TlsAcceptor::from(Arc::new(config.unwrap())), der)
    }
}

/// A mail exchanger, until it is dropped.
pub(crate) struct Exchanger {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    lines: Arc<Mutex<Vec<String>>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Exchanger {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Exchanger {
    /// Starts one at a place, with TLS or without.
    pub(crate) async fn start(at: &str, tls: Option<&Tls>) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (connections, lines) = (Arc::default(), Arc::default());
        let (count, seen) = (Arc::clone(&connections), Arc::clone(&lines));
        let tls = tls.map(|(acceptor, _)| acceptor.clone());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                AtomicUsize::fetch_add(&count, 1, Ordering::SeqCst);
                let (tls, seen) = (tls.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    let _ = serve(stream, tls, &seen).await;
                });
            }
        });
        Self {
            port,
            connections,
            lines,
            serving,
        }
    }

    /// How often it was connected to.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Takes the lines that it was sent since, each with `tls` or `clear` before it.
    pub(crate) fn lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

async fn serve(
    stream: impl Wire + 'static,
    tls: Option<TlsAcceptor>,
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream: BufStream<Box<dyn Wire>> = BufStream::new(Box::new(stream));
    let (mut how, mut is_data) = ("clear", false);
    stream.write_all(b"220 mx ESMTP\r\n").await?;
    stream.flush().await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        seen.lock().unwrap().push(format!("{how} {line}"));
        let verb = line.split(' ').next().unwrap_or("").to_ascii_uppercase();
        let reply = match verb.as_str() {
            _ if is_data && line == "." => {
                is_data = false;
                "250 2.0.0 ok"
            }
            _ if is_data => continue,
            "EHLO" if tls.is_some() && how == "clear" => "250-mx\r\n250 STARTTLS",
            "STARTTLS" => {
                stream.write_all(b"220 2.0.0 go\r\n").await?;
                stream.flush().await?;
                let accepted = tls.as_ref().unwrap().accept(stream.into_inner()).await?;
                stream = BufStream::new(Box::new(accepted));
                how = "tls";
                continue;
            }
            "DATA" => {
                is_data = true;
                "354 go"
            }
            "QUIT" => "221 2.0.0 bye",
            _ => "250 2.0.0 ok",
        };
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        stream.flush().await?;
    }
}
