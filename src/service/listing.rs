//! The listing of all transactions, page by page.

use super::{Service, ServiceError, trouble};
use crate::{
    branch::Caller,
    clock::Clock,
    store::{Filter, Listed, Page, Store},
};

/// How many transactions a page has at the most if it is not said (protocol, section 2).
const LIMIT: usize = 100;

/// The most transactions of a page, whatever is asked for.
const LIMIT_MAX: usize = 1_000;

/// How many pages one node makes at the same time; others wait. So Redis has time for the
/// transactions themselves, however many look at them.
pub(super) const PAGES_AT_ONCE: usize = 2;

impl<S: Store, C: Caller, K: Clock> Service<S, C, K> {
    /// The page of those that `filter` takes which begins at `position`, or at the start. `limit`
    /// is 100 if it is not said, or 0.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when `position` is none that a page named; otherwise as the kinds
    /// say.
    pub async fn list(
        &self,
        filter: &Filter,
        position: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Page, ServiceError> {
        let limit = limit.filter(|limit| *limit > 0).unwrap_or(LIMIT).min(LIMIT_MAX);
        // Never closed.
        let _place = self.pages.acquire().await;
        let listed = self.store.list(filter, position, limit).await;
        match listed.map_err(|error| trouble::reading(&error))? {
            Listed::Page(page) => Ok(page),
            Listed::BadPosition => Err(ServiceError::Invalid(
                "position: give the next_position of an answer, as it is, or none".to_owned(),
            )),
        }
    }
}
