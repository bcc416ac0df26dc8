//! Writing: new messages, replies, what is passed on, drafts.

use askama::Template;
use axum::extract::{Multipart, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Redirect, Response};
use bytes::Bytes;
use hikyaku_client::compose::Draft;
use hikyaku_client::{Error, Fate, show as shows};
use mailstore::Flags;
use serde::Deserialize;

use super::{Shell, own, page, problem, words};
use crate::outside::{self, Guarded};
use crate::session::{Session, Signed};
use crate::words::Words;
use crate::{Shared, State, User};

#[derive(Template)]
#[template(path = "compose.html")]
struct Page<'a> {
    w: &'static Words,
    base: &'a str,
    title: &'a str,
    shell: Shell,
    problem: Option<String>,
    reply: String,
    forward: String,
    draft: String,
    /// Addresses that can be sent as.
    senders: Vec<String>,
    from: String,
    to: String,
    cc: String,
    bcc: String,
    subject: String,
    text: String,
    forwarded: Option<String>,
}

#[derive(Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    reply: String,
    #[serde(default)]
    forward: String,
    #[serde(default)]
    draft: String,
    #[serde(default)]
    all: u8,
}

pub(crate) async fn show(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let w = words(&session, &headers);
    let shown = async {
        let draft = begun(&session.user, &asked).await?;
        form(&shared, &session, w, &asked, &draft, "", None).await
    };
    shown
        .await
        .unwrap_or_else(|error| problem(&shared, w, &error))
}

/// What the form holds at first.
async fn begun(user: &User, asked: &Asked) -> Result<Draft, Error> {
    let id = [&asked.reply, &asked.forward, &asked.draft]
        .into_iter()
        .find(|id| !id.is_empty());
    let Some(id) = id else {
        return Ok(Draft::default());
    };
    let message = user.local.find(id).await?;
    let whole = user.whole(&message).await?;
    let text = shows::text(&whole);
    Ok(if !asked.reply.is_empty() {
        Draft::reply(&message.envelope, &text, &user.address, asked.all > 0)
    } else if !asked.forward.is_empty() {
        Draft::forward(&message.envelope, whole)
    } else {
        Draft::again(&message.envelope, text, &whole)
    })
}

async fn form(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    asked: &Asked,
    draft: &Draft,
    from: &str,
    problem: Option<String>,
) -> Result<Response, Error> {
    let local = &session.user.local;
    let elsewhere = outside::all(&**local.store(), local.account_id()).await?;
    let senders = std::iter::once(session.user.address.clone());
    let senders = senders
        .chain(elsewhere.into_iter().map(|one| one.address))
        .collect();
    let shell = Shell::new(session, w, "", "").await?;
    let attached: Vec<_> = draft
        .attachments
        .iter()
        .map(|(name, ..)| name.as_str())
        .collect();
    Ok(page(&Page {
        w,
        base: &shared.options.base,
        title: &shared.options.title,
        shell,
        problem,
        reply: asked.reply.clone(),
        forward: asked.forward.clone(),
        draft: asked.draft.clone(),
        senders,
        from: from.to_owned(),
        to: draft.to.join(", "),
        cc: draft.cc.join(", "),
        bcc: draft.bcc.join(", "),
        subject: draft.subject.clone(),
        text: draft.text.clone(),
        forwarded: (!attached.is_empty()).then(|| attached.join(", ")),
    }))
}

/// What the browser sent.
#[derive(Default)]
struct Sent {
    csrf: String,
    action: String,
    asked: Asked,
    from: String,
    to: String,
    cc: String,
    bcc: String,
    subject: String,
    text: String,
    files: Vec<(String, String, Bytes)>,
}

async fn sent(mut parts: Multipart) -> Result<Sent, Error> {
    let wrong = |error: axum::extract::multipart::MultipartError| Error::Usage(error.body_text());
    let mut sent = Sent::default();
    while let Some(field) = parts.next_field().await.map_err(wrong)? {
        let name = field.name().unwrap_or("").to_owned();
        if name == "files" {
            let file = field
                .file_name()
                .unwrap_or("")
                .rsplit(['/', '\\'])
                .next()
                .unwrap_or("")
                .to_owned();
            let kind = field
                .content_type()
                .unwrap_or("application/octet-stream")
                .to_owned();
            let octets = field.bytes().await.map_err(wrong)?;
            if !file.is_empty() {
                sent.files.push((file, kind, octets));
            }
            continue;
        }
        let value = field.text().await.map_err(wrong)?;
        let place = match name.as_str() {
            "csrf" => &mut sent.csrf,
            "action" => &mut sent.action,
            "reply" => &mut sent.asked.reply,
            "forward" => &mut sent.asked.forward,
            "draft" => &mut sent.asked.draft,
            "from" => &mut sent.from,
            "to" => &mut sent.to,
            "cc" => &mut sent.cc,
            "bcc" => &mut sent.bcc,
            "subject" => &mut sent.subject,
            "text" => &mut sent.text,
            _ => continue,
        };
        *place = value;
    }
    Ok(sent)
}

