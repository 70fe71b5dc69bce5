//! What a held port may be: only what the app itself could bind. restartinit may be root while the app dropped its privileges, and must
//! not lend them to it. Pure: `sys::credentials` reads the files.

use nix::unistd::Pid;

use super::Errno;
use super::spec::Spec;
use crate::procfs::{field, number, words};

/// Linux's numbers of the capabilities that matter to bind(2).
const CAP_DAC_OVERRIDE: u64 = 1;
const CAP_NET_BIND_SERVICE: u64 = 10;

/// Whoever sent something on a channel, as the kernel tells it (SCM_CREDENTIALS in unix(7)): nobody can pretend to be another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sender {
    pub pid: Pid,
    pub uid: u32,
    pub gid: u32,
}

/// Who speaks on a channel. A command may keep its rights and hand the channel to an app that has dropped them, as `su -c` does: what
/// counts is who asks. Where several speak, nobody is believed, since a line may come from two of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Speaker {
    #[default]
    Nobody,
    One(Sender),
    Unknown,
}

/// Who was heard on a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Whoever was heard before, or nobody that can be told.
    Known,
    /// The first one.
    First,
    /// The one before has ended, and this is another.
    Another,
    /// Two speak that both run.
    Two(Pid, Pid),
}

impl Speaker {
    /// Bytes came, from this one where it can be told. One that has ended may be followed by another, as in a script that runs both.
    pub fn heard(&mut self, from: Option<Sender>, has_ended: impl FnOnce(Pid) -> bool) -> Heard {
        let (speaker, heard) = match (*self, from) {
            (Speaker::Nobody, Some(sender)) => (Speaker::One(sender), Heard::First),
            (Speaker::One(known), Some(sender)) if known == sender => (*self, Heard::Known),
            (Speaker::One(known), Some(sender)) if known.pid != sender.pid && has_ended(known.pid) => {
                (Speaker::One(sender), Heard::Another)
            }
            (Speaker::One(known), Some(sender)) if known.pid != sender.pid => (Speaker::Unknown, Heard::Two(known.pid, sender.pid)),
            _ => (Speaker::Unknown, Heard::Known),
        };
        *self = speaker;
        heard
    }

    pub fn sender(self) -> Option<Sender> {
        if let Speaker::One(sender) = self { Some(sender) } else { None }
    }
}

/// What a process may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Credentials {
    pub euid: u32,
    pub egid: u32,
    /// The effective capabilities, a bit each.
    pub effective: u64,
    /// Whether its user namespace is ours; `None`: cannot be seen. In a namespace of its own it has all capabilities, for nothing.
    pub same_user_namespace: Option<bool>,
}

impl Credentials {
    /// Reads `/proc/PID/status`; says nothing of the namespace yet.
    pub fn parse(status: &[u8]) -> Option<Credentials> {
        let effective_id = |name| number(words(field(status, name)?).nth(1)?);
        let effective = std::str::from_utf8(field(status, "CapEff:")?.trim_ascii()).ok()?;
        let effective = u64::from_str_radix(effective, 16).ok()?;
        Some(Credentials { euid: effective_id("Uid:")?, egid: effective_id("Gid:")?, effective, same_user_namespace: None })
    }

    fn has(&self, capability: u64) -> bool {
        self.effective & 1 << capability != 0
    }
}

/// Whether `child` could bind this itself. `first_free_port`: the kernel's `ip_unprivileged_port_start`, 1024 or, in many a container, 0.
///
/// # Errors
/// EACCES, for the app to be told.
pub fn may_bind(spec: &Spec, child: &Credentials, own: &Credentials, first_free_port: u16) -> Result<(), Errno> {
    let trusted = child.same_user_namespace == Some(true);
    let allowed = match spec {
        Spec::Tcp { .. } | Spec::Udp { .. } => {
            let free = spec.fixed_port().is_none_or(|port| port >= first_free_port);
            free || (trusted && child.has(CAP_NET_BIND_SERVICE))
        }
        // Whether the child could write to a folder is the kernel's to say, and it would judge by our rights. So: the same rights.
        Spec::Unix { .. } => {
            let same_ids = (child.euid, child.egid) == (own.euid, own.egid);
            same_ids && child.same_user_namespace != Some(false) && (child.has(CAP_DAC_OVERRIDE) || !own.has(CAP_DAC_OVERRIDE))
        }
        // Handed to every app alike, by the one who started us.
        Spec::Inherited { .. } => true,
    };
    if allowed { Ok(()) } else { Err(Errno::EACCES) }
}

