//! The protocol's JSON, read tolerantly: the clients of five languages send nulls, duplicate keys
//! and keys in any case.
