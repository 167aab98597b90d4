//! In: bytes to use cases, and their answers to bytes. Decides nothing about transactions.

pub mod http;
mod token;

pub use self::token::ApiToken;
