//! The use cases that every API calls.

mod error;
mod new_gid;

pub use error::ServiceError;

use std::{marker::PhantomData, time::Duration};

use bytes::Bytes;

use crate::{
    branch::Caller,
    clock::Clock,
    model::Gid,
    store::{Store, Stored},
};

/// The use cases over one store, one caller and one clock.
pub struct Service<S, C, K> {
    rooms: PhantomData<(S, C, K)>,
}

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// A stand-in that refuses everything.
    pub fn stand_in() -> Self {
        Self { rooms: PhantomData }
    }
    /// A gid that nobody had before.
    ///
    /// # Errors
    /// Never in practice: the id that is made is a gid.
    pub fn new_gid(&self) -> Result<Gid, ServiceError> {
        Gid::new(&new_gid::new_gid()).map_err(|error| ServiceError::Internal(error.to_string()))
    }
    /// Stores a transaction as prepared.
    pub async fn prepare(&self, _body: Bytes) -> Result<(), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Stores a transaction as submitted.
    pub async fn submit(&self, _body: Bytes) -> Result<(), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Ends a prepared one.
    pub async fn abort(&self, _body: Bytes) -> Result<(), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Stops one by force.
    pub async fn force_stop(&self, _body: Bytes) -> Result<(), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Makes one due now.
    pub async fn reset_next(&self, _body: Bytes) -> Result<(), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Makes many due now.
    pub async fn reset_later_than(
        &self,
        _after: Option<Duration>,
        _limit: Option<usize>,
    ) -> Result<(usize, bool), ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// What is stored.
    pub async fn query(&self, _gid: &str) -> Result<Option<Stored>, ServiceError> {
        Err(ServiceError::Internal("stand-in".to_owned()))
    }
    /// Whether requests are welcome.
    pub fn readiness(&self) -> Result<(), String> {
        Ok(())
    }
}
