use super::*;
use krt_model::hint;
use proptest::prelude::*;

use State::{Created, Error, Published, Started, Starting, Stopped, Stopping};
use VersionAction::{Delete, Publish, Start, Stop, Unpublish};

#[test]
fn allowed_actions() {
    let rows: [(State, &[(VersionAction, State)]); 7] = [
        (Created, &[(Start, Starting), (Delete, Created)]),
        (Starting, &[(Stop, Stopping)]),
        (Started, &[(Stop, Stopping), (Publish, Published)]),
        (Published, &[(Unpublish, Started)]),
        (Stopping, &[]),
        (Stopped, &[(Start, Starting), (Delete, Stopped)]),
        (Error, &[(Start, Starting), (Delete, Error)]),
    ];
    for (state, allowed) in rows {
        let status = VersionStatus { state, wanted: DesiredState::Stopped };
        let mut actions = status.allowed_actions();
        actions.sort();
        let mut expected: Vec<_> = allowed.iter().map(|(action, _)| *action).collect();
        expected.sort();
        assert_eq!(actions, expected, "{state}");
        for &action in VersionAction::ALL {
            let expected = allowed.iter().find(|(allowed, _)| *allowed == action).map(|(_, next)| *next);
            let got = status.apply(action).map(|next| next.state);
            assert_eq!(got, expected.ok_or(Refused { action, state }), "{state} {action}");
        }
    }
}

#[test]
fn transitions_by_event() {
    let at = VersionStatus::new;
    let rows = [
        (at(Starting, DesiredState::Started), Event::Ready, at(Started, DesiredState::Started)),
        (at(Starting, DesiredState::Published), Event::Ready, at(Published, DesiredState::Published)),
        (at(Stopping, DesiredState::Stopped), Event::Ready, at(Stopping, DesiredState::Stopped)),
        (at(Starting, DesiredState::Published), Event::Failed, at(Error, DesiredState::Stopped)),
        (at(Stopping, DesiredState::Stopped), Event::Failed, at(Stopping, DesiredState::Stopped)),
        (at(Stopping, DesiredState::Stopped), Event::Ended, at(Stopped, DesiredState::Stopped)),
        (at(Published, DesiredState::Published), Event::Replaced, at(Started, DesiredState::Started)),
        (at(Starting, DesiredState::Published), Event::Replaced, at(Starting, DesiredState::Started)),
        (at(Stopped, DesiredState::Stopped), Event::Replaced, at(Stopped, DesiredState::Stopped)),
        (at(Started, DesiredState::Started), Event::RolledBack, at(Published, DesiredState::Published)),
        (at(Stopped, DesiredState::Stopped), Event::RolledBack, at(Starting, DesiredState::Published)),
        (at(Published, DesiredState::Published), Event::Boot, at(Starting, DesiredState::Published)),
        (at(Started, DesiredState::Started), Event::Boot, at(Starting, DesiredState::Started)),
        (at(Stopping, DesiredState::Stopped), Event::Boot, at(Stopped, DesiredState::Stopped)),
        (at(Error, DesiredState::Stopped), Event::Boot, at(Error, DesiredState::Stopped)),
        (at(Created, DesiredState::Stopped), Event::Boot, at(Created, DesiredState::Stopped)),
    ];
    for (before, event, after) in rows {
        assert_eq!(before.on(event), after, "{before:?} {event:?}");
    }
}

#[test]
fn refusals_have_a_hint() {
    let hint_for = |action, state| match (action, state) {
        (Publish, Created | Stopped | Error) => "; hint: start it first",
        (Publish | Stop, Starting) => "; hint: wait until it is STARTED",
        (Stop | Delete, Published) => "; hint: unpublish it, or publish another one, first",
        (Delete, Started) => "; hint: stop it first",
        _ => "",
    };
    for &state in State::ALL {
        let status = VersionStatus { state, wanted: DesiredState::Stopped };
        for &action in VersionAction::ALL {
            let Err(refused) = status.apply(action) else { continue };
            let expected = format!("cannot {action} a version that is {state}{}", hint_for(action, state));
            assert_eq!(hint::line(&refused), expected);
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Action(VersionAction),
    Event(Event),
}

fn step() -> impl Strategy<Value = Step> {
    let allowed_actions = proptest::sample::select(VersionAction::ALL).prop_map(Step::Action);
    let events = [Event::Ready, Event::Failed, Event::Ended, Event::Replaced, Event::RolledBack, Event::Boot];
    prop_oneof![allowed_actions, proptest::sample::select(events.to_vec()).prop_map(Step::Event)]
}

proptest! {
    /// State and wanted state agree after any sequence of actions and events.
    #[test]
    fn state_and_wanted_state_agree(steps in proptest::collection::vec(step(), 0..50)) {
        let mut status = VersionStatus::NEW;
        for step in steps {
            status = match step {
                Step::Action(action) => status.apply(action).unwrap_or(status),
                Step::Event(event) => status.on(event),
            };
            let agrees = match status.state {
                Created | Stopping | Stopped | Error => status.wanted == DesiredState::Stopped,
                Starting => status.wanted != DesiredState::Stopped,
                Started => status.wanted == DesiredState::Started,
                Published => status.wanted == DesiredState::Published,
            };
            prop_assert!(agrees, "{:?}", status);
        }
    }

    /// After a boot, no version counts as running.
    #[test]
    fn a_boot_leaves_nothing_running(state in proptest::sample::select(State::ALL)) {
        let wanted = match state {
            Starting | Started => DesiredState::Started,
            Published => DesiredState::Published,
            _ => DesiredState::Stopped,
        };
        let after = VersionStatus { state, wanted }.on(Event::Boot).state;
        prop_assert!(!matches!(after, Started | Published | Stopping));
    }
}
