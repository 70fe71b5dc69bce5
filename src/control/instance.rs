//! Which restartinit a verb asks: one of its own container, never another's.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use nix::unistd::{Pid, getpid};

use super::{PATIENCE, stuck};
use crate::observe::peer::{Container, INIT, Owner, Peer};
use crate::sys::{listening, processes, sockets};

/// A connection to a restartinit that is believed to be one of this container.
pub(super) struct Instance {
    socket: OwnedFd,
    pid: Pid,
    /// The others of this container.
    others: Vec<Pid>,
}

impl Instance {
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Who answers, where there was a choice and nobody made it.
    pub(super) fn note(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| {
            let others: Vec<String> = self.others.iter().map(|pid| format!("--pid {pid}")).collect();
            format!("pid {} answers; there are others in this container: {}", self.pid, others.join(", "))
        })
    }
}

/// Finds the one that is meant; where none is named, the one there is, or PID 1.
///
/// # Errors
/// One line for a person.
pub(super) fn find(named: Option<Pid>) -> Result<Instance, String> {
    let nowhere = |error: io::Error| {
        let why = if processes::proc_is_mounted() { error.to_string() } else { "/proc is not mounted".to_owned() };
        format!("cannot find this container's restartinit: {why}")
    };
    let container = sockets::container().map_err(nowhere)?;
    let first = connect(&container.name())?;
    // Whoever binds a name may be anybody.
    let trusted = first.as_ref().is_some_and(|(_, peer)| peer.may_answer(sockets::own_user()));
    let names: Vec<Owner> = listed(container);
    let further = names.iter().filter_map(|owner| if let Owner::Further(pid) = owner { Some(*pid) } else { None });
    let mut pids: Vec<Pid> = first.as_ref().filter(|_| trusted).map(|(_, peer)| peer.pid).into_iter().chain(further).collect();
    pids.sort_unstable();
    pids.dedup();
    let pid = match (named, pids.first()) {
        (Some(named), _) if pids.contains(&named) => named,
        (Some(named), None) => return Err(format!("no restartinit with pid {named} in this container, nor any other")),
        (Some(named), Some(_)) => return Err(format!("no restartinit with pid {named} in this container: there is {}", listing(&pids))),
        (None, None) => return Err(nobody(container, first.map(|(_, peer)| peer), &names)),
        (None, Some(only)) if pids.len() == 1 || *only == INIT => *only,
        (None, Some(_)) => {
            return Err(format!(
                "several restartinits run in this container, and none is PID 1: say which one by --pid N: {}",
                listing(&pids)
            ));
        }
    };
    let others = if named.is_none() { pids.iter().copied().filter(|other| *other != pid).collect() } else { Vec::new() };
    let (socket, peer) = match first {
        Some((socket, peer)) if trusted && peer.pid == pid => (socket, peer),
        _ => connect(&container.name_of(pid))?.ok_or_else(|| format!("the restartinit with pid {pid} has just ended"))?,
    };
    if peer.may_answer(sockets::own_user()) { Ok(Instance { socket, pid, others }) } else { Err(untrusted(peer)) }
}

fn listing(pids: &[Pid]) -> String {
    pids.iter().map(Pid::to_string).collect::<Vec<_>>().join(", ")
}

/// Connects to whoever has a name; `None`: nobody has.
fn connect(name: &str) -> Result<Option<(OwnedFd, Peer)>, String> {
    let socket = match sockets::connect_control(name, PATIENCE) {
        Ok(socket) => socket,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(stuck()),
        Err(error) => return Err(format!("cannot ask this container's restartinit: {error}")),
    };
    let peer = sockets::peer(socket.as_fd()).map_err(|error| format!("cannot tell who answers: {error}"))?;
    Ok(Some((socket, peer)))
}

/// Whose names the kernel lists in this network namespace, of our PID namespace.
fn listed(container: Container) -> Vec<Owner> {
    let sockets = listening::sockets(getpid()).unwrap_or_default();
    sockets.iter().filter_map(|socket| container.owner(&socket.address.to_string())).collect()
}

fn untrusted(peer: Peer) -> String {
    format!(
        "not asked: what listens here (pid {}, user {}) is neither PID 1 nor run by root or by you; if it is restartinit, ask as its user",
        peer.pid, peer.user
    )
}

/// Why nobody is asked, and what to do.
fn nobody(container: Container, first: Option<Peer>, names: &[Owner]) -> String {
    if let Some(peer) = first {
        return untrusted(peer);
    }
    let init = processes::name(INIT).unwrap_or_else(|| "unknown".to_owned());
    if names.contains(&Owner::OtherContainer) {
        return format!(
            "no restartinit in this container, but in another one that shares its PID namespace (PID 1 is \"{init}\", this is mount namespace {}): \
             ask from within that container (kubectl exec -c NAME, docker exec NAME), or enter its mount namespace (nsenter -t PID -m)",
            container.mount_namespace
        );
    }
    format!(
        "no restartinit in this container: PID 1 is \"{init}\" (is restartinit the entrypoint? From outside: docker exec, kubectl exec -c NAME, or \
         nsenter -t PID -m -p -n)"
    )
}
