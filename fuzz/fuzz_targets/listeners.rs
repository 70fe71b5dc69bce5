//! What tells where a generation listens: the kernel's answers, in which processes choose the names, their command lines and environments.
#![no_main]

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use nix::unistd::Pid;
use restartinit::observe::peer::{Container, Owner};
use restartinit::procfs::inspector::is_inspector;
use restartinit::procfs::listeners::{ListenAddress, TcpLine, ephemeral_ports, of_descriptor, unix};
use restartinit::procfs::sock_diag::{FAMILIES, read};

const CONTAINER: Container = Container { pid_namespace: 4_026_531_836, mount_namespace: 4_026_531_841 };
const PID: Pid = Pid::from_raw(77);

fuzz_target!(|input: (&[u8], &[u8])| {
    let (one, other) = input;
    let mut found = Vec::new();
    for family in FAMILIES {
        let _ = read(family, one, &mut found);
    }
    // Each has a header of 16 bytes and a body.
    assert!(found.len() <= FAMILIES.len() * (one.len() / 16));
    for line in one.split_inclusive(|byte| *byte == b'\n') {
        found.extend(unix(line));
        if let TcpLine::Listening(socket) = TcpLine::read(line) {
            found.push(socket);
        }
    }
    let range = ephemeral_ports(other).unwrap_or((32768, 60999));
    for socket in found {
        let address = socket.address.to_string();
        match CONTAINER.owner(&address) {
            Some(Owner::First) => assert_eq!(address, format!("@{}", CONTAINER.name())),
            Some(Owner::Further(pid)) => assert_eq!(address, format!("@{}", CONTAINER.name_of(pid))),
            Some(Owner::OtherContainer) | None => {}
        }
        let is_pipe = socket.address.is_pipe_of_launcher(PID);
        assert!(!is_pipe || !socket.address.is_fixed(PID, range), "{address}");
    }
    let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(one.len()).unwrap_or_default()));
    let _ = is_inspector(&address, one, other, range);
    assert!(ListenAddress::Tcp(address).is_fixed(PID, range) != (range.0..=range.1).contains(&address.port()));
    let _ = of_descriptor(other);
});
