"""Python's own imaplib: every command it has."""
import imaplib
import ssl
import sys

host, port, ca, password = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)
imaplib.Commands.setdefault("UNSELECT", ("SELECTED",))
user = "alice@example.test"


def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]


i = imaplib.IMAP4_SSL(host, int(port), ssl_context=tls)
assert "IMAP4REV1" in i.capabilities and "UIDPLUS" in i.capabilities
ok(i.login(user, password))
ok(i.enable("CONDSTORE"))
ok(i.namespace())
ok(i.create("lists/a"))
ok(i.subscribe("lists/a"))
assert b'(\\HasNoChildren) "/" lists/a' in ok(i.list("lists/", "*"))
assert any(b"lists/a" in line for line in ok(i.lsub()))
ok(i.unsubscribe("lists/a"))
ok(i.rename("lists/a", "lists/b"))
ok(i.delete("lists/b"))
for number in range(4):
    text = b"Subject: n%d\r\nMessage-ID: <%d@x>\r\nIn-Reply-To: <0@x>\r\n\r\nbody\r\n" % (number, number)
    ok(i.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(1e9 + number), text))
assert ok(i.select()) == [b"4"]
assert i.response("UIDVALIDITY")[1][0].isdigit()
assert ok(i.status("INBOX", "(MESSAGES UNSEEN)")) == [b"INBOX (MESSAGES 4 UNSEEN 0)"]
assert ok(i.search(None, "SUBJECT", "n2")) == [b"3"]
assert ok(i.uid("SEARCH", "UNSEEN")) == [b""]
assert ok(i.sort("(REVERSE SUBJECT)", "UTF-8", "ALL")) == [b"4 3 2 1"]
assert ok(i.thread("REFERENCES", "UTF-8", "ALL"))[0].startswith(b"(1")
data = ok(i.fetch("1", "(UID BODY[TEXT])"))
assert data[0][1] == b"body\r\n", data
ok(i.store("1", "+FLAGS", "(\\Flagged)"))
ok(i.copy("1:2", "Archive"))
ok(i.uid("STORE", "1", "+FLAGS.SILENT", "(\\Deleted)"))
assert ok(i.expunge()) == [b"1"]
ok(i.uid("MOVE", "2", "Archive"))
assert ok(i.noop()) is not None
ok(i.getquotaroot("INBOX"))
ok(i.getquota('""'))
assert i.setquota('""', "(STORAGE 1)")[0] == "NO"
ok(i.setacl("Archive", "bob@example.test", "lr"))
assert b"bob@example.test lr" in ok(i.getacl("Archive"))[0]
ok(i.myrights("Archive"))
ok(i.deleteacl("Archive", "bob@example.test"))
ok(i.check())
ok(i.unselect())
ok(i.select("Archive", readonly=True))
assert i.store("1", "+FLAGS", "(\\Seen)")[0] == "NO"
ok(i.close())
ok(i.xatom("ID", '("name" "imaplib")'))
assert i.logout()[0] == "BYE"

# Names and text as UTF-8.
i = imaplib.IMAP4_SSL(host, int(port), ssl_context=tls)
ok(i.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user, password)).encode()))
ok(i.enable("UTF8=ACCEPT"))
ok(i.create('"ほん"'))
assert any("ほん".encode() in line for line in ok(i.list()))
ok(i.append('"ほん"', None, None, "Subject: お茶\r\n\r\n".encode()))
ok(i.select('"ほん"'))
# imaplib puts "UTF8 (" into the message itself (CPython's bug): its Subject is none.
assert ok(i.search(None, "TEXT", '"お茶"')) == [b"1"]
i.logout()
print("fine")
