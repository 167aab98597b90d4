//! From a request to what will be run: the checks that need the whole request.

use crate::model::{Gid, Mode, Protocol, Spec};

use super::{
    custom_data,
    error::{BadRequest, word},
    orders,
    overriding::apply_override,
    request::{Request, read_request},
    topics,
};

/// What a server allows in one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most steps.
    pub steps_max: usize,
}

impl Limits {
    /// No limits: for what was accepted before, perhaps under other settings.
    pub const fn none() -> Self {
        Self { steps_max: usize::MAX }
    }
}

impl Request {
    /// Checks the request as a whole and makes the transaction's spec of it. `gid` is the one it
    /// is kept by.
    ///
    /// Payloads beyond the last step are dropped, as existing servers do.
    ///
    /// # Errors
    /// When the type or protocol is unknown or not served, when there are too many steps or too
    /// few payloads, or when `custom_data` is not what the type needs.
    pub fn into_spec(self, gid: Gid, limits: &Limits) -> Result<Spec, BadRequest> {
        let mode = self.mode()?;
        let protocol = Protocol::from_word(&self.protocol)
            .ok_or_else(|| BadRequest::UnknownProtocol(word(&self.protocol)))?;
        let steps = self.steps.len();
        if steps > limits.steps_max {
            return Err(BadRequest::TooManySteps { steps, steps_max: limits.steps_max });
        }
        if matches!(mode, Mode::Tcc | Mode::Xa | Mode::Workflow) {
            return self.into_spec_of_registered(gid, mode, protocol);
        }
        let mut payloads = self.payloads;
        payloads.extend(self.step_data);
        if payloads.len() < steps {
            return Err(BadRequest::TooFewPayloads { payloads: payloads.len(), steps });
        }
        payloads.truncate(steps);
        let custom = custom_data::read(mode, &self.custom_data)?;
        Ok(Spec {
            protocol,
            steps: self.steps,
            payloads,
            query_prepared: self.query_prepared,
            concurrent: custom.concurrent || self.options.concurrent == Some(true),
            orders: orders::checked(custom.orders, steps)?,
            delay: custom.delay,
            options: self.options,
            custom_data: self.custom_data,
            ..Spec::new(gid, mode)
        })
    }

    /// A transaction whose branches are registered later; steps mean nothing to it.
    fn into_spec_of_registered(
        self,
        gid: Gid,
        mode: Mode,
        protocol: Protocol,
    ) -> Result<Spec, BadRequest> {
        let custom = custom_data::read(mode, &self.custom_data)?;
        Ok(Spec {
            protocol,
            query_prepared: self.query_prepared,
            options: self.options,
            custom_data: self.custom_data,
            resume: custom.resume,
            ..Spec::new(gid, mode)
        })
    }
}

/// Reads a transaction back from the body that was stored when it was accepted.
///
/// `override_text` is what its submit may have left ([`super::Override`]). The body may begin with
/// what its topics stood for ([`super::Expansion`]).
///
/// # Errors
/// Only when the stored texts were never accepted by this room, that is, when they were damaged
/// or written by another server.
pub fn read_stored(
    body: &[u8],
    override_text: Option<&str>,
    gid: &Gid,
) -> Result<Spec, BadRequest> {
    let (expansion, body) = topics::cut(body)?;
    let spec = expansion.apply(read_request(body)?.into_spec(gid.clone(), &Limits::none())?);
    match override_text {
        Some(text) => apply_override(spec, text),
        None => Ok(spec),
    }
}
