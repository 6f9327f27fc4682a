//! Who listens on a port of this machine, as far as it can be read.

use std::path::Path;

/// The program behind a listening TCP port: `transmission-da (pid 812)`.
pub(crate) fn of(port: u16) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| listening_inode(table, port))?;
    let wanted = format!("socket:[{inode}]");
    for process in Path::new("/proc").read_dir().ok()?.flatten() {
        let name = process.file_name();
        let Some(pid) = name.to_str().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) else { continue };
        let Ok(descriptors) = process.path().join("fd").read_dir() else { continue };
        let holds = descriptors
            .flatten()
            .any(|descriptor| descriptor.path().read_link().is_ok_and(|target| target.as_os_str() == wanted.as_str()));
        if holds {
            let program = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", crate::render::shown(program.trim())));
        }
    }
    None
}

/// The inode of the socket that listens on a port, from a table of the kernel.
fn listening_inode(table: &str, port: u16) -> Option<u64> {
    const LISTEN: &str = "0A";
    let suffix = format!(":{port:04X}");
    std::fs::read_to_string(table).ok()?.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace();
        let here = fields.nth(1)?.ends_with(&suffix) && fields.nth(1)? == LISTEN;
        if here { fields.nth(5)?.parse().ok() } else { None }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    #[test]
    fn our_own_port_is_ours() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let owner = super::of(listener.local_addr().unwrap().port()).unwrap();
        assert!(owner.ends_with(&format!("(pid {})", std::process::id())), "{owner}");
    }
}
