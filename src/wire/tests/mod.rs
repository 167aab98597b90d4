//! The room as a whole: bodies in, specs or messages out.

mod laws;
mod refusals;
mod samples;

use crate::model::{Gid, Spec};

use super::{BadRequest, Limits, read_request};

fn spec(body: impl AsRef<[u8]>) -> Result<Spec, BadRequest> {
    let request = read_request(body.as_ref())?;
    let gid = Gid::from_http(&request.gid).unwrap_or_else(|_| Gid::new("none").unwrap());
    request.into_spec(gid, &Limits { steps_max: 3 })
}