/// For people: why a bind was refused, and what to do.
pub fn advice(spec: &Spec) -> &'static str {
    match spec {
        Spec::Unix { .. } => {
            "the app runs as another user, or with fewer rights, than restartinit: start both alike, or listen with exclusive: true"
        }
        _ => "the app may not bind a port this low: start restartinit with the app's rights, or listen on a higher port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::spec::{Host, Kind};

    const ROOT: Credentials = Credentials { euid: 0, egid: 0, effective: 0xa804_25fb, same_user_namespace: Some(true) };
    const APP: Credentials = Credentials { euid: 1000, egid: 1000, effective: 0, same_user_namespace: Some(true) };

    fn tcp(port: u16) -> Spec {
        Spec::Tcp { address: Host::Any, port, v6only: false }
    }

    #[test]
    fn one_speaker_is_known_and_several_are_not() {
        let (app, other) = (Sender { pid: Pid::from_raw(7), uid: 1000, gid: 5 }, Sender { pid: Pid::from_raw(8), uid: 0, gid: 0 });
        let mut speaker = Speaker::default();
        assert_eq!(speaker.sender(), None);
        let runs = |_| false;
        assert_eq!((speaker.heard(Some(app), runs), speaker.heard(Some(app), runs)), (Heard::First, Heard::Known));
        assert_eq!(speaker.sender(), Some(app));
        for (next, heard) in [(Some(other), Heard::Two(app.pid, other.pid)), (None, Heard::Known)] {
            let mut speaker = speaker;
            assert_eq!((speaker.heard(next, runs), speaker.heard(Some(app), runs)), (heard, Heard::Known));
            assert_eq!(speaker.sender(), None);
        }
    }

    #[test]
    fn one_that_has_ended_is_followed_by_another() {
        let (first, next) = (Sender { pid: Pid::from_raw(7), uid: 0, gid: 0 }, Sender { pid: Pid::from_raw(8), uid: 1000, gid: 5 });
        let mut speaker = Speaker::One(first);
        assert_eq!((speaker.heard(Some(next), |pid| pid == first.pid), speaker.sender()), (Heard::Another, Some(next)));
        // The same one with other rights is not another.
        let mut speaker = Speaker::One(first);
        assert_eq!((speaker.heard(Some(Sender { uid: 5, ..first }), |_| true), speaker.sender()), (Heard::Known, None));
    }

    #[test]
    fn status_is_read() {
        let status = b"Name:\tUid: \xff\xe6\nUid:\t0\t1000\t0\t0\nGid:\t0\t5\t0\t0\nCapInh:\t0\nCapEff:\t00000000a80425fb\n";
        let read = Credentials { euid: 1000, egid: 5, effective: 0xa804_25fb, same_user_namespace: None };
        assert_eq!(Credentials::parse(status), Some(read));
        for bad in [&b""[..], b"Uid:\t0\nGid:\t0\t0\nCapEff:\t0\n", b"Uid:\t0\t0\nGid:\t0\t0\nCapEff:\tx\n"] {
            assert_eq!(Credentials::parse(bad), None);
        }
    }

    #[test]
    fn low_ports_need_the_childs_own_capability() {
        let own_namespace = Credentials { effective: u64::MAX, same_user_namespace: Some(false), ..APP };
        let unseen = Credentials { effective: u64::MAX, same_user_namespace: None, ..APP };
        for (port, child, first, allowed) in [
            (80, ROOT, 1024, true),
            (80, APP, 1024, false),
            (80, APP, 0, true),
            (1024, APP, 1024, true),
            (0, APP, 1024, true),
            (80, own_namespace, 1024, false),
            (80, unseen, 1024, false),
            (8080, unseen, 1024, true),
        ] {
            assert_eq!(may_bind(&tcp(port), &child, &ROOT, first).is_ok(), allowed, "{port} {child:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert!(advice(&tcp(80)).starts_with("the app may not bind a port this low"));
        assert!(advice(&Spec::Unix { path: "/a".to_owned() }).starts_with("the app runs as another user"));
    }

    #[test]
    fn paths_need_the_same_rights() {
        let path = Spec::Unix { path: "/run/app.sock".to_owned() };
        let less = Credentials { effective: 0, ..ROOT };
        assert_eq!(may_bind(&path, &APP, &ROOT, 0), Err(Errno::EACCES));
        assert_eq!(may_bind(&path, &less, &ROOT, 0), Err(Errno::EACCES));
        assert_eq!(may_bind(&path, &Credentials { egid: 5, ..ROOT }, &ROOT, 0), Err(Errno::EACCES));
        assert_eq!(may_bind(&path, &Credentials { same_user_namespace: Some(false), ..APP }, &APP, 0), Err(Errno::EACCES));
        assert_eq!(may_bind(&path, &APP, &APP, 0), Ok(()));
        assert_eq!(may_bind(&path, &ROOT, &ROOT, 0), Ok(()));
        assert_eq!(may_bind(&Spec::Inherited { fd: 3, kind: Kind::Stream }, &APP, &ROOT, 1024), Ok(()));
    }
}
