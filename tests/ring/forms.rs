//! One body of tests over every form of an archive.

use std::process::Command;

use ringkeep_torture::form::Form;

use crate::support::FORM;

#[test]
fn every_test_passes_by_position_and_under_the_smallest_budget_too() {
    if std::env::var_os(FORM).is_some() {
        return;
    }
    let tests = std::env::current_exe().expect("this program");
    for form in [Form::ByPosition, Form::Windowed] {
        let run = Command::new(&tests).env(FORM, form.name()).output().expect("the tests run");
        let said = String::from_utf8_lossy(&run.stdout);
        assert!(run.status.success(), "{form:?}:\n{said}");
        assert!(!said.contains("running 0 tests"), "{said}");
    }
}
