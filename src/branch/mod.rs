//! Out: calls participants and reads their answers. Knows no transaction beyond the call in hand.

mod connection;
mod credentials;
mod hosts;
mod http;
mod idle;
mod json_rpc;
mod origin;
mod outcome;
mod policy;
mod redirect;
mod request;
mod tls;
mod url;

use std::future::Future;

use crate::model::{BranchCall, Outcome, Protocol};

pub(crate) use self::tls::config as tls_config;
pub use self::{
    http::{CallerError, CallerSettings, HttpCaller},
    policy::{CallPolicy, HostRules},
};

/// Calls branches. What cannot be called is an [`Outcome`] like any other: nothing here fails.
pub trait Caller: Send + Sync + 'static {
    /// Calls the branch once and reads its answer, within the call's timeout.
    fn call(&self, call: &BranchCall<'_>) -> impl Future<Output = Outcome> + Send;

    /// Whether some module handles `url` in a transaction of `protocol`; asked before anything is
    /// stored. The empty URL is no call at all and always fine.
    ///
    /// # Errors
    /// What is wrong with the URL and what would be right, for the client.
    fn check_url(&self, url: &str, protocol: Protocol) -> Result<(), String>;

    /// Whether `url`, which was found good, can be called with `payload`; asked before anything is
    /// stored. Every payload will do where the way to call has no form for it.
    ///
    /// # Errors
    /// What is wrong with the payload, for the client; never the payload itself.
    fn check_payload(
        &self,
        _url: &str,
        _protocol: Protocol,
        _payload: &[u8],
    ) -> Result<(), String> {
        Ok(())
    }
}
