// ImapFlow: what a modern client does, with CONDSTORE, QRESYNC, COMPRESS and IDLE as it likes.
import assert from "node:assert";
import { ImapFlow } from "imapflow";

const [host, port, password] = process.argv.slice(2);
const made = (options = {}) => {
    const client = new ImapFlow({
        host, port: Number(port), secure: true, tls: { rejectUnauthorized: false },
        auth: { user: "alice@example.test", pass: password }, logger: false, ...options,
    });
    client.on("error", (error) => { console.error(error); process.exit(1); });
    return client;
};

const client = made({ qresync: true });
await client.connect();
for (const one of ["CONDSTORE", "QRESYNC", "COMPRESS=DEFLATE", "IDLE", "OBJECTID", "MOVE", "SPECIAL-USE"]) {
    assert(client.capabilities.has(one), one);
}
const list = await client.list({ statusQuery: { messages: true, unseen: true } });
assert.equal(list.find((one) => one.specialUse === "\\Trash").path, "Trash");
assert.equal(list.find((one) => one.path === "INBOX").status.messages, 0);
assert.equal((await client.mailboxCreate(["Projekte", "Grün"])).path, "Projekte/Grün");
assert((await client.mailboxSubscribe("Projekte/Grün")));
assert.equal((await client.mailboxRename("Projekte/Grün", "Projekte/Blau")).newPath, "Projekte/Blau");

for (let n = 1; n <= 6; n++) {
    const message = `From: a${n}@x.example\r\nTo: b@x.example\r\nSubject: =?utf-8?q?n_=E2=82=AC${n}?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\ntext ${n}\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n--x--\r\n`;
    const done = await client.append("INBOX", message, n % 2 ? ["\\Seen"] : ["$Work"], new Date(Date.UTC(2020, 0, n)));
    assert.equal(done.uid, n);
}
const lock = await client.getMailboxLock("INBOX");
assert.equal(client.mailbox.exists, 6);
assert(client.mailbox.highestModseq > 0n && client.mailbox.mailboxId);
const seen = [];
for await (const message of client.fetch("1:*", { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, emailId: true })) {
    seen.push(message);
}
assert.equal(seen.length, 6);
assert.equal(seen[0].envelope.subject, "n €1");
assert.equal(seen[0].bodyStructure.childNodes[1].type, "application/pdf");
assert.equal(seen[0].internalDate.toISOString(), "2020-01-01T00:00:00.000Z");
assert(seen[0].emailId && seen[1].flags.has("$Work"));
const { meta, content } = await client.download("1", "1");
let text = "";
for await (const chunk of content) text += chunk;
assert.equal(text.trim(), "text 1");
assert.equal(meta.contentType, "text/plain");
assert.deepEqual(await client.search({ subject: "€3" }, { uid: true }), [3]);
assert.deepEqual(await client.search({ seen: false, since: new Date(Date.UTC(2020, 0, 3)) }, { uid: true }), [4, 6]);
assert(await client.messageFlagsAdd("1:2", ["\\Flagged"]));
assert(await client.messageFlagsRemove({ keyword: "$Work" }, ["$Work"]));
assert.equal((await client.messageCopy("1:2", "Archive")).uidMap.size, 2);
assert.equal((await client.messageMove("3", "Projekte/Blau")).uidMap.get(3), 1);
assert(await client.messageDelete("4", { uid: true }));
assert.deepEqual(await client.search({ all: true }, { uid: true }), [1, 2, 5, 6]);
const quota = await client.getQuota("INBOX");
assert(quota.storage.limit > 0);
assert.equal((await client.status("Archive", { messages: true, uidNext: true })).messages, 2);
lock.release();

// What another client does is reported in IDLE.
const other = made();
await other.connect();
const exists = new Promise((done) => client.once("exists", done));
const expunged = new Promise((done) => client.once("expunge", done));
const flags = new Promise((done) => client.once("flags", done));
await client.mailboxOpen("INBOX");
const idle = client.idle();
await other.append("INBOX", "Subject: idle\r\n\r\n", []);
assert((await exists).path === "INBOX");
await other.mailboxOpen("INBOX");
await other.messageFlagsAdd("1", ["\\Answered"]);
assert((await flags).flags.has("\\Answered"));
await other.messageDelete("1");
assert((await expunged).path === "INBOX");
await client.noop();
await idle;
await other.mailboxDelete("Projekte/Blau");
await other.logout();
await client.logout();
console.log("fine");
