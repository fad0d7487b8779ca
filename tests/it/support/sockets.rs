//! What the kernel knows of this process's connections.

#[derive(Debug)]
pub(crate) struct Socket {
    /// Neither end has closed it.
    pub(crate) is_established: bool,
    /// Bytes that were written and are not acknowledged.
    pub(crate) unsent: usize,
}

/// The clients' ends of the connections to this loopback port.
pub(crate) fn to(port: u16) -> impl Iterator<Item = Socket> {
    const ESTABLISHED: &str = "01";
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux's table of connections");
    let remote = format!("0100007F:{port:04X}");
    let mut sockets = Vec::new();
    for row in table.lines().skip(1) {
        let columns: Vec<_> = row.split_whitespace().collect();
        if columns[2] == remote {
            let (unsent, _) = columns[4].split_once(':').expect("two queues");
            sockets.push(Socket {
                is_established: columns[3] == ESTABLISHED,
                unsent: usize::from_str_radix(unsent, 16).expect("a number"),
            });
        }
    }
    sockets.into_iter()
}
