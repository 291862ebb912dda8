//! Hosts made of network namespaces, for tests that put packets on a wire: root on Linux with
//! iproute2. Gone when dropped.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What a test waits for takes no longer than this, or never comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two hosts with a cable between them: `10.77.9.1` and `fd77:9::1`, `10.77.9.2` and `fd77:9::2`.
pub struct Hosts {
    pub client: Host,
    pub server: Host,
}

/// `10.77.1.2`, a router between, `10.77.2.2`; every interface is called after whom it leads to.
pub struct Routed {
    pub client: Host,
    pub router: Host,
    pub server: Host,
}

/// One host.
pub struct Host {
    namespace: String,
}

/// A host of its own with nothing but a loopback interface, or `None` where that cannot be made:
/// then one line says so.
pub fn host(test: &str) -> Option<Host> {
    // A namespace is made by the superuser only, and by iproute2.
    let namespace = format!("hdp-probe-{}-{test}", std::process::id());
    let made = Command::new("ip")
        .args(["netns", "add", &namespace])
        .output();
    let why = match made {
        Ok(made) if made.status.success() => {
            let host = Host { namespace };
            // Nobody else can have these addresses: use them without asking around first.
            host.succeed(&["sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0"]);
            host.succeed(&["ip", "link", "set", "lo", "up"]);
            return Some(host);
        }
        Ok(made) => String::from_utf8_lossy(&made.stderr).trim().to_owned(),
        Err(error) => format!("ip: {error}"),
    };
    eprintln!("{test}: skipped, no network namespaces: {why}");
    None
}

/// How often a test that hangs on chance is to be repeated, where somebody says so: `HDP_LAB_RUNS`.
pub fn lab_runs() -> Option<usize> {
    std::env::var("HDP_LAB_RUNS").map_or(None, |runs| Some(runs.parse().unwrap()))
}

/// Two hosts with a cable between them.
pub fn hosts(test: &str) -> Option<Hosts> {
    let hosts = Hosts {
        client: host(&format!("{test}-c"))?,
        server: host(&format!("{test}-s"))?,
    };
    let (client, server) = (&hosts.client.namespace, &hosts.server.namespace);
    let cable = [
        "link", "add", "name", "eth0", "netns", client, "type", "veth", "peer", "name", "eth0",
        "netns", server,
    ];
    assert!(Command::new("ip").args(cable).status().unwrap().success());
    for (host, number) in [(&hosts.client, 1), (&hosts.server, 2)] {
        for address in [
            format!("10.77.9.{number}/24"),
            format!("fd77:9::{number}/64"),
        ] {
            host.succeed(&["ip", "address", "add", &address, "dev", "eth0"]);
        }
        host.succeed(&["ip", "link", "set", "eth0", "up"]);
    }
    // The kernel notices a cable when it gets round to it, and routes over IPv6 not before.
    for host in [&hosts.client, &hosts.server] {
        let shows = |command: &[&str], what| {
            String::from_utf8_lossy(&host.succeed(command).stdout).contains(what)
        };
        until("the cable carries", || {
            shows(&["ip", "link", "show", "eth0"], "state UP")
                && shows(&["ip", "-6", "route"], "fd77:9::/64")
                && !shows(&["ip", "-6", "address"], "tentative")
        });
    }
    Some(hosts)
}

