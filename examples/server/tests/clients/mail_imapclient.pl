# Perl's Mail::IMAPClient: its own way with literals, ranges, searches and appends.
use strict;
use warnings;
use Mail::IMAPClient;

my ($host, $port, $password) = @ARGV;
my $imap = Mail::IMAPClient->new(
    Server => $host, Port => $port, User => 'alice@example.test', Password => $password,
    Uid => 1, Peek => 1, Timeout => 30,
) or die "no connection: $@";

sub ok { my ($is, $what) = @_; die "$what: " . ($imap->LastError // '') unless $is; }

ok($imap->has_capability('UIDPLUS'), 'UIDPLUS');
ok($imap->create('perl/a'), 'create');
ok($imap->exists('perl/a'), 'exists');
ok((grep { $_ eq 'perl/a' } $imap->folders), 'folders');
ok($imap->rename('perl/a', 'perl/b'), 'rename');
ok($imap->subscribe('perl/b'), 'subscribe');
ok((grep { $_ eq 'perl/b' } $imap->subscribed), 'subscribed');
for my $n (1 .. 4) {
    my $uid = $imap->append_string('INBOX',
        "From: a$n\@x.example\r\nSubject: n$n\r\nDate: Wed, $n Jan 2020 00:00:00 +0000\r\n\r\nbody $n\r\n",
        $n % 2 ? '\Seen' : '', " $n-Jan-2020 00:00:00 +0000");
    ok($uid eq $n, "append_string $n: " . ($uid // 'undef'));
}
ok($imap->select('INBOX'), 'select');
ok($imap->message_count == 4, 'message_count');
ok($imap->unseen_count == 2, 'unseen_count');
ok("@{$imap->search('SUBJECT', 'n3')}" eq '3', 'search');
ok("@{$imap->seen}" eq '1 3' && "@{$imap->unseen}" eq '2 4', 'seen');
ok("@{$imap->sentsince('03-Jan-2020')}" eq '3 4', 'sentsince');
ok("@{$imap->sort('REVERSE DATE', 'UTF-8', 'ALL')}" eq '4 3 2 1', 'sort');
ok(scalar(@{$imap->thread('REFERENCES', 'UTF-8', 'ALL')}) == 4, 'thread');
my $headers = $imap->parse_headers([1, 2], 'Subject', 'From');
ok($headers->{2}{Subject}[0] eq 'n2', 'parse_headers');
ok($imap->body_string(1) eq "body 1\r\n", 'body_string');
ok($imap->message_string(2) =~ /^From: a2/, 'message_string');
ok($imap->size(1) == length $imap->message_string(1), 'size');
ok($imap->internaldate(3) =~ /3-Jan-2020/, 'internaldate');
my $structure = $imap->get_bodystructure(1);
ok(!defined $structure || lc $structure->bodytype eq 'text', 'get_bodystructure');
my $envelope = $imap->get_envelope(1);
ok(!defined $envelope || $envelope->subject eq 'n1', 'get_envelope');
ok($imap->set_flag('Flagged', 1), 'set_flag');
ok((grep { $_ eq '\Flagged' } $imap->flags(1)), 'flags');
ok($imap->unset_flag('Flagged', 1), 'unset_flag');
ok($imap->deny_seeing(1), 'deny_seeing');
ok($imap->copy('Archive', 1, 2), 'copy');
ok($imap->move('perl/b', 3), 'move');
$imap->expunge;
ok($imap->message_count == 3, 'moved');
ok($imap->delete_message(4) && $imap->expunge, 'delete_message');
ok($imap->status('INBOX', 'MESSAGES')  , 'status');
ok($imap->getacl('INBOX')->{'alice@example.test'}, 'getacl');
ok($imap->setacl('Archive', 'bob@example.test', 'lr'), 'setacl');
ok(scalar($imap->getquotaroot('INBOX')), 'getquotaroot');
my $idle = $imap->idle or die 'idle';
ok($imap->done($idle), 'done');
ok($imap->close, 'close');
ok($imap->delete('perl/b'), 'delete');
ok($imap->logout, 'logout');
print "fine\n";
