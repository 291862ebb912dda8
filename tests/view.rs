//! The live view on terminals: `hdp` in tmux, on a router of its own.
#![cfg(feature = "cli")]
#![cfg(all(feature = "libpcap", feature = "view"))]

use std::{
    env, fs,
    panic::Location,
    path::Path,
    process::{Command, Stdio},
};

use crate::support::hosts::{self, Host, Running, file, success, text, until};
use tempfile::TempDir;

/// A terminal of a given size with a shell on a host.
struct Terminal<'a> {
    host: &'a Host,
    folder: &'a TempDir,
}

impl<'a> Terminal<'a> {
    /// Opens it, and notes how it is set up.
    fn open(host: &'a Host, folder: &'a TempDir, (width, height): (u16, u16)) -> Self {
        let terminal = Self { host, folder };
        let (width, height) = (width.to_string(), height.to_string());
        let size = ["-x", width.as_str(), "-y", &height];
        let shell = "env PS1='$ ' LC_ALL=C.UTF-8 sh";
        terminal.tmux(
            &[
                &["-u", "-f", "/dev/null", "new-session", "-d"],
                &size[..],
                &[shell],
            ]
            .concat(),
        );
        terminal.tmux(&["set", "-g", "status", "off"]);
        terminal.shows("$");
        terminal.enter(&format!("stty -a > {}", text(&file(folder, "before"))));
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let socket = file(self.folder, "tmux");
        let mut command = self.host.command("tmux");
        command
            .args(["-S", text(&socket)])
            .args(arguments)
            .env_remove("TMUX");
        String::from_utf8(success(&mut command).stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn enter(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.keys(&["Enter"]);
    }

    /// Runs a command, and says its exit status behind it.
    fn run(&self, command: &str) {
        self.enter(&format!("clear; {command}; echo status $?"));
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    #[track_caller]
    fn shows(&self, what: &str) -> String {
        let caller = Location::caller();
        let mut screen = String::new();
        until(
            &format!("{what} is shown, {caller}: {}", self.screen()),
            || {
                screen = self.screen();
                screen.contains(what)
            },
        );
        screen
    }

    /// Waits for the command's end, and sees that the terminal is as it was before.
    #[track_caller]
    fn is_sane_after(&self, status: &str) -> String {
        let screen = self.shows(&format!("status {status}"));
        let (before, after) = (file(self.folder, "before"), file(self.folder, "after"));
        let _ = fs::remove_file(&after);
        self.enter(&format!("stty -a > {0}.new; mv {0}.new {0}", text(&after)));
        until("stty has told", || after.exists());
        let told = |file: &Path| fs::read_to_string(file).unwrap();
        assert_eq!(told(&after), told(&before));
        assert!(told(&after).contains(" echo "), "{}", told(&after));
        let flags = "#{alternate_on} #{cursor_flag}";
        assert_eq!(self.tmux(&["display", "-p", flags]), "0 1\n");
        screen
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        let socket = file(self.folder, "tmux");
        let mut command = self.host.command("tmux");
        let _ = command.args(["-S", text(&socket), "kill-server"]).output();
    }
}

fn has_tmux(test: &str) -> bool {
    let has = Command::new("tmux").arg("-V").output().is_ok();
    if !has {
        eprintln!("{test}: skipped, tmux is not installed");
    }
    has
}

/// The command for a view of a router's two interfaces.
fn view(arguments: &str) -> String {
    let hdp = env!("CARGO_BIN_EXE_hdp");
    format!("{hdp} path live:client live:server {arguments}")
}

fn send(from: &Host, protocols: &str) {
    let arguments = [
        "send",
        "10.77.2.2",
        "--protocols",
        protocols,
        "--interval",
        "1ms",
    ];
    success(from.hdp(&arguments).stdout(Stdio::null()));
}

#[test]
fn losses_show_on_the_map_and_details_at_a_key_at_both_sizes() {
    if !has_tmux("view-sizes") {
        return;
    }
    let Some(hosts) = hosts::routed("view-sizes") else {
        return;
    };
    for rule in [
        "add table ip t",
        "add chain ip t f { type filter hook forward priority 0; }",
        "add rule ip t f ip protocol { 50, 51 } drop",
    ] {
        hosts.router.nft(rule);
    }
    for (size, row) in [
        ((80, 24), " 48 o o X X o"),
        ((200, 60), " 48 o  o  X  X  o"),
    ] {
        let folder = TempDir::new().unwrap();
        let terminal = Terminal::open(&hosts.router, &folder, size);
        terminal.run(&view(""));
        let screen = terminal.shows("? help");
        assert!(screen.contains(" 48 ·"), "{screen}");
        send(&hosts.client, "1-255");
        let screen = terminal.shows("passes 253  ~ lossy  / cut off  X blocked 2");
        for told in ["client → server", "↓ 2 lost", "X 50 ESP, 51 AH", row] {
            assert!(screen.contains(told), "{told}: {screen}");
        }
        terminal.keys(&["n", "Enter"]);
        let screen = terminal.shows("lost, client → server");
        for told in ["50 ESP (0x32)", "Last packets", "seen: client 1, server 0"] {
            assert!(screen.contains(told), "{told}: {screen}");
        }
        terminal.keys(&["Space"]);
        terminal.shows("paused");
        send(&hosts.client, "50");
        terminal.keys(&["Space"]);
        terminal.shows("2 sent, 0 arrived");
        terminal.keys(&["Enter"]);
        terminal.shows("↓ 3 lost");
        terminal.keys(&["q"]);
        let report = terminal.is_sane_after("0");
        assert!(report.contains("Captures, 20"), "{report}");
    }
}

#[test]
fn whatever_ends_it_leaves_the_terminal_as_it_was_and_a_report() {
    if !has_tmux("view-ends") {
        return;
    }
    let Some(hosts) = hosts::routed("view-ends") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let terminal = Terminal::open(&hosts.router, &folder, (80, 24));
    let id = file(&folder, "id");
    let kill = |signal: &str| {
        let id = fs::read_to_string(&id).unwrap();
        success(Command::new("kill").args([signal, id.trim()]));
    };
    let ends: [(&str, &dyn Fn()); 6] = [
        ("", &|| terminal.keys(&["C-c"])),
        ("", &|| terminal.keys(&["Escape"])),
        ("", &|| kill("-TERM")),
        ("", &|| kill("-INT")),
        ("--duration 2s", &|| {}),
        ("--count 4", &|| send(&hosts.client, "253,254")),
    ];
    for (arguments, end) in ends {
        let command = view(arguments);
        terminal.run(&format!("sh -c 'echo $$ > {}; exec {command}'", text(&id)));
        terminal.shows("? help");
        send(&hosts.client, "252,253");
        terminal.shows("o passes 2");
        end();
        let report = terminal.is_sane_after("0");
        assert!(report.contains("packets arrived"), "{arguments}: {report}");
    }
}

#[test]
fn pipes_that_nobody_ends_are_viewed_and_ended_too() {
    if !has_tmux("view-pipes") {
        return;
    }
    let Some(host) = hosts::host("view-pipes") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let [client, server] = ["client", "server"].map(|name| {
        let fifo = file(&folder, name);
        success(Command::new("mkfifo").arg(&fifo));
        fifo
    });
    let terminal = Terminal::open(&host, &folder, (80, 24));
    let command = format!(
        "{} path {} {}",
        env!("CARGO_BIN_EXE_hdp"),
        text(&client),
        text(&server)
    );
    for end in ["q", "C-c"] {
        let writers = [&client, &server].map(|fifo| {
            let capture = fixture(fifo.file_name().unwrap().to_str().unwrap());
            let write = format!("exec > {}; cat {capture}; exec sleep 60", text(fifo));
            Running::start(Command::new("sh").args(["-c", &write]))
        });
        terminal.run(&command);
        terminal.shows("X 50 ESP, 51 AH, 132 SCTP");
        terminal.keys(&[end]);
        let report = terminal.is_sane_after("0");
        assert!(report.contains("client → server"), "{report}");
        drop(writers);
    }
    // Nobody opens them for writing.
    terminal.run(&command);
    terminal.shows("? help");
    terminal.keys(&["q"]);
    let report = terminal.is_sane_after("0");
    assert!(report.contains("No HDP packet seen"), "{report}");
    assert!(
        report.contains("nothing came from it before the end"),
        "{report}"
    );
}

/// A capture of the scenario in which a router drops 50, 51 and 132.
fn fixture(point: &str) -> String {
    let folder = env!("CARGO_MANIFEST_DIR");
    format!("{folder}/fixtures/router-drops/{point}.pcap")
}

#[test]
fn a_panic_of_any_thread_gives_the_terminal_back_before_its_message() {
    if !has_tmux("view-panic") {
        return;
    }
    let Some(host) = hosts::host("view-panic") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let terminal = Terminal::open(&host, &folder, (80, 24));
    let this = env::current_exe().unwrap();
    for thread in [
        "panics_while_the_screen_is_taken",
        "panics_beside_the_screen",
    ] {
        terminal.run(&format!(
            "RUST_BACKTRACE=0 {} --ignored --exact --nocapture view::{thread}",
            text(&this)
        ));
        let screen = terminal.is_sane_after("101");
        assert!(screen.contains("on purpose"), "{screen}");
        assert!(!screen.contains("? help"), "{screen}");
    }
}

/// What the test above runs on a terminal.
#[test]
#[ignore = "runs in the terminal of another test"]
fn panics_while_the_screen_is_taken() {
    let mut screen = hdp::view::Screen::open().unwrap();
    screen.draw(&mut hdp::view::View::new(true)).unwrap();
    panic!("on purpose");
}

/// What the test above runs on a terminal.
#[test]
#[ignore = "runs in the terminal of another test"]
fn panics_beside_the_screen() {
    let mut screen = hdp::view::Screen::open().unwrap();
    let mut view = hdp::view::View::new(true);
    screen.draw(&mut view).unwrap();
    let other = std::thread::spawn(|| panic!("on purpose"));
    let ended = other.join();
    // Whoever draws on does no harm.
    screen.draw(&mut view).unwrap();
    ended.unwrap();
}

/// The numbers that lines say this of, as often as they do:
/// `06:14:19.543  1-49, 52-255  passes  253 of 253`.
fn told(said: &str, verdict: &str) -> Vec<u8> {
    let mut numbers = Vec::new();
    for line in said.lines() {
        let mut columns = line
            .trim_start()
            .split("  ")
            .filter(|column| !column.is_empty());
        let (Some(_time), Some(shown), Some(word)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        if word != verdict {
            continue;
        }
        for range in shown.split(", ") {
            let range = range.split(' ').next().unwrap();
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            numbers.extend(first.parse::<u8>().unwrap()..=last.parse().unwrap());
        }
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn without_a_terminal_or_in_the_background_of_one_changes_are_told_in_lines() {
    let Some(hosts) = hosts::routed("view-lines") else {
        return;
    };
    for rule in [
        "add table ip t",
        "add chain ip t f { type filter hook forward priority 0; }",
        "add rule ip t f ip protocol { 50, 51 } drop",
    ] {
        hosts.router.nft(rule);
    }
    let folder = TempDir::new().unwrap();
    let said = file(&folder, "said");
    let mut command = hosts.router.hdp(&["path", "live:client", "live:server"]);
    command
        .stdout(Stdio::null())
        .stderr(fs::File::create(&said).unwrap());
    let running = Running::start(&mut command);
    let said = || fs::read_to_string(&said).unwrap();
    until("a capture that has begun", || {
        said().contains("kernel filter")
    });
    send(&hosts.client, "1-255");
    // How many changes a line tells of depends on when the packets are looked at.
    let blocked = [50, 51];
    let others: Vec<u8> = (1..=255)
        .filter(|number| !blocked.contains(number))
        .collect();
    hosts::until_seen("what passes and what does not is told", said, |said| {
        told(said, "passes") == others && told(said, "blocked") == blocked
    });
    assert!(
        said().contains("blocked  client → server  0 of "),
        "{}",
        said()
    );
    running.interrupt();
    // Nothing is told twice.
    assert_eq!(told(&said(), "passes"), others, "{}", said());
    assert!(!said().contains('\u{1b}'), "{}", said());

    if !has_tmux("view-lines") {
        return;
    }
    let terminal = Terminal::open(&hosts.router, &folder, (80, 24));
    // timeout(1) gives its command a process group of its own, which may not touch the terminal.
    terminal.run(&format!("timeout 3 {}", view("--duration 1s")));
    let screen = terminal.is_sane_after("0");
    assert!(screen.contains("No HDP packet seen"), "{screen}");
}
