//! Pebble, Let's Encrypt's ACME server for tests, and its DNS server.

use crate::harness::run;
use hikyaku_test_dns::free_port;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::{Child, Command};

/// The ACME server. It ends when it is dropped.
pub(crate) struct Pebble {
    processes: Vec<Child>,
    management: u16,
}

/// Where an ACME server will be, and whom to trust for it.
pub(crate) struct Place {
    folder: PathBuf,
    host: String,
    address: String,
    port: u16,
}

impl Place {
    pub(crate) fn new(folder: &Path) -> Self {
        Self::at(folder, "localhost", "127.0.0.1")
    }

    /// The same on a host that has this address.
    pub(crate) fn at(folder: &Path, host: &str, address: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let cert = params.signed_by(&key, &issuer).unwrap();
        for (name, text) in [
            ("root.pem", root.pem()),
            ("pebble.pem", cert.pem()),
            ("pebble.key", key.serialize_pem()),
        ] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        Self {
            folder: folder.into(),
            host: host.into(),
            address: address.into(),
            port: free_port(),
        }
    }

    /// The lines of `[acme]` that name it.
    pub(crate) fn settings(&self) -> String {
        format!(
            "directory = \"https://{}:{}/dir\"\nroot = \"{}\"\n",
            self.host,
            self.port,
            self.folder.join("root.pem").display()
        )
    }

    /// Starts it. It looks at challenges on these ports, of any name, or only of those that are given; certificates are
    /// valid for so many seconds.
    pub(crate) async fn start(
        &self,
        http: Option<SocketAddr>,
        tls: Option<SocketAddr>,
        names: &[&str],
        seconds: u32,
    ) -> Pebble {
        let (dns, names_at) = (free_port(), free_port());
        let default = if names.is_empty() { "127.0.0.1" } else { "" };
        let dns = format!("127.0.0.1:{dns}");
        let records = format!("127.0.0.1:{names_at}");
        let arguments = [
            "-dns01",
            &dns,
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            &records,
            "-defaultIPv4",
            default,
            "-defaultIPv6",
            "",
        ];
        let resolver = spawn("pebble-challtestsrv", &arguments);
        listens("127.0.0.1", names_at).await;
        for name in names {
            let body = format!("{{\"host\": \"{name}.\", \"addresses\": [\"127.0.0.1\"]}}");
            let url = format!("http://{records}/add-a");
            assert!(run("curl", &["-sf", "-d", &body, &url], "").await.0);
        }
        let mut pebble = self.start_asking(&dns, http, tls, seconds).await;
        pebble.processes.push(resolver);
        pebble
    }

    /// Starts it with another DNS server, which knows the names.
    pub(crate) async fn start_asking(
        &self,
        dns: &str,
        http: Option<SocketAddr>,
        tls: Option<SocketAddr>,
        seconds: u32,
    ) -> Pebble {
        let management = free_port();
        let port = |at: Option<SocketAddr>| at.map_or(1, |at| at.port());
        let at = |name: &str| self.folder.join(name).display().to_string();
        let text = format!(
            "{{\"pebble\": {{\"listenAddress\": \"{}:{}\", \"managementListenAddress\": \"127.0.0.1:{management}\",\n\
             \"certificate\": \"{}\", \"privateKey\": \"{}\", \"httpPort\": {}, \"tlsPort\": {},\n\
             \"certificateValidityPeriod\": {seconds}}}}}",
            self.address,
            self.port,
            at("pebble.pem"),
            at("pebble.key"),
            port(http),
            port(tls)
        );
        let config = at("pebble.json");
        std::fs::write(&config, text).unwrap();
        let pebble = spawn("pebble", &["-config", &config, "-dnsserver", dns]);
        listens(&self.address, self.port).await;
        listens("127.0.0.1", management).await;
        Pebble {
            processes: vec![pebble],
            management,
        }
    }
}

fn spawn(program: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .env("PEBBLE_VA_NOSLEEP", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}: scripts/test installs it"))
}

/// Waits until somebody listens on that port.
async fn listens(address: &str, port: u16) {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect((address, port))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

impl Pebble {
    /// The root of the certificates that it gives, in PEM.
    pub(crate) async fn root(&self) -> String {
        let url = format!("https://127.0.0.1:{}/roots/0", self.management);
        let (ok, root) = run("curl", &["-sfk", &url], "").await;
        assert!(ok, "{root}");
        root
    }
}
