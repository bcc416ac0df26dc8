//! The world around one server: DNS, another exchanger, a clock; and the server itself, as `mailserver setup` made it.

use super::clock::Clock;
use super::faults::{Change, Fault};
use super::front::{Front, Manner};
use super::papers::{Flaw, Papers};
use crate::exchanger::{self, Exchanger, port};
use crate::setup::set_up;
use crate::zone::{issue, loaded};
use hickory_resolver::proto::rr::rdata::PTR;
use hickory_resolver::proto::rr::{Name, RData};
use hikyaku_test_dns::{DnsServer, Zone};
use mailserver::{Config, Consultation, Server, Verdict, diagnose};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

/// All the records that the test gives to the world but those that setup printed.
fn around(zone: Zone, nth: u8) -> Zone {
    zone.mx_of("other", 10, "mx.other")
        .a("mx.other", &format!("127.25.{nth}.2"))
        .a("2.0.0.127.list", "127.0.0.2")
        .a("test.dlist", "127.0.1.2")
        .record("one", issue(Name::from_ascii("letsencrypt.org").unwrap()))
}

pub(super) struct World {
    /// What `doctor` reads.
    pub(super) config: Config,
    pub(super) dns: DnsServer,
    pub(super) folder: TempDir,
    nth: u8,
    ports: Ports,
    server: Server,
    /// It has another policy.
    policies: Server,
    front: Front,
    clock: Clock,
    papers: Papers,
    zone: Zone,
    reverse: Zone,
    _other: Exchanger,
}

/// The ports of the usual ones, which a test may not have.
#[derive(Debug, Clone, Copy)]
struct Ports {
    smtp: u16,
    submissions: u16,
    submission: u16,
    imaps: u16,
    imap: u16,
    pop3s: u16,
    https: u16,
}

impl Ports {
    fn of(self, usual: u16) -> u16 {
        match usual {
            25 => self.smtp,
            465 => self.submissions,
            587 => self.submission,
            993 => self.imaps,
            143 => self.imap,
            995 => self.pop3s,
            443 => self.https,
            other => panic!("{other}"),
        }
    }
}

fn ports() -> Ports {
    Ports {
        smtp: port(),
        submissions: port(),
        submission: port(),
        imaps: port(),
        imap: port(),
        pop3s: port(),
        https: port(),
    }
}

