//! The names of control sockets, who may use one, and whom its users may trust. Pure: the kernel's credentials come in as arguments.

use nix::unistd::Pid;

/// A container, as the control sockets in it are named. Abstract names belong to the network namespace, which a whole pod or even the host may
/// share, as it may the PID namespace; the mount namespace is each container's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Container {
    pub pid_namespace: u64,
    pub mount_namespace: u64,
}

/// Whose an abstract name is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The first restartinit of this container.
    First,
    /// A further one of this container, by its pid.
    Further(Pid),
    /// That of another container in the same PID namespace.
    OtherContainer,
}

impl Container {
    /// The abstract name of its first restartinit.
    pub fn name(self) -> String {
        let Container { pid_namespace, mount_namespace } = self;
        format!("restartinit/{pid_namespace}/{mount_namespace}")
    }

    /// That of a further one.
    pub fn name_of(self, pid: Pid) -> String {
        format!("{}/{pid}", self.name())
    }

    /// Whose an address is, as the kernel lists it; `None`: no restartinit's of this PID namespace.
    pub fn owner(self, address: &str) -> Option<Owner> {
        let name = address.strip_prefix('@')?;
        let rest = name.strip_prefix("restartinit/")?.strip_prefix(&self.pid_namespace.to_string())?.strip_prefix('/')?;
        let (mount_namespace, pid) = rest.split_once('/').map_or((rest, None), |(namespace, pid)| (namespace, Some(pid)));
        let container = Container { mount_namespace: mount_namespace.parse().ok()?, ..self };
        let pid = pid.map(|pid| pid.parse().map(Pid::from_raw)).transpose().ok()?;
        // Written otherwise than we write it, it is somebody else's.
        if name != pid.map_or_else(|| container.name(), |pid| container.name_of(pid)) {
            return None;
        }
        let owner = pid.map_or(Owner::First, Owner::Further);
        Some(if container == self { owner } else { Owner::OtherContainer })
    }
}

/// The other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// 0: a process of another PID namespace, which cannot be seen from here.
    pub pid: Pid,
    /// As seen from our own user namespace: root of an inner one is somebody else.
    pub user: u32,
}

const ROOT: u32 = 0;
/// Whom the container was started with.
pub const INIT: Pid = Pid::from_raw(1);
/// What the kernel says of a process that cannot be seen from here.
const UNSEEN: Pid = Pid::from_raw(0);

impl Peer {
    /// Whether restartinit, which runs as `own_user`, answers this one: root and its own user, of its own PID namespace. Abstract names
    /// belong to the network namespace, which a whole pod or even the host may share.
    pub fn may_ask(self, own_user: u32) -> bool {
        self.pid != UNSEEN && [ROOT, own_user].contains(&self.user)
    }

    /// Whether a verb run by `own_user` believes that this listener is its container's restartinit. Anybody can bind an abstract name,
    /// but PID 1 is whom the container was started with, and root and one's own user need no trick.
    pub fn may_answer(self, own_user: u32) -> bool {
        self.pid == INIT || self.may_ask(own_user)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_container_are_nobody_elses() {
        let container = Container { pid_namespace: 4026532000, mount_namespace: 4026531999 };
        assert_eq!(
            (container.name().as_str(), container.name_of(INIT).as_str()),
            ("restartinit/4026532000/4026531999", "restartinit/4026532000/4026531999/1")
        );
        for (address, owner) in [
            ("@restartinit/4026532000/4026531999", Some(Owner::First)),
            ("@restartinit/4026532000/4026531999/17", Some(Owner::Further(Pid::from_raw(17)))),
            ("@restartinit/4026532000/1", Some(Owner::OtherContainer)),
            ("@restartinit/4026532000/1/17", Some(Owner::OtherContainer)),
            ("@restartinit/40265320001/4026531999", None),
            ("@restartinit/4026532000/4026531999/x", None),
            ("@restartinit/4026532000/x", None),
            ("@restartinit/4026532000/04026531999", None),
            ("@restartinit/4026532000/4026531999/+17", None),
            ("@restartinit/4026532000/4026531999/017", None),
            ("@restartinit/4026532000", None),
            ("restartinit/4026532000/4026531999", None),
        ] {
            assert_eq!(container.owner(address), owner, "{address}");
        }
    }

    #[test]
    fn root_and_the_own_user_are_answered() {
        for (pid, user, answered) in [(7, 0, true), (7, 1000, true), (7, 1001, false), (0, 0, false), (0, 1000, false), (7, 65534, false)] {
            assert_eq!(Peer { pid: Pid::from_raw(pid), user }.may_ask(1000), answered, "{pid} {user}");
        }
    }

    #[test]
    fn nobody_can_pose_as_restartinit() {
        for (pid, user, believed) in [(1, 1000, true), (7, 0, true), (7, 33, true), (7, 1000, false), (0, 33, false), (0, 0, false)] {
            assert_eq!(Peer { pid: Pid::from_raw(pid), user }.may_answer(33), believed, "{pid} {user}");
        }
    }
}
