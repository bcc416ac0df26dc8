//! Answers to the challenges that are pending: HTTP-01 (RFC 8555 §8.3) and TLS-ALPN-01 (RFC 8737).

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

/// RFC 8737 §6.2
const ALPN: &[u8] = b"acme-tls/1";

/// What the ACME server asks this server for while an order is under way, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    pending: Mutex<Pending>,
}

#[derive(Debug, Default)]
struct Pending {
    /// What stands in the file of a token.
    files: HashMap<String, String>,
    /// The certificate of a name.
    certificates: HashMap<String, Arc<CertifiedKey>>,
}

impl Challenges {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers a token with a key authorization.
    pub(crate) fn put_file(&self, token: &str, authorization: &str) {
        let mut pending = self.pending();
        pending.files.insert(token.into(), authorization.into());
    }

    /// Answers for a name with a certificate that holds the digest of a key authorization (RFC 8737 §3).
    pub(crate) fn put_certificate(&self, name: &str, digest: &[u8]) -> Result<(), rcgen::Error> {
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let chain = vec![certificate.der().clone()];
        // `CertifiedKey::from_der` would refuse the certificate: its extension is critical, and webpki does not know it.
        let key = any_supported_type(&private).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let certified = CertifiedKey::new(chain, key);
        let mut pending = self.pending();
        pending
            .certificates
            .insert(name.into(), Arc::new(certified));
        Ok(())
    }

    /// Forgets all answers.
    pub(crate) fn clear(&self) {
        *self.pending() = Pending::default();
    }

    /// Returns what stands in the file of a token.
    pub(crate) fn file(&self, token: &str) -> Option<String> {
        self.pending().files.get(token).cloned()
    }

    /// Returns whether a TLS-ALPN-01 challenge may come.
    pub(crate) fn expects_tls(&self) -> bool {
        !self.pending().certificates.is_empty()
    }

    /// Begins TLS with a client, and answers it if it is an ACME server that looks at a challenge. `None` if it was one,
    /// or if the handshake failed.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        stream: TcpStream,
        usual: Arc<ServerConfig>,
    ) -> Option<TlsStream<TcpStream>> {
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
        let start = start.await.ok()?;
        let protocols = start.client_hello().alpn();
        let is_challenge = protocols.is_some_and(|mut all| all.any(|one| one == ALPN));
        if !is_challenge {
            return start.into_stream(usual).await.ok();
        }
        // RFC 8737 §3: after the handshake there is nothing more to say.
        let mut stream = start.into_stream(self.config()?).await.ok()?;
        let _ = stream.shutdown().await;
        None
    }

    fn config(self: &Arc<Self>) -> Option<Arc<ServerConfig>> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .ok()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Some(Arc::new(config))
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?.to_ascii_lowercase();
        self.pending().certificates.get(&name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_there_while_they_are_pending() {
        let challenges = Challenges::default();
        assert!(!challenges.expects_tls() && challenges.file("a").is_none());
        challenges.put_file("a", "a.key");
        challenges.put_certificate("a.test", &[7; 32]).unwrap();
        assert!(challenges.expects_tls());
        assert_eq!(challenges.file("a").as_deref(), Some("a.key"));
        assert!(challenges.file("b").is_none());
        challenges.clear();
        assert!(!challenges.expects_tls() && challenges.file("a").is_none());
    }
}
