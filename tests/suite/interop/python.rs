//! A virtual environment of Python with the client in it, kept in the folder of build products.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

/// With this variable in the environment, a test without Python fails instead of being skipped.
const REQUIRED: &str = "REQUIRE_INTEROP";

static WITH_SDK: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    make().inspect_err(|error| {
        // Past the capture of the tests' output: whoever reads that all passed has to know it.
        let _ = writeln!(io::stderr(), "skipped: the official client is not tried; {error}");
    })
});

/// The folder of the scripts.
pub(super) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop")
}

/// The interpreter whose environment has the client; made when first asked for. `None` where it cannot
/// be made and need not be.
pub(super) fn with_sdk() -> Option<&'static Path> {
    match &*WITH_SDK {
        Ok(python) => Some(python),
        Err(error) if std::env::var_os(REQUIRED).is_some() => panic!("{REQUIRED} is set; {error}"),
        Err(_) => None,
    }
}

fn make() -> Result<PathBuf, String> {
    let requirements = scripts().join("requirements.txt");
    let version = run(Command::new("python3").arg("--version"))?;
    let mut hasher = DefaultHasher::new();
    (fs::read_to_string(&requirements).expect("requirements"), version).hash(&mut hasher);
    let name = format!("interop-{:016x}", hasher.finish());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let (lock, ready) = (folder.with_extension("lock"), folder.join("ready"));
    // Another run of the tests may be making it.
    let lock = File::create(lock).expect("a file");
    lock.lock().expect("a lock");
    let python = folder.join("bin/python");
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        let mut install = Command::new(&python);
        install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        run(install.arg("--requirement").arg(requirements))?;
        File::create(ready).expect("a file");
    }
    Ok(python)
}

/// What the command prints; or what went wrong, in words.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?} ended with {}: {text}{error}", output.status))
}
