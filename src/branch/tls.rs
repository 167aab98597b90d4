//! TLS to participants, and to whoever else is called.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt;
use rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Trusts what the system trusts.
///
/// A system without certificates (a small container) can still call plain HTTP, so that is no
/// error here: it is told once, and calls by HTTPS fail with the certificate's error.
///
/// # Errors
/// When the cryptography knows no version of TLS, which would be a fault of the build.
pub(crate) fn config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let trusting = match builder.clone().with_native_roots() {
        Ok(trusting) => trusting,
        Err(error) => {
            tracing::warn!(%error, "no certificates to trust: no branch can be called by HTTPS");
            builder.with_root_certificates(RootCertStore::empty())
        }
    };
    Ok(trusting.with_no_client_auth())
}
