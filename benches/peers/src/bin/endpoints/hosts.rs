//! A hosts file that only this process sees.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;

/// Names the file, in the process that has it as its hosts file.
const VARIABLE: &str = "PEERS_HOSTS";

#[derive(Debug)]
pub(crate) struct Hosts {
    path: PathBuf,
    names: Mutex<BTreeMap<String, Vec<IpAddr>>>,
}

impl Hosts {
    /// Starts this program once more in a mount namespace, in this process's place; there it finds its file.
    pub(crate) fn of_our_own() -> Result<Self, String> {
        if let Ok(path) = std::env::var(VARIABLE) {
            let seen = fs::read_to_string("/etc/hosts").unwrap_or_default();
            if seen.trim() != "127.0.0.1 localhost" {
                let _ = fs::remove_file(path);
                return Err("the hosts file cannot be replaced in a mount namespace".to_owned());
            }
            return Ok(Self {
                path: path.into(),
                names: Mutex::default(),
            });
        }
        let path = std::env::temp_dir().join(format!("peers-hosts-{}", std::process::id()));
        fs::write(&path, "127.0.0.1 localhost\n").map_err(|error| error.to_string())?;
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let script = r#"mount --bind "$PEERS_HOSTS" /etc/hosts; exec "$@""#;
        let error = Command::new("unshare")
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "sh",
                "-c",
                script,
                "sh",
            ])
            .arg(program)
            .args(std::env::args_os().skip(1))
            .env(VARIABLE, &path)
            .exec();
        // It is another program from there on, unless it could not be started.
        let _ = fs::remove_file(&path);
        Err(format!("unshare: {error}"))
    }

    /// The name has these addresses from now on.
    pub(crate) fn set(&self, name: &str, addresses: &[IpAddr]) -> io::Result<()> {
        let mut names = self.names.lock().map_err(|_| io::Error::other("a panic"))?;
        names.insert(name.to_owned(), addresses.to_vec());
        let lines = names.iter().flat_map(|(name, addresses)| {
            addresses
                .iter()
                .map(move |address| format!("{address} {name}\n"))
        });
        let text: String = ["127.0.0.1 localhost\n".to_owned()]
            .into_iter()
            .chain(lines)
            .collect();
        // In its place: another file would not be the one that is mounted.
        fs::write(&self.path, text)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