/// Two hosts with a router between them, over IPv4.
pub fn routed(test: &str) -> Option<Routed> {
    let hosts = Routed {
        client: host(&format!("{test}-c"))?,
        router: host(&format!("{test}-r"))?,
        server: host(&format!("{test}-s"))?,
    };
    let router = &hosts.router;
    for host in [&hosts.client, router, &hosts.server] {
        // Nothing is said over IPv6 that nobody asked for.
        host.succeed(&["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
    }
    for (host, name, net) in [(&hosts.client, "client", 1), (&hosts.server, "server", 2)] {
        let (own, other) = (&host.namespace, &router.namespace);
        let cable = [
            "link", "add", "name", "router", "netns", own, "type", "veth", "peer", "name", name,
            "netns", other,
        ];
        assert!(Command::new("ip").args(cable).status().unwrap().success());
        for (end, device, address) in [(host, "router", 2), (router, name, 1)] {
            let address = format!("10.77.{net}.{address}/24");
            end.succeed(&["ip", "address", "add", &address, "dev", device]);
            end.succeed(&["ip", "link", "set", device, "up"]);
        }
        let gateway = format!("10.77.{net}.1");
        host.succeed(&["ip", "route", "add", "default", "via", &gateway]);
    }
    router.succeed(&["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    until("the cables carry", || hosts.are_up());
    Some(hosts)
}

impl Routed {
    /// Over IPv6 too: `fd77:1::2` and `fd77:2::2`.
    pub fn speak_ipv6(&self) {
        for host in [&self.client, &self.router, &self.server] {
            host.succeed(&["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"]);
        }
        self.router
            .succeed(&["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"]);
        for (host, name, net) in [(&self.client, "client", 1), (&self.server, "server", 2)] {
            for (end, device, address) in [(host, "router", 2), (&self.router, name, 1)] {
                let address = format!("fd77:{net}::{address}/64");
                end.succeed(&["ip", "address", "add", &address, "dev", device, "nodad"]);
            }
            let gateway = format!("fd77:{net}::1");
            host.succeed(&["ip", "route", "add", "default", "via", &gateway]);
        }
        let mut ping = self.client.command("ping");
        ping.args(["-q", "-c", "1", "-W", "1", "fd77:2::2"]);
        until("the router forwards IPv6", || {
            ping.output().unwrap().status.success()
        });
    }

    /// Whether all cables carry.
    pub fn are_up(&self) -> bool {
        let ends = [(&self.client, 1), (&self.server, 1), (&self.router, 2)];
        ends.into_iter().all(|(host, cables)| {
            let shown = host.succeed(&["ip", "-o", "link", "show", "up"]).stdout;
            String::from_utf8_lossy(&shown).matches("state UP").count() == cables
        })
    }
}

impl Host {
    /// Rules for this host's packet filter.
    pub fn nft(&self, rules: &str) {
        self.succeed(&["nft", rules]);
    }

    /// A command that runs on this host.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    /// The tool on this host, in bounded time, with an empty standard input. It sends what is listed
    /// in that order and nothing else, unless a test gives a seed.
    pub fn hdp(&self, arguments: &[&str]) -> Command {
        let mut command = self.command("timeout");
        command
            .args(["--signal=INT", "60", env!("CARGO_BIN_EXE_hdp")])
            .args(arguments)
            .stdin(Stdio::null());
        if arguments.first() == Some(&"send") && !arguments.contains(&"--seed") {
            command.args(["--in-order", "--no-heartbeat"]);
        }
        command
    }

    /// Runs a command that must succeed.
    pub fn succeed(&self, command: &[&str]) -> Output {
        success(self.command(command[0]).args(&command[1..]))
    }

    /// Starts `hdp listen` and waits until it listens.
    pub fn listen(&self, folder: &Path, arguments: &[&str]) -> Running {
        let ready = folder.join("ready");
        let _ = fs::remove_file(&ready);
        let mut command = self.hdp(&["listen", "--ready-file", text(&ready)]);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let running = Running::start(&mut command);
        until("hdp listen is ready", || ready.exists());
        running
    }

    /// Starts `tcpdump` on an interface and waits until it captures.
    pub fn capture(&self, interface: &str, file: &Path) -> Running {
        self.capture_only("", interface, file)
    }

    /// The same, with a filter of tcpdump's.
    pub fn capture_only(&self, filter: &str, interface: &str, file: &Path) -> Running {
        let mut command = self.command("tcpdump");
        // With tcpdump's own snapshot length its buffer holds a handful of packets.
        command
            .args(["-i", interface, "-U", "--immediate-mode", "-s", "2048"])
            .args(["-B", "16384", "-w", text(file), filter])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut running = Running::start(&mut command);
        running.is_capture = true;
        // The header is written once the interface is captured from.
        until("tcpdump captures", || {
            fs::metadata(file).is_ok_and(|file| file.len() >= 24)
        });
        running
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let delete = ["netns", "delete", &self.namespace];
        let _ = Command::new("ip").args(delete).output();
    }
}

/// A process that ends with the test, whatever becomes of that.
pub struct Running {
    child: Child,
    is_capture: bool,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self {
            child: command.spawn().unwrap(),
            is_capture: false,
        }
    }

    /// Ends it as Ctrl-C would, and returns what it said; it must have ended well.
    pub fn interrupt(self) -> String {
        self.end_by("INT")
    }

    /// Ends it by a signal, and returns what it said; it must have ended well.
    pub fn end_by(mut self, signal: &str) -> String {
        if self.is_capture {
            // On a busy machine it may not have come to what it captured, and would forget that.
            until("tcpdump waits for more", || self.sleeps());
        }
        // `timeout` and `ip netns exec` become or pass on to the program itself.
        send_signal(signal, self.child.id());
        self.ended()
    }

    fn sleeps(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('S')
    }

    /// Ends it in the middle of whatever it does.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its standard output, if that is a pipe.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// Waits for its end, and returns what it said; it must have ended well.
    pub fn ended(&mut self) -> String {
        use std::io::Read as _;

        let mut said = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.read_to_string(&mut said).unwrap();
        }
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {said}");
        said
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a process a signal.
pub fn send_signal(signal: &str, process: u32) {
    let (signal, process) = (format!("-{signal}"), process.to_string());
    success(Command::new("kill").args([signal, process]));
}

/// Runs a command that must succeed.
pub fn success(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Waits until something is so.
pub fn until(what: &str, mut is: impl FnMut() -> bool) {
    until_seen(what, || (), |()| is());
}

/// The same of something that can be seen, which a failure shows.
pub fn until_seen<T: std::fmt::Debug>(
    what: &str,
    mut see: impl FnMut() -> T,
    mut is: impl FnMut(&T) -> bool,
) {
    let start = Instant::now();
    loop {
        let seen = see();
        if is(&seen) {
            return;
        }
        let waited = start.elapsed();
        assert!(waited < PATIENCE, "waited in vain until {what}: {seen:#?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file of this test's own.
pub fn file(folder: &tempfile::TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}

/// `10.77.0.1`, eight routers, `10.77.8.2`, over IPv6 too (`fd77:0::1`, `fd77:8::2`). The router at hop
/// `n` answers from `10.77.{n-1}.2`, as fast as it is asked.
pub struct Chain {
    pub client: Host,
    pub routers: Vec<Host>,
    pub server: Host,
}

/// Where every host of a chain keeps the interface towards the server.
pub const AHEAD: &str = "ahead";
/// The one towards the client.
pub const BEHIND: &str = "behind";

/// Two hosts with eight routers between them.
pub fn chain(test: &str) -> Option<Chain> {
    const ROUTERS: usize = 8;

    let mut hosts = Vec::new();
    for number in 0..ROUTERS + 2 {
        hosts.push(host(&format!("{test}-{number}"))?);
    }
    for host in &hosts {
        host.succeed(&[
            "sysctl",
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.icmp_ratelimit=0",
            "net.ipv6.icmp.ratelimit=0",
            "net.ipv4.conf.all.rp_filter=0",
        ]);
    }
    for (net, pair) in hosts.windows(2).enumerate() {
        let [near, far] = pair else { unreachable!() };
        let cable = [
            "link",
            "add",
            "name",
            AHEAD,
            "netns",
            &near.namespace,
            "type",
            "veth",
            "peer",
            "name",
            BEHIND,
            "netns",
            &far.namespace,
        ];
        assert!(Command::new("ip").args(cable).status().unwrap().success());
        for (end, device, address) in [(near, AHEAD, 1), (far, BEHIND, 2)] {
            for address in [
                format!("10.77.{net}.{address}/24"),
                format!("fd77:{net}::{address}/64"),
            ] {
                end.succeed(&["ip", "address", "add", &address, "dev", device]);
            }
            end.succeed(&["ip", "link", "set", device, "up"]);
        }
    }
    until("the cables carry", || {
        hosts.iter().all(|host| {
            let shown = host.succeed(&["ip", "-o", "link", "show", "up"]).stdout;
            !String::from_utf8_lossy(&shown).contains("state DOWN")
                && !String::from_utf8_lossy(&host.succeed(&["ip", "-6", "address"]).stdout)
                    .contains("tentative")
        })
    });
    for (net, pair) in hosts.windows(2).enumerate() {
        let [near, far] = pair else { unreachable!() };
        for gateway in [format!("10.77.{net}.2"), format!("fd77:{net}::2")] {
            near.succeed(&["ip", "route", "add", "default", "via", &gateway]);
        }
        for before in 0..net {
            let (v4, v6) = (
                format!("10.77.{before}.0/24"),
                format!("fd77:{before}::/64"),
            );
            for (route, gateway) in [
                (v4, format!("10.77.{net}.1")),
                (v6, format!("fd77:{net}::1")),
            ] {
                far.succeed(&["ip", "route", "add", &route, "via", &gateway]);
            }
        }
    }
    let server = hosts.pop()?;
    let routers = hosts.split_off(1);
    Some(Chain {
        client: hosts.pop()?,
        routers,
        server,
    })
}
