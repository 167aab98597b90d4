//! Flash sales over HTTP.

mod page;

pub(super) use self::page::page;
