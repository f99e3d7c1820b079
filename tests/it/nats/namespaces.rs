//! A network of the kernel's own: machines that are network namespaces, at two switches, with cables that can be
//! pulled. All of it is the test's alone, and gone with it.

use std::fs::File;
use std::io::Write;
use std::panic;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

/// Where the run's processes are, and the test itself: their load stays on its loopback interface.
const LAB: &str = "lab";
/// The machine that has the two switches.
const SWITCHES: &str = "switches";
/// Where the servers are, one on each.
const SERVERS: [&str; 3] = ["n1", "n2", "n3"];

/// A switch that the lab and each server have a cable to, and an address of their own at.
#[derive(Clone, Copy)]
pub(crate) enum Switch {
    /// For all; over it the servers are one cluster.
    Near,
    /// Another way from the lab to the servers, for whoever is to be cut off from them alone.
    Far,
}

impl Switch {
    const ALL: [Self; 2] = [Self::Near, Self::Far];

    fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    /// The address at this switch of a server, from 0.
    pub(super) fn address(self, server: usize) -> String {
        self.of(server + 1)
    }

    fn of(self, number: usize) -> String {
        match self {
            Self::Near => format!("10.77.1.{number}"),
            Self::Far => format!("10.77.2.{number}"),
        }
    }
}

/// The lab and three servers' machines, each at both switches.
pub(crate) struct Network {
    prefix: String,
}

impl Network {
    /// Lays it; or why it cannot be had on this machine.
    fn lay() -> Result<Self, String> {
        static LAID: AtomicU32 = AtomicU32::new(0);
        let number = LAID.fetch_add(1, Ordering::Relaxed);
        // Taken away again with whatever there is of it by then.
        let network = Self {
            prefix: format!("fleetcall-{}-{number}", std::process::id()),
        };
        let machines = [LAB, SWITCHES].into_iter().chain(SERVERS);
        let add = machines.map(|machine| format!("netns add {}", network.namespace(machine)));
        ip(&[], add)?;
        let switches = Switch::ALL.map(Switch::name);
        let add = switches.map(|switch| format!("link add name {switch} type bridge"));
        ip(&["-n", &network.namespace(SWITCHES)], add)?;
        // Whoever may do that may do the rest.
        network.connect();
        Ok(network)
    }

    fn connect(&self) {
        let machines = SERVERS.into_iter().chain([LAB]);
        for (machine, number) in machines.zip(1..) {
            let mut own = vec!["link set lo up".to_owned()];
            let mut cables = Vec::new();
            for switch in Switch::ALL {
                let (name, port) = (switch.name(), port(switch, machine));
                let there = self.namespace(machine);
                cables.extend([
                    format!("link set {name} up"),
                    format!("link add name {port} type veth peer name {name} netns {there}"),
                    format!("link set {port} master {name} up"),
                ]);
                let address = switch.of(number);
                own.extend([
                    format!("address add {address}/24 dev {name}"),
                    format!("link set {name} up"),
                ]);
            }
            self.on(SWITCHES, cables);
            self.on(machine, own);
        }
    }

    /// Cuts the lab off at a switch: nothing comes through, and nobody is told.
    pub(crate) fn cut_lab(&self, switch: Switch) {
        self.on(SWITCHES, [pulled(switch, LAB)]);
    }

    /// As it was.
    pub(crate) fn mend_lab(&self, switch: Switch) {
        self.on(SWITCHES, [plugged(switch, LAB)]);
    }

    /// Cuts a server off from everybody.
    pub(crate) fn cut_server(&self, server: usize) {
        let both = Switch::ALL.map(|switch| pulled(switch, SERVERS[server]));
        self.on(SWITCHES, both);
    }

    /// As it was.
    pub(crate) fn mend_server(&self, server: usize) {
        let both = Switch::ALL.map(|switch| plugged(switch, SERVERS[server]));
        self.on(SWITCHES, both);
    }

    /// The machine of a server, from 0.
    pub(super) fn server(&self, server: usize) -> Machine {
        Machine(self.namespace(SERVERS[server]))
    }

    fn namespace(&self, machine: &str) -> String {
        format!("{}-{machine}", self.prefix)
    }

    fn on(&self, machine: &str, lines: impl IntoIterator<Item = String>) {
        ip(&["-n", &self.namespace(machine)], lines).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for machine in [LAB, SWITCHES].into_iter().chain(SERVERS) {
            let delete = format!("netns delete {}", self.namespace(machine));
            // One that was never added is not there.
            let _ = ip(&[], [delete]);
        }
    }
}

/// The switch's end of a machine's cable.
fn port(switch: Switch, machine: &str) -> String {
    format!("{}-{machine}", switch.name())
}

/// The cable stays connected at the machine's end: what is sent there vanishes.
fn pulled(switch: Switch, machine: &str) -> String {
    format!("link set {} nomaster", port(switch, machine))
}

fn plugged(switch: Switch, machine: &str) -> String {
    format!(
        "link set {} master {}",
        port(switch, machine),
        switch.name()
    )
}

/// Has `ip` do a line after the other; or what it says.
fn ip(arguments: &[&str], lines: impl IntoIterator<Item = String>) -> Result<(), String> {
    let mut child = Command::new("ip")
        .args(arguments)
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`ip` cannot be started: {error}"))?;
    let mut input = child.stdin.take().unwrap();
    for line in lines {
        // One that has given up says why.
        let _ = writeln!(input, "{line}");
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said
        .lines()
        .filter(|line| !line.starts_with("Command failed"));
    Err(why.collect::<Vec<_>>().join("; "))
}

/// A machine of a network.
#[derive(Clone)]
pub(super) struct Machine(String);

impl Machine {
    /// Does something there, which may start processes.
    pub(super) fn inside<T: Send>(&self, something: impl FnOnce() -> T + Send) -> T {
        // A namespace is a thread's, and of those that it starts.
        let done = thread::scope(|scope| {
            let there = scope.spawn(|| {
                let namespace = File::open(format!("/run/netns/{}", self.0)).unwrap();
                setns(namespace, CloneFlags::CLONE_NEWNET).unwrap();
                something()
            });
            there.join()
        });
        done.unwrap_or_else(|panic| panic::resume_unwind(panic))
    }
}

/// Runs a test in the lab of a network of its own. Where none can be had, says so where it is seen.
pub(crate) fn in_a_lab(test: impl AsyncFnOnce(&Network) + Send) {
    let network = match Network::lay() {
        Ok(network) => network,
        Err(why) => {
            let name = thread::current().name().unwrap_or_default().to_owned();
            // Not by a macro: what those print of a test that passes is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED {name}: no network namespaces here: {why}\nhelp: it takes iproute2 (scripts/peers) and root, or \
                 `unshare -rnm sh -c 'mount -t tmpfs none /run && cargo test … namespaces'`"
            );
            return;
        }
    };
    Machine(network.namespace(LAB)).inside(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test(&network));
    });
}
