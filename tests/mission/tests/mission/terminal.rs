//! `mailclient` on a terminal: nothing that strangers wrote deceives who reads it.

use hikyaku_mission::{Device, House};

/// What no line may hold: it would turn, hide or steer what is beside it.
fn deceives(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

async fn delivered(house: &House, message: &str) {
    let said = house.deliver("bob", message).await;
    assert!(said.contains("250 2.0.0 Delivered"), "{said}");
}

/// All that is printed of one message, in each way.
async fn printed(device: &Device, name: &str, word: &str) -> Vec<String> {
    let mut all = Vec::new();
    for words in [
        &["list"][..],
        &["--json", "list"],
        &["read", name],
        &["--json", "read", name],
        &["search", word],
        &["--json", "search", word],
    ] {
        all.push(device.ok(words).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn no_line_is_turned_hidden_or_forged() {
    for (from, subject, body) in [
        // An override turns `gpj.exe`; a line end in a name forges a row.
        (
            "=?utf-8?q?Bob=E2=80=AE_moc.knab?= <evil@x.test>",
            "=?utf-8?q?needle=0D=0AFrom:_bank@bank.test?=",
            "needle \u{202e}txet\u{202c}\u{200b}",
        ),
        (
            "=?utf-8?b?4oGmQm9i4oGp?= <evil@x.test>",
            "needle =?utf-8?q?=1B[2J=1B[31mred?=",
            "needle \u{1b}]0;title\u{7}\u{2067}x\u{2069}",
        ),
        (
            "=?utf-8?q?B=E2=80=8Bo=EF=BB=BFb?= <evil@x.test>",
            "=?utf-8?q?nee=E2=80=8Bdle?= needle",
            "needle\u{feff} pay\u{2060}pal",
        ),
        (
            "=?utf-8?q?Bob=09=C2=9B31m?= <evil@x.test>",
            "needle =?utf-8?q?a=E2=80=A8b?=",
            "needle=08=08=0Dforged =C2=9B2J",
        ),
    ] {
        let house = House::new().await;
        let device = house.device("imap", &[]).await;
        let message = format!(
            "From: {from}\nTo: bob@example.test\nSubject: {subject}\nMIME-Version: 1.0\n\
             Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\
             Content-Transfer-Encoding: quoted-printable\n\n{body}\n\
             --b\nContent-Type: application/pdf\n\
             Content-Disposition: attachment; filename*=utf-8''a%E2%80%AEfdp.exe%1B[31m\n\nx\n--b--\n"
        );
        delivered(&house, &message).await;
        device.ok(&["sync"]).await;
        let lines = printed(&device, "INBOX/1", "needle").await;
        for text in &lines {
            assert!(!text.contains(deceives), "{text:?}");
            assert!(text.contains("Bob"), "{text:?}");
        }
        for listing in [&lines[0], &lines[4]] {
            assert_eq!(listing.lines().count(), 1, "{listing}");
        }
        assert!(lines[2].contains("afdp.exe"), "{}", lines[2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_stands_beside_the_name_and_a_name_that_is_another_address_is_marked() {
    let house = House::new().await;
    let device = house.device("imap", &[]).await;
    for (subject, from, more) in [
        (
            "plain",
            "Friend <friend@x.test>",
            "Cc: Third <third@x.test>\n",
        ),
        ("same", "\"friend@x.test\" <friend@x.test>", ""),
        ("bank", "\"billing@bank.test\" <evil@x.test>", ""),
        (
            "wide",
            "=?utf-8?b?YmlsbGluZ++8oGJhbmsudGVzdA==?= <evil@x.test>",
            "",
        ),
        (
            "blanks",
            "\"Bank billing@bank.test support\" <evil@x.test>",
            "",
        ),
        (
            "elsewhere",
            "Friend <friend@x.test>",
            "Reply-To: Trap <trap@y.test>\n",
        ),
        (
            "answers",
            "Friend <friend@x.test>",
            "Reply-To: F <FRIEND@x.test>\n",
        ),
    ] {
        let message =
            format!("From: {from}\nTo: Bob B <bob@example.test>\n{more}Subject: {subject}\n\nx\n");
        delivered(&house, &message).await;
    }
    device.ok(&["sync"]).await;
    let read = async |subject: &str| {
        let name = device.named("INBOX", subject).await;
        let value = device.json(&["read", &name]).await;
        (device.ok(&["read", &name]).await, value)
    };
    let (text, value) = read("plain").await;
    for line in [
        "From:     Friend <friend@x.test>\n",
        "To:       Bob B <bob@example.test>\n",
        "Cc:       Third <third@x.test>\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        !text.contains("Reply-To") && !text.contains("[!]"),
        "{text}"
    );
    assert_eq!(value["misleading"], false);
    let (text, _) = read("same").await;
    assert!(text.starts_with("From:     friend@x.test\n"), "{text}");
    for subject in ["bank", "wide", "blanks"] {
        let (text, value) = read(subject).await;
        assert!(text.contains("<evil@x.test> [!]\n"), "{text}");
        assert_eq!(value["misleading"], true, "{value}");
    }
    let list = device.ok(&["list"]).await;
    for line in list.lines() {
        let deceiving = ["bank", "wide", "blanks"].iter().any(|s| line.ends_with(s));
        assert_eq!(line.contains("! evil@x.test"), deceiving, "{line}");
        assert!(!line.contains("billing"), "{line}");
    }
    let (text, value) = read("elsewhere").await;
    assert!(text.contains("Reply-To: Trap <trap@y.test>\n"), "{text}");
    assert_eq!(value["reply_to"][0]["address"], "trap@y.test");
    let (text, _) = read("answers").await;
    assert!(!text.contains("Reply-To"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_saved_under_names_that_do_no_harm() {
    let house = House::new().await;
    let device = house.device("imap", &[]).await;
    let names = [
        ("text/plain", "attachment; filename=\"../../evil.txt\""),
        ("text/plain", "attachment; filename=\".profile\""),
        ("text/plain", "attachment; filename=\"-rf\""),
        ("text/plain", "attachment; filename=\"same.txt\""),
        ("text/plain", "attachment; filename=\"same.txt\""),
        ("text/plain", "attachment; filename=\"there.txt\""),
        (
            "application/x",
            "attachment; filename*=utf-8''a%E2%80%AEfdp.exe",
        ),
        ("application/x", "attachment; filename=\"NUL.txt\""),
        ("image/png", "attachment"),
        ("message/rfc822", "attachment"),
        ("message/rfc822", "attachment; filename=\"note.txt\""),
    ];
    let mut message = String::from(
        "From: a@x.test\nSubject: files\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n",
    );
    for (number, (kind, disposition)) in names.iter().enumerate() {
        let content = match *kind {
            "message/rfc822" => format!("Subject: inner/{number}\n\ncontent {number}\n"),
            _ => format!("content {number}"),
        };
        message += &format!(
            "\n--b\nContent-Type: {kind}\nContent-Disposition: {disposition}\n\n{content}"
        );
    }
    delivered(&house, &(message + "\n--b--\n")).await;
    device.ok(&["sync"]).await;
    let to = device.home.path().join("saved");
    let folder = to.display().to_string();
    let error = device
        .run(&["save", "INBOX/1", "--to", &folder])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not a folder"), "{error}");
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("there.txt"), "mine").unwrap();
    let saved = device.json(&["save", "INBOX/1", "--to", &folder]).await;
    let expected = [
        "evil.txt",
        "profile",
        "rf",
        "same.txt",
        "same (2).txt",
        "there (2).txt",
        "afdp.exe",
        "_NUL.txt",
        "part-9.png",
        "inner_9.eml",
        "note.txt.eml",
    ];
    for (number, name) in expected.iter().enumerate() {
        let path = to.join(name);
        assert_eq!(saved[number]["path"], path.display().to_string());
        let content = std::fs::read_to_string(path).unwrap();
        assert!(
            content.ends_with(&format!("content {number}"))
                || content.ends_with(&format!("content {number}\r\n")),
            "{content}"
        );
        assert_eq!(
            name.ends_with(".eml"),
            content.starts_with("Subject: inner"),
            "{content}"
        );
    }
    assert_eq!(
        std::fs::read_to_string(to.join("there.txt")).unwrap(),
        "mine"
    );
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), expected.len() + 1);
    for wrong in ["12", "0"] {
        let error = device
            .run(&["save", "INBOX/1", wrong, "--to", &folder])
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), 6, "{error}");
    }
}
