//! Debian's Chromium, driven through chromedriver.

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use serde_json::{Value, json};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// So long a page may take to become what is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a browser is like.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What it asks for: `en`, `ja`.
    pub language: &'static str,
    /// Whether scripts run.
    pub scripts: bool,
    /// Width and height.
    pub window: (u32, u32),
    /// Whether it likes dark pages.
    pub dark: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            language: "en",
            scripts: true,
            window: (1280, 900),
            dark: false,
        }
    }
}

/// A browser. It stops when this is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    client: Client,
    _profile: TempDir,
}

#[derive(Debug)]
struct Log(&'static str);

impl WebDriverCompatibleCommand for Log {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or("")))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": self.0}).to_string()))
    }
}

impl Browser {
    /// Starts one.
    pub async fn start(kind: Kind) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let driver = Command::new("timeout")
            .args(["180", "chromedriver", &format!("--port={port}")])
            // Whoever reads is not where the server's clock is.
            .env("TZ", "Asia/Tokyo")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver (Debian: chromium-driver)");
        let profile = tempfile::tempdir().unwrap();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            // The tests may run as root, where Chromium has no sandbox of its own.
            "--no-sandbox".into(),
            "--disable-dev-shm-usage".into(),
            "--disable-gpu".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--no-first-run".into(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--window-size={},{}", kind.window.0, kind.window.1),
            format!("--lang={}", kind.language),
        ];
        if kind.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let scripts = if kind.scripts { 1 } else { 2 };
        let options = json!({
            "args": arguments,
            "prefs": {
                "intl.accept_languages": kind.language,
                "profile.managed_default_content_settings.javascript": scripts,
                "credentials_enable_service": false,
            },
        });
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        capabilities.insert("acceptInsecureCerts".into(), json!(true));
        capabilities.insert(
            "goog:loggingPrefs".into(),
            json!({"browser": "ALL", "performance": "ALL"}),
        );
        let until = Instant::now() + PATIENCE;
        let client = loop {
            let mut builder =
                ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
            builder.capabilities(capabilities.clone());
            match builder.connect(&format!("http://127.0.0.1:{port}")).await {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        if kind.window.0 < 500 {
            // A headless window is no narrower than that, the page in it may be.
            client
                .set_window_size(kind.window.0, kind.window.1)
                .await
                .unwrap();
        }
        Self {
            driver,
            client,
            _profile: profile,
        }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Waits for the login.
    pub async fn find_login(&self) {
        self.find("#password").await;
    }

    /// Where it is.
    pub async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let wait = self.client.wait().at_most(PATIENCE);
        match wait.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => panic!("{css}: {error}\n{}", self.source().await),
        }
    }

    /// The page's HTML.
    pub async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// Clicks on what is found there. A page that keeps itself up to date may take it away in between: then
    /// it is looked for anew.
    async fn click_on(&self, locator: Locator<'_>) {
        let until = Instant::now() + PATIENCE;
        loop {
            let wait = self.client.wait().at_most(PATIENCE);
            let done = match wait.for_element(locator).await {
                Ok(element) => element.click().await,
                Err(error) => Err(error),
            };
            match done {
                Ok(()) => return,
                Err(error) if Instant::now() < until && is_stale(&error) => {}
                Err(error) => panic!("{locator:?}: {error}\n{}", self.source().await),
            }
        }
    }

    /// Clicks on the first of those.
    pub async fn click(&self, css: &str) {
        self.click_on(Locator::Css(css)).await;
    }

    /// Clicks on the first link or button that says so.
    pub async fn press(&self, words: &str) {
        let path =
            format!("//a[normalize-space()={words:?}]|//button[normalize-space()={words:?}]");
        self.click_on(Locator::XPath(&path)).await;
    }

    /// Opens a folder.
    pub async fn folder(&self, name: &str) {
        let path = format!("//nav//a[span[1]={name:?}]");
        self.click_on(Locator::XPath(&path)).await;
        self.until("nav a[aria-current]", name).await;
    }

    /// Types into a field, instead of what was in it.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        let is_file = field.attr("type").await.unwrap().as_deref() == Some("file");
        if !is_file {
            field.clear().await.unwrap();
        }
        field.send_keys(text).await.unwrap();
    }

    /// What the first of those says.
    pub async fn text(&self, css: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.find(css).await.text().await {
                Ok(text) => return text,
                Err(error) => assert!(Instant::now() < until && is_stale(&error), "{css}: {error}"),
            }
        }
    }

    /// What all of those say.
    pub async fn texts(&self, css: &str) -> Vec<String> {
        let mut all = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            all.push(element.text().await.unwrap_or_default());
        }
        all
    }

    /// Waits until one of those says so.
    pub async fn until(&self, css: &str, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.texts(css).await.iter().any(|one| one.contains(text)) {
            assert!(
                Instant::now() < until,
                "{css} never says {text}\n{}",
                self.source().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until there are so many of those: a page that is on its way has none.
    pub async fn until_there_are(&self, count: usize, css: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let there = self.texts(css).await.len();
            if there == count {
                return;
            }
            assert!(
                Instant::now() < until,
                "{there} of {css}, never {count}\n{}",
                self.source().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until all of those say just that: a page may still be on its way, or the one before it may still
    /// be there. For what shall not be there, name with it something that shall.
    pub async fn until_texts(&self, css: &str, expected: &[&str]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let there = self.texts(css).await;
            if there == expected {
                return;
            }
            assert!(
                Instant::now() < until,
                "{css}: {there:?}, never {expected:?}\n{}",
                self.source().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a field holds that.
    pub async fn until_value(&self, css: &str, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            let there = match self.find(css).await.prop("value").await {
                Ok(value) => value.unwrap_or_default(),
                Err(error) if is_stale(&error) => String::new(),
                Err(error) => panic!("{css}: {error}"),
            };
            if there.contains(text) {
                return;
            }
            assert!(
                Instant::now() < until,
                "{css} holds {there:?}, never {text}\n{}",
                self.source().await
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a script says of the page.
    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// How many of those there are, where scripts may not run.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Steps into the first frame of the page; [`leave_frame`](Self::leave_frame) leads out.
    pub async fn enter_frame(&self) {
        self.find("iframe").await.enter_frame().await.unwrap();
    }

    /// Steps out again.
    pub async fn leave_frame(&self) {
        self.client.enter_parent_frame().await.unwrap();
    }

    async fn log(&self, kind: &'static str) -> Vec<Value> {
        let all = self.client.issue_cmd(Log(kind)).await.unwrap();
        all.as_array().cloned().unwrap_or_default()
    }

    /// What the console complains of, since the last call.
    pub async fn complaints(&self) -> Vec<String> {
        let all = self.log("browser").await.into_iter();
        let bad = all.filter(|entry| matches!(entry["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|entry| entry["message"].as_str().unwrap_or("").to_owned())
            .collect()
    }

    /// Every URL that was asked for, since the last call.
    pub async fn requests(&self) -> Vec<String> {
        let mut all = Vec::new();
        for entry in self.log("performance").await {
            let Ok(message) =
                serde_json::from_str::<Value>(entry["message"].as_str().unwrap_or(""))
            else {
                continue;
            };
            let message = &message["message"];
            if message["method"] == "Network.requestWillBeSent" {
                all.push(
                    message["params"]["request"]["url"]
                        .as_str()
                        .unwrap_or("")
                        .to_owned(),
                );
            }
        }
        all
    }

    /// What axe-core finds of serious barriers on the page; `HIKYAKU_AXE` names its script, and without it
    /// nothing is looked for.
    pub async fn barriers(&self) -> Vec<String> {
        let Ok(path) = std::env::var("HIKYAKU_AXE") else {
            return Vec::new();
        };
        let axe = std::fs::read_to_string(path).unwrap();
        self.client.execute(&axe, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1]; axe.run().then(done, (e) => done({error: String(e)}));";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        let violations = found["violations"]
            .as_array()
            .unwrap_or_else(|| panic!("{found}"));
        let serious = violations
            .iter()
            .filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")));
        serious
            .map(|one| format!("{}: {}", one["id"], one["nodes"][0]["html"]))
            .collect()
    }

    /// What the page looks like, when a folder for that is named in `HIKYAKU_PICTURES`.
    pub async fn picture(&self, name: &str) {
        if let Ok(folder) = std::env::var("HIKYAKU_PICTURES") {
            let png = self.client.screenshot().await.unwrap();
            std::fs::write(format!("{folder}/{name}.png"), png).unwrap();
        }
    }

    /// Ends it, after the console and the network were looked at: nothing to complain of, and nothing from
    /// another host than that.
    pub async fn finish(self, origin: &str) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
        // A name and a password in a URL are no other host.
        let plain = |url: String| match url.split_once("://") {
            Some((scheme, rest)) => {
                match rest.split_once('@').filter(|(user, _)| !user.contains('/')) {
                    Some((_, rest)) => format!("{scheme}://{rest}"),
                    None => url,
                }
            }
            None => url,
        };
        let requests: Vec<_> = self.requests().await.into_iter().map(plain).collect();
        let foreign: Vec<_> = requests
            .iter()
            .filter(|url| {
                // The browser's own pages are not ours.
                let own = [origin, "data:", "about:", "chrome:"];
                !own.iter().any(|own| url.starts_with(own))
            })
            .collect();
        assert!(foreign.is_empty(), "{foreign:#?}");
        let _ = self.client.clone().close().await;
    }
}

/// Whether the page took away in between what was found: one that keeps itself up to date may.
fn is_stale(error: &fantoccini::error::CmdError) -> bool {
    let said = error.to_string();
    said.contains("stale element") || said.contains("does not belong to the document")
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Command::new("kill")
            .arg(self.driver.id().to_string())
            .status();
        let _ = self.driver.wait();
    }
}
