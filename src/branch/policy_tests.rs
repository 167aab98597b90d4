//! The tables of what may be called.

use std::{convert::Infallible, future::ready};

use super::*;

fn policy(allow: &str, deny: &str) -> CallPolicy {
    CallPolicy { allow: HostRules::parse(allow).unwrap(), deny: HostRules::parse(deny).unwrap() }
}

/// What is told of `host` as it is written in a URL; empty if it may be called.
fn told(policy: &CallPolicy, host: &str) -> String {
    let uri = format!("http://{host}/a").parse().unwrap();
    policy.check(&uri).err().map_or_else(String::new, |denied| denied.to_string())
}

/// What is left of `addresses` that `host` stands for.
fn left(policy: &CallPolicy, host: &str, addresses: &[&str]) -> Result<Vec<String>, String> {
    let addresses = addresses.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0));
    let permitted = policy.permitted(host, addresses).map_err(|denied| denied.to_string())?;
    Ok(permitted.iter().map(|address| address.ip().to_string()).collect())
}

#[test]
fn by_default_all_but_link_local_addresses_may_be_called() {
    let policy = CallPolicy::default();
    for host in [
        "h",
        "u:p@h:81",
        "127.0.0.1:81",
        "10.0.0.1",
        "192.168.1.1",
        "169.253.255.255",
        "169.255.0.0",
        "[::1]:81",
        "[fd00::1]",
        "[fec0::1]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::a00:1]",
    ] {
        assert_eq!(told(&policy, host), "", "{host}");
    }
    for host in [
        "169.254.0.0",
        "169.254.169.254",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[::169.254.169.254]",
        "x@169.254.169.254:80",
        "169.254.255.255",
        "[fe80::1]",
        "[febf:ffff::1]:80",
        "[::ffff:169.254.169.254]",
        "[::FFFF:A9FE:A9FE]",
    ] {
        assert!(told(&policy, host).contains("it is link-local"), "{host}");
    }
}

#[test]
fn deny_wins_over_allow_and_an_allow_excludes_all_else() {
    const ALLOW: &str = "bank, *.shop.example 10.0.0.0/8,2001:db8::/32, 192.0.2.7";
    let both = policy(ALLOW, "evil.shop.example *.bad.shop.example 10.9.0.0/16 bank.");
    for (host, is_allowed) in [
        ("bank", false),
        ("BANK.", false),
        ("a.shop.example", true),
        ("A.b.Shop.Example.:81", true),
        ("shop.example.org", true),
        ("evil.shop.example", false),
        ("EVIL.shop.example.", false),
        ("x.evil.shop.example", true),
        ("x.bad.shop.example", false),
        ("bad.shop.example", true),
        ("10.1.2.3", true),
        ("10.9.2.3", false),
        ("[::ffff:10.1.2.3]", true),
        ("[::ffff:10.9.2.3]", false),
        ("11.1.2.3", false),
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("[2001:db8::1]", true),
        ("[2001:db9::1]", false),
    ] {
        assert_eq!(told(&both, host).is_empty(), is_allowed, "{host}: {}", told(&both, host));
    }
    let names = policy("bank *.shop.example", "");
    for (host, is_allowed) in [
        ("bank", true),
        ("banks", false),
        ("a.bank", false),
        ("shop.example", false),
        ("myshop.example", false),
        ("a.shop.example", true),
        ("127.0.0.1", false),
    ] {
        assert_eq!(told(&names, host).is_empty(), is_allowed, "{host}");
    }
}

#[test]
fn a_name_is_called_at_those_of_its_addresses_that_may_be() {
    let none = CallPolicy::default();
    let found = left(&none, "h", &["169.254.169.254", "10.0.0.1", "::ffff:169.254.0.1"]);
    assert_eq!(found.unwrap(), ["10.0.0.1"]);
    let text = left(&none, "h", &["fe80::1"]).unwrap_err();
    insta::assert_snapshot!(text, @"the host `h` may not be called: its address fe80::1 is link-local, and calls_allow has no link-local network with it");
    assert!(left(&none, "h", &[]).unwrap().is_empty(), "that is for the connector to tell");

    let both = policy("bank 10.0.0.0/8", "10.9.0.0/16");
    let found = left(&both, "Bank.", &["8.8.8.8", "10.9.0.1", "10.1.0.1"]);
    assert_eq!(found.unwrap(), ["8.8.8.8", "10.1.0.1"], "the name is allowed");
    let found = left(&both, "other", &["8.8.8.8", "10.9.0.1", "10.1.0.1"]);
    assert_eq!(found.unwrap(), ["10.1.0.1"], "the network is allowed");
    let text = left(&both, "other", &["8.8.8.8"]).unwrap_err();
    insta::assert_snapshot!(text, @"the host `other` may not be called: its address 8.8.8.8 is not among calls_allow");
}

#[test]
fn link_local_addresses_are_allowed_by_their_own_network_alone() {
    let address = "169.254.169.254";
    for (allow, is_allowed) in [
        ("169.254.169.254", true),
        ("169.254.0.0/16", true),
        ("::ffff:169.254.0.0/112", true),
        ("169.254.1.0/24", false),
        ("0.0.0.0/0 ::/0", false),
        ("meta", false),
    ] {
        let policy = policy(allow, "");
        assert_eq!(told(&policy, address).is_empty(), is_allowed, "{allow}");
        assert_eq!(left(&policy, "meta", &[address]).is_ok(), is_allowed, "{allow}");
    }
    assert!(told(&policy(address, "169.254.0.0/16"), address).contains("calls_deny"));
}

#[test]
fn no_address_is_this_machine() {
    let policy = policy("", "127.0.0.0/8 ::1");
    for host in ["0.0.0.0", "[::]", "[::ffff:0.0.0.0]", "127.1.2.3", "[::ffff:127.0.0.1]"] {
        assert!(told(&policy, host).contains("calls_deny"), "{host}");
    }
}

#[test]
fn what_is_neither_a_name_nor_a_network_is_no_rule() {
    for text in [
        "*",
        "*.",
        "a*",
        "*.*.a",
        "a..b",
        ".a",
        "-/8",
        "10.0.0.0/33",
        "10.0.0/8",
        "10.0.0",
        "1",
        "10.0.0.256",
        "::/129",
        "[::1]",
        "http://a",
        "a:80",
        "a/b",
        "ü",
    ] {
        assert_eq!(HostRules::parse(text), None, "{text}");
        assert_eq!(HostRules::parse(&format!("a, {text}")), None, "{text}");
    }
    assert_eq!(HostRules::parse(" ,\n"), Some(HostRules::default()));
}

/// Stands for the system's resolver: every name means the same address.
#[derive(Clone)]
struct Always(&'static str);

impl Service<Name> for Always {
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        ready(Ok(vec![SocketAddr::new(self.0.parse().unwrap(), 0)].into_iter()))
    }
}

#[tokio::test]
async fn the_resolver_tells_nobody_an_address_that_may_not_be_called() {
    let policy = Arc::new(policy("", "10.0.0.0/8"));
    for (address, is_allowed) in
        [("192.0.2.1", true), ("10.0.0.1", false), ("169.254.169.254", false)]
    {
        let mut resolver = Permitted::new(Always(address), Arc::clone(&policy));
        // The rules let the name pass; only its address tells.
        let found = resolver.call("rebound.example".parse().unwrap()).await;
        match found {
            Ok(found) => assert!(is_allowed && found.count() == 1, "{address}"),
            Err(error) => assert!(!is_allowed && error.is::<Denied>(), "{address}: {error}"),
        }
    }
}
