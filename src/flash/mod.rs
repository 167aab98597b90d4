//! Flash sales: what shops say of them, who gets what, and whether the books are right.
//!
//! - `sales`: the definition of a sale, from a short memory; `changing` writes it
//! - `draft`: what a request says of a sale, and what is wrong with it
//! - `status`: a sale with its books; `upkeep`: what a node that died left half done

mod changing;
mod digest;
mod draft;
mod error;
mod sales;
mod status;
mod upkeep;

pub use draft::{
    HOLD_MAX, ItemLimit, NewItem, NewSale, ORDERS_IN_WORK_MAX, REQUEST_ID_BYTES_MAX, STEPS_MAX,
    SaleChanges,
};
pub use error::SaleError;
pub use sales::Sales;
pub use status::{ItemStatus, SalePage, SaleState, SaleStatus};
