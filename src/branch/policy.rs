//! Which hosts may be called: the one place that decides it, for every call and every redirect.
//!
//! It is asked three times. When a transaction is stored, by what its URL says ([`CallPolicy::check`]);
//! when a host comes to be called, by the same, since the rules may have changed since then and
//! redirects lead elsewhere; and when a connection is made, by each address that the host's name
//! stands for at that moment ([`Permitted`]), since whoever owns a name may point it anywhere.

use std::{
    error::Error,
    fmt,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    vec,
};

use ::http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use ipnet::{IpNet, Ipv4Net};
use tower_service::Service;

use crate::model::clip;

/// No name in the DNS is longer; what is longer is quoted in part.
const QUOTED_BYTES_MAX: usize = 253;

/// A list of hosts: names, names below a domain, and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostRules {
    /// In lower case and without a dot at the end.
    names: Vec<Box<str>>,
    /// As names, each with a dot in front.
    domains: Vec<Box<str>>,
    networks: Vec<IpNet>,
}

impl HostRules {
    /// Reads entries with commas or spaces between them: a host's name, `*.` and a domain (which
    /// means all below it, not itself), an address, or a network in CIDR. `None` if one is neither.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rules = Self::default();
        let entries = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        for entry in entries.filter(|entry| !entry.is_empty()) {
            if let Ok(network) = entry.parse() {
                rules.networks.push(canonical_network(network));
            } else if let Ok(address) = entry.parse::<IpAddr>() {
                rules.networks.push(address.to_canonical().into());
            } else if let Some(domain) = entry.strip_prefix("*.") {
                rules.domains.push([".", &name(domain)?].concat().into());
            } else {
                rules.names.push(name(entry)?.into());
            }
        }
        Some(rules)
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty() && self.domains.is_empty() && self.networks.is_empty()
    }

    fn has_name(&self, name: &str) -> bool {
        self.names.iter().any(|known| **known == *name)
            || self.domains.iter().any(|domain| name.ends_with(&**domain))
    }

    fn has_address(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }
}

/// A host's name as the rules keep it; `None` if it is none, such as an address with a typo.
fn name(text: &str) -> Option<String> {
    let name = normal(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // Where the last label is a number, the system takes the whole for an address.
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = name.split('.').all(is_label) && !name.rsplit('.').next().is_some_and(is_number);
    is_name.then_some(name)
}

/// Names differ neither by case nor by the dot that says that they are whole.
fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// A network of IPv4 in the guise of IPv6 as what it is, as addresses are judged.
fn canonical_network(network: IpNet) -> IpNet {
    if let IpNet::V6(v6) = network
        && let Some(bits) = v6.prefix_len().checked_sub(96)
        && let Some(v4) = v6.addr().to_ipv4_mapped()
        && let Ok(v4) = Ipv4Net::new(v4, bits)
    {
        return v4.into();
    }
    network
}

/// What may be called: what `deny` does not hold and, if `allow` holds anything, `allow` does.
///
/// Link-local addresses are called only if `allow` has a network of such addresses: clouds keep the
/// machine's own credentials there. The default lets everything else through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallPolicy {
    /// If it is not empty, nothing else may be called.
    pub allow: HostRules,
    /// What may not be called, even if `allow` has it.
    pub deny: HostRules,
}

impl CallPolicy {
    /// Checks the host of `uri` by what is written there. A name whose addresses decide passes.
    ///
    /// # Errors
    /// It may not be called.
    pub(super) fn check(&self, uri: &Uri) -> Result<(), Denied> {
        let host = uri.host().unwrap_or_default();
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if let Ok(address) = bare.parse() {
            return self.judge("", address).map_err(|why| Denied::new(host, None, why));
        }
        // Most deployments have no rules, and this is on the way of each call.
        if self.deny.is_empty() && self.allow.is_empty() {
            return Ok(());
        }
        let name = normal(host);
        let why = if self.deny.has_name(&name) {
            Why::Deny
        } else if self.allow.is_empty()
            || !self.allow.networks.is_empty()
            || self.allow.has_name(&name)
        {
            return Ok(());
        } else {
            Why::NotAllow
        };
        Err(Denied::new(host, None, why))
    }

