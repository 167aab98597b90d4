//! Why something that was asked of a sale was not done.

use crate::{
    model::flash::{ItemId, SaleId},
    store::StoreError,
};

/// Why a sale was not made, changed or shown. Nothing was written, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SaleError {
    /// The request is wrong.
    #[error("{field} {message}")]
    Invalid {
        /// Which part of it, as a path in its JSON: `items[0].stock`.
        field: String,
        /// What is wrong with it, and what to do.
        message: String,
    },
    /// There is no such sale.
    #[error("there is no sale {0}")]
    Unknown(SaleId),
    /// The sale has no such item.
    #[error("the sale has no item {0}")]
    UnknownItem(ItemId),
    /// A sale of this id was made by another request.
    #[error("there is a sale {0} already: choose another id, or change that one")]
    Exists(SaleId),
    /// The sale was closed, which is for good.
    #[error("the sale {0} was closed, which is for good")]
    Closed(SaleId),
    /// An earlier request of the same id asked for something else, and took effect.
    #[error(
        "the request id was used by another request for this sale, which took effect: take a new id"
    )]
    RequestIdUsed,
    /// Others change this sale all the time.
    #[error("others change this sale all the time: nothing was changed, come again later")]
    Busy,
    /// The definition is stored, but not every part of the sale knows of it yet.
    #[error(
        "it is stored, but a part of the sale does not know of it yet ({0}): a node sees to it \
         within seconds; the same request again says when it is done"
    )]
    Late(StoreError),
    /// Redis did not do it.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl SaleError {
    /// That `field` is wrong.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }
}
