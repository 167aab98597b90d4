//! The Redis of the demonstration: one of its own in a temporary folder, or the user's, of which
//! nothing is left in either case.

use std::{env, fs, io, path::PathBuf};

use anyhow::Context as _;
use uuid::Uuid;

use crate::{
    config::RedisUrl,
    local_redis::{LocalRedis, Options},
    store,
};

/// A Redis that is there until it is closed.
pub(super) struct Redis {
    key_prefix: String,
    place: Place,
}

enum Place {
    Own { redis: LocalRedis, folder: Folder },
    Given(RedisUrl),
}

impl Redis {
    /// Takes the Redis that is given, or starts one.
    pub(super) async fn open(given: Option<RedisUrl>) -> anyhow::Result<Self> {
        let name = format!("tandem-demo-{}", Uuid::now_v7().simple());
        let place = match given {
            Some(url) => Place::Given(url),
            None => {
                let folder = Folder(env::temp_dir().join(&name));
                let redis = LocalRedis::start(Options::new(&folder.0)).await?;
                Place::Own { redis, folder }
            }
        };
        Ok(Self { key_prefix: name, place })
    }

    /// Where it is to be reached.
    pub(super) fn url(&self) -> &str {
        match &self.place {
            Place::Own { redis, .. } => redis.url(),
            Place::Given(url) => url.as_str(),
        }
    }

    /// With which all keys of the demonstration begin, and no others.
    pub(super) fn key_prefix(&self) -> &str {
        &self.key_prefix
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> &'static str {
        match self.place {
            Place::Own { .. } => "one of the demonstration's own, in a temporary folder",
            Place::Given(_) => "yours; its keys are removed at the end",
        }
    }

    /// Stops the Redis and removes its folder, or removes the keys from the user's. Its clients
    /// have ended before.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        match self.place {
            Place::Own { redis, folder } => {
                redis.stop().await;
                folder.remove().context("the temporary folder cannot be removed")
            }
            Place::Given(url) => store::remove_deployment(url.as_str(), &self.key_prefix)
                .await
                .map(drop)
                .with_context(|| format!("the keys {}:* cannot be removed", self.key_prefix)),
        }
    }
}

/// A folder that is removed with all that is in it when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn remove(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::debug!(folder = %self.0.display(), %error, "a folder is left over");
        }
    }
}