    /// Those of `addresses`, which `host` stands for, that may be called.
    ///
    /// # Errors
    /// None of them may.
    fn permitted(
        &self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Denied> {
        let name = normal(host);
        let mut denied = None;
        let mut permitted = Vec::new();
        for address in addresses {
            match self.judge(&name, address.ip()) {
                Ok(()) => permitted.push(address),
                Err(why) => denied = Some(Denied::new(host, Some(address.ip()), why)),
            }
        }
        match denied {
            Some(denied) if permitted.is_empty() => Err(denied),
            Some(_) | None => Ok(permitted),
        }
    }

    /// Whether `address` may be called for a host with this (normal) name.
    fn judge(&self, name: &str, address: IpAddr) -> Result<(), Why> {
        let address = address.to_canonical();
        let reached = reached(address);
        // As which it counts: an address of IPv6 may lead to one of IPv4.
        let address = if is_link_local(reached) { reached } else { address };
        if self.deny.has_address(address) || self.deny.has_address(reached) {
            return Err(Why::Deny);
        }
        if is_link_local(address) {
            let mut networks = self.allow.networks.iter();
            let is_meant = |network: &IpNet| {
                is_link_local(network.network()) && is_link_local(network.broadcast())
            };
            let is_allowed =
                networks.any(|network| is_meant(network) && network.contains(&address));
            return if is_allowed { Ok(()) } else { Err(Why::LinkLocal) };
        }
        let is_allowed =
            self.allow.is_empty() || self.allow.has_address(reached) || self.allow.has_name(name);
        if is_allowed { Ok(()) } else { Err(Why::NotAllow) }
    }
}

/// The address that answers there: Linux takes "no address" for this machine, and networks that
/// translate (NAT64, 6to4) lead an address of IPv6 to the one of IPv4 that stands in it.
fn reached(address: IpAddr) -> IpAddr {
    if let IpAddr::V6(v6) = address
        && let Some(v4) = embedded(v6)
    {
        return v4.into();
    }
    match address {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// The address of IPv4 in one of NAT64 (RFC 6052, the well-known prefix), of 6to4 (RFC 3056), or in an
/// IPv4-compatible one (RFC 4291, section 2.5.5.1).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // Not the two that stand for this machine.
        [0, 0, 0, 0, 0, 0, high, low] if high > 0 => Some(v4(high, low)),
        _ => None,
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// A host that may not be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Denied {
    host: String,
    /// What the host stands for, where that was decisive.
    address: Option<IpAddr>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Deny,
    NotAllow,
    LinkLocal,
}

impl Denied {
    fn new(host: &str, address: Option<IpAddr>, why: Why) -> Self {
        Self { host: clip(host, QUOTED_BYTES_MAX).to_owned(), address, why }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host `{}` may not be called: ", self.host)?;
        match self.address {
            Some(address) => write!(f, "its address {address} ")?,
            None => f.write_str("it ")?,
        }
        f.write_str(match self.why {
            Why::Deny => "is among calls_deny",
            Why::NotAllow => "is not among calls_allow",
            Why::LinkLocal => "is link-local, and calls_allow has no link-local network with it",
        })
    }
}

impl Error for Denied {}

/// A resolver of names that leaves out what may not be called, so that it is not even dialled.
#[derive(Clone, Debug)]
pub(super) struct Permitted<R> {
    resolver: R,
    policy: Arc<CallPolicy>,
}

impl<R> Permitted<R> {
    /// Lets `policy` judge what `resolver` finds.
    pub(super) fn new(resolver: R, policy: Arc<CallPolicy>) -> Self {
        Self { resolver, policy }
    }
}

impl<R> Service<Name> for Permitted<R>
where
    R: Service<Name, Response: Iterator<Item = SocketAddr>, Future: Send + 'static>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = vec::IntoIter<SocketAddr>;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.resolver.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let policy = Arc::clone(&self.policy);
        let host = name.as_str().to_owned();
        let resolving = self.resolver.call(name);
        Box::pin(async move {
            let found = resolving.await.map_err(Into::into)?;
            Ok(policy.permitted(&host, found)?.into_iter())
        })
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
