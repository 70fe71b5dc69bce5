//! Where generations listen, as far as is known, and where the next one is expected to. Pure data.

use crate::generation_number::GenerationNumber;
use crate::procfs::listeners::{ListenAddress, Listener};

/// Where one generation listens. UDP counts nowhere.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Listening {
    /// At held sockets, as the app tells it.
    pub held: Vec<Listener>,
    /// At sockets of its own, as the last look at the kernel showed.
    pub found: Vec<Listener>,
    /// That cannot be seen here.
    pub is_unknowable: bool,
}

impl Listening {
    pub fn is_anywhere(&self) -> bool {
        self.all().next().is_some()
    }

    fn all(&self) -> impl Iterator<Item = &Listener> {
        self.held.iter().chain(&self.found)
    }

    fn has(&self, address: &ListenAddress) -> bool {
        self.all().any(|listener| listener.address == *address)
    }

    /// Those of these TCP ports at which nothing listens.
    pub fn missing_ports(&self, ports: &[u16]) -> Vec<u16> {
        let is_missing = |port: &u16| !self.all().any(|listener| matches!(listener.address, ListenAddress::Tcp(at) if at.port() == *port));
        ports.iter().copied().filter(is_missing).collect()
    }
}

/// Where the generation that was ready last listened: the next one is expected to listen there as well.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Expected {
    /// Whose addresses these are.
    generation: GenerationNumber,
    /// An app may close its sockets one by one before it ends: those count until they are closed for good.
    held: Vec<Listener>,
    found: Vec<Listener>,
    /// Those of the generation before that. What is not fixed, and was there in both, is fixed after all.
    before: Vec<Listener>,
}

impl Expected {
    /// Takes in where a generation listens that is ready.
    pub fn learn(&mut self, generation: GenerationNumber, listening: &Listening) {
        if self.generation != generation {
            self.generation = generation;
            self.before = std::mem::take(&mut self.held);
            self.before.append(&mut self.found);
        }
        let new = listening.held.iter().filter(|listener| !self.held.contains(listener)).cloned().collect::<Vec<_>>();
        self.held.extend(new);
        self.found.clone_from(&listening.found);
    }

    /// Whether the next generation should listen at sockets of its own, which only a look shows.
    pub fn has_own(&self) -> bool {
        !self.found.is_empty()
    }

    /// The held sockets at these addresses are closed for good: nobody is expected to listen there.
    pub fn forget(&mut self, closed: &[ListenAddress]) {
        self.held.retain(|listener| !closed.contains(&listener.address));
    }

    /// The addresses at which the next generation should listen, and does not.
    pub fn missing(&self, listening: &Listening) -> impl Iterator<Item = &ListenAddress> {
        let is_expected = |listener: &&Listener| listener.is_fixed || self.before.iter().any(|before| before.address == listener.address);
        let last = self.held.iter().chain(&self.found);
        last.filter(is_expected).map(|listener| &listener.address).filter(|address| !listening.has(address))
    }
}

#[cfg(test)]
impl Expected {
    /// What tells it from another: how much is expected, of which kind.
    pub(super) fn key(&self) -> [usize; 3] {
        [self.held.len(), self.found.len(), self.before.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str, is_fixed: bool) -> Listener {
        let tcp = address.parse().map(ListenAddress::Tcp);
        Listener { address: tcp.unwrap_or_else(|_| ListenAddress::Unix(address.to_owned())), is_fixed }
    }

    fn found(addresses: &[(&str, bool)]) -> Listening {
        let found = addresses.iter().map(|(address, is_fixed)| listener(address, *is_fixed)).collect();
        Listening { found, ..Listening::default() }
    }

    fn missing(expected: &Expected, listening: &Listening) -> Vec<String> {
        expected.missing(listening).map(ListenAddress::to_string).collect()
    }

    #[test]
    fn the_next_generation_is_expected_at_each_fixed_address() {
        let mut expected = Expected::default();
        assert_eq!(missing(&expected, &Listening::default()), [""; 0], "of the first one nothing is known");
        expected.learn(GenerationNumber::new(1), &found(&[("0.0.0.0:80", true), ("[::]:9090", true), ("0.0.0.0:40001", false)]));
        assert_eq!(missing(&expected, &Listening::default()), ["0.0.0.0:80", "[::]:9090"]);
        let mut next = found(&[("0.0.0.0:80", true)]);
        assert_eq!(missing(&expected, &next), ["[::]:9090"]);
        next.held.push(listener("[::]:9090", true));
        assert_eq!(missing(&expected, &next), [""; 0], "wherever it is known from");
    }

    #[test]
    fn a_held_socket_counts_until_it_is_closed_for_good() {
        let mut expected = Expected::default();
        let (web, metrics) = (listener("[::]:80", true), listener("[::]:9090", true));
        let held = |held: &[&Listener]| Listening { held: held.iter().copied().cloned().collect(), ..Listening::default() };
        expected.learn(GenerationNumber::FIRST, &held(&[&web, &metrics]));
        expected.learn(GenerationNumber::FIRST, &held(&[&web]));
        assert_eq!(missing(&expected, &held(&[&web])), ["[::]:9090"], "it may have closed it because it ends");
        expected.forget(&[metrics.address]);
        assert_eq!(missing(&expected, &held(&[])), ["[::]:80"]);
    }

    #[test]
    fn what_two_generations_had_is_fixed_after_all() {
        let mut expected = Expected::default();
        let (chosen, grpc) = (("0.0.0.0:40001", false), ("0.0.0.0:50051", false));
        expected.learn(GenerationNumber::new(1), &found(&[chosen, grpc]));
        expected.learn(GenerationNumber::new(1), &found(&[chosen, grpc]));
        assert_eq!(missing(&expected, &Listening::default()), [""; 0], "seen twice in one generation");
        expected.learn(GenerationNumber::new(2), &found(&[("0.0.0.0:40002", false), grpc]));
        assert_eq!(missing(&expected, &Listening::default()), ["0.0.0.0:50051"]);
    }

    #[test]
    fn ports_that_are_asked_for_by_number() {
        let listening = found(&[("127.0.0.1:3000", true), ("/run/app.sock", true)]);
        assert_eq!((listening.missing_ports(&[3000]), listening.missing_ports(&[3000, 3001])), (vec![], vec![3001]));
        assert!(listening.is_anywhere() && !Listening::default().is_anywhere());
    }
}
