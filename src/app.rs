//! Makes the parts, starts them, drains them in order.

use crate::config::Config;

/// Serves until the process is told to stop.
///
/// # Errors
/// When a part cannot be made or started.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    tracing::info!(http_addr = %config.http_addr, "nothing to serve yet");
    Ok(())
}
