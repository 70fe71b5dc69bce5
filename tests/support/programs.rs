//! What stands beside Node, as `tests/node-programs` installs it from a lockfile: launchers, Bun and Deno.

use super::lines_of;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The folder that they are installed in.
pub fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| lines_of("tests/node-programs").trim_end().into())
}

/// A package that has programs for this machine only.
fn native(x86_64: &str, aarch64: &str) -> PathBuf {
    let name = match std::env::consts::ARCH {
        "x86_64" => x86_64,
        "aarch64" => aarch64,
        other => panic!("tests/node/programs has nothing for {other}"),
    };
    programs().join(name)
}

/// The folder of Bun's package: `bin/bun` is it.
pub fn bun() -> PathBuf {
    native("@oven/bun-linux-x64", "@oven/bun-linux-aarch64")
}

/// The folder of Deno's package: `deno` is it.
pub fn deno() -> PathBuf {
    native("@deno/linux-x64-glibc", "@deno/linux-arm64-glibc")
}

/// The folder of the pnpm that is a program of its own: `pnpm` is it.
pub fn native_pnpm() -> PathBuf {
    native("@pnpm/exe.linux-x64", "@pnpm/exe.linux-arm64")
}

/// The version of the package in a folder.
pub fn version(package: &Path) -> String {
    let text = std::fs::read_to_string(package.join("package.json")).unwrap_or_else(|error| panic!("{}: {error}", package.display()));
    let package: serde_json::Value = serde_json::from_str(&text).expect("a package.json");
    package["version"].as_str().expect("a version").to_owned()
}
