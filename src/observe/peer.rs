//! Who may use the control socket, and whom its users may trust. Pure: the kernel's credentials come in as arguments.

use nix::unistd::Pid;

/// The other end of a unix socket, as the kernel vouches for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// 0: a process of another PID namespace, which cannot be seen from here.
    pub pid: Pid,
    /// As seen from our own user namespace: root of an inner one is somebody else.
    pub user: u32,
}

const ROOT: u32 = 0;
const INIT: Pid = Pid::from_raw(1);
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
