//! Goal: what the ring promises across processes holds: lapped readers, waiting readers, killed
//! producers, the machine-wide lock.
//!
//! Method: children are this very binary, run again for one role; see
//! `ringkeep_torture::kill::child`.

#[path = "processes/hammer.rs"]
mod hammer;
#[path = "processes/kills.rs"]
mod kills;
#[path = "processes/large.rs"]
mod large;
#[path = "processes/waiting.rs"]
mod waiting;

use ringkeep_torture::kill::{self, child};

#[test]
#[ignore = "the child process of another test here"]
fn plays_the_child_of_another_test() {
    let Some((role, arguments)) = child::role() else { return };
    match role.as_str() {
        "hammer" => hammer::hammer(&arguments),
        "open until killed" => kills::open_until_killed(&arguments),
        "create until killed" => kills::create_until_killed(&arguments),
        "tail" => waiting::tail(&arguments),
        "append" => waiting::append(&arguments),
        "fill a part" => large::fill_a_part(&arguments),
        other => assert!(kill::plays(other, &arguments), "no role {other}"),
    }
}
