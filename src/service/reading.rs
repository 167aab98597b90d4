//! From a body to a spec that can be stored: whatever is wrong with it is told before.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use super::{Service, ServiceError, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    model::{Gid, GidError, Protocol, Spec, flash::STOCK_SCHEME, quoted},
    store::Store,
    wire::{BadRequest, Request, check_stock, read_request},
};

impl From<BadRequest> for ServiceError {
    fn from(error: BadRequest) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<GidError> for ServiceError {
    fn from(error: GidError) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// A request's body, and how the gid in it is taken. Bytes alone are a body of the HTTP API.
#[derive(Clone, Debug)]
pub struct Body {
    /// The JSON of the request, as it came.
    pub(super) json: Bytes,
    keeps_gid: bool,
}

impl From<Bytes> for Body {
    /// A body whose gid is taken without line breaks and semicolons, as over HTTP.
    fn from(json: Bytes) -> Self {
        Self { json, keeps_gid: false }
    }
}

impl Body {
    /// A body whose gid is taken as it is. Only the HTTP API proper cleans gids (protocol details,
    /// section 1.1).
    pub fn with_gid_as_sent(json: Bytes) -> Self {
        Self { json, keeps_gid: true }
    }

    /// The gid that was sent as `text`.
    pub(super) fn gid(&self, text: &str) -> Result<Gid, GidError> {
        if self.keeps_gid { Gid::new(text) } else { Gid::from_http(text) }
    }
}

/// Reads a body and the gid in it.
pub(super) fn read(body: &Body) -> Result<(Gid, Request), ServiceError> {
    let request = read_request(&body.json)?;
    let gid = body.gid(&request.gid)?;
    Ok((gid, request))
}

/// A header that cannot be sent would make each call an error, for ever.
fn check_headers(spec: &Spec) -> Result<(), ServiceError> {
    for (name, value) in spec.options.branch_headers.iter().flatten() {
        let told = if HeaderName::from_bytes(name.as_bytes()).is_err() {
            format!("branch_headers: `{}` is no name of a header", quoted(name))
        } else if HeaderValue::from_bytes(value.as_bytes()).is_err() {
            format!("branch_headers: the value of `{name}` cannot be sent")
        } else {
            continue;
        };
        return Err(ServiceError::Invalid(told));
    }
    Ok(())
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// Checks `request` as a whole, each of its URLs and headers included.
    pub(super) fn spec(&self, gid: Gid, request: Request) -> Result<Spec, ServiceError> {
        let spec = request.into_spec(gid, &self.settings.limits)?;
        self.check_spec(&spec)?;
        Ok(spec)
    }

    /// Whether a step of a flash sale may call `url`, by the same rules as a saga's.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn check_url(&self, url: &str) -> Result<(), String> {
        if url.starts_with(STOCK_SCHEME) {
            return Err("holds stock: of an order only its cart does".to_owned());
        }
        self.caller.check_url(url, Protocol::Http)
    }

    /// Checks each URL and header of `spec`, and what is sent to the URLs.
    pub(super) fn check_spec(&self, spec: &Spec) -> Result<(), ServiceError> {
        let check = |url: &str, field: &dyn Fn() -> String| {
            let checked = self.caller.check_url(url, spec.protocol);
            checked.map_err(|why| ServiceError::Invalid(format!("{}: {why}", field())))
        };
        for (number, step) in spec.steps.iter().enumerate() {
            check(&step.action, &|| match spec.branch_ids.get(number) {
                Some(branch_id) => format!("branch {branch_id}"),
                None => format!("steps[{number}].action"),
            })?;
            check(&step.compensate, &|| format!("steps[{number}].compensate"))?;
            let payload = spec.payloads.get(number).map_or(&[][..], |payload| payload);
            for url in [&step.action, &step.compensate] {
                let checked = self.caller.check_payload(url, spec.protocol, payload);
                checked
                    .map_err(|why| ServiceError::Invalid(format!("payloads[{number}]: {why}")))?;
            }
        }
        check(&spec.query_prepared, &|| "query_prepared".to_owned())?;
        check_stock(spec)?;
        check_headers(spec)
    }

    /// Refuses `gid`, if it is new, while more is due than can be worked on. What is there already
    /// adds nothing to the backlog, and its client must not be told that nothing was stored.
    pub(super) async fn check_backlog(&self, gid: &Gid) -> Result<(), ServiceError> {
        let backlog = self.worker.backlog();
        if backlog < self.settings.backlog_max {
            return Ok(());
        }
        let stored = self.store.query(gid).await;
        if stored.map_err(|error| trouble::writing(&error))?.is_some() {
            return Ok(());
        }
        Err(ServiceError::TooBusy {
            message: format!(
                "{backlog} transactions are due and wait for work (setting backlog_max): \
                 nothing was stored, come again later"
            ),
            retry_after: trouble::RETRY_AFTER,
        })
    }
}
