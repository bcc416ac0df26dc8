//! The texts of the pages, in English and Japanese.

use axum::http::{HeaderMap, header};

/// The language of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// 日本語
    Japanese,
}

impl Language {
    /// Returns the first known language that the browser asks for.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let accepted = headers
            .get(header::ACCEPT_LANGUAGE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("");
        let mut languages = accepted
            .split(',')
            .map(|one| one.trim().to_ascii_lowercase());
        let known = languages.find(|one| one.starts_with("en") || one.starts_with("ja"));
        match known {
            Some(one) if one.starts_with("ja") => Self::Japanese,
            _ => Self::English,
        }
    }

    /// Returns the language with that code.
    #[must_use]
    pub fn named(code: &str) -> Self {
        if code == "ja" {
            Self::Japanese
        } else {
            Self::English
        }
    }

    pub(crate) fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Japanese => &JAPANESE,
        }
    }
}

macro_rules! words {
    ($($name:ident: $english:literal, $japanese:literal;)*) => {
        /// What the pages say.
        #[derive(Debug)]
        pub(crate) struct Words {
            /// As HTML names the language.
            pub(crate) code: &'static str,
            $(pub(crate) $name: &'static str,)*
        }
        const ENGLISH: Words = Words { code: "en", $($name: $english,)* };
        const JAPANESE: Words = Words { code: "ja", $($name: $japanese,)* };
    };
}

words! {
    log_in: "Log in", "ログイン";
    log_out: "Log out", "ログアウト";
    address: "Address", "メールアドレス";
    password: "Password", "パスワード";
    wrong: "Address or password is wrong.", "メールアドレスまたはパスワードが違います。";
    too_often: "Too many attempts. Try again in a minute.", "試行回数が多すぎます。1分後にもう一度お試しください。";
    unreachable: "The mail server cannot be reached. Try again later.", "メールサーバーに接続できません。後でもう一度お試しください。";
    other_language: "日本語", "English";
    folders: "Folders", "フォルダー";
    inbox: "Inbox", "受信トレイ";
    sent: "Sent", "送信済み";
    drafts: "Drafts", "下書き";
    trash: "Trash", "ごみ箱";
    archive: "Archive", "アーカイブ";
    junk: "Junk", "迷惑メール";
    unread: "unread", "未読";
    write: "Write", "作成";
    search: "Search", "検索";
    search_in: "Search this folder", "このフォルダーを検索";
    nothing: "No messages.", "メールはありません。";
    older: "Older", "以前のメール";
    newest: "Newest", "最新のメール";
    refresh: "Check for new mail", "新着メールを確認";
    mark_read: "Mark as read", "既読にする";
    mark_unread: "Mark as unread", "未読にする";
    flag: "Flag", "フラグを付ける";
    unflag: "Unflag", "フラグを外す";
    move_to: "Move to", "移動先";
    move_: "Move", "移動";
    delete: "Delete", "削除";
    for_good: "Delete permanently", "完全に削除";
    all: "Select all", "すべて選択";
    selected: "Selected messages", "選択したメール";
    reply: "Reply", "返信";
    reply_all: "Reply to all", "全員に返信";
    forward: "Forward", "転送";
    edit: "Continue writing", "編集を続ける";
    from: "From", "差出人";
    to: "To", "宛先";
    cc: "Cc", "Cc";
    bcc: "Bcc", "Bcc";
    date: "Date", "日付";
    subject: "Subject", "件名";
    no_subject: "(no subject)", "(件名なし)";
    text: "Message", "本文";
    attachments: "Attachments", "添付ファイル";
    attach: "Attach files", "ファイルを添付";
    send: "Send", "送信";
    keep: "Save draft", "下書きに保存";
    sent_to_all: "Sent.", "送信しました。";
    kept: "Saved to Drafts.", "下書きに保存しました。";
    not_sent: "Not sent to:", "次の宛先に送信できませんでした:";
    no_recipient: "Enter at least one recipient.", "宛先を入力してください。";
    as_text: "Show as plain text", "テキスト形式で表示";
    images: "Show external images", "外部の画像を表示";
    as_html: "Show as HTML", "HTML形式で表示";
    html_message: "Message text, displayed safely", "メール本文 (安全な表示)";
    quota_full: "Your mailbox is nearly full. Delete some messages, or new mail will be refused.", "メールボックスの空き容量が残りわずかです。不要なメールを削除しないと、新しいメールを受信できなくなります。";
    used: "used", "使用中";
    not_found: "This no longer exists. It may have been moved or deleted.", "見つかりません。移動または削除された可能性があります。";
    failed: "Something went wrong:", "エラーが発生しました:";
    expired: "This page has expired. Go back, reload it and try again.", "ページの有効期限が切れました。前のページに戻って再読み込みし、もう一度お試しください。";
    back: "Back", "戻る";
    outside: "Other accounts", "他のアカウント";
    outside_add: "Add an account at another provider", "他社のアカウントを追加";
    outside_kind: "Account type", "アカウントの種類";
    outside_login: "User name (if it is not the address)", "ユーザー名 (メールアドレスと異なる場合のみ)";
    outside_in: "Incoming server (host:port)", "受信サーバー (ホスト:ポート)";
    outside_out: "Outgoing server (host:port)", "送信サーバー (ホスト:ポート)";
    outside_fingerprint: "Certificate fingerprint (SHA-256; only if the server uses its own certificate)", "証明書のフィンガープリント (SHA-256。サーバーが独自の証明書を使う場合のみ)";
    outside_folder: "Save to folder", "保存先フォルダー";
    outside_delete: "Delete messages from that server after fetching them (POP only)", "取得後にサーバーから削除 (POPのみ)";
    outside_kept: "This server stores the password so that it can fetch mail automatically.", "メールを自動で取得するため、パスワードはこのサーバーに保存されます。";
    outside_fetch: "Fetch now", "今すぐ取得";
    outside_remove: "Remove", "削除";
    outside_new: "new messages", "件の新着";
    outside_many: "No more accounts can be added. Remove one first.", "これ以上アカウントを追加できません。先に不要なアカウントを削除してください。";
    add: "Add", "追加";
    skip: "Skip to main content", "メインコンテンツへ移動";
    flagged: "flagged", "フラグ付き";
    answered: "answered", "返信済み";
    not_now: "Not sent yet. The mail server asks you to try again later:", "まだ送信できていません。メールサーバーから、後でもう一度送信するよう求められています:";
    unknown_fate: "The connection was lost, so it is not known whether these recipients have the message. If you send it again, they may get it twice:", "接続が切れたため、次の宛先に届いたかどうか分かりません。もう一度送信すると二重に届くことがあります:";
    no_answer: "no answer", "応答がありません";
    has_it: "Already sent to these recipients, and not sent to them again:", "次の宛先には送信済みです (再送されません):";
    all_have_it: "All of these recipients already have this message.", "ここにある宛先にはすべて送信済みです。";
    sent_before: "This message was already sent. To send what is written here now as a new message, press Send again.", "このメールは送信済みです。ここに書かれている内容を新しいメールとして送るには、もう一度「送信」を押してください。";
    tried_before: "An attempt to send this message has already been made. To try again, press Send.", "このメールは一度送信を試みました。再試行するには「送信」を押してください。";
    no_address: "This is not an e-mail address:", "メールアドレスとして正しくありません:";
    draft_kept: "Everything below is saved to Drafts.", "以下の内容は下書きに保存されています。";
    not_kept: "This could not be saved to Drafts:", "下書きに保存できませんでした:";
    attach_again: "Please attach these files again:", "次のファイルを添付し直してください:";
    attachments_gone: "Some attachments of this draft are missing. Please check before sending.", "この下書きの添付ファイルの一部が見つかりません。送信前に確認してください。";
    no_copy: "No copy could be saved to Sent.", "送信済みフォルダーに控えを保存できませんでした。";
    sent_without_copy: "Sent, but no copy could be saved to Sent.", "送信しましたが、送信済みフォルダーに控えを保存できませんでした。";
    discarded: "Draft moved to Trash.", "下書きをごみ箱に移動しました。";
    discard: "Discard", "破棄";
    detach: "Remove", "削除";
    too_large: "Too large to attach:", "大きすぎて添付できません:";
    at_most: "limit for all attachments together:", "添付ファイルの合計の上限:";
    broken_off: "The upload was interrupted, so something may be missing. Please check before sending.", "アップロードが途中で切れたため、一部が届いていない可能性があります。送信前に確認してください。";
    not_sent_yet: "You have logged in again since this page was opened, so nothing was sent. Please check and send again.", "このページを開いた後にログインし直したため、まだ送信していません。内容を確認して、もう一度送信してください。";
    over: "You have been logged out. Log in to continue writing.", "ログアウトされました。続きを書くにはログインしてください。";
    over_kept: "What you wrote is saved to Drafts.", "書いた内容は下書きに保存されています。";
    over_carried: "What you wrote is kept on this page until you log in.", "書いた内容は、ログインするまでこのページに保持されています。";
    written_as: "You are now logged in with a different account. To continue with what was written here, log in as", "別のアカウントでログインしています。ここに書かれた内容の続きを書くには、次のアカウントでログインしてください:";
    without: "Discard the text and log in", "この内容を破棄してログイン";
    autosaved: "Saved to Drafts", "下書きに保存しました";
    not_autosaved: "Not saved", "保存できていません";
    without_scripts: "JavaScript is off, so nothing is saved while you type. Save the draft before you leave this page.", "JavaScriptが無効なため、入力中の内容は自動保存されません。このページを離れる前に下書きを保存してください。";
    image: "Image", "画像";
    images_hidden: "To protect your privacy, external images are not shown.", "プライバシー保護のため、外部の画像は表示していません。";
    images_always: "Always show images from this sender", "この差出人の画像を常に表示";
    images_trusted: "Images from this sender are always shown.", "この差出人の画像は常に表示されます。";
    images_stop: "Do not show them any more", "今後は表示しない";
    image_failed: "Image could not be fetched", "画像を取得できません";
    image_refused: "Too large, or not an image", "画像が大きすぎるか、画像ではありません";
    leads_to: "This link leads to:", "リンク先:";
    reply_to: "Replies go to", "返信先";
    misleads: "Caution: this name looks like a different address.", "注意: 名前が別のメールアドレスのように見えます。";
    is_cut: "This message is very long. Only its beginning is shown.", "このメールは非常に長いため、先頭だけを表示しています。";
    save_message: "Save the whole message", "メール全体を保存";
    too_slow: "This took too long to display. Try again, or save the message.", "表示に時間がかかりすぎました。もう一度お試しいただくか、メールを保存してください。";
}

impl Words {
    /// What people call a folder.
    pub(crate) fn folder<'a>(&self, name: &'a str, special_use: Option<&str>) -> &'a str
    where
        Self: 'a,
        'static: 'a,
    {
        match (name, special_use) {
            ("INBOX", _) => self.inbox,
            (_, Some("\\Sent")) => self.sent,
            (_, Some("\\Drafts")) => self.drafts,
            (_, Some("\\Trash")) => self.trash,
            (_, Some("\\Archive")) => self.archive,
            (_, Some("\\Junk")) => self.junk,
            _ => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_language_that_there_is() {
        for (accepted, expected) in [
            ("ja,en;q=0.5", Language::Japanese),
            ("fr, ja;q=0.8, en;q=0.5", Language::Japanese),
            ("en-GB,ja", Language::English),
            ("", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accepted.parse().unwrap());
            assert_eq!(Language::of(&headers), expected, "{accepted}");
        }
    }
}