impl World {
    /// Sets it up at addresses of its own.
    pub(super) async fn new(nth: u8) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::new(folder.path());
        let address = format!("127.25.{nth}.1");
        let (cert, key) = (papers.cert.to_str().unwrap(), papers.key.to_str().unwrap());
        let words = [
            "one.test",
            "--address",
            &address,
            "--cert",
            cert,
            "--key",
            key,
        ];
        let (ok, said) = set_up(folder.path(), &words).await;
        assert!(ok, "{said}");
        let (printed, _) = said.split_once("; What is left:").unwrap();
        let ports = ports();
        let zone = loaded(
            Zone::new("test"),
            printed,
            |port| ports.of(port),
            &mut Vec::new(),
        );
        let zone = around(zone, nth);
        let name = Name::from_ascii("mail.one.test.").unwrap();
        let reverse = Zone::new(&format!("{nth}.25.127.in-addr.arpa"));
        let reverse = reverse.record("1", RData::PTR(PTR(name)));
        let dns = DnsServer::start([zone.clone(), reverse.clone()]);
        let clock = Clock::start();
        let text = std::fs::read_to_string(folder.path().join("mailserver.toml")).unwrap();
        let text = text
            .replace("http = \"0.0.0.0:80\"\n", "")
            .replace("[relay]\n", &format!(
                "[relay]\ndns = [\"{}\"]\nport = {}\nca = {:?}\n",
                dns.address(), ports.smtp, papers.root.display().to_string()
            ))
            .replace("[doctor]\n", &format!(
                "[doctor]\nexchanger = \"other.test\"\nclock = \"{}\"\nblocklists = [\"list.test\"]\n\
                 domain_blocklists = [\"dlist.test\"]\nhttps_port = {}\n",
                clock.address, ports.https
            ));
        let usual = [25, 465, 587, 993, 143, 995, 443];
        let text = usual.into_iter().fold(text, |text, usual| {
            text.replace(
                &format!("\"0.0.0.0:{usual}\""),
                &format!("\"{address}:{}\"", ports.of(usual)),
            )
        });
        std::fs::write(folder.path().join("doctor.toml"), &text).unwrap();
        let config = Config::parse(&text).unwrap();
        let inner: SocketAddr = format!("127.0.0.1:{}", port()).parse().unwrap();
        let outer = format!("{address}:{}", ports.smtp);
        let own = text.replace(&format!("\"{outer}\""), &format!("\"{inner}\""));
        let server = Server::start(Config::parse(&own).unwrap()).await.unwrap();
        let policies = format!(
            "hostname = \"mail.one.test\"\ndomains = [\"one.test\"]\ndata = {:?}\n[tls]\ncert = {cert:?}\nkey = {key:?}\n\
             [listen]\nhttps = \"127.25.{nth}.4:{}\"\n[mta_sts]\nmode = \"testing\"\nmx = [\"mx.elsewhere.test\"]\n",
            folder.path().join("policies"),
            ports.https
        );
        let policies = Server::start(Config::parse(&policies).unwrap())
            .await
            .unwrap();
        let other = Ipv4Addr::new(127, 25, nth, 2);
        let other = Exchanger::at(other, ports.smtp, exchanger::Manner::Good).await;
        Self {
            front: Front::new(outer.parse().unwrap(), inner).await,
            config,
            dns,
            folder,
            nth,
            ports,
            server,
            policies,
            clock,
            papers,
            zone,
            reverse,
            _other: other,
        }
    }

    pub(super) async fn looked_at(&self, config: &Config) -> (String, Verdict) {
        let wanted = Consultation {
            file: Some("mailserver.toml".into()),
            ..Consultation::default()
        };
        let report = diagnose(config, &wanted).await.unwrap();
        (report.to_string(), report.verdict())
    }

    /// Runs the command; its code and what it says.
    pub(super) async fn command(&self, words: &[&str]) -> (i32, String) {
        let file = self.folder.path().join("doctor.toml");
        let output = tokio::process::Command::new(crate::mailserver::PROGRAM)
            .arg("--config")
            .arg(file)
            .args(words)
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(120), output).await;
        let output = output.expect("an end in time").unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        (output.status.code().unwrap(), text)
    }

    /// Lets the command wait a second for DNS.
    pub(super) fn is_impatient(&self) {
        let file = self.folder.path().join("doctor.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("[relay]\n", "[relay]\ndns_timeout = \"1s\"\n");
        std::fs::write(&file, text).unwrap();
    }

    /// Addresses and ports are those of the world.
    pub(super) fn words(&self, text: &str) -> String {
        let text = text.replace("{address}", &format!("127.25.{}.1", self.nth));
        let text = text.replace("{net}", &format!("127.25.{}", self.nth));
        let text = text.replace("{smtp}", &self.ports.smtp.to_string());
        text.replace("{imaps}", &self.ports.imaps.to_string())
    }

    /// Puts a fault in; returns the configuration for it.
    pub(super) async fn put_in(&mut self, fault: &Fault) -> Config {
        let mut config = self.config.clone();
        let net = format!("127.25.{}", self.nth);
        match fault.change {
            Change::Dns(change) => self.dns.change("test", |zone| change(zone, &net)),
            Change::Reverse(change) => {
                let origin = format!("{}.25.127.in-addr.arpa", self.nth);
                self.dns.change(&origin, change);
                // What a name there leads to, and one that nobody knows.
                self.dns.change("test", |zone| {
                    let zone = zone.a("generic", &format!("{net}.1"));
                    zone.fault("broken", hikyaku_test_dns::Fault::ServFail)
                });
            }
            Change::Port25(manner) => self.front.becomes(manner).await,
            Change::Certificate(flaw) => {
                self.papers.put(flaw);
                self.server.reload().unwrap();
            }
            Change::Clock(seconds) => self.clock.ahead.store(seconds, Ordering::Relaxed),
            Change::Config(change) => change(&mut config),
            Change::Both(dns, change) => {
                self.dns.change("test", |zone| dns(zone, &net));
                change(&mut config);
            }
            Change::Key => config.tls.key = Some(self.papers.other_key.clone()),
        }
        config
    }

    pub(super) async fn take_out(&mut self, fault: &Fault) {
        let (zone, reverse) = (self.zone.clone(), self.reverse.clone());
        self.dns.change("test", |_| zone);
        let origin = format!("{}.25.127.in-addr.arpa", self.nth);
        self.dns.change(&origin, |_| reverse);
        match fault.change {
            Change::Port25(_) => self.front.becomes(Manner::Passes).await,
            Change::Certificate(_) => {
                self.papers.put(Flaw::None);
                self.server.reload().unwrap();
            }
            Change::Clock(_) => self.clock.ahead.store(0, Ordering::Relaxed),
            _ => {}
        }
    }

    pub(super) async fn stop(self) {
        self.server.stop().await;
        self.policies.stop().await;
    }
}
