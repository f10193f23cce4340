//! What a person at a terminal sees, and a file or a pipe does not.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::place::{Place, RINGKEEP};

/// A pseudo-terminal so many columns wide: the side that sees, and the side of the command.
pub(crate) fn terminal(columns: u16) -> (OwnedFd, OwnedFd) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&terminal).expect("a pseudo-terminal");
    unlockpt(&terminal).expect("a pseudo-terminal");
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a pseudo-terminal");
    let peer =
        ioctl_tiocgptpeer(&terminal, OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a peer");
    (terminal, peer)
}

/// Everything that comes out of a terminal until its other side is closed.
pub(crate) fn seen(terminal: OwnedFd) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut shown = Vec::new();
        // The end of a pseudo-terminal is an I/O error.
        let _ = File::from(terminal).read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).replace("\r\n", "\n")
    })
}

fn logbook() -> Place {
    let place = Place::new();
    let schema = "t:time_s, temp:f32[C], rpm:u16[1/min], tag:str8";
    place.run(["create", "log.dat", "--schema", schema, "--capacity", "100"]).succeeded();
    let rows = "t,temp,rpm,tag\n1,21.5,7,a\n2,-3,60000,b\x1b[31m\n";
    place.feed(["append", "log.dat"], rows.as_bytes()).succeeded();
    place
}

/// What a command shows on a terminal of that width as its standard output, and its notes.
fn shown(mut command: Command, columns: u16) -> (String, String) {
    let (terminal, peer) = terminal(columns);
    command.stdout(Stdio::from(peer)).stderr(Stdio::piped());
    let child = command.spawn().expect("it runs");
    drop(command);
    let seen = seen(terminal);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let notes = String::from_utf8_lossy(&output.stderr).into_owned();
    (seen.join().expect("a thread"), notes)
}

#[test]
fn a_terminal_gets_a_table_with_a_bold_header() {
    let place = logbook();
    let table = "id  t                     temp [C]  rpm [1/min]  tag";
    let rows = " 0  1970-01-01T00:00:01Z      21.5            7  a\n \
                1  1970-01-01T00:00:02Z      -3.0        60000  b [31m\n";
    for verb in [&["cat", "log.dat"][..], &["tail", "log.dat"], &["get", "log.dat", "0", "1"]] {
        let mut command = place.command(verb);
        command.env_remove("NO_COLOR");
        let (bold, notes) = shown(command, 120);
        assert_eq!(bold, format!("\x1b[1m{table}\x1b[0m\n{rows}"));
        assert_eq!(notes, "");
        let mut command = place.command(verb);
        command.env("NO_COLOR", "1");
        assert_eq!(shown(command, 120).0, format!("{table}\n{rows}"));
    }
    // Asked for on a pipe, it is the same without colours.
    let piped = place.run(["cat", "log.dat", "--format", "table"]).succeeded();
    assert_eq!(piped.text(), format!("{table}\n{rows}"));
}

#[test]
fn columns_that_do_not_fit_a_terminal_are_left_out_and_told() {
    let place = logbook();
    let mut command = place.command(["cat", "log.dat"]);
    command.env("NO_COLOR", "1");
    let (table, notes) = shown(command, 40);
    assert_eq!(table.lines().next(), Some("id  t                     temp [C]"));
    assert!(table.lines().all(|line| line.len() <= 40), "{table}");
    assert!(notes.contains("2 of 5 columns do not fit") && notes.contains("--fields"), "{notes}");
    // Other forms are whole.
    let (csv, notes) = shown(place.command(["cat", "log.dat", "--format", "csv"]), 40);
    assert!(csv.starts_with("id,t,temp,rpm,tag\n"), "{csv}");
    assert_eq!(notes, "");
}

#[test]
fn progress_is_shown_on_a_terminal_and_nowhere_else() {
    let place = Place::with_archive(4, 100);
    // The input takes its time, so that there is something to tell of.
    let feed = |place: &Place| {
        let mut command = Command::new("sh");
        // It is no colour, and stays.
        command.arg("-c").current_dir(place.path(".")).env("NO_COLOR", "1");
        command.arg(format!(
            "(printf aaaa; sleep 0.8; printf bbbb; sleep 0.4; printf cccc) |
            exec {RINGKEEP} append cache.dat --format raw"
        ));
        command
    };
    let (terminal, peer) = terminal(80);
    let mut append = feed(&place);
    let mut child = append.stderr(Stdio::from(peer)).spawn().expect("it runs");
    drop(append);
    let seen = seen(terminal);
    assert!(child.wait().expect("it ends").success());
    let shown = seen.join().expect("a thread");
    assert!(shown.contains("\r2 records\x1b[K"), "{shown:?}");
    assert!(shown.ends_with("appended 3 records, ids 0..3\n"), "{shown:?}");
    let quiet = feed(&place).output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "ringkeep: appended 3 records, ids 3..6\n");
}

#[test]
fn every_form_into_a_closed_pipe_ends_quietly() {
    let place = logbook();
    let rows: Vec<String> = (0..100).map(|row| format!("{row},1,2,x\n")).collect();
    let rows = format!("t,temp,rpm,tag\n{}", rows.concat());
    place.run(["create", "big.dat", "--schema", "a:str4000", "--capacity", "100"]).succeeded();
    place.feed(["append", "big.dat", "--format", "lines"], &[b'x'; 100].map(|_| b'\n')).succeeded();
    place.feed(["append", "log.dat"], rows.as_bytes()).succeeded();
    for verb in ["cat", "tail -n 100", "tail -f -n 100"] {
        for format in ["csv", "ndjson", "table", "hex", "raw"] {
            for archive in ["log.dat", "big.dat"] {
                let line = format!("{verb} {archive} --format {format}");
                let mut command = place.command(line.split(' '));
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().expect("it runs");
                let mut head = [0; 8];
                let mut output = child.stdout.take().expect("a pipe");
                output.read_exact(&mut head).expect("some bytes");
                drop(output);
                let ended = child.wait_with_output().expect("it ends");
                assert_eq!(ended.status.code(), Some(0), "{line}: {ended:?}");
                assert_eq!(String::from_utf8_lossy(&ended.stderr), "", "{line}");
            }
        }
    }
}
