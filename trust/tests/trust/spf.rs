//! SPF, as rows: who sends from where, and what the record says. RFC 7208 appendix A first.

use crate::world::{World, check, checker};
use hikyaku_trust::Arrival;

/// What is sent, and what comes of it: address, HELO name, MAIL FROM, result.
type Sent = (&'static str, &'static str, &'static str, &'static str);

/// Records, and what is sent.
const ROWS: &[(&str, &[Sent])] = &[
    (
        // Appendix A.1, with one record after the other.
        "example.com MX mail-a.example.com
         example.com MX mail-b.example.com
         example.com A 192.0.2.10
         example.com A 192.0.2.11
         amy.example.com A 192.0.2.65
         bob.example.com A 192.0.2.66
         mail-a.example.com A 192.0.2.129
         mail-b.example.com A 192.0.2.130
         example.org MX mail-c.example.org
         mail-c.example.org A 192.0.2.140
         192.0.2.10 PTR example.com
         192.0.2.65 PTR amy.example.com
         192.0.2.66 PTR bob.example.com
         192.0.2.129 PTR mail-a.example.com
         192.0.2.130 PTR mail-b.example.com
         192.0.2.140 PTR mail-c.example.org
         10.0.0.4 PTR bob.example.com
         all.example.com TXT v=spf1 +all
         a.example.com TXT v=spf1 a:example.com -all
         b.example.com TXT v=spf1 a:example.org -all
         c.example.com TXT v=spf1 mx:example.com -all
         d.example.com TXT v=spf1 mx:example.org -all
         e.example.com TXT v=spf1 mx:example.com mx:example.org -all
         f.example.com TXT v=spf1 mx:example.com/30 mx:example.org/30 -all
         g.example.com TXT v=spf1 ptr:example.com -all
         h.example.com TXT v=spf1 ip4:192.0.2.128/28 -all",
        &[
            ("198.51.100.1", "h.test", "x@all.example.com", "pass"),
            ("192.0.2.11", "h.test", "x@a.example.com", "pass"),
            ("192.0.2.12", "h.test", "x@a.example.com", "fail"),
            ("192.0.2.10", "h.test", "x@b.example.com", "fail"),
            ("192.0.2.129", "h.test", "x@c.example.com", "pass"),
            ("192.0.2.140", "h.test", "x@c.example.com", "fail"),
            ("192.0.2.140", "h.test", "x@d.example.com", "pass"),
            ("192.0.2.130", "h.test", "x@e.example.com", "pass"),
            ("192.0.2.140", "h.test", "x@e.example.com", "pass"),
            ("192.0.2.131", "h.test", "x@f.example.com", "pass"),
            ("192.0.2.143", "h.test", "x@f.example.com", "pass"),
            ("192.0.2.144", "h.test", "x@f.example.com", "fail"),
            ("192.0.2.65", "h.test", "x@g.example.com", "pass"),
            ("192.0.2.140", "h.test", "x@g.example.com", "fail"),
            // The name of this address does not lead back to it.
            ("10.0.0.4", "h.test", "x@g.example.com", "fail"),
            ("192.0.2.65", "h.test", "x@h.example.com", "fail"),
            ("192.0.2.129", "h.test", "x@h.example.com", "pass"),
        ],
    ),
    (
        // Which record counts (§4.3 to §4.5).
        "two.test TXT v=spf1 -all
         two.test TXT v=spf1 +all
         joined.test TXT v=spf1-all
         version.test TXT v=spf10 -all
         version.test TXT V=SPF1 ip4:192.0.2.1 -all
         other.test TXT google-site-verification=x
         late.test TIMEOUT
         empty.test TXT v=spf1
         helo.test TXT v=spf1 a -all
         helo.test A 192.0.2.1
         xn--bcher-kva.test TXT v=spf1 ip4:192.0.2.1 -all",
        &[
            ("192.0.2.1", "h.test", "x@two.test", "permerror"),
            ("192.0.2.1", "h.test", "x@joined.test", "none"),
            ("192.0.2.1", "h.test", "x@version.test", "pass"),
            ("192.0.2.1", "h.test", "x@VERSION.TEST.", "pass"),
            ("192.0.2.1", "h.test", "x@other.test", "none"),
            ("192.0.2.1", "h.test", "x@absent.test", "none"),
            ("192.0.2.1", "h.test", "x@late.test", "temperror"),
            ("192.0.2.1", "h.test", "x@empty.test", "neutral"),
            ("192.0.2.1", "h.test", "x@b\u{fc}cher.test", "pass"),
            ("192.0.2.1", "h.test", "x@[192.0.2.1]", "none"),
            ("192.0.2.1", "h.test", "x@a..test", "none"),
            ("192.0.2.1", "h.test", "x", "none"),
            ("192.0.2.1", "helo.test", "", "pass"),
            ("192.0.2.2", "helo.test", "", "fail"),
            ("192.0.2.2", "localhost", "", "none"),
            ("192.0.2.2", "[192.0.2.2]", "", "none"),
        ],
    ),
    (
        // Syntax: mistakes anywhere count (§4.6).
        "s1.test TXT v=spf1 ip4:192.0.2.1 -all nothing
         s2.test TXT v=spf1 ip4:192.0.2.1/33
         s3.test TXT v=spf1 ip4:192.0.2.1/032
         s4.test TXT v=spf1 ip4:192.0.2
         s5.test TXT v=spf1 a:192.0.2.1
         s6.test TXT v=spf1 -all.
         s7.test TXT v=spf1 include
         s8.test TXT v=spf1 a/24/64
         s9.test TXT v=spf1 ptr/24
         t1.test TXT v=spf1 redirect=x.test redirect=x.test
         t2.test TXT v=spf1 exp= -all
         t3.test TXT v=spf1 exists:%(ir).x.test
         t4.test TXT v=spf1 a:%{c}.test
         t5.test TXT v=spf1 ip6:::1/129
         t6.test TXT v=spf1 un-known.mod_ifier=%{d}/x ip4:192.0.2.1   -all
         t7.test TXT v=spf1 7=x
         t8.test TXT v=spf1 a:caf\\xc3\\xa9.test
         t9.test TXT v=spf1 ip4:192.0.2.1\\x0d-all",
        &[
            ("192.0.2.1", "h.test", "x@s1.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s2.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s3.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s4.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s5.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s6.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s7.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s8.test", "permerror"),
            ("192.0.2.1", "h.test", "x@s9.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t1.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t2.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t3.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t4.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t5.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t6.test", "pass"),
            ("192.0.2.2", "h.test", "x@t6.test", "fail"),
            ("192.0.2.1", "h.test", "x@t7.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t8.test", "permerror"),
            ("192.0.2.1", "h.test", "x@t9.test", "permerror"),
        ],
    ),
    (
        // Mechanisms and modifiers (§5, §6), families of addresses, macros (§7).
        "v6.test TXT v=spf1 ip6:2001:db8::/32 -all
         map.test TXT v=spf1 -ip4:192.0.2.1 +all
         zero.test TXT v=spf1 a//0 -all
         zero.test AAAA 2001:db8::1
         void.test TXT v=spf1 a/0 -all
         nomx.test TXT v=spf1 mx
         nomx.test A 192.0.2.1
         ex.test TXT v=spf1 exists:%{l}.%{ir}.ok.test -all
         ann.1.2.0.192.ok.test A 127.0.0.2
         ann.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ok.test A 127.0.0.2
         six.test TXT v=spf1 exists:only6.test ~all
         only6.test AAAA 2001:db8::1
         err.test TXT v=spf1 a:late.test -all
         late.test TIMEOUT
         inc.test TXT v=spf1 include:fails.test include:soft.test include:neutral.test ip4:192.0.2.1 -all
         fails.test TXT v=spf1 -all
         soft.test TXT v=spf1 ~all
         neutral.test TXT v=spf1 ?all
         incnone.test TXT v=spf1 include:absent.test +all
         incerr.test TXT v=spf1 include:late.test +all
         incbad.test TXT v=spf1 include:bad.test +all
         bad.test TXT v=spf1 what
         incpass.test TXT v=spf1 -include:yes.test +all
         yes.test TXT v=spf1 ip4:192.0.2.1 -all
         red.test TXT v=spf1 ip4:192.0.2.9 redirect=yes.test
         rednone.test TXT v=spf1 redirect=absent.test
         redall.test TXT v=spf1 redirect=absent.test ?all
         ptrlate.test TXT v=spf1 ptr -all
         redi.test TXT v=spf1 redirect=a.redi.test
         a.redi.test TXT v=spf1 a -all
         a.redi.test A 192.0.2.1",
        &[
            ("2001:db8::25", "h.test", "x@v6.test", "pass"),
            ("2001:db9::25", "h.test", "x@v6.test", "fail"),
            ("192.0.2.1", "h.test", "x@v6.test", "fail"),
            ("::ffff:192.0.2.1", "h.test", "x@map.test", "fail"),
            ("2001:db8::77", "h.test", "x@zero.test", "pass"),
            ("192.0.2.1", "h.test", "x@zero.test", "fail"),
            ("192.0.2.1", "h.test", "x@void.test", "fail"),
            ("192.0.2.1", "h.test", "x@nomx.test", "neutral"),
            ("192.0.2.1", "h.test", "ann@ex.test", "pass"),
            ("2001:db8::1", "h.test", "ann@ex.test", "pass"),
            ("192.0.2.1", "h.test", "bob@ex.test", "fail"),
            ("2001:db8::1", "h.test", "x@six.test", "softfail"),
            ("192.0.2.1", "h.test", "x@err.test", "temperror"),
            ("192.0.2.1", "h.test", "x@inc.test", "pass"),
            ("192.0.2.2", "h.test", "x@inc.test", "fail"),
            ("192.0.2.1", "h.test", "x@incnone.test", "permerror"),
            ("192.0.2.1", "h.test", "x@incerr.test", "temperror"),
            ("192.0.2.1", "h.test", "x@incbad.test", "permerror"),
            ("192.0.2.1", "h.test", "x@incpass.test", "fail"),
            ("192.0.2.2", "h.test", "x@incpass.test", "pass"),
            ("192.0.2.1", "h.test", "x@red.test", "pass"),
            ("192.0.2.2", "h.test", "x@red.test", "fail"),
            ("192.0.2.1", "h.test", "x@rednone.test", "permerror"),
            ("192.0.2.1", "h.test", "x@redall.test", "neutral"),
            ("192.0.2.1", "h.test", "x@ptrlate.test", "fail"),
            ("192.0.2.1", "h.test", "x@redi.test", "pass"),
        ],
    ),
    (
        // Limits (§4.6.4).
        "loop.test TXT v=spf1 include:loop.test
         around.test TXT v=spf1 redirect=around.test
         ten.test TXT v=spf1 a a a a a a a a a a ip4:192.0.2.1 -all
         ten.test A 192.0.2.99
         eleven.test TXT v=spf1 a a a a a a a a a a a ip4:192.0.2.1 -all
         eleven.test A 192.0.2.99
         void2.test TXT v=spf1 a:v1.test a:v2.test ?all
         void3.test TXT v=spf1 a:v1.test a:v2.test mx:v3.test ?all
         mx.test TXT v=spf1 mx -all
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         mx.test MX m.test
         m.test A 192.0.2.99",
        &[
            ("192.0.2.1", "h.test", "x@loop.test", "permerror"),
            ("192.0.2.1", "h.test", "x@around.test", "permerror"),
            ("192.0.2.1", "h.test", "x@ten.test", "pass"),
            ("192.0.2.1", "h.test", "x@eleven.test", "permerror"),
            ("192.0.2.1", "h.test", "x@void2.test", "neutral"),
            ("192.0.2.1", "h.test", "x@void3.test", "permerror"),
            ("192.0.2.1", "h.test", "x@mx.test", "permerror"),
            ("192.0.2.99", "h.test", "x@mx.test", "pass"),
        ],
    ),
];

