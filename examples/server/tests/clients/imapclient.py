"""IMAPClient: what its users do, and what it has of the extensions."""
import datetime
import ssl
import sys
import threading

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

host, port, ca, password = sys.argv[1:]
tls = ssl.create_default_context(cafile=ca)


def login(name):
    client = IMAPClient(host, int(port), ssl=True, ssl_context=tls, timeout=30)
    client.login(name + "@example.test", password)
    return client


alice = login("alice")
for capability in [b"IDLE", b"UIDPLUS", b"MOVE", b"QUOTA", b"SORT", b"THREAD=REFERENCES", b"ACL", b"CONDSTORE"]:
    assert alice.has_capability(capability), capability
assert alice.id_({"name": "test"})[0][:2] == (b"name", b"Hikyaku"), "ID"
assert alice.namespace().personal == (("", "/"),)
assert alice.enable("CONDSTORE") == [b"CONDSTORE"]

# Folders, with names that are not ASCII.
alice.create_folder("仕事/今日")
names = [name for _, _, name in alice.list_folders()]
assert "仕事/今日" in names and "仕事" in names, names
assert alice.folder_exists("仕事/今日") and not alice.folder_exists("昨日")
alice.subscribe_folder("仕事/今日")
assert "仕事/今日" in [name for _, _, name in alice.list_sub_folders()]
alice.rename_folder("仕事/今日", "仕事/昨日")
assert alice.find_special_folder(b"\\Trash") == "Trash"
assert alice.xlist_folders is not None

# Messages.
when = datetime.datetime(2020, 2, 29, 23, 59, 58)
for number in range(5):
    text = "From: a%d@x.example\r\nSubject: =?utf-8?b?44GK6Iy2?= %d\r\nMessage-ID: <%d@x>\r\n\r\nbody %d\r\n"
    alice.append("INBOX", text % (number, number, number, number), flags=[b"\\Seen"] if number % 2 else [], msg_time=when)
selected = alice.select_folder("INBOX")
assert selected[b"EXISTS"] == 5 and selected[b"READ-WRITE"] and selected[b"UIDNEXT"] == 6, selected
assert alice.search("UNSEEN") == [1, 3, 5]
assert alice.search(["SUBJECT", "お茶 3"], charset="UTF-8") == [4]
assert alice.search(["FROM", "a2", "NOT", ["SEEN"]]) == [3]
assert alice.gmail_search is not None
assert alice.sort(["REVERSE ARRIVAL", "SUBJECT"]) == [1, 2, 3, 4, 5]
assert alice.sort("REVERSE SUBJECT") == [5, 4, 3, 2, 1]
assert len(alice.thread()) == 5
fetched = alice.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "BODY[]", "INTERNALDATE", "FLAGS", "RFC822.SIZE", "MODSEQ"])
assert fetched[1][b"ENVELOPE"].subject == b"=?utf-8?b?44GK6Iy2?= 0"
assert fetched[1][b"ENVELOPE"].from_[0].mailbox == b"a0"
assert fetched[2][b"BODYSTRUCTURE"][0:2] == (b"text", b"plain")
assert fetched[1][b"BODY[]"].endswith(b"body 0\r\n") and len(fetched[1][b"BODY[]"]) == fetched[1][b"RFC822.SIZE"]
assert fetched[1][b"INTERNALDATE"] == when
assert b"\\Seen" in alice.get_flags([1])[1]
alice.add_flags([1], [b"\\Flagged", b"$Work"])
alice.remove_flags([1], [b"\\Seen"])
alice.set_flags([2], [b"\\Answered"])
flags = alice.get_flags([1, 2])
assert set(flags[1]) - {b"\\Recent"} == {b"\\Flagged", b"$Work"}, flags
assert set(flags[2]) - {b"\\Recent"} == {b"\\Answered"}
alice.copy([1, 2], "Archive")
alice.move([3], "Archive")
assert alice.search() == [1, 2, 4, 5]
alice.delete_messages([4])
alice.expunge([4])
assert alice.search() == [1, 2, 5]
assert alice.folder_status("Archive", ["MESSAGES", "UNSEEN", "HIGHESTMODSEQ"])[b"MESSAGES"] == 3
assert [q.resource for q in alice.get_quota()] == ["STORAGE"]
assert alice.getacl("INBOX") == [(b"alice@example.test", b"lrswipkxteacd")]

# IDLE.
def deliver():
    other = login("alice")
    other.append("INBOX", b"Subject: idle\r\n\r\n")
    other.logout()


alice.idle()
thread = threading.Timer(0.3, deliver)
thread.start()
responses = alice.idle_check(timeout=20)
assert (4, b"EXISTS") in responses, responses
alice.idle_done()
thread.join()

# Sharing.
alice.setacl("Archive", "bob@example.test", "lr")
bob = login("bob")
bob.select_folder("Other Users/alice@example.test/Archive", readonly=True)
assert bob.search() == [1, 2, 3]
try:
    bob.delete_folder("Other Users/alice@example.test/Archive")
    raise SystemExit("bob deleted what is alice's")
except IMAPClientError:
    pass
bob.logout()

# MULTIAPPEND.
said = alice.multiappend("Drafts", [{"msg": b"Subject: 1\r\n\r\n", "flags": [b"\\Draft"]}, b"Subject: 2\r\n\r\n"])
assert alice.folder_status("Drafts")[b"MESSAGES"] == 2
alice.close_folder()
alice.delete_folder("仕事/昨日")
alice.logout()
print("fine")