/// Addresses with commas between them, but not within quotes.
fn addresses(text: &str) -> Vec<String> {
    let (mut all, mut one, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            ',' | ';' | '、' if !quoted => {
                all.push(std::mem::take(&mut one));
                continue;
            }
            _ => {}
        }
        if !c.is_control() {
            one.push(c);
        }
    }
    all.push(one);
    all.into_iter()
        .map(|one| one.trim().to_owned())
        .filter(|one| !one.is_empty())
        .collect()
}

pub(crate) async fn send(
    axum::extract::State(shared): State,
    Signed(session): Signed,
    headers: HeaderMap,
    parts: Multipart,
) -> Response {
    let w = words(&session, &headers);
    let done = async {
        let sent = sent(parts).await?;
        own(&session, &sent.csrf)?;
        finish(&shared, &session, w, sent).await
    };
    done.await
        .unwrap_or_else(|error| problem(&shared, w, &error))
}

async fn finish(
    shared: &Shared,
    session: &Session,
    w: &'static Words,
    sent: Sent,
) -> Result<Response, Error> {
    let user = &session.user;
    let begun = begun(user, &sent.asked).await?;
    let mut draft = Draft {
        to: addresses(&sent.to),
        cc: addresses(&sent.cc),
        bcc: addresses(&sent.bcc),
        subject: sent.subject.chars().filter(|c| !c.is_control()).collect(),
        text: sent.text.replace("\r\n", "\n"),
        in_reply_to: begun.in_reply_to,
        references: begun.references,
        attachments: begun.attachments,
    };
    draft.attachments.extend(sent.files);
    let base = &shared.options.base;
    let elsewhere = outside::all(&**user.local.store(), user.local.account_id()).await?;
    let elsewhere = elsewhere.into_iter().find(|one| one.address == sent.from);
    let (address, name) = match &elsewhere {
        Some(one) => (one.address.as_str(), None),
        None => (user.address.as_str(), user.name.as_deref()),
    };
    if sent.action == "draft" {
        let message = draft.message_from(address, name, true)?;
        let mut flags = Flags::SEEN;
        flags.add(&Flags::DRAFT);
        let drafts = user.local.special("\\Drafts").await?;
        let drafts = drafts.map_or_else(|| "Drafts".to_owned(), |folder| folder.name);
        user.local.add(&drafts, message, flags).await?;
        forget_draft(user, &sent.asked).await?;
        user.post.refresh(user).await?;
        return Ok(Redirect::to(&format!("{base}/folder?name=INBOX&said=kept")).into_response());
    }
    if draft.recipients().is_empty() {
        return form(
            shared,
            session,
            w,
            &sent.asked,
            &draft,
            &sent.from,
            Some(w.no_recipient.into()),
        )
        .await;
    }
    let message = draft.message_from(address, name, false)?;
    let to = draft.recipients();
    let fates = match &elsewhere {
        Some(one) => {
            outside::send(
                &Guarded::new(&shared.options.outside),
                user,
                one,
                to,
                message,
            )
            .await
        }
        None => user.post.send(user, to, message).await,
    };
    let fates = match fates {
        Err(Error::Usage(why)) => {
            let why = format!("{} {why}", w.failed);
            return form(
                shared,
                session,
                w,
                &sent.asked,
                &draft,
                &sent.from,
                Some(why),
            )
            .await;
        }
        fates => fates?,
    };
    let refused: Vec<_> = fates
        .iter()
        .filter_map(|(to, fate)| match fate {
            Fate::Accepted => None,
            Fate::Deferred(why) | Fate::Refused(why) => Some(format!("{to}: {why}")),
        })
        .collect();
    if !refused.is_empty() {
        let why = format!("{} {}", w.not_sent, refused.join("; "));
        return form(
            shared,
            session,
            w,
            &sent.asked,
            &draft,
            &sent.from,
            Some(why),
        )
        .await;
    }
    for (id, flag) in [(&sent.asked.reply, Flags::ANSWERED)] {
        if !id.is_empty()
            && let Ok(message) = user.local.find(id).await
        {
            user.local.mark(&message, &flag, &Flags::NONE).await?;
        }
    }
    forget_draft(user, &sent.asked).await?;
    user.post.refresh(user).await?;
    Ok(Redirect::to(&format!("{base}/folder?name=INBOX&said=sent")).into_response())
}

/// A draft that was sent, or kept anew, is no more.
async fn forget_draft(user: &User, asked: &Asked) -> Result<(), Error> {
    if asked.draft.is_empty() {
        return Ok(());
    }
    match user.local.find(&asked.draft).await {
        Ok(message) => user.local.delete(&message, true).await,
        Err(Error::NotFound(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
