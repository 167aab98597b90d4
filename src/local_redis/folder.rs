//! The folder of the data: who may use it, and where its socket is.
//!
//! Two locks, both given back by the kernel however their holders end. `tandem.lock` is held by
//! tandem: whoever does not get it is refused at once. `redis.lock` is held by the Redis server's
//! process (it inherits the open file): after a crash of tandem it tells when the old server is
//! gone, which may be a moment later.

use std::{
    env,
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    process,
    time::Duration,
};

use tokio::time::{interval, timeout};
use url::Url;
use uuid::Uuid;

use super::Error;

/// Longest path of a unix socket: `sun_path` of Linux has 108 bytes, the last of which is 0.
const SOCKET_PATH_LEN_MAX: usize = 107;

/// How long an earlier Redis may take to end; it writes out at most the last seconds of its log.
const PREDECESSOR_TIMEOUT: Duration = Duration::from_secs(15);

/// How often to look whether it has ended: short beside a start, long beside the look.
const PREDECESSOR_POLL: Duration = Duration::from_millis(20);

/// Only the user that tandem runs as may see the data and connect.
const PRIVATE: u32 = 0o700;

/// A folder that is in this process's hands, until it is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    data: PathBuf,
    socket: PathBuf,
    /// Where the socket is if its path would be too long in the folder; removed in the end.
    socket_folder: Option<PathBuf>,
    _claim: File,
}

impl Folder {
    /// Takes the folder, which is made if there is none.
    pub(super) fn claim(path: &Path) -> Result<Self, Error> {
        make_private(path, true).map_err(Error::folder(path))?;
        let data = path.canonicalize().map_err(Error::folder(path))?;
        let lock_path = data.join("tandem.lock");
        let mut claim = open_lock(&lock_path).map_err(Error::folder(&lock_path))?;
        match claim.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::InUse { path: data, pid: read_pid(&mut claim) });
            }
            Err(TryLockError::Error(error)) => return Err(Error::folder(&lock_path)(error)),
        }
        write_pid(&mut claim, process::id()).map_err(Error::folder(&lock_path))?;
        let (socket, socket_folder) = socket_of(&data)?;
        Ok(Self { data, socket, socket_folder, _claim: claim })
    }

    /// Its absolute path.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The path of the socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The socket as a URL that the store can connect to.
    pub(super) fn url(&self) -> Result<String, Error> {
        let file = Url::from_file_path(&self.socket)
            .map_err(|()| Error::folder(&self.socket)(io::ErrorKind::InvalidFilename.into()))?;
        // With its odd letters encoded, as whoever connects decodes them.
        Ok(format!("redis+unix://{}", file.path()))
    }

    /// Waits until no Redis runs on the folder. Whoever holds the file that this answers keeps the
    /// next one from starting.
    pub(super) async fn wait_for_predecessor(&self) -> Result<File, Error> {
        let path = self.data.join("redis.lock");
        let mut file = open_lock(&path).map_err(Error::folder(&path))?;
        let mut poll = interval(PREDECESSOR_POLL);
        let locked = timeout(PREDECESSOR_TIMEOUT, async {
            loop {
                poll.tick().await;
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => {}
                    Err(TryLockError::Error(error)) => return Err(error),
                }
            }
        });
        match locked.await {
            Ok(Ok(())) => Ok(file),
            Ok(Err(error)) => Err(Error::folder(&path)(error)),
            Err(_) => Err(Error::Leftover { path: self.data.clone(), pid: read_pid(&mut file) }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Some(folder) = &self.socket_folder {
            // The server removes its socket; after a kill it is still there.
            let _ = std::fs::remove_file(&self.socket);
            if let Err(error) = std::fs::remove_dir(folder) {
                tracing::debug!(folder = %folder.display(), %error, "a folder is left over");
            }
        }
    }
}

/// Notes whose lock this is, for whoever does not get it.
pub(super) fn write_pid(lock: &mut File, pid: u32) -> io::Result<()> {
    lock.set_len(0)?;
    lock.write_all(format!("{pid}\n").as_bytes())
}

fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    // A process id is short; the file may be anybody's.
    lock.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn make_private(path: &Path, with_parents: bool) -> io::Result<()> {
    DirBuilder::new().recursive(with_parents).mode(PRIVATE).create(path)
}

/// The path of the socket: in the folder or, if that is too long, in a new folder of its own, which
/// is the second value.
fn socket_of(data: &Path) -> Result<(PathBuf, Option<PathBuf>), Error> {
    let socket = data.join("redis.sock");
    if fits(&socket) {
        return Ok((socket, None));
    }
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let name = format!("tandem-{}", Uuid::now_v7().simple());
    let mut last = Error::folder(&socket)(io::ErrorKind::InvalidFilename.into());
    for place in runtime.into_iter().chain([env::temp_dir(), "/tmp".into()]) {
        let folder = place.join(&name);
        let socket = folder.join("redis.sock");
        if !folder.is_absolute() || !fits(&socket) {
            continue;
        }
        // Not one that is there already: in a place that all may write to, it may be anybody's.
        match make_private(&folder, false) {
            Ok(()) => return Ok((socket, Some(folder))),
            Err(error) => last = Error::folder(&folder)(error),
        }
    }
    Err(last)
}

fn fits(socket: &Path) -> bool {
    socket.as_os_str().len() <= SOCKET_PATH_LEN_MAX
}