#[test]
fn each_row_has_its_result() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (records, sent) in ROWS {
        let world = World::new(records);
        let checker = checker(&world);
        for (address, helo, mail_from, want) in *sent {
            let arrival = Arrival {
                address: address.parse().unwrap(),
                helo,
                mail_from,
                message: b"From: x@h.test\r\n\r\n",
            };
            let spf = check(&checker, arrival).verdicts.spf.unwrap();
            if spf.outcome.word() != *want {
                wrong.push(format!(
                    "{address} {mail_from}: {} ({:?}), not {want}",
                    spf.outcome, spf.reason
                ));
            }
            rows += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 60, "{rows}");
}

#[test]
fn explanations_are_those_of_the_domain_itself() {
    let world = World::new(
        "one.test TXT v=spf1 exp=why.one.test -all
         why.one.test TXT %{i} may not send for %{o}; ask %{r} about %%
         two.test TXT v=spf1 include:one.test exp=absent.test -all
         three.test TXT v=spf1 exp=long.test -all
         long.test TXT a\\x0db
         four.test TXT v=spf1 exp=why.one.test redirect=five.test
         five.test TXT v=spf1 -all",
    );
    for (mail_from, want) in [
        (
            "x@one.test",
            Some("192.0.2.1 may not send for one.test; ask mx.our.test about %"),
        ),
        ("x@two.test", None),
        ("x@three.test", None),
        ("x@four.test", None),
    ] {
        let arrival = Arrival {
            address: [192, 0, 2, 1].into(),
            helo: "h.test",
            mail_from,
            message: b"From: x@h.test\r\n\r\n",
        };
        let spf = check(&checker(&world), arrival).verdicts.spf.unwrap();
        assert_eq!(spf.outcome.word(), "fail", "{mail_from}");
        assert_eq!(spf.explanation.as_deref(), want, "{mail_from}");
    }
}
